"""CSV tables of landmarks of MediaPipe, and the names of its landmarks."""
import csv
import io
import re

import numpy as np

from mofm.utils.checks import describe, show

from ..base import Source
from .parsed_frames import NUMBER_KEYS

# Names of MediaPipe in their order.
_NAMES = (
    'nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye',
    'right_eye_outer', 'left_ear', 'right_ear', 'mouth_left', 'mouth_right', 'left_shoulder',
    'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_pinky',
    'right_pinky', 'left_index', 'right_index', 'left_thumb', 'right_thumb', 'left_hip',
    'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle', 'left_heel', 'right_heel',
    'left_foot_index', 'right_foot_index')
_INDEX = {''.join(sorted(name.split('_'))): i for i, name in enumerate(_NAMES)}
_AXES = dict(x=0, y=1, z=2, v=3, vis=3, visibility=3, score=3, confidence=3, conf=3)
_WORDS = {'pose', 'landmark', 'landmarks', 'world', 'lm', 'kp', 'keypoint', 'joint', 'point'}
_ROW_KEYS = ('landmark', 'landmark_id', 'landmark_index', 'landmark_idx', 'landmark_name', 'joint',
             'keypoint', 'keypoint_id', 'name', 'index', 'id')


def joint_index(name: str) -> int | None:
    """Return the index of a landmark, called e.g. ``LEFT_HIP``, ``leftHip`` or ``hip_left``."""
    return _INDEX.get(''.join(sorted(snake(name).split('_'))))


def snake(name: str) -> str:
    """Write a name with ``_`` and in lower case: ``leftHip`` is ``left_hip``."""
    return re.sub(r'(?<=[a-z])(?=[A-Z])', '_', name).lower()


def read_table(source: Source, file: str, content: bytes,
               world: bool) -> tuple[list, list[int], np.ndarray]:
    """Read a table with a frame, or a landmark, per row.

    Args:
        source (Source): The reader.
        file (str): The native file.
        content (bytes): Its content.
        world (bool): Read the columns of world landmarks if there are some of both.

    Returns:
        tuple: (T,) numbers of the frames, (T,) persons of each, (N, J, 2 to 4) x, y, z and
        visibility of landmarks, NaN where a cell is empty.

    Raises:
        AnnotationError: If it is none.
    """
    try:
        text = content.decode('utf-8-sig')
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=_delimiter(text))
                if any(cell.strip() for cell in row)]
    except (ValueError, csv.Error) as error:
        raise source.error(file, 'file', describe(error), 'a table') from None
    if not rows:
        raise source.error(file, 'file', 'no rows', 'a row per frame')
    header, body = [cell.strip() for cell in rows[0]], rows[1:]
    if all(re.fullmatch(r'[-+.\deE]*', cell) for cell in header):
        body, width = rows, len(header)
        first = width % 33 == 1
        values = (width - first) // 33
        if (width - first) % 33 or not 2 <= values <= 5:
            raise source.error(file, 'columns', width, '33 landmarks of 2 to 5 values, or a '
                             'row with the names of the columns')
        header = ['frame'] * first + [f'{axis}{i}' for i in range(33)
                                      for axis in ('x', 'y', 'z', 'v', 'presence')[:values]]
    wrong = [i for i, row in enumerate(body) if len(row) != len(header)]
    if wrong:
        raise source.error(file, f'row {wrong[0] + 2}', f'{len(body[wrong[0]])} values',
                         f'{len(header)}, as many as columns')
    plain = [re.sub(r'[^a-z0-9]+', '_', snake(name)).strip('_') for name in header]
    number = [i for i, name in enumerate(plain) if name in NUMBER_KEYS]
    numbers = None
    if number:
        numbers = _column(source, file, body, number[0], header)
        if not ((numbers % 1 == 0) & (numbers >= 0) & (numbers < 2**31)).all():
            raise source.error(file, header[number[0]], 'other values', 'whole numbers')
        order = np.argsort(numbers, kind='stable')
        numbers, body = numbers[order], [body[i] for i in order]
    by_row = [i for key in _ROW_KEYS for i, name in enumerate(plain) if name == key]
    if by_row and {'x', 'y'} <= set(plain):
        return _long(source, file, body, header, plain, numbers, by_row[0])
    columns = _columns(source, file, header, plain, world)
    count = max(joint for joint, _ in columns) + 1
    points = np.full((len(body), count, 1 + max(axis for _, axis in columns)), np.nan)
    for (joint, axis), column in columns.items():
        points[:, joint, axis] = _column(source, file, body, column, header)
    present = np.isfinite(points[..., :2]).any((1, 2))
    told = [None] * len(body) if numbers is None else numbers.tolist()
    return *_by_frame(told, present), points[present]


