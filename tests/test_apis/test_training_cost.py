"""Costs of training against formulas and published sizes."""

from pathlib import Path

import numpy as np
import pytest

from mofm.annotations import dump_annotations
from mofm.apis.training_cost import (
    bytes_per_clip,
    device_hours,
    device_memory,
    needed_and_available,
    traffic,
    training_cost,
)
from mofm.datasets import SyntheticMotion
from mofm.registry import MODELS
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT


def tiny(depth, **options):
    """DT1, 81 cubes of 17 x 16 x 4 x 4, all of them attending, width 32, 3 classes."""
    cfg = load_config(ROOT / 'configs/dt1_penn_tiny.py')
    cfg.merge_from_dict({
        'model.backbone': dict(embed_dims=32, depth=depth, num_heads=2, tokens='all', drop_rate=0.,
                               drop_path_rate=0.),
        'model.cls_head': dict(num_classes=3, in_channels=32, dropout=0.), **options})
    return cfg


@pytest.fixture(scope='module')
def costs():
    """Depth to cost."""
    return {depth: training_cost(tiny(depth)) for depth in (1, 3, 5)}


def test_training_cost_flops_equal_vit_formula(costs):
    """A product forward is two backward: 2 n m k each, tokens 81, width 32, attention twice."""
    block = 2 * 81 * 32 * 12 * 32 + 2 * 2 * 81**2 * 32
    for depth in (3, 5):
        more = depth - 1
        assert costs[depth]['flops']['backbone'] - costs[1]['flops']['backbone'] == more * block
        assert costs[depth]['step'] - costs[1]['step'] == 3 * more * block
        assert costs[depth]['again'] == depth * block
    assert costs[5]['flops']['cls_head'] == 2 * 32 * 3


def test_training_cost_is_linear_in_depth(costs):
    block = 12 * 32**2 + 13 * 32  # four linear layers with biases, two norms
    for depth in (3, 5):
        assert (costs[depth]['parameters']['backbone'] - costs[1]['parameters']['backbone']
                == (depth - 1) * block)
    for name in ('trained', 'states', 'clip', 'fixed', 'checkpointed'):
        assert costs[5][name] - costs[3][name] == costs[3][name] - costs[1][name]


def test_training_cost_of_adam_is_sixteen_bytes_per_parameter(costs):
    """Weights, gradients and two moments in float32; ZeRO as in its Fig. 1, with 4 bytes each."""
    count = sum(costs[3]['parameters'].values())
    rows = device_memory(costs[3], 1, ema=False)
    assert [sum(way) for way in zip(*rows.values(), strict=True)] == [16 * count] * 3
    ways = [sum(way) for way in zip(*device_memory(costs[3], 4, ema=False).values(), strict=True)]
    assert ways == pytest.approx([16 * count, (8 + 8 / 4) * count, 16 / 4 * count])
    more = device_memory(costs[3], 4, ema=True)
    assert more['EMA'] == pytest.approx((4 * count, 4 * count, count))


def test_training_cost_activations_of_a_block_are_bounded(costs):
    """What a pre-norm block with fused attention keeps of L tokens of width D.

    In units of L D numbers: the inputs of two norms, of qkv, of q, k and v, of proj, fc1, GELU
    (4) and fc2 (4); attention and norms also keep a few numbers a token.
    """
    kept = (costs[5]['clip'] - costs[3]['clip']) / 2 / (4 * 81 * 32)
    assert 2 + 1 + 3 + 1 + 1 + 4 + 4 <= kept < 18
    saved = costs[5]['clip'] - costs[5]['checkpointed']
    assert saved == pytest.approx(4 * 4 * 81 * 32 * kept - 5 * 4 * 81 * 32)


def test_training_cost_of_frozen_backbone_is_its_forward_pass():
    """A linear probe trains 3 x 33 numbers, and keeps nothing of the blocks."""
    cost = training_cost(tiny(2, **{'model.backbone.frozen': True}))
    assert cost['trained'] == 4 * 3 * 33
    assert cost['states'] == 2 * cost['trained']
    assert cost['frozen'] == 4 * cost['parameters']['backbone']
    # of the head: forward and the gradient of its weights
    assert cost['step'] == cost['flops']['backbone'] + 2 * 2 * 32 * 3
    assert cost['clip'] < 4 * 81 * 32


