"""Clips to measure on, fair timing, and a line about the machine; used by the benchmarks."""

import os
import platform
import statistics
import time
from pathlib import Path

import mmengine
import numpy as np
import torch

from mofm.datasets import MotionDataset, SyntheticMotion
from mofm.registry import TRANSFORMS

ROOT = Path(__file__).resolve().parents[1]


def load_clips(count: int):
    """Test clips of 48 frames on the canvas of 72x72 pixels.

    Args:
        count (int): B; clips are repeated if there are fewer.

    Returns:
        tuple: (B, 1, J, F, 3) float32 and what they are. Penn Action from ``$MOFM_DATA`` or
        ``data/``, else procedural motion.
    """
    pipeline = [TRANSFORMS.build(t) for t in (
        dict(type='UniformSampleFrames', clip_len=48, test_mode=True),
        dict(type='PoseCompact', padding=0.25), dict(type='ThermalCubeFormat'),
        dict(type='PackMotionInputs'))]
    path = Path(os.environ.get('MOFM_DATA', ROOT / 'data')) / 'penn_action.pkl'
    if path.exists():
        clips = MotionDataset(str(path), pipeline, split='test', test_mode=True)
        name = f'Penn Action test clips ({path.name})'
    else:
        clips, name = SyntheticMotion(count, pipeline=pipeline), 'procedural motion'
    chosen = np.linspace(0, len(clips), count, endpoint=False).astype(int)
    return torch.stack([clips[int(i)]['inputs']['keypoints'] for i in chosen]), name


def measure(functions: dict, repeats: int, device: torch.device) -> dict:
    """Median seconds of every function; they take turns, so that a busy machine hits all alike.

    On the CPU these are processor seconds: what other programs take away does not count.
    """
    clock = time.perf_counter if device.type == 'cuda' else time.process_time
    times = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            synchronize(device)
            start = clock()
            function()
            synchronize(device)
            if repeat:  # the first round warms up
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def synchronize(device: torch.device):
    """Wait for the device."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def machine(device: torch.device) -> str:
    """Processor, versions and threads."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.exists():
        name = next((line.split(':')[1].strip() for line in cpuinfo.read_text().splitlines()
                     if line.startswith('model name')), name)
    if device.type == 'cuda':
        name = f'{torch.cuda.get_device_name(device)}, {name}'
    load = f', load {os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else ''
    return (f'{name}, {os.cpu_count()} cores{load}; {torch.get_num_threads()} thread(s); Python '
            f'{platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}, '
            f'mmengine {mmengine.__version__}')