def _columns(source, file, header, plain, world_wanted) -> dict[tuple[int, int], int]:
    """Return the column of each landmark and axis, both counted from 0."""
    columns: dict[tuple[str, int, int], int] = {}
    first: int | None = None
    for column, name in enumerate(plain):
        parts = [p for part in name.split('_') for p in re.findall(r'\d+|\D+', part)]
        axes = [part for part in parts if part in _AXES]
        world = 'world' in parts
        if len(axes) != 1 or world != (world_wanted and any('world' in p for p in plain)):
            continue
        rest = [part for part in parts if part not in (axes[0], *_WORDS)]
        if len(rest) == 1 and rest[0].isdecimal() and len(rest[0]) < 5:
            kind, joint = 'number', int(rest[0])
            first = joint if first is None else min(first, joint)
        else:
            kind, joint = 'name', _INDEX.get(''.join(sorted(rest)), -1)
        if joint < 0:
            continue
        place = kind, joint, _AXES[axes[0]]
        if place in columns:
            raise source.error(file, 'columns', f'{header[column]!r} and '
                               f'{header[columns[place]]!r}', 'one of a kind')
        columns[place] = column
    kinds = {kind for kind, _, _ in columns}
    out = {(joint - (first or 0) * (kind == 'number'), axis): column
           for (kind, joint, axis), column in columns.items()}
    if len(kinds) != 1 or not {0, 1} <= {axis for _, axis in out} or first not in (None, 0, 1):
        raise source.error(file, 'columns', header[:20], 'names like x0 and y0, or nose_x and '
                         'nose_y')
    return out


def _long(source, file, body, header, plain, numbers, landmark):
    """Read a table with a landmark per row."""
    if numbers is None or not body:
        raise source.error(file, 'columns', header[:20], 'one with the frame, and rows')
    names = [row[landmark].strip() for row in body]
    if all(name.isdecimal() and len(name) < 5 for name in names):
        joints = np.array([int(name) for name in names])
    else:
        found = {name: joint_index(name) for name in set(names)}
        unknown = [name for name, joint in found.items() if joint is None]
        if unknown:
            raise source.error(file, header[landmark], show(unknown[0]),
                             'landmarks of MediaPipe')
        joints = np.array([found[name] for name in names])
    axes = {_AXES[name]: i for i, name in enumerate(plain) if name in _AXES}
    frames, row = np.unique(numbers, return_inverse=True)
    if len(np.unique(np.stack([row, joints]), axis=1).T) < len(body):
        raise source.error(file, header[landmark], 'a landmark twice in a frame', 'once')
    values = np.full((len(frames), max(33, joints.max() + 1), 1 + max(axes)), np.nan)
    for axis, column in axes.items():
        values[row, joints, axis] = _column(source, file, body, column, header)
    return frames.tolist(), [1] * len(frames), values


def _column(source, file, body, column, header) -> np.ndarray:
    """Return the numbers of a column, NaN where it is empty."""
    try:
        return np.array([row[column].strip() or 'nan' for row in body]).astype(np.float64)
    except ValueError as error:
        raise source.error(file, header[column], show(error), 'numbers') from None


def _delimiter(text: str) -> str:
    """Return what separates the columns."""
    line = text.split('\n', 1)[0]
    return max(',;\t', key=line.count)


def _by_frame(numbers: list, present: np.ndarray) -> tuple[list, list[int]]:
    """Return numbers of frames and persons in each, of rows with a person each or none."""
    if None in numbers:
        return numbers, present.astype(int).tolist()
    frames: dict = {}
    for number, there in zip(numbers, present.tolist(), strict=True):
        frames[number] = frames.get(number, 0) + there
    if len(frames) == len(numbers):
        return list(numbers), present.astype(int).tolist()
    return list(frames), list(frames.values())
