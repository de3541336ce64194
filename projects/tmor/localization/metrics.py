"""Per-frame and per-event average precision of temporal localization."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from sklearn.metrics import average_precision_score

from mofm.datasets.frame_windows import join_windows
from mofm.evaluation.functional import Statistic, ap_statistic, mean_statistic
from mofm.evaluation.measures import (
    MEASURES,
    Measure,
    Reference,
    format_interval,
    format_value,
    group_views,
    make_references,
)
from mofm.registry import FUNCTIONS, METRICS
from mofm.utils.files import atomic_write
from mofm.utils.names import file_stem
from mofm.visualization import draw_timeline, save_figure

from .events import event_ap, event_statistic

MEASURES.update({
    'localization/frame_mAP': Measure('Mean average precision per frame (mAP)'),
    'localization/mAP_action': Measure('Segment mAP over actions, IoU'),
    'localization/mAP_video': Measure('Segment mAP over recordings, IoU')})
_FIELDS = ('frame_dir', 'frame', 'num_frames', 'valid', 'frame_targets', 'segments',
           'frame_scores')


class Recording(NamedTuple):
    """Recording assembled from its windows.

    Attributes:
        scores (np.ndarray): (T, K) float32, averaged over overlapping windows.
        targets (np.ndarray): (T, K) bool.
        segments (np.ndarray): (N, 3) label, first and last frame of the annotated actions.
    """

    scores: np.ndarray
    targets: np.ndarray
    segments: np.ndarray


class _RecordingMetric(BaseMetric):
    """Base class of metrics over the windows of :class:`UntrimmedDataset`."""

    default_prefix = 'localization'

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        """Store scores and ground truth of the valid frames of every window."""
        missing = set(_FIELDS) - data_samples[0].keys()
        if missing:
            raise ValueError(f'data sample without {sorted(missing)}: expected windows of '
                             'UntrimmedDataset, these in meta_keys of the packing transform, and '
                             'a model that sets frame_scores')
        for s in data_samples:
            valid = s['valid']
            self.results.append((s['frame_dir'], int(s['frame']), int(s['num_frames']),
                                 s['frame_scores'].float().cpu().numpy()[valid],
                                 s['frame_targets'][valid], s['segments']))

    def recordings(self, results: list) -> dict[str, Recording]:
        """Assemble the windows to recordings, sorted by name.

        Raises:
            ValueError: If a score is not finite.
        """
        windows = defaultdict(list)
        for name, *window in results:
            windows[name].append(window)
        out = {}
        for name, parts in sorted(windows.items()):
            starts, lengths, parts_scores, parts_targets, segments = zip(*parts, strict=True)
            num_frames, segments = lengths[0], segments[0]
            scores = join_windows(starts, parts_scores, num_frames)
            truth = np.zeros(scores.shape, bool)
            for first, targets in zip(starts, parts_targets, strict=True):
                truth[first:first + len(targets)] = targets
            if not np.isfinite(scores).all():
                raise ValueError(f'frame_scores of {name!r}: found NaN or infinite values, '
                                 'expected probabilities; check the training loss')
            out[name] = Recording(scores, truth, segments)
        return out

    def class_names(self, num_classes: int) -> Sequence[str]:
        """Return the names of the classes, or their numbers if there are none."""
        names = (self.dataset_meta or {}).get('classes')
        return names if names and len(names) == num_classes else list(
            map(str, range(num_classes)))


@METRICS.register_module()
class FrameMAP(_RecordingMetric):
    """Per-frame mean average precision of Toyota Smarthome Untrimmed and of Charades.

    The frames of all recordings are sorted by the score of a class. Its AP is the mean precision
    at the ranks of the frames with the action, without interpolation; frames of equal score have
    the rank of the last of them. Classes without frames are skipped.

    Args:
        convention (str): ``'tsu'``, the mean over classes whose AP is not 0, or ``'charades'``,
            the mean over all. Defaults to ``'tsu'``.
        num_points (int, optional): Number of equally spaced frames per recording, 25 in the
            official localization task of Charades. Defaults to None, all.
        out_dir (str, optional): Folder for ``scores.npz``, with the arrays ``<recording>/score``
            (T, K) float16 and ``<recording>/target`` (T, K), and pictures of predictions against
            ground truth. Characters not allowed in file names become ``_``.
        num_pictures (int): Number of recordings to draw. Defaults to 40.
        collect_device, prefix: See MMEngine.

    Attributes:
        average_precision (np.ndarray): (K,) of the last evaluation, NaN for classes without
            frames.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(self,
                 convention: str = 'tsu',
                 num_points: int | None = None,
                 out_dir: str | None = None,
                 num_pictures: int = 40,
                 collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device, prefix)
        if convention not in ('tsu', 'charades'):
            raise ValueError(f"convention: found {convention!r}, expected 'tsu' or 'charades'")
        if num_points is not None and num_points < 1:
            raise ValueError(f'num_points: found {num_points}, expected at least 1, or None')
        self.convention = convention
        self.num_points = num_points
        self.out_dir = out_dir and Path(out_dir)
        self.num_pictures = num_pictures

    def compute_metrics(self, results: list) -> dict:
        """Compute ``frame_mAP``, NaN if no frame has an action."""
        recordings = self.recordings(results)
        chosen = [self._points(len(r.scores)) for r in recordings.values()]
        scores = np.concatenate(
            [r.scores[i] for r, i in zip(recordings.values(), chosen, strict=True)])
        targets = np.concatenate(
            [r.targets[i] for r, i in zip(recordings.values(), chosen, strict=True)])
        self.average_precision = ap = np.array([
            average_precision_score(target, score) if target.any() else np.nan
            for target, score in zip(targets.T, scores.T, strict=True)])
        self._scores, self._targets = scores, targets
        self._group = np.repeat(group_views(list(recordings)), [
            len(r.scores[i]) for r, i in zip(recordings.values(), chosen, strict=True)])
        self.__dict__.pop('_references', None)
        if self.out_dir:
            self._write(recordings)
        known = ap[~np.isnan(ap)]
        names = self.class_names(len(ap))
        if len(known) < len(ap):
            absent = [n for n, a in zip(names, ap, strict=True) if np.isnan(a)]
            print_log(f'no frame of {absent}: excluded from the mean', 'current', logging.WARNING)
        print_log('AP by class: ' + ', '.join(
            f'{n} {a:.3f}' for n, a in zip(names, ap, strict=True) if not np.isnan(a)), 'current')
        if self.convention == 'tsu':
            known = known[known != 0]
        return dict(frame_mAP=float(known.mean()) if len(known) else float('nan'))

    @cached_property
    def _references(self) -> dict:
        """References of the mean, ``frame_mAP``, and of the AP of each class, by its number."""
        ap, share = self.average_precision, self._targets.mean(0)
        classes = {k: ap_statistic(self._targets[:, k], self._scores[:, k], self._group)
                   for k in np.flatnonzero(~np.isnan(ap))}
        averaged = [k for k in classes if self.convention == 'charades' or ap[k] != 0]
        if not averaged:
            return {}
        return make_references(
            dict(classes, frame_mAP=partial(_mean, [classes[k] for k in averaged])),
            self._group.max() + 1, 'recordings',
            {**dict(enumerate(share)), 'frame_mAP': float(share[averaged].mean())})

    def references(self) -> dict[str, Reference]:
        """Compute the interval over recordings; chance is the mean share of frames."""
        return {name: found for name, found in self._references.items() if name == 'frame_mAP'}

    def tables(self) -> dict[str, tuple[list, list]]:
        """Return the AP per class: title -> head and rows, the lowest first.

        Classes in one or two recordings have no intervals.
        """
        ap, names, rows = self.average_precision, self.class_names(len(self.average_precision)), []
        for k in np.argsort(ap):
            if k in self._references:
                low, high, chance, _ = self._references[k]
                there = self._targets[:, k]
                count = len(np.unique(self._group[there]))
                interval = format_interval(low, high) if count > 2 else ''
                rows.append([names[k], there.sum(), count,
                             f'{format_value(float(ap[k]))} {interval}'.strip(),
                             format_value(float(chance))])
        return {'Classes': (['class', 'frames', 'recordings', 'AP, %', 'chance'], rows)}

    def _points(self, length: int):
        """Return the indices of the frames to evaluate."""
        if self.num_points is None:
            return slice(None)
        return np.linspace(0, length - 1, self.num_points).round().astype(int)

    def _write(self, recordings: dict[str, Recording]):
        """Write the scores of all recordings and pictures of the first ones."""
        self.out_dir.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, np.ndarray] = {}
        used: dict[str, int] = {}
        for i, (name, recording) in enumerate(recordings.items()):
            file = file_stem(f'{i:04d}_{name}', used)
            arrays[f'{file}/score'] = recording.scores.astype(np.float16)
            arrays[f'{file}/target'] = recording.targets
            if i < self.num_pictures:
                figure = draw_timeline(recording.scores, recording.targets, self.class_names(
                    recording.scores.shape[1]), title=name)
                save_figure(figure, self.out_dir / f'{file}.png')
        with atomic_write(self.out_dir / 'scores.npz') as file:
            np.savez_compressed(file, **arrays)


