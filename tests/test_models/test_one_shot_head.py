"""Supervised contrastive loss, embedding head and the keypoint baseline."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.registry import PARAM_SCHEDULERS

from mofm.registry import MODELS
from mofm.structures import CubeGrid, MotionFeatures, RenderedCubes, ThermalCubes
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
LABELS = torch.tensor([3, 3, 0, 7, 0, 7, 3])


def embeddings(batch=7, dims=5):
    torch.manual_seed(0)
    return torch.nn.functional.normalize(torch.randn(batch, dims), dim=1)


def loop(z, labels, t, base):
    """The formula, term by term in float64."""
    z, total = z.double().tolist(), 0.
    s = [[sum(a * b for a, b in zip(x, y, strict=True)) / t for y in z] for x in z]
    for i, row in enumerate(s):
        norm = math.log(sum(math.exp(row[a]) for a in range(len(z)) if a != i))
        positive = [p for p in range(len(z)) if p != i and labels[p] == labels[i]]
        total -= t / base / len(positive) * sum(row[p] - norm for p in positive)
    return total / len(z)


@pytest.mark.parametrize(('t', 'base'), [(0.1, 0.07), (0.5, 0.5)])
def test_supcon_loss_equals_formula(t, base):
    criterion = MODELS.build(dict(type='SupConLoss', temperature=t, base_temperature=base))
    z = embeddings()
    assert float(criterion(z, LABELS)) == pytest.approx(loop(z, LABELS, t, base), rel=1e-5)


def test_supcon_loss_is_finite_for_large_similarities():
    z = torch.eye(2).repeat_interleave(2, 0).requires_grad_()
    loss = MODELS.build(dict(type='SupConLoss', temperature=1e-3))(z, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert z.grad.isfinite().all()


def test_supcon_loss_names_label_without_positive():
    with pytest.raises(ValueError, match='one sample of label 7 .*ClassBalancedSampler'):
        MODELS.build(dict(type='SupConLoss'))(embeddings(4), torch.tensor([1, 7, 1, 1]))
    with pytest.raises(ValueError, match='temperature: found 0'):
        MODELS.build(dict(type='SupConLoss', temperature=0))


def head(**kwargs):
    torch.manual_seed(0)
    out = MODELS.build(dict(type='OneShotHead', in_channels=6, **kwargs))
    out.init_weights()
    return out.eval()


def features(batch):
    torch.manual_seed(1)
    return MotionFeatures(None, torch.randn(batch, 6) * 9, None)


def test_one_shot_head_has_size_of_the_paper():
    model = MODELS.build(dict(type='OneShotHead'))
    assert model.fc.weight.shape == (2048, 768)
    assert model.dropout.p == 0.4
    assert model.criterion.temperature == 0.1
    assert model.criterion.base_temperature == 0.07


def test_one_shot_head_embeds_on_the_sphere_and_learns():
    model, x = head(out_channels=4), features(7)
    z = model(x)
    wanted = x.pooled @ model.fc.weight.T + model.fc.bias
    torch.testing.assert_close(z, wanted / wanted.norm(dim=1, keepdim=True))
    losses = model.loss(x, LABELS)
    assert losses['loss_supcon'].item() == pytest.approx(loop(z, LABELS, 0.1, 0.07), rel=1e-5)
    losses['loss_supcon'].backward()
    assert model.fc.weight.grad.abs().sum() > 0


def test_one_shot_head_standardizes_features_by_those_of_the_training():
    model = head(out_channels=None, probe_norm=True, dropout=0.).train()
    x = features(64)
    for _ in range(200):  # running statistics
        model(x)
    z = (x.pooled - x.pooled.mean(0)) / x.pooled.std(0)
    torch.testing.assert_close(model.eval()(x), z / z.norm(dim=1, keepdim=True), atol=1e-3, rtol=0)
    assert not list(model.parameters())


@pytest.mark.parametrize('batches', [3, 400])
def test_features_that_were_constant_in_the_training_do_not_count(batches):
    model, x = head(out_channels=None, probe_norm=True, dropout=0.), features(64)
    z = model(x)  # before the training
    torch.testing.assert_close(z, x.pooled / x.pooled.norm(dim=1, keepdim=True), atol=1e-4, rtol=0)
    x.pooled[:, 2] = 5.
    model.train()
    for _ in range(batches):
        model(x)
    other = features(64)  # of a data set in which the feature varies
    z = model.eval()(other)
    assert (z[:, 2] == 0).all()
    assert (z[:, [0, 1, 3, 4, 5]] != 0).all()


def test_one_shot_head_without_projection_normalizes_features():
    model, x = head(out_channels=None), features(3)
    assert not list(model.parameters())
    torch.testing.assert_close(model(x), x.pooled / x.pooled.norm(dim=1, keepdim=True))


def test_one_shot_head_averages_clips_of_a_sample():
    model, x = head(out_channels=None), features(6)
    samples = model.predict(x, [ActionDataSample() for _ in range(2)])
    mean = model(x).view(2, 3, 6).mean(1)
    for sample, m in zip(samples, mean, strict=True):
        torch.testing.assert_close(sample.embedding, m / m.norm())


def test_one_shot_warm_up_ends_within_the_first_epoch():
    cfg = load_config(ROOT / 'configs/dt2_ntu120_oneshot.py')
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=cfg.optim_wrapper.optimizer.lr)
    schedules = [PARAM_SCHEDULERS.build(dict(s), default_args=dict(
        optimizer=optimizer, epoch_length=100)) for s in cfg.param_scheduler]
    rates = []
    for _ in range(500):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for schedule in schedules:
            schedule.step()
    assert rates[0] == pytest.approx(1e-8)
    assert np.argmax(rates) in (29, 30)
    assert max(rates) == pytest.approx(1e-5)
    np.testing.assert_allclose(np.diff(rates[:30]), (1e-5 - 1e-8) / 29, rtol=1e-6)
    assert rates[265] == pytest.approx((1e-5 + 1e-8) / 2, rel=1e-2)  # halfway down the cosine
    assert rates[-1] == pytest.approx(1e-8, rel=0.05)


GRID = CubeGrid(num_frames=8, canvas=24)


def keypoints(batch=2, persons=2):
    rng = torch.Generator().manual_seed(0)
    points = torch.rand(batch, persons, 17, 8, 3, generator=rng) * 20 + 1
    points[..., 2] = 1
    points[:, 0, :9, :, 2] = 0  # the second person is seen better
    points[1, 1, 3, 2:5] = 0
    points[1, 1, 4, 1, 0] = torch.nan
    return points


def baseline(points, type='KeypointFeatures'):
    return MODELS.build(dict(type=type))(ThermalCubes(points, GRID))


def test_keypoint_features_are_normalized_clip_of_best_person():
    points = keypoints()
    out = baseline(points)
    assert out.pooled.shape == (2, 17 * 8 * 2)
    assert out.tokens.shape == (2, 1, 17 * 8 * 2)
    assert out.encoded.all()
    for clip, got in zip(points[:, 1].numpy(), out.pooled.view(2, 17, 8, 2).numpy(), strict=True):
        seen = (clip[..., 2] > 0) & np.isfinite(clip).all(-1)
        xy = clip[..., :2]
        centered = xy[seen] - xy[seen].mean(0)
        wanted = centered / np.sqrt((centered**2).sum(1).mean())
        np.testing.assert_allclose(got[seen], wanted, atol=1e-5)
        assert not got[~seen].any()
    assert (~seen).sum() == 4


def test_keypoint_features_ignore_place_and_size():
    points = keypoints()
    moved = points.clone()
    moved[..., :2] = moved[..., :2] * 0.4 + torch.tensor([3., -1.])
    torch.testing.assert_close(baseline(moved).pooled, baseline(points).pooled, atol=1e-5, rtol=0)


def test_keypoint_features_of_nothing_are_zero():
    assert not baseline(torch.zeros(2, 1, 17, 8, 3)).pooled.any()


def test_keypoint_statistics_do_not_depend_on_order_in_time():
    points = keypoints()
    out = baseline(points, type='KeypointStatistics')
    assert out.pooled.shape == (2, 17 * 12)
    clip = baseline(points).pooled.view(2, 17, 8, 2).numpy()  # (B, J, F, 2)
    wanted = [clip.mean(2), clip.std(2), clip.min(2), clip.max(2), abs(clip).mean(2),
              abs(clip[:, :, 1:] - clip[:, :, :-1]).mean(2)]
    np.testing.assert_allclose(out.pooled.view(2, 17, 12), np.concatenate(wanted, -1), atol=1e-6)
    back = baseline(points.flip(3), type='KeypointStatistics')
    torch.testing.assert_close(back.pooled, out.pooled, atol=1e-5, rtol=0)


def test_keypoint_features_need_keypoints():
    rendered = RenderedCubes(torch.zeros(1, 17, 8, 24, 24), GRID)
    with pytest.raises(ValueError, match="render='device'"):
        MODELS.build(dict(type='KeypointFeatures'))(rendered)
