"""Bootstrap intervals of metrics (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).

Groups are drawn with replacement: clips, or recordings where the frames of one belong together
(cluster bootstrap). A statistic maps how often each group is drawn, (B, G), to its values (B,).
"""

from collections.abc import Callable, Mapping

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]

#: Draws per interval.
DRAWS = 1000
_CELLS = 4_000_000  # numbers in the counts of a batch of draws
_LEVELS = 1000  # thresholds of a curve


def bootstrap(statistics: Mapping[str, Statistic], num_groups: int,
              seed: int = 0) -> dict[str, tuple[float, float]]:
    """Compute 95 % percentile intervals, all from the same draws.

    Args:
        statistics (Mapping[str, Statistic]): Name -> statistic, NaN for draws without a value.
        num_groups (int): G.
        seed (int): Seed of the draws.

    Returns:
        dict[str, tuple[float, float]]: Name -> ends of the interval, NaN for fewer than two groups
        or if no draw has a value.
    """
    if num_groups < 2:
        return dict.fromkeys(statistics, (np.nan, np.nan))
    rng = np.random.default_rng(seed)
    share, size = np.full(num_groups, 1 / num_groups), max(_CELLS // num_groups, 1)
    parts: dict[str, list] = {name: [] for name in statistics}
    for start in range(0, DRAWS, size):
        count = rng.multinomial(num_groups, share, min(size, DRAWS - start)).astype(np.float32)
        for name, statistic in statistics.items():
            parts[name].append(statistic(count))
    out = {}
    for name, part in parts.items():
        values = np.concatenate(part)
        known = values[np.isfinite(values)]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
        out[name] = float(low), float(high)
    return out


def mean_statistic(value: np.ndarray, label: np.ndarray | None = None,
                   group: np.ndarray | None = None,
                   weight: np.ndarray | None = None) -> Statistic:
    """Make the statistic of a weighted mean, with labels of the mean over classes of their means.

    Classes that are not in a draw are skipped.

    Args:
        value (np.ndarray): (N,).
        label (np.ndarray, optional): (N,) int, classes. Defaults to one class.
        group (np.ndarray, optional): (N,) int. Defaults to one group per value.
        weight (np.ndarray, optional): (N,). Defaults to 1.
    """
    from scipy.sparse import csr_array  # heavy

    value = np.asarray(value, float)
    group = np.arange(len(value)) if group is None else group
    label = np.zeros(len(value), int) if label is None else label
    weight = np.ones(len(value)) if weight is None else np.asarray(weight, float)
    total, mass = (csr_array((numbers, (group, label))) for numbers in (value * weight, weight))

    def statistic(count: np.ndarray) -> np.ndarray:
        sums, masses = count @ total, count @ mass  # (B, C)
        there = masses > 0
        means = np.divide(sums, masses, out=np.zeros(sums.shape), where=there)
        with np.errstate(invalid='ignore'):  # a draw without any
            return means.sum(1) / there.sum(1)

    return statistic


def auc_statistic(positive: np.ndarray, score: np.ndarray,
                  group: np.ndarray | None = None) -> Statistic:
    """Make the statistic of the area under the ROC curve; ties count half.

    Args:
        positive (np.ndarray): (N,) bool.
        score (np.ndarray): (N,), higher for positives.
        group (np.ndarray, optional): (N,) int. Defaults to one group per score.
    """
    above, below = _levels(positive, score, group)

    def statistic(count: np.ndarray) -> np.ndarray:
        high, low = count @ above, count @ below  # (B, L)
        right = (high * (low.cumsum(1) - low / 2)).sum(1)
        with np.errstate(invalid='ignore'):  # a draw with a single label
            return right / (high.sum(1) * low.sum(1))

    return statistic


def ap_statistic(positive: np.ndarray, score: np.ndarray,
                 group: np.ndarray | None = None) -> Statistic:
    """Make the statistic of average precision, the mean precision at the ranks of the positives.

    Args:
        positive (np.ndarray): (N,) bool.
        score (np.ndarray): (N,), higher for positives.
        group (np.ndarray, optional): (N,) int. Defaults to one group per score.
    """
    above, below = _levels(positive, score, group)

    def statistic(count: np.ndarray) -> np.ndarray:
        found, false = ((count @ part)[:, ::-1] for part in (above, below))  # (B, L)
        true = found.cumsum(1)
        total = true + false.cumsum(1)
        precision = np.divide(true, total, out=np.zeros(true.shape), where=total > 0)
        with np.errstate(invalid='ignore'):  # a draw without positives
            return (precision * found).sum(1) / true[:, -1]

    return statistic


def _levels(positive, score, group) -> tuple:
    """Count positives and negatives (G, L) by group and level, in ascending order of the score.

    Levels are the scores of positives, at most 1000 of them, and the ranges between. The counts
    are sparse.
    """
    from scipy.sparse import csr_array  # heavy

    positive, score = np.asarray(positive, bool), np.asarray(score)
    group = np.arange(len(score)) if group is None else np.asarray(group)
    known = np.unique(score[positive])
    if len(known) > _LEVELS:
        known = known[np.linspace(0, len(known) - 1, _LEVELS).astype(int)]
    level = np.searchsorted(known, score) + np.searchsorted(known, score, 'right')
    shape = group.max() + 1, 2 * len(known) + 1
    positives, negatives = (
        csr_array((np.ones(part.sum()), (group[part], level[part])), shape)
        for part in (positive, ~positive))
    return positives, negatives


def wilson_interval(right: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the 95 % interval of a proportion (Wilson, 1927), NaN for a total of 0.

    Args:
        right (np.ndarray): Number of successes.
        total (np.ndarray): Number of trials, of the same shape.

    Returns:
        tuple[np.ndarray, np.ndarray]: Ends in [0, 1].
    """
    z2 = 1.959964**2
    with np.errstate(invalid='ignore', divide='ignore'):
        share = np.asarray(right, float) / total
        center = (share + z2 / (2 * total)) / (1 + z2 / total)
        half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * total)) / total) / (1 + z2 / total)
    return np.maximum(center - half, 0), np.minimum(center + half, 1)
