"""Recordings read from annotations, pose files, videos and arrays."""
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
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
)
from mofm.pose_estimation.estimator import build_estimator
from mofm.pose_estimation.extract import extract_video, extracted
from mofm.pose_estimation.sampling import frame_step
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
from mofm.structures import get_layout
from mofm.utils.checks import describe, show
from mofm.utils.untrusted import read_arrays
from mofm.utils.urls import is_url, live_hint, mask

from .arrays import find_axes, num_axes, to_floats
from .recording_maker import Recording, RecordingMaker, RecordingOptions

Input = dict | np.ndarray | torch.Tensor | Sequence | str | Path
Inputs = Input | Sequence[Input] | Iterator[Input]

_ARRAYS = ('.npy', '.npz')
_FILES = ('.pkl', '.arrow', '.json', *_ARRAYS)
# Reader of annotations, which need none.
_PICKLES = ('pyskl', )


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
        self.fps, self.split = self.options.fps, self.options.split
        self.pose_extractor = self.options.pose_extractor
        self.device = device
        self.progress = progress
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._noted: set[str] = set()
        self.count = 0
        self.skip: Callable[[Path], bool] | None = None
        self.kept: Callable[[dict], Path] | None = None
        self._maker = RecordingMaker(self.options, self.to_layout, self.note)

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
            yield self._maker.make(item, layout, file, index, name, fps, group)
        except AnnotationError as error:
            self.report(error, file)

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
            layout=options.layout, img_shape=options.img_shape, coordinates=options.coordinates))
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


def _by_video(items: Sequence) -> list[tuple[int, object]]:
    """Number items and sort those of one video next to each other."""
    first: dict[object, int] = {}

    def place(pair):
        index, item = pair
        clip = item.get('clip') if isinstance(item, dict) else None
        return first.setdefault(clip, index) if isinstance(clip, str) else index

    return sorted(enumerate(items), key=place)


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
