"""Cost of imports in processor seconds and modules, compared with PyTorch and MMEngine.

python benchmarks/imports.py

Statements run in new processes, interleaved, after one round of warm-up; the minimum of user and
system time is reported. Ratios and differences are comparable within a run only.
"""

import argparse
import json
import subprocess
import sys

PEERS = ('import torch', 'import mmengine.model')
STATEMENTS = (*PEERS, 'import mofm.sources', 'import mofm.datasets', 'import mofm.models',
              'import mofm.apis', 'from mofm.apis import MotionInferencer')
PROBE = '''
import json, os, sys
exec(sys.argv[1])
times = os.times()
print(json.dumps(dict(seconds=times.user + times.system, modules=len(sys.modules),
                      mofm=sum(name.split('.')[0] == 'mofm' for name in sys.modules),
                      torch='torch' in sys.modules)))
'''


def measure(statement: str) -> dict:
    """Measure seconds, modules, modules of MoFM, and whether PyTorch is loaded."""
    done = subprocess.run([sys.executable, '-c', PROBE, statement], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=5, help='processes per statement [5]')
    args = parser.parse_args()
    rounds = [{s: measure(s) for s in STATEMENTS} for _ in range(args.repeats + 1)][1:]
    best = {s: min((r[s] for r in rounds), key=lambda row: row['seconds']) for s in STATEMENTS}
    print('| statement | CPU seconds | of `import torch` | beyond `import mmengine.model` | '
          'modules | of MoFM | PyTorch |\n|---|---|---|---|---|---|---|')
    torch, mmengine = (best[peer]['seconds'] for peer in PEERS)
    for statement, row in best.items():
        print(f'| `{statement}` | {row["seconds"]:.2f} | {row["seconds"] / torch:.2f} | '
              f'{row["seconds"] - mmengine:+.2f} | {row["modules"]} | {row["mofm"]} | '
              f'{"yes" if row["torch"] else "no"} |')


if __name__ == '__main__':
    main()
