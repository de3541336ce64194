"""Base class of tasks: required outputs, windows, results, pictures, publishing, export.

A task is one subclass of :class:`BaseInferencer`, registered under its name. The inferencer, the
demo, publishing and export only use this class, so a task of a plug-in works everywhere once its
module is imported.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import groupby, islice
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor
from tqdm import tqdm

from mofm.annotations import AnnotationError, summarize
from mofm.annotations.values import find_fault, without_nan
from mofm.hub.published import PublishedKeys
from mofm.registry import INFERENCERS
from mofm.structures import get_layout
from mofm.utils.checks import found_expected, is_int, require, show
from mofm.utils.limits import get_limits

from ..recordings import Inputs, Recording, RecordingOptions, RecordingReader
from ..windows import ClipWindows, WindowOptions
from .result import Result, ResultIterator

_MAX_FRAMES = 10**6  # of a stride or gap


@dataclass(frozen=True)
class TaskOptions:
    """Options of a task besides those of recordings and windows; none by default."""


@dataclass(frozen=True)
class EventRule:
    """Score of a task from which a live stream makes events.

    Attributes:
        score (str): What the score is, e.g. 'probability'.
        start (float, optional): Level at which an event starts; None if it depends on the model.
        end (float, optional): Level at which it ends.
        below (bool): Whether events are where the score is below the level, not above.
    """

    score: str
    start: float | None = None
    end: float | None = None
    below: bool = False


class BaseInferencer:
    """Base class of tasks: inference with a model on recordings.

    Windows are annotations of one clip each that go through the test pipeline of the config and
    the model as in ``tools/test.py``. A minimal task sets :attr:`result_type` and
    :attr:`predicted`. Attributes with a default below are set on the class.

    Args:
        model (BaseModel): From :func:`mofm.apis.init_model`.
        batch_size (int): Clips that are rendered at once. Defaults to 32.

    Attributes:
        result_type (type[Result]): Class of the results; it names the task.
        options_type (type[TaskOptions]): Class of the options.
        predicted (dict[str, str]): Output name to the field of data samples that a model sets in
            mode 'predict' if it supports the task.
        title (str): Heading of the results, by default the name of the task.
        order (int): Rank among the tasks of a model; the lowest is the default.
        several_clips (bool): Whether the pipeline may sample several clips per window, which the
            head averages.
        keeps_frames (bool): Whether clips keep the frames of their windows, so that a batch has
            windows of one length only.
        names_classes (bool): Whether results name the classes of the training data.
        event_rule (EventRule): Score of live events; None if the task has none.
        part (str): Part of a published model that its card loads: 'model', 'backbone' or
            'tokenizer'.
        published (PublishedKeys): Settings of the config that the task reads.
        dataset (dict): Test data set of the config.
        layout (Layout): Joints of the clips.
        classes (tuple[str]): Class names, from the head or the training data; empty if unknown.

    Raises:
        ValueError: If the config has no test pipeline.
    """

    result_type: type[Result] = Result
    options_type: type[TaskOptions] = TaskOptions
    predicted: dict[str, str] = {}
    title = ''
    order = 0
    several_clips = False
    keeps_frames = False
    names_classes = False
    event_rule: EventRule | None = None
    part = 'model'
    published = PublishedKeys()

    def __init__(self, model: BaseModel, batch_size: int = 32):
        from mmengine.dataset import Compose

        self.model = model
        self.batch_size = batch_size
        self.dataset = model.cfg.get('test_dataloader', {}).get('dataset', {})
        if 'pipeline' not in self.dataset:
            raise ValueError('config: found no test_dataloader.dataset.pipeline, expected the '
                             'transforms of a test')
        for name in self.published.dataset:
            value = self.dataset.get(name)
            most = get_limits().frames if name in ('seg_len', 'window') else _MAX_FRAMES
            require(value is None or is_int(value, 0, most), self, name, value,
                    f'an integer of at most {most}')
        self.pipeline = Compose(self.dataset.pipeline)
        self.layout = get_layout(self.dataset.get('to_layout', 'coco17'))
        names = getattr(getattr(model, 'cls_head', None), 'classes', None)
        self.classes = tuple(names or model.dataset_meta.get('classes', ()))

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.result_type.task

    # ---------------------------------------------------------------------------- the model
    @classmethod
    def offered(cls, model: BaseModel, inputs: Any, sample: Any) -> bool:
        """Return whether a model supports the task.

        Args:
            model (BaseModel): The model.
            inputs: One clip, from the data preprocessor.
            sample: Its data sample after 'predict'; empty for a pre-training.
        """
        return bool(cls.predicted) and all(field in sample for field in cls.predicted.values())

    def prepare(self, clips: Sequence[dict]) -> tuple:
        """Convert clips to inputs and data samples of the model."""
        from mofm.datasets import motion_collate

        batch = motion_collate([
            self.pipeline({'valid': np.ones(clip['keypoint'].shape[1], bool), **clip})
            for clip in clips])
        batch.pop('labels', None)
        data = self.model.data_preprocessor(batch, False)
        return data['inputs'], data['data_samples']

    def predict(self, inputs: Any, samples: list) -> dict[str, Tensor]:
        """Predict the outputs of a batch, by default the fields of :attr:`predicted`, stacked."""
        samples = self.model(inputs, data_samples=samples, mode='predict')
        return {name: torch.stack([sample.get(field) for sample in samples])
                for name, field in self.predicted.items()}

    def finish(self, output: dict, sample: Any, clip: dict) -> dict:
        """Convert the output of one clip to that of the task, e.g. to pixels."""
        return output

    def window_scores(self, output: dict) -> dict[str, float]:
        """Return the score of each label, of the output of one window, for :attr:`event_rule`."""
        raise NotImplementedError

    @torch.no_grad()
    def predict_clips(self, clips: Sequence[dict]) -> list[dict]:
        """Predict the outputs of clips of one window each, the lowest-level call.

        Args:
            clips (Sequence[dict]): Annotations with ``keypoint`` (M, T, J, 2) in pixels,
                ``keypoint_score`` (M, T, J) and ``img_shape`` (h, w), T at least 1, with the
                joints of :attr:`layout`.

        Returns:
            list[dict]: NumPy arrays per clip.

        Raises:
            ValueError: If a clip has other shapes, a coordinate is infinite or beyond 65504, or
                an output is NaN.
        """
        for i, clip in enumerate(clips):
            fault = find_fault(*without_nan(clip['keypoint'], clip['keypoint_score']))
            if fault is not None:
                raise ValueError(found_expected(f'clip {i}', *fault))
        outputs: list[dict] = []
        for batch in self._batches(clips):
            with _named(self.model.cfg):
                inputs, samples = self.prepare(batch)
                count = len(inputs) // len(samples)
                if count > 1 and not self.several_clips:
                    raise ValueError(f'num_clips: found {count} in the test pipeline, expected 1 '
                                     f'for {self.task!r}')
                predicted = self.predict(inputs, samples)
            fields = {name: values.cpu().numpy() for name, values in predicted.items()}
            for name, values in fields.items():
                if not np.isfinite(values).all():
                    raise ValueError(f'{name}: found NaN or infinite values, expected finite '
                                     'ones; check the checkpoint')
            rows = [dict(zip(fields, row, strict=True))
                    for row in zip(*fields.values(), strict=True)]
            outputs += map(self.finish, rows, samples, batch)
        return outputs

    def _batches(self, clips: Sequence[dict]) -> Iterator[Sequence[dict]]:
        """Split clips into batches."""
        groups = [clips] if not self.keeps_frames else [
            list(group) for _, group in groupby(clips, lambda clip: clip['keypoint'].shape[1])]
        for group in groups:
            for start in range(0, len(group), self.batch_size):
                yield group[start:start + self.batch_size]

    # --------------------------------------------------------------------------- recordings
    def group(self, recordings: Iterable[Recording]) -> Iterator[list[Recording]]:
        """Group recordings that share a result, by default none do."""
        return ([recording] for recording in recordings)

    def make_windows(self, group: list[Recording], options: WindowOptions):
        """Cut recordings that share a result into windows.

        Returns:
            An object with ``len``, ``frames`` (W, 2), first and last frame of each window, and
            ``get_data_info(i)``, the annotation of a window; by default :class:`ClipWindows`.
        """
        ann, fps = group[0].ann, group[0].fps
        window = options.frames(ann['total_frames'], fps and fps * group[0].ratio)
        return ClipWindows(ann, window, options.stride)

    def join(self, name: str, values: list[np.ndarray]):
        """Join an output over the windows of a recording, by default stacked."""
        return np.stack(values)

    def drop(self, options: TaskOptions) -> tuple[str, ...]:
        """Name the outputs to drop."""
        return ()

    def make_result(self, group: list[Recording], windows, outputs: dict,
                    options: TaskOptions) -> Result:
        """Build the result, in frames of the input, from the outputs of all windows."""
        return self.result_type(**self.common(group, windows), **outputs)

    def common(self, group: list[Recording], windows) -> dict:
        """Return the fields that all results have."""
        first = group[0]
        return dict(name=first.name, frames=first.to_input(windows.frames), fps=first.fps,
                    poses=[recording.ann for recording in group], pose_ratio=first.ratio,
                    pose_layout=self.layout.name)

    def class_names(self, count: int) -> tuple[str, ...]:
        """Return the names of ``count`` classes, their indices if the model has none."""
        return self.classes if len(self.classes) == count else tuple(map(str, range(count)))

    def list_classes(self) -> str:
        """List the names of the classes, the first twenty of many."""
        return ', '.join([*self.classes[:20], *['...'] * (len(self.classes) > 20)])

    @property
    def max_frames(self) -> int | None:
        """Frames of the longest clip that the config allows, None if unlimited."""
        return self.model.cfg.model.get('backbone', {}).get('max_frames')

    @property
    def metrics(self) -> Sequence[dict]:
        """Test metrics of the config."""
        metrics = self.model.cfg.get('test_evaluator') or ()
        return [metrics] if isinstance(metrics, dict) else metrics

    def iter(self, inputs: Inputs, progress: bool = True, **options) -> ResultIterator:
        """Predict results one by one, see :meth:`MotionInferencer.iter`."""
        found, reader, chosen = self._run(inputs, progress, options)
        return ResultIterator((self.make_result(group, windows, outputs, chosen)
                               for group, windows, outputs in found),
                              reader.problems, reader.notes)

    def outputs(self, inputs: Inputs, progress: bool = True, **options) -> ResultIterator:
        """Predict the outputs of all windows per recording, without making a result."""
        found, reader, _ = self._run(inputs, progress, options)
        return ResultIterator((outputs for _, _, outputs in found), reader.problems, reader.notes)

    def _run(self, inputs: Inputs, progress: bool, options: dict) -> tuple:
        """Return an iterator of recordings, windows and outputs, its reader and task options."""
        recordings, windows, chosen = sort_options(options, RecordingOptions, WindowOptions,
                                                   self.options_type)
        device = self.model.data_preprocessor.device
        reader = RecordingReader(recordings, self.layout.name, str(device), progress)
        found = self._results(reader, inputs, progress, windows, self.drop(chosen))
        return found, reader, chosen

    def _results(self, reader, inputs, progress, windows, drop) -> Iterator[tuple]:
        """Yield recordings, windows and outputs per result; batches span recordings."""
        pairs = ((group, cut, i) for group, cut in self._windows(reader, inputs, windows)
                 for i in range(len(cut)))
        total, rows = 0, []
        with tqdm(desc=self.task, unit=' windows', disable=not progress) as bar:
            while batch := list(islice(pairs, self.batch_size)):
                outputs = self.predict_clips([cut.get_data_info(i) for _, cut, i in batch])
                bar.update(len(batch))
                for (group, cut, i), row in zip(batch, outputs, strict=True):
                    rows.append({name: row[name] for name in row if name not in drop})
                    if i == len(cut) - 1:
                        bar.clear()  # its line is free for what is printed of the result
                        yield group, cut, {name: self.join(name, [row[name] for row in rows])
                                           for name in rows[0]}
                        total, rows = total + 1, []
        if not total:
            if not reader.count:
                raise ValueError('inputs: found no recording, expected at least one')
            problem = reader.problems[0] if len(reader.problems) == 1 else (
                f'none of {reader.count} recordings can be used\n{summarize(reader.problems)}')
            raise AnnotationError('\n'.join([str(problem), 'notes:', summarize(reader.notes)])
                                  if reader.notes else problem)
        if reader.notes:
            print_log(f'notes:\n{summarize(reader.notes, limit=20)}', 'current')
        if reader.problems:
            print_log(f'skipped {len(reader.problems)} of {reader.count} recordings:\n'
                      f'{summarize(reader.problems)}', 'current', logging.WARNING)

    def _windows(self, reader, inputs, options) -> Iterator[tuple]:
        """Yield groups of recordings and their windows."""
        for group in self.group(reader.read(inputs)):
            try:
                windows = self.make_windows(group, options)
            except AnnotationError as error:
                reader.report(error, group[0].name)
            else:
                yield group, windows

    # ----------------------------------------------------------------------------- pictures
    def draw(self, result: Result) -> dict[str, Any]:
        """Draw a result; returns figures and animations by the suffix of their file."""
        return {}

    def overlay(self, result: Result, images: Iterable[np.ndarray]) -> Iterator | None:
        """Draw skeletons and result on the frames of a video; None if not supported."""
        return None

    # ------------------------------------------------------------------ publishing and export
    def describe(self) -> str:
        """Describe the model in a phrase, for its card."""
        head = getattr(self.model, 'cls_head', None) or getattr(self.model, 'head', None)
        name = type(self.model).__name__
        return name if head is None else f'{name} with {type(head).__name__}'

    def limits(self) -> str:
        """State in a phrase what the results cannot tell, for the demo; empty if unknown."""
        return ''

    def example(self) -> str:
        """Return Python for the card, after ``inferencer = MotionInferencer('FOLDER')``."""
        return f"results = inferencer('clips.pkl', task='{self.task}')"

    @classmethod
    def exportable(cls, model: BaseModel) -> bool:
        """Return whether :meth:`graph` supports a model."""
        return False

    @staticmethod
    def graph(model: BaseModel, cubes: Any) -> tuple[Tensor, ...]:
        """Compute the outputs of :attr:`predicted`, without shapes that depend on the data.

        Args:
            model (BaseModel): The model, whose backbone encodes all cubes.
            cubes (ThermalCubes): B clips.
        """
        raise NotImplementedError

    @staticmethod
    def graph_mean(output: Tensor) -> Tensor:
        """Average an output (B, clips, ...) of a graph over the clips, as the head does."""
        return output.mean(1)

    @staticmethod
    def graph_gap(model: BaseModel, cubes: Any, name: str, found: Tensor,
                  expected: Tensor) -> Tensor:
        """Compute the difference of an output of a graph from that of the model."""
        return (found.double() - expected.double()).abs()


def sort_options(options: dict, *kinds: type) -> list:
    """Build dataclasses from one dict with the fields of all of them.

    Raises:
        TypeError: If a name is a field of none.
    """
    names = [[field.name for field in fields(kind)] for kind in kinds]
    known = [name for group in names for name in group]
    for name in options:
        if name not in known:
            raise TypeError(f'{name}: found an unknown option, expected one of '
                            f'{", ".join(known)}')
    return [kind(**{name: options[name] for name in group if name in options})
            for kind, group in zip(kinds, names, strict=True)]


@torch.no_grad()
def find_inferencers(model: BaseModel, batch_size: int = 32) -> dict[str, BaseInferencer]:
    """Find the tasks that a model supports by running it on one clip; the default comes first.

    Raises:
        ValueError: If the config has no test pipeline, or is published and cannot be used.
    """
    with _named(model.cfg):
        return _find_inferencers(model, batch_size)


@contextmanager
def _named(cfg: Config) -> Iterator[None]:
    """Name a published config in the errors of its pipeline and model; others raise their own."""
    path = getattr(cfg, 'filename', None)
    try:
        yield
    except Exception as error:  # wrong values raise nearly anything
        if not str(path).endswith('.json'):
            raise
        raise ValueError(f'{path}: test_dataloader: cannot be used ({type(error).__name__}: '
                         f'{show(str(error))})') from error


def _find_inferencers(model: BaseModel, batch_size: int) -> dict[str, BaseInferencer]:
    probe = BaseInferencer(model)
    joints = probe.layout.num_joints
    points = np.linspace(0, 99, 2 * joints, dtype=np.float32).reshape(1, 1, joints, 2)
    inputs, (sample, ) = probe.prepare([dict(
        keypoint=points, keypoint_score=np.ones((1, 1, joints), np.float32),
        img_shape=(100, 100), total_frames=1)])
    if not getattr(model, 'needs_mask', False):  # a pre-training predicts masked tokens only
        sample, = model(inputs, data_samples=[sample], mode='predict')
    found = [kind for kind in INFERENCERS.module_dict.values()
             if kind.offered(model, inputs, sample)]
    return {kind.result_type.task: kind(model, batch_size)
            for kind in sorted(found, key=lambda kind: kind.order)}


def published_keys() -> PublishedKeys:
    """Collect the settings of a config that the registered tasks read."""
    keys = [kind.published for kind in INFERENCERS.module_dict.values()]
    return PublishedKeys(*(tuple(dict.fromkeys(sum(group, ())))
                           for group in zip(*keys, strict=True)))
