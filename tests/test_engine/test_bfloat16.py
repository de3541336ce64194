"""Mixed precision: loss curve, and what stays float32."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from mofm.datasets import SyntheticMotion, motion_collate
from mofm.engine.optimizers.bfloat16 import BFloat16OptimWrapper
from mofm.registry import MODELS, TRANSFORMS
from mofm.structures import CubeGrid, ThermalCubes

SIZE = dict(num_frames=8, canvas=24, patch=4)
BACKBONE = dict(type='MoFMBackbone', **SIZE, embed_dims=32, depth=2, num_heads=4, max_tokens=40,
                tokens='occupied', embed=dict(type='LinearCubeEmbed'))
DVED = dict(type='DVEDTokenizer', **SIZE, vocab_size=64, code_dim=16, hidden=8,
            temporal_strides=(4, 2))
KMEANS = dict(type='KMeansTokenizer', **SIZE, vocab_size=64, trace_weight=1.)
PREPROCESSOR = dict(type='MotionDataPreprocessor', **SIZE)


@pytest.fixture(scope='module')
def batch():
    pipeline = [TRANSFORMS.build(dict(cfg)) for cfg in (
        dict(type='UniformSampleFrames', clip_len=8, test_mode=True), dict(type='PoseCompact'),
        dict(type='ThermalCubeFormat', **SIZE),
        dict(type='KeypointMaskGenerator', **SIZE), dict(type='PackMotionInputs'))]
    clips = SyntheticMotion(num_clips=8, pipeline=pipeline)
    return motion_collate([clips[i] for i in range(8)])


def build(**cfg):
    torch.manual_seed(0)
    return MODELS.build(cfg)


def train(model, wrapper, batch, steps):
    """Losses of some steps on one batch."""
    inputs = dict(batch['inputs'])
    if not hasattr(model, 'tokenizer'):
        del inputs['mask']
    optim_wrapper = wrapper(optimizer=torch.optim.AdamW(model.parameters(), lr=2e-3))
    losses = []
    for step in range(steps):
        torch.manual_seed(step)
        data = dict(batch, inputs=inputs,
                    data_samples=[s.clone() for s in batch['data_samples']])
        losses.append(model.train_step(data, optim_wrapper)['loss'].item())
    assert all(p.dtype == torch.float32 for p in model.parameters())
    return torch.tensor(losses)


@pytest.mark.slow
@pytest.mark.parametrize('cfg', [
    dict(type='MotionPretrainer', backbone=BACKBONE, tokenizer=KMEANS,
         head=dict(type='MaskedTokenHead', vocab_size=64, in_channels=32)),
    dict(type='MotionRecognizer', backbone=BACKBONE,
         cls_head=dict(type='ActionClsHead', num_classes=20, in_channels=32)),
    dict(type='JigsawDetector', backbone=BACKBONE,
         head=dict(type='JigsawHead', in_channels=32, canvas=24, grid=(3, 2))),
    dict(DVED, hard=True)
], ids=['pretrain', 'dt1', 'dt3', 'dved'])
def test_bfloat16_loss_curve_equals_float32(cfg, batch):
    """20 steps: the curves differ by less than a fiftieth of what was learned, but they differ."""
    curves = []
    for wrapper in (OptimWrapper, BFloat16OptimWrapper):
        model = build(**cfg, data_preprocessor=PREPROCESSOR)
        if hasattr(model, 'tokenizer'):
            model.tokenizer.centers.data.uniform_()
        model.train()
        curves.append(train(model, wrapper, batch, 20))
    learned = curves[0][0] - curves[0].min()
    assert learned > 0.01 * curves[0][0]
    gap = (curves[0] - curves[1]).abs().max()
    assert 0 < gap < learned / 50


def test_bfloat16_keeps_rendering_logits_and_features_float32(batch):
    """Heat is bit for bit that of float32; nothing that a head or a loss reads is rounded."""
    points = batch['inputs']['keypoints']
    clips = [ThermalCubes(points, CubeGrid(**SIZE)) for _ in range(2)]
    tokenizer, backbone = build(**DVED).eval(), build(**BACKBONE).eval()
    backbone.init_weights()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        for view in ('volume', 'union', 'traces', 'peaks', 'cubes'):
            rounded = getattr(clips[0], view)()
            with torch.autocast('cpu', enabled=False):
                assert torch.equal(rounded, getattr(clips[1], view)()), view
        hidden = torch.zeros(1, backbone.embed_dims)
        assert backbone.blocks[0].fc1(hidden).dtype == torch.bfloat16  # autocast is on
        logits = tokenizer.logits(clips[0])
        assert logits.dtype == tokenizer.sample(logits).dtype == torch.float32
        assert tokenizer.rebuild(tokenizer.sample(logits)).dtype == torch.float32
        features = backbone(clips[0])
        assert features.tokens.dtype == features.pooled.dtype == torch.float32
    # no logit on the grid of bfloat16, whose last 16 bits are zero
    assert (logits.view(torch.int32) & 0xffff).count_nonzero() > 0.9 * logits.numel()
