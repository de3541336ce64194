"""Cube embedding of occupied cubes only against all cubes, at the size of the paper.

python benchmarks/embed.py

Both go from key points to the (B, K, D) embeddings: MoFMBackbone.embed_cubes, and the same layer
on every cube of the rendered volume. Runs take turns and medians are printed.
"""

import argparse

import torch
from common import load_clips, machine, measure

from mofm.models.thermal_cubes import ThermalCubes
from mofm.registry import MODELS


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cpu', type=torch.device)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    points, name = load_clips(args.batch)
    points = points.to(args.device)
    print(f'{args.batch} {name}; medians of {args.repeats}\n{machine(args.device)}\n')
    print('| embedding | occupied cubes | pass | all cubes | occupied only | ratio '
          '| largest difference |')
    print('|---' * 7 + '|')
    for embed in ('ConvCubeEmbed', 'LinearCubeEmbed'):
        torch.manual_seed(0)
        backbone = MODELS.build(dict(type='MoFMBackbone', depth=1, embed=dict(type=embed)))
        backbone.init_weights()
        backbone.to(args.device).eval()
        grid, parameters = backbone.grid, list(backbone.embed.parameters())

        def dense():
            cubes = grid.split(ThermalCubes(points, grid).volume())  # (B, K, J, F, p, p)
            return backbone.embed(cubes.flatten(0, 1)).view(len(points), grid.num_cubes, -1)

        def sparse():
            cubes = ThermalCubes(points, grid)
            return backbone.embed_cubes(cubes, torch.ones_like(cubes.occupied()))

        def trained(function):
            return torch.autograd.grad(function().square().mean(), parameters)

        with torch.no_grad():
            share = ThermalCubes(points, grid).occupied().float().mean().item()
            difference = (dense() - sparse()).abs().max().item()
            forward = measure(dict(dense=dense, sparse=sparse), args.repeats, args.device)
        training = measure(dict(dense=lambda: trained(dense), sparse=lambda: trained(sparse)),
                           args.repeats, args.device)
        for label, seconds in (('forward', forward), ('forward and backward', training)):
            all_cubes, occupied = (seconds[k] / args.batch * 1e3 for k in ('dense', 'sparse'))
            print(f'| {embed} | {share:.1%} | {label} | {all_cubes:.1f} ms | {occupied:.1f} ms | '
                  f'{all_cubes / occupied:.1f}x | {difference:.1e} |', flush=True)
    print('\nTimes are per clip.')


if __name__ == '__main__':
    main()
