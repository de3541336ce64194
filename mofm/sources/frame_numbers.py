"""Numbers of frames: from names of images and files, and their steps if images were sampled."""
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np

# Numbers apart that are one step: at most this many times the smallest distance.
_ONE = 1.5
# Deviation of a time stamp from its place, in steps; and of a rounded one, at least.
_JITTER, _ROUNDED = .25, .75
# Numbers that happen to be frames in which somebody was seen have some neighbors if they are many.
_MANY = 8
# Least share of the distances that are one step: other numbers only happen to have a divisor.
_SINGLE, _SINGLE_ROUNDED = 1 / 3, 1 / 2

# A number, maybe with decimals; cam01.0031 has two.
_NUMBER = r'((?<![A-Za-z])[0-9]+\.[0-9]+|(?!0[0-9])[0-9]+\.[0-9]+|[0-9]+)'
# Digits of numbers of frames that are filled with zeros.
_PADDED = 4
# Numbers of seconds since 1970, and of smaller units.
_STAMPS = 10**9
_START = datetime(1970, 1, 1)
# Year, month, day, hour, minute, second and its fraction, with one kind of separator or none.
_TIME = re.compile(r'(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)([0-9]{2})\2([0-9]{2})[T_ .-]*([0-9]{2})'
                   r'([-_:.hH]?)([0-9]{2})[-_:.mM]?([0-9]{2})(\.[0-9]+)?(?![0-9])')

# In exports of Roboflow.
_ADDED = re.compile(r'\.rf\.[0-9a-zA-Z]{20,}$')


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
    if not len(gaps) or gaps.min() < 2:
        return None
    step, exact = float(np.gcd.reduce(gaps)), True
    if gaps.min() > step:
        step, exact = float(gaps[gaps <= _ONE * gaps.min()].mean()), False
        off = np.abs(gaps - step * np.rint(gaps / step))
        if len(gaps) < 3 or (off > max(_ROUNDED, _JITTER * step)).any():
            step = float(np.median(gaps))  # of uneven time stamps
            if len(gaps) < _MANY or gaps.min() < step / 2:
                return None
    places = np.rint(gaps / step).clip(1).astype(np.int64)
    if (places == 1).mean() < (_SINGLE if exact else _SINGLE_ROUNDED):
        return None
    return np.concatenate([[0], np.cumsum(places)]), step


def split_numbers(names: Sequence[str]) -> list[tuple[str, str] | None]:
    """Split the names of frames, of one or several videos, at the number of the frame.

    It is the last number or a date and time; or another one of at least four digits, filled with
    zeros, if the last one has fewer values, as in ``000012_cam1``.

    Args:
        names (Sequence[str]): E.g. ``walk_000012``, ``walk 12 rendered`` or
            ``walk_2018-07-04_12-08-21.5``.

    Returns:
        list[tuple[str, str] or None]: What is before and after it, e.g. ``walk_`` and '', the same
        for all frames of a video; None without a number.
    """
    parts = [re.split(_NUMBER, _plain(name)) for name in names]
    alike: dict[tuple, list] = {}
    for part in parts:
        alike.setdefault(tuple(part[::2]), []).append(part[1::2])
    place = {texts: 2 * _frame_column(rows) + 1 for texts, rows in alike.items()}
    ends = [(part, place[tuple(part[::2])]) for part in parts]
    return [(''.join(part[:at]), ''.join(part[at + 1:])) if len(part) > 1 else None
            for part, at in ends]


def split_number(name: str) -> tuple[str, str] | None:
    """Split the name of one frame, see :func:`split_numbers`."""
    return split_numbers([name])[0]


def _frame_column(rows: Sequence[Sequence[str]]) -> int:
    """Return which of the numbers in alike names is that of the frame."""
    columns = list(zip(*rows, strict=True))
    best = len(columns) - 1
    for i, column in enumerate(columns[:-1]):
        padded = {len(value) for value in column} == {len(column[0])} and any(
            value[0] == '0' for value in column)
        if padded and len(column[0]) >= _PADDED and len(set(column)) > len(set(columns[best])):
            best = i
    return best


def frame_numbers(names: Sequence[str],
                  note: Callable[[str], object] | None = None) -> np.ndarray:
    """Parse frame numbers from names of images.

    Args:
        names (Sequence[str]): N names without suffix.
        note (Callable, optional): Called with a text if names do not differ in one number.

    Returns:
        np.ndarray: (N,) int64. The number in which the names differ, at any place. Time stamps,
        i.e. dates and times, decimals and numbers of more than 9 digits, are it if they have a
        step (:func:`find_step`), from the first one. Otherwise the index in natural order.
    """
    numbers = _varying([_plain(name) for name in names])
    if numbers is None or len(np.unique(numbers)) < len(names):
        if note and len(names) > 1:
            note('names of images differ in more than a number of the frame, or have time stamps '
                 'without a step: rows are the images in natural order')
        order = sorted(range(len(names)), key=lambda i: _natural(names[i]))
        return np.argsort(order)
    return numbers


def _plain(name: str) -> str:
    """Replace a date and time in a name by seconds, and drop what Roboflow adds."""
    def seconds(match):
        year, _, month, day, hour, _, minute, second, fraction = match.groups()
        try:
            time = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))
        except ValueError:
            return match[0]
        return f'{(time - _START) // timedelta(seconds=1)}{fraction or ""}'

    return _TIME.sub(seconds, _ADDED.sub('', name))


def _varying(names) -> np.ndarray | None:
    """Return the only number in which names differ, as integers."""
    parts = [re.split(_NUMBER, name) for name in names]
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
    if len(out) < len(names):
        return None
    if any(decimals) or out.max(initial=0) >= _STAMPS:
        out -= out.min()
        return None if find_step(2 * np.unique(out)) is None else out
    return out


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sorting key in which 10 comes after 9 and digits before letters."""
    parts = re.split('([0-9]+)', name)
    return [(len(part.lstrip('0')), part.lstrip('0')) if i % 2 else (-1, part)
            for i, part in enumerate(parts)] + [(-1, name)]
