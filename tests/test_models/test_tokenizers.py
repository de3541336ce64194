"""DVEDTokenizer: sizes of the spec, tokens in cube order, learning."""

import math

import pytest
import torch

from mofm.models import CubeGrid, ThermalCubes
from mofm.models.losses import DVEDLoss
from mofm.registry import MODELS

TINY = dict(num_frames=8, canvas=24, patch=4)
SMALL = dict(type='DVEDTokenizer', **TINY, vocab_size=32, code_dim=16, hidden=16, num_blocks=1,
             temporal_strides=(4, 2))


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(SMALL, **kwargs))


def count(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


def test_parameter_counts_of_the_paper():
    dved = MODELS.build(dict(type='DVEDTokenizer'))
    assert count(dved.encoder, dved.to_logits) == pytest.approx(17.98e6, rel=1e-3)
    assert count(dved.decoder) == pytest.approx(4.67e6, rel=1e-3)
    assert dved.codebook.weight.shape == (8192, 256)
    mean = MODELS.build(dict(type='DVEDTokenizer', temporal_collapse='mean'))
    assert count(mean.encoder, mean.to_logits) == pytest.approx(13.79e6, rel=1e-3)


def test_encode_and_decode_shapes(clips):
    dved = build()
    ids = dved.encode(clips(3))
    assert ids.shape == (3, 36) and ids.dtype == torch.long
    assert dved.decode(ids).shape == (3, 8, 24, 24)


def test_token_order_is_cube_order():
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


def test_loss_is_the_formula(clips):
    torch.manual_seed(0)
    logits = torch.randn(2, 32, 6, 6, dtype=torch.float64)
    target, reconstruction = torch.rand(2, 2, 8, 24, 24, dtype=torch.float64)
    losses = DVEDLoss(beta=0.5)(reconstruction, target, logits, None)
    q = logits.softmax(1).permute(0, 2, 3, 1).reshape(-1, 32)
    kl = sum(float(p * (math.log(p) + math.log(32))) for row in q for p in row) / len(q)
    assert losses['loss_kl'].item() == pytest.approx(0.5 * kl)
    # smooth-L1 is half the squared error while errors stay below one
    assert losses['loss_rec'].item() == pytest.approx(
        0.5 * (reconstruction - target).square().mean().item())


def test_overfits_a_batch(clips):
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


def test_clear_errors(clips):
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
    with pytest.raises(ValueError, match='the tokenizer expects 17 joints on CubeGrid'):
        dved.encode(ThermalCubes(torch.zeros(1, 1, 13, 8, 3), CubeGrid(**TINY)))
