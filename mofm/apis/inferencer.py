"""MotionInferencer: a trained model on whatever recordings people have."""
import hashlib
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import print_log
from tqdm import tqdm

from mofm.annotations import AnnotationError, Problem, summarize
from mofm.datasets import TrackWindowDataset, motion_collate
from mofm.datasets.frame_windows import join_windows
from mofm.pose_estimation.pose_extractor import PoseExtractor
from mofm.registry import DATASETS, METRICS
from mofm.structures import get_layout
from mofm.utils.checks import is_int

from .gallery import Gallery
from .lifting import lift_result, to_pixels
from .model import init_model
from .recordings import Inputs, Recording, RecordingReader
from .results import (
    ActionResult,
    AnomalyResult,
    DetectResult,
    FeaturesResult,
    OneShotResult,
    ReconstructResult,
    Result,
    TokensResult,
    frame_scores,
)
from .windows import ClipWindows, FrameWindows, PersonWindows, TrackWindows

# What a model sets in 'predict' for each task, by the name it has in the outputs. A head that
# tells normality has its classes as a means to that.
_PREDICTED = dict(
    anomaly=dict(normality='normality'),
    action=dict(scores='pred_score'),
    one_shot=dict(embedding='embedding'),
    detect=dict(scores='frame_scores'),
    tokens=dict(tokens='tokens', occupied='occupied'),
    reconstruct=dict(heat='heat', reconstruction='reconstruction'),
    lift=dict(joints='pred_keypoints_3d'))


