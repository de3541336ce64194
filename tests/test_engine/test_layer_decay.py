"""Learning rates and weight decays per layer, of every backbone."""

from contextlib import nullcontext

import pytest
from mmengine.registry import init_default_scope
from torch import nn

import mofm.models  # noqa: F401
import projects.motionbert  # noqa: F401
import projects.tmor  # noqa: F401
from mofm.engine import LayerDecayOptimWrapperConstructor
from mofm.engine.optimizers.layer_decay import check_custom_keys
from mofm.registry import MODELS

# backbone, width of its features, names and layers
MOFM = (
    dict(type='MoFMBackbone', num_frames=8, canvas=24, embed_dims=32, depth=3, num_heads=4,
         with_cls=True), 32,
    {'embed.proj.weight': 0, 'pos_embed': 0, 'mask_token': 0, 'cls_token': 0,
     'blocks.0.norm1.weight': 1, 'blocks.2.qkv.weight': 3, 'norm.weight': 4})
DSTFORMER = (
    dict(type='DSTformerBackbone', embed_dims=8, rep_dims=8, depth=2, num_heads=2), 8,
    {'joints_embed.weight': 0, 'pos_embed': 0, 'temp_embed': 0, 'blocks_st.0.norm1_s.bias': 1,
     'blocks_ts.1.mlp_t.fc2.weight': 2, 'ts_attn.1.weight': 2, 'pre_logits.fc.weight': 3})
UNIK = (
    dict(type='UNIKBackbone'), 256,
    {'data_bn.weight': 0, 'l1.s_unit.DepM': 1, 'l9.t_unit.conv.weight': 9,
     'l10.t_unit.bn.bias': 10})


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mofm')


def build(backbone, width):
    return MODELS.build(dict(
        type='MotionRecognizer', backbone=backbone,
        cls_head=dict(type='ActionClsHead', num_classes=3, in_channels=width)))


def settings(model, **paramwise_cfg):
    """Learning rate and weight decay of each parameter by name, and the groups."""
    constructor = LayerDecayOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1., weight_decay=0.1)),
        paramwise_cfg)
    groups = constructor(model).optimizer.param_groups
    found = {p: (g['lr'], g['weight_decay']) for g in groups for p in g['params']}
    return {name: found.get(p) for name, p in model.named_parameters()}, groups


@pytest.mark.parametrize(('backbone', 'width', 'layers'), [MOFM, DSTFORMER, UNIK])
def test_layer_decay_follows_the_formula_for_each_backbone(backbone, width, layers):
    model = build(backbone, width)
    found, groups = settings(model, layer_decay=0.5)
    top = model.backbone.get_layer_depth('')[1] - 1
    for name, layer in layers.items():
        assert model.backbone.get_layer_depth(f'x.{name}', 'x.') == (layer, top + 1)
        assert found[f'backbone.{name}'][0] == 0.5**(top - layer)
    assert found['cls_head.fc.weight'] == (1, 0.1)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            flat = parameter.dim() == 1 or name.endswith(('_embed', '_token'))
            assert found[name][1] == (0 if flat else 0.1)
        else:
            assert found[name] is None
    assert len(groups) <= 2 * (top + 1)


def test_custom_keys_multiply_the_rate_of_the_layer():
    model = build(*MOFM[:2])
    found, _ = settings(model, layer_decay=0.5, custom_keys={
        'backbone': dict(lr_mult=0.1), 'blocks.2.fc1': dict(decay_mult=2.),
        'cls_head': dict(lr_mult=3., decay_mult=0.5)})
    assert found['backbone.blocks.1.qkv.weight'] == (pytest.approx(0.1 * 0.5**2), 0.1)
    assert found['backbone.pos_embed'] == (pytest.approx(0.1 * 0.5**4), 0)
    assert found['backbone.blocks.2.fc1.weight'] == (0.5, 0.2)
    assert found['backbone.blocks.2.fc1.bias'] == (0.5, 0.2)
    assert found['cls_head.fc.weight'] == (3, 0.05)
    assert found['cls_head.fc.bias'] == (3, 0.05)


def test_decay_multipliers_of_mmengine_set_what_has_none_by_default():
    found, _ = settings(build(*MOFM[:2]), layer_decay=0.5, norm_decay_mult=1., bias_decay_mult=0.5,
                        bias_lr_mult=2.)
    assert found['backbone.blocks.0.norm1.bias'] == (0.125, 0.1)
    assert found['backbone.blocks.0.fc1.bias'] == (0.25, 0.05)
    assert found['backbone.pos_embed'] == (0.0625, 0)


def test_backbone_without_layers_is_refused_unless_rates_are_equal():
    model = build(dict(type='KeypointFeatures'), 32)
    with pytest.raises(ValueError, match='layer_decay=0.5, but the backbone of MotionRecognizer'):
        settings(model, layer_decay=0.5)
    assert settings(model)[0] == {'cls_head.fc.weight': (1, 0.1), 'cls_head.fc.bias': (1, 0)}


@pytest.mark.parametrize('wrong', [dict(decay=0.5), dict(layer_decay=0.), dict(layer_decay=1.5)])
def test_layer_decay_names_wrong_options(wrong):
    with pytest.raises(ValueError, match='expected layer_decay in'):
        settings(None, **wrong)


@pytest.mark.parametrize(('keys', 'words'), [
    ({'backbon': dict(lr_mult=0.1)}, 'custom_keys.backbon: found no parameter .*head, trunk'),
    ({'trunk': dict(lr_mul=0.1)}, 'custom_keys.trunk.lr_mul: nothing reads'),
    ({'trunk.weight': dict(lr_mult=0.1, momentum=0.5)}, None)])
def test_custom_keys_that_fit_nothing_are_refused(keys, words):
    model = nn.ModuleDict(dict(trunk=nn.Linear(1, 1), head=nn.Linear(1, 1)))
    with pytest.raises(ValueError, match=words) if words else nullcontext():
        check_custom_keys(keys, model, dict(lr=1., momentum=0.))
