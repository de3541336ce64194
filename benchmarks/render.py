"""Thermal cubes against mmaction2's GeneratePoseTarget, on 17 joints, 48 frames, 72x72 pixels.

python benchmarks/render.py
python benchmarks/render.py --device cuda

Both render the same clips; runs take turns and medians are printed, per sample. On a GPU the
table also holds the gigabytes of heat written per second, next to those of a copy on the device.
"""

import argparse

import mmaction
import torch
from common import load_clips, machine, measure
from mmaction.datasets.transforms import GeneratePoseTarget

from mofm.models.thermal_cubes import CubeGrid, ThermalCubes

GRID = CubeGrid()
VIEWS = ('volume', 'union', 'occupied', 'cubes')


def reference(samples: list):
    """Render with mmaction2, one sample after another as in a data loader."""
    target = GeneratePoseTarget(sigma=0.6, use_score=True)
    for keypoint, score in samples:
        target.transform(dict(keypoint=keypoint, keypoint_score=score,
                              img_shape=(GRID.canvas, GRID.canvas)))


def copy_bandwidth(device: torch.device) -> float:
    """Bytes that a copy on the device writes per second."""
    source = torch.ones(2**28, device=device)  # 1 GiB
    target = torch.empty_like(source)
    return source.nbytes / measure({'copy': lambda: target.copy_(source)}, 20, device)['copy']


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cpu', type=torch.device)
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 8, 32])
    parser.add_argument('--repeats', type=int, default=15)
    parser.add_argument('--threads', type=int, default=1, help='of torch; mmaction2 uses one')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    points, name = load_clips(max(args.batches))
    joined = points.transpose(2, 3).numpy()  # (B, M, F, J, 3) as mmaction2 orders it
    print(f'{name}, {GRID.num_frames} frames on {GRID.canvas}x{GRID.canvas}; medians of '
          f'{args.repeats}\n{machine(args.device)}, mmaction2 {mmaction.__version__}\n')
    bandwidth = copy_bandwidth(args.device) if args.device.type == 'cuda' else None
    print('| batch | mmaction2 |' + ''.join(f' {view} |' for view in VIEWS) +
          (' volume written | of a copy |' if bandwidth else ''))
    print('|---' * (len(VIEWS) + (4 if bandwidth else 2)) + '|')
    for batch in args.batches:
        # copies, because the transform scales its input in place
        samples = [(p[..., :2].copy(), p[..., 2].copy()) for p in joined[:batch]]
        clips = points[:batch].to(args.device)
        functions = {'mmaction2': lambda: reference(samples)}
        for view in VIEWS:
            functions[view] = lambda view=view: getattr(ThermalCubes(clips, GRID), view)()
        seconds = measure(functions, args.repeats, args.device)
        base = seconds.pop('mmaction2') / batch
        row = f'| {batch} | {base * 1e3:.1f} ms |'
        row += ''.join(f' {s / batch * 1e3:.2g} ms ({base * batch / s:.1f}x) |'
                       for s in seconds.values())
        if bandwidth:
            size = 4 * batch * 17 * GRID.num_frames * GRID.canvas**2
            written = size / seconds['volume']
            row += f' {written / 1e9:.0f} GB/s | {written / bandwidth:.0%} |'
        print(row, flush=True)
    if bandwidth:
        print(f'\nA copy on the device writes {bandwidth / 1e9:.0f} GB/s (and reads as many).')


if __name__ == '__main__':
    main()
