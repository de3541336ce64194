"""Speed and memory of tools/data/prepare.py on many small files by number of processes.

python benchmarks/prepare_files.py                 # 100,000 files of 30 frames
python benchmarks/prepare_files.py --files 5000
"""
import argparse
import itertools
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from mofm.sources import NWUCLA
from mofm.sources.prepare import prepare

ACTIONS = ('01', '02', '03', '04', '05', '06', '08', '09', '11', '12')


def write_files(folder, count):
    """Write sequences in the format of NW-UCLA."""
    joints = np.random.default_rng(0).normal(size=(64, 30, 20, 3)).round(4) + [0, 0, 3]
    texts = [json.dumps(dict(skeletons=j.tolist())) for j in joints]
    names = itertools.product(ACTIONS, range(100), range(100), (1, 2, 3))
    for i, (action, subject, take, view) in enumerate(itertools.islice(names, count)):
        name = f'a{action}_s{subject:02}_e{take:02}_v0{view}.json'
        (folder / name).write_text(texts[i % len(texts)])
    return len(texts[0])


def measure(folder, output, workers):
    """Measure in a child process, for its memory alone, and print a row."""
    if os.fork() == 0:
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        done = prepare(NWUCLA(folder), output, workers)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before
        print(f'| {output.suffix} | {workers} | {seconds:.0f} | {done.clips / seconds:.0f} | '
              f'{peak / 1024:.0f} | {max(child, 0) / 1024:.0f} | '
              f'{output.stat().st_size / 2**20:.0f} |', flush=True)
        os._exit(0)
    if os.wait()[1]:
        raise SystemExit('the measurement failed')


def main():
    """Write the files, then read them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--files', type=int, default=100_000)
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 2])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, 'files')
        source.mkdir()
        size = write_files(source, args.files)
        print(f'{args.files} files of about {size / 1024:.0f} KiB\n')
        print('| output | processes | s | files/s | main process, MiB | per worker, '
              'MiB | size, MiB |\n|---|---|---|---|---|---|---|')
        for suffix, workers in itertools.product(('.arrow', '.pkl'), args.workers):
            measure(source, Path(folder, 'out' + suffix), workers)


if __name__ == '__main__':
    main()
