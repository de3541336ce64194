"""Time to read a checkpoint with its checksums, compared with PyTorch, which compares none.

python benchmarks/checkpoint.py

Readers run in new processes, as a checkpoint is read once, interleaved, after a round in which the
file is cached. Medians of processor times; ratios are the result.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import torch

READERS = {
    'torch.load': 'torch.load(path, weights_only=True)',
    'mofm, with checksums': 'read_torch_file(path)',
    'checksums alone': 'assert is_intact(path)',
}
PROBE = '''
import sys, time, torch
from pathlib import Path
from mofm.hub.torch_file import is_intact, read_torch_file
path = Path(sys.argv[1])
start = time.process_time()
found = {}
print(time.process_time() - start)
'''


def measure(code: str, path: Path) -> float:
    """Measure the seconds of a reader in a new process."""
    probe = PROBE.replace('found = {}', code)
    return float(subprocess.run([sys.executable, '-c', probe, path], check=True, text=True,
                                capture_output=True).stdout)


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--megabytes', type=int, default=350, help='size of the file [350]')
    parser.add_argument('--repeats', type=int, default=5, help='processes per reader [5]')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'checkpoint.pth')
        torch.save(dict(state_dict={str(i): torch.randn(512, 512)
                                    for i in range(args.megabytes * 10**6 // 2**20)}), path)
        rounds = [{name: measure(code, path) for name, code in READERS.items()}
                  for _ in range(args.repeats + 1)][1:]
    times = {name: median(r[name] for r in rounds) for name in READERS}
    print('| reader | ms | to torch.load |\n|---|---|---|')
    for name, seconds in times.items():
        print(f'| {name} | {1000 * seconds:.0f} | {seconds / times["torch.load"]:.2f} |')


if __name__ == '__main__':
    main()
