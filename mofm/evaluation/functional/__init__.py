"""Metrics as functions of arrays."""

from .anomaly import frame_scores, lowest_per_frame, roc_auc, smooth
from .calibration import bin_by_confidence, expected_calibration_error
from .one_shot import draw_accuracy, nearest_class

__all__ = ['bin_by_confidence', 'draw_accuracy', 'expected_calibration_error', 'frame_scores',
           'lowest_per_frame', 'nearest_class', 'roc_auc', 'smooth']
