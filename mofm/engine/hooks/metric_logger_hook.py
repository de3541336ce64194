"""Logger whose file of test metrics is valid JSON."""

import math

import numpy as np
import torch
from mmengine.hooks import LoggerHook

from mofm.registry import HOOKS


@HOOKS.register_module()
class MetricLoggerHook(LoggerHook):
    """MMEngine's logger, with all metrics of a test in its JSON file.

    Integers are kept, where MMEngine writes null; NaN and infinite numbers, which JSON lacks, are
    null.
    """

    @staticmethod
    def _process_tags(tags: dict) -> dict:
        return {name: _plain(value) for name, value in tags.items()}


def _plain(value: object) -> object:
    """Convert a metric to what JSON has, null for what it lacks."""
    if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int)) else None
