"""Attention weights against the backbone."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.collections import LineCollection, PathCollection

from mofm.models.backbones import KeypointFeatures, MoFMBackbone
from mofm.structures import CubeGrid, ThermalCubes
from mofm.visualization import attention_rollout, clip_attention, cube_attention, draw_attention

GRID = CubeGrid(num_frames=4, canvas=20, patch=4)


def points(persons=1, seed=0):
    """Keypoints (M, J, F, 3) in the middle of the canvas."""
    rng = np.random.default_rng(seed)
    out = rng.uniform(4, 15, (persons, 17, 4, 3))
    out[..., 2] = 1
    return out.astype(np.float32)


def clip(keypoints):
    return ThermalCubes(torch.from_numpy(keypoints)[None], GRID)


@pytest.fixture(params=[('occupied', False), ('all', False), ('occupied', True)])
def backbone(request):
    torch.manual_seed(0)
    tokens, with_cls = request.param
    backbone = MoFMBackbone(
        num_frames=4, canvas=20, patch=4, embed_dims=32, depth=3, num_heads=4, max_tokens=32,
        embed=dict(type='LinearCubeEmbed'), tokens=tokens, with_cls=with_cls)
    for parameter in backbone.parameters():  # uneven attention
        torch.nn.init.normal_(parameter, std=.3)
    return backbone.eval()


@torch.no_grad()
def test_attention_weights_reproduce_features(backbone):
    """Recompute the backbone with the weights in place of its own attention."""
    inputs = clip(points())
    weights, cubes = clip_attention(backbone, inputs)
    first = int(backbone.cls_token is not None)
    assert weights.shape == (3, 4, len(cubes) + first, len(cubes) + first)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    if backbone.tokens == 'occupied':
        assert cubes.tolist() == inputs.occupied()[0].nonzero()[:, 0].tolist()

    x = backbone.embed_cubes(inputs, torch.ones(1, GRID.num_cubes, dtype=torch.bool))
    x = (x + backbone.pos_embed[:, first:first + GRID.num_cubes])[0, cubes]
    if first:
        x = torch.cat((backbone.cls_token[0] + backbone.pos_embed[0, :1], x))
    for block, heads in zip(backbone.blocks, weights, strict=True):
        value = block.qkv(block.norm1(x))[:, 64:].view(len(x), 4, 8)
        mixed = torch.einsum('hqk,khd->qhd', heads, value)
        x = x + block.proj(mixed.flatten(1))
        x = x + block.fc2(F.gelu(block.fc1(block.norm2(x))))
    x = backbone.norm(x)
    torch.testing.assert_close(x[0] if first else x.mean(0), backbone(inputs).pooled[0],
                               rtol=1e-4, atol=1e-4)


def test_attention_leaves_no_hook(backbone):
    clip_attention(backbone, clip(points()))
    with pytest.raises(ValueError, match='expected one'):
        clip_attention(backbone, ThermalCubes(torch.zeros(2, 1, 17, 4, 3), GRID))
    with pytest.raises(ValueError, match='num_frames'):  # an error inside of the backbone
        clip_attention(backbone, ThermalCubes(torch.zeros(1, 1, 17, 2, 3), CubeGrid(2, 20, 4)))
    assert not any(block.qkv._forward_hooks for block in backbone.blocks)


def test_attention_names_backbone_without_it():
    with pytest.raises(ValueError, match='KeypointFeatures, which has no attention'):
        clip_attention(KeypointFeatures(), clip(points()))


def test_attention_rollout_is_product_over_blocks():
    weights = torch.rand(3, 2, 5, 5).softmax(-1)
    expected = np.eye(5)
    for block in weights.double().numpy():
        expected = (block.mean(0) / 2 + np.eye(5) / 2) @ expected
    np.testing.assert_allclose(attention_rollout(weights), expected, rtol=1e-5)
    # two tokens that only look at the first one: each block takes half of the second away
    weights = torch.tensor([[1., 0], [1, 0]]).expand(3, 1, 2, 2)
    np.testing.assert_allclose(attention_rollout(weights), [[1, 0], [7 / 8, 1 / 8]])


def test_cube_attention_counts_in_equal_shares():
    cubes = torch.tensor([3, 7, 24])
    flat = cube_attention(torch.full((2, 1, 3, 3), 1 / 3), cubes, 25)
    assert list(flat) == ['rollout', 'block 1', 'block 2']
    for values in flat.values():
        assert np.flatnonzero(np.isfinite(values)).tolist() == [3, 7, 24]
        np.testing.assert_allclose(values[cubes], 1, rtol=1e-6)
    # a class token decides alone, and what it keeps for itself is no share of a cube
    weights = torch.full((1, 1, 4, 4), .25)
    weights[0, 0, 0] = torch.tensor([.5, .1, .1, .3])
    with_cls = cube_attention(weights, cubes, 25)['block 1']
    np.testing.assert_allclose(with_cls[cubes], [.6, .6, 1.8], rtol=1e-6)


def test_attention_figure_colors_joints_by_their_cube(tmp_path):
    keypoints = points(persons=2)
    keypoints[0, :, :, :2] = [5, 5]  # cube 6
    keypoints[1, :, :, :2] = [13, 9]  # cube 13
    keypoints[1, 3, 0, 2] = 0
    values = np.full(25, np.nan)
    values[6], values[13] = 2, 0
    figure = draw_attention(keypoints, {'a': values, 'b': values}, GRID)
    figure.savefig(tmp_path / 'a.png')
    assert [a.get_title() for a in figure.axes[:5]] == ['cubes', *(f'frame {i}' for i in range(4))]
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (5, 5)
    assert shown[1, 1] == 2
    assert shown[2, 3] == 0
    joints = next(c for c in figure.axes[1].collections if isinstance(c, PathCollection))
    bones = next(c for c in figure.axes[1].collections if isinstance(c, LineCollection))
    light = joints.get_facecolors()[:, :3].mean(1)
    assert len(light) == 33
    assert light[:17].max() < .3
    assert light[17:].min() > .7
    assert len(bones.get_segments()) == 17 + 16
    with pytest.raises(ValueError, match=r'a \(24,\): expected \(25,\)'):
        draw_attention(keypoints, {'a': values[1:]}, GRID)
    with pytest.raises(ValueError, match=r'expected \(M, 17, 4, 3\)'):
        draw_attention(keypoints[:, :, :3], {'a': values}, GRID)
