"""DBSCAN of a feature bank: block by block, and scikit-learn's.

python benchmarks/clustering.py                                         # 20,000 points
python benchmarks/clustering.py --points 200000 --device cuda
python benchmarks/clustering.py --points 200000 --skip-sklearn

The points are 500 groups on a sphere of 256 dimensions and a fifth of noise, in half precision as
in the bank; the radius is that of training. Both must give the same labels. Seconds are wall-clock
time.
"""

import argparse
import resource
import time

import numpy as np
import torch
from common import machine, synchronize

from projects.tmor.contrast.clustering import blockwise_dbscan, neighbor_distance, sklearn_dbscan


def bank(points: int, dims: int = 256, groups: int = 500) -> torch.Tensor:
    """Draw features like those of a motion encoder: positive unit vectors (N, C) float64."""
    rng = torch.Generator().manual_seed(0)
    centers = torch.rand(groups, dims, generator=rng)
    x = centers[torch.randint(groups, (points, ), generator=rng)]
    x[:points // 5] = torch.rand(points // 5, dims, generator=rng)
    x = (x + 0.1 * torch.randn(points, dims, generator=rng)).relu()
    x = torch.nn.functional.normalize(x, dim=1).half().double()
    return torch.nn.functional.normalize(x, dim=1)[torch.randperm(points, generator=rng)]


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--points', type=int, default=20_000)
    parser.add_argument('--device', default='cpu', type=torch.device)
    parser.add_argument('--percentile', type=float, default=10.)
    parser.add_argument('--skip-sklearn', action='store_true')
    args = parser.parse_args()
    x = bank(args.points).to(args.device)
    start = time.perf_counter()
    queries = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(1))[:10_000]]
    eps = np.percentile(neighbor_distance(queries, x, 4).cpu().numpy(), args.percentile)
    print(f'{machine(args.device)}\n\n{args.points} points, eps {eps:.4f} '
          f'({time.perf_counter() - start:.1f} s)\n\n'
          '| | seconds | clusters | noise | peak memory |\n|---|---|---|---|---|')
    results = []
    for name, dbscan in dict(blockwise=blockwise_dbscan, sklearn=sklearn_dbscan).items():
        if name == 'sklearn' and args.skip_sklearn:
            continue
        start = time.perf_counter()
        labels, _ = dbscan(x, float(eps), 4)
        synchronize(args.device)
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # of the process
        results.append(labels)
        print(f'| {name} | {seconds:.1f} | {int(labels.max()) + 1} | '
              f'{(labels < 0).float().mean():.1%} | {memory:.1f} GiB |', flush=True)
    if len(results) == 2:
        print(f'\nequal labels: {torch.equal(*results)}')


if __name__ == '__main__':
    main()
