"""Learning rates per layer."""

import pytest

from mofm.engine import LayerDecayOptimWrapperConstructor
from mofm.registry import MODELS

SMALL = dict(type='MoFMBackbone', num_frames=8, canvas=24, embed_dims=32, depth=3, num_heads=4)


def test_layer_decay_gives_rates_per_depth():
    model = MODELS.build(dict(
        type='MotionRecognizer', backbone=SMALL,
        cls_head=dict(type='ActionClsHead', num_classes=3, in_channels=32)))
    constructor = LayerDecayOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1., weight_decay=0.1)),
        dict(layer_decay=0.5))
    groups = constructor(model).optimizer.param_groups
    rate = {id(p): (g['lr'], g['weight_decay']) for g in groups for p in g['params']}
    assert len(rate) == len(list(model.parameters()))
    assert rate[id(model.cls_head.fc.weight)] == (1, 0.1)
    assert rate[id(model.cls_head.fc.bias)] == (1, 0)
    assert rate[id(model.backbone.blocks[2].qkv.weight)] == (0.5, 0.1)
    assert rate[id(model.backbone.blocks[0].norm1.weight)] == (0.125, 0)
    assert rate[id(model.backbone.pos_embed)] == (0.0625, 0)
    with pytest.raises(ValueError, match='expected layer_decay in'):
        LayerDecayOptimWrapperConstructor(dict(optimizer=dict(type='AdamW')), dict(decay=0.5))
