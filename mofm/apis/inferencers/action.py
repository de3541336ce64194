"""Action classification: classes of a recording and their probabilities."""

from dataclasses import dataclass

import numpy as np
from mmengine.model import BaseModel

from mofm.models import ActionClsHead, AnomalyClsHead
from mofm.registry import INFERENCERS
from mofm.utils.checks import is_int

from .base import BaseInferencer, TaskOptions
from .result import Result


@dataclass(frozen=True)
class ActionOptions(TaskOptions):
    """Options of action classification.

    Args:
        top_k (int): Classes that the result names. Defaults to 5.
    """

    top_k: int = 5

    def __post_init__(self):
        if not is_int(self.top_k, 1):
            raise ValueError(f'top_k: found {self.top_k}, expected an integer of at least 1')


@dataclass
class ActionResult(Result):
    """Classes of a recording.

    Attributes:
        scores (np.ndarray): (W, C) float32, probability of every class.
        classes (tuple[str]): Names of the C classes; their numbers if the model has none.
        top_k (int): How many classes :meth:`top` and :meth:`to_dict` name.
    """

    task = 'action'
    scores: np.ndarray
    classes: tuple[str, ...]
    top_k: int

    def top(self, k: int | None = None, window: int | None = None
            ) -> list[tuple[str, float]]:
        """The best classes.

        Args:
            k (int, optional): How many, by default :attr:`top_k`.
            window (int, optional): Of this window; by default of the mean over all.

        Returns:
            list[tuple[str, float]]: Names and scores, the best first.
        """
        scores = self.scores.mean(0) if window is None else self.scores[window]
        best = np.argsort(-scores, kind='stable')[:k or self.top_k]
        return [(self.classes[i], float(scores[i])) for i in best]

    def summary(self) -> str:
        """The best classes."""
        return ', '.join(f'{name} {score:.3f}' for name, score in self.top())

    def rows(self) -> list[dict]:
        """The best class of each window."""
        best = [self.top(1, window)[0] for window in range(len(self.frames))]
        return [dict(row, label=name, score=score)
                for row, (name, score) in zip(super().rows(), best, strict=True)]

    def to_dict(self) -> dict:
        """Also ``top``, pairs of name and score."""
        return dict(super().to_dict(), top=[list(pair) for pair in self.top()])


@INFERENCERS.register_module(ActionResult.task)
class ActionInferencer(BaseInferencer):
    """Action classification, by heads that set ``pred_score``."""

    result_type: type[ActionResult] = ActionResult
    options_type = ActionOptions
    predicted = dict(scores='pred_score')
    several_clips = True
    names_classes = True

    @classmethod
    def offered(cls, model, inputs, sample) -> bool:
        """A head of normality has its classes as a means to that."""
        return super().offered(model, inputs, sample) and 'normality' not in sample

    def make_result(self, group, windows, outputs, options) -> ActionResult:
        """Add the names of the classes."""
        return self.result_type(**self.common(group, windows), **outputs, top_k=options.top_k,
                                classes=self.class_names(outputs['scores'].shape[-1]))

    def draw(self, result) -> dict:
        """The first person in motion, with the best classes."""
        from mofm.visualization import animate_clip

        title = '\n'.join(f'{name} {score:.2f}' for name, score in result.top(2))
        return {'.gif': animate_clip(result.poses[0], self.layout.name, title=title)}

    def overlay(self, result, images):
        """The best class of the window that has started last."""
        from mofm.visualization import overlay_poses

        def title(frame: int) -> str:
            window = max(np.searchsorted(result.frames[:, 0], frame, 'right') - 1, 0)
            return '{} {:.2f}'.format(*result.top(1, window)[0])

        return overlay_poses(images, result.persons(), title, layout=self.layout.name)

    def describe(self) -> str:
        """Number of classes."""
        head = self.model.cls_head
        if not isinstance(head, ActionClsHead):
            return super().describe()
        return f'Action classification, {self.model.cfg.model.cls_head.num_classes} classes (DT1)'

    @classmethod
    def exportable(cls, model: BaseModel) -> bool:
        """Linear heads and those of projects that inherit from them."""
        head = getattr(model, 'cls_head', None)
        return isinstance(head, ActionClsHead) and not isinstance(head, AnomalyClsHead)

    @staticmethod
    def graph(model, cubes) -> tuple:
        """Probabilities (B, C)."""
        return (model.cls_head(model.backbone(cubes)).softmax(1),)
