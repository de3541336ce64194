"""One-shot recognition by the nearest exemplar, averaged over all draws of exemplars."""

import numpy as np
import torch


def draw_accuracy(similarity: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Compute the probability of each sample to be a recognized query over all draws.

    One exemplar X_k of each class k is drawn uniformly and independently. A query q of class c
    with exemplar e is correct if ``s(q, e) > s(q, X_k)`` for all other k, thus with probability
    ``prod_k |{x in k: s(q, x) < s(q, e)}| / n_k``. This is summed over all e except q, each drawn
    with probability ``1 / n_c``. The sum over all samples divided by the N - C queries of a draw
    is the mean accuracy.

    Args:
        similarity (np.ndarray): (N, N).
        target (np.ndarray): (N,) classes in 0 ... C - 1.

    Returns:
        np.ndarray: (N,) float64 in [0, 1 - 1 / n_c].
    """
    members = [np.flatnonzero(target == c) for c in range(target.max() + 1)]
    out = np.zeros(len(target))
    for own in members:
        rows = torch.from_numpy(similarity[own])  # (n, N)
        value = rows[:, own].contiguous()  # (n, n) similarity of q and e
        right = torch.ones(value.shape, dtype=torch.float64)
        for other in members:
            if other is not own:
                below = torch.searchsorted(rows[:, other].sort(1).values, value)
                right *= below / len(other)
        out[own] = (right.sum(1) - right.diagonal()).numpy() / len(own)
    return out


def nearest_class(similarity: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the most similar class (Q,) from similarities (C, Q); ties count as wrong."""
    rest = np.array(similarity)
    index = np.arange(len(target))
    own = rest[target, index].copy()
    rest[target, index] = -np.inf
    other = rest.argmax(0)
    return np.where(own > rest[other, index], target, other)
