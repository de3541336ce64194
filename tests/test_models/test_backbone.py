"""MoFMBackbone: published sizes, no leak of masked cubes, occupied cubes only."""

import pytest
import torch

from mofm.models.backbones.mofm_backbone import ConvCubeEmbed
from mofm.models.layers.attention import Packing
from mofm.registry import MODELS
from mofm.structures import CubeGrid, RenderedCubes, ThermalCubes

TINY = dict(num_frames=8, canvas=24, patch=4)
SMALL = dict(type='MoFMBackbone', **TINY, embed_dims=32, depth=2, num_heads=4, max_tokens=40)


def build(**kwargs):
    torch.manual_seed(0)
    backbone = MODELS.build(dict(SMALL, **kwargs))
    backbone.init_weights()
    return backbone.eval()


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_backbone_has_parameter_counts_of_the_paper():
    backbone = MODELS.build(dict(type='MoFMBackbone'))
    assert count(backbone.blocks) == 85_054_464
    assert backbone.pos_embed.numel() == 294_912
    assert count(backbone.embed) == pytest.approx(2.39e6, rel=2e-3)
    linear = dict(type='MoFMBackbone', depth=1, embed=dict(type='LinearCubeEmbed'))
    assert count(MODELS.build(linear).embed) == 13_056 * 768 + 768


@pytest.mark.parametrize(('channels', 'strides', 'width'), [
    ((8, ), ((12, 2, 2), ), 8 * 4 * 4),
    ((8, 16, 24), ((4, 1, 1), (3, 2, 2), (2, 1, 1)), 24 * 2 * 4)])
def test_embedding_has_a_block_for_each_stride(channels, strides, width):
    embed = ConvCubeEmbed(17, CubeGrid(), 32, channels, strides)
    assert len(embed.blocks) == len(channels)
    assert embed.proj.in_features == width
    assert embed(torch.rand(2, 17, 48, 4, 4)).shape == (2, 32)


@pytest.mark.parametrize('channels', [(64, ), (64, 128, 256), (64, 100), ()])
def test_embedding_of_other_channels_than_strides_is_an_error(channels):
    with pytest.raises(ValueError, match='ConvCubeEmbed: channels: found'):
        ConvCubeEmbed(17, CubeGrid(), 32, channels)


@pytest.mark.parametrize('embed', ['ConvCubeEmbed', 'LinearCubeEmbed'])
@pytest.mark.parametrize('tokens', ['all', 'occupied'])
def test_backbone_masked_cubes_do_not_leak(clips, embed, tokens):
    """Whatever is written into a masked cube, no output anywhere changes."""
    backbone = build(embed=dict(type=embed), tokens=tokens)
    cubes = clips()
    mask = cubes.occupied() & (torch.rand(2, 36, generator=torch.manual_seed(1)) < 0.5)
    assert mask.any()
    volume = backbone.grid.split(cubes.volume())
    volume[mask] = torch.rand_like(volume[mask]) * 9 + 1
    changed = RenderedCubes(backbone.grid.merge(volume), backbone.grid)
    for before, after in zip(backbone(cubes, mask)[:3], backbone(changed, mask)[:3], strict=True):
        assert torch.equal(before, after)
    assert not torch.equal(backbone(cubes).pooled, backbone(changed).pooled)


@pytest.mark.parametrize('embed', ['ConvCubeEmbed', 'LinearCubeEmbed'])
def test_backbone_sparse_embedding_equals_dense(clips, embed):
    """Embedding of occupied cubes only: same values and gradients as of all cubes."""
    backbone, cubes = build(embed=dict(type=embed)), clips()
    sparse = backbone.embed_cubes(cubes, torch.ones(2, 36, dtype=torch.bool))
    dense = backbone.embed(backbone.grid.split(cubes.volume()).flatten(0, 1)).view_as(sparse)
    torch.testing.assert_close(sparse, dense, rtol=0, atol=1e-5)
    grads = [torch.autograd.grad(x.square().sum(), list(backbone.embed.parameters()))
             for x in (sparse, dense)]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_backbone_occupied_tokens_ignore_padding(clips):
    """A clip encodes the same alone and next to a clip with more occupied cubes."""
    backbone, cubes = build(tokens='occupied'), clips(4)
    together = backbone(cubes)
    alone = backbone(ThermalCubes(cubes.keypoints[:1], cubes.grid))
    torch.testing.assert_close(together.tokens[:1], alone.tokens, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.pooled[:1], alone.pooled, rtol=1e-4, atol=1e-5)
    assert torch.equal(together.encoded, cubes.occupied())
    assert together.tokens[~together.encoded].abs().sum() == 0


def test_backbone_of_clip_without_heat_is_finite():
    empty = ThermalCubes(torch.zeros(2, 1, 17, 8, 3), CubeGrid(**TINY))
    for tokens in ('all', 'occupied'):
        assert build(tokens=tokens)(empty).pooled.isfinite().all()


def test_backbone_class_token_is_the_pooled_feature(clips):
    backbone = build(with_cls=True)
    features = backbone(clips())
    assert features.tokens.shape == (2, 36, 32)
    assert features.pooled.shape == (2, 32)
    assert not torch.allclose(features.pooled, features.tokens.mean(1))


def test_backbone_frozen_stays_in_eval():
    backbone = MODELS.build(dict(SMALL, frozen=True, drop_rate=0.5)).train()
    assert not backbone.training
    assert not any(p.requires_grad for p in backbone.parameters())


def test_position_table_grows_with_the_canvas():
    assert build().pos_embed.shape[1] == 40
    assert build(canvas=28).pos_embed.shape[1] == 7 * 7
    assert build(canvas=28, with_cls=True).pos_embed.shape[1] == 7 * 7 + 1


