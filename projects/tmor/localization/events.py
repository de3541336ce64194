"""Average precision of segments, by the protocol of PKU-MMD (Liu et al., 2017)."""

from collections import defaultdict

import numpy as np


def event_ap(proposals: np.ndarray, truth: np.ndarray, iou: float,
             skip_unmatched: bool = False) -> float:
    """Interpolated average precision of proposed segments, by the protocol of PKU-MMD.

    A proposal is matched to the true segment of its recording and label that it overlaps most,
    if by at least ``iou``; several may match the same. Proposals are taken away one by one, least
    confident first. Precision is the share of true segments with a proposal left, over the
    proposals left; its running maximum is weighted by what recall loses.

    Args:
        proposals (np.ndarray): (P, 5) recording, label, start, end and confidence.
        truth (np.ndarray): (G, 4) recording, label, start and end.
        iou (float): Least intersection over union, (0, 1].
        skip_unmatched (bool): As the script of PKU-MMD, do not look at the precision right after
            a proposal without a match has been taken away; that makes AP lower. Defaults to
            False.

    Returns:
        float: AP, 0 without proposals or true segments.
    """
    if not len(proposals) or not len(truth):
        return 0.
    proposals = proposals[np.argsort(proposals[:, 4], kind='stable')]
    matched = _match(proposals, truth, iou)
    count = len(proposals)
    last = np.full(len(truth), -1)  # the last proposal of each true segment that is taken away
    np.maximum.at(last, matched[matched >= 0], np.flatnonzero(matched >= 0))
    positive = np.searchsorted(np.sort(-last), -np.arange(count + 1), side='right')
    precision = positive / np.maximum(count - np.arange(count + 1), 1)
    recall = positive / len(truth)
    if skip_unmatched:
        precision[1:][matched < 0] = 0
    return float(np.maximum.accumulate(precision)[1:] @ -np.diff(recall))


def _match(proposals: np.ndarray, truth: np.ndarray, iou: float) -> np.ndarray:
    """True segment (P,) of each proposal, -1 for none."""
    groups = defaultdict(list)
    for i, key in enumerate(map(tuple, truth[:, :2])):
        groups[key].append(i)
    rows = defaultdict(list)
    for i, key in enumerate(map(tuple, proposals[:, :2])):
        rows[key].append(i)
    matched = np.full(len(proposals), -1)
    for key, mine in rows.items():
        if key not in groups:
            continue
        theirs = np.array(groups[key])
        (s, e), (ts, te) = proposals[mine, 2:4, None].swapaxes(0, 1), truth[theirs, 2:4].T
        union = np.maximum(e, te) - np.minimum(s, ts)
        overlap = (np.minimum(e, te) - np.maximum(s, ts)) / np.maximum(union, 1e-12)  # (P', G')
        best = overlap.argmax(1)
        good = overlap[np.arange(len(best)), best] >= iou
        matched[mine] = np.where(good, theirs[best], -1)
    return matched
