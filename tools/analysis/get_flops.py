"""Parameters, FLOPs and memory of a config: ``python tools/analysis/get_flops.py CONFIG``.

What counts is in :mod:`mofm.apis.profiling`. Only occupied cubes are embedded (and, with
``tokens='occupied'``, attend), so the FLOPs depend on the clip: the typical one is synthetic
motion of median occupancy, through the pipeline of the test. Models that read coordinates cost the
same for every clip.

Memory is what is held at most beyond what was held before the model was built, weights included.
The training step is the first one, which makes the state of the optimizer.
"""

import argparse

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch import nn

from mofm.apis.model import init_model
from mofm.apis.profiling import Memory, count_flops, parts, predict
from mofm.datasets import SyntheticMotion, ThermalCubeFormat, motion_collate
from mofm.launch import add_arguments, config_from_args
from mofm.registry import MODELS, TRANSFORMS
from mofm.structures import CubeGrid, ThermalCubes


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('--batch-size', type=int, default=1, help='clips at once [1]')
    parser.add_argument('--occupied', type=float, metavar='SHARE',
                        help='one more clip, with this share of its cubes occupied')
    args = parser.parse_args()
    if args.batch_size < 1:
        parser.error(f'--batch-size: found {args.batch_size}, expected at least 1')
    if args.occupied is not None and not 0 <= args.occupied <= 1:
        parser.error(f'--occupied: found {args.occupied}, expected a share in [0, 1]')
    return args


def fill(grid: CubeGrid, joints: int, share: float) -> np.ndarray:
    """Key points in the middle of the first cubes.

    Args:
        grid (CubeGrid): Geometry of the clip.
        joints (int): J.
        share (float): Part of the cubes that gets a key point, in [0, 1].

    Returns:
        np.ndarray: (M, J, F, 3), as few persons as it takes.
    """
    count = round(share * grid.num_cubes)
    persons = max(1, -(-count // (joints * grid.num_frames)))
    points = np.zeros((persons, joints, grid.num_frames, 3), np.float32)
    row, col = np.divmod(np.arange(count), grid.cols)
    points.reshape(-1, 3)[:count] = np.stack(
        [(col + 0.5) * grid.patch, (row + 0.5) * grid.patch, np.ones(count)], 1)
    return points


def make_batch(cfg: Config, batch_size: int, share: float | None = None) -> dict:
    """Clips through the pipeline of the test, collated.

    Args:
        cfg (Config): A config of a model.
        batch_size (int): B.
        share (float, optional): Part of the cubes that is occupied. Defaults to that of synthetic
            motion: of 60 clips the one of median occupancy, or several of evenly spaced ranks.

    Returns:
        dict: A batch as a data loader yields it, with equal labels.
    """
    transforms = [TRANSFORMS.build(t) for t in cfg.test_dataloader.dataset.pipeline]
    motions = SyntheticMotion(num_clips=60 if share is None else batch_size)
    samples = []
    for i in range(len(motions)):
        results = dict(motions.get_data_info(i), label=0)
        for transform in transforms:
            results = transform(results)
            if share is not None and isinstance(transform, ThermalCubeFormat):
                old = results['keypoints']  # ([clips,] M, J, F, 3)
                points = fill(transform.grid, old.shape[-3], share)
                results['keypoints'] = np.tile(points, (*old.shape[:-4], 1, 1, 1, 1))
                results.pop('heatmap', None)
        samples.append(results)
    if share is None:
        inputs = dict(keypoints=[s['inputs']['keypoints'] for s in samples])
        rendered = MODELS.build(cfg.model.data_preprocessor)(dict(inputs=inputs))['inputs']
        if not isinstance(rendered, ThermalCubes):
            return motion_collate(samples[:batch_size])
        occupied = rendered.occupied().view(len(samples), -1).float().mean(1)
        ranks = np.linspace(0, len(samples) - 1, batch_size + 2)[1:-1].round().astype(int)
        samples = [samples[i] for i in occupied.argsort()[ranks]]
    return motion_collate(samples)


def main():
    """Print parameters, FLOPs and memory."""
    args = parse_args()
    cfg = config_from_args(args)
    init_default_scope(cfg.default_scope)
    if 'tokenizer' in cfg.model:
        cfg.model.tokenizer.init_cfg = None  # weights do not change what is counted
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    np.random.seed(0)  # masks of a pre-training
    batch = make_batch(cfg, args.batch_size)

    # what PyTorch imports and allocates once, and no model is to blame for
    layer = nn.Linear(8, 8, device=device)
    layer(torch.ones(8, 8, device=device)).sum().backward()
    torch.optim.AdamW(layer.parameters()).step()

    memory = Memory(device)
    model = init_model(cfg, device=device)
    cubes = isinstance(predict(model, batch), ThermalCubes)
    peaks = {'forward': memory.peak()}
    if any(p.requires_grad for p in model.parameters()):
        optim_wrapper = build_optim_wrapper(model.train(), cfg.optim_wrapper)
        try:
            model.train_step(dict(batch), optim_wrapper)
            peaks['training step'] = memory.peak()
        except ValueError as error:  # e.g. batch norm of one sample
            print(f'no training step with --batch-size {args.batch_size}: {error}')
    model.eval()

    clips = dict(empty=0., typical=None, full=1.) if cubes else dict(any=None)
    if cubes and args.occupied is not None:
        clips[f'{args.occupied:g}'] = args.occupied
    rows = {name: count_flops(model, batch if share is None
                              else make_batch(cfg, args.batch_size, share))
            for name, share in clips.items()}

    console = Console()
    table = Table('part', 'parameters', 'trained', *rows,
                  title=f'{type(model).__name__}; GFLOPs of clips: {", ".join(clips)}')
    for column in table.columns[1:]:
        column.justify = 'right'
    modules = dict(parts(model), total=model)
    for name, module in modules.items():
        trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
        table.add_row(name, f'{sum(p.numel() for p in module.parameters()):,}', f'{trained:,}',
                      *(f'{flops[name] / 1e9:.4g}' for _, flops in rows.values()),
                      style='bold' if name == 'total' else None)
    if cubes:
        table.add_row('occupied cubes', '', '', *(f'{share:.1%}' for share, _ in rows.values()))
    console.print(table)
    for name, peak in peaks.items():
        print(f'memory, {name} of {args.batch_size} on {device}: {peak / 2**20:.0f} MiB')


if __name__ == '__main__':
    main()
