"""Clustering of a feature bank by DBSCAN (Ester et al., KDD 1996), once per epoch in T-MOR.

Features are unit vectors, compared by their distance ``sqrt(2 - 2 cos)``. Features of a motion
encoder are positive, so all cosines are high and no radius fits every epoch: eps is adapted to
the distances. The processes of a training share the work, and all get the result.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dist import all_gather, all_reduce, broadcast, get_rank, get_world_size
from mmengine.logging import print_log
from torch import Tensor

from mofm.registry import FUNCTIONS

_SIDE = dict(cpu=1024, cuda=4096)  # of a tile of distances in memory; fits a cache of the CPU
_BLOCK = 2**25  # distances of queries in memory
_CHUNK = 2**16  # pairs that are compared in float64 at a time
_ROUNDING = 1e-6  # radius below which features differ by rounding only
_SUBSET = 10_000  # points whose distances are measured for an adaptive radius
_RETRIES = 3  # times that the radius is halved


class Clusters(NamedTuple):
    """Result of a clustering.

    Attributes:
        labels (Tensor): (N,) cluster of each sample, -1 for none.
        eps (float): Radius.
    """

    labels: Tensor
    eps: float


@contextmanager
def _full_precision():
    """Multiply float32 without TF32 and bfloat16."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _tiles(rows: Tensor, columns: Tensor) -> Iterator[tuple]:
    """Yield starts and float32 cosines (n, m) of the tiles of this process.

    The processes share the tiles of all rows (N, C) and columns (M, C). If both are the same
    tensor, tiles below the diagonal are left out.
    """
    side = _SIDE.get(rows.device.type, _SIDE['cuda'])
    starts = [(i, j) for i in range(0, len(rows), side)
              for j in range(i if rows is columns else 0, len(columns), side)]
    single = rows.float(), columns.float()
    with _full_precision():
        for i, j in starts[get_rank()::get_world_size()]:
            yield i, j, single[0][i:i + side] @ single[1][j:j + side].T


def _cosines(rows: Tensor, columns: Tensor, pairs: Tensor) -> Tensor:
    """Compute cosines (P,) of pairs (2, P) of rows and columns."""
    return torch.cat([(rows[i] * columns[j]).sum(1) for i, j in pairs.split(_CHUNK, dim=1)])


def _near_pairs(rows: Tensor, columns: Tensor, near: float) -> Iterator[Tensor]:
    """Yield the pairs (2, P) of rows and columns, float64, whose cosine is at least ``near``.

    Those of the tiles of this process; each pair once if rows and columns are the same tensor.
    float32 decides where its rounding errors cannot matter, float64 the other pairs.
    """
    # bound of the error of a scalar product of unit vectors rounded to float32
    error = (rows.shape[1] + 4) * 2.**-24
    for i, j, cos in _tiles(rows, columns):
        found = (cos >= near - error).nonzero().T
        values = cos[found[0], found[1]]
        pairs = found + found.new_tensor([[i], [j]])
        if rows is columns:
            once = pairs[0] < pairs[1]
            pairs, values = pairs[:, once], values[once]
        inside = values >= near + error
        doubtful = (~inside).nonzero()[:, 0]
        if len(doubtful):
            inside[doubtful] = _cosines(rows, columns, pairs[:, doubtful]) >= near
        yield pairs[:, inside]


