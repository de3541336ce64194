"""Inferencer of temporal localization for recordings of any length."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mofm.apis.inferencers import BaseInferencer, Result
from mofm.datasets.frame_windows import cut_window, join_windows, window_starts
from mofm.hub.published import PublishedKeys
from mofm.registry import INFERENCERS, METRICS


class FrameWindows:
    """Windows of consecutive frames of the video with all persons, padded behind its end.

    Args:
        ann (dict): A valid annotation.
        window (int, optional): Frames of a window. Defaults to all frames.
        stride (int, optional): Frames between the starts of two windows, at most ``window``.
            Defaults to ``window``.

    Attributes:
        frames (np.ndarray): (W, 2) first and last frame of each window, without padding.

    Raises:
        ValueError: If the stride is out of range.
    """

    def __init__(self, ann: dict, window: int | None = None, stride: int | None = None):
        inds = ann.get('frame_inds', np.arange(ann['total_frames']))
        num_frames = int(inds[-1]) + 1
        window = window or num_frames
        starts = window_starts(num_frames, window, stride or window)
        self.frames = np.stack([starts, np.minimum(starts + window - 1, inds[-1])], 1)
        self._ann = dict(ann, frame_inds=inds)
        self._size = window

    def __len__(self) -> int:
        return len(self.frames)

    def get_data_info(self, idx: int) -> dict:
        """Return a window, see :func:`cut_window`."""
        return cut_window(self._ann, int(self.frames[idx, 0]), self._size)


@dataclass
class LocalizeResult(Result):
    """Actions of a recording over time, any number per frame.

    Attributes:
        scores (np.ndarray): (T, K) float32, probability of every class in each of the T frames.
        segments (np.ndarray or None): (N, 4) float64, class, first and last frame and confidence
            of the actions, ordered by first frame. None if no metric of the config defines
            segments.
        classes (tuple[str]): Names of the K classes; their numbers if the model has none.
    """

    task = 'localize'
    scores: np.ndarray
    segments: np.ndarray | None
    classes: tuple[str, ...]

    def actions(self) -> list[tuple[str, int, int, float]]:
        """Return name, first and last frame and confidence of every segment in order of time."""
        return [(self.classes[int(label)], int(first), int(last), confidence)
                for label, first, last, confidence in
                (() if self.segments is None else self.segments.tolist())]

    def summary(self) -> str:
        """List the actions in one line."""
        return ', '.join(f'{name} {first}-{last}' for name, first, last, _ in self.actions()) \
            or 'no action'

    def rows(self) -> list[dict]:
        """Return one row per action."""
        return [{'first': first, 'last': last, 'class': name, 'score': confidence}
                for name, first, last, confidence in self.actions()]

    def to_dict(self) -> dict:
        """Extend the fields of the result by ``actions``."""
        return dict(super().to_dict(), actions=[list(action) for action in self.actions()])


@INFERENCERS.register_module(LocalizeResult.task)
class LocalizeInferencer(BaseInferencer):
    """Temporal localization of actions by heads that set ``frame_scores``.

    Windows are those of the test set in the config; the options override ``window`` and
    ``stride``. Scores of overlapping windows are averaged.
    """

    result_type = LocalizeResult
    title = 'Actions over time'
    predicted = dict(scores='frame_scores')
    several_clips = True  # of a window, which the model puts one after the other
    keeps_frames = True
    names_classes = True
    published = PublishedKeys(dataset=('window', 'stride'), metric=('segments', ))

    def __init__(self, *args):
        super().__init__(*args)
        window, stride = self.dataset.get('window'), self.dataset.get('stride')
        if window is not None and stride is not None:
            window_starts(window, window, stride)
        if self._to_segments:
            self._to_segments(np.eye(2))

    def make_windows(self, group, options) -> FrameWindows:
        """Cut windows as in the test set of the config."""
        return FrameWindows(group[0].ann, options.window or self.dataset.get('window'),
                            options.stride or (None if options.window else
                                               self.dataset.get('stride')))

    @cached_property
    def _to_segments(self):
        """Function of a metric that converts scores (T, K) to segments, or None."""
        for metric in self.metrics:
            if hasattr(METRICS.get(metric['type']), 'to_segments'):
                return METRICS.build(metric).to_segments
        return None

    def make_result(self, group, windows, outputs, options) -> LocalizeResult:
        """Average the windows of each frame and derive the segments."""
        recording, scores = group[0], outputs['scores']
        total = join_windows(windows.frames[:, 0], scores, windows.frames.max() + 1)
        segments = None
        if self._to_segments:
            segments = self._to_segments(total)
            segments[:, 1:3] = recording.to_input(segments[:, 1:3])
            segments = segments[np.argsort(segments[:, 1], kind='stable')]
        place = np.round(np.arange(recording.num_frames) * recording.ratio).astype(int)
        return LocalizeResult(**self.common(group, windows), segments=segments,
                              scores=total[place.clip(max=len(total) - 1)],
                              classes=self.class_names(scores.shape[-1]))

    def draw(self, result) -> dict:
        """Draw the probabilities over time."""
        from mofm.visualization import draw_timeline

        return {'.png': draw_timeline(result.scores, None, result.classes, result.name,
                                      result.fps)}

    def limits(self) -> str:
        """List the classes, beside which there is no action."""
        return (f'any motion but its {len(self.classes)} classes counts as no action: '
                f'{self.list_classes()}') if self.classes else super().limits()

    def overlay(self, result, images):
        """Write the names of the actions on each frame."""
        from mofm.visualization import overlay_poses

        actions = result.actions()

        def title(frame: int) -> str:
            return ', '.join(name for name, first, last, _ in actions if first <= frame <= last)

        return overlay_poses(images, result.persons(), title, layout=self.layout.name,
                             fps=result.fps)
