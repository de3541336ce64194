"""Clip-level AUC of anomaly detection, for data sets of trimmed clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from mofm.evaluation.functional import auc_statistic, roc_auc
from mofm.evaluation.measures import Reference, count_unit, group_views, make_references
from mofm.registry import METRICS
from mofm.utils.tables import write_csv


@METRICS.register_module()
class ClipAUC(BaseMetric):
    """Clip-level AUC of normality in the one-class protocol.

    Args:
        normal_labels (Sequence[int]): Normal classes; all others are abnormal.
        out_dir (str, optional): Folder for ``scores.csv``: name, label and normality of each clip.
        collect_device, prefix: See :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'anomaly'

    def __init__(self, normal_labels: Sequence[int], out_dir: str | None = None,
                 collect_device: str = 'cpu', prefix: str | None = None):
        super().__init__(collect_device, prefix)
        self.normal_labels = tuple(normal_labels)
        self.out_dir = out_dir and Path(out_dir)

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        """Store name, label and normality of every clip."""
        normality = torch.stack([s['normality'] for s in data_samples]).float().cpu().tolist()
        self.results += [(sample.get('frame_dir', ''), int(sample['gt_label']), value)
                         for sample, value in zip(data_samples, normality, strict=True)]

    def compute_metrics(self, results: list) -> dict:
        """Compute the AUC over clips and write the scores to ``out_dir``."""
        if self.out_dir:
            write_csv(self.out_dir / 'scores.csv', ('name', 'label', 'normality'), results)
        names, label, normality = zip(*results, strict=True)
        label, normality = np.array(label), np.array(normality)
        self._group = group_views(names)
        self._normal, self._normality = np.isin(label, self.normal_labels), normality
        return dict(clip_auc=roc_auc(self._normal, normality))

    def references(self) -> dict[str, Reference]:
        """Compute the interval over clips, or over recordings if these have several views."""
        num = self._group.max() + 1
        return make_references(
            dict(clip_auc=auc_statistic(self._normal, self._normality, self._group)), num,
            count_unit(num, len(self._normal)), dict(clip_auc=.5))
