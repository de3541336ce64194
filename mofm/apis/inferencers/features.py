"""Features of a backbone, pooled and per token."""

from dataclasses import dataclass

import numpy as np

from mofm.models import MotionPretrainer
from mofm.registry import INFERENCERS

from .base import BaseInferencer, TaskOptions
from .result import Result


@dataclass(frozen=True)
class FeaturesOptions(TaskOptions):
    """Options of features.

    Args:
        per_token (bool): Whether to keep the features of the tokens, K times the size of the
            pooled ones. Defaults to True.
    """

    per_token: bool = True


@dataclass
class FeaturesResult(Result):
    """Features of a backbone.

    Attributes:
        pooled (np.ndarray): (W, D) float32.
        tokens (np.ndarray or None): (W, K, D) float32, zero where not encoded.
        encoded (np.ndarray): (W, K) bool, cubes that took part in attention.
    """

    task = 'features'
    default_suffixes = ('.npz', )
    pooled: np.ndarray
    tokens: np.ndarray | None
    encoded: np.ndarray

    def summary(self) -> str:
        """Report the shape of the pooled features."""
        return ' x '.join(map(str, self.pooled.shape))

    def rows(self) -> list[dict]:
        """Return the norm of the pooled features and the number of encoded tokens per window."""
        return [dict(row, norm=float(np.linalg.norm(pooled)), encoded=int(encoded.sum()))
                for row, pooled, encoded in zip(super().rows(), self.pooled, self.encoded,
                                                strict=True)]


@INFERENCERS.register_module(FeaturesResult.task)
class FeaturesInferencer(BaseInferencer):
    """Features, for all models whose 'tensor' mode returns :class:`MotionFeatures`.

    If tests sample several clips of a window or add its mirror image, of the first clip.
    """

    result_type = FeaturesResult
    options_type = FeaturesOptions
    order = 1
    part = 'backbone'

    @classmethod
    def offered(cls, model, inputs, sample) -> bool:
        """Require pooled features; the head is not used."""
        return hasattr(model(inputs, mode='tensor'), 'pooled')

    def prepare(self, clips) -> tuple:
        """Keep the first of the clips of each window."""
        inputs, samples = super().prepare(clips)
        return inputs[::len(inputs) // len(samples)], samples

    def predict(self, inputs, samples) -> dict:
        """Run the backbone only."""
        features = self.model(inputs, mode='tensor')
        return dict(pooled=features.pooled, tokens=features.tokens, encoded=features.encoded)

    def drop(self, options) -> tuple[str, ...]:
        """Drop the features of the tokens unless ``per_token`` is set."""
        return () if options.per_token else ('tokens', )

    def make_result(self, group, windows, outputs, options) -> Result:
        """Allow dropped tokens."""
        return super().make_result(group, windows, {'tokens': None, **outputs}, options)

    def describe(self) -> str:
        """Describe a pre-training by its backbone."""
        if not isinstance(self.model, MotionPretrainer):
            return super().describe()
        return ('Backbone pre-trained on masked motion tokens, with the head and the tokenizer of '
                'the pre-training')
