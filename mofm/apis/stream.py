"""MotionStream: online results of the persons in front of a camera."""
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from mofm.annotations.values import (
    find_coordinates,
    find_fault,
    find_size_fault,
    to_pixels,
    without_nan,
)
from mofm.keypoints import PoseTracker, resample
from mofm.structures import SCORE_THRESHOLD, convert, get_layout
from mofm.utils.checks import found_expected, is_int, is_number, show

from .arrays import to_floats
from .inferencer import MotionInferencer
from .recordings import RecordingOptions

# First number of a video, and frames that may be skipped at once: four days at 30 per second.
_MAX_FRAME, _MAX_GAP = 2**53, 10**7
_MAX_WINDOW = 10**6
# Frames in a row that fit into the image only if its height and width are swapped.
_SWAPPED = 10


@dataclass(frozen=True)
class StreamResult:
    """Result of one full window of one person.

    Attributes:
        person (int): Track ID.
        frames (tuple[int, int]): First and last frame of the window.
        frame (int): Frame that the window scores, its middle.
        output (dict): Arrays of :meth:`MotionInferencer.predict_clips`, e.g. ``normality``.
    """

    person: int
    frames: tuple[int, int]
    frame: int
    output: dict


class MotionStream:
    """Online inference: push frames one by one, get results as windows fill.

    Every person has a window, the last frames in which they were visible; memory does not grow
    with time. Windows are those of :class:`TrackWindowDataset`, except that a track also has the
    window that ends with its last frame. All windows that a frame fills make one batch.

    Args:
        inferencer (MotionInferencer): The model.
        img_shape (tuple[int, int]): Height and width of the image in pixels.
        task (str, optional): One of ``inferencer.tasks``, by default the first.
        window (int, optional): Frames of a window at the frame rate of the model. By default
            ``seg_len`` or ``window`` of the config's data set, ``max_frames`` of its backbone, or
            the frames of the model's clips.
        stride (int): Camera frames between two windows of a person. Defaults to 1.
        max_missing (int): Missing frames allowed in a window. Defaults to 2.
        fps (float, optional): Frame rate of the camera.
        model_fps (float, optional): Frame rate of the training data, to which windows are
            resampled; needs ``fps``.
        layout (str): Joints of the keypoints. Defaults to 'coco17'.
        coordinates (str): 'pixels', 'unit' (0 to 1 of the image) or 'signed' (-1 to 1). Defaults
            to 'pixels'; keypoints that are none are refused.
        max_lost (int): Missing frames after which a track ends. Defaults to 30.

    Raises:
        ValueError: If an argument is out of range or the model does not support the task.
    """

    def __init__(self,
                 inferencer: MotionInferencer,
                 img_shape: tuple[int, int],
                 task: str | None = None,
                 window: int | None = None,
                 stride: int = 1,
                 max_missing: int = 2,
                 fps: float | None = None,
                 model_fps: float | None = None,
                 layout: str = 'coco17',
                 coordinates: str = 'pixels',
                 max_lost: int = 30):
        model = inferencer.model
        if window is None:
            dataset, grid = inferencer.dataset, getattr(model.data_preprocessor, 'grid', None)
            window = dataset.get('seg_len') or dataset.get('window') or (
                inferencer.task(task).max_frames or grid and grid.num_frames)
            if window is None:
                raise ValueError('window: found nothing, expected the frames of a window, which a '
                                 f'config of {type(model.backbone).__name__} does not define')
        self._check(isinstance(img_shape, (tuple, list, np.ndarray)) and len(img_shape) == 2
                    and all(is_number(s, 1) and s == int(s) for s in img_shape),  # OpenCV: floats
                    'img_shape', show(img_shape), 'height and width in pixels')
        for name, value, low in (('window', window, 1), ('stride', stride, 1),
                                 ('max_missing', max_missing, 0), ('max_lost', max_lost, 0)):
            self._check(is_int(value, low) and value <= _MAX_WINDOW, name, show(value),
                        f'an integer of at least {low}, at most {_MAX_WINDOW}')
        RecordingOptions(fps, model_fps, layout, coordinates=coordinates)  # checks them
        if model_fps is not None and fps is None:
            raise ValueError('fps: found nothing, expected the frame rate of the camera, as '
                             'model_fps is set')
        self.inferencer = inferencer.task(task)
        self.img_shape = tuple(map(int, img_shape))
        self.ratio = model_fps / fps if model_fps and fps else 1.
        self.size = window
        self.window = max(round(window / self.ratio), 1)  # camera frames
        self._check(self.window <= _MAX_WINDOW, 'window', f'{self.window} frames of the camera',
                    f'at most {_MAX_WINDOW}; correct fps={fps} or model_fps={model_fps}')
        self.stride = stride
        self.max_missing = round(max_missing / self.ratio)
        self.layout = get_layout(layout)
        self.coordinates = coordinates
        self.max_lost = max_lost
        self.reset()

    def reset(self):
        """Reset all tracks, e.g. when the camera is moved."""
        self._frame = -1
        self._swapped = 0  # frames in a row that need height and width swapped
        self._named: bool | None = None  # whether the caller tracks persons, None if unknown
        self._tracker = PoseTracker(max_lost=self.max_lost)
        self._person = np.zeros(0, np.int64)  # (P,)
        self._count = np.zeros(0, np.int64)  # rows so far
        joints = self.inferencer.layout.num_joints
        self._rows = np.zeros((0, self.window, joints, 3), np.float32)  # newest at count % window
        self._inds = np.full((0, self.window), -1)  # frames of the rows

    def push(self, keypoint: np.ndarray, keypoint_score: np.ndarray | None = None,
             frame: int | None = None,
             person: Sequence[int] | None = None) -> list[StreamResult]:
        """Add the poses of the next frame.

        Args:
            keypoint (np.ndarray): (N, V, 2) coordinates of the N persons in the frame, N may be 0.
                Joints with NaN, masked or at (0, 0) are missing. Tensors and nested lists are
                accepted, too.
            keypoint_score (np.ndarray, optional): (N, V) in [0, 1]; by default 1.
            frame (int, optional): Frame number, ascending; frames may be skipped. By default
                the next.
            person (Sequence[int], optional): (N,) track IDs. By default :class:`PoseTracker`
                assigns them; both cannot be mixed until :meth:`reset`.

        Returns:
            list[StreamResult]: One per window that this frame fills.

        Raises:
            ValueError: If a shape, a type or a number is wrong, frames are not in order, or a
                track ID is repeated. After any error the stream is as it was before the call.
        """
        points = self._points(keypoint, keypoint_score)
        frame = self._frame + 1 if frame is None else self._check_frame(frame)
        here = (points[..., 2] > 0).any(1)
        given = None if person is None else self._check_person(person, len(here))
        if len(here):
            self._check(self._named in (None, given is not None), 'person',
                        'nothing' if given is None else show(given.tolist()), 'IDs with every '
                        'frame or with none; call reset() to change that')
        before = dict(vars(self), _tracker=copy(self._tracker))
        try:
            self._named = given is not None if len(here) else self._named
            self._frame = frame
            points = points[here]
            if given is None:
                coco = convert(points[..., :2], points[..., 2], self.inferencer.layout.name)
                numbers = self._tracker.update(*coco, frame)
            else:
                numbers = given[here]
            slots = self._store(numbers, points, frame)
            return self._predict(slots[self._full(slots)])
        except BaseException:  # both create new arrays instead of writing to the old ones
            vars(self).update(before)
            raise

    def _check(self, condition: bool, field: str, found: object, expected: str):
        if not condition:
            raise ValueError(found_expected(type(self).__name__, field, found, expected))

    def _check_frame(self, frame: Any) -> int:
        """Check the number of a frame."""
        self._check(is_int(frame, 0), 'frame', show(frame), 'an integer of at least 0')
        self._check(frame > self._frame, 'frame', f'{frame} after {self._frame}', 'ascending '
                    'numbers; call reset() for another video')
        most = _MAX_FRAME if self._frame < 0 else self._frame + _MAX_GAP
        self._check(frame <= most, 'frame', f'{frame} after {self._frame}',
                    f'at most {most}, as numbers of frames and no time stamps; call reset() for '
                    'another video')
        return int(frame)

    def _check_person(self, person: Any, count: int) -> np.ndarray:
        """Check the track IDs of a frame."""
        values = person.tolist() if hasattr(person, 'tolist') else person
        self._check(isinstance(values, Sequence) and not isinstance(values, (str, bytes))
                    and len(values) == count
                    and all(is_int(value, -2**63) for value in values)
                    and len(set(values)) == count, 'person', show(values),
                    f'{count} different integers of 64 bits, one per person')
        return np.array(values, np.int64)

    def _points(self, keypoint, score) -> np.ndarray:
        """Return (N, J, 3) x, y and score, 0 for missing joints, in the layout of the model."""
        joints = self.layout.num_joints
        keypoint = self._floats('keypoint', keypoint, f'(N, {joints}, 2) for layout '
                                f'{self.layout.name!r}', lambda shape: shape[1:] == (joints, 2)
                                or shape[:1] == (0, ))
        keypoint = keypoint.reshape(-1, joints, 2)
        shape = keypoint.shape[:2]
        score = np.ones(shape, np.float32) if score is None else self._floats(
            'keypoint_score', score, shape, lambda found: found == shape
            or shape[0] == 0 and found[:1] == (0, )).reshape(shape)
        keypoint, score = without_nan(keypoint, score)
        keypoint = self._pixels(keypoint, score)
        fault = find_fault(keypoint, score, self.img_shape)
        self._check(fault is None, *fault or ('', '', ''))
        there = keypoint.any(-1) & (score >= SCORE_THRESHOLD)
        keypoint = np.where(there[..., None], keypoint, 0).astype(np.float32)
        score = score.astype(np.float32)
        keypoint, score = convert(keypoint, np.where(there, score, 0), self.layout.name,
                                  self.inferencer.layout.name)
        return np.concatenate([keypoint, np.clip(score, 0, 1)[..., None]], -1)

    def _pixels(self, keypoint, score) -> np.ndarray:
        """Convert coordinates to pixels, and check that they are in the image."""
        if self.coordinates != 'pixels':
            there = keypoint.any(-1, keepdims=True)
            keypoint = np.where(there, to_pixels(keypoint, self.coordinates, self.img_shape), 0)
        elif np.isfinite(keypoint).all():
            kind = find_coordinates(keypoint, score)
            self._check(kind == 'pixels', 'keypoint', f'coordinates up to '
                        f'{np.abs(keypoint).max(initial=0):.3g}', "pixels; set coordinates='unit' "
                        "for 0 to 1 of the image, 'signed' for -1 to 1")
        fault = find_size_fault(keypoint, score, self.img_shape)
        swapped = self._swapped + 1 if fault and fault[1] else 0
        self._check(swapped < _SWAPPED, 'img_shape', str(self.img_shape), 'height and width'
                    f' of the image; {_SWAPPED} frames in a row fit if they are swapped')
        self._swapped = swapped
        return keypoint

    def _floats(self, field: str, value, shape: object, fits: Callable) -> np.ndarray:
        """Convert numbers of the caller to an array of a shape that fits."""
        try:
            array = to_floats(value)
        except TypeError as error:
            raise ValueError(found_expected(type(self).__name__, field, error,
                                            f'numbers of shape {shape}')) from None
        self._check(fits(array.shape), field, f'shape {array.shape}', str(shape))
        return array

    def _store(self, person, points, frame) -> np.ndarray:
        """Add a row to the windows of the persons; returns their slots (N,)."""
        # no window can span a longer break
        newest = self._inds.max(1, initial=-1)
        keep = (frame - newest <= self.window + self.max_missing) | np.isin(self._person, person)
        new = np.setdiff1d(person, self._person)
        self._person = np.concatenate([self._person[keep], new])
        self._count = np.concatenate([self._count[keep], np.zeros(len(new), np.int64)])
        self._rows = np.concatenate([self._rows[keep], np.zeros(
            (len(new), *self._rows.shape[1:]), np.float32)])
        self._inds = np.concatenate([self._inds[keep], np.full((len(new), self.window), -1)])
        order = np.argsort(self._person)
        slots = order[np.searchsorted(self._person, person, sorter=order)]
        self._rows[slots, self._count[slots] % self.window] = points
        self._inds[slots, self._count[slots] % self.window] = frame
        self._count[slots] += 1
        return slots

    def _full(self, slots) -> np.ndarray:
        """Find (N,) windows that are full, due and without large gaps."""
        beyond = self._count[slots] - self.window
        due = (beyond >= 0) & (beyond % self.stride == 0)
        inds = np.sort(self._inds[slots], 1)
        last = max(self.window - 1 - self.max_missing, 0)
        return due & (inds[:, last] < inds[:, 0] + self.window)

    def _predict(self, slots) -> list[StreamResult]:
        """Predict full windows in one batch."""
        if not len(slots):
            return []
        order = (self._count[slots, None] + np.arange(self.window)) % self.window
        rows = self._rows[slots[:, None], order]  # (N, window, J, 3)
        inds = self._inds[slots[:, None], order]
        clips = [dict(frame_dir=f'person {p}', label=0, img_shape=self.img_shape,
                      total_frames=self.window, frame_inds=i - i[0], keypoint=r[None, ..., :2],
                      keypoint_score=r[None, ..., 2])
                 for p, i, r in zip(self._person[slots], inds, rows, strict=True)]
        if self.ratio != 1:
            clips = [self._resampled(clip) for clip in clips]
        outputs = self.inferencer.predict_clips(clips)
        return [StreamResult(int(p), (int(i[0]), int(i[-1])), int(i[0]) + self.window // 2, output)
                for p, i, output in zip(self._person[slots], inds, outputs, strict=True)]

    def _resampled(self, clip: dict) -> dict:
        """Resample a window to the frame rate of the model."""
        clip = resample(clip, self.ratio)
        rows = np.arange(self.size).clip(max=clip['total_frames'] - 1)
        return dict(clip, total_frames=self.size, frame_inds=rows,
                    keypoint=clip['keypoint'][:, rows],
                    keypoint_score=clip['keypoint_score'][:, rows])
