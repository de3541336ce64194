"""Token jigsaw (DT3): pieces, labels, scores, no leak of positions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmaction.structures import ActionDataSample

from mofm.models import JigsawDetector, JigsawHead
from mofm.registry import MODELS
from mofm.structures import CubeGrid, MotionFeatures, RenderedCubes, ThermalCubes

GRID = CubeGrid(num_frames=4, canvas=24, patch=4)  # 6 x 6 cubes
BACKBONE = dict(
    type='MoFMBackbone', num_joints=5, num_frames=4, canvas=24, patch=4, embed_dims=16, depth=2,
    num_heads=2, embed=dict(type='LinearCubeEmbed'), max_tokens=36)
HEAD = dict(type='JigsawHead', in_channels=16, canvas=24, patch=4, grid=(3, 2), dropout=0.)


def clips(batch=3, low=2., high=22., seed=0):
    rng = torch.Generator().manual_seed(seed)
    keypoints = torch.rand(batch, 1, 5, 4, 3, generator=rng) * (high - low) + low
    keypoints[..., 2] = 1
    return ThermalCubes(keypoints, GRID)


def detector(tokens='all', **head):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='JigsawDetector', backbone=dict(BACKBONE, tokens=tokens),
                              head=dict(HEAD, **head)))
    model.init_weights()
    return model.eval()


@pytest.mark.parametrize(('grid', 'shape'), [((6, 2), (3, 9)), ((2, 6), (9, 3))])
def test_jigsaw_pieces_are_rectangles(grid, shape):
    cubes = JigsawHead(grid=grid).cubes
    assert cubes.shape == (12, 27)
    assert sorted(cubes.flatten().tolist()) == list(range(324))
    for piece, cube in enumerate(cubes):
        rows, columns = np.unique(cube // 18), np.unique(cube % 18)
        assert (len(rows), len(columns)) == shape
        assert rows[0] == piece // grid[1] * shape[0]
        assert columns[0] == piece % grid[1] * shape[1]


def test_jigsaw_raster_pieces_are_runs():
    cubes = JigsawHead(grid='raster').cubes
    assert torch.equal(cubes.flatten(), torch.arange(324))
    assert cubes.shape == (12, 27)


@pytest.mark.parametrize(('grid', 'pieces'), [((3, 4), 12), ((12, 1), 12), ('raster', 7),
                                              ('rows', 12), ((6, ), 12)])
def test_jigsaw_refuses_unequal_pieces(grid, pieces):
    with pytest.raises(ValueError, match='expected'):
        JigsawHead(grid=grid, num_pieces=pieces)


def test_jigsaw_refuses_cubes_of_another_grid():
    with pytest.raises(ValueError, match='found 324 cubes, expected 36'):
        MODELS.build(dict(type='JigsawDetector', backbone=BACKBONE, head=dict(type='JigsawHead')))


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(6)))
def test_jigsaw_permutation_and_inverse_cancel(perm):
    head = JigsawHead(canvas=24, patch=4, grid=(3, 2))
    perm = torch.tensor([perm])
    order, back = head.order(perm), head.order(perm.argsort(1))
    assert torch.equal(order.gather(1, back), torch.arange(36)[None])
    # slot s holds the cubes of piece perm[s], each in its place within the piece
    for slot, piece in enumerate(perm[0]):
        assert torch.equal(order[0, head.cubes[slot]], head.cubes[piece])


def test_jigsaw_identity_changes_nothing():
    model, inputs = detector(), clips()
    order = model.head.order(torch.arange(6).expand(3, -1))
    plain, ordered = model.backbone(inputs), model.backbone(inputs, order=order)
    assert torch.equal(plain.tokens, ordered.tokens)


@pytest.mark.parametrize('tokens', ['all', 'occupied'])
def test_jigsaw_cubes_move_before_position_is_added(tokens):
    """A shuffled clip equals a clip whose heat was shuffled: position says nothing of its past."""
    model, inputs = detector(tokens), clips()
    perm = model.head.shuffle(3)
    order = model.head.order(perm)
    cubes = GRID.split(inputs.volume())  # (B, K, J, F, p, p)
    moved = GRID.merge(cubes.gather(1, order.view(3, 36, 1, 1, 1, 1).expand_as(cubes)))
    expected = model.backbone(RenderedCubes(moved, GRID))
    found = model.backbone(inputs, order=order)
    assert torch.equal(expected.encoded, found.encoded)
    torch.testing.assert_close(found.tokens, expected.tokens, atol=1e-5, rtol=1e-5)


def test_jigsaw_shuffles_are_uniform_permutations():
    head = JigsawHead()
    perm = head.shuffle(64)
    assert torch.equal(perm.sort(1).values, torch.arange(12).expand(64, -1))
    assert len(perm.unique(dim=0)) == 64
    # no preference for a place: 4096 draws, expected 341 per cell, 6 standard deviations
    counts = torch.stack([(head.shuffle(4096)[:, 0] == p).sum() for p in range(12)])
    assert (counts - 4096 / 12).abs().max() < 6 * (4096 / 12)**0.5


class Oracle(JigsawHead):
    """Reads the answer from the first channel of the tokens."""

    def forward(self, features):
        piece = features.tokens[:, self.cubes, 0].mean(2)  # (B, P)
        return -50 * (piece[..., None] - torch.arange(float(self.num_pieces))).square()


def piece_features(head, perm):
    """Features whose tokens name the piece that they come from."""
    tokens = torch.zeros(len(perm), head.cubes.numel(), 1)
    tokens[:, head.cubes.flatten(), 0] = perm.repeat_interleave(head.cubes.shape[1], 1).float()
    return MotionFeatures(tokens, tokens[:, 0], torch.ones(tokens.shape[:2], dtype=torch.bool))


def test_jigsaw_labels_name_the_piece_in_every_slot():
    head = Oracle(canvas=24, patch=4, grid=(3, 2))
    perm, full = head.shuffle(5), torch.ones(5, 6, dtype=torch.bool)
    solved = head.loss(piece_features(head, perm), perm, full)
    assert solved['jigsaw_acc'] == 1
    assert solved['loss_jigsaw'] < 1e-3
    other = perm.roll(1, dims=1)
    assert head.loss(piece_features(head, perm), other, full)['jigsaw_acc'] < 1


def test_jigsaw_identity_gives_the_diagonal():
    head = Oracle(canvas=24, patch=4, grid=(3, 2))
    identity, full = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
    sample, = head.predict(piece_features(head, identity), full, [ActionDataSample()])
    torch.testing.assert_close(sample.jigsaw, torch.eye(6))
    assert sample.normality > 0.999
    perm = torch.tensor([[1, 0, 2, 3, 4, 5]])  # two pieces in the wrong place
    sample, = head.predict(piece_features(head, perm), full, [ActionDataSample()])
    assert sample.normality < 0.001


def test_jigsaw_normality_is_smallest_probability_of_occupied_piece():
    model, inputs = detector(), clips()
    samples = model(inputs, [ActionDataSample() for _ in range(3)], mode='predict')
    logits = model.head(model.backbone(inputs)).double().detach().numpy()
    probability = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    for i, sample in enumerate(samples):
        np.testing.assert_allclose(sample.jigsaw.detach(), probability[i], rtol=1e-5)
        np.testing.assert_allclose(sample.normality.item(), probability[i].diagonal().min(),
                                   rtol=1e-5)


def test_jigsaw_empty_piece_does_not_change_the_score():
    head = JigsawHead(in_channels=16, canvas=24, patch=4, grid=(3, 2)).eval()
    head.init_weights()
    tokens = torch.randn(1, 36, 16)
    features = MotionFeatures(tokens, tokens.mean(1), torch.ones(1, 36, dtype=torch.bool))
    peaks = torch.ones(1, 36)
    peaks[:, head.cubes[4]] = 5e-4  # below what counts as heat

    def score(head):
        return head.predict(features, head.occupied(peaks), [ActionDataSample()])[0].normality

    before = score(head)
    tokens[:, head.cubes[4]] = 100 * torch.randn(6, 16)
    assert score(head) == before
    head.ignore_empty = False  # the literal score looks at it
    literal = score(head)
    tokens[:, head.cubes[4]] *= -1
    assert score(head) != literal


def test_jigsaw_empty_pieces_do_not_train():
    model = detector()
    inputs = clips(low=2., high=10.)  # the lower half and the right half stay empty
    occupied = model.head.occupied(inputs.peaks())
    assert not occupied[:, -2:].any()
    assert occupied[:, 0].all()
    perm = model.head.shuffle(3)
    features = model.backbone(inputs, order=model.head.order(perm))
    loss = model.head.loss(features, perm, occupied)['loss_jigsaw']
    logits = model.head(features)
    terms = [-logits[b, s].log_softmax(0)[perm[b, s]] for b in range(3) for s in range(6)
             if occupied[b, perm[b, s]]]
    torch.testing.assert_close(loss, torch.stack(terms).mean())
    model.head.ignore_empty = False
    assert model.head.occupied(inputs.peaks()).all()


def test_jigsaw_clip_without_heat_is_normal_and_trains_nothing():
    model = detector()
    keypoints = torch.zeros(2, 1, 5, 4, 3)
    inputs = ThermalCubes(keypoints, GRID)
    samples = model(inputs, [ActionDataSample(), ActionDataSample()], mode='predict')
    assert [s.normality.item() for s in samples] == [1, 1]
    loss = model(inputs, mode='loss')
    assert loss['loss_jigsaw'] == 0
    loss['loss_jigsaw'].backward()


def test_jigsaw_averages_clips_of_a_sample():
    model, inputs = detector(), clips(batch=4)
    one, = model(inputs, [ActionDataSample()], mode='predict')
    each = model(inputs, [ActionDataSample() for _ in range(4)], mode='predict')
    torch.testing.assert_close(one.normality, torch.stack([s.normality for s in each]).mean())


@pytest.mark.parametrize('tokens', ['all', 'occupied'])
def test_jigsaw_learns_pieces(tokens):
    """Joints that keep to their places: the pieces are told apart after a few steps."""
    model = detector(tokens).train()
    home = torch.tensor([[4., 4.], [18., 5.], [12., 12.], [5., 20.], [19., 20.]])
    rng = torch.Generator().manual_seed(1)
    keypoints = torch.ones(16, 1, 5, 4, 3)
    keypoints[..., :2] = home[:, None] + torch.randn(16, 1, 5, 4, 2, generator=rng)
    inputs = ThermalCubes(keypoints, GRID)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    torch.manual_seed(0)
    accuracy = []
    for _ in range(60):
        losses = model(inputs, mode='loss')
        optimizer.zero_grad()
        losses['loss_jigsaw'].backward()
        optimizer.step()
        accuracy.append(losses['jigsaw_acc'].item())
    assert accuracy[0] < 0.5 < 0.95 < np.mean(accuracy[-5:])
    assert isinstance(model, JigsawDetector)
