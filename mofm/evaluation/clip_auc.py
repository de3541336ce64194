"""Clip-level AUC of anomaly detection, for data sets of trimmed clips."""

from typing import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from mofm.registry import METRICS

from .frame_auc import roc_auc


@METRICS.register_module()
class ClipAUC(BaseMetric):
    """AUC of the normality of clips, some of whose classes are normal (one-class protocol).

    Args:
        normal_labels (Sequence[int]): Classes that are normal; all others are abnormal.
        collect_device, prefix: As in MMEngine.
    """

    default_prefix = 'anomaly'

    def __init__(self, normal_labels: Sequence[int], collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device, prefix)
        self.normal_labels = tuple(normal_labels)

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        """Keep normality and label of every clip."""
        normality = torch.stack([s['normality'] for s in data_samples]).float().cpu().tolist()
        self.results += zip(normality, (int(s['gt_label']) for s in data_samples))

    def compute_metrics(self, results: list) -> dict:
        """AUC over clips."""
        normality, label = map(np.array, zip(*results))
        return dict(clip_auc=roc_auc(np.isin(label, self.normal_labels), normality))
