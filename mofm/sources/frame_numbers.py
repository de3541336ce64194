"""Numbers of frames: from names of images and files, and their steps if images were sampled."""
import re
from collections.abc import Sequence

import numpy as np

# Numbers apart that are one step: at most this many times the smallest distance.
_ONE = 1.5
# Deviation of a time stamp from its place, in steps; and of a rounded one, at least.
_JITTER, _ROUNDED = .25, .75
# Least share of the distances that are one step: other numbers only happen to have a divisor.
_SINGLE, _SINGLE_ROUNDED = 1 / 3, 1 / 2


def find_step(numbers: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Find the step of the numbers of sampled images, e.g. 6 of 0, 6, 12, 24.

    Steps may be rounded, as in 0, 33, 67, 100 milliseconds, and a few images may miss. Frames in
    which nobody was seen leave gaps of any length and some neighbors, so that they have no step.

    Args:
        numbers (np.ndarray): (T,) int64, ascending.

    Returns:
        tuple[np.ndarray, float] or None: Place of each number in steps, from 0, and the step;
        None if the step is 1 or there is none.
    """
    gaps = np.diff(numbers)
    if len(gaps) < 2 or gaps.min() < 2:
        return None
    step = float(np.gcd.reduce(gaps))
    exact = gaps.min() == step
    if not exact:
        if len(gaps) < 3:
            return None
        step = float(gaps[gaps <= _ONE * gaps.min()].mean())
        off = np.abs(gaps - step * np.rint(gaps / step))
        if (off > max(_ROUNDED, _JITTER * step)).any():
            return None
    places = np.rint(gaps / step).astype(np.int64)
    if (places == 1).mean() < (_SINGLE if exact else _SINGLE_ROUNDED):
        return None
    return np.concatenate([[0], np.cumsum(places)]), step


def frame_numbers(names: Sequence[str]) -> np.ndarray:
    """Parse frame numbers from names of images.

    Args:
        names (Sequence[str]): N names without suffix.

    Returns:
        np.ndarray: (N,) int64. The number in which the names differ, at any place. Time stamps,
        decimals or more than 31 bits, are it if they have a step (:func:`find_step`). Otherwise
        the index in natural order.
    """
    numbers = _varying(names)
    if numbers is None or len(np.unique(numbers)) < len(names):
        order = sorted(range(len(names)), key=lambda i: _natural(names[i]))
        return np.argsort(order)
    return numbers


def _varying(names) -> np.ndarray | None:
    """Return the only number in which names differ, as integers."""
    parts = [re.split(r'([0-9]+(?:\.[0-9]+)?)', name) for name in names]
    texts, numbers = [part[::2] for part in parts], [part[1::2] for part in parts]
    if any(text != texts[0] for text in texts) or not numbers[0]:
        return None
    varying = [i for i, values in enumerate(zip(*numbers, strict=True)) if len(set(values)) > 1]
    if len(varying) > 1:
        return None
    values = [number[varying[0] if varying else -1] for number in numbers]
    decimals = [len(value.partition('.')[2]) for value in values]
    # after a point are fractions, unless they count: 9, 10
    if any(decimals) and len(set(decimals)) > 1 and any(
            '.' in value and value.endswith('0') and not value.endswith('.0') for value in values):
        return None
    try:
        scaled = [int(value.replace('.', '') + '0' * (max(decimals) - n))
                  for value, n in zip(values, decimals, strict=True) if len(value) < 40]
        out = np.array(scaled, np.int64)
    except OverflowError:
        return None
    stamps = any(decimals) or (out.max(initial=0) >= 2**31)
    if len(out) < len(names) or stamps and find_step(np.unique(out)) is None:
        return None
    return out


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sorting key in which 10 comes after 9 and digits before letters."""
    parts = re.split('([0-9]+)', name)
    return [(len(part.lstrip('0')), part.lstrip('0')) if i % 2 else (-1, part)
            for i, part in enumerate(parts)] + [(-1, name)]
