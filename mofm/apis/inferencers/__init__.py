"""Inferencers, one file per task, and their base class."""

from .action import ActionInferencer, ActionResult
from .anomaly import AnomalyInferencer, AnomalyResult
from .base import BaseInferencer, EventRule, TaskOptions, find_inferencers, published_keys
from .features import FeaturesInferencer, FeaturesResult
from .one_shot import Gallery, OneShotInferencer, OneShotResult
from .reconstruct import ReconstructInferencer, ReconstructResult
from .result import Result, ResultIterator, Results, join_tables
from .tokens import TokensInferencer, TokensResult

__all__ = ['ActionInferencer', 'ActionResult', 'AnomalyInferencer', 'AnomalyResult',
           'BaseInferencer', 'EventRule', 'FeaturesInferencer', 'FeaturesResult', 'Gallery',
           'OneShotInferencer', 'OneShotResult', 'ReconstructInferencer', 'ReconstructResult',
           'Result', 'ResultIterator', 'Results', 'TaskOptions', 'TokensInferencer',
           'TokensResult', 'find_inferencers', 'join_tables', 'published_keys']
