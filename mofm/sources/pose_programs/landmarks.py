"""Landmarks of MediaPipe in JSON files, tables and arrays."""
import io
import re
from collections.abc import Iterator

import numpy as np

from mofm.utils.checks import describe, is_number, show
from mofm.utils.untrusted import read_npy

from ..base import Sample
from ..frame_files import FrameFiles
from .landmark_tables import joint_index, read_table
from .parsed_frames import Frames, frame_number, json_lines, read_each

#: Keys of landmarks in the image and in meters, in JSON and .npz files.
KEYS = (('pose_landmarks', 'poseLandmarks', 'landmarks', 'landmark', 'keypoints', 'pose', 'poses'),
        ('pose_world_landmarks', 'poseWorldLandmarks', 'world_landmarks', 'worldLandmarks',
         'keypoints3D', 'keypoints_3d'))
_BODY = 33
# Landmarks, and numbers of a frame, of holistic models in which the body comes first: with hands,
# with the face, with both. A body is not much smaller than all of them.
_WITH_BODY, _FLAT_WITH_BODY, _SMALL = (75, 501, 511, 543, 553), (258, 1662), .5
# Largest coordinate in any unit.
_LARGEST = 1e6


class Landmarks(FrameFiles):
    """Base class of readers of landmarks in the image, or of the world."""

    suffix = ('.json', '.jsonl', '.ndjson', '.csv', '.npy', '.npz')
    max_size = 2**29
    #: Whether world landmarks are read.
    world = False

    def one_frame(self, sample: Sample) -> bool:
        """See :class:`FrameFiles`."""
        if sample.suffix in ('.npy', '.npz'):
            shapes = [shape for shape, _ in (sample.arrays or {}).values()]
            return len(shapes) == 1 and (len(shapes[0]) == 1 or len(shapes[0]) == 2 and (
                shapes[0][0] == _BODY and 2 <= shapes[0][1] <= 5))
        return sample.suffix == '.json' and frames_of(sample.json) is None

    def landmarks(self, name: str, content: Iterator[tuple[str, bytes]]
                  ) -> tuple[Frames, np.ndarray, dict]:
        """Parse the files of a video.

        Returns:
            tuple: :class:`Frames` with keypoint (N, J, 3) and score (N, J), (T,) numbers of the
            frames, and what the file tells about the video.
        """
        self._told: dict = {}
        self._alone = self.members[name] == [name]
        frames, numbers = read_each(self, name, content, self._parse)
        return frames, numbers, self._told

    def _parse(self, file, content) -> Frames:
        suffix = self.tree.filename(file).lower().rpartition('.')[2]
        if suffix in ('npy', 'npz'):
            return self._array_file(file, content, suffix)
        if suffix == 'csv':
            return self._made(file, *read_table(self, file, content, self.world))
        data = json_lines(self, file, content)
        try:
            frames = frames_of(data)
            if frames is not None:
                self._told = told(data)
            if frames is None:
                frames = self._inner(file, data) if self._alone else [data]
            numbers = [frame_number(item) if isinstance(item, dict) else None for item in frames]
            chosen = [self._chosen(file, item) for item in frames]
            persons = [persons_of(item) for item in chosen]
            values = [[_values(point) for point in person] for frame in persons
                      for person in frame]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.error(file, 'landmarks', describe(error),
                             'x, y, z and visibility of landmarks') from None
        return self._made(file, numbers, [len(frame) for frame in persons], values)

    def _inner(self, file, data) -> list:
        """Return the frames of a dict that has landmarks of all of them under one key."""
        value = self._chosen(file, data)
        frames = frames_of(value) if isinstance(value, dict) else value
        if isinstance(data, list) or not isinstance(frames, list) or len(frames) < 2 or (
                is_point(frames[0]) or type(frames[0]) in (int, float)):
            return [data]
        self._told = told(data)
        self.note(file, 'several poses in one list are taken for as many frames')
        return frames

    def _chosen(self, file, item):
        """Return the landmarks of a frame, those of the world or of the image."""
        if not isinstance(item, dict) or is_point(next(iter(item.values()), None)):
            return item
        mine, others = KEYS[::-1] if self.world else KEYS
        keys = [key for key in mine if key in item]
        if not keys and any(key in item for key in others):
            raise self.error(file, 'landmarks', sorted(map(str, item))[:20], self._other())
        return item[keys[0]] if keys else {key: value for key, value in item.items()
                                           if value and isinstance(value, (list, dict))}

    def _other(self) -> str:
        return ('world landmarks; the source mediapipe reads those of the image' if self.world else
                'landmarks of the image; the source mediapipe_world reads those of the world')

    def _made(self, file, numbers, counts, values) -> Frames:
        """Return frames from nested lists or an array (N, J, 2 to 5) of x, y, z, visibility."""
        try:
            array = np.array(values, np.float64) if len(values) else np.zeros((0, 33, 4))
            if array.ndim != 3 or not 2 <= array.shape[2] <= 5:
                raise ValueError(f'values of shape {array.shape}')
        except (ValueError, TypeError, OverflowError) as error:
            raise self.error(file, 'landmarks', describe(error),
                             'x, y, z and visibility of equally many landmarks') from None
        if (np.abs(array) > _LARGEST).any():
            raise self.error(file, 'landmarks', np.nanmax(np.abs(array)), f'at most {_LARGEST:g}')
        if array.shape[1] in _WITH_BODY and len(array):
            array = self._body(file, array)
        xyz = array[..., :3]
        score = array[..., 3] if array.shape[2] > 3 else np.ones(array.shape[:2])
        third = array[..., 2:3]
        if array.shape[2] == 3 and not self.world and ((third >= 0) & (third <= 1)).all():
            self.note(file, 'the third values of landmarks, all of 0 to 1, are taken for their '
                      'visibility')
            score = third[..., 0]
        return Frames(numbers, counts, xyz, np.where(np.isnan(score), 1, score),
                      [None] * len(array))

    def _body(self, file, array) -> np.ndarray:
        """Return the landmarks of the body (N, 33, C) from those of a holistic model."""
        def size(points):  # (N,)
            return (np.fmax.reduce(points, 1) - np.fmin.reduce(points, 1)).max(-1)

        whole, body = size(array[..., :2]), size(array[:, :_BODY, :2])
        if not np.nanmedian(body) >= _SMALL * np.nanmedian(whole):
            raise self.error(file, 'landmarks', f'{array.shape[1]}, of which the first {_BODY} '
                             'are no body', f'the {_BODY} of the body first')
        self.note(file, f'the first {_BODY} of {array.shape[1]} landmarks are those of the body')
        return array[:, :_BODY]

    def _array_file(self, file, content, suffix):
        """Read (T, J, C), (T, M, J, C) or (T, J * C) numbers, or one frame of them."""
        try:
            arrays = self.npz(file, content) if suffix == 'npz' else {
                '': read_npy(io.BytesIO(content))}
        except Exception as error:  # damaged bytes make the parser raise nearly anything
            raise self.error(file, 'file', describe(error), 'a readable array') from None
        mine, others = KEYS[::-1] if self.world else KEYS
        known = [key for key in mine if key in arrays]
        if not known and any(key in arrays for key in others):
            raise self.error(file, 'arrays', sorted(arrays), self._other())
        keys = known[:1] or [key for key, value in arrays.items() if key != 'visibility'
                             and value.ndim and value.dtype.kind == 'f']
        if len(keys) != 1:
            raise self.error(file, 'arrays', {k: v.shape for k, v in arrays.items()},
                             f'one of landmarks, or called {mine[0]}')
        array = arrays[keys[0]]
        if array.ndim == 1 or array.shape[0] == _BODY and array.ndim == 2 and array.shape[1] < 6:
            array = array[None]  # a frame
        if array.ndim == 2:
            try:
                flat_length(array.shape[1])
            except ValueError as error:
                raise self.error(file, keys[0] or 'array', f'shape {array.shape}', error) from None
            array = array[:, :flat_length(array.shape[1])].reshape(len(array), _BODY, -1)
        seen = arrays.get('visibility')
        if seen is not None and seen.shape == array.shape[:-1] and array.shape[-1] < 4:
            pad = np.zeros((*seen.shape, 3 - array.shape[-1]))
            array = np.concatenate([array, pad, seen[..., None]], -1)
        if array.ndim == 3:
            array = array[:, None]
        if array.ndim != 4 or array.dtype.kind not in 'fiu':
            raise self.error(file, keys[0] or 'array', f'{array.dtype} of shape {array.shape}',
                             'numbers of shape (frames, landmarks, 2 to 5)')
        present = (np.nan_to_num(array.astype(np.float64)) != 0).any((2, 3))  # (T, M)
        return self._made(file, [None] * len(array), present.sum(1).tolist(), array[present])