@METRICS.register_module()
class EventMAP(_RecordingMetric):
    """Mean average precision of segments at several overlaps, by the protocol of PKU-MMD.

    ``mAP_action`` is the mean of :func:`event_ap` over the classes, ``mAP_video`` that over the
    recordings, with the segments of all classes together. A class or recording without true
    segments counts 0. Starts and ends are the first and the last frame.

    Args:
        segments (dict): Conversion of frames to segments: ``type``, :func:`argmax_segments` or
            :func:`threshold_segments`, and its options. Defaults to the latter.
        iou (Sequence[float]): Overlaps θ. Defaults to (0.1, 0.3, 0.5).
        skip_unmatched (bool): See :func:`event_ap`. Defaults to False.
        collect_device, prefix: See MMEngine.

    Raises:
        ValueError: If an overlap is not in (0, 1], or there is no such function.
    """

    def __init__(self,
                 segments: dict | None = None,
                 iou: Sequence[float] = (0.1, 0.3, 0.5),
                 skip_unmatched: bool = False,
                 collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device, prefix)
        if not all(0 < value <= 1 for value in iou):
            raise ValueError(f'iou: found {tuple(iou)}, expected numbers in (0, 1]')
        options = dict(segments or dict(type='threshold_segments'))
        name = options.pop('type', None)
        function = FUNCTIONS.get(name) if isinstance(name, str) else None
        if function is None:
            raise ValueError(f'segments.type: found {name!r}, expected a registered function, '
                             'e.g. threshold_segments')
        self._segments = partial(function, **options)
        self.iou = tuple(iou)
        self.skip_unmatched = skip_unmatched

    def to_segments(self, scores: np.ndarray) -> np.ndarray:
        """Convert scores (T, K) to segments (N, 4), see :func:`threshold_segments`."""
        return self._segments(scores)

    def compute_metrics(self, results: list) -> dict:
        """Compute ``mAP_action@θ`` and ``mAP_video@θ`` for each overlap θ."""
        proposals, truth = [np.zeros((0, 5))], [np.zeros((0, 4))]
        recordings = self.recordings(results)
        group = group_views(list(recordings))
        for i, recording in enumerate(recordings.values()):
            found = self.to_segments(recording.scores)
            proposals.append(np.insert(found, 0, i, 1))
            truth.append(np.insert(recording.segments.astype(np.float64), 0, i, 1))
        proposals, truth = np.concatenate(proposals), np.concatenate(truth)
        self._statistics = {}
        num_classes = recording.scores.shape[1]
        print_log(f'{len(proposals)} segments found, {len(truth)} annotated, in '
                  f'{len(recordings)} recordings', 'current')
        out = {}
        for kind, column, groups in (('action', 1, num_classes), ('video', 0, len(recordings))):
            parts = [(proposals[proposals[:, column] == g], truth[truth[:, column] == g])
                     for g in range(groups)]
            for iou in self.iou:
                values = [event_ap(p, t, iou, self.skip_unmatched) for p, t in parts]
                out[f'mAP_{kind}@{iou:g}'] = float(np.mean(values))
                self._statistics[f'mAP_{kind}@{iou:g}'] = mean_statistic(
                    np.array(values), group=group) if kind == 'video' else partial(
                        _mean, [event_statistic(p, t, iou, self.skip_unmatched, group)
                                for p, t in parts])
        self._num_recordings = group.max() + 1
        return out

    def references(self) -> dict[str, Reference]:
        """Compute the intervals over recordings; there is no level of chance."""
        return make_references(self._statistics, self._num_recordings, 'recordings')


def _mean(statistics: Sequence[Statistic], count: np.ndarray) -> np.ndarray:
    """Average statistics over those that have a value in a draw."""
    values = np.array([statistic(count) for statistic in statistics])
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(0) / known.sum(0).clip(1)
