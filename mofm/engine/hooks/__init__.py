"""Hooks of the MMEngine runner."""

from .anneal_hook import AnnealHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .data_check_hook import DataCheckHook
from .early_stopping_hook import EarlyStoppingHook
from .fit_hook import FitHook
from .freed_memory_hook import FreedMemoryHook
from .metric_logger_hook import MetricLoggerHook
from .preemption_hook import PreemptionHook
from .progress_hook import ProgressHook
from .report_hook import ReportHook
from .run_id_hook import RunIdHook
from .visualization_hook import MotionVisualizationHook

__all__ = ['AnnealHook', 'CheckpointGuardHook', 'DataCheckHook', 'EarlyStoppingHook',
           'FitHook', 'FreedMemoryHook', 'MetricLoggerHook', 'MotionVisualizationHook',
           'PreemptionHook', 'ProgressHook', 'ReportHook', 'RunIdHook']