def neighbor_distance(queries: Tensor, features: Tensor, k: int) -> Tensor:
    """Compute distances (Q,) of queries (Q, C) to their k-th nearest neighbors.

    Neighbors are features (N, C) other than the query itself. The queries are a subset of the
    features; both are float64 unit vectors. The processes share the queries. Neighbors whose
    cosines differ by rounding errors of float32 are not told apart.
    """
    count = min(k + 1, len(features))
    farthest = queries.new_zeros(len(queries))
    own = torch.arange(get_rank(), len(queries), get_world_size(), device=queries.device)
    single = features.float()
    with _full_precision():
        for part in own.split(max(1, _BLOCK // len(features))):
            nearest = (queries[part].float() @ single.T).topk(count).indices
            cos = torch.einsum('qc,qkc->qk', queries[part], features[nearest])
            farthest[part] = (2 - 2 * cos.amin(1)).clamp(min=0).sqrt()
    all_reduce(farthest)
    return farthest


def dbscan(features: Tensor, eps: float, min_samples: int) -> Tensor:
    """Compute the clusters of scikit-learn's ``DBSCAN`` with a tile of distances in memory.

    Three passes over the distances, on the device of the features, shared by the processes: count
    neighbors to find the core points; connect core points; assign the other points to the first
    cluster within reach. The first takes most of the time, as few points are core points.

    Args:
        features (Tensor): (N, C) float64 unit vectors, the same in all processes.
        eps (float): Radius.
        min_samples (int): Points within the radius, itself included, that make a core point.

    Returns:
        Tensor: Clusters (N,), -1 for none, numbered by their first core points.
    """
    near = 1 - eps**2 / 2
    count = torch.zeros(len(features), dtype=torch.long, device=features.device)
    for pairs in _near_pairs(features, features, near):
        count.index_add_(0, pairs.flatten(), torch.ones_like(pairs.flatten()))
    all_reduce(count)
    core = count + 1 >= min_samples
    labels = torch.full_like(count, -1)
    labels[core] = of_core = _connected(features[core], near)
    border = (~core & (count > 0)).nonzero()[:, 0]
    first = torch.full_like(border, len(features))
    for i, j in _near_pairs(features[border], features[core], near):
        first.scatter_reduce_(0, i, of_core[j], 'amin')
    all_reduce(first, 'min')
    labels[border] = torch.where(first < len(features), first, -1)
    return labels


def _connected(features: Tensor, near: float) -> Tensor:
    """Label connected components (n,) of near points, ordered by their first points."""
    component = torch.arange(len(features), device=features.device)
    edges, total = [], 0
    for pairs in _near_pairs(features, features, near):
        ends = component[pairs]
        edges.append(ends[:, ends[0] != ends[1]])
        total += edges[-1].shape[1]
        if total > len(features):  # so that a large cluster needs little memory
            component = _merged(component, edges)
            edges, total = [], 0
    component = _merged(component, edges)
    points = torch.arange(len(features), device=features.device)
    # every point is connected with one of its component in each process
    component = _merged(points, [torch.stack([points, torch.empty_like(points).scatter_(
        0, found, points)[found]]) for found in all_gather(component)])
    _, first, inverse = np.unique(component.cpu().numpy(), return_index=True, return_inverse=True)
    return torch.from_numpy(first.argsort().argsort()[inverse]).to(component)


def _merged(component: Tensor, edges: list) -> Tensor:
    """Merge components (n,) that are connected by edges (2, E); all are numbers below n."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = torch.cat(edges, 1).cpu().numpy() if edges else np.zeros((2, 0), int)
    graph = coo_array((np.ones(ends.shape[1], bool), tuple(ends)), (len(component), ) * 2)
    merged = torch.from_numpy(connected_components(graph, directed=False)[1])
    return merged.to(component)[component]


@FUNCTIONS.register_module()
class ClusterDBSCAN:
    """DBSCAN with an adaptive radius and a limit on the size of clusters.

    Samples without a feature yet (rows of 0) and noise have no cluster. If a cluster is too large,
    the clustering is repeated with half the radius; if that does not help, no sample has a
    cluster. All processes of a training have to call it, with the same bank.

    Args:
        min_samples (int): Points within eps, itself included, that make a core point; also the
            rank of the neighbor that determines eps. Defaults to 4.
        eps (float, optional): Radius. Defaults to None: adaptive.
        percentile (float): eps is this percentile of the distances to the ``min_samples``-th
            nearest neighbor. Defaults to 10.
        max_share (float): Maximum share of the samples in a cluster. Defaults to 0.2.

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(self,
                 min_samples: int = 4,
                 eps: float | None = None,
                 percentile: float = 10.,
                 max_share: float = 0.2):
        for name, value, low, high in (
                ('min_samples', min_samples, 1, np.inf), ('eps', eps, 1e-9, 2),
                ('percentile', percentile, 0, 100),
                ('max_share', max_share, 0, 1)):
            if value is not None and not low <= value <= high:
                raise ValueError(f'{name}: found {value}, expected a number in [{low}, {high}]')
        self.min_samples = min_samples
        self.eps = eps
        self.percentile = percentile
        self.max_share = max_share

    @torch.no_grad()
    def __call__(self, bank: Tensor) -> Clusters:
        """Cluster a bank.

        Args:
            bank (Tensor): (N, C), 0 in rows without a feature.

        Returns:
            Clusters: On the device of the bank.
        """
        labels = torch.full((len(bank), ), -1, device=bank.device)
        filled = bank.any(1).nonzero()[:, 0]
        features = torch.nn.functional.normalize(bank[filled].double(), dim=1)
        eps = self._radius(features)
        if eps < _ROUNDING:
            print_log('clustering: found equal features, expected different ones: the training '
                      'has collapsed' if len(features) > 1 else
                      f'clustering: found features of {len(features)} samples, expected more',
                      'current', logging.WARNING)
            return Clusters(labels, 0.)
        for _ in range(_RETRIES + 1):
            found = dbscan(features, eps, self.min_samples)
            share = _largest(found) / len(found)
            if share <= self.max_share:
                labels[filled] = found
                return Clusters(labels, eps)
            print_log(f'clustering: found a cluster with {share:.0%} of the samples at eps '
                      f'{eps:.4g}, expected at most {self.max_share:.0%}; eps is halved',
                      'current', logging.WARNING)
            eps /= 2
        print_log('clustering: no radius gave clusters that are small enough; every sample is '
                  'its own cluster', 'current', logging.WARNING)
        return Clusters(labels, 2 * eps)

    def _radius(self, features: Tensor) -> float:
        if len(features) < 2:
            return 0.
        if self.eps is not None:
            return self.eps
        chosen = torch.randperm(len(features), device=features.device)[:_SUBSET]
        broadcast(chosen)
        distance = neighbor_distance(features[chosen], features, self.min_samples)
        return float(np.percentile(distance.cpu().numpy(), self.percentile))


def _largest(labels: Tensor) -> int:
    """Count the samples of the largest cluster."""
    labels = labels[labels >= 0]
    return int(labels.bincount().max()) if len(labels) else 0
