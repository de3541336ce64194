"""UNIK against its formulas and the published counts; released checkpoints."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mofm.hub.released import convert_checkpoint
from projects.tmor import released
from projects.tmor.released import from_released, to_released
from projects.tmor.unik import UNIK, Block, SpatialUnit, TemporalUnit, UNIKBackbone

ROOT = Path(__file__).resolve().parents[3]


def count(**options):
    with torch.device('meta'):
        return sum(p.numel() for p in UNIK(**options).parameters())


def test_unik_has_published_parameter_counts():
    assert count() == 3_443_664
    assert [count(num_classes=k) for k in (31, 51, 157, 320)] == [
        3_451_631, 3_456_771, 3_484_013, 3_525_904]
    assert count(num_joints=25, in_channels=3) == 3_454_340


def test_unik_has_published_names_and_shapes():
    with torch.device('meta'):
        state = UNIK(num_heads=12, num_classes=120, num_joints=25, in_channels=3).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes['data_bn.running_mean'] == (150, )
    assert shapes['l1.s_unit.DepM'] == (3, 25, 25)  # independent of num_heads
    assert shapes['l2.s_unit.DepM'] == (12, 25, 25)
    assert shapes['l2.s_unit.bias'] == (25, )
    assert shapes['l2.s_unit.conv_a.11.weight'] == (16, 64, 1, 1)
    assert shapes['l10.s_unit.conv_d.3.weight'] == (256, 256, 1, 1)
    assert shapes['l5.s_unit.down.0.weight'] == (128, 64, 1, 1)
    assert shapes['l8.residual.conv.weight'] == (256, 128, 1, 1)
    assert shapes['l9.t_unit.conv.weight'] == (256, 256, 9, 1)
    residuals = {name.split('.')[0] for name in shapes if '.residual.' in name}
    downs = {name.split('.')[0] for name in shapes if '.down.' in name}
    assert residuals == {'l5', 'l8'}
    assert downs == {'l1', 'l5', 'l8'}


def test_unik_has_published_initialization():
    torch.manual_seed(0)
    model = UNIK(num_classes=60)
    unit = model.l9.s_unit
    assert abs(unit.DepM).max() <= 1 / 17
    assert abs(unit.DepM.std() * 17 * math.sqrt(3) - 1) < .05
    for weight, std in ((unit.conv_a[1].weight, math.sqrt(2 / 64)),
                        (unit.conv_d[2].weight, math.sqrt(2 / (256 * 256 * 3))),
                        (model.l9.t_unit.conv.weight, math.sqrt(2 / (256 * 9))),
                        (model.fc.weight, math.sqrt(2 / 60))):
        assert abs(weight.std() / std - 1) < .05
    for name, module in model.named_modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            gain = 1e-6 if name.endswith('s_unit.bn') else 1
            assert (module.weight == gain).all(), name
            assert (module.bias == 0).all(), name
        elif isinstance(module, nn.Conv2d):
            assert (module.bias == 0).all(), name


# ----------------------------------------------------------------------------------- formulas
def shake(module):
    """Randomize weights and statistics so that every term matters."""
    generator = torch.Generator().manual_seed(0)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.normal_(0, .4, generator=generator)
            if name.endswith('running_var'):
                value.abs_().add_(.5)
    return module


def formula_norm(x, state, name, training):
    """Compute batch norm of (N, C, T, V), and the statistics after it."""
    mean, var = state[f'{name}.running_mean'], state[f'{name}.running_var']
    if training:
        size = x.size / x.shape[1]
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        state[f'{name}.running_mean'] = .9 * state[f'{name}.running_mean'] + .1 * mean
        state[f'{name}.running_var'] = (.9 * state[f'{name}.running_var']
                                        + .1 * var * size / (size - 1))
    shape = (1, -1, 1, 1)
    x = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5)
    return x * state[f'{name}.weight'].reshape(shape) + state[f'{name}.bias'].reshape(shape)


def formula_conv(x, state, name):
    """Compute a 1x1 convolution of (N, C, T, V)."""
    return (np.einsum('oc,nctv->notv', state[f'{name}.weight'][:, :, 0, 0], x)
            + state[f'{name}.bias'][:, None, None])


def formula_spatial(x, state, name, tau, training):
    """Compute S_LSU joint by joint in float64."""
    if tau > 1:  # joints of frame t - 1, of t, of t + 1
        n, c, t, v = x.shape
        wide = np.zeros((n, c, t, tau * v))
        for i in range(t):
            for k in range(tau):
                source = i + k - tau // 2
                if 0 <= source < t:
                    wide[:, :, i, k * v:(k + 1) * v] = x[:, :, source]
        x = wide
    n, c, t, joints = x.shape
    learned, total = state[f'{name}.DepM'], 0
    for h in range(len(learned)):
        a, b = (formula_conv(x, state, f'{name}.conv_{k}.{h}') for k in 'ab')
        mixed = np.zeros_like(x)
        for i in range(n):
            for v in range(joints):
                scores = np.array([(a[i, :, :, u] * b[i, :, :, v]).sum() for u in range(joints)])
                scores = np.exp(scores / (a.shape[1] * t))
                for u in range(joints):
                    mixed[i, :, :, v] += x[i, :, :, u] * (
                        learned[h, u, v] + scores[u] / scores.sum())
        total = total + formula_conv(mixed, state, f'{name}.conv_d.{h}')
    y = formula_norm(total, state, f'{name}.bn', training)
    if f'{name}.down.0.weight' in state:
        x = formula_norm(formula_conv(x, state, f'{name}.down.0'), state, f'{name}.down.1',
                         training)
    y = np.maximum(y + x, 0)
    if tau == 1:
        return y
    y = y.reshape(n, -1, t, tau, joints // tau)
    y = np.einsum('ock,nctkv->notv', state[f'{name}.out_conv.weight'][:, :, 0, :, 0], y)
    y = y + state[f'{name}.out_conv.bias'][:, None, None]
    return formula_norm(y, state, f'{name}.out_bn', training)


def formula_temporal(x, state, name, stride, training):
    """Compute T_LSU frame by frame."""
    weight = state[f'{name}.conv.weight'][..., 0]  # (O, C, kernel)
    half, frames = weight.shape[2] // 2, x.shape[2]
    out = []
    for t in range(0, frames, stride):
        taps = [(k, t + k - half) for k in range(weight.shape[2]) if 0 <= t + k - half < frames]
        out.append(sum(np.einsum('oc,ncv->nov', weight[:, :, k], x[:, :, s]) for k, s in taps))
    y = np.stack(out, 2) + state[f'{name}.conv.bias'][:, None, None]
    return formula_norm(y, state, f'{name}.bn', training)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(('channels', 'stride', 'residual', 'tau'), [
    (3, 1, False, 1), (8, 1, True, 1), (4, 2, True, 1), (4, 2, True, 3)])
def test_unik_block_equals_formula(channels, stride, residual, tau, training):
    block = shake(Block(channels, 8, stride, residual, num_joints=4, num_heads=2, tau=tau))
    state = {name: value.double().numpy() for name, value in block.state_dict().items()}
    x = torch.randn(3, channels, 7, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        rows = x.permute(0, 3, 2, 1).contiguous()  # channels last in memory
        found = block.train(training)(rows.permute(0, 3, 1, 2)).transpose(2, 3)
    exact = x.double().numpy()
    y = formula_spatial(exact, state, 's_unit', tau, training)
    y = formula_temporal(y, state, 't_unit', stride, training)
    if residual:
        y = y + (exact if channels == 8 else
                 formula_temporal(exact, state, 'residual', stride, training))
    np.testing.assert_allclose(found, np.maximum(y, 0), rtol=1e-5, atol=1e-5)
    for name, value in block.state_dict().items():
        if 'running' in name:
            np.testing.assert_allclose(value, state[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize('options', [
    dict(num_classes=5), dict(num_joints=25, in_channels=3, num_heads=4, num_classes=6)])
def test_unik_equals_transcription(monkeypatch, options):
    """The one of the benchmark: channels first and a loop over heads."""
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    sys.modules.pop('unik', None)
    from unik import transcription
    torch.manual_seed(0)
    model = UNIK(**options)
    for module in model.modules():
        if isinstance(module, SpatialUnit):
            nn.init.ones_(module.bn.weight)  # 1e-6 would hide it
    nn.init.normal_(model.fc.weight, std=.05)  # scores about 1, not 20
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    persons, joints, channels = model.input_shape
    x = torch.rand(3, channels, 9, joints, persons)
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(model(x), transcription(weights, x), rtol=0, atol=1e-5)
        for name, value in model.state_dict().items():
            if 'running' in name:
                torch.testing.assert_close(value, weights[name], rtol=1e-5, atol=1e-5)
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        scores = transcription(weights, x, training=False)
        torch.testing.assert_close(model.eval()(x), scores, rtol=1e-5, atol=1e-5)


def test_unik_parameters_learn_except_dead_ones():
    torch.manual_seed(0)
    model = UNIK(num_classes=3)
    model(torch.randn(2, 2, 8, 17, 2)).square().sum().backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert without == {f'l{i}.s_unit.bias' for i in range(1, 11)}
    assert not any(model.get_parameter(name).requires_grad for name in without)


# ----------------------------------------------------------------------------------- backbone
def test_unik_backbone_features_equal_model():
    torch.manual_seed(0)
    backbone, model = UNIKBackbone().eval(), UNIK().eval()
    model.load_state_dict(backbone.state_dict())
    inputs = torch.randn(2, 2, 9, 17, 3)  # with scores
    with torch.no_grad():
        features = backbone(inputs)
        joints = model.encode(inputs[..., :2])  # (B, M, V, T', C)
        pooled = model(inputs[..., :2].permute(0, 4, 2, 3, 1))
    assert joints.shape == (2, 2, 17, 3, 256)
    assert features.encoded.all()
    for b, m, t, v in ((0, 0, 0, 0), (1, 1, 2, 16), (0, 1, 1, 5)):
        torch.testing.assert_close(features.tokens[b, (m * 3 + t) * 17 + v], joints[b, m, v, t])
    torch.testing.assert_close(features.pooled, pooled)
    torch.testing.assert_close(features.frames[1, 2], joints[1, :, :, 2].mean((0, 1)))


@pytest.mark.parametrize('norm', ['eval', 'train'])
def test_unik_frozen_norm_keeps_or_updates_statistics(norm):
    backbone = UNIKBackbone(num_persons=1, frozen=True, frozen_norm=norm).train()
    before = backbone.data_bn.running_var.clone()
    features = backbone(torch.rand(2, 1, 8, 17, 2))
    assert not features.pooled.requires_grad
    assert {module.training for module in backbone.modules()} == (
        {False} if norm == 'eval' else {False, True})
    assert torch.equal(before, backbone.data_bn.running_var) == (norm == 'eval')


def test_unik_names_bad_options_and_shapes():
    with pytest.raises(ValueError, match='tau: found 2, expected an odd number'):
        UNIK(tau=2)
    with pytest.raises(ValueError, match="frozen_norm: found 'none'"):
        UNIKBackbone(frozen_norm='none')
    with pytest.raises(ValueError, match=r'found shape \(1, 1, 8, 17, 2\), expected \(B, 2, T, 17,'
                                         r' 2\), see num_persons'):
        UNIKBackbone()(torch.zeros(1, 1, 8, 17, 3))


def test_unik_transfers_to_other_joints_and_coordinates(tmp_path):
    """Parameters shaped by the number of joints or coordinates are new, the rest is loaded."""
    source, path = UNIKBackbone(), tmp_path / 'stage1.pth'
    shake(source)
    torch.save(dict(state_dict={f'backbone.{name}': value for name, value
                                in source.state_dict().items()}), path)
    cfg = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    with pytest.raises(ValueError, match='does not fit'):
        UNIKBackbone(num_joints=25, in_channels=3, init_cfg=cfg).init_weights()
    for options in (dict(num_joints=25, in_channels=3), dict(num_joints=25)):
        target = UNIKBackbone(**options, init_cfg=dict(cfg, partial=True))
        before = {name: value.clone() for name, value in target.state_dict().items()}
        target.init_weights()
        loaded = {name for name, value in target.state_dict().items()
                  if not name.endswith('num_batches_tracked')
                  and not torch.equal(value, before[name])}
        names = {name for name in before if not name.endswith('num_batches_tracked')}
        new = {name for name in names if name.startswith('data_bn.') and not name.endswith(
            'tracked') or name.endswith(('s_unit.DepM', 's_unit.bias'))}
        if 'in_channels' in options:
            new |= {name for name in names if name.startswith('l1.')}
        assert loaded == names - new
        state = source.state_dict()
        assert all(torch.equal(target.state_dict()[name], state[name]) for name in loaded)


# ---------------------------------------------------------------------------------- checkpoints
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_unik_conversion_round_trips(tmp_path, prefix):
    torch.manual_seed(0)
    model = UNIK(num_classes=4, num_heads=4)
    state = {prefix + name: value for name, value in model.state_dict().items()}
    source, ours, back = (tmp_path / name for name in ('r.pt', 'ours.pth', 'back.pt'))
    torch.save(state, source)
    assert convert_checkpoint(source, ours, released) == len(state)
    convert_checkpoint(ours, back, released)
    content = torch.load(ours, weights_only=True)['state_dict']
    assert torch.equal(content['cls_head.fc.weight'], model.fc.weight)
    backbone = UNIKBackbone(num_heads=4, init_cfg=dict(
        type='Pretrained', checkpoint=str(ours), prefix='backbone.'))
    backbone.init_weights()
    assert torch.equal(backbone.l7.t_unit.conv.weight, model.l7.t_unit.conv.weight)
    UNIK(num_classes=4, num_heads=4).load_state_dict(torch.load(back, weights_only=True))


def test_unik_conversion_allows_absent_dead_parameters():
    state = {name: value for name, value in UNIK().state_dict().items()
             if not name.endswith('s_unit.bias')}
    UNIKBackbone().load_state_dict({name.removeprefix('backbone.'): value for name, value
                                    in from_released(state).items()})


def test_unik_conversion_refuses_other_checkpoints(tmp_path):
    state = UNIK(num_classes=3).state_dict()
    del state['l3.t_unit.bn.weight']
    with pytest.raises(ValueError, match=r"1 missing ones \['l3.t_unit.bn.weight'\]"):
        from_released(state)
    with pytest.raises(ValueError, match="1 unknown parameters .'head.weight'"):
        to_released({**UNIK().state_dict(), 'head.weight': torch.zeros(1)})
    (tmp_path / 'a.pt').write_bytes(b'no weights')
    with pytest.raises(ValueError, match='a.pt: not a readable checkpoint'):
        convert_checkpoint(tmp_path / 'a.pt', tmp_path / 'ours.pth', released)
    torch.save(dict(weight=torch.zeros(1)), tmp_path / 'b.pt')
    with pytest.raises(ValueError, match='b.pt: found 1 unknown'):
        convert_checkpoint(tmp_path / 'b.pt', tmp_path / 'ours.pth', released)


def test_unik_temporal_unit_keeps_kernel_order():
    """The kernel looks one frame ahead."""
    unit = TemporalUnit(1, 1, 9, 1).eval()
    nn.init.zeros_(unit.conv.weight)
    unit.conv.weight.data[0, 0, 5] = 1
    x = torch.arange(12.).view(1, 1, 2, 6)
    with torch.no_grad():
        ahead = unit(x)[0, 0, :, :-1] * math.sqrt(1 + 1e-5)
    torch.testing.assert_close(ahead, x[0, 0, :, 1:])