def flat_length(length: int) -> int:
    """Return how many numbers of a frame, one after the other, are those of the body.

    Raises:
        ValueError: If they cannot be landmarks.
    """
    if length in _FLAT_WITH_BODY:
        return 4 * _BODY
    if length % _BODY or not 2 <= length // _BODY <= 5:
        raise ValueError(f'{length} numbers of a frame, expected {_BODY} x 2 to 5')
    return length


def told(data) -> dict:
    """Return image size and frame rate that a file tells."""
    out: dict = {}
    tables = [data, *data.values()] if isinstance(data, dict) else []
    for table in tables:
        if not isinstance(table, dict):
            continue
        for prefix in ('', 'image_', 'frame_', 'video_', 'img_'):
            size = tuple(table.get(f'{prefix}{side}') for side in ('height', 'width'))
            if all(is_number(v, 1) and v < 2**16 for v in size):
                out.setdefault('img_shape', (int(size[0]), int(size[1])))
        fps = table.get('fps')
        if is_number(fps, 1e-3) and fps < 10**4:
            out.setdefault('fps', float(fps))
    return out


def is_point(value) -> bool:
    """Return whether a value is a landmark."""
    if isinstance(value, dict):
        return {'x', 'y'} <= value.keys() and not isinstance(value['x'], list)
    return isinstance(value, list) and 2 <= len(value) <= 5 and all(
        v is None or type(v) in (int, float) for v in value)


