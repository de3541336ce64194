"""Metrics. Accuracy and confusion matrix are mmaction2's (``mmaction.AccMetric``)."""

from .score_table import ScoreTable
from .tokens import MaskedTokenMetric, TokenizerMetric

__all__ = ['MaskedTokenMetric', 'ScoreTable', 'TokenizerMetric']
