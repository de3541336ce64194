"""Recordings read from annotations, pose files, videos and arrays."""
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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
from mofm.annotations.values import without_nan
from mofm.keypoints import resample
from mofm.pose_estimation.extract import extract_video
from mofm.pose_estimation.pose_extractor import PersonDetector, PoseExtractor
from mofm.pose_estimation.video import IMAGES, VIDEOS, Video, find_videos
from mofm.sources import AlphaPose, MMPoseJSON, OpenPose
from mofm.structures import LAYOUTS, convert, get_layout
from mofm.utils.checks import describe, is_number, require, show
from mofm.utils.untrusted import open_zip, read_arrays

from .arrays import to_floats
from .windows import visible

Input = dict | np.ndarray | torch.Tensor | str | Path
Inputs = Input | Sequence[Input] | Iterator[Input]

# Bytes of a JSON file that reveal its kind, and patterns in them.
_HEAD = 2**16
_ANNOTATIONS = rb'"(split|annotations|frame_dir|keypoint)"'
_POSES = ((rb'"(meta_info|instance_info|frame_id|instances|keypoint_scores)"', MMPoseJSON),
          (rb'"(image_id|bodies)"|AlphaPose', AlphaPose),
          (rb'"people"', OpenPose))
_ARRAYS = ('.npy', '.npz')
_FILES = ('.pkl', '.arrow', '.json', *_ARRAYS)
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
        layout (str): Joints of annotations and arrays, one of
            :data:`mofm.structures.LAYOUTS`. Files of AlphaPose and OpenPose know theirs.
            Defaults to 'coco17'.
        img_shape (tuple[int, int], optional): Height and width in pixels of inputs without; by
            default the image ends at the last joint.
        split (str, optional): Split of annotation files.
        pose_extractor (PoseExtractor, optional): Pose network and person detector for videos, by
            default those of MMPose and MMDetection.

    Raises:
        ValueError: If a frame rate is not a positive number or the layout is unknown.
    """

    fps: float | None = None
    model_fps: float | None = None
    layout: str = 'coco17'
    img_shape: tuple[int, int] | None = None
    split: str | None = None
    pose_extractor: PoseExtractor | None = None

    def __post_init__(self):
        for name in ('fps', 'model_fps'):
            value = getattr(self, name)
            require(value is None or is_number(value, 0) and value > 0, self, name, value,
                    'a positive number of frames per second')
        get_layout(self.layout)


class RecordingReader:
    """Reader of recordings, one by one, with a list of those that cannot be used.

    Args:
        options (RecordingOptions): Options of the inputs.
        to_layout (str): Layout to which all inputs are converted.
        device (str, optional): Device of the pose network.
        progress (bool): Show a progress bar per video.

    Attributes:
        problems (list[Problem]): Reasons of skipped recordings.
        count (int): Recordings found, skipped ones included.
    """

    def __init__(self, options: RecordingOptions | None = None, to_layout: str = 'coco17',
                 device: str | None = None, progress: bool = False):
        options = options or RecordingOptions()
        self.layout, self.to_layout = get_layout(options.layout), get_layout(to_layout)
        self.fps, self.model_fps = options.fps, options.model_fps
        self.img_shape, self.split = options.img_shape, options.split
        self.pose_extractor = options.pose_extractor
        self.device = device
        self.progress = progress
        self.problems: list[Problem] = []
        self.count = 0

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
                an array or tensor (T, V, 3) or (M, T, V, 3) with x and y in pixels and score, the
                path of a file or folder, or a list or an iterator of these. Joints with NaN or a
                masked number are missing.

        Yields:
            Recording: With a visible person. Persons of a video are consecutive, in iterators and
            ``.arrow`` files only if they are stored so.
        """
        items: Iterable[tuple[int, Any]]
        if isinstance(inputs, Iterator):
            items = enumerate(inputs)
        else:
            items = _by_video(inputs if isinstance(inputs, (list, tuple)) else [inputs])
        for index, item in items:
            if isinstance(item, (str, Path)):
                yield from self._path(Path(item), index)
            else:
                yield from self._one(item, self.layout.name, 'inputs', index,
                                     f'recording_{index}', self.fps)

    def _one(self, item, layout, file, index, name, fps, group=None) -> Iterator[Recording]:
        """Read the recording of one annotation or array, unless it is invalid."""
        self.count += 1
        try:
            ann = self._annotation(item, layout, file, index, name)
            yield self._resampled(ann, fps, group, file, index)
        except AnnotationError as error:
            self.report(error, file)

    def _annotation(self, item, layout, file, index, name) -> dict:
        """Make a valid annotation in the layout of the model."""
        problem = partial(file_error, file, index=index)
        if isinstance(item, (np.ndarray, torch.Tensor)):
            item = _floats(problem, 'array', item, lambda shape: len(shape) in (3, 4)
                           and shape[-1] == 3, '(T, V, 3) or (M, T, V, 3): x, y and score')
            item = item if item.ndim == 4 else item[None]
            item = dict(keypoint=item[..., :2], keypoint_score=item[..., 2])
        if not isinstance(item, dict):
            raise problem('input', type(item).__name__, 'an annotation, an array or a path')
        keypoint = _floats(problem, 'keypoint', item.get('keypoint'), lambda shape:
                           len(shape) == 4 and shape[-1] == 2, '(persons, frames, joints, 2)')
        item = dict(item, keypoint=keypoint)
        if 'keypoint_score' in item:
            item['keypoint_score'] = _floats(
                problem, 'keypoint_score', item['keypoint_score'],
                lambda shape: shape == keypoint.shape[:3], f'{keypoint.shape[:3]}')
        joints, expected = keypoint.shape[2], LAYOUTS[layout].num_joints
        if joints != expected:
            others = [other.name for other in LAYOUTS.values() if other.num_joints == joints]
            raise problem('keypoint', f'{joints} joints', f'the {expected} of layout {layout!r}; '
                          f'set layout to one of {others or sorted(LAYOUTS)}')
        ann = self._complete(item, name)
        wrong = validate(ann, expected, None, True, file, index)
        if wrong is not None:
            raise AnnotationError(wrong)
        ann['keypoint'], ann['keypoint_score'] = convert(
            ann['keypoint'], ann['keypoint_score'], layout, self.to_layout.name)
        if not visible(ann).any():
            raise problem('keypoint', f'no person in {ann["total_frames"]} frames',
                          f'at least one visible joint of {self.to_layout.name!r}')
        return ann

    def _complete(self, item, name) -> dict:
        """Add missing fields to an annotation and remove NaN."""
        shape = item['keypoint'].shape
        ann = dict(dict(frame_dir=item.get('filename', name), label=0, total_frames=shape[1],
                        keypoint_score=np.ones(shape[:3], np.float32)), **item)
        ann['keypoint'], ann['keypoint_score'] = without_nan(ann['keypoint'],
                                                             ann['keypoint_score'])
        if 'img_shape' not in item:
            end = ann['keypoint'].max((0, 1, 2), initial=1)
            ann['img_shape'] = self.img_shape or tuple(
                np.ceil(end[::-1].astype(float)).clip(max=2**31).astype(int).tolist())
        return ann

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
        """Read the recordings of a file or folder."""
        try:
            if path.is_dir():
                yield from self._folder(path, index)
            elif path.suffix.lower() in VIDEOS | IMAGES:
                yield from self._videos(path, index)
            elif not path.is_file():
                raise file_error(path, 'file', 'no such file or folder',
                                 'annotations, poses, arrays or a video')
            elif path.suffix == '.json' and not _holds(path, _ANNOTATIONS):
                yield from self._poses(path, [path], index)
            elif path.suffix == '.npy' or path.suffix == '.npz' and not _is_schema(path):
                yield from self._arrays(path, index)
            elif path.suffix in _FILES:
                yield from self._annotations(path, index)
            else:
                raise file_error(path, 'file', f'suffix {path.suffix!r}',
                                 f'one of {sorted({*_FILES, *VIDEOS})}')
        except AnnotationError as error:
            self.count += 1
            self.report(error, str(path))

    def _folder(self, path, index):
        files = sorted(f for f in path.rglob('*') if f.is_file() and not f.name.startswith('.'))
        poses = [f for f in files if f.suffix == '.json']
        if poses and not _holds(poses[0], _ANNOTATIONS):
            yield from self._poses(path, poses, index)
        elif any(f.suffix.lower() in VIDEOS | IMAGES for f in files):
            yield from self._videos(path, index)
        else:
            files = [f for f in files if f.suffix in _FILES]
            if not files:
                raise file_error(path, 'folder', 'no readable file',
                                 f'annotations, poses or arrays ({", ".join(_FILES)}) or videos')
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
                         and str(ann.get('frame_dir', ann.get('filename'))) in names]
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

    def _poses(self, path, files, index):
        """Read files of a pose estimator."""
        for file in files:
            reader = next((reader for head, reader in _POSES if _holds(file, head)), None)
            if reader is not None:
                break
        else:
            raise file_error(path, 'file', 'JSON of another kind', 'annotations, or poses of '
                             'AlphaPose, OpenPose or MMPose')
        options: dict[str, Any] = dict(to_layout=self.to_layout.name)
        if reader is MMPoseJSON and self.layout.name != 'coco17':
            options['layout'] = self.layout.name
        source = reader(path, img_shape=self.img_shape, **options)
        for ann, _ in source:
            yield from self._one(ann, self.to_layout.name, str(path), None, '', self.fps, index)
        self.count += len(source.problems)
        for error in source.problems:
            self.report(error, str(path))

    def _videos(self, path, index):
        """Read videos by the pose network."""
        for name, file in find_videos(path).items():
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
        if self.pose_extractor is None:
            self.pose_extractor = _default_extractor(self.device)
        with tempfile.TemporaryDirectory() as folder, tqdm(
                desc=video.path.name, unit='frame', disable=not self.progress) as bar:
            poses = Path(folder) / 'poses.json'
            extract_video(self.pose_extractor, video, poses, {},
                          progress=lambda frames: bar.update(frames - bar.n))
            (ann, _), = MMPoseJSON(poses, strict=True, to_layout=self.to_layout.name)
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


def _holds(path: Path, pattern: bytes) -> bool:
    """Return whether the beginning of a file contains a pattern."""
    with open(path, 'rb') as f:
        return re.search(pattern, f.read(_HEAD)) is not None


def _is_schema(path: Path) -> bool:
    """Return whether an ``.npz`` file has the columns of annotations."""
    try:
        with open_zip(path) as archive:
            return 'keypoint_score.npy' in archive.namelist()
    except Exception:  # damaged; the reader of arrays reports it
        return False


def _default_extractor(device) -> PoseExtractor:
    try:
        return PoseExtractor(device=device, boxes=PersonDetector(device=device))
    except ImportError as error:
        raise ImportError(f'{error}. From Python: pass pose_extractor=PoseExtractor('
                          'boxes=whole_frame) for one person who fills the image, or poses '
                          'instead of the video') from None
