"""Validated reading of files with recordings.

A file is a dict of arrays, or one per split, with the concatenated frames of all recordings.
Functions raise :class:`mofm.annotations.AnnotationError` with the file, the field, what was found
and what was expected.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np

from mofm.annotations import AnnotationError, file_error
from mofm.annotations.unpickling import RestrictedUnpickler
from mofm.annotations.values import MAX_COORDINATE, within
from mofm.utils.checks import describe, show
from mofm.utils.limits import LimitError
from mofm.utils.untrusted import to_array

#: Image width and height of the cameras of Human3.6M.
H36M_CAMERAS = {'54138969': (1000, 1002), '60457274': (1000, 1002), '55011271': (1000, 1000),
                '58860488': (1000, 1000)}


def missing_file(file: str) -> AnnotationError:
    """Build the error for a missing file."""
    return AnnotationError(f'{file}: no such file; make it with tools/prepare_mocap.py of this '
                           'project, or correct ann_file')


def load_split(path: str, split: str) -> tuple[dict, dict[str, tuple[int, int]]]:
    """Read one split of a pickle, and the image sizes by camera name."""
    if not Path(path).is_file():
        raise missing_file(path)
    try:
        with open(path, 'rb') as f:
            data = RestrictedUnpickler(f).load()
    except LimitError as error:
        raise AnnotationError(f'{path}: {error}') from None
    except Exception as error:  # damaged bytes make the parser raise nearly anything
        raise AnnotationError(f'{path}: cannot be read, it may be truncated or no pickle '
                              f'({describe(error)}); fetch or make it again'
                              ) from None
    splits = [name for name in data if name != 'cameras'] if isinstance(data, dict) else []
    if split not in splits or not isinstance(data[split], dict):
        raise file_error(path, 'splits', splits or type(data).__name__, f'a dict with {split!r}')
    cameras = data.get('cameras', {})
    if not isinstance(cameras, dict) or not all(
            isinstance(name, str) and isinstance(size, (tuple, list)) and len(size) == 2
            and all(isinstance(n, (int, np.integer)) and n > 0 for n in size)
            for name, size in cameras.items()):
        raise file_error(path, 'cameras', show(cameras), '{name: (width, height)}')
    return data[split], {**H36M_CAMERAS, **cameras}


def read_field(data: dict, field: str, file: str) -> np.ndarray:
    """Read a field as an array; lists of rows of equal length are accepted."""
    value = data.get(field)
    if isinstance(value, list):
        with suppress(ValueError, OverflowError):  # rows of different length
            value = to_array(value)
    if not isinstance(value, np.ndarray):
        raise file_error(file, field, type(value).__name__ if field in data else 'nothing',
                     'an array')
    return value.view(np.ndarray)


def count_frames(data: dict, file: str, field: str = 'joint_2d') -> int:
    """Return the number of frames N of the file."""
    shape = read_field(data, field, file).shape
    if not shape or not shape[0]:
        raise file_error(file, field, f'shape {shape}', 'at least one frame')
    return shape[0]


def read_numbers(data: dict, field: str, file: str, shapes: list[tuple]) -> np.ndarray:
    """Read a field of finite numbers within :data:`MAX_COORDINATE` as float32."""
    value = read_field(data, field, file)
    if value.dtype.kind not in 'fiu' or value.shape not in shapes:
        raise file_error(file, field, f'{value.dtype} of shape {value.shape}',
                     'numbers of shape ' + ' or '.join(map(str, shapes)))
    value = np.ascontiguousarray(value, np.float32)
    if not within(value, MAX_COORDINATE):
        bad = value.size - np.count_nonzero(np.abs(value) <= MAX_COORDINATE)
        raise file_error(file, field, f'{bad} values that are NaN, infinite or too large',
                         f'finite numbers within {MAX_COORDINATE:g}')
    return value


def read_texts(data: dict, field: str, file: str, count: int) -> np.ndarray:
    """Read a field of N texts (lists in Human3.6M) as an array."""
    value = data.get(field)
    found = type(value).__name__ if field in data else 'nothing'
    if isinstance(value, (list, tuple)):
        if all(isinstance(v, str) for v in value):
            # of objects, as a text array would have the longest one N times
            found, value = f'{len(value)} texts', np.array(value, object)
        else:
            found, value = f'{len(value)} values, not all of them text', None
    elif isinstance(value, np.ndarray):
        found = f'{value.dtype} of shape {value.shape}'
        value = value if value.dtype.kind == 'U' else None
    if value is None or np.shape(value) != (count, ):
        raise file_error(file, field, found, f'{count} texts, one per frame or recording')
    return value.view(np.ndarray)


class KeypointSplit:
    """One split of a pickle with 2D keypoints in Human3.6M's format, validated when read.

    Args:
        path (str): Pickle file.
        split (str): Key of the split.

    Attributes:
        lengths (np.ndarray): (V,) frames of the recordings.
        sources (list[str]): Their names.

    Raises:
        AnnotationError: If the file or a field is invalid.
    """

    def __init__(self, path: str, split: str):
        self.data, self.cameras = load_split(path, split)
        self.file = f'{path}: split {split!r}'
        self.count = count_frames(self.data, self.file)
        source = read_texts(self.data, 'source', self.file, self.count)
        self.first = np.flatnonzero(np.r_[True, source[1:] != source[:-1]])
        self.lengths = np.diff(np.r_[self.first, self.count])
        self.sources = source[self.first].tolist()

    def numbers(self, field: str, *shapes: tuple) -> np.ndarray:
        """Read numbers of one of the shapes per frame."""
        return read_numbers(self.data, field, self.file, [(self.count, *s) for s in shapes])

    def texts(self, field: str) -> list[str]:
        """Read a text per recording, which must be the same in all its frames."""
        values = read_texts(self.data, field, self.file, self.count)
        changes = np.flatnonzero(values != np.repeat(values[self.first], self.lengths))
        if len(changes):
            recording = self.sources[np.searchsorted(self.first, changes[0], 'right') - 1]
            raise file_error(self.file, field, f'{str(values[changes[0]])!r} at frame '
                             f'{changes[0]}', f'the same in all of recording {recording!r}')
        return values[self.first].tolist()

    def keypoints(self) -> dict[str, np.ndarray]:
        """Read ``keypoint`` (N, 17, 2) and ``keypoint_score`` (N, 17), 1 if absent."""
        keypoint = self.numbers('joint_2d', (17, 2), (17, 3))[..., :2]
        score = (self.numbers('confidence', (17, ), (17, 1)) if 'confidence' in self.data else
                 np.ones((self.count, 17), np.float32))
        return dict(keypoint=keypoint, keypoint_score=score.reshape(self.count, 17))

    def img_shapes(self) -> list[tuple[int, int]]:
        """Look up height and width for the camera of each recording."""
        names = self.texts('camera_name')
        unknown = sorted(set(names) - set(self.cameras))
        if unknown:
            raise file_error(self.file, 'camera_name', repr(unknown[0]), f'one of '
                             f"{sorted(self.cameras)}, or its size in 'cameras' of the file")
        return [tuple(map(int, self.cameras[name][::-1])) for name in names]
