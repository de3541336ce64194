"""Common parts of the benchmarks: clips, fair timing, description of the machine."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import mmengine
import numpy as np
import torch
from tqdm import tqdm

from mofm.annotations import dump_annotations
from mofm.datasets import MotionDataset, SyntheticMotion

ROOT = Path(__file__).resolve().parents[1]


def write_clips(path: Path, count: int = 256) -> str:
    """Write the clips of a benchmark as an annotation file with the split 'train'.

    They are evenly spaced test clips of Penn Action from ``$MOFM_DATA`` or ``data/``, or
    procedural motion without that file.

    Args:
        path (Path): Output file.
        count (int): Maximum number of clips. Defaults to 256.

    Returns:
        str: Number and origin of the clips.
    """
    source = Path(os.environ.get('MOFM_DATA', ROOT / 'data')) / 'penn_action.pkl'
    if source.exists():
        motions, name = MotionDataset(str(source), split='test'), 'test clips of Penn Action'
    else:
        motions, name = SyntheticMotion(count), 'clips of procedural motion'
    chosen = np.unique(np.linspace(0, len(motions), count, endpoint=False).astype(int))
    annotations = [motions.get_data_info(int(i)) for i in chosen]
    dump_annotations(dict(split=dict(train=[ann['frame_dir'] for ann in annotations]),
                          annotations=annotations), path)
    return f'{len(annotations)} {name}'


def take_turns(functions: dict, repeats: int, title: str) -> dict:
    """Call every function once per round, so that load on the machine affects all equally.

    Args:
        functions (dict): Functions by name.
        repeats (int): Rounds after one for warm-up.
        title (str): Title of the progress bar.

    Returns:
        dict: List of the results of all rounds by name.
    """
    results = {name: [] for name in functions}
    with tqdm(total=(repeats + 1) * len(functions), desc=title, leave=False) as bar:
        for _ in range(repeats + 1):
            for name, function in functions.items():
                bar.set_postfix_str(name)
                results[name].append(function())
                bar.update()
    return {name: values[1:] for name, values in results.items()}


def clock(device: torch.device) -> Callable:
    """Return the clock: processor time for one thread on the CPU, else wall-clock time.

    Processor time excludes other programs, but includes the waiting between several threads.
    """
    one = device.type == 'cpu' and torch.get_num_threads() == 1
    return time.process_time if one else time.perf_counter


def timed(function: Callable, device: torch.device) -> Callable:
    """Wrap a function to return the seconds that it takes."""
    def run() -> float:
        now = clock(device)
        synchronize(device)
        start = now()
        function()
        synchronize(device)
        return now() - start
    return run


def against_formulas(doc: str, sizes: dict, prepare: Callable):
    """Compare training steps of a model with its formulas written out; parse arguments, print.

    Args:
        doc (str): Docstring of the benchmark.
        sizes (dict): Settings for ``prepare`` by name of the size.
        prepare (Callable): Takes settings, a batch size or None, and the device; returns the
            batch size, frames of a clip, largest difference of both results, and the functions
            ``ours`` and ``reference`` that do a step.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--batch', type=int, help='clips per step')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--size', choices=sizes, nargs='+', default=list(sizes))
    args = parser.parse_args()
    device = torch.device(args.device)
    print(f'{machine(device)}\n')
    print('| size | clips x frames | clips/s | written out | ratio | difference |\n'
          '|---|---|---|---|---|---|')
    for size in args.size:
        torch.manual_seed(0)
        batch, frames, difference, steps = prepare(sizes[size], args.batch, device)
        ours, reference = (statistics.median(times) for times in take_turns(
            {name: timed(steps[name], device) for name in ('ours', 'reference')}, args.repeats,
            size).values())
        print(f'| {size} | {batch} x {frames} | {batch / ours:.2f} | {batch / reference:.2f} | '
              f'{reference / ours:.2f}x | {difference:.1e} |', flush=True)


def spread(values: list, samples: int) -> dict:
    """Convert the seconds of a batch to table columns: median and extremes."""
    low, median, high = (1e3 * f(values) / samples for f in (min, statistics.median, max))
    return {'samples/s': 1e3 / median if median else None, 'ms/sample': median, 'min': low,
            'max': high}


@contextmanager
def one_thread():
    """Run PyTorch on one thread, for figures per core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def synchronize(device: torch.device):
    """Wait for the device."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def commit() -> str:
    """Describe the commit of the working tree."""
    done = subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=ROOT,
                          capture_output=True, text=True)
    return done.stdout.strip() or 'unknown'


def write_report(stem: Path, text: str, report: dict):
    """Print a report, and write it as ``.md`` and ``.json``."""
    print(text)
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix('.md').write_text(text)
    stem.with_suffix('.json').write_text(json.dumps(report, indent=1) + '\n')


def machine(device: torch.device) -> str:
    """Describe processor, versions and threads."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding='utf-8').splitlines()
        name = next((line.split(':')[1].strip() for line in lines
                     if line.startswith('model name')), name)
    if device.type == 'cuda':
        name = f'{torch.cuda.get_device_name(device)}, {name}'
    load = f', load {os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else ''
    return (f'{name}, {os.cpu_count()} cores{load}; {torch.get_num_threads()} thread(s); Python '
            f'{platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}, '
            f'mmengine {mmengine.__version__}')
