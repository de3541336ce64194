"""Cost of imports and of the first answer in processor seconds, compared with MMEngine.

python benchmarks/imports.py

Statements and commands run in new processes, interleaved, after a round of warm-up that also
writes the byte code; the minimum of user and system time is reported. Ratios and differences are
comparable within a run only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mofm.datasets import SyntheticMotion

PEERS = ('import torch', 'import mmengine.model')
STATEMENTS = (*PEERS, 'import mofm.sources', 'import mofm.datasets', 'import mofm.models',
              'import mofm.apis', 'from mofm.apis import MotionInferencer')
DEMO = 'demo clip.npy --img-shape 1080 1920'
COMMANDS = {'mofm --help': '--help', 'mofm models': 'models', 'mofm demo --help': 'demo --help',
            'mofm demo, actions': f'{DEMO} --model mofm-tiny-penn',
            'mofm demo, actions and tokens': DEMO}
PACKAGES = ('numpy', 'mofm.sources', 'cv2', 'torch', 'mmengine.model', 'mofm.models', 'mofm.apis',
            'mofm.datasets', 'mmcv', 'mmaction', 'safetensors', 'PIL', 'pyarrow', 'matplotlib',
            'scipy', 'sklearn', 'onnx', 'onnxruntime', 'pandas', 'huggingface_hub')
PROBE = '''
import json, os, sys
exec(sys.argv[1])
times = os.times()
print(json.dumps(dict(seconds=times.user + times.system, modules=len(sys.modules),
                      mofm=sum(name.split('.')[0] == 'mofm' for name in sys.modules),
                      torch='torch' in sys.modules)))
'''
# Notes when a module is imported, and when the line of the answer is printed.
COMMAND_PROBE = '''
import io, json, sys
from time import process_time as seconds

class Watch:
    found = {}
    def find_spec(self, name, path=None, target=None):
        self.found.setdefault(name, seconds())

class Printed(io.StringIO):
    answer = None
    def write(self, text):
        if text.startswith('clip: '):
            self.answer = seconds()
        return super().write(text)

sys.meta_path.insert(0, Watch())
sys.stdout = printed = Printed()
from mofm.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(dict(seconds=seconds(), answer=printed.answer, imported=Watch.found)),
      file=sys.__stdout__)
'''


def run(*command: str, **options) -> dict:
    """Run Python with byte code in its caches, as it is installed; returns what it prints."""
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONDONTWRITEBYTECODE'}
    done = subprocess.run([sys.executable, '-c', *command], check=True, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options)
    return json.loads(done.stdout)


def measure(repeats: int, folder: str) -> tuple[dict, dict]:
    """Measure statements and commands; returns the fastest run of each."""
    clip = SyntheticMotion(1, num_frames=(90, 90), seed=0)[0]
    np.save(Path(folder, 'clip.npy'), np.concatenate(
        [clip['keypoint'], clip['keypoint_score'][..., None]], -1))
    rounds = [({s: run(PROBE, s) for s in STATEMENTS},
               {name: run(COMMAND_PROBE, *words.split(), cwd=folder)
                for name, words in COMMANDS.items()})
              for _ in range(repeats + 1)][1:]
    return tuple({name: min((found[name] for found in kind), key=lambda row: row['seconds'])
                  for name in kind[0]} for kind in zip(*rounds, strict=True))


def main():
    """Measure and print three Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=5, help='processes per statement [5]')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        statements, commands = measure(args.repeats, folder)
    print('| statement | CPU seconds | of `import torch` | beyond `import mmengine.model` | '
          'modules | of MoFM | PyTorch |\n|---|---|---|---|---|---|---|')
    torch, mmengine = (statements[peer]['seconds'] for peer in PEERS)
    for statement, row in statements.items():
        print(f'| `{statement}` | {row["seconds"]:.2f} | {row["seconds"] / torch:.2f} | '
              f'{row["seconds"] - mmengine:+.2f} | {row["modules"]} | {row["mofm"]} | '
              f'{"yes" if row["torch"] else "no"} |')
    print(f'\n`mofm {DEMO} --model mofm-tiny-penn`, and without `--model`, of 90 frames\n')
    print('| command | CPU seconds to the answer | beyond `import mmengine.model` | to the end |'
          '\n|---|---|---|---|')
    for command, row in commands.items():
        answer = row['answer'] and (f'{row["answer"]:.2f}', f'{row["answer"] - mmengine:+.2f}')
        print(f'| {command} | {" | ".join(answer or ("", ""))} | {row["seconds"]:.2f} |')
    print('\nCPU seconds at which a package is imported; after the answer in parentheses\n')
    print(f'| package | {" | ".join(COMMANDS)} |'
          f'\n|---{"|---" * len(COMMANDS)}|')
    for package in PACKAGES:
        cells = []
        for row in commands.values():
            at = row['imported'].get(package)
            cells.append('' if at is None else f'({at:.2f})' if row['answer']
                         and at >= row['answer'] else f'{at:.2f}')
        print(f'| {package} | {" | ".join(cells)} |')


if __name__ == '__main__':
    main()
