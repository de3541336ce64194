"""Lifting: losses against float64 formulas, statistics of the corruption, model."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from torch import nn

from mofm.datasets import motion_collate
from mofm.models import SkeletonDataPreprocessor
from mofm.registry import MODELS
from mofm.utils.config import default_work_dir, load_config
from projects.motionbert.dstformer import DSTformer  # noqa: F401
from projects.motionbert.lifting.data_preprocessor import KeypointNoise, LiftingDataPreprocessor
from projects.motionbert.lifting.lifter import MotionLifter
from projects.motionbert.lifting.losses import LiftingLoss

CONFIGS = Path(__file__).resolve().parents[3] / 'projects/motionbert/configs'
LEFT, RIGHT = (4, 5, 6, 11, 12, 13), (1, 2, 3, 14, 15, 16)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def distances(a, b):
    """Compute distances (...) in float64."""
    return np.sqrt(((a - b)**2).sum(-1))


def test_lifting_losses_equal_formulas():
    pred, target = torch.randn(3, 5, 17, 3), torch.randn(3, 5, 17, 3)
    p, q = pred.double().numpy(), target.double().numpy()
    total = 0
    for clip in range(3):
        for frame in range(5):
            a, b = p[clip, frame], q[clip, frame]
            scale = np.mean([x @ y for x, y in zip(a, b,
                                                   strict=True)]) / np.mean([x @ x for x in a])
            total += distances(scale * a, b).mean() / 15
    expected = dict(
        loss_mpjpe=distances(p, q).mean(), loss_n_mpjpe=0.5 * total,
        loss_velocity=20 * distances(p[:, 1:] - p[:, :-1], q[:, 1:] - q[:, :-1]).mean())
    losses = LiftingLoss()(pred, target)
    assert {k: v.item() for k, v in losses.items()} == pytest.approx(expected, rel=1e-5)
    other = LiftingLoss(mpjpe=2, n_mpjpe=0, velocity=1)(pred[:, :1], target[:, :1])
    assert other['loss_n_mpjpe'] == other['loss_velocity'] == 0
    assert other['loss_mpjpe'].item() == pytest.approx(2 * distances(p[:, 0], q[:, 0]).mean())

    score = torch.rand(3, 5, 17)
    loss = LiftingLoss(reprojection=3).project(pred, target[..., :2], score)
    expected = (distances(p[..., :2], q[..., :2]) * score.double().numpy()).mean()
    assert {k: v.item() for k, v in loss.items()} == pytest.approx(dict(loss_2d=3 * expected))


@pytest.mark.parametrize('value', [0., 1e-20])
def test_lifting_losses_have_finite_gradients(value):
    pred = torch.full((1, 3, 17, 3), value, requires_grad=True)
    losses = LiftingLoss()(pred, torch.zeros(1, 3, 17, 3))
    losses |= LiftingLoss().project(pred, torch.zeros(1, 3, 17, 2), torch.zeros(1, 3, 17))
    sum(losses.values()).backward()
    assert pred.grad.isfinite().all()


def clips(batch, frames, persons=1):
    x = torch.rand(batch, persons, frames, 17, 3) * 2 - 1
    x[..., 2] = 1
    return x


def params(tmp_path, **options):
    """Write noise parameters whose components are distinguishable."""
    values = dict(mean=torch.linspace(-0.02, 0.02, 34).view(17, 2),
                  std=torch.linspace(0.001, 0.01, 34).view(17, 2),
                  weight=torch.linspace(0.3, 1, 17))
    path = tmp_path / 'noise.pth'
    torch.save({**values, **options}, path)
    return str(path), values


def test_lifting_noise_has_moments_of_the_mixture(tmp_path):
    """Uses as many key frames as frames, so nothing is interpolated."""
    path, values = params(tmp_path)
    noise = KeypointNoise(9, path, jitter=0.)
    x = clips(3000, 9)
    error = (noise(x) - x)[..., :2].double().flatten(0, 2)  # (27000, J, 2)
    weight = values['weight'][:, None]
    mean = weight * values['mean']
    second = weight * (values['std']**2 + values['mean']**2) + (1 - weight) * 0.03**2 / 3
    count = len(error)
    sigma = (second - mean**2).sqrt() / math.sqrt(count)
    assert ((error.mean(0) - mean).abs() < 5 * sigma).all()
    torch.testing.assert_close(error.square().mean(0), second.double(), rtol=0.05, atol=0)
    # errors far from the mean are uniform
    far = (error - values['mean']).abs() > 6 * values['std']
    inside = (6 * values['std'][0] / 0.03)[0]  # joint 0, x: std 0.001
    expected = 0.7 * (1 - inside)  # mean -0.02: the interval [-0.026, -0.014] lies in +-0.03
    assert far[:, 0, 0].double().mean() == pytest.approx(expected.item(), abs=0.015)
    assert not far[:, 16].any()
    assert error[far].abs().max() <= 0.03
    # x and y come from the same component of the mixture
    assert (far[:, 0, 0] & ~far[:, 0, 1]).double().mean() < 0.7 * 0.5
    wide = KeypointNoise(9, params(tmp_path, uniform_range=0.2)[0], jitter=0.)
    error = (wide(x) - x)[..., :2].flatten(0, 2)[:, 0, 0].abs()
    assert 0.095 < error.max() <= 0.1
    assert (error > 0.03).float().mean() == pytest.approx(
        0.7 * 0.7, abs=0.02)


def test_lifting_noise_is_linear_between_key_frames():
    noise = KeypointNoise(4, jitter=0.)
    x = clips(2, 13)
    error = (noise(x) - x)[..., :2]
    bend = error.diff(n=2, dim=2).abs().amax((0, 1, 3, 4))  # of the frames 1 to 11
    kinks = torch.tensor([3, 7])  # key frames are 0, 4, 8 and 12
    assert (bend[kinks] > 1e-3).all()
    assert bend.sum() - bend[kinks].sum() < 1e-5
    assert (error[0] - error[1]).abs().max() > 1e-3
    assert noise(clips(1, 2)).shape == (1, 1, 2, 17, 3)  # fewer frames than key frames


def test_lifting_jitter_is_shared_by_the_batch(tmp_path):
    path, _ = params(tmp_path, mean=torch.zeros(17, 2), std=torch.zeros(17, 2),
                     weight=torch.ones(17))
    x = clips(3, 200, persons=2)
    error = (KeypointNoise(5, path)(x) - x)[..., :2]
    assert (error - error[:1, :1]).abs().max() < 1e-6
    assert error[0].std().item() == pytest.approx(0.002, rel=0.03)
    assert error[0].mean().abs() < 1e-4
    steps = error[0, 0].flatten(1)  # (T, J * 2)
    correlation = (steps[1:] * steps[:-1]).mean() / steps.square().mean()
    assert abs(correlation) < 0.05  # independent frames


def test_lifting_noise_confidence_falls_with_the_error(tmp_path):
    """Uses errors of one length and the moments of a clipped normal distribution."""
    length = 0.05
    path, _ = params(tmp_path, std=torch.zeros(17, 2), weight=torch.ones(17),
                     mean=torch.tensor([[length, 0]]).repeat(17, 1))
    score = KeypointNoise(3, path, jitter=0.)(clips(400, 9))[..., 2].double()
    mean = 0.028 / (length + 0.028) + 1.1 * length - 0.0045857
    assert score.min() >= 0
    assert score.max() <= 1
    assert score.median().item() == pytest.approx(mean, abs=0.003)
    assert score.std().item() == pytest.approx(0.143106, rel=0.02)  # rarely clipped
    certain = KeypointNoise(3, path, jitter=0., confidence=(0.028, 0, 0.3, 0.143106))
    score = certain(clips(400, 9))[..., 2]
    above = 1 - (0.028 / (length + 0.028) + 0.3)
    expected = math.erfc(above / 0.143106 / math.sqrt(2)) / 2
    assert (score == 1).double().mean().item() == pytest.approx(expected, abs=0.01)


def test_lifting_noise_keeps_missing_joints_missing():
    x = clips(2, 6)
    x[0, 0, 2, 5] = 0
    noisy = KeypointNoise(3)(x)
    assert (noisy[0, 0, 2, 5] == 0).all()
    assert (noisy[..., :2] != x[..., :2]).sum() == noisy[..., :2].numel() - 2


def test_lifting_default_noise_has_published_range():
    noise = KeypointNoise()
    assert noise.num_keyframes == 27
    assert not noise.state_dict()
    assert (noise.std.min().item(), noise.std.max().item()) == pytest.approx((0.0034, 0.0095))
    assert noise.weight[0].item() == pytest.approx(0.999) == noise.weight.max().item()
    assert noise.weight[13].item() == pytest.approx(0.703) == noise.weight.min().item()
    assert torch.equal(noise.weight[list(LEFT)], noise.weight[[4 - 3, 2, 3, 14, 15, 16]])


def test_lifting_noise_names_bad_files(tmp_path):
    with pytest.raises(ValueError, match='found no file .*omit params_file'):
        KeypointNoise(params_file=str(tmp_path / 'none.pth'))
    with pytest.raises(ValueError, match=r"'weight': \(16,\).*expected .* weight \(17,\)"):
        KeypointNoise(params_file=params(tmp_path, weight=torch.ones(16))[0])
    with pytest.raises(ValueError, match='no tensors called mean.*SimpleNamespace'):
        KeypointNoise(params_file=params(tmp_path, extra=SimpleNamespace())[0])
    with pytest.raises(ValueError, match='num_keyframes: found 0'):
        KeypointNoise(0)


def batch(size, frames=20, noise=True, masked=True, target=True, persons=1):
    """Create a collated batch."""
    samples = []
    for _ in range(size):
        inputs = dict(keypoints=clips(1, frames, persons)[0].transpose(1, 2).contiguous(),
                      noise=torch.tensor(noise), masked=torch.tensor(masked))
        if target:
            inputs['target'] = torch.randn(frames, 17, 3)
        samples.append(dict(inputs=inputs, data_samples=ActionDataSample()))
    return samples


def test_lifting_masks_hide_given_shares():
    preprocessor = LiftingDataPreprocessor(dict(num_keyframes=3), 0.05, 0.1)
    samples = batch(200, 100, noise=False)
    data = preprocessor(motion_collate(samples), training=True)
    assert torch.equal(data['clean'][7], samples[7]['inputs']['keypoints'].transpose(1, 2))
    assert torch.equal(data['target'][7], samples[7]['inputs']['target'])
    hidden = (data['inputs'] == 0).all(-1)[:, 0]  # (B, T, J)
    assert torch.equal(data['inputs'][:, 0][~hidden], data['clean'][:, 0][~hidden])
    assert not (data['inputs'][:, 0] == 0).any(-1)[~hidden].any()  # all channels or none
    frames = hidden.all(-1)
    assert torch.equal(frames, frames[:1].expand_as(frames))  # shared by the batch
    others = hidden[:, ~frames[0]].double()
    assert others.mean().item() == pytest.approx(0.05, abs=0.002)
    for axis in (0, 1, 2):  # shares along an axis vary as expected of independent draws
        rest = others.movedim(axis, 0).flatten(1)
        sigma = math.sqrt(0.05 * 0.95 / rest.shape[1])
        assert rest.mean(1).std().item() == pytest.approx(sigma, rel=0.5)
    many = [(preprocessor(motion_collate(batch(1, 200, False)), True)['inputs'] == 0).all(-1)
            .all(-1).double().mean().item() for _ in range(40)]
    assert np.mean(many) == pytest.approx(0.1, abs=0.015)
    for joints, frames in ((0, 0), (0.1, 0), (0, 0.1)):
        some = LiftingDataPreprocessor(joint_mask=joints, frame_mask=frames)
        hidden = (some(motion_collate(samples), training=True)['inputs'] == 0).all(-1)[:, 0]
        frame = hidden.all(-1).all(0)
        assert frame.any() == bool(frames)
        assert hidden[:, ~frame].any() == bool(joints)


def test_lifting_samples_choose_masks_and_noise():
    preprocessor = LiftingDataPreprocessor(dict(num_keyframes=3), 0.5, 0.5)
    samples = [batch(1, noise=n, masked=m)[0] for n in (False, True) for m in (False, True)]
    data = preprocessor(motion_collate(samples), training=True)
    hidden = (data['inputs'] == 0).all(-1)
    assert [part.any().item() for part in hidden] == [False, True, False, True]
    moved = (data['inputs'] != data['clean']).any(-1) & ~hidden
    assert [part.any().item() for part in moved] == [False, False, True, True]
    data = preprocessor(motion_collate(samples))
    assert torch.equal(data['inputs'], data['clean'])
    with pytest.raises(ValueError, match=r'frame_mask: found 1, expected a share in \[0, 1\)'):
        LiftingDataPreprocessor(frame_mask=1)


def test_skeleton_preprocessor_orders_clips_and_pads_persons():
    """Checks order of clips, padding of persons and labels."""
    keypoints = [torch.rand(2, m, 17, 5, 3) for m in (1, 3)]
    samples = [dict(inputs=dict(keypoints=k), data_samples=ActionDataSample().set_gt_label(i + 4))
               for i, k in enumerate(keypoints)]
    whole = SkeletonDataPreprocessor()(motion_collate(samples))
    assert whole['inputs'].shape == (4, 3, 5, 17, 3)
    for clip in range(4):
        for person in range(3):
            source = keypoints[clip // 2][clip % 2]
            expected = source[person].transpose(0, 1) if person < len(source) else torch.zeros(1)
            assert (whole['inputs'][clip, person] == expected).all()
    assert [s.gt_label.tolist() for s in whole['data_samples']] == [[4], [5]]
    listed = dict(inputs=dict(keypoints=keypoints), data_samples=None)  # pseudo_collate
    assert torch.equal(SkeletonDataPreprocessor()(listed)['inputs'], whole['inputs'])


@MODELS.register_module()
class Odd(nn.Module):
    """Backbone without symmetry: (x + 2 y + i, y^2, x y + confidence) of joint i."""

    def forward(self, x):
        joint = torch.arange(x.shape[2]) * 0.1
        return torch.stack([x[..., 0] + 2 * x[..., 1] + joint, x[..., 1]**2,
                            x[..., 0] * x[..., 1] + x[..., 2] + joint], -1)


def lifter(**options):
    return MotionLifter(dict(type='Odd'), dict(type='LiftingLoss'), **options)


def mirrored(x):
    """Mirror clips by swapping named joints."""
    out = x.clone()
    for left, right in zip(LEFT, RIGHT, strict=True):
        out[..., left, :], out[..., right, :] = x[..., right, :], x[..., left, :]
    return torch.stack([-out[..., 0], out[..., 1], out[..., 2]], -1)


@pytest.mark.parametrize('root_relative', [True, False])
@pytest.mark.parametrize('flip', [True, False])
def test_lifter_prediction_averages_the_flipped_clip(root_relative, flip):
    model = lifter(root_relative=root_relative, flip_test=flip)
    x = clips(2, 6, persons=3)
    expected = Odd()(x.flatten(0, 1)).view(x.shape)
    assert torch.equal(model(x), expected)
    if flip:
        other = mirrored(Odd()(mirrored(x).flatten(0, 1)).view(x.shape))
        expected = (expected + other) / 2
    if root_relative:
        expected[..., 0, :] = 0
    else:
        expected[..., 2] = expected[..., 2] - expected[:, :, 0, 0, 2][:, :, None, None]
    samples = model(x, [ActionDataSample() for _ in range(2)], mode='predict')
    found = torch.stack([sample.pred_keypoints_3d for sample in samples])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('root_relative', [True, False])
def test_lifter_loss_centers_targets(root_relative):
    model = lifter(root_relative=root_relative)
    x, target = clips(2, 6), torch.randn(2, 6, 17, 3)
    centered = target.clone()
    for frame in range(6):
        if root_relative:
            centered[:, frame] -= target[:, frame, :1]
        else:
            centered[:, frame, :, 2] -= target[:, 0, :1, 2]
    losses = model(x, mode='loss', target=target, clean=x)
    expected = LiftingLoss()(Odd()(x[:, 0]), centered)
    assert losses.keys() == expected.keys()
    assert all(torch.allclose(losses[k], expected[k]) for k in losses)


def test_lifter_projection_loss_equals_formula():
    """Checks weights by confidence, uncorrupted targets and frames without a root."""
    x, clean = clips(2, 6, persons=2), clips(2, 6, persons=2)
    clean[..., 2] = torch.rand(2, 2, 6, 17)
    clean[0, 1, 3, 0] = 0
    for root_relative in (True, False):
        pred = Odd()(x.flatten(0, 1)).view(x.shape)
        total = 0.
        for b, m, t, j in np.ndindex(2, 2, 6, 17):
            if root_relative and (b, m, t) == (0, 1, 3):
                continue
            point = clean[b, m, t, j, :2] - clean[b, m, t, 0, :2] * root_relative
            error = math.dist(pred[b, m, t, j, :2].tolist(), point.tolist())
            total += error * clean[b, m, t, j, 2].item() / (2 * 2 * 6 * 17)
        loss = lifter(root_relative=root_relative)(x, mode='loss', clean=clean)
        assert loss['loss_2d'].item() == pytest.approx(total, rel=1e-5)


def test_lifter_losses_are_float32_under_autocast():
    model = MotionLifter(
        dict(type='DSTformer', embed_dims=16, rep_dims=16, depth=1, num_heads=2, max_frames=8),
        dict(type='LiftingLoss'),
        data_preprocessor=dict(type='LiftingDataPreprocessor', noise=dict(num_keyframes=3)))
    with torch.autocast('cpu', torch.bfloat16):
        for target in (True, False):
            data = model.data_preprocessor(motion_collate(batch(2, 8, target=target)), True)
            assert model(data['inputs']).dtype == torch.bfloat16
            losses = model(**data, mode='loss')
            assert all(loss.dtype == torch.float32 for loss in losses.values())
        found = model(data['inputs'], [ActionDataSample(), ActionDataSample()], mode='predict')
    assert found[0].pred_keypoints_3d.dtype == torch.float32


RELEASED = {  # width, root-relative, optimizer, learning rate, batch, epochs, N-MPJPE
    'pretrain_dstformer': (512, True, 'AdamW', 5e-4, 64, 90, 0.5),
    'pretrain_dstformer_lite': (256, True, 'AdamW', 5e-4, 64, 90, 0.5),
    'pretrain_dstformer_paper': (256, True, 'Adam', 5e-4, 64, 80, 0.),
    'pose3d_h36m': (512, True, 'AdamW', 2e-4, 32, 60, 0.5),
    'pose3d_h36m_lite': (256, True, 'AdamW', 2e-4, 32, 60, 0.5),
    'pose3d_h36m_global': (512, False, 'AdamW', 2e-4, 32, 60, 0.5),
    'pose3d_h36m_global_lite': (256, False, 'AdamW', 5e-4, 32, 60, 0.5),
    'pose3d_h36m_paper': (256, True, 'Adam', 3e-4, 32, 60, 0.),
    'pose3d_h36m_scratch': (512, True, 'AdamW', 2e-4, 32, 120, 0.5),
    'pose3d_h36m_scratch_lite': (256, True, 'AdamW', 2e-4, 32, 120, 0.5),
    'pose3d_h36m_scratch_paper': (256, True, 'Adam', 5e-4, 32, 60, 0.)}


@pytest.mark.parametrize('name', RELEASED)
def test_lifting_configs_have_published_values(name):
    cfg = load_config(CONFIGS / f'{name}.py')
    model, loss, optimizer = cfg.model, cfg.model.loss, cfg.optim_wrapper.optimizer
    found = (model.backbone.embed_dims, model.get('root_relative', True), optimizer.type,
             optimizer.lr, cfg.train_dataloader.batch_size, cfg.train_cfg.max_epochs, loss.n_mpjpe)
    assert found == RELEASED[name]
    assert (loss.mpjpe, loss.velocity, loss.reprojection) == (1, 20, 1)
    assert optimizer.get('weight_decay', 0) == (0.01 if optimizer.type == 'AdamW' else 0)
    assert cfg.param_scheduler == dict(type='ExponentialLR', gamma=0.99)
    corruption = (model.data_preprocessor.get('noise'), model.data_preprocessor.get('joint_mask'),
                  model.data_preprocessor.get('frame_mask'))
    if 'pretrain' in name:
        assert corruption == (dict(num_keyframes=27), 0.05, 0.1)
        assert cfg.train_cfg.extra_begin == 30
        assert len(cfg.train_cfg.extra_dataloaders) == 2
    else:
        assert corruption == (None, None, None)
        start = model.backbone.get('init_cfg')
        assert (start is None) == ('scratch' in name)
        if start:  # the work dir of the checkpoint's config
            variant = next((v for v in ('_lite', '_paper') if name.endswith(v)), '')
            source = load_config(CONFIGS / f'pretrain_dstformer{variant}.py')
            folder = default_work_dir(source.filename)
            assert start.checkpoint == f'{folder}/epoch_{source.train_cfg.max_epochs}.pth'
            assert source.model.backbone == {
                k: v for k, v in model.backbone.items() if k != 'init_cfg'}
