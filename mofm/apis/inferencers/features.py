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
        per_token (bool): Whether to keep the features of the tokens, K times as much as the
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
        """Shape of the pooled features."""
        return ' x '.join(map(str, self.pooled.shape))

    def rows(self) -> list[dict]:
        """Length of the pooled features and number of encoded tokens of each window."""
        return [dict(row, norm=float(np.linalg.norm(pooled)), encoded=int(encoded.sum()))
                for row, pooled, encoded in zip(super().rows(), self.pooled, self.encoded,
                                                strict=True)]


@INFERENCERS.register_module(FeaturesResult.task)
class FeaturesInferencer(BaseInferencer):
    """Features, by all models whose 'tensor' mode gives :class:`MotionFeatures`."""

    result_type = FeaturesResult
    options_type = FeaturesOptions
    order = 1
    part = 'backbone'

    @classmethod
    def offered(cls, model, inputs, sample) -> bool:
        """Nothing is asked of the head."""
        return hasattr(model(inputs, mode='tensor'), 'pooled')

    def predict(self, inputs, samples) -> dict:
        """Without the head."""
        features = self.model(inputs, mode='tensor')
        return dict(pooled=features.pooled, tokens=features.tokens, encoded=features.encoded)

    def drop(self, options) -> tuple[str, ...]:
        """Features of the tokens, if they are not wanted."""
        return () if options.per_token else ('tokens', )

    def make_result(self, group, windows, outputs, options) -> Result:
        """Tokens may be None."""
        return super().make_result(group, windows, {'tokens': None, **outputs}, options)

    def describe(self) -> str:
        """A pre-training is published for its backbone."""
        if not isinstance(self.model, MotionPretrainer):
            return super().describe()
        return ('Backbone pre-trained on masked motion tokens, with the head and the tokenizer of '
                'the pre-training')
