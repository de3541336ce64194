"""Landmarks of MediaPipe Pose (BlazePose), as people save them: JSON, CSV, arrays.

A landmark has x and y in sizes of the image, z, visibility and, of newer versions, presence. World
landmarks have meters instead, with the origin between the hips.
"""
import io
import re
from collections.abc import Iterator

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.untrusted import parse_json, read_npy, read_npz

from ..base import Item, Sample
from ..motion_capture import MotionCapture
from ..per_frame_poses import FramePoses, FramePoseSource
from .landmark_tables import snake
from .landmarks import KEYS, Landmarks, frames_of, is_point, persons_of

_LAYOUT, _HIPS = 'mediapipe33', [23, 24]
# Distance of the hips from the origin in meters, and what it is in the image at least.
_CENTERED, _IN_IMAGE = .02, .05
# Frames that a file lacks, per frame.
_MAX_MISSING = 100
# Bytes of an array that is recognized.
_SEARCHED = 2**24


@SOURCES.register_module('mediapipe')
class MediaPipe(Landmarks, FramePoseSource):
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
class MediaPipeWorld(MotionCapture, Landmarks):
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
        place, counts = self._places(name, numbers), np.array(frames.counts)
        start = np.cumsum(counts) - counts
        joints = np.full((counts.max(), place.max() + 1, 33, 3), np.nan)
        for person in range(len(joints)):
            there = counts > person
            joints[person, place[there]] = frames.keypoint[start[there] + person]
        if len(joints) > 1:
            self.note(name, 'persons of a frame are told apart by their order in the file')
        persons = [self.meters(name, 'landmarks', self.from_layout(person, _LAYOUT), self.unit,
                               self.up or self.default_up) for person in joints]
        fps = self.fps or told.get('fps')
        yield dict(frame_dir=recording, label=listed[0], joints=np.stack(persons),
                   **(dict(fps=float(fps)) if fps else {})), listed[1]

    def _places(self, name, numbers) -> np.ndarray:
        """Return the row of each frame (T,); frames that the file lacks are rows, too."""
        places = numbers - numbers.min()
        places = places // max(int(np.gcd.reduce(places)), 1)
        if places.max() <= _MAX_MISSING * len(places):
            return places
        self.note(name, 'most frames are missing, and left out')
        return np.argsort(np.argsort(numbers))


def _recognize(sample: Sample, world: bool) -> str | None:
    """Say why a file has landmarks of MediaPipe."""
    mine, others = KEYS[::-1] if world else KEYS
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
        header = snake(header)
        if re.match('(body_)?nose_x,.*_z', header) and 'visib' not in header and any(
                abs(float(cell or 0)) > 10 for cell in rows[0].split(',')):
            return None  # millimeters of FreeMoCap
        by_row = re.search('landmark|keypoint', header) and 'foot_index' in snake(rows[-2])
        fits = by_row or re.search(r'foot_index|(^|\W)x_?32\b.*\by_?32\b', header)
        return f'columns of {kind}' if fits and ('world' in header) == world else None
    data = sample.json
    if data is None:
        data = parse_json(sample.head.splitlines()[0])
    frames = frames_of(data)
    if frames is None and isinstance(data, dict):
        inner = next((data[key] for key in mine if isinstance(data.get(key), dict)), None)
        frames = inner and frames_of(inner)
    for item in ([data] if frames is None else frames)[:1000]:
        if isinstance(item, dict) and not is_point(next(iter(item.values()), None)):
            keys = [key for key in mine if key in item]
            other = any(key in item for key in others)
            if other and (world or not keys) or world and not keys:
                continue
            persons = persons_of(item[keys[0]] if keys else item)
        else:
            persons = [] if world else persons_of(item)
        if persons and len(persons[0]) == 33:
            return f'frames of 33 {kind}'
    return None


def _hips(keypoint: np.ndarray) -> float:
    """Return the median distance of the hips' center from the origin."""
    known = np.isfinite(keypoint).all((1, 2)) & (keypoint != 0).any((1, 2))
    if keypoint.shape[1] != 33 or not known.any():
        return np.nan
    return float(np.median(np.linalg.norm(keypoint[known][:, _HIPS].mean(1), axis=-1)))
