"""Table of per-sample scores."""

import csv
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric

from mofm.registry import METRICS
from mofm.utils.tables import write_csv


@METRICS.register_module()
class ScoreTable(BaseMetric):
    """CSV file of name, label, prediction and class scores of each sample.

    Args:
        out_file (str): File to write.
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: In a test, if the model has no class scores.
    """

    def __init__(self, out_file: str, collect_device: str = 'cpu'):
        super().__init__(collect_device)
        self.out_file = Path(out_file)

    def process(self, data_batch, data_samples):
        """Store one row per sample."""
        if 'pred_score' not in data_samples[0]:
            raise ValueError(f'{self.out_file}: found no class scores, expected a classifier; '
                             'one-shot and anomaly results are in the out_dir of their metrics')
        for sample in data_samples:
            scores = sample['pred_score'].tolist()
            self.results.append([sample.get('frame_dir', ''), int(sample['gt_label']),
                                 int(sample['pred_label'])] + [f'{s:.6g}' for s in scores])

    def compute_metrics(self, results: list) -> dict:
        """Write the table and return no metric."""
        classes = range(len(results[0]) - 3)
        write_csv(self.out_file, ['name', 'label', 'prediction', *(f'score_{c}' for c in classes)],
                  results)
        return {}


def read_predictions(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read labels and predictions from a table of :class:`ScoreTable`, (N,) each.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is no such table.
    """
    with open(path, newline='', encoding='utf-8') as file:
        try:
            rows = [(int(row['label']), int(row['prediction'])) for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError):
            rows = []
    if not rows:
        raise ValueError(f'{path}: found no integers in columns label and prediction; expected '
                         'the table of tools/test.py --out')
    labels, predictions = np.array(rows).T
    return labels, predictions
