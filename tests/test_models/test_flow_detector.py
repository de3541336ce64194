"""Density of keypoints: invertible, with the Jacobian of autograd, of visible joints only."""

import pytest
import torch
from mmaction.structures import ActionDataSample

from mofm.models import FlowDetector
from mofm.structures import CubeGrid, ThermalCubes

GRID = CubeGrid(num_frames=4, canvas=24, patch=4)


def flow(joints=3, **kwargs):
    """A flow far from the identity."""
    torch.manual_seed(0)
    model = FlowDetector(joints, 4, **dict(dict(steps=6, hidden=8, kernel=3), **kwargs))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    return model.double().eval()


def latent(batch=2, joints=3):
    """Coordinates (B, 2 * J, F), some joints missing in some frames."""
    rng = torch.Generator().manual_seed(1)
    visible = torch.rand(batch, joints, 4, generator=rng).repeat(1, 2, 1) > .3
    x = torch.randn(batch, 2 * joints, 4, generator=rng).double() * visible
    return x, visible


def windows(batch=4, joints=3, seed=0, score=1.):
    keypoints = 24 * torch.rand(batch, 1, joints, 4, 3,
                                generator=torch.Generator().manual_seed(seed))
    keypoints[..., 2] = score
    return ThermalCubes(keypoints, GRID)


def test_flow_inverse_restores_keypoints():
    model, (x, visible) = flow(), latent()
    z, _ = model.map(x, visible)
    assert (z - x).abs().max() > .5
    assert torch.allclose(model.inverse(z, visible), x, atol=1e-10)


def test_flow_log_determinant_equals_jacobian_of_visible_coordinates():
    model, (x, visible) = flow(), latent()
    _, found = model.map(x, visible)
    for b in range(2):
        seen = visible[b].flatten()

        def mapped(values, b=b, seen=seen):
            full = torch.zeros(len(seen), dtype=values.dtype).masked_scatter(seen, values)
            return model.map(full.view(1, 6, 4), visible[b:b + 1])[0].flatten()[seen]

        jacobian = torch.autograd.functional.jacobian(mapped, x[b].flatten()[seen])
        assert jacobian.slogdet().logabsdet.item() == pytest.approx(found[b].item(), abs=1e-8)
    assert found.abs().max() > .5


def test_flow_missing_joints_stay_zero():
    x, visible = latent()
    assert (flow().map(x, visible)[0][~visible] == 0).all()


def test_untrained_flow_is_the_normal_density():
    model = FlowDetector(3, 4, steps=6, hidden=8).eval()
    density, weight = model.log_density(windows())
    # normalized keypoints have a mean square of 1/2 per coordinate
    expected = torch.distributions.Normal(0, 1).log_prob(torch.tensor(.5).sqrt())
    assert torch.allclose(density, expected.expand(4), atol=1e-5)
    assert (weight == 1).all()


def test_flow_learns_which_windows_are_normal():
    torch.manual_seed(0)
    model = FlowDetector(3, 4, steps=6, hidden=8, kernel=3, noise=.1)
    base = windows(1).keypoints
    normal = ThermalCubes(base + .3 * torch.randn(64, 1, 3, 4, 3) * torch.tensor([1., 1, 0]), GRID)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(25):
        optimizer.zero_grad()
        model(normal, mode='loss')['loss_nll'].backward()
        optimizer.step()
    model.eval()
    others = ThermalCubes(windows(64, seed=3).keypoints, GRID)
    with torch.no_grad():
        assert model(normal).min() > model(others).median()


def test_flow_weight_is_lowest_mean_score_of_a_frame():
    score = torch.tensor([[.9, .8, .7, .6], [.5, .8, .7, .2], [.1, .8, 0, .7]])  # (J, F)
    density, weight = flow(weighted=True).float().log_density(windows(score=score))
    assert torch.allclose(weight, torch.tensor(.5))  # the last and the first frame
    samples = [ActionDataSample() for _ in range(2)]
    flow(weighted=True).float()(windows(score=score), samples, mode='predict')
    found = torch.stack([sample.normality for sample in samples])
    assert torch.allclose(found, (density * .5).view(2, 2).mean(1))


def test_flow_without_keypoint_has_normality_zero():
    empty = ThermalCubes(torch.zeros(1, 1, 3, 4, 3), GRID)
    assert flow(weighted=True).float()(empty).item() == 0


@pytest.mark.parametrize(('option', 'message'), [
    (dict(kernel=4), 'kernel: found 4, expected an odd number'),
    (dict(noise=-1.), 'noise: found -1.0, expected at least 0')])
def test_flow_names_wrong_options(option, message):
    with pytest.raises(ValueError, match=message):
        flow(**option)
