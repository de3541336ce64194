"""Anomaly detection: normality of every person and of every frame."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from mmengine.model import BaseModel

from mofm.hub.published import PublishedKeys
from mofm.models import AnomalyClsHead, JigsawDetector
from mofm.registry import DATASETS, INFERENCERS, METRICS
from mofm.utils.checks import is_number, require

from .base import BaseInferencer, EventRule
from .result import Result

_MAX_SIGMA, _MAX_SIGMAS = 100, 20  # of the smoothing, in frames


@dataclass
class AnomalyResult(Result):
    """Normality of a video: 1 is normal, 0 abnormal; without labels only the order counts.

    A window scores one frame and one person. T is the number of frames up to the last one scored.

    Attributes:
        frame (np.ndarray): (W,) int, frame that each window scores.
        person (np.ndarray): (W,) int, ``track_id``, or the row in the annotation.
        normality (np.ndarray): (W,) float32, in [0, 1] for heads that predict probabilities;
            otherwise negated distances or log densities.
        score (np.ndarray): (T,) float64, minimum over the persons; frames without a window get
            the highest of the video.
        smoothed (np.ndarray): (T,) float64, ``score`` after the Gaussians of the metric.
    """

    task = 'anomaly'
    frame: np.ndarray
    person: np.ndarray
    normality: np.ndarray
    score: np.ndarray
    smoothed: np.ndarray

    def per_person(self) -> dict[int, np.ndarray]:
        """Return the normality (T,) of every person, NaN in frames without a window."""
        out = {int(person): np.full(len(self.score), np.nan) for person in np.unique(self.person)}
        for person, values in out.items():
            mine = self.person == person
            np.fmin.at(values, self.frame[mine], self.normality[mine])
        return out

    def predictions(self, frame, person) -> dict:
        """Return the normality of each pose, and that of its frame, smoothed."""
        inside = frame < len(self.score)
        normality, smoothed = np.full((2, len(frame)), np.nan)
        smoothed[inside] = self.smoothed[frame[inside]]
        for number, values in self.per_person().items():
            mine = inside & (person == number)
            normality[mine] = values[frame[mine]]
        return dict(normality=normality, frame_normality=smoothed)

    def summary(self) -> str:
        """Report the least normal frame."""
        frame = int(self.smoothed.argmin())
        return f'least normal: frame {frame} ({self.smoothed[frame]:.3f})'

    def rows(self) -> list[dict]:
        """Return frame, person and normality of each window."""
        return [dict(person=person, frame=frame, first=first, last=last, normality=normality)
                for (first, last), frame, person, normality in zip(
                    self.frames.tolist(), self.frame.tolist(), self.person.tolist(),
                    self.normality.tolist(), strict=True)]

    def thumbnails(self, num: int = 5) -> dict[int, np.ndarray]:
        """Return keypoints (V, 2) of the least normal person at the deepest minima, by frame."""
        out, smoothed = {}, self.smoothed.copy()
        for _ in range(num):
            frame = int(np.nanargmin(smoothed))
            width = len(smoothed) // 10
            smoothed[max(frame - width, 0):frame + width + 1] = np.inf
            near = np.flatnonzero(np.abs(self.frame - frame) <= 10)
            if np.isinf(smoothed).all() or not len(near):
                break
            window = near[self.normality[near].argmin()]
            frame = int(self.frame[window])
            for person, inds, points, _ in self.persons():
                row = np.searchsorted(inds, frame)
                if person == self.person[window] and row < len(inds) and inds[row] == frame:
                    out[frame] = points[row]
        return out


@INFERENCERS.register_module(AnomalyResult.task)
class AnomalyInferencer(BaseInferencer):
    """Anomaly detection, for heads that set ``normality``.

    Windows are tracks of single persons cut by the rules of :class:`TrackWindowDataset`, as in
    the test of the config; with ``window`` they have this length, and shorter tracks count too.
    """

    result_type = AnomalyResult
    title = 'Unusual motion'
    predicted = dict(normality='normality')
    several_clips = True
    event_rule = EventRule('normality', below=True)
    published = PublishedKeys(dataset=('seg_len', 'stride', 'max_missing', 'min_len'),
                              metric=('smoothing', ))

    def __init__(self, *args):
        super().__init__(*args)
        # a classifier has the classes normal and abnormal
        self.names_classes = isinstance(getattr(self.model, 'cls_head', None), AnomalyClsHead)
        for name in ('seg_len', 'stride', 'min_len'):
            require(self.dataset.get(name, 1) != 0, self, name, 0, 'at least 1')
        sigmas = self._smoothing
        require(isinstance(sigmas, (list, tuple)) and len(sigmas) <= _MAX_SIGMAS
                and all(is_number(sigma, .01, _MAX_SIGMA) for sigma in sigmas), self, 'smoothing',
                sigmas, f'at most {_MAX_SIGMAS} numbers from 0.01 to {_MAX_SIGMA}')

    def window_scores(self, output) -> dict[str, float]:
        """Return the normality."""
        return {self.task: float(output['normality'])}

    def group(self, recordings):
        """Group the persons of a video."""
        return (list(group) for _, group in groupby(recordings, lambda r: r.video))

    def make_windows(self, group, options):
        """Cut the tracks."""
        from mofm.datasets.track_windows import TrackWindowDataset, TrackWindows

        longest = max(recording.ann['total_frames'] for recording in group)
        if issubclass(DATASETS.get(self.dataset.type), TrackWindowDataset):
            rules = {name: self.dataset[name] for name in self.published.dataset
                     if self.dataset.get(name) is not None}
        else:  # trained with whole recordings
            rules = dict(seg_len=longest, min_len=1, max_missing=longest)
        if options.window is not None:
            rules.update(seg_len=options.window, min_len=1)
        if options.stride is not None:
            rules['stride'] = options.stride
        return TrackWindows(group[0].video[1], [r.ann for r in group], **rules)

    @cached_property
    def _smoothing(self) -> Sequence[float]:
        """Sigmas in frames, of the metric of the config or of the protocol."""
        for metric in self.metrics:
            if metric['type'].endswith('FrameAUC') and 'smoothing' in metric:
                return metric['smoothing']
        return inspect.signature(METRICS.get('FrameAUC')).parameters['smoothing'].default

    def make_result(self, group, windows, outputs, options) -> AnomalyResult:
        """Add the scores of the frames."""
        from mofm.evaluation.functional import frame_scores

        last = max(group, key=lambda recording: recording.num_frames)
        # model frame of each input frame; smoothing works on model frames
        place = np.round(np.arange(last.num_frames) * last.ratio).astype(int)
        score, smoothed = frame_scores(windows.frame, outputs['normality'], place[-1] + 1,
                                       self._smoothing, windows.stride)
        common = dict(self.common(group, windows), name=last.video[1],
                      frames=last.to_input(windows.frames))
        return AnomalyResult(**common, **outputs, frame=last.to_input(windows.frame),
                             person=windows.track_id, score=score[place],
                             smoothed=smoothed[place])

    def draw(self, result) -> dict:
        """Plot scores over time, with the least normal persons."""
        from mofm.visualization import draw_anomaly_curve

        normal = np.zeros(len(result.score), bool)
        return {'.png': draw_anomaly_curve(result.score, result.smoothed, normal,
                                           result.thumbnails(), result.name, result.fps)}

    def overlay(self, result, images):
        """Color persons by their normality."""
        from mofm.visualization import overlay_poses

        values = {}
        for person, score in result.per_person().items():
            known = np.flatnonzero(np.isfinite(score))
            values[person] = np.interp(np.arange(len(score)), known, score[known])

        def title(frame: int) -> str:
            return f'normality {result.smoothed[min(frame, len(result.smoothed) - 1)]:.2f}'

        return overlay_poses(images, result.persons(), title, values,
                             (result.normality.min(), result.normality.max()), self.layout.name,
                             result.fps)

    def limits(self) -> str:
        """State what is normal."""
        return ('normal is what its training data show, so any motion that they lack scores low, '
                'harmless or not; scores of different cameras cannot be compared')

    def describe(self) -> str:
        """Name the task and its supervision."""
        if approach := getattr(self.model, 'approach', None):
            return f'Anomaly detection without labels, by {approach} (DT3)'
        if isinstance(getattr(self.model, 'cls_head', None), AnomalyClsHead):
            return 'Anomaly detection with labels (DT4)'
        return super().describe()

    @classmethod
    def exportable(cls, model: BaseModel) -> bool:
        """Support the two heads of MoFM."""
        return isinstance(model, JigsawDetector) or \
            isinstance(getattr(model, 'cls_head', None), AnomalyClsHead)

    @staticmethod
    def graph(model, cubes) -> tuple:
        """Compute normality (B,)."""
        features = model.backbone(cubes)
        if not isinstance(model, JigsawDetector):
            return (model.cls_head(features).softmax(1)[:, 0],)
        right = model.head(features).softmax(2).diagonal(dim1=1, dim2=2)  # (B, P)
        if model.head.ignore_empty:
            right = right.masked_fill(~model.head.occupied(cubes.peaks()), 1)
        return (right.amin(1),)