def test_backbone_names_bad_sizes(clips):
    with pytest.raises(ValueError, match='canvas: found 70'):
        MODELS.build(dict(type='MoFMBackbone', canvas=70))
    with pytest.raises(ValueError, match='expected 17 joints on CubeGrid'):
        build()(ThermalCubes(torch.zeros(1, 1, 17, 48, 3), CubeGrid()))
    with pytest.raises(ValueError, match="tokens: found 'some'"):
        build(tokens='some')


def test_backbone_aligned_features_are_the_tokens_under_each_joint(clips):
    """A joint that stays in one cube has the normalized token of this cube."""
    backbone, cubes = build(tokens='occupied', align=dict(blocks=(1, 2), parts=2)), clips()
    cubes.keypoints[:, :, 4, :, :2] = torch.tensor([10., 14.])  # all heat in row 3, column 2
    cubes.keypoints[0, 0, 7, :4, 2] = 0  # missing in the first part
    features = backbone(cubes)
    joints = features.pooled.view(2, 17, 2, 2, 32)
    backbone.norm = torch.nn.LayerNorm(32, eps=1e-5, elementwise_affine=False)
    token = backbone(cubes).tokens[:, 3 * 6 + 2]  # of the last block
    torch.testing.assert_close(joints[:, 4, :, 1], token[:, None].expand(-1, 2, -1))
    assert not joints[0, 7, 0].any()
    assert joints[0, 7, 1].any()
    torch.testing.assert_close(features.frames.view(2, 2, 17, 2, 32), joints.transpose(1, 2))


def test_backbone_aligned_features_of_all_and_occupied_cubes_agree_without_attention(clips):
    """With one joint per clip there is one token, or many that say nothing."""
    features = []
    for tokens in ('all', 'occupied'):
        backbone = build(tokens=tokens, align=dict(parts=4))
        for block in backbone.blocks:
            torch.nn.init.zeros_(block.proj.weight)
            torch.nn.init.zeros_(block.fc2.weight)
        features.append(backbone(clips()).pooled)
    torch.testing.assert_close(*features)


def test_backbone_align_of_an_unknown_block_names_the_blocks():
    with pytest.raises(ValueError, match=r'align.blocks: found \(0, 3\), expected .* 1 to 2'):
        build(align=dict(blocks=(0, 3)))


@pytest.mark.parametrize('tokens', ['all', 'occupied'])
def test_backbone_segments_order_cubes_by_time(clips, tokens):
    """A change of the last two frames only changes the embeddings of the last segment."""
    backbone, cubes = build(tokens=tokens, segments=4), clips()
    for block in backbone.blocks:  # without attention, a token depends on its cube alone
        torch.nn.init.zeros_(block.proj.weight)
    before = backbone(cubes).tokens
    cubes.keypoints[..., 6:, :2] += 1
    changed = (backbone(ThermalCubes(cubes.keypoints, cubes.grid)).tokens != before).any(2)
    assert before.shape == (2, 4 * 36, 32)
    assert not changed[:, :3 * 36].any()
    assert changed[:, 3 * 36:].any()


def test_backbone_segments_know_their_time(clips):
    """The same frames in reverse order have the same tokens only without learned positions."""
    backbone, cubes = build(segments=2, align=dict(parts=2)), clips()
    cubes.keypoints[..., 4:, :] = cubes.keypoints[..., :4, :]
    frames = backbone(ThermalCubes(cubes.keypoints, cubes.grid)).frames
    assert not torch.allclose(frames[:, 0], frames[:, 1])
    torch.nn.init.zeros_(backbone.segment_embed)
    frames = backbone(ThermalCubes(cubes.keypoints, cubes.grid)).frames
    torch.testing.assert_close(frames[:, 0], frames[:, 1])


def test_backbone_segments_must_divide_the_frames():
    with pytest.raises(ValueError, match='segments: found 3, expected a divisor of num_frames=8'):
        build(segments=3)


@pytest.mark.parametrize('with_cls', [False, True])
def test_backbone_packed_tokens_equal_padded_ones(clips, with_cls):
    """Clips of different lengths in one batch, one of them empty: outputs and gradients."""
    cubes = clips(3)
    cubes.keypoints[1, :, 3:] = 0
    cubes.keypoints[2] = 0
    backbone = build(tokens='occupied', with_cls=with_cls)
    results = []
    for encode in (backbone._encode, lambda x, keep, levels: backbone.attend(x, keep)):
        backbone._encode = encode
        features = backbone(cubes)
        loss = (features.tokens * torch.arange(32).cos()).sum() + features.pooled[:, 0].sum()
        results.append((*features[:3], *torch.autograd.grad(loss, list(backbone.parameters()),
                                                            allow_unused=True)))
    lengths = features.encoded.sum(1).tolist()
    assert lengths[0] > lengths[1] > lengths[2] == 1
    for packed, padded in zip(*results, strict=True):
        if padded is not None:
            torch.testing.assert_close(packed, padded, rtol=1e-3, atol=1e-5)


def test_backbone_packed_stochastic_depth_drops_branches_of_whole_clips(clips):
    torch.manual_seed(0)
    backbone = build(tokens='occupied', depth=1).train()
    backbone.blocks[0].drop_path = 0.5
    rows, keep = torch.randn(16, 5, 32), torch.ones(16, 5, dtype=torch.bool)
    packing = Packing(keep)
    unchanged = (packing.unpack(backbone.blocks[0]._residual(packing.pack(rows), packing))
                 == 0).all(2)
    assert (unchanged == unchanged[:, :1]).all()
    assert unchanged.any()
    assert not unchanged.all()
