"""Supervised anomaly detection (DT4): weighted loss and polarity of the score."""

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample

from mofm.models import AnomalyClsHead
from mofm.structures import MotionFeatures


def features(batch=6, seed=0):
    pooled = torch.randn(batch, 8, generator=torch.Generator().manual_seed(seed))
    return MotionFeatures(pooled[:, None], pooled, torch.ones(batch, 1, dtype=torch.bool))


def test_anomaly_head_weighs_abnormal_windows_twice():
    head = AnomalyClsHead(in_channels=8, dropout=0.)
    labels = torch.tensor([0, 1, 0, 0, 1, 0])
    logits = head(features()).double().detach().numpy()
    nll = np.log(np.exp(logits).sum(1)) - logits[np.arange(6), labels]
    weight = np.where(labels == 1, 2, 1)
    expected = (weight * nll).sum() / weight.sum()
    np.testing.assert_allclose(head.loss(features(), labels)['loss_cls'].item(), expected,
                               rtol=1e-5)


def test_anomaly_head_normality_is_probability_of_normal():
    head = AnomalyClsHead(in_channels=8).eval()
    with torch.no_grad():
        head.fc.bias.copy_(torch.tensor([3., -3.]))
        samples = head.predict(features(), [ActionDataSample() for _ in range(6)])
    expected = head(features()).softmax(1)
    for sample, probability in zip(samples, expected, strict=True):
        torch.testing.assert_close(sample.normality, probability[0])
        assert sample.pred_label == probability.argmax()
    assert np.mean([s.normality for s in samples]) > 0.9  # the bias speaks for normal


def test_anomaly_head_class_weights_are_not_in_the_checkpoint():
    head = AnomalyClsHead(in_channels=8, class_weight=(1., 5.))
    assert head.class_weight.tolist() == [1, 5]
    assert 'class_weight' not in head.state_dict()


def test_anomaly_head_names_bad_labels():
    with pytest.raises(ValueError, match='label: found 0...2, expected 0...1'):
        AnomalyClsHead(in_channels=8).loss(features(2), torch.tensor([0, 2]))
