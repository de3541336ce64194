"""Surprise of a pre-training: the likelihood of every token once, by the same weights."""

import pytest
import torch
from mmaction.structures import ActionDataSample

from mofm.registry import MODELS
from mofm.structures import CubeGrid, ThermalCubes

GRID = dict(num_frames=4, canvas=24, patch=4)  # 6 x 6 cubes
PARTS = dict(
    backbone=dict(type='MoFMBackbone', **GRID, embed_dims=16, depth=1, num_heads=2,
                  embed=dict(type='LinearCubeEmbed'), max_tokens=36, tokens='occupied'),
    tokenizer=dict(type='KMeansTokenizer', **GRID, vocab_size=8),
    head=dict(type='MaskedTokenHead', vocab_size=8, in_channels=16))


def build(kind='SurpriseDetector', **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(dict(PARTS, type=kind, **kwargs)).eval()
    model.tokenizer.centers.data[1:].uniform_()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    return model


def clips(batch=3):
    keypoints = 24 * torch.rand(batch, 1, 17, 4, 3, generator=torch.Generator().manual_seed(0))
    keypoints[..., 2] = 1
    keypoints[0, :, 5:] = 0  # fewer joints in the first
    return ThermalCubes(keypoints, CubeGrid(**GRID))


@torch.no_grad()
def log_likelihood(model, inputs, mask):
    """Summed log likelihood (B,) of the true tokens of masked cubes, one by one."""
    out = torch.zeros(len(inputs))
    tokens = model.backbone(inputs, mask).tokens
    ids = model.tokenizer.encode(inputs)
    for b, k in mask.nonzero().tolist():
        out[b] += model.head(tokens[b, k][None]).log_softmax(1)[0, ids[b, k]]
    return out


def normality(model, inputs, samples):
    samples = [ActionDataSample() for _ in range(samples)]
    with torch.no_grad():
        model(inputs, data_samples=samples, mode='predict')
    return torch.stack([sample.normality for sample in samples])


@pytest.mark.parametrize('num_masks', [1, 2, 3])
def test_surprise_sums_likelihoods_under_disjoint_masks_of_all_cubes(num_masks):
    inputs, model = clips(), build(num_masks=num_masks)
    occupied = inputs.occupied().view(-1, 6, 6)
    diagonal = (torch.arange(6)[:, None] + torch.arange(6)) % num_masks
    expected = sum(log_likelihood(model, inputs, (occupied & (diagonal == i)).flatten(1))
                   for i in range(num_masks))
    found = normality(build(num_masks=num_masks, reduction='sum'), inputs, 3)
    assert torch.allclose(found, expected, rtol=1e-4)
    assert len(set(found.tolist())) == 3
    mean = normality(model, inputs, 3)
    assert torch.allclose(mean, expected / occupied.flatten(1).sum(1), rtol=1e-4)
    assert normality(model, inputs, 1).item() == pytest.approx(mean.mean().item(), rel=1e-5)


def test_surprise_has_weights_and_loss_of_the_pretraining():
    inputs, model, pretrainer = clips(), build(), build('MotionPretrainer')
    assert model.state_dict().keys() == pretrainer.state_dict().keys()
    mask = inputs.occupied()
    for name, value in pretrainer(inputs, mask, mode='loss').items():
        assert torch.equal(model(inputs, mask, mode='loss')[name], value)


def test_surprise_without_keypoint_is_zero():
    empty = ThermalCubes(torch.zeros(1, 1, 17, 4, 3), CubeGrid(**GRID))
    for reduction in ('sum', 'mean'):
        assert normality(build(reduction=reduction), empty, 1).item() == 0


@pytest.mark.parametrize(('option', 'message'), [
    (dict(num_masks=0), 'num_masks: found 0, expected at least 1'),
    (dict(reduction='max'), "reduction: found 'max', expected 'mean' or 'sum'")])
def test_surprise_names_wrong_options(option, message):
    with pytest.raises(ValueError, match=message):
        build(**option)


def test_surprise_of_segments_counts_the_cubes_of_each():
    """All cubes in one mask: the sum of the likelihoods of all tokens of both segments."""
    parts = {name: dict(PARTS[name], segments=2) for name in ('backbone', 'tokenizer')}
    inputs, model = clips(), build(num_masks=1, reduction='sum', **parts)
    mask = inputs.cut(2).occupied().view(3, 72)
    assert mask.any(0)[:36].any()
    assert mask.any(0)[36:].any()
    expected = log_likelihood(model, inputs, mask)
    assert torch.allclose(normality(model, inputs, 3), expected, rtol=1e-4)