class MotionInferencer:
    """Ask a trained model about recordings of any length, frame rate and joint layout.

    Clips go through the test pipeline of the config and the model as in ``tools/test.py``, with
    their joints in the layout of its data set (``to_layout``), COCO-17 by default.

    =============== ==========================================================================
    task            result
    =============== ==========================================================================
    ``action``      :class:`ActionResult`, classes and their probabilities
    ``anomaly``     :class:`AnomalyResult`, normality of every person and of every frame
    ``one_shot``    :class:`OneShotResult`, classes of the exemplars in :attr:`gallery`
    ``detect``      :class:`DetectResult`, actions of every frame
    ``tokens``      :class:`TokensResult`, motion tokens
    ``features``    :class:`FeaturesResult`, features of the backbone, pooled and per token
    ``reconstruct`` :class:`ReconstructResult`, heat and what the tokenizer makes of it
    ``lift``        :class:`LiftResult`, 3D skeletons
    =============== ==========================================================================

    Args:
        config (str, Path or Config): As of :func:`init_model`.
        checkpoint (str or Path, optional): The weights.
        device (str, optional): By default the first GPU, or the CPU if there is none.
        batch_size (int): Clips that are rendered at once. Defaults to 32.
        cfg_options (dict, optional): Settings to override, as of :func:`init_model`.

    Attributes:
        model (nn.Module): The model.
        tasks (tuple[str]): What it can do; the first is what it was trained for.
        classes (tuple[str]): Names of its classes, from the head or the data of the training,
            empty if unknown.
        layout (Layout): Joints of the clips.
        dataset (ConfigDict): Data set of the config's test.
        gallery (Gallery): Exemplars for ``one_shot``.
        problems (list[Problem]): Recordings that the last call left out, and why.

    Raises:
        FileNotFoundError: If there is no such config or checkpoint.
        ValueError: If the checkpoint is not of this model, or the config has no test pipeline.
    """

    def __init__(self, config: str | Path | Config,
                 checkpoint: str | Path | None = None, device: str | None = None,
                 batch_size: int = 32, cfg_options: dict | None = None):
        if not is_int(batch_size, 1):
            raise ValueError(f'batch_size: found {batch_size}, expected an integer of at '
                             'least 1')
        self.model = init_model(config, checkpoint, device, cfg_options)
        cfg = self.model.cfg
        if 'pipeline' not in cfg.get('test_dataloader', {}).get('dataset', {}):
            raise ValueError(f'{config}: found no test_dataloader.dataset.pipeline, expected the '
                             'transforms of a test')
        self.dataset = cfg.test_dataloader.dataset
        self.pipeline = Compose(self.dataset.pipeline)
        self.layout = get_layout(self.dataset.get('to_layout', 'coco17'))
        self.batch_size = batch_size
        names = getattr(getattr(self.model, 'cls_head', None), 'classes', None)
        self.classes = tuple(names or self.model.dataset_meta.get('classes', ()))
        self.gallery = Gallery(self)
        self.problems: list[Problem] = []
        self.tasks = self._find_tasks()
        if not self.tasks:
            raise ValueError(f'{type(self.model).__name__}: found a model without output that is '
                             f'known, expected one that sets one of {_PREDICTED} on its data '
                             "samples, or gives features in mode='tensor'")

    @torch.no_grad()
    def _find_tasks(self) -> tuple[str, ...]:
        """Tasks, from what the model does with one clip."""
        joints = self.layout.num_joints
        points = np.linspace(0, 99, 2 * joints, dtype=np.float32).reshape(1, 1, joints, 2)
        inputs, samples = self._prepare([dict(
            keypoint=points, keypoint_score=np.ones((1, 1, joints), np.float32),
            img_shape=(100, 100))])
        tasks = []
        if not hasattr(self.model, 'tokenizer'):  # a pre-training predicts masked tokens only
            sample, = self.model(inputs, data_samples=samples, mode='predict')
            tasks = [task for task, fields in _PREDICTED.items()
                     if all(field in sample for field in fields.values())]
        if 'anomaly' in tasks and 'action' in tasks:
            tasks.remove('action')
        if hasattr(self.model(inputs, mode='tensor'), 'pooled'):
            tasks.append('features')
        if hasattr(self.model, 'tokenizer') and self.model.tokenizer.init_cfg:
            tasks.append('tokens')
        return tuple(tasks)

    @cached_property
    def _teacher(self):
        """The tokenizer of a pre-training; its weights are in a file of their own."""
        self.model.tokenizer.init_weights()
        return self.model.tokenizer

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    def _require(self, task: str | None) -> str:
        task = task or self.tasks[0]
        if task not in self.tasks:
            raise ValueError(f'task: found {task!r}, but {type(self.model).__name__} with these '
                             f'heads can do {" and ".join(self.tasks)} only; use a config and '
                             'checkpoint of a model for the task')
        return task

    def _prepare(self, clips: Sequence[dict]) -> tuple:
        """Clips as the ThermalCubes and the data samples of a model."""
        batch = motion_collate([
            self.pipeline({'valid': np.ones(clip['keypoint'].shape[1], bool), **clip})
            for clip in clips])
        batch.pop('labels', None)
        data = self.model.data_preprocessor(batch, False)
        return data['inputs'], data['data_samples']

    @torch.no_grad()
    def predict_clips(self, clips: Sequence[dict], task: str | None = None) -> list[dict]:
        """Outputs of the model for clips of one window each, the lowest layer.

        Args:
            clips (Sequence[dict]): Annotations with ``keypoint`` (M, T, J, 2) in pixels,
                ``keypoint_score`` (M, T, J) and ``img_shape`` (h, w), T at least 1, with the
                joints of :attr:`layout`.
            task (str, optional): One of :attr:`tasks`, by default the first.

        Returns:
            list[dict]: NumPy arrays of each clip. ``action``: ``scores`` (C,); ``anomaly``:
            ``normality``, a number in [0, 1]; ``tokens``: ``tokens`` (K,) and ``occupied`` (K,)
            bool; ``features``: ``pooled`` (D,), ``tokens`` (K, D) and ``encoded`` (K,) bool;
            ``one_shot``: ``embedding`` (E,); ``reconstruct``: ``heat`` and ``reconstruction``
            (F, H, W); ``lift``: ``joints`` (M, T, J, 3) in the units of :class:`LiftResult`;
            ``detect``: ``scores`` (T, K), all frames but those with ``valid`` (T,) false.

        Raises:
            ValueError: If the model cannot do the task, a clip has other shapes, or the model
                gives NaN.
        """
        task = self._require(task)
        outputs = []
        for batch in self._batches(clips, task):
            inputs, samples = self._prepare(batch)
            fields = self._outputs(inputs, samples, task)
            fields = {name: values.cpu().numpy() for name, values in fields.items()}
            for name, values in fields.items():
                if not np.isfinite(values).all():
                    raise ValueError(f'{name}: the model gives NaN or infinite values, expected '
                                     'finite ones; check the checkpoint')
            rows = [
                dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)
            ]
            if task == 'lift':
                root_relative = getattr(self.model, 'root_relative', False)
                rows = [dict(joints=to_pixels(row['joints'], sample, clip, root_relative))
                        for row, sample, clip in zip(rows, samples, batch, strict=True)]
            outputs += rows
        return outputs

    def _batches(self, clips: Sequence[dict], task: str) -> Iterator[Sequence[dict]]:
        """Clips that go through the model together; some tasks keep all their frames."""
        groups = [clips] if task not in ('lift', 'detect') else [
            list(group) for _, group in groupby(clips, lambda clip: clip['keypoint'].shape[1])]
        for group in groups:
            for start in range(0, len(group), self.batch_size):
                yield group[start:start + self.batch_size]

    def _outputs(self, inputs, samples: list, task: str) -> dict[str, torch.Tensor]:
        """Outputs of a batch, stacked."""
        clips = len(inputs) // len(samples)
        # the heads of other tasks take the mean
        if clips > 1 and task in ('features', 'tokens', 'reconstruct', 'lift', 'detect'):
            raise ValueError(f'num_clips: found {clips} in the test pipeline, expected 1 for '
                             f'{task!r}')
        if task == 'features':
            features = self.model(inputs, mode='tensor')
            return dict(pooled=features.pooled, tokens=features.tokens, encoded=features.encoded)
        if task == 'tokens' and hasattr(self.model, 'tokenizer'):
            return dict(tokens=self._teacher.encode(inputs), occupied=inputs.occupied())
        samples = self.model(inputs, data_samples=samples, mode='predict')
        return {name: torch.stack([sample.get(field) for sample in samples])
                for name, field in _PREDICTED[task].items()}

    def __call__(self, inputs: Inputs, task: str | None = None,
                 **options) -> list[Result]:
        """Results of one or more recordings, see :meth:`iter` for the arguments.

        Returns:
            list[Result]: One for each usable recording.
        """
        return list(self.iter(inputs, task, **options))

    def iter(self, inputs: Inputs, task: str | None = None,
             window: int | None = None, stride: int | None = None, top_k: int = 5,
             per_token: bool = True, fps: float | None = None,
             model_fps: float | None = None, layout: str = 'coco17',
             img_shape: tuple[int, int] | None = None, split: str | None = None,
             pose_extractor: PoseExtractor | None = None,
             progress: bool = True) -> Iterator[Result]:
        """Results one after the other, for more recordings than fit into memory.

        A recording that cannot be used is left out and its reason put into :attr:`problems`.

        Args:
            inputs: A recording, or a list or an iterator of them, each

                - an annotation (dict): ``keypoint`` (M, T, V, 2), the other fields of
                  :mod:`mofm.annotations.files` are optional,
                - an array (T, V, 3) or (M, T, V, 3): x and y in pixels, and score,
                - or a path: annotations (``.pkl``, ``.arrow``, ``.npz``, ``.json``), poses of
                  AlphaPose, OpenPose or MMPose, arrays (``.npy``, ``.npz``), a video (needs the
                  extra ``pose``), or a folder of one of these.

                Joints with NaN or a score below 1e-4 are missing.
            task (str, optional): One of :attr:`tasks`, by default the first.
            window (int, optional): Frames of a window; the last one ends with the recording. None
                makes the whole recording one clip, from which the pipeline samples evenly.

                The windows of ``anomaly`` are tracks of single persons cut by the rules of
                :class:`TrackWindowDataset`, as in the test of the config; with ``window`` they
                are of this length and persons who are there for less are taken too.

                The windows of ``lift`` are of single persons, too, from where they are first seen
                to where last; None makes them as long as the config's
                ``model.backbone.max_frames``. Frames in several windows get the mean.

                The windows of ``detect`` are those of the test of the config, whose ``window``
                and ``stride`` these replace.
            stride (int, optional): Frames between the starts of two windows. By default half a
                window; for ``anomaly`` and ``detect`` that of the config; for ``lift`` a window.
            top_k (int): Classes that the result names. Defaults to 5.
            per_token (bool): Whether ``features`` keeps the features of the tokens, K times as
                much as the pooled ones. Defaults to True.
            fps (float, optional): Frames per second of the input. Videos tell theirs.
            model_fps (float, optional): Frame rate of the training data, to which the key points
                are brought; ``window`` and ``stride`` then count its frames. Needs ``fps``.
            layout (str): Joints of annotations and arrays, one of
                :data:`mofm.structures.LAYOUTS`. Defaults to 'coco17'.
            img_shape (tuple[int, int], optional): Height and width in pixels of inputs that do
                not tell; by default the image ends at the last joint.
            split (str, optional): Name of a split of annotation files.
            pose_extractor (PoseExtractor, optional): Network and person detector for videos, by
                default those of MMPose and MMDetection.
            progress (bool): Show windows per second. Defaults to True.

        Yields:
            Result: In the order of the inputs; persons of one video are together in ``anomaly``.

        Raises:
            ValueError: If the model cannot do the task, an argument is out of range, the gallery
                is empty, or no recording can be used.
            ImportError: If a video is given and MMPose or MMDetection is not installed.
        """
        task = self._require(task)
        if task == 'one_shot':
            self.gallery.require_exemplars()
        if not is_int(top_k, 1):
            raise ValueError(f'top_k: found {top_k}, expected an integer of at least 1')
        reader = self._reader(window, stride, layout=layout, fps=fps, model_fps=model_fps,
                              img_shape=img_shape, split=split, pose_extractor=pose_extractor,
                              progress=progress)
        results = self._run(reader, inputs, task, window, stride, progress,
                            drop=() if per_token else ('tokens', ))
        return (self._result(task, *found, top_k) for found in results)

    def embed(self, inputs: Inputs, window: int | None = None,
              stride: int | None = None, progress: bool = False, **options) -> np.ndarray:
        """Embeddings for one-shot recognition.

        Args:
            inputs: As of :meth:`iter`.
            window (int, optional): The same.
            stride (int, optional): The same.
            progress (bool): The same. Defaults to False.
            **options: ``fps``, ``model_fps``, ``layout``, ``img_shape``, ``split`` and
                ``pose_extractor`` of :meth:`iter`.

        Returns:
            np.ndarray: (N, E) float32 of length 1, one for each window of each recording.

        Raises:
            ValueError: As :meth:`iter`, and if any recording cannot be used.
        """
        self._require('one_shot')
        reader = self._reader(window, stride, progress=progress, **options)
        found = list(self._run(reader, inputs, 'one_shot', window, stride, progress))
        if reader.problems:
            raise AnnotationError(summarize(reader.problems))
        return np.concatenate([outputs['embedding'] for _, _, outputs in found])

    def _reader(self, window, stride, **options) -> RecordingReader:
        for name, value in (('window', window), ('stride', stride)):
            if value is not None and not is_int(value, 1):
                raise ValueError(f'{name}: found {value}, expected an integer of at least 1')
        device = next(self.model.parameters()).device
        reader = RecordingReader(device=str(device), to_layout=self.layout.name, **options)
        self.problems = reader.problems
        return reader

    def _run(self, reader: RecordingReader, inputs, task: str, window: int | None,
             stride: int | None, progress: bool, drop: Sequence[str] = ()) -> Iterator[tuple]:
        """Persons, windows and stacked outputs of every recording; batches span recordings."""
        pairs = ((group, windows, i) for group, windows in self._windows(
            reader, inputs, task, window, stride) for i in range(len(windows)))
        total, rows = 0, []
        with tqdm(desc=task, unit=' windows', disable=not progress) as bar:
            while batch := list(islice(pairs, self.batch_size)):
                outputs = self.predict_clips([w.get_data_info(i) for _, w, i in batch], task)
                bar.update(len(batch))
                for (group, windows, i), row in zip(batch, outputs, strict=True):
                    rows.append([row[name] for name in row if name not in drop])
                    if i == len(windows) - 1:
                        names = [name for name in row if name not in drop]
                        stack = list if task == 'lift' else np.stack
                        yield group, windows, dict(
                            zip(names, map(stack, zip(*rows, strict=True)), strict=True))
                        total, rows = total + 1, []
        if not total:
            if not reader.count:
                raise ValueError('inputs: found no recording, expected at least one')
            raise AnnotationError(reader.problems[0] if len(reader.problems) == 1 else
                                  f'none of {reader.count} recordings can be used\n'
                                  f'{summarize(reader.problems)}')
        if reader.problems:
            print_log(f'left out {len(reader.problems)} of {reader.count} recordings:\n'
                      f'{summarize(reader.problems)}', 'current', logging.WARNING)

    def _windows(self, reader, inputs, task, window, stride) -> Iterator[tuple]:
        """Groups of recordings and their windows."""
        recordings = reader.read(inputs)
        if task == 'anomaly':
            groups = (list(group) for _, group in groupby(recordings, lambda r: r.video))
        else:
            groups = ([recording] for recording in recordings)
        for group in groups:
            try:
                if task == 'anomaly':
                    windows = TrackWindows(group[0].video[1], [r.ann for r in group],
                                           **self._rules(group, window, stride))
                elif task == 'lift':
                    windows = PersonWindows(group[0].ann, window or self.clip_len, stride)
                elif task == 'detect':
                    windows = FrameWindows(
                        group[0].ann, window or self.dataset.get('window'),
                        stride or (None if window else self.dataset.get('stride')))
                else:
                    windows = ClipWindows(group[0].ann, window, stride)
            except AnnotationError as error:
                reader.report(error, group[0].name)
            else:
                yield group, windows

    def _rules(self, group: list[Recording], window, stride) -> dict:
        """How tracks are cut."""
        longest = max(recording.ann['total_frames'] for recording in group)
        if issubclass(DATASETS.get(self.dataset.type), TrackWindowDataset):
            names = ('seg_len', 'stride', 'max_missing', 'min_len')
            rules = {name: self.dataset[name] for name in names if name in self.dataset}
        else:  # trained with whole recordings
            rules = dict(seg_len=longest, min_len=1, max_missing=longest)
        if window is not None:
            rules.update(seg_len=window, min_len=1)
        if stride is not None:
            rules['stride'] = stride
        return rules

    @property
    def clip_len(self) -> int | None:
        """Frames of the longest clip that the config allows, None if it does not tell."""
        return self.model.cfg.model.get('backbone', {}).get('max_frames')

    @cached_property
    def _metrics(self) -> Sequence[dict]:
        """Metrics of the test of the config."""
        metrics = self.model.cfg.get('test_evaluator') or ()
        return [metrics] if isinstance(metrics, dict) else metrics

    @cached_property
    def _to_segments(self) -> Callable | None:
        """How the metric of the config makes segments of scores (T, K)."""
        for metric in self._metrics:
            if hasattr(METRICS.get(metric['type']), 'to_segments'):
                return METRICS.build(metric).to_segments
        return None

    @cached_property
    def _smoothing(self) -> Sequence[float]:
        """Sigmas in frames, of the metric of the config or of the protocol."""
        for metric in self._metrics:
            if metric['type'].endswith('FrameAUC') and 'smoothing' in metric:
                return metric['smoothing']
        return inspect.signature(METRICS.get('FrameAUC')).parameters['smoothing'].default

    def _result(self, task: str, group: list[Recording], windows, outputs: dict,
                top_k: int) -> Result:
        """The result of a recording, in frames of the input."""
        first = group[0]
        head = dict(name=first.name, frames=first.to_input(windows.frames), fps=first.fps,
                    poses=[recording.ann for recording in group])
        if task == 'action':
            return ActionResult(**head, **outputs, top_k=top_k,
                                classes=self._names(outputs['scores'].shape[-1]))
        if task == 'detect':
            return self._detect(head, first, windows, outputs['scores'])
        if task == 'one_shot':
            return OneShotResult(**head, **outputs, classes=self.gallery.classes, top_k=top_k,
                                 scores=self.gallery.similarity(outputs['embedding']))
        if task == 'anomaly':
            return self._anomaly(head, group, windows, outputs['normality'])
        if task == 'lift':
            return lift_result(head, first, windows, outputs['joints'], self.layout.name)
        if task == 'features':
            return FeaturesResult(**head, **{'tokens': None, **outputs})
        return dict(tokens=TokensResult, reconstruct=ReconstructResult)[task](**head, **outputs)

    def _names(self, count: int) -> tuple[str, ...]:
        return self.classes if len(self.classes) == count else tuple(map(str, range(count)))

    def _detect(self, head, recording, windows, scores) -> DetectResult:
        """Mean of the windows of each frame, and segments of it."""
        total = join_windows(windows.frames[:, 0], scores, windows.frames.max() + 1)
        segments = None
        if self._to_segments:
            segments = self._to_segments(total)
            segments[:, 1:3] = recording.to_input(segments[:, 1:3])
            segments = segments[np.argsort(segments[:, 1], kind='stable')]
        place = np.round(np.arange(recording.num_frames) * recording.ratio).astype(int)
        return DetectResult(**head, scores=total[place.clip(max=len(total) - 1)],
                            segments=segments, classes=self._names(scores.shape[-1]))

    def _anomaly(self, head, group, windows, normality) -> AnomalyResult:
        last = max(group, key=lambda recording: recording.num_frames)
        # frame of the model for each of the input; smoothing is about the former
        place = np.round(np.arange(last.num_frames) * last.ratio).astype(int)
        score, smoothed = frame_scores(windows.frame, normality, place[-1] + 1, self._smoothing,
                                       windows.stride)
        head.update(name=last.video[1], frames=last.to_input(windows.frames))
        return AnomalyResult(**head, frame=last.to_input(windows.frame), person=windows.track_id,
                             normality=normality, score=score[place], smoothed=smoothed[place])
