"""Average precision of segments, by the protocol of PKU-MMD (Liu et al., 2017)."""

from collections import defaultdict

import numpy as np

from mofm.evaluation.functional import Statistic


def event_ap(proposals: np.ndarray, truth: np.ndarray, iou: float,
             skip_unmatched: bool = False) -> float:
    """Compute the interpolated average precision of proposed segments as PKU-MMD does.

    A proposal is matched to the true segment of its recording and label with the largest overlap,
    if that is at least ``iou``; several may match the same. Proposals are removed one by one,
    least confident first. Precision is the number of true segments with a remaining proposal over
    the number of remaining proposals; its running maximum is weighted by the decrease of recall.

    Args:
        proposals (np.ndarray): (P, 5) recording, label, start, end and confidence.
        truth (np.ndarray): (G, 4) recording, label, start and end.
        iou (float): Least intersection over union, (0, 1].
        skip_unmatched (bool): Ignore the precision right after the removal of an unmatched
            proposal, as the script of PKU-MMD does; this lowers AP. Defaults to False.

    Returns:
        float: AP, 0 without proposals or true segments.
    """
    if not len(proposals) or not len(truth):
        return 0.
    num_recordings = int(max(proposals[:, 0].max(), truth[:, 0].max())) + 1
    statistic = event_statistic(proposals, truth, iou, skip_unmatched)
    return float(statistic(np.ones((1, num_recordings)))[0])


def event_statistic(proposals: np.ndarray, truth: np.ndarray, iou: float,
                    skip_unmatched: bool = False, group: np.ndarray | None = None) -> Statistic:
    """Make the statistic of :func:`event_ap`, resampled by recordings.

    Args:
        proposals (np.ndarray): (P, 5), recordings are 0, 1, ...
        truth (np.ndarray): (G, 4).
        iou (float): Least intersection over union, (0, 1].
        skip_unmatched (bool): See :func:`event_ap`.
        group (np.ndarray, optional): (R,) int, group of each recording. Defaults to its own.

    Returns:
        Statistic: 0 without proposals or true segments, NaN for draws without the latter.
    """
    if not len(proposals) or not len(truth):
        return lambda count: np.zeros(len(count))
    proposals = proposals[np.argsort(proposals[:, 4], kind='stable')]
    matched = _match(proposals, truth, iou)
    last = np.full(len(truth), -1)  # most confident proposal of each true segment
    np.maximum.at(last, matched[matched >= 0], np.flatnonzero(matched >= 0))
    found = last >= 0
    source, owner = proposals[:, 0].astype(int), truth[:, 0].astype(int)
    if group is not None:
        source, owner = group[source], group[owner]

    def statistic(count: np.ndarray) -> np.ndarray:
        removed, missed = np.zeros((2, len(count), len(proposals) + 1))
        removed[:, :-1] = count[:, source]
        missed[:, last[found]] = count[:, owner[found]]
        left, positive = (part[:, ::-1].cumsum(1)[:, ::-1] for part in (removed, missed))
        precision = np.divide(positive, left, out=np.zeros(left.shape), where=left > 0)
        if skip_unmatched:
            precision[:, 1:][:, matched < 0] = 0
        best = np.maximum.accumulate(precision, 1)[:, 1:]
        with np.errstate(invalid='ignore'):
            return (best * missed[:, :-1]).sum(1) / count[:, owner].sum(1)

    return statistic


def _match(proposals: np.ndarray, truth: np.ndarray, iou: float) -> np.ndarray:
    """Return the true segment (P,) of each proposal, -1 for none."""
    groups = defaultdict(list)
    for i, key in enumerate(map(tuple, truth[:, :2])):
        groups[key].append(i)
    rows = defaultdict(list)
    for i, key in enumerate(map(tuple, proposals[:, :2])):
        rows[key].append(i)
    matched = np.full(len(proposals), -1)
    for key, proposed in rows.items():
        if key not in groups:
            continue
        true = np.array(groups[key])
        (s, e), (ts, te) = proposals[proposed, 2:4, None].swapaxes(0, 1), truth[true, 2:4].T
        union = np.maximum(e, te) - np.minimum(s, ts)
        overlap = (np.minimum(e, te) - np.maximum(s, ts)) / np.maximum(union, 1e-12)  # (P', G')
        best = overlap.argmax(1)
        good = overlap[np.arange(len(best)), best] >= iou
        matched[proposed] = np.where(good, true[best], -1)
    return matched
