"""Latency and throughput of streaming from a camera.

python benchmarks/streaming.py

Persons of procedural motion, visible in all frames, are pushed frame by frame through MotionStream
with its tracking. The peer is the same model called once per person instead of once for all
complete windows. Both are interleaved. With one thread, processor time tells how many cores a
camera needs, also on a busy machine.
"""

import argparse
import time

import numpy as np
import torch
from common import ROOT, machine

from mofm.apis import MotionInferencer, MotionStream
from mofm.datasets import SyntheticMotion
from mofm.utils.config import load_config

CONFIGS = {'tiny': 'configs/dt3_utkinect_tiny.py', 'base': 'configs/dt3_sht.py',
           'base-occupied': 'configs/dt3_sht.py'}
FPS = 25  # of the camera


def load(size: str, device: str, batch_size: int) -> MotionInferencer:
    """Build the model of a config with random weights, which do not affect the times."""
    cfg = load_config(ROOT / CONFIGS[size])
    cfg.model.backbone.init_cfg = None
    if size == 'base-occupied':
        cfg.model.backbone.tokens = 'occupied'
    return MotionInferencer(cfg, device=device, batch_size=batch_size)


def push(stream: MotionStream, points: np.ndarray, frame: int) -> tuple:
    """Push a frame; returns seconds, processor time and the number of windows it completes."""
    points = points[:, frame % points.shape[1]]
    start, cpu = time.perf_counter(), time.process_time()
    found = stream.push(points[..., :2], points[..., 2])
    return time.perf_counter() - start, time.process_time() - cpu, len(found)


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--sizes', nargs='+', choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument('--persons', nargs='+', type=int, default=[1, 4, 8])
    parser.add_argument('--stride', type=int, default=4, help='frames between two windows')
    parser.add_argument('--windows', type=int, default=12, help='windows per person')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f'stride {args.stride}, {args.windows} windows per person\n'
          f'{machine(torch.device(args.device))}\n')
    print('| model | persons | push without a window | push with windows: median | p90 | frames/s '
          f'| windows/s | one call per person: windows/s | ratio | cores for {FPS} frames/s |')
    print('|---' * 10 + '|')
    for size in args.sizes:
        models = {name: load(size, args.device, batch) for name, batch in
                  dict(all=64, one=1).items()}
        for persons in args.persons:
            clips = SyntheticMotion(persons, num_frames=(240, 240), seed=0)
            points = np.stack([np.concatenate([
                clip['keypoint'][0] + (2000 * i, 0), clip['keypoint_score'][0][..., None]], -1)
                for i, clip in enumerate(map(clips.get_data_info, range(persons)))])
            streams = {name: MotionStream(model, (1080, 2000 * persons), stride=args.stride)
                       for name, model in models.items()}
            frames = streams['all'].window + args.stride * args.windows
            found = {name: [] for name in streams}
            for frame in range(frames):
                for name, stream in streams.items():
                    found[name].append(push(stream, points, frame))
            counted = args.stride * args.windows  # without the first windows and warm-up
            seconds, cpu, count = (np.array(v) for v in zip(*found['all'][-counted:], strict=True))
            alone, _, number = (np.array(v) for v in zip(*found['one'][-counted:], strict=True))
            assert count.sum() == number.sum() > 0
            full = seconds[count > 0] * 1e3
            rate, other = count.sum() / seconds.sum(), number.sum() / alone.sum()
            print(f'| {size} | {persons} | {np.median(seconds[count == 0]) * 1e3:.2f} ms | '
                  f'{np.median(full):.0f} ms | {np.percentile(full, 90):.0f} ms | '
                  f'{len(seconds) / seconds.sum():.1f} | {rate:.1f} | {other:.1f} | '
                  f'{rate / other:.1f}x | {cpu.sum() / len(cpu) * FPS:.2f} |', flush=True)


if __name__ == '__main__':
    main()
