"""Recordings read from annotations, pose files, videos and arrays."""
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mofm.annotations import (
    AnnotationError,
    Problem,
    file_error,
    load_annotations,
    open_arrow,
    validate,
)
from mofm.annotations.values import (
    COORDINATES,
    SMALLEST_IMAGE,
    find_coordinates,
    find_size_fault,
    to_pixels,
    without_nan,
)
from mofm.keypoints import resample
from mofm.pose_estimation.estimator import PoseEstimator, build_estimator
from mofm.pose_estimation.extract import extract_video, extracted
from mofm.pose_estimation.sampling import POSE_FPS, frame_step
from mofm.pose_estimation.video import IMAGES, VIDEOS, Video, find_videos
from mofm.sources import FramePoseSource, MMPoseJSON, Source3D
from mofm.sources.pose_programs.yolo import is_result, save_results
from mofm.sources.recognition import (
    Match,
    is_annotation_file,
    match,
    open_source,
    resolve,
    samples,
)
from mofm.structures import LAYOUTS, Layout, convert, get_layout
from mofm.utils.checks import describe, is_number, require, show
from mofm.utils.untrusted import read_arrays
from mofm.utils.urls import is_url, live_hint, mask

from .arrays import AXES, find_axes, jumps, num_axes, split_scores, to_axes, to_floats
from .windows import visible

Input = dict | np.ndarray | torch.Tensor | Sequence | str | Path
Inputs = Input | Sequence[Input] | Iterator[Input]

_ARRAYS = ('.npy', '.npz')
_FILES = ('.pkl', '.arrow', '.json', *_ARRAYS)
# Reader of annotations, which need none.
_PICKLES = ('pyskl', )
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


