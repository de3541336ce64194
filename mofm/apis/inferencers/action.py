"""Action classification: class probabilities of a recording."""

from dataclasses import dataclass, replace

import numpy as np
from mmengine.model import BaseModel

from mofm.models import ActionClsHead, AnomalyClsHead
from mofm.registry import INFERENCERS
from mofm.utils.checks import is_int, require

from .base import BaseInferencer, EventRule, TaskOptions
from .result import Result, at_input, cut

_DRAWN = 16  # classes over time


@dataclass(frozen=True)
class ActionOptions(TaskOptions):
    """Options of action classification.

    Args:
        top_k (int): Number of best classes in the result. Defaults to 5.
    """

    top_k: int = 5

    def __post_init__(self):
        require(is_int(self.top_k, 1), self, 'top_k', self.top_k, 'an integer of at least 1')


@dataclass
class ActionResult(Result):
    """Classes of a recording.

    Attributes:
        scores (np.ndarray): (W, C) float32, probability of every class.
        classes (tuple[str]): Names of the C classes; their indices if the model has none.
        top_k (int): Number of classes in :meth:`top` and :meth:`to_dict`.
    """

    task = 'action'
    scores: np.ndarray
    classes: tuple[str, ...]
    top_k: int

    def top(self, k: int | None = None, window: int | None = None
            ) -> list[tuple[str, float]]:
        """Return the best classes.

        Args:
            k (int, optional): Number of classes, by default :attr:`top_k`.
            window (int, optional): Index of a window; by default the mean over all.

        Returns:
            list[tuple[str, float]]: Names and scores, best first.
        """
        scores = self.scores.mean(0) if window is None else self.scores[window]
        best = np.argsort(-scores, kind='stable')[:k or self.top_k]
        return [(self.classes[i], float(scores[i])) for i in best]

    def best_classes(self) -> list[tuple[str, int, float]]:
        """Return names, in how many windows each is the best, and its mean score in these.

        The class of most windows is the first.
        """
        best, counts = np.unique(self.scores.argmax(1), return_counts=True)
        score = self.scores.max(1)
        return [(self.classes[best[i]], int(counts[i]),
                 float(score[self.scores.argmax(1) == best[i]].mean()))
                for i in np.argsort(-counts, kind='stable')]

    def summary(self) -> str:
        """List the best classes, or in how many of several windows each is the best."""
        if len(self.frames) == 1:
            return ', '.join(f'{name} {score:.3f}' for name, score in self.top())
        return f'{len(self.frames)} windows, best class: ' + ', '.join(
            f'{name} {count}' for name, count, _ in self.best_classes()[:self.top_k])

    def rows(self) -> list[dict]:
        """Return the score of every class in each window, the best with ``rank`` 1 first."""
        return [{**row, 'rank': rank, 'class': name, 'score': score}
                for window, row in enumerate(super().rows())
                for rank, (name, score) in enumerate(self.top(len(self.classes), window), 1)]

    def frame_scores(self, frames: np.ndarray) -> np.ndarray:
        """Average the windows around frames (N,); returns (N, C), NaN without a window."""
        first, last = self.frames.T
        order = [np.argsort(first), np.argsort(last)]
        # windows that have begun minus those that have ended
        begun = np.searchsorted(first[order[0]], frames, 'right')
        ended = np.searchsorted(last[order[1]], frames)
        sums = [np.concatenate([np.zeros((1, len(self.classes))), self.scores[i].cumsum(0, float)])
                for i in order]
        with np.errstate(invalid='ignore'):  # no window: NaN
            return (sums[0][begun] - sums[1][ended]) / np.expand_dims(begun - ended, 1)

    def predictions(self, frame, person) -> dict:
        """Return the best class over the windows around each frame, and its score."""
        frames, where = np.unique(frame, return_inverse=True)
        scores = self.frame_scores(frames)
        names = np.where(np.isnan(scores[:, 0]), '', np.array(self.classes)[scores.argmax(1)])
        return dict(predicted=names[where], predicted_score=scores.max(1)[where])

    def to_dict(self) -> dict:
        """Add ``top``, pairs of name and score."""
        return dict(super().to_dict(), top=[list(pair) for pair in self.top()])


