"""Metrics. Accuracy and confusion matrix are mmaction2's (``mmaction.AccMetric``)."""

from .metrics import *  # noqa: F401,F403