def test_training_cost_of_other_backbones_is_counted_as_it_is():
    """DSTformer has no blocks to extend."""
    cfg = load_config(ROOT / 'projects/motionbert/configs/action_penn_tiny.py')
    cfg.model.cls_head = dict(type='ActionClsHead', num_classes=15, in_channels=64)
    cost = training_cost(cfg)
    parameters = MODELS.build(dict(cfg.model.backbone, init_cfg=None)).parameters()
    assert cost['parameters']['backbone'] == sum(p.numel() for p in parameters)
    assert cost['step'] > 2.9 * cost['flops']['backbone']
    assert 'again' not in cost


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Six clips of three classes with labels of frames, and motion capture, by suffix."""
    folder = tmp_path_factory.mktemp('data')
    motions = SyntheticMotion(6, num_frames=(80, 80), actions=('walk', 'wave', 'squat'))
    clips = [motions.get_data_info(i) for i in range(6)]
    for clip in clips:
        clip['frame_label'] = np.full((1, 80), clip['label'] + 4)
    dump_annotations(dict(split=dict(train=[clip['frame_dir'] for clip in clips]),
                          annotations=clips), folder / 'clips.pkl')
    np.savez(folder / 'clips.npz', keypoint_3d=np.random.default_rng(0).normal(size=(60, 17, 3)),
             length=[60], name=['a'])
    return {path.suffix: str(path) for path in folder.iterdir()}


def with_data(settings, data):
    """Settings of a data set, and of those that it wraps, on small files; one of a mixture."""
    for part in settings.get('datasets', [])[:1]:
        settings = dict(settings, datasets=[with_data(part, data)])
    if 'ann_file' in settings:
        suffix = '.npz' if settings['ann_file'].endswith('.npz') else '.pkl'
        settings = dict(settings, ann_file=data[suffix], classes=None)
        if suffix == '.npz':
            settings.pop('classes')
        if settings['type'] == 'UntrimmedDataset':
            settings['num_classes'] = 10
    return settings


@pytest.mark.parametrize(('path', 'options'), [
    ('configs/dt2_ucla_tiny.py', {}),  # a loss of pairs
    ('configs/dt4_utkinect_v2_tiny.py', {}),  # windows, features of inner blocks
    ('configs/mofm/pretrain_v2_tiny.py', {}),  # two views, masks
    ('projects/tmor/configs/pretrain_stage1.py', dict(  # a memory of all clips, a queue
        heads=dict(visual=None), queue_size=4)),
    ('projects/tmor/configs/localize_utkinect.py', {}),
    ('projects/motionbert/configs/pretrain_dstformer_tiny.py', {}),  # 3D targets
])
def test_training_cost_of_every_kind_of_training_is_counted(data, path, options):
    cfg = load_config(ROOT / path)
    cfg.merge_from_dict(dict(model=options))
    if 'queue_size' in options:
        cfg.model.heads.pop('visual')
        cfg.model.pop('tables')
    if 'dt' not in Path(path).name[:2] and 'dstformer' not in path:
        with pytest.raises(ValueError, match='^data/.*: found nothing, and procedural motion'):
            training_cost(cfg)
    cfg.train_dataloader.dataset = with_data(cfg.train_dataloader.dataset.to_dict(), data)
    cost = training_cost(cfg)
    assert 0 < 1.5 * sum(cost['flops'].values()) < cost['step']
    assert cost['clip'] > 0
    assert bytes_per_clip(cfg)[0] > 0


@pytest.mark.parametrize(('path', 'words'), [
    ('configs/dt2_ucla_baseline.py', 'no weights in the loss'),
    ('projects/tmor/configs/zero_shot_penn_stage2.py', 'train_cfg: found none')])
def test_training_cost_names_configs_without_gradients(path, words):
    with pytest.raises(ValueError, match=words):
        training_cost(load_config(ROOT / path))


def test_training_cost_limits_are_ratios():
    """100 TFLOP/s over 1e11 FLOPs are 1000 clips/s a device."""
    needs = needed_and_available(1e11, sent=2e9, clip_bytes=1e6, batch_size=20, devices=4,
                                 tflops=100., loader=500., cores=2, store=2., link=50.)
    assert needs['clips'][0] == pytest.approx(4000)
    assert needs['loader'][:2] == (pytest.approx(8), 8)
    assert needs['store'][:2] == (pytest.approx(4), 2.)  # 4000 clips/s of 1 MB
    assert needs['network'][:2] == (pytest.approx(100), 50.)  # 2 GB in each 20 ms
    hours, price = device_hours(1e11, clips=3.6e6, epochs=10, tflops=100., price=2.)
    assert hours == pytest.approx(10)
    assert price == pytest.approx(20)
    assert traffic(dict(trained=400), 4) == (600, 600, 900)


def test_training_cost_stores_float16(tmp_path):
    """Three numbers a joint and frame in two bytes each, and a little for names and sizes."""
    motions = SyntheticMotion(40, num_frames=(100, 100))
    clips = [motions.get_data_info(i) for i in range(40)]
    dump_annotations(dict(split=dict(train=[c['frame_dir'] for c in clips]), annotations=clips),
                     tmp_path / 'clips.pkl')
    cfg = tiny(1)
    cfg.train_dataloader.dataset.update(ann_file=str(tmp_path / 'clips.pkl'), split='train')
    size, name = bytes_per_clip(cfg)
    assert 100 * 17 * 3 * 2 < size < 100 * 17 * 3 * 2 + 400
    assert '40 clips' in name
    assert '100 person-frames' in name


@pytest.mark.slow
def test_training_cost_of_vit_base_equals_formula():
    """85,054,464 parameters in the 12 blocks of ViT-B, which see 324 tokens."""
    cfg = load_config(ROOT / 'configs/dt1_ntu60.py')
    base = training_cost(cfg)
    rest = MODELS.build(dict(cfg.model.backbone, depth=0, init_cfg=None))
    assert base['parameters']['backbone'] == 85_054_464 + sum(p.numel() for p in rest.parameters())
    assert base['again'] == 12 * (2 * 324 * 768**2 * 12 + 2 * 2 * 324**2 * 768)
    assert base['trained'] == 4 * sum(base['parameters'].values())