class RecordingReader:
    """Reader of recordings, one by one, with a list of those that cannot be used.

    Args:
        options (RecordingOptions): Options of the inputs.
        to_layout (str): Layout to which all inputs are converted.
        device (str, optional): Device of the pose network.
        progress (bool): Show a progress bar per video.

    Attributes:
        problems (list[Problem]): Reasons of skipped recordings.
        notes (list[str]): What inputs were taken for.
        count (int): Recordings found, skipped ones included.
        skip (Callable, optional): Whether a video need not be read, given its path.
        kept (Callable, optional): File in which the poses of the video stay, given the settings
            that they depend on; an interrupted extraction resumes there. By default none.
    """

    def __init__(self, options: RecordingOptions | None = None, to_layout: str = 'coco17',
                 device: str | None = None, progress: bool = False):
        self.options = options or RecordingOptions()
        self.layout = get_layout(self.options.layout or 'coco17')
        self.to_layout = get_layout(to_layout)
        self.fps, self.model_fps = self.options.fps, self.options.model_fps
        self.img_shape, self.split = self.options.img_shape, self.options.split
        self.pose_extractor = self.options.pose_extractor
        self.device = device
        self.progress = progress
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._noted: set[str] = set()
        self.count = 0
        self.skip: Callable[[Path], bool] | None = None
        self.kept: Callable[[dict], Path] | None = None

    def note(self, where: str, text: str):
        """Note what an input was taken for, once for all with the same finding."""
        if text not in self._noted:
            self._noted.add(text)
            self.notes.append(f'{where}: {text}')

    def report(self, error: AnnotationError, name: str = 'inputs'):
        """Add the reason why a recording is skipped."""
        problem = error.args[0]
        if not isinstance(problem, Problem):
            problem = Problem(name, None, 'recording', str(problem), 'one that can be used')
        self.problems.append(problem)

    def read(self, inputs: Inputs) -> Iterator[Recording]:
        """Read the recordings of one input, or of a list or an iterator of inputs.

        Args:
            inputs: An annotation (dict, see :mod:`mofm.annotations.files`; ``frame_dir``,
                ``label``, ``total_frames``, ``keypoint_score`` and ``img_shape`` are optional),
                an array, a tensor or nested lists (T, V, C), (M, T, V, C) or (T, M, V, C) with x,
                y and optionally score, the path of a file, a folder or an archive, or a list or
                an iterator of these; or the results objects of ultralytics, one per frame of a
                video. Joints with NaN or a masked number are missing.

        Yields:
            Recording: With a visible person. Persons of a video are consecutive, in iterators and
            ``.arrow`` files only if they are stored so.
        """
        items: Iterable[tuple[int, Any]]
        first: Sequence
        if isinstance(inputs, Iterator):
            first = list(islice(inputs, 1))
            inputs = chain(first, inputs)
        else:
            first = inputs[:1] if isinstance(inputs, (list, tuple)) else [inputs]
        if first and is_result(first[0]):
            yield from self._results(inputs if first[0] is not inputs else first)
            return
        if isinstance(inputs, Iterator):
            items = enumerate(inputs)
        else:
            items = _by_video(self._listed(inputs))
        for index, item in items:
            if is_url(item):
                self.count += 1
                self.report(file_error(mask(item), 'input', 'a URL', 'a file or folder'
                                       + live_hint(item)), mask(item))
            elif isinstance(item, (str, Path)):
                yield from self._path(Path(item), index)
            else:
                yield from self._one(item, self.layout.name, 'inputs', index,
                                     f'recording_{index}', self.fps)

    def _listed(self, inputs) -> Sequence:
        """Return the recordings of the caller; nested lists of three axes are one."""
        count = num_axes(inputs)
        if not isinstance(inputs, (list, tuple)) or count in (2, 3) or (
                count == 4 and (self.options.axes or num_axes(inputs[0]) == 2)):
            return [inputs]
        if count == 4 and isinstance(inputs[0], (list, tuple)):
            if self._are_frames(inputs):
                return [inputs]
            self.note('inputs', f'{len(inputs)} nested lists are as many recordings; pass an '
                      'array or set axes for several persons')
        return inputs

    def _are_frames(self, inputs) -> bool:
        """Return whether nested lists of four axes are frames of persons."""
        try:
            array = to_floats(inputs)
        except TypeError:  # recordings of different lengths
            return False
        return array.ndim == 4 and array.shape[3] in (2, 3) and find_axes(
            array, self.layout)[0] == 'TMVC'

    def _one(self, item, layout, file, index, name, fps, group=None) -> Iterator[Recording]:
        """Read the recording of one annotation or array, unless it is invalid."""
        self.count += 1
        try:
            ann = self._annotation(item, layout, file, index, name)
            if fps is None and is_number(ann.get('fps'), 1e-3):
                fps = float(ann['fps'])
            yield self._resampled(ann, fps, group, file, index)
        except AnnotationError as error:
            self.report(error, file)

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
        size = item.get('img_shape', self.img_shape)
        if self.img_shape and _is_size(size) and max(size) <= SMALLEST_IMAGE:
            size = self.img_shape
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

    def _resampled(self, ann, fps, group, file, index) -> Recording:
        """Resample an annotation to the frame rate of the model."""
        if self.model_fps is not None and fps is None:
            raise file_error(file, 'fps', 'nothing',
                             'the frame rate of the input, as model_fps is set', index)
        ratio = 1. if self.model_fps is None else self.model_fps / fps
        last = int(ann['frame_inds'][-1]) if 'frame_inds' in ann else ann['total_frames'] - 1
        if last * max(ratio, 1) >= _MAX_FRAME:
            raise file_error(file, 'frame_inds', f'frame {last}, resampled by {ratio:g}',
                             f'frames counted from 0, below {_MAX_FRAME}', index)
        video = group, ann.get('clip', ann['frame_dir'])
        return Recording(ann if ratio == 1 else resample(ann, ratio), video, last + 1, fps, ratio)

    def _path(self, path: Path, index: int) -> Iterator[Recording]:
        """Read the recordings of a file, a folder or an archive."""
        suffix = path.suffix.lower()
        try:
            if not path.exists():
                raise file_error(path, 'file', 'no such file or folder',
                                 'annotations, poses, arrays or a video' + live_hint(str(path)))
            if self.options.source != 'auto':
                yield from self._poses(path, index)
            elif path.is_dir():
                yield from self._folder(path, index)
            elif suffix in VIDEOS | IMAGES:
                yield from self._videos(path, index)
            elif suffix in _ARRAYS and not is_annotation_file(path):
                yield from (self._poses if _has_names(path) else self._arrays)(path, index)
            elif is_annotation_file(path):
                yield from self._annotations(path, index)
            else:
                yield from self._poses(path, index)
        except AnnotationError as error:
            self.count += 1
            self.report(error, str(path))

    def _folder(self, path, index):
        files = sorted(f for f in path.rglob('*') if f.is_file() and not any(
            part.startswith('.') for part in f.relative_to(path).parts))
        if _matches(path):
            yield from self._poses(path, index)
        elif any(f.suffix.lower() in VIDEOS | IMAGES for f in files):
            yield from self._videos(path, index)
        else:
            files = [f for f in files if f.suffix.lower() in _FILES]
            if not files:
                resolve(path)  # says what is there
            for file in files:
                yield from self._path(file, index)

    def _annotations(self, path, index):
        """Read an annotation file; an ``.arrow`` file stays on the disk."""
        items: Iterable[tuple[int, Any]]
        if path.suffix == '.arrow':
            store = open_arrow(path)
            splits = store.splits()
            items = ((i, store[i]) for i in (
                range(len(store)) if self.split is None else splits.get(self.split, ())))
        else:
            data = load_annotations(path)
            splits, items = data['split'], _by_video(data['annotations'])
            if self.split in splits:
                names = set(splits[self.split])
                items = [(i, ann) for i, ann in items if isinstance(ann, dict)
                         and str(ann.get('frame_dir')) in names]
        if self.split is not None and self.split not in splits:
            raise file_error(path, 'split', repr(self.split), f'one of {show(sorted(splits))}')
        for i, ann in items:
            yield from self._one(ann, self.layout.name, str(path), int(i), f'{path.stem}_{i}',
                                 self.fps, index)

    def _arrays(self, path, index):
        """Read joint arrays."""
        try:
            arrays = read_arrays(path)
        except Exception as error:  # damaged bytes make NumPy raise nearly anything
            raise file_error(path, 'file', describe(error),
                             'arrays in the .npy or .npz format, without objects') from None
        for key, array in arrays.items():
            name = path.stem if len(arrays) == 1 else f'{path.stem}/{key}'
            yield from self._one(array, self.layout.name, str(path), None, name, self.fps, index)

    def _results(self, results):
        """Read the results objects of a video."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'results.json'
            save_results(results, path)
            yield from self._poses(path, 0, 'yolo')

    def _poses(self, path, index, source=None):
        """Read files of other programs."""
        options = self.options
        source, said = open_source(path, source or options.source, options.source_options, dict(
            layout=options.layout, img_shape=self.img_shape, coordinates=options.coordinates))
        self.note(str(path), f'read as {said}')
        layout = source.out_layout
        if isinstance(source, FramePoseSource):
            source.to_layout, layout = self.to_layout, self.to_layout.name
        if isinstance(source, Source3D):
            self.note(str(path), f'3D joints, seen by {source.views} virtual camera'
                      + 's' * (source.views > 1))
        try:
            for ann, _ in source:
                yield from self._one(ann, layout, str(path), None, '', self.fps, index)
        finally:
            for text, (first, count) in source.notes.items():
                self.note(source.tree.where(first), text + f' ({count} files)' * (count > 1))
        self.count += len(source.problems)
        for error in source.problems:
            self.report(error, str(path))

    def _videos(self, path, index):
        """Read videos by the pose network."""
        for name, file in find_videos(path).items():
            if self.skip is not None and self.skip(file):
                continue
            try:
                ann, fps = self._extract(Video(file))
            except AnnotationError as error:
                self.count += 1
                self.report(error, str(file))
            else:
                yield from self._one(dict(ann, frame_dir=name), self.to_layout.name, str(file),
                                     None, name, self.fps or fps, index)

    def _extract(self, video):
        """Extract the poses of a video; also returns its frame rate."""
        if self.pose_extractor is None or isinstance(self.pose_extractor, str):
            self.pose_extractor = build_estimator(self.pose_extractor or 'auto',
                                                  device=self.device)
        with tempfile.TemporaryDirectory() as folder, tqdm(
                desc=video.path.name, unit='frame', disable=not self.progress) as bar:
            def show(frames):
                bar.total = max(video.expected_frames, frames)
                bar.update(frames - bar.n)

            settings = dict(getattr(self.pose_extractor, 'settings', {}),
                            estimator=type(self.pose_extractor).__name__,
                            pose_fps=self.options.pose_fps)
            poses = self.kept(settings) if self.kept else Path(folder) / 'poses.json'
            video.open()
            step = frame_step(video.fps, self.options.pose_fps)
            if extracted(poses, dict(pose_step=step)) is None:
                extract_video(self.pose_extractor, video, poses, {}, None, self.options.pose_fps,
                              show)
            # a person who is missed in one estimated frame stays
            (ann, _), = MMPoseJSON(poses, strict=True, to_layout=self.to_layout.name,
                                   max_gap=max(5, 2 * step - 1))
        for text in video.remarks():
            self.note(str(video.path), text)
        if step > 1:
            self.note(str(video.path), f'poses at {video.fps / step:.4g} of {video.fps:.4g} '
                      'frames a second, interpolated in between')
        return ann, video.fps


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


def _by_video(items: Sequence) -> list[tuple[int, object]]:
    """Number items and sort those of one video next to each other."""
    first: dict[object, int] = {}

    def place(pair):
        index, item = pair
        clip = item.get('clip') if isinstance(item, dict) else None
        return first.setdefault(clip, index) if isinstance(clip, str) else index

    return sorted(enumerate(items), key=place)


def _is_size(value: Any) -> bool:
    return isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2 and all(
        is_number(side, 1) for side in value)


def _range(keypoint: np.ndarray) -> str:
    points = keypoint[keypoint.any(-1)]
    return f'from {points.min():.3g} to {points.max():.3g}'


def _matches(path: Path) -> list[Match]:
    """Find readers of a path, besides those of annotations and arrays."""
    try:
        files = [sample for sample in samples(path) if sample.suffix not in _ARRAYS]
    except Exception:  # archives raise many kinds; the reader reports them
        return []
    return [one for one in match(files) if one.source not in _PICKLES]


def _has_names(path: Path) -> bool:
    """Return whether an ``.npz`` file also has texts, as those of a reader of arrays."""
    sample, = samples(path)
    return any(dtype.kind == 'U' for _, dtype in (sample.arrays or {}).values())
