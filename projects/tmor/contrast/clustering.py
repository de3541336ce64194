"""Clustering of a feature bank by DBSCAN (Ester et al., KDD 1996), once per epoch in T-MOR.

Features are unit vectors, compared by their distance ``sqrt(2 - 2 cos)``. Features of a motion
encoder are positive, so all cosines are high and no radius fits every epoch: eps is adapted to
the distances.
"""

import logging
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mofm.registry import FUNCTIONS

_BLOCK = 2**25  # distances in memory at a time
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


def _blocks(rows: Tensor, columns: Tensor):
    """Yield start, stop and cosines (n, N) of blocks of rows (n, C) with all columns (N, C)."""
    step = max(1, _BLOCK // max(1, len(columns)))
    for start in range(0, len(rows), step):
        part = rows[start:start + step]
        yield start, start + len(part), part @ columns.T


def neighbor_distance(queries: Tensor, features: Tensor, k: int) -> Tensor:
    """Compute distances (Q,) of queries (Q, C) to their k-th nearest neighbors.

    Neighbors are features (N, C) other than the query itself. The queries are a subset of the
    features; both are unit vectors.
    """
    k = min(k, len(features) - 1)
    nearest = [cos.topk(k + 1).values[:, k] for _, _, cos in _blocks(queries, features)]
    return (2 - 2 * torch.cat(nearest)).clamp(min=0).sqrt()


def sklearn_dbscan(features: Tensor, eps: float, min_samples: int) -> tuple:
    """Compute clusters (N,) and the mask of core points (N,) by scikit-learn."""
    from sklearn.cluster import DBSCAN  # heavy, and needed here only

    found = DBSCAN(eps=eps, min_samples=min_samples).fit(features.cpu().numpy())
    core = torch.zeros(len(features), dtype=torch.bool)
    core[torch.from_numpy(found.core_sample_indices_)] = True
    return torch.from_numpy(found.labels_).long(), core


def blockwise_dbscan(features: Tensor, eps: float, min_samples: int) -> tuple:
    """Compute the clusters of :func:`sklearn_dbscan` with one block of distances in memory.

    Three passes over the distances, on the device of the features: count neighbors to find the
    core points; connect core points; assign the other points to the first cluster within reach.
    The first pass takes most of the time, as few points are core points.

    Args:
        features (Tensor): (N, C) float64 unit vectors.
        eps (float): Radius.
        min_samples (int): Points within the radius, itself included, that make a core point.

    Returns:
        tuple[Tensor, Tensor]: Clusters (N,), -1 for none, and core points (N,) bool.
    """
    near = 1 - eps**2 / 2
    count = torch.zeros(len(features), dtype=torch.long, device=features.device)
    step = max(1, _BLOCK // len(features))
    for start in range(0, len(features), step):  # each pair once
        rows = features[start:start + step]
        inside = rows @ rows.T >= near
        count[start:start + step] += inside.sum(1)
        later = rows @ features[start + step:].T >= near
        count[start:start + step] += later.sum(1)
        count[start + step:] += later.sum(0)
    core = count >= min_samples
    labels = torch.full_like(count, -1)
    labels[core] = _connected(features[core], near)
    total = int(labels.max()) + 1
    border = (~core & (count > 1)).nonzero()[:, 0]
    if total:
        of_core = labels[core]
        for start, stop, cos in _blocks(features[border], features[core]):
            first = torch.where(cos >= near, of_core, total).amin(1)
            labels[border[start:stop]] = torch.where(first < total, first, -1)
    return labels.cpu(), core.cpu()


def _connected(features: Tensor, near: float) -> Tensor:
    """Label connected components (n,) of near points, ordered by their first points."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    component = torch.arange(len(features), device=features.device)
    for start, stop, cos in _blocks(features, features):
        # without pairs already connected, so that a large cluster needs little memory
        pairs = (cos >= near) & (component[start:stop, None] != component)
        rows, columns = pairs.nonzero(as_tuple=True)
        if not len(rows):
            continue
        ends = torch.stack([component[start + rows], component[columns]]).cpu().numpy()
        graph = coo_array((np.ones(ends.shape[1], bool), tuple(ends)), (len(features), ) * 2)
        merged = torch.from_numpy(connected_components(graph, directed=False)[1])
        component = merged.to(component)[component]
    _, first, inverse = np.unique(component.cpu().numpy(), return_index=True, return_inverse=True)
    return torch.from_numpy(first.argsort().argsort()[inverse]).to(component)


@FUNCTIONS.register_module()
class ClusterDBSCAN:
    """DBSCAN of scikit-learn with an adaptive radius and a limit on the size of clusters.

    Samples without a feature yet (rows of 0) and noise have no cluster. If a cluster is too large,
    the clustering is repeated with half the radius; if that does not help, no sample has a
    cluster.

    Args:
        min_samples (int): Points within eps, itself included, that make a core point; also the
            rank of the neighbor that determines eps. Defaults to 4.
        eps (float, optional): Radius. Defaults to None: adaptive.
        percentile (float): eps is this percentile of the distances to the ``min_samples``-th
            nearest neighbor. Defaults to 10.
        max_share (float): Maximum share of the samples in a cluster. Defaults to 0.2.
        max_points (int, optional): Number of samples to cluster, drawn each time; the others
            join the nearest core point within eps. Defaults to None: all.

    Raises:
        ValueError: If a parameter is out of range.
    """

    dbscan = staticmethod(sklearn_dbscan)

    def __init__(self,
                 min_samples: int = 4,
                 eps: float | None = None,
                 percentile: float = 10.,
                 max_share: float = 0.2,
                 max_points: int | None = None):
        for name, value, low, high in (
                ('min_samples', min_samples, 1, np.inf), ('eps', eps, 1e-9, 2),
                ('percentile', percentile, 0, 100),
                ('max_share', max_share, 0, 1),
                ('max_points', max_points, 1, np.inf)):
            if value is not None and not low <= value <= high:
                raise ValueError(f'{name}: found {value}, expected a number in [{low}, {high}]')
        self.min_samples = min_samples
        self.eps = eps
        self.percentile = percentile
        self.max_share = max_share
        self.max_points = max_points

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
        chosen = self._draw(len(features), self.max_points)
        points = features[chosen]
        eps = self._radius(points)
        if eps < _ROUNDING:
            print_log('clustering: found equal features, expected different ones: the training '
                      'has collapsed' if len(points) > 1 else
                      f'clustering: found features of {len(points)} samples, expected more',
                      'current', logging.WARNING)
            return Clusters(labels, 0.)
        for _ in range(_RETRIES + 1):
            found, core = (x.to(bank.device) for x in self.dbscan(points, eps, self.min_samples))
            if len(points) < len(features):
                found = self._spread(features, chosen, found, core, eps)
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

    def _radius(self, points: Tensor) -> float:
        if len(points) < 2:
            return 0.
        if self.eps is not None:
            return self.eps
        queries = points[self._draw(len(points), _SUBSET)]
        distance = neighbor_distance(queries, points, self.min_samples)
        return float(np.percentile(distance.cpu().numpy(), self.percentile))

    @staticmethod
    def _draw(total: int, count: int | None) -> Tensor:
        """Draw ``count`` of 0 ... total - 1, ascending; None for all."""
        if count is None or count >= total:
            return torch.arange(total)
        return torch.randperm(total)[:count].sort().values

    @staticmethod
    def _spread(features: Tensor, chosen: Tensor, found: Tensor, core: Tensor,
                eps: float) -> Tensor:
        """Extend the clusters of the chosen points to all features (N, C); returns (N,)."""
        labels = torch.full((len(features), ), -1, device=features.device)
        if core.any():
            of_core, centers = found[core], features[chosen.to(core.device)][core]
            for start, stop, cos in _blocks(features, centers):
                nearest, which = cos.max(1)
                labels[start:stop] = torch.where(nearest >= 1 - eps**2 / 2, of_core[which], -1)
        labels[chosen.to(labels.device)] = found
        return labels


@FUNCTIONS.register_module()
class BlockwiseDBSCAN(ClusterDBSCAN):
    """:class:`ClusterDBSCAN` by :func:`blockwise_dbscan`, for large banks, on their device."""

    dbscan = staticmethod(blockwise_dbscan)


def _largest(labels: Tensor) -> int:
    """Count the samples of the largest cluster."""
    labels = labels[labels >= 0]
    return int(labels.bincount().max()) if len(labels) else 0
