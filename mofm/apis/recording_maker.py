"""Recordings made of the annotations and arrays of callers and files."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from mofm.annotations import AnnotationError, file_error, validate
from mofm.annotations.values import (
    COORDINATES,
    SMALLEST_IMAGE,
    find_coordinates,
    find_size_fault,
    to_pixels,
    without_nan,
)
from mofm.keypoints import resample
from mofm.pose_estimation.estimator import PoseEstimator
from mofm.pose_estimation.sampling import POSE_FPS
from mofm.structures import LAYOUTS, Layout, convert, get_layout
from mofm.utils.checks import is_number, require
from mofm.utils.urls import live_hint

from .arrays import AXES, find_axes, jumps, split_scores, to_axes, to_floats
from .windows import visible

_HINT = ('; 3D joints and arrays of other programs are read from files, see source and '
         'source_options')
# Four days at 30 frames per second; larger numbers are time stamps.
_MAX_FRAME = 10**7


@dataclass
class Recording:
    """Valid annotation in the layout of the model, and the map of its frames to the input.

    Args:
        ann (dict): Annotation; ``frame_inds`` count at the frame rate of the model.
        video (tuple): Key of the video, shared by its persons.
        num_frames (int): Frames of the input up to the last of the recording.
        fps (float, optional): Frames per second of the input.
        ratio (float): Frames of the model per frame of the input.
    """

    ann: dict
    video: tuple
    num_frames: int
    fps: float | None = None
    ratio: float = 1.

    @property
    def name(self) -> str:
        """``frame_dir`` of the annotation."""
        return self.ann['frame_dir']

    def to_input(self, frames: np.ndarray) -> np.ndarray:
        """Convert frames of the model to frames of the input."""
        return np.minimum(np.round(frames / self.ratio).astype(np.int64), self.num_frames - 1)


@dataclass(frozen=True)
class RecordingOptions:
    """Options of reading recordings.

    Args:
        fps (float, optional): Frames per second of the input. Videos know theirs.
        model_fps (float, optional): Frame rate of the training data, to which keypoints are
            resampled; windows then count its frames. Needs ``fps``.
        layout (str, optional): Joints, one of :data:`mofm.structures.LAYOUTS`. Defaults to
            'coco17' for annotations and arrays; readers of pose files have their own defaults.
        img_shape (tuple[int, int], optional): Height and width in pixels of inputs without; by
            default the image ends at the last joint.
        split (str, optional): Split of annotation files.
        source (str): Reader of files of other programs, a source of ``tools/data/prepare.py``.
            Defaults to 'auto', recognized by the content; annotations, arrays and videos then
            need none.
        source_options (Mapping, optional): Options of the reader, as in ``prepare.py``, e.g.
            ``dict(map='mixamo')``.
        axes (str, optional): Axes of arrays with four axes, one of
            :data:`mofm.apis.arrays.AXES`: persons M, frames T, joints V and coordinates C. By
            default 'MTVC' or 'TMVC' as the numbers tell.
        coordinates (str, optional): 'pixels', 'unit' (0 to 1 of the image) or 'signed' (-1 to 1)
            of annotations and arrays, by default as the numbers tell.
        pose_extractor (PoseEstimator or str, optional): Pose network for videos, or its name in
            ``POSE_ESTIMATORS``. Defaults to 'auto', see :func:`choose_estimator`.
        pose_fps (float, optional): Frames of a video per second whose poses are estimated, the
            others are interpolated, see :func:`frame_step`; None for all. Defaults to 15.

    Raises:
        ValueError: If a frame rate is not a positive number or the layout is unknown.
    """

    fps: float | None = None
    model_fps: float | None = None
    layout: str | None = None
    img_shape: tuple[int, int] | None = None
    split: str | None = None
    source: str = 'auto'
    source_options: Mapping[str, Any] = field(default_factory=dict)
    axes: str | None = None
    coordinates: str | None = None
    pose_extractor: PoseEstimator | str | None = None
    pose_fps: float | None = POSE_FPS

    def __post_init__(self):
        for name in ('fps', 'model_fps', 'pose_fps'):
            value = getattr(self, name)
            require(value is None or is_number(value, 0) and value > 0, self, name, value,
                    'a positive number of frames per second')
        for name, values in (('axes', AXES), ('coordinates', COORDINATES)):
            value = getattr(self, name)
            require(value is None or value in values, self, name, value, f'one of {values}')
        require(self.img_shape is None or _is_size(self.img_shape), self, 'img_shape',
                self.img_shape, 'height and width in pixels')
        require(isinstance(self.source_options, Mapping), self, 'source_options',
                self.source_options, 'a dict')
        get_layout(self.layout or 'coco17')


class RecordingMaker:
    """Makes valid recordings in the layout and at the frame rate of the model.

    Args:
        options (RecordingOptions): Options of the inputs.
        to_layout (Layout): Layout of the model.
        note (Callable): Takes a file and what its values were taken for.
    """

    def __init__(self, options: RecordingOptions, to_layout: Layout,
                 note: Callable[[str, str], None]):
        self.options = options
        self.to_layout = to_layout
        self.note = note

    def make(self, item: Any, layout: str, file: str, index: int | None, name: str,
             fps: float | None, group: int | None = None) -> Recording:
        """Make a recording of an annotation or an array.

        Args:
            item: See :meth:`RecordingReader.read`.
            layout (str): Its joints.
            file (str): Where it comes from, for errors and notes.
            index (int, optional): Its number there.
            name (str): ``frame_dir`` if it has none.
            fps (float, optional): Its frames per second, by default those of the annotation.
            group (int, optional): Number of the input, whose videos have names of their own.

        Raises:
            AnnotationError: If it is invalid.
        """
        ann = self._annotation(item, layout, file, index, name)
        if fps is None and is_number(ann.get('fps'), 1e-3):
            fps = float(ann['fps'])
        return self._resampled(ann, fps, group, file, index)

    def _annotation(self, item, layout, file, index, name) -> dict:
        """Make a valid annotation in the layout of the model."""
        problem = partial(file_error, file, index=index)
        if isinstance(item, (np.ndarray, torch.Tensor, list, tuple)):
            item = self._array(problem, item, get_layout(layout), file)
        if not isinstance(item, dict):
            raise problem('input', type(item).__name__, 'an annotation, an array or a path'
                          + live_hint(item))
        keypoint = _floats(problem, 'keypoint', item.get('keypoint'), lambda shape:
                           len(shape) in (3, 4) and shape[-1] == 2,
                           '(persons, frames, joints, 2) or (frames, joints, 2)' + _HINT * (
                               getattr(item.get('keypoint'), 'ndim', 0) == 4))
        unsaid = keypoint.ndim == 4 and 'total_frames' not in item and self.options.axes is None
        if unsaid and keypoint.size and find_axes(keypoint, get_layout(layout))[0] == 'TMVC':
            persons, frames = keypoint.shape[:2]
            raise problem('keypoint', f'{persons} persons in {frames} frames, which look like '
                          'frames of persons', 'shape (persons, frames, joints, 2), and '
                          "total_frames or axes='MTVC' if it is")
        single, keypoint = keypoint.ndim == 3, keypoint[None] if keypoint.ndim == 3 else keypoint
        item = dict(item, keypoint=keypoint)
        if 'keypoint_score' in item:
            shape = keypoint.shape[single:3]
            item['keypoint_score'] = _floats(
                problem, 'keypoint_score', item['keypoint_score'],
                lambda found: found == shape, f'{shape}').reshape(keypoint.shape[:3])
        joints, expected = keypoint.shape[2], LAYOUTS[layout].num_joints
        if joints != expected:
            others = [other.name for other in LAYOUTS.values() if other.num_joints == joints]
            raise problem('keypoint', f'{joints} joints', f'the {expected} of layout {layout!r}; '
                          f'set layout to one of {others or sorted(LAYOUTS)}' + _HINT)
        ann = self._complete(item, name, problem, file)
        wrong = validate(ann, expected, None, True, file, index)
        if wrong is not None:
            raise AnnotationError(wrong)
        ann['keypoint'], ann['keypoint_score'] = convert(
            ann['keypoint'], ann['keypoint_score'], layout, self.to_layout.name)
        if not visible(ann).any():
            raise problem('keypoint', f'no person in {ann["total_frames"]} frames',
                          f'at least one visible joint of {self.to_layout.name!r}')
        return ann

    def _resampled(self, ann, fps, group, file, index) -> Recording:
        """Resample an annotation to the frame rate of the model."""
        if self.options.model_fps is not None and fps is None:
            raise file_error(file, 'fps', 'nothing',
                             'the frame rate of the input, as model_fps is set', index)
        ratio = 1. if self.options.model_fps is None else self.options.model_fps / fps
        last = int(ann['frame_inds'][-1]) if 'frame_inds' in ann else ann['total_frames'] - 1
        if last * max(ratio, 1) >= _MAX_FRAME:
            raise file_error(file, 'frame_inds', f'frame {last}, resampled by {ratio:g}',
                             f'frames counted from 0, below {_MAX_FRAME}', index)
        video = group, ann.get('clip', ann['frame_dir'])
        return Recording(ann if ratio == 1 else resample(ann, ratio), video, last + 1, fps, ratio)

    def _array(self, problem: Callable, value: Any, layout: Layout, file: str) -> dict:
        """Convert an array of a caller or a file to keypoints and scores of persons."""
        shapes = ('(T, V, C), (M, T, V, C) or (T, M, V, C) of V joints with C values: x, y and '
                  'optionally score')
        array = _floats(problem, 'array', value, lambda shape: len(shape) > 1, shapes)
        found = f'{array.dtype} of shape {array.shape}'
        if array.ndim == 2 and array.shape[1] in (2 * layout.num_joints, 3 * layout.num_joints):
            raise problem('array', found, f'{shapes}; if a row is a frame with x, y of one joint '
                          f'after the other: array.reshape({len(array)}, {layout.num_joints}, '
                          f'{array.shape[1] // layout.num_joints})')
        axes = self.options.axes
        if array.ndim == 4 and axes is not None:
            array = to_axes(array, axes)
        if array.ndim not in (3, 4) or array.shape[-1] not in (2, 3):
            raise problem('array', found, shapes + _HINT)
        if array.ndim == 4 and axes is None and array.size:
            axes, reason = find_axes(array, layout)
            if axes is None:
                raise problem('array', f'{found}, which may be {reason}',
                              f'axes, one of {", ".join(AXES)}')
            if min(array.shape[:2]) > 1 or axes != 'MTVC':
                self.note(file, f'array of shape {array.shape} is {axes}: {reason}')
            array = to_axes(array, axes)
        if array.ndim == 3 and jumps(array):
            self.note(file, f'array of shape {array.shape} is {len(array)} frames of one person, '
                      'who jumps from frame to frame; several persons of a frame have 4 axes')
        try:
            keypoint, score = split_scores(array)
        except ValueError as error:
            raise problem('array', error, 'scores' + _HINT) from None
        return dict(keypoint=keypoint, keypoint_score=score.reshape(keypoint.shape[:-1]))

    def _complete(self, item, name, problem, file) -> dict:
        """Add missing fields to an annotation, remove NaN and convert coordinates to pixels."""
        shape = item['keypoint'].shape
        ann = dict(dict(frame_dir=item.get('filename', name), label=0, total_frames=shape[1],
                        keypoint_score=np.ones(shape[:3], np.float32)), **item)
        ann['keypoint'], ann['keypoint_score'] = without_nan(ann['keypoint'],
                                                             ann['keypoint_score'])
        size = item.get('img_shape', self.options.img_shape)
        if self.options.img_shape and _is_size(size) and max(size) <= SMALLEST_IMAGE:
            size = self.options.img_shape
        if (size is None or _is_size(size)) and np.isfinite(ann['keypoint']).all():
            self._to_pixels(ann, size, problem, file)
        if size is None:
            end = ann['keypoint'].max((0, 1, 2), initial=1)
            size = tuple(np.ceil(end[::-1].astype(float)).clip(max=2**31).astype(int).tolist())
        return dict(ann, img_shape=size)

    def _to_pixels(self, ann, size, problem, file):
        """Convert coordinates to pixels and check that they fit the image, if its size is known.

        Raises:
            AnnotationError: If they need its size, or have height and width swapped.
        """
        keypoint, score = ann['keypoint'], ann['keypoint_score']
        kind = self.options.coordinates or find_coordinates(keypoint, score)
        if size is not None and max(size) <= SMALLEST_IMAGE:
            kind = self.options.coordinates or 'pixels'  # of an image in its own unit
        if kind == 'unclear':
            raise problem('keypoint', _range(keypoint), "pixels, or coordinates='unit' for 0 to 1 "
                          "of the image, 'signed' for -1 to 1, and img_shape" + _HINT)
        if kind != 'pixels':
            if size is None:
                raise problem('img_shape', f'nothing, and coordinates {_range(keypoint)}',
                              'pixels, or img_shape, the height and width to scale them with'
                              + _HINT)
            there = keypoint.any(-1, keepdims=True)
            keypoint = np.where(there, to_pixels(keypoint, kind, size), 0).astype(np.float32)
            ann['keypoint'] = keypoint
            self.note(file, f'coordinates are {dict(unit="0 to 1", signed="-1 to 1")[kind]} of an '
                      f'image of height {size[0]} and width {size[1]}')
        fault = size is not None and find_size_fault(keypoint, score, size)
        if fault:
            found, swapped = fault
            if swapped:
                raise problem('img_shape', found, f'{tuple(size)[::-1]}, as all fit if height and '
                              'width are swapped')
            self.note(file, found)


def _floats(problem: Callable, field: str, value: Any, fits: Callable, shapes: str) -> np.ndarray:
    """Convert numbers of the caller to an array of a shape that fits."""
    expected = f'numbers of shape {shapes}'
    try:
        array = to_floats(value)
    except TypeError as error:
        raise problem(field, error, expected) from None
    if not fits(array.shape):
        raise problem(field, f'{array.dtype} of shape {array.shape}', expected)
    return array


def _is_size(value: Any) -> bool:
    return isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2 and all(
        is_number(side, 1) for side in value)


def _range(keypoint: np.ndarray) -> str:
    points = keypoint[keypoint.any(-1)]
    return f'from {points.min():.3g} to {points.max():.3g}'
