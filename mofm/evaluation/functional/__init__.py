"""Metrics as functions of arrays."""

from .anomaly import frame_scores, lowest_per_frame, roc_auc, smooth
from .bootstrap import (
    Statistic,
    ap_statistic,
    auc_statistic,
    bootstrap,
    mean_statistic,
    wilson_interval,
)
from .calibration import bin_by_confidence, expected_calibration_error
from .one_shot import draw_accuracy, nearest_class

__all__ = ['Statistic', 'ap_statistic', 'auc_statistic', 'bin_by_confidence', 'bootstrap',
           'draw_accuracy', 'expected_calibration_error', 'frame_scores', 'lowest_per_frame',
           'mean_statistic', 'nearest_class', 'roc_auc', 'smooth', 'wilson_interval']
