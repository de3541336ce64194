"""Tokenizers: published sizes, token order, losses, learning."""

import math

import pytest
import torch

from mofm.registry import MODELS
from mofm.structures import CubeGrid, ThermalCubes

TINY = dict(num_frames=8, canvas=24, patch=4)
SMALL = dict(type='DVEDTokenizer', **TINY, vocab_size=32, code_dim=16, hidden=16, num_blocks=1,
             temporal_strides=(4, 2))


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(SMALL, **kwargs))


def count(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


def test_tokenizers_have_parameter_counts_of_the_paper():
    dved = MODELS.build(dict(type='DVEDTokenizer'))
    assert count(dved.encoder, dved.to_logits) == pytest.approx(17.98e6, rel=1e-3)
    assert count(dved.decoder) == pytest.approx(4.67e6, rel=1e-3)
    assert dved.codebook.weight.shape == (8192, 256)
    mean = MODELS.build(dict(type='DVEDTokenizer', temporal_collapse='mean'))
    assert count(mean.encoder, mean.to_logits) == pytest.approx(13.79e6, rel=1e-3)


def test_tokenizer_encodes_and_decodes_to_documented_shapes(clips):
    dved = build()
    ids = dved.encode(clips(3))
    assert ids.shape == (3, 36)
    assert ids.dtype == torch.long
    assert dved.decode(ids).shape == (3, 8, 24, 24)


@pytest.mark.parametrize('collapse', ['conv', 'mean'])
def test_tokenizer_encodes_chosen_cubes_only(clips, collapse):
    dved, cubes = build(temporal_collapse=collapse), clips(3)
    select = torch.rand(3, 36, generator=torch.manual_seed(0)) < 0.3
    assert torch.equal(dved.encode(cubes, select), dved.encode(cubes)[select])
    nothing = torch.zeros_like(select)
    assert dved.encode(cubes, nothing).shape == (0, )


def test_tokenizer_order_is_cube_order():
    """Moving the body by one cube moves the tokens by one row or column."""
    dved = build(num_blocks=0)
    points = torch.full((1, 1, 17, 8, 3), 10.)
    points[..., 2] = 1

    def shifted(dx, dy):
        return dved.encode(ThermalCubes(points + torch.tensor([dx, dy, 0.]),
                                        CubeGrid(**TINY))).view(6, 6)

    ids = shifted(0, 0)
    assert len(ids.unique()) > 1
    assert torch.equal(shifted(4, 0)[:, 2:5], ids[:, 1:4])
    assert torch.equal(shifted(0, 4)[2:5], ids[1:4])


def test_dved_loss_equals_formula(clips):
    dved, cubes = build(loss=dict(type='DVEDLoss', beta=0.5), tau=0.7), clips()
    torch.manual_seed(0)
    losses = dved(cubes, mode='loss')
    torch.manual_seed(0)
    logits = dved.logits(cubes)
    gumbel = -torch.empty_like(logits).exponential_().log()
    weights = ((logits + gumbel) / 0.7).softmax(1)
    codes = (weights[:, :, None] * dved.codebook.weight[None, :, :, None, None]).sum(1)
    error = (dved.decoder(codes) - cubes.union()).abs()
    smooth_l1 = torch.where(error < 1, 0.5 * error.square(), error - 0.5).mean()
    assert losses['loss_rec'].item() == pytest.approx(smooth_l1.item(), rel=1e-4)
    q = logits.softmax(1).permute(0, 2, 3, 1).reshape(-1, 32).double()
    kl = sum(float(p * (math.log(p) + math.log(32))) for row in q for p in row) / len(q)
    assert losses['loss_kl'].item() == pytest.approx(0.5 * kl, rel=1e-4)


def fitted_kmeans(cubes, **kwargs):
    kmeans = MODELS.build(dict(type='KMeansTokenizer', **TINY, vocab_size=32, **kwargs))
    kmeans._collected = [kmeans.describe(cubes)]
    kmeans.fit()
    return kmeans


def test_guided_dved_loss_follows_the_guide(clips, tmp_path):
    """The guide names tokens, is in no checkpoint, and its tokens reach the decoder."""
    cubes = clips(4)
    path = tmp_path / 'kmeans.pth'
    kmeans = fitted_kmeans(cubes, trace_weight=0.5)
    torch.save(kmeans.state_dict(), path)
    guide = dict(type='KMeansTokenizer', **TINY, vocab_size=32, trace_weight=0.5)
    dved = build(loss=dict(type='GuidedDVEDLoss', rec_weight=10., guide=dict(
        guide, init_cfg=dict(type='Pretrained', checkpoint=str(path)))))
    dved.init_weights()
    assert not any('guide' in name or 'centers' in name for name in dved.state_dict())
    dved.criterion.forcing = 1.
    losses = dved(cubes, mode='loss')
    ids = kmeans.encode(cubes)
    expected = torch.nn.functional.smooth_l1_loss(dved.decode(ids), cubes.union())
    assert losses['loss_rec'].item() == pytest.approx(10 * expected.item(), rel=1e-4)
    assert losses['loss_guide'].item() == pytest.approx(torch.nn.functional.cross_entropy(
        dved.logits(cubes).flatten(2), ids).item(), rel=1e-4)
    trained, book = tmp_path / 'dved.pth', torch.rand_like(dved.codebook.weight)
    torch.save(dict(dved.state_dict(), **{'codebook.weight': book}), trained)
    again = build(init_cfg=dict(type='Pretrained', checkpoint=str(trained)),
                  loss=dict(type='GuidedDVEDLoss', guide=dict(
                      guide, init_cfg=dict(type='Pretrained', checkpoint=str(path)))))
    again.init_weights()
    assert torch.equal(again.codebook.weight, book)  # the warm start does not undo training
    assert again.criterion.rec_weight == again.grid.num_frames * again.grid.patch**2
    without = build(loss=dict(type='GuidedDVEDLoss', guide=guide))
    with pytest.raises(ValueError, match='guide: found no init_cfg, expected'):
        without.init_weights()
    other = build(loss=dict(type='GuidedDVEDLoss', guide=dict(guide, vocab_size=16)))
    with pytest.raises(ValueError, match='guide: found 16 tokens on .*expected 32 on'):
        other(cubes, mode='loss')


def test_kmeans_token_is_the_nearest_center(clips):
    cubes = clips(4)
    kmeans = fitted_kmeans(cubes)
    ids, occupied = kmeans.encode(cubes), cubes.occupied()
    assert ids.shape == (4, 36)
    assert (ids[~occupied] == 0).all()
    heat = cubes.grid.split(cubes.union())
    for b, k in occupied.nonzero()[::7]:
        distance = (kmeans.centers - heat[b, k].flatten()).square().sum(1)
        assert distance[ids[b, k]] == pytest.approx(distance.min().item(), abs=1e-5)
    rebuilt = kmeans.decode(ids)
    b, k = occupied.nonzero()[3]
    assert torch.equal(cubes.grid.split(rebuilt)[b, k].flatten(), kmeans.centers[ids[b, k]])
    assert (rebuilt - cubes.union()).square().mean() < 0.5 * cubes.union().square().mean()


def test_kmeans_traces_tell_joints_apart(clips):
    """Two joints that swap places leave U_R as it is, but not the tokens with traces."""
    cubes = clips(4)
    swapped = ThermalCubes(cubes.keypoints.flip(2), cubes.grid)
    assert torch.equal(cubes.union(), swapped.union())
    plain, traced = fitted_kmeans(cubes), fitted_kmeans(cubes, trace_weight=1.)
    assert torch.equal(plain.encode(cubes), plain.encode(swapped))
    assert not torch.equal(traced.encode(cubes), traced.encode(swapped))


def test_kmeans_needs_enough_cubes(clips):
    kmeans = MODELS.build(dict(type='KMeansTokenizer', **TINY, vocab_size=4096))
    kmeans._collected = [kmeans.describe(clips())]
    with pytest.raises(ValueError, match='cubes: found .*expected at least vocab_size=4096'):
        kmeans.fit()


def test_dved_overfits_a_batch(clips):
    dved, cubes = build(hard=True), clips(2)
    optimizer = torch.optim.AdamW(dved.parameters(), 3e-3)
    blank = torch.nn.functional.smooth_l1_loss(cubes.union() * 0, cubes.union())
    for step in range(150):
        dved.tau = 1 - step / 160
        losses = dved(cubes, mode='loss')
        optimizer.zero_grad()
        sum(v for k, v in losses.items() if k.startswith('loss')).backward()
        optimizer.step()
    rebuilt = dved.decode(dved.encode(cubes))
    assert torch.nn.functional.smooth_l1_loss(rebuilt, cubes.union()) < 0.7 * blank


def test_tokenizers_name_bad_settings(clips):
    with pytest.raises(ValueError, match='expected a product that divides num_frames=8'):
        build(temporal_strides=(3, 2))
    with pytest.raises(ValueError, match='one stride per halving'):
        build(temporal_strides=(4,))
    with pytest.raises(ValueError, match="temporal_collapse: found 'max'"):
        build(temporal_collapse='max')
    dved = build()
    with pytest.raises(ValueError, match=r'ids: found shape \(1, 35\), expected \(B, 36\)'):
        dved.decode(torch.zeros(1, 35, dtype=torch.long))
    with pytest.raises(ValueError, match=r'ids: found 32...32, expected 0...31'):
        dved.decode(torch.full((1, 36), 32))
    with pytest.raises(ValueError, match='expected 17 joints on CubeGrid'):
        dved.encode(ThermalCubes(torch.zeros(1, 1, 13, 8, 3), CubeGrid(**TINY)))
