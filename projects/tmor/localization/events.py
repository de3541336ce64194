"""Average precision of segments, by the protocol of PKU-MMD (Liu et al., 2017)."""

from collections import defaultdict

import numpy as np


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
    proposals = proposals[np.argsort(proposals[:, 4], kind='stable')]
    matched = _match(proposals, truth, iou)
    count = len(proposals)
    last = np.full(len(truth), -1)  # most confident proposal of each true segment
    np.maximum.at(last, matched[matched >= 0], np.flatnonzero(matched >= 0))
    positive = np.searchsorted(np.sort(-last), -np.arange(count + 1), side='right')
    precision = positive / np.maximum(count - np.arange(count + 1), 1)
    recall = positive / len(truth)
    if skip_unmatched:
        precision[1:][matched < 0] = 0
    return float(np.maximum.accumulate(precision)[1:] @ -np.diff(recall))


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
