"""Metrics. Accuracy and confusion matrix are mmaction2's (``mmaction.AccMetric``)."""

from .clip_auc import ClipAUC
from .frame_auc import FrameAUC
from .frame_labels import read_frame_labels
from .one_shot import OneShotAccuracy
from .score_table import ScoreTable
from .tokens import MaskedTokenMetric, TokenizerMetric

__all__ = [
    'ClipAUC', 'FrameAUC', 'MaskedTokenMetric', 'OneShotAccuracy', 'ScoreTable',
    'TokenizerMetric', 'read_frame_labels'
]