@INFERENCERS.register_module(ActionResult.task)
class ActionInferencer(BaseInferencer):
    """Action classification, for heads that set ``pred_score``."""

    result_type: type[ActionResult] = ActionResult
    title = 'Actions'
    options_type = ActionOptions
    predicted = dict(scores='pred_score')
    several_clips = True
    names_classes = True
    event_rule: EventRule | None = EventRule('probability', .6, .4)

    @classmethod
    def offered(cls, model, inputs, sample) -> bool:
        """Exclude classifiers of anomalies, which also set ``normality``."""
        return super().offered(model, inputs, sample) and 'normality' not in sample

    def window_scores(self, output) -> dict[str, float]:
        """Return the probability of each class."""
        scores = output['scores'].tolist()
        return dict(zip(self.class_names(len(scores)), scores, strict=True))

    def make_result(self, group, windows, outputs, options) -> ActionResult:
        """Add the names of the classes."""
        return self.result_type(**self.common(group, windows), **outputs, top_k=options.top_k,
                                classes=self.class_names(outputs['scores'].shape[-1]))

    def draw_over_time(self, result) -> dict:
        """Draw several windows over time; one window has no picture."""
        from mofm.visualization import draw_timeline

        if len(result.frames) == 1:
            return {}
        best = np.sort(np.argsort(-result.scores.max(0), kind='stable')[:_DRAWN])
        shown = replace(result, scores=result.scores[:, best],
                        classes=tuple(result.classes[i] for i in best))
        return {'.timeline.png': draw_timeline(
            np.nan_to_num(shown.frame_scores(np.arange(result.frames.max() + 1))), None,
            shown.classes, result.name, result.fps)}

    def draw(self, result) -> dict:
        """Animate the recording, or the most certain of several windows, and draw these over time.

        The title of the animation has the best classes.
        """
        from mofm.visualization import animate_clip, real_time

        clip = at_input(result.poses[0], result.pose_ratio, result.fps)
        window = None
        if len(result.frames) > 1:
            window = int(result.scores.max(1).argmax())
            clip = cut(clip, *result.frames[window])
        title = '\n'.join(f'{name} {score:.2f}' for name, score in result.top(2, window))
        return {**self.draw_over_time(result), '.gif': animate_clip(
            clip, self.layout.name, real_time(clip['total_frames'], result.fps), title)}

    def overlay(self, result, images):
        """Title each frame by the best class of the latest window."""
        from mofm.visualization import overlay_poses

        def title(frame: int) -> str:
            window = max(np.searchsorted(result.frames[:, 0], frame, 'right') - 1, 0)
            return '{} {:.2f}'.format(*result.top(1, window)[0])

        return overlay_poses(images, result.persons(), title, layout=self.layout.name,
                             fps=result.fps)

    def limits(self) -> str:
        """List the classes, of which one is always the best."""
        return (f'any other motion is given the nearest of its {len(self.classes)} classes: '
                f'{self.list_classes()}') if self.classes else super().limits()

    def describe(self) -> str:
        """Name the task and the number of classes."""
        head = self.model.cls_head
        if not isinstance(head, ActionClsHead):
            return super().describe()
        return f'Action classification, {self.model.cfg.model.cls_head.num_classes} classes (DT1)'

    @classmethod
    def exportable(cls, model: BaseModel) -> bool:
        """Support linear heads and their subclasses in projects."""
        head = getattr(model, 'cls_head', None)
        return isinstance(head, ActionClsHead) and not isinstance(head, AnomalyClsHead)

    @staticmethod
    def graph(model, cubes) -> tuple:
        """Compute probabilities (B, C)."""
        return (model.cls_head(model.backbone(cubes)).softmax(1),)
