"""Landmarks of MediaPipe Pose (BlazePose), as people save them: JSON, CSV, arrays.

A landmark has x and y in sizes of the image, z, visibility and, of newer versions, presence. World
landmarks have meters instead, with the origin between the hips.
"""
import csv
import io
import re
from collections.abc import Iterator, Sequence

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import describe, show
from mofm.utils.untrusted import parse_json, read_npy, read_npz

from ..base import Item, Sample
from ..frame_files import FrameFiles
from ..motion_capture import MotionCapture
from ..per_frame_poses import FramePoses, FramePoseSource
from .frame_files import NUMBER_KEYS, Frames, frame_number, json_lines, read_each

# Names of MediaPipe in their order.
_NAMES = (
    'nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye',
    'right_eye_outer', 'left_ear', 'right_ear', 'mouth_left', 'mouth_right', 'left_shoulder',
    'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_pinky',
    'right_pinky', 'left_index', 'right_index', 'left_thumb', 'right_thumb', 'left_hip',
    'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle', 'left_heel', 'right_heel',
    'left_foot_index', 'right_foot_index')
_INDEX = {''.join(sorted(name.split('_'))): i for i, name in enumerate(_NAMES)}
_HIPS = [23, 24]
_LAYOUT = 'mediapipe33'
# Keys of landmarks in the image and in meters, in JSON and .npz files.
_KEYS = (('pose_landmarks', 'poseLandmarks', 'landmarks', 'landmark', 'keypoints', 'pose',
          'poses'),
         ('pose_world_landmarks', 'poseWorldLandmarks', 'world_landmarks', 'worldLandmarks',
          'keypoints3D', 'keypoints_3d'))
_AXES = dict(x=0, y=1, z=2, v=3, vis=3, visibility=3, score=3, confidence=3, conf=3)
_WORDS = {'pose', 'landmark', 'landmarks', 'world', 'lm', 'kp', 'keypoint', 'joint', 'point'}
_ROW_KEYS = ('landmark', 'landmark_id', 'landmark_index', 'landmark_idx', 'landmark_name', 'joint',
             'keypoint', 'keypoint_id', 'name', 'index', 'id')
# Distance of the hips from the origin in meters, and what it is in the image at least.
_CENTERED, _IN_IMAGE = .02, .05
# Largest coordinate in any unit.
_LARGEST = 1e6
# Bytes of an array that is recognized.
_SEARCHED = 2**24


