"""Metrics of the tasks."""

from .clip_auc import ClipAUC
from .frame_auc import FrameAUC
from .one_shot import OneShotAccuracy
from .score_table import ScoreTable
from .tokens import MaskedTokenMetric, TokenizerMetric

__all__ = ['ClipAUC', 'FrameAUC', 'MaskedTokenMetric', 'OneShotAccuracy', 'ScoreTable',
           'TokenizerMetric']
