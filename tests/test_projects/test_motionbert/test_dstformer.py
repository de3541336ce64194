"""DSTformer against its formulas and published sizes; released checkpoints."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import erf

from mofm.hub.released import convert_checkpoint
from projects.motionbert import dstformer, released
from projects.motionbert.dstformer import DSTformer, DSTformerBackbone
from projects.motionbert.released import from_released, to_released
from projects.motionbert.variants import DSTformerVariant

ROOT = Path(__file__).resolve().parents[3]
SMALL = dict(embed_dims=8, rep_dims=6, depth=2, num_heads=2, mlp_ratio=2, max_frames=7)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = DSTformer(**SMALL)
    for parameter in model.parameters():  # for attention that is not uniform
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


@pytest.mark.parametrize(('options', 'count'), [
    (dict(), 42_466_317), (dict(embed_dims=256, mlp_ratio=4), 16_001_549)])
def test_dstformer_has_released_sizes(options, count):
    with torch.device('meta'):
        state = DSTformer(**options).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == count
    c = options.get('embed_dims', 512)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert len(shapes) == 260
    assert shapes['temp_embed'] == (1, 243, 1, c)
    assert shapes['pos_embed'] == (1, 17, c)
    assert shapes['joints_embed.weight'] == (c, 3)
    assert shapes['ts_attn.4.weight'] == (2, 2 * c)
    assert shapes['blocks_st.0.attn_s.qkv.weight'] == (3 * c, c)
    assert shapes['blocks_ts.4.mlp_t.fc1.weight'] == (1024, c)
    assert shapes['pre_logits.fc.weight'] == (512, c)
    assert shapes['head.weight'] == (3, 512)
    for block in ('blocks_st', 'blocks_ts'):
        for norm in ('norm1_s', 'norm1_t', 'norm2_s', 'norm2_t'):
            assert shapes[f'{block}.2.{norm}.bias'] == (c, )


def formula(w, x, depth, heads):
    """Compute output (T, J, 3) and representation of a clip (T, J, 3) by token in float64."""
    def linear(x, name):
        return x @ w[f'{name}.weight'].T + w[f'{name}.bias']

    def norm(x, name):
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(var + 1e-6) * w[f'{name}.weight'] + w[f'{name}.bias']

    def attention(x, name):  # (L, C)
        q, k, v = np.split(linear(x, f'{name}.qkv'), 3, -1)
        out = []
        for part in np.split(np.arange(x.shape[1]), heads):
            scores = q[:, part] @ k[:, part].T / np.sqrt(len(part))
            weight = np.exp(scores)
            out.append(weight / weight.sum(1, keepdims=True) @ v[:, part])
        return linear(np.concatenate(out, 1), f'{name}.proj')

    def mlp(x, name):
        x = linear(x, f'{name}.fc1')
        return linear(x * (1 + erf(x / np.sqrt(2))) / 2, f'{name}.fc2')

    def half(x, block, axis):
        x = x.copy()
        sequences = range(len(x)) if axis == 's' else range(x.shape[1])
        for i in sequences:
            where = (i, ) if axis == 's' else (slice(None), i)
            x[where] += attention(norm(x[where], f'{block}.norm1_{axis}'), f'{block}.attn_{axis}')
        return x + mlp(norm(x, f'{block}.norm2_{axis}'), f'{block}.mlp_{axis}')

    x = linear(x, 'joints_embed') + w['pos_embed'][0] + w['temp_embed'][0, :len(x)]
    for i in range(depth):
        st = half(half(x, f'blocks_st.{i}', 's'), f'blocks_st.{i}', 't')
        ts = half(half(x, f'blocks_ts.{i}', 't'), f'blocks_ts.{i}', 's')
        a = np.exp(linear(np.concatenate([st, ts], -1), f'ts_attn.{i}'))
        a /= a.sum(-1, keepdims=True)
        x = a[..., :1] * st + a[..., 1:] * ts
    representation = np.tanh(linear(norm(x, 'norm'), 'pre_logits.fc'))
    return linear(representation, 'head'), representation


def test_dstformer_equals_formula(model):
    x = torch.randn(3, 5, 17, 3)
    weights = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    with torch.no_grad():
        out, representation = model(x), model.get_representation(x)
    for i in range(3):
        expected = formula(weights, x[i].double().numpy(), SMALL['depth'], SMALL['num_heads'])
        np.testing.assert_allclose(out[i], expected[0], atol=2e-5)
        np.testing.assert_allclose(representation[i], expected[1], atol=1e-5)


def test_dstformer_released_size_equals_transcription(monkeypatch):
    """Compares to the transcription of the benchmark, with 512 channels."""
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    from motionbert import transcription
    torch.manual_seed(0)
    model = DSTformer(depth=1)
    x = torch.randn(1, 30, 17, 3)
    with torch.no_grad():
        expected = transcription(dict(model.named_parameters()), x, 8)
        torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-5)


def test_dstformer_streams_are_averaged_at_first(monkeypatch):
    torch.manual_seed(0)
    model, x = DSTformer(**SMALL), torch.randn(2, 7, 17, 3)
    fused = model(x)
    monkeypatch.setattr(dstformer, 'fuse', lambda fuse, x_st, x_ts: (x_st + x_ts) / 2)
    torch.testing.assert_close(fused, model(x))


@pytest.mark.parametrize(('options', 'std'), [({}, 0.02), (dict(init_std=0.2), 0.2)])
def test_dstformer_initial_weights_have_published_spread(options, std):
    torch.manual_seed(0)
    model = DSTformer(**{**SMALL, 'embed_dims': 32, 'max_frames': 100}, **options)
    for weight in (model.temp_embed, model.pos_embed, model.blocks_ts[1].mlp_t.fc2.weight):
        assert abs(weight.std().item() / std - 1) < 0.1
        assert abs(weight.mean().item()) < std / 5
    assert all((p == 0).all() for name, p in model.named_parameters()
               if name.endswith('bias') and 'ts_attn' not in name)


def test_dstformer_names_wrong_shapes(model):
    for shape in ((1, 8, 17, 3), (1, 7, 16, 3), (7, 17, 3)):
        with pytest.raises(ValueError, match=r'expected \(B, T, 17, 3\) with T up to max_frames'):
            model(torch.zeros(shape))
    with pytest.raises(ValueError, match='found 9, expected a multiple of num_heads=2'):
        DSTformer(embed_dims=9, num_heads=2)


def test_dstformer_backbone_features_equal_representation(model):
    backbone = DSTformerBackbone(**SMALL)
    backbone.load_state_dict(model.state_dict())
    inputs = torch.randn(2, 3, 4, 17, 3)
    features = backbone(inputs)
    for b, m, t, j in ((0, 0, 0, 0), (1, 2, 3, 16), (1, 0, 2, 5)):
        expected = model.get_representation(inputs[b, m][None])[0, t, j]
        torch.testing.assert_close(features.tokens[b, (m * 4 + t) * 17 + j], expected)
    persons = model.get_representation(inputs[1])[:, 2]  # (M, J, C)
    torch.testing.assert_close(features.frames[1, 2], persons.mean(0).flatten())
    torch.testing.assert_close(features.pooled, features.tokens.mean(1))
    assert features.encoded.all()
    assert features.encoded.shape == features.tokens.shape[:2]
    features.pooled.sum().backward()
    untrained = [name for name, p in backbone.named_parameters() if p.grad is None]
    assert untrained == ['head.weight', 'head.bias']


def test_frozen_backbone_has_no_gradient_and_stays_in_eval():
    backbone = DSTformerBackbone(**SMALL, frozen=True).train()
    assert not any(module.training for module in backbone.modules())
    assert not backbone(torch.randn(2, 1, 4, 17, 3)).pooled.requires_grad


def test_frozen_lifting_network_trains_its_last_layer():
    model = DSTformer(**SMALL, frozen=True).train()
    model(torch.randn(2, 4, 17, 3)).sum().backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        'head.weight', 'head.bias'}


class _Schedule:
    """Object of a class that only the writer of a file knows."""


class _Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path), )


def heads(kind):
    shapes = dict(
        lifter={}, one_shot={'fc1.weight': (4, 102), 'fc1.bias': (4, )},
        action={'fc1.weight': (4, 102), 'fc1.bias': (4, ), 'bn.weight': (4, ), 'bn.bias': (4, ),
                'bn.running_mean': (4, ), 'bn.running_var': (4, ), 'bn.num_batches_tracked': (),
                'fc2.weight': (3, 4), 'fc2.bias': (3, )},
        mesh={'init_pose': (1, 144), 'init_shape': (1, 10), 'head_pose.weight': (144, 4),
              'head_pose.bias': (144, ), 'head_shape.weight': (10, 4), 'head_shape.bias': (10, ),
              **{f'{n}.{k}': (4, ) for n in ('bn1', 'bn2') for k in (
                  'weight', 'bias', 'running_mean', 'running_var')},
              'bn1.num_batches_tracked': (), 'bn2.num_batches_tracked': (),
              **{f'{n}.weight': (4, 102) for n in ('fc1', 'fc2')},
              'fc1.bias': (4, ), 'fc2.bias': (4, ), 'smpl.v_template': (5, 3)})
    return {name: torch.rand(shape) for name, shape in shapes[kind].items()}


@pytest.mark.parametrize('kind', ['lifter', 'action', 'one_shot', 'mesh'])
def test_dstformer_conversion_round_trips_released_layouts(tmp_path, model, kind):
    """Uses files of the released layout: DataParallel names, optimizer, other objects."""
    weights = model.state_dict()
    if kind == 'lifter':
        weights = {f'module.{name}': tensor for name, tensor in weights.items()}
    else:
        weights = {f'module.backbone.{name}': tensor for name, tensor in weights.items()}
        weights.update({f'module.head.{name}': tensor for name, tensor in heads(kind).items()})
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(1, 4, 17, 3)).sum().backward()
    optimizer.step()
    key = 'model_pos' if kind == 'lifter' else 'model'
    path = tmp_path / 'best_epoch.bin'
    torch.save({'epoch': 60, 'lr': _Schedule(), 'optimizer': optimizer.state_dict(),
                'min_loss': np.float64(37.2), key: weights}, path)

    convert_checkpoint(path, tmp_path / 'ours.pth', released)
    state = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    ours = DSTformer(**SMALL)
    ours.load_state_dict({name.removeprefix('backbone.'): tensor for name, tensor in
                          state.items() if name.startswith('backbone.')})
    for name, tensor in ours.state_dict().items():
        prefix = 'module.' if kind == 'lifter' else 'module.backbone.'
        assert torch.equal(tensor, weights[prefix + name])
    back = to_released(state)
    expected = {name: tensor for name, tensor in weights.items() if '.smpl.' not in name}
    assert list(back) == [key]
    assert back[key].keys() == expected.keys()
    assert all(torch.equal(back[key][name], expected[name]) for name in expected)


def test_dstformer_conversion_ignores_other_objects_and_refuses_other_checkpoints(tmp_path, model):
    path = tmp_path / 'best_epoch.bin'
    marker = tmp_path / 'executed'
    weights = {f'module.{name}': tensor for name, tensor in model.state_dict().items()}
    torch.save(dict(model_pos=weights, lr=_Hostile(marker)), path)
    assert convert_checkpoint(path, tmp_path / 'ours.pth', released) == len(weights)
    assert not marker.exists()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match='truncated'):
        convert_checkpoint(path, tmp_path / 'ours.pth', released)
    with pytest.raises(ValueError, match=r"found \['state_dict'\], expected .*'model_pos'"):
        from_released(dict(state_dict={}))
    del weights['module.temp_embed']
    with pytest.raises(ValueError, match=r"1 missing ones \['backbone.temp_embed'\]"):
        from_released(dict(model_pos=weights))
    weights['module.temporal_embed'] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"1 unknown parameters \['backbone.temporal_embed'\]"):
        from_released(dict(model_pos=weights))
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        convert_checkpoint(tmp_path / 'none.bin', tmp_path / 'ours.pth', released)


def test_dstformer_conversion_round_trips(tmp_path, model):
    source, ours, back = (tmp_path / name for name in ('a.bin', 'new/b.pth', 'c.bin'))
    torch.save(dict(model_pos={f'module.{name}': tensor for name, tensor in
                               model.state_dict().items()}), source)
    assert convert_checkpoint(source, ours, released) == len(model.state_dict())
    convert_checkpoint(ours, back, released)
    before, after = (torch.load(path, weights_only=True)['model_pos'] for path in (source, back))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_variant_with_the_streams_of_dstformer_equals_it():
    torch.manual_seed(0)
    options = dict(embed_dims=16, rep_dims=16, num_heads=2, depth=2, max_frames=8, init_std=0.2)
    model, variant = dstformer.DSTformer(**options), DSTformerVariant(**options)
    state, names = model.state_dict(), {}
    for i in range(2):
        for k, (blocks, axes) in enumerate((('blocks_st', 'st'), ('blocks_ts', 'ts'))):
            for n, (axis, layer, norm) in enumerate(
                    (axis, *pair) for axis in axes for pair in (('attn', 1), ('mlp', 2))):
                to = f'levels.{i}.{k}.{n}'
                names[f'{blocks}.{i}.{layer}_{axis}'] = f'{to}.layer'
                names[f'{blocks}.{i}.norm{norm}_{axis}'] = f'{to}.norm'
    for old, new in names.items():
        for key in [key for key in state if key.startswith(f'{old}.')]:
            state[key.replace(old, new)] = state.pop(key)
    variant.load_state_dict(state)
    x = torch.rand(2, 8, 17, 3)
    torch.testing.assert_close(variant(x), model(x))


@pytest.mark.parametrize(('options', 'layers'), [
    (dict(depth=10, streams=('smtm', )), 20), (dict(streams=('smsm', 'tmtm')), 20),
    (dict(streams=('stm', 'tsm')), 20), (dict(adaptive=False), 20)])
def test_variants_have_the_attention_layers_of_dstformer(options, layers):
    model = DSTformerVariant(embed_dims=8, rep_dims=8, num_heads=2, max_frames=4, **options)
    assert sum(isinstance(m, dstformer.Attention) for m in model.modules()) == layers
    model(torch.rand(1, 4, 17, 3)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(ValueError, match='streams: found'):
        DSTformerVariant(streams=('sx', ))