class _Landmarks(FrameFiles):
    """Files of both readers."""

    suffix = ('.json', '.jsonl', '.ndjson', '.csv', '.npy', '.npz')
    max_size = 2**29
    #: Whether world landmarks are read.
    world = False

    def one_frame(self, sample: Sample) -> bool:
        """See :class:`FrameFiles`."""
        return sample.suffix == '.json' and _frames_of(sample.json) is None

    def landmarks(self, name: str, content: Iterator[tuple[str, bytes]]
                  ) -> tuple[Frames, np.ndarray, dict]:
        """Parse the files of a video.

        Returns:
            tuple: :class:`Frames` with keypoint (N, J, 3) and score (N, J), (T,) numbers of the
            frames, and what the file tells about the video.
        """
        self._told = {}
        frames, numbers = read_each(self, name, content, self._parse)
        return frames, numbers, self._told

    def _parse(self, file, content) -> Frames:
        suffix = self.tree.filename(file).lower().rpartition('.')[2]
        if suffix in ('npy', 'npz'):
            return self._array_file(file, content, suffix)
        if suffix == 'csv':
            return self._csv(file, content)
        data = json_lines(self, file, content)
        try:
            frames = _frames_of(data)
            if frames is not None:
                self._told = _told(data)
            frames = [data] if frames is None else frames
            numbers = [frame_number(item) if isinstance(item, dict) else None for item in frames]
            chosen = [self._chosen(file, item) for item in frames]
            persons = [_persons_of(item) for item in chosen]
            values = [[_values(point) for point in person] for frame in persons
                      for person in frame]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.error(file, 'landmarks', describe(error),
                             'x, y, z and visibility of landmarks') from None
        return self._made(file, numbers, [len(frame) for frame in persons], values)

    def _chosen(self, file, item):
        """Return the landmarks of a frame, those of the world or of the image."""
        if not isinstance(item, dict) or _is_point(next(iter(item.values()), None)):
            return item
        mine, others = _KEYS[::-1] if self.world else _KEYS
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
        xyz = array[..., :3]
        score = array[..., 3] if array.shape[2] > 3 else np.ones(array.shape[:2])
        third = array[..., 2:3]
        if array.shape[2] == 3 and not self.world and ((third >= 0) & (third <= 1)).all():
            self.note(file, 'the third values of landmarks, all of 0 to 1, are taken for their '
                      'visibility')
            score = third[..., 0]
        return Frames(numbers, counts, xyz, np.where(np.isnan(score), 1, score),
                      [None] * len(array))

    def _array_file(self, file, content, suffix):
        """Read (T, J, C), (T, M, J, C) or (T, J * C) numbers."""
        try:
            arrays = self.npz(file, content) if suffix == 'npz' else {
                '': read_npy(io.BytesIO(content))}
        except Exception as error:  # damaged bytes make the parser raise nearly anything
            raise self.error(file, 'file', describe(error), 'a readable array') from None
        mine, others = _KEYS[::-1] if self.world else _KEYS
        known = [key for key in mine if key in arrays]
        if not known and any(key in arrays for key in others):
            raise self.error(file, 'arrays', sorted(arrays), self._other())
        keys = known[:1] or [key for key, value in arrays.items()
                             if value.ndim > 1 and value.dtype.kind == 'f']
        if len(keys) != 1:
            raise self.error(file, 'arrays', {k: v.shape for k, v in arrays.items()},
                             f'one of landmarks, or called {mine[0]}')
        array = arrays[keys[0]]
        if array.ndim == 2 and array.shape[1] % 33 == 0 and array.shape[1]:
            array = array.reshape(len(array), 33, -1)
        if array.ndim == 3:
            array = array[:, None]
        if array.ndim != 4 or array.dtype.kind not in 'fiu':
            raise self.error(file, keys[0] or 'array', f'{array.dtype} of shape {array.shape}',
                             'numbers of shape (frames, landmarks, 2 to 5)')
        present = (np.nan_to_num(array.astype(np.float64)) != 0).any((2, 3))  # (T, M)
        return self._made(file, [None] * len(array), present.sum(1).tolist(), array[present])

    def _csv(self, file, content):
        """Read a table with a frame, or a landmark, per row."""
        try:
            text = content.decode('utf-8-sig')
            rows = [row for row in csv.reader(io.StringIO(text), delimiter=_delimiter(text))
                    if any(cell.strip() for cell in row)]
        except (ValueError, csv.Error) as error:
            raise self.error(file, 'file', describe(error), 'a table') from None
        if not rows:
            raise self.error(file, 'file', 'no rows', 'a row per frame')
        header, body = [cell.strip() for cell in rows[0]], rows[1:]
        if all(re.fullmatch(r'[-+.\deE]*', cell) for cell in header):
            body, width = rows, len(header)
            first = width % 33 == 1
            values = (width - first) // 33
            if (width - first) % 33 or not 2 <= values <= 5:
                raise self.error(file, 'columns', width, '33 landmarks of 2 to 5 values, or a '
                                 'row with the names of the columns')
            header = ['frame'] * first + [f'{axis}{i}' for i in range(33)
                                          for axis in ('x', 'y', 'z', 'v', 'presence')[:values]]
        wrong = [i for i, row in enumerate(body) if len(row) != len(header)]
        if wrong:
            raise self.error(file, f'row {wrong[0] + 2}', f'{len(body[wrong[0]])} values',
                             f'{len(header)}, as many as columns')
        plain = [re.sub(r'[^a-z0-9]+', '_', _snake(name)).strip('_') for name in header]
        number = [i for i, name in enumerate(plain) if name in NUMBER_KEYS]
        numbers = None
        if number:
            numbers = self._column(file, body, number[0], header)
            order = np.argsort(numbers, kind='stable')
            numbers, body = numbers[order], [body[i] for i in order]
        landmark = [i for key in _ROW_KEYS for i, name in enumerate(plain) if name == key]
        if landmark and {'x', 'y'} <= set(plain):
            return self._long(file, body, header, plain, numbers, landmark[0])
        columns = self._columns(file, header, plain)
        count = max(joint for joint, _ in columns) + 1
        values = np.full((len(body), count, 1 + max(axis for _, axis in columns)), np.nan)
        for (joint, axis), column in columns.items():
            values[:, joint, axis] = self._column(file, body, column, header)
        present = np.isfinite(values[..., :2]).any((1, 2))
        told = [None] * len(body) if numbers is None else numbers.tolist()
        return self._made(file, *_by_frame(told, present), values[present])

    def _columns(self, file, header, plain) -> dict[tuple[int, int], int]:
        """Return the column of each landmark and axis, both counted from 0."""
        columns, first = {}, None
        for column, name in enumerate(plain):
            parts = [p for part in name.split('_') for p in re.findall(r'\d+|\D+', part)]
            axes = [part for part in parts if part in _AXES]
            world = 'world' in parts
            if len(axes) != 1 or world != (self.world and any('world' in p for p in plain)):
                continue
            rest = [part for part in parts if part not in (axes[0], *_WORDS)]
            if len(rest) == 1 and rest[0].isdecimal() and len(rest[0]) < 5:
                joint = int(rest[0])
                first = joint if first is None else min(first, joint)
                key = ('number', joint)
            else:
                joint = _INDEX.get(''.join(sorted(rest)))
                key = ('name', joint)
            if joint is None:
                continue
            if (*key, _AXES[axes[0]]) in columns:
                raise self.error(file, 'columns', f'{header[column]!r} and '
                                 f'{header[columns[(*key, _AXES[axes[0]])]]!r}', 'one of a kind')
            columns[(*key, _AXES[axes[0]])] = column
        kinds = {kind for kind, _, _ in columns}
        out = {(joint - (first or 0) * (kind == 'number'), axis): column
               for (kind, joint, axis), column in columns.items()}
        if len(kinds) != 1 or not {0, 1} <= {axis for _, axis in out} or first not in (None, 0, 1):
            raise self.error(file, 'columns', header[:20], 'names like x0 and y0, or nose_x and '
                             'nose_y')
        return out

    def _long(self, file, body, header, plain, numbers, landmark):
        """Read a table with a landmark per row."""
        if numbers is None or not body:
            raise self.error(file, 'columns', header[:20], 'one with the frame, and rows')
        names = [row[landmark].strip() for row in body]
        if all(name.isdecimal() and len(name) < 5 for name in names):
            joints = np.array([int(name) for name in names])
        else:
            found = {name: _INDEX.get(''.join(sorted(_snake(name).split('_'))))
                     for name in set(names)}
            unknown = [name for name, joint in found.items() if joint is None]
            if unknown:
                raise self.error(file, header[landmark], show(unknown[0]),
                                 'landmarks of MediaPipe')
            joints = np.array([found[name] for name in names])
        axes = {_AXES[name]: i for i, name in enumerate(plain) if name in _AXES}
        frames, row = np.unique(numbers, return_inverse=True)
        if len(np.unique(np.stack([row, joints]), axis=1).T) < len(body):
            raise self.error(file, header[landmark], 'a landmark twice in a frame', 'once')
        values = np.full((len(frames), max(33, joints.max() + 1), 1 + max(axes)), np.nan)
        for axis, column in axes.items():
            values[row, joints, axis] = self._column(file, body, column, header)
        return self._made(file, frames.tolist(), [1] * len(frames), values)

    def _column(self, file, body, column, header) -> np.ndarray:
        """Return the numbers of a column, NaN where it is empty."""
        try:
            return np.array([row[column].strip() or 'nan' for row in body]).astype(np.float64)
        except ValueError as error:
            raise self.error(file, header[column], show(error), 'numbers') from None


