"""DBSCAN of a feature bank on several processes, against scikit-learn's on one.

python benchmarks/clustering.py                                         # 20,000 points
python benchmarks/clustering.py --points 200000 --processes 1 2 --skip-sklearn
python benchmarks/clustering.py --points 1000000 --processes 1 8 --device cuda --skip-sklearn
python benchmarks/clustering.py --points 100000 --processes 1 --skip-sklearn --probes 1 4 16

The points are 500 groups on a sphere of 256 dimensions and a fifth of noise, in half precision as
in the bank; the radius is that of training. All must give the same labels. Seconds are wall-clock
time, of the radius in parentheses; processor seconds are those of the slowest process.
``--probes`` also measures an approximate way, which looks for neighbors in so many cells of an
inverted file (``pip install faiss-cpu``), and its adjusted Rand index.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from common import machine, synchronize

from mofm.hub.checkpoint import load_local
from projects.tmor.contrast.clustering import ClusterDBSCAN, dbscan


def bank(points: int, dims: int = 256, groups: int = 500) -> torch.Tensor:
    """Draw features like those of a motion encoder: positive unit vectors (N, C) float64."""
    rng = torch.Generator().manual_seed(0)
    centers = torch.rand(groups, dims, generator=rng)
    x = centers[torch.randint(groups, (points, ), generator=rng)]
    x[:points // 5] = torch.rand(points // 5, dims, generator=rng)
    x = (x + 0.1 * torch.randn(points, dims, generator=rng)).relu()
    x = torch.nn.functional.normalize(x, dim=1).half().double()
    return torch.nn.functional.normalize(x, dim=1)[torch.randperm(points, generator=rng)]


def features(args: argparse.Namespace) -> torch.Tensor:
    """Return those of a checkpoint, or drawn ones, (N, C) float64."""
    if args.checkpoint is None:
        return bank(args.points)
    x = load_local(args.checkpoint)['contrast_memory']['bank']
    return torch.nn.functional.normalize(x[x.any(1)].double(), dim=1)


def sklearn_dbscan(x: torch.Tensor, eps: float, min_samples: int) -> torch.Tensor:
    """Compute clusters (N,) by scikit-learn."""
    from sklearn.cluster import DBSCAN

    labels = DBSCAN(eps=eps, min_samples=min_samples).fit(x.cpu().numpy()).labels_
    return torch.from_numpy(labels).long()


def approximate_dbscan(x: torch.Tensor, eps: float, min_samples: int, probes: int) -> torch.Tensor:
    """Compute clusters (N,), in any order, of the neighbors found in the nearest cells."""
    import faiss
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    points, cells = x.float().numpy(), int(4 * len(x)**0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(points.shape[1]), points.shape[1], cells,
                               faiss.METRIC_INNER_PRODUCT)
    index.train(points[::max(1, len(x) // (40 * cells))])
    index.add(points)
    index.nprobe = probes
    ends, _, others = index.range_search(points, 1 - eps**2 / 2)
    rows = np.repeat(np.arange(len(x)), np.diff(ends.astype(np.int64)))
    near = coo_array((np.ones(len(rows), bool), (rows, others)), (len(x), ) * 2).tocsr()
    near = near + near.T  # one of a pair may look into other cells
    core = near.sum(1, dtype=np.int64) >= min_samples  # itself included
    labels = np.full(len(x), len(x))
    labels[core] = connected_components(near[core][:, core], directed=False)[1]
    border = near[~core][:, core].tocoo()
    reached = np.full((~core).sum(), len(x))
    np.minimum.at(reached, border.row, labels[core][border.col])
    labels[~core] = reached
    return torch.from_numpy(np.where(labels < len(x), labels, -1))


def work(rank: int, processes: int, args: argparse.Namespace, folder: Path):
    """Cluster in one of the processes; the first writes radius, labels and times."""
    torch.set_num_threads(args.threads)
    device = torch.device(args.device, rank) if args.device == 'cuda' else torch.device('cpu')
    if args.device == 'cuda':
        torch.cuda.set_device(device)
    dist.init_process_group('nccl' if args.device == 'cuda' else 'gloo', rank=rank,
                            init_method=f'file://{folder}/meet{processes}', world_size=processes)
    x = features(args).to(device)
    torch.manual_seed(1)
    dist.barrier()
    times, used = [time.perf_counter()], time.process_time()
    eps = ClusterDBSCAN(4, percentile=args.percentile)._radius(x)  # noqa: SLF001  a part of it
    synchronize(device)
    times.append(time.perf_counter())
    labels = dbscan(x, eps, 4)
    synchronize(device)
    dist.barrier()
    times.append(time.perf_counter())
    # the slowest processor and the largest memory
    most = torch.tensor([time.process_time() - used, resource.getrusage(
        resource.RUSAGE_SELF).ru_maxrss / 2**20], device=device)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    if rank == 0:
        torch.save(dict(eps=eps, labels=labels.cpu(), radius=times[1] - times[0],
                        seconds=times[2] - times[1], most=most.tolist()),
                   folder / f'{processes}.pth')
    dist.destroy_process_group()


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--points', type=int, default=20_000, help='[20000]')
    parser.add_argument('--checkpoint', help='of a training with ClusterHook, for its features')
    parser.add_argument('--processes', type=int, nargs='+', default=[1, 2], help='[1 2]')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='[cpu]')
    parser.add_argument('--threads', type=int, default=1, help='per process [1]')
    parser.add_argument('--percentile', type=float, default=10., help='[10]')
    parser.add_argument('--skip-sklearn', action='store_true')
    parser.add_argument('--probes', type=int, nargs='+', default=(),
                        help='cells of an approximate way [without it]')
    args = parser.parse_args()
    print(f'{machine(torch.device(args.device))}\n\n{len(features(args))} points\n\n'
          '| processes | eps | seconds | processor seconds | clusters | noise | memory of each |\n'
          '|---|---|---|---|---|---|---|')
    results = []
    with tempfile.TemporaryDirectory() as name:
        for processes in args.processes:
            torch.multiprocessing.spawn(work, (processes, args, Path(name)), processes)
            found = torch.load(Path(name, f'{processes}.pth'), weights_only=True)
            results.append(found['labels'])
            print(f'| {processes} | {found["eps"]:.6f} | {found["seconds"]:.1f} '
                  f'({found["radius"]:.1f}) | {found["most"][0]:.1f} | '
                  f'{int(results[0].max()) + 1} | {(results[-1] < 0).float().mean():.1%} | '
                  f'{found["most"][1]:.1f} GiB |', flush=True)
    if not args.skip_sklearn:
        torch.set_num_threads(args.threads)
        x, start = features(args), time.perf_counter()
        used = time.process_time()
        results.append(sklearn_dbscan(x, found['eps'], 4))
        print(f'| scikit-learn | {found["eps"]:.6f} | {time.perf_counter() - start:.1f} | '
              f'{time.process_time() - used:.1f} | {int(results[-1].max()) + 1} | '
              f'{(results[-1] < 0).float().mean():.1%} | |')
    for probes in args.probes:
        import faiss
        from sklearn.metrics import adjusted_rand_score

        faiss.omp_set_num_threads(args.threads)
        x, start, used = features(args), time.perf_counter(), time.process_time()
        near = approximate_dbscan(x, found['eps'], 4, probes)
        start, used = time.perf_counter() - start, time.process_time() - used
        both = ((near >= 0) | (results[0] >= 0)).numpy()
        score = adjusted_rand_score(results[0][both], near[both])
        print(f'| {probes} cells | {found["eps"]:.6f} | {start:.1f} | {used:.1f} | '
              f'{int(near.max()) + 1} | {(near < 0).float().mean():.1%} | '
              f'adjusted Rand index {score:.4f} |', flush=True)
    print(f'\nequal labels: {all(torch.equal(results[0], other) for other in results)}')


if __name__ == '__main__':
    main()
