"""Triplets (skeleton, video, text) as in PoseCap of T-MOR (arXiv 2606.21607, Sec. II-C)."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mofm.annotations import validate


def normalize_text(text: str) -> str:
    """Reduce a caption to lower-case words and numbers, for comparison."""
    return ' '.join(re.findall(r'\w+', text.casefold()))


def near_duplicates(features: np.ndarray, max_similarity: float, block: int = 4096) -> np.ndarray:
    """Find rows that are too similar to an earlier row that is kept.

    Args:
        features (np.ndarray): (N, D) unit vectors.
        max_similarity (float): Rows with a higher cosine are near-duplicates.
        block (int): Rows per block, for memory of N x block numbers. Defaults to 4096.

    Returns:
        np.ndarray: (N,) bool.
    """
    drop = np.zeros(len(features), bool)
    for start in range(0, len(features), block):
        rows = features[start:start + block]
        kept = features[:start][~drop[:start]]
        if len(kept):
            drop[start:start + block] = (rows @ kept.T).max(1) > max_similarity
        near = np.tril(rows @ rows.T > max_similarity, -1)  # to earlier rows of the block
        for i in np.flatnonzero(near.any(1)):  # in order, as only kept rows count
            here = drop[start:start + block]
            here[i] |= (near[i] & ~here).any()
    return drop


def _stem(name: str) -> str:
    return re.sub(r'\.\w{2,5}$', '', name)


def join_captions(annotations: Sequence[dict], captions: dict[str, str], counts: Counter,
                  num_joints: int = 17) -> list[dict]:
    """Select annotations with a person and a caption.

    Args:
        annotations (Sequence[dict]): Content of an annotation file.
        captions (dict): Text by name of the clip or its video, with or without suffix.
        counts (Counter): Collects the numbers of skipped annotations by reason.
        num_joints (int): V. Defaults to 17.

    Returns:
        list[dict]: Copies with ``text``.
    """
    kept, seen = [], set()
    captions = {_stem(name): text for name, text in captions.items()} | captions
    for ann in annotations:
        problem = validate(ann, num_joints)
        if problem is not None:
            empty = problem.found in ('no person', 'all joints missing in all frames')
            counts['without a person' if empty else f'with a bad {problem.field}'] += 1
            continue
        names = (ann['frame_dir'], ann.get('clip', ''))
        text = next((captions[key] for name in names for key in (name, _stem(name))
                     if key in captions), None)
        if text is None:
            counts['without a caption'] += 1
        elif ann['frame_dir'] in seen:
            counts['with a duplicate name'] += 1
        else:
            seen.add(ann['frame_dir'])
            kept.append(dict(ann, text=text))
    return kept


def unique_captions(annotations: Sequence[dict], features: np.ndarray, max_similarity: float,
                    counts: Counter) -> np.ndarray:
    """Select annotations so that no two videos have nearly the same caption.

    Persons of one video share its caption; they are kept or skipped together.

    Args:
        annotations (Sequence[dict]): N, with ``text``.
        features (np.ndarray): (N, D) features of the texts, unit vectors.
        max_similarity (float): See :func:`near_duplicates`.
        counts (Counter): Collects the numbers of skipped annotations by reason.

    Returns:
        np.ndarray: (N,) bool, true to keep.
    """
    videos = [ann.get('clip', ann['frame_dir']) for ann in annotations]
    first = {}  # caption -> its first annotation
    for i, ann in enumerate(annotations):
        first.setdefault(normalize_text(ann['text']), i)
    rows = list(first.values())
    drop = near_duplicates(features[rows], max_similarity)
    owner = {text: videos[i] for text, i in first.items()}
    near = dict(zip(first, drop.tolist(), strict=True))
    keep = np.ones(len(annotations), bool)
    for i, (ann, video) in enumerate(zip(annotations, videos, strict=True)):
        text = normalize_text(ann['text'])
        if owner[text] != video:
            counts['with the caption of another video'] += 1
        elif near[text]:
            counts['with nearly the caption of another video'] += 1
        else:
            continue
        keep[i] = False
    return keep