@SOURCES.register_module('mediapipe')
class MediaPipe(_Landmarks, FramePoseSource):
    """Reader of landmarks in the image.

    JSON is a list or dict of frames, or a file per frame; a frame is the list of landmarks, or has
    it as ``pose_landmarks`` or the like, or a list of persons. A landmark is a dict with ``x`` and
    ``y``, or a list of 2 to 5 values. CSV has a row per frame, with columns like ``x0`` or
    ``left_hip_x``, or a row per frame and landmark. Arrays in ``.npy`` and ``.npz`` are (T, 33, 2
    to 5). The score is the visibility.

    Coordinates in sizes of the image need ``img_shape`` unless the file tells width and height.
    """

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return _recognize(sample, world=False)

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        frames, numbers, told = self.landmarks(name, content)
        keypoint = frames.keypoint[..., :2]
        if _hips(keypoint) < _CENTERED:
            raise self.error(name, 'landmarks', 'hips at 0, 0', self._other())
        keypoint, score = self.to_layout_joints(name, 'landmarks', keypoint, frames.score,
                                                (_LAYOUT, ))
        yield FramePoses(
            name=self.stem(name), frames=np.sort(numbers),
            frame=np.repeat(numbers, frames.counts), keypoint=keypoint, score=score, **told)


@SOURCES.register_module('mediapipe_world')
class MediaPipeWorld(MotionCapture, _Landmarks):
    """Reader of world landmarks in the files of :class:`MediaPipe`, through virtual cameras.

    They are meters with y down, so that ``up`` is ``-y`` by default, and are centered at the hips:
    the person does not walk. Several persons of a frame are persons in their order in the file.
    """

    world = True
    default_up = '-y'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return _recognize(sample, world=True)

    def recordings(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        frames, numbers, told = self.landmarks(name, content)
        recording = self.stem(name)
        listed = self.listed(recording)
        if listed is None:
            return
        if frames.keypoint.shape[1:] != (33, 3) or not len(frames.keypoint):
            raise self.error(name, 'landmarks', f'shape {frames.keypoint.shape}',
                             'x, y and z of 33 landmarks')
        if _hips(frames.keypoint) > _IN_IMAGE:
            raise self.error(name, 'landmarks', 'hips away from the origin', self._other())
        rows = np.argsort(numbers)
        counts = np.array(frames.counts)
        start = np.cumsum(counts) - counts
        joints = np.full((counts.max(), len(numbers), 33, 3), np.nan)
        for person in range(len(joints)):
            there = np.flatnonzero(counts[rows] > person)
            joints[person, there] = frames.keypoint[start[rows[there]] + person]
        if len(joints) > 1:
            self.note(name, 'persons of a frame are told apart by their order in the file')
        persons = [self.meters(name, 'landmarks', self.from_layout(person, _LAYOUT), self.unit,
                               self.up or self.default_up) for person in joints]
        fps = self.fps or told.get('fps')
        yield dict(frame_dir=recording, label=listed[0], joints=np.stack(persons),
                   **(dict(fps=float(fps)) if fps else {})), listed[1]


def _recognize(sample: Sample, world: bool) -> str | None:
    """Say why a file has landmarks of MediaPipe."""
    mine, others = _KEYS[::-1] if world else _KEYS
    kind = 'world landmarks' if world else 'landmarks'
    if sample.suffix in ('.npy', '.npz'):
        shapes = {key: shape for key, (shape, _) in sample.arrays.items()}
        known = [key for key in mine if key in shapes]
        if not known and (len(shapes) > 1 or any(key in shapes for key in others)):
            return None
        key = known[0] if known else next(iter(shapes))
        if len(shapes[key]) < 3 or shapes[key][-2] != 33 or not 2 <= shapes[key][-1] <= 5:
            return None
        content = io.BytesIO(sample.tree.read(sample.name, _SEARCHED))
        array = read_npy(content) if sample.suffix == '.npy' else read_npz(content)[key]
        centered = _hips(array.reshape(-1, 33, array.shape[-1])[..., :3]) < _CENTERED
        return f'an array of 33 {kind}' if centered == world else None
    if sample.suffix == '.csv':
        header, *rows = sample.head.decode('utf-8-sig').splitlines()
        header = _snake(header)
        by_row = re.search('landmark|keypoint', header) and 'foot_index' in _snake(rows[-2])
        fits = by_row or re.search(r'foot_index|(^|\W)x_?32\b.*\by_?32\b', header)
        return f'columns of {kind}' if fits and ('world' in header) == world else None
    data = sample.json
    if data is None:
        data = parse_json(sample.head.splitlines()[0])
    frames = _frames_of(data)
    for item in ([data] if frames is None else frames)[:1000]:
        if isinstance(item, dict) and not _is_point(next(iter(item.values()), None)):
            keys = [key for key in mine if key in item]
            other = any(key in item for key in others)
            if other and (world or not keys) or world and not keys:
                continue
            persons = _persons_of(item[keys[0]] if keys else item)
        else:
            persons = [] if world else _persons_of(item)
        if persons and len(persons[0]) == 33:
            return f'frames of 33 {kind}'
    return None


def _hips(keypoint: np.ndarray) -> float:
    """Return the median distance of the hips' center from the origin."""
    known = np.isfinite(keypoint).all((1, 2)) & (keypoint != 0).any((1, 2))
    if keypoint.shape[1] != 33 or not known.any():
        return np.nan
    return float(np.median(np.linalg.norm(keypoint[known][:, _HIPS].mean(1), axis=-1)))


def _told(data) -> dict:
    """Return image size and frame rate that a file tells."""
    out = {}
    tables = [data, *data.values()] if isinstance(data, dict) else []
    for table in tables:
        if not isinstance(table, dict):
            continue
        for prefix in ('', 'image_', 'frame_', 'video_', 'img_'):
            size = tuple(table.get(f'{prefix}{side}') for side in ('height', 'width'))
            if all(type(v) in (int, float) and 1 < v < 2**16 for v in size):
                out.setdefault('img_shape', (int(size[0]), int(size[1])))
        fps = table.get('fps')
        if type(fps) in (int, float) and 0 < fps < 10**4:
            out.setdefault('fps', float(fps))
    return out


def _is_point(value) -> bool:
    """Return whether a value is a landmark."""
    if isinstance(value, dict):
        return 'x' in value and 'y' in value
    return isinstance(value, list) and 2 <= len(value) <= 5 and all(
        v is None or type(v) in (int, float) for v in value)


def _values(point) -> list:
    """Return x, y, z and visibility of a landmark, None where it lacks them."""
    if isinstance(point, list):
        return point
    return [point['x'], point['y'], point.get('z'), point.get('visibility', point.get('score'))]


def _frames_of(data) -> list | None:
    """Return the frames of a video; None if it is one frame."""
    if isinstance(data, dict):
        listed = [data[key] for key in ('frames', 'results', 'data') if isinstance(
            data.get(key), list)]
        if listed:
            return listed[0]
        if any(key in data for keys in _KEYS for key in keys):
            return None
        if _is_point(next(iter(data.values()), None)):  # by name
            return None
        named = [(key, value) for key, value in data.items()
                 if re.fullmatch(r'\D*\d{1,9}(\.\w+)?', key)]
        return [dict(frame=re.search(r'\d+', key)[0], landmarks=value) for key, value in named]
    if data and (_is_point(data[0]) or type(data[0]) in (int, float)):
        return None
    rows = data and isinstance(data[0], dict) and 'x' in data[0]
    return None if rows else data


def _persons_of(value) -> list[list]:
    """Return the landmarks of each person of a frame."""
    if not value:
        return []
    if isinstance(value, dict):
        for key in (*_KEYS[0], *_KEYS[1], 'pose'):
            if key in value and not _is_point(value[key]):
                return _persons_of(value[key])
        if not _is_point(next(iter(value.values()))):
            raise ValueError(f'no landmarks among {show(list(value))}')
        joints = {_INDEX.get(''.join(sorted(_snake(key).split('_'))), int(key) if key.isdecimal()
                             and len(key) < 3 else None): point for key, point in value.items()}
        if joints.keys() != set(range(33)):
            raise ValueError(f'landmarks called {list(value)[:5]}')
        return [[joints[i] for i in range(33)]]
    if not isinstance(value, list):
        raise TypeError(f'{type(value).__name__} for landmarks')
    if _is_point(value[0]):
        if len(value) > 1 and isinstance(value[0], dict) and 'name' in value[0]:
            return _ordered(value)
        return [value]
    if type(value[0]) in (int, float):
        if len(value) % 33 or not 2 <= len(value) // 33 <= 5:
            raise ValueError(f'{len(value)} values of a frame')
        step = len(value) // 33
        return [[value[i:i + step] for i in range(0, len(value), step)]]
    return [person for item in value for person in _persons_of(item)]


def _ordered(points: list[dict]) -> list[list]:
    """Order landmarks by their names, if all have one."""
    joints = {_INDEX.get(''.join(sorted(_snake(str(point.get('name'))).split('_')))): point
              for point in points}
    return [[joints[i] for i in range(33)]] if joints.keys() == set(range(33)) else [points]


def _snake(name: str) -> str:
    """Write a name with ``_`` and in lower case: ``leftHip`` is ``left_hip``."""
    return re.sub(r'(?<=[a-z])(?=[A-Z])', '_', name).lower()


def _delimiter(text: str) -> str:
    """Return what separates the columns."""
    line = text.split('\n', 1)[0]
    return max(',;\t', key=line.count)


def _by_frame(numbers: Sequence, present: np.ndarray) -> tuple[list, list[int]]:
    """Return numbers of frames and persons in each, of rows with a person each or none."""
    if None in numbers:
        return numbers, present.astype(int).tolist()
    frames: dict = {}
    for number, there in zip(numbers, present.tolist(), strict=True):
        frames[number] = frames.get(number, 0) + there
    if len(frames) == len(numbers):
        return list(numbers), present.astype(int).tolist()
    return list(frames), list(frames.values())