def _values(point) -> list:
    """Return x, y, z and visibility of a landmark, None where it lacks them."""
    if isinstance(point, list):
        return point
    score = next((point[key] for key in ('visibility', 'score', 'confidence') if key in point),
                 None)
    return [point['x'], point['y'], point.get('z'), score]


def frames_of(data) -> list | None:
    """Return the frames of a video; None if it is one frame."""
    if isinstance(data, dict):
        for key in ('frames', 'results', 'data'):
            if isinstance(data.get(key), (list, dict)):
                return data[key] if isinstance(data[key], list) else frames_of(data[key])
        if any(key in data for keys in KEYS for key in keys):
            return None
        if is_point(next(iter(data.values()), None)):  # by name
            return None
        named = [(key, value) for key, value in data.items()
                 if re.fullmatch(r'\D*\d{1,9}(\.\w+)?', key)]
        return [dict(frame=re.sub(r'\..*|\D', '', key), landmarks=value) for key, value in named]
    if data and (is_point(data[0]) or type(data[0]) in (int, float)):
        return None
    return data


def persons_of(value) -> list[list]:
    """Return the landmarks of each person of a frame."""
    if not value:
        return []
    if isinstance(value, dict):
        for key in (*KEYS[0], *KEYS[1], 'pose'):
            if key in value and not is_point(value[key]):
                return persons_of(value[key])
        if all(isinstance(value.get(axis), list) for axis in 'xy'):
            axes = [value[axis] for axis in ('x', 'y', 'z', 'visibility') if value.get(axis)]
            return [[list(point) for point in zip(*axes, strict=True)]]
        if not is_point(next(iter(value.values()))):
            raise ValueError(f'no landmarks among {show(list(value))}')
        joints = {int(key) if re.fullmatch(r'\d{1,2}', key) else joint_index(key): point
                  for key, point in value.items()}
        if joints.keys() != set(range(_BODY)):
            raise ValueError(f'landmarks called {show(list(value))}')
        return [[joints[i] for i in range(_BODY)]]
    if not isinstance(value, list):
        raise TypeError(f'{type(value).__name__} for landmarks')
    if is_point(value[0]):
        named = isinstance(value[0], dict) and value[0].get('name')
        return _ordered(value) if named else [value]
    if type(value[0]) in (int, float):
        length = flat_length(len(value))
        step = length // _BODY
        return [[value[i:i + step] for i in range(0, length, step)]]
    return [person for item in value for person in persons_of(item)]


def _ordered(points: list[dict]) -> list[list]:
    """Order landmarks by their names, if all have one."""
    joints = {joint_index(str(point.get('name'))): point for point in points}
    named = joints.keys() == set(range(_BODY))
    return [[joints[i] for i in range(_BODY)]] if named else [points]
