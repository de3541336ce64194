"""Clip-level AUC against scikit-learn."""

import csv

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mofm.evaluation import ClipAUC
from mofm.registry import METRICS


def run(normality, label, normal_labels):
    metric = METRICS.build(dict(type='ClipAUC', normal_labels=normal_labels))
    samples = [dict(normality=torch.tensor(s), gt_label=torch.tensor([c]))
               for s, c in zip(normality, label, strict=True)]
    for i in range(0, len(samples), 32):
        metric.process({}, samples[i:i + 32])
    return metric.evaluate(len(samples))


def test_clip_auc_equals_sklearn():
    rng = np.random.default_rng(0)
    normality, label = rng.random(200).astype(np.float32), rng.integers(0, 5, 200)
    for normal in ([2], [0, 3]):
        auc = run(normality, label, normal)['anomaly/clip_auc']
        assert auc == pytest.approx(roc_auc_score(np.isin(label, normal), normality))
    assert run([.9, .1, .8], [1, 0, 1], [1]) == {'anomaly/clip_auc': 1}


def test_clip_auc_of_one_kind_is_nan():
    assert np.isnan(run([.9, .1], [1, 1], [1])['anomaly/clip_auc'])
    assert isinstance(METRICS.build(dict(type='ClipAUC', normal_labels=[0])), ClipAUC)


def test_clip_auc_writes_scores_of_all_clips(tmp_path):
    metric = ClipAUC([1], out_dir=str(tmp_path / 'results'))
    metric.process({}, [dict(frame_dir=name, normality=torch.tensor(s), gt_label=torch.tensor([c]))
                        for name, s, c in (('a', .5, 1), ('b', .25, 0))])
    metric.evaluate(2)
    with open(tmp_path / 'results/scores.csv', newline='') as file:
        assert list(csv.reader(file)) == [['name', 'label', 'normality'], ['a', '1', '0.5'],
                                          ['b', '0', '0.25']]
