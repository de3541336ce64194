"""Rotations against SciPy, and mirroring."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from projects.motionbert.mesh.rotations import (
    SMPL_FLIP,
    axis_angle_from_matrix,
    flip_axis_angle,
    matrix_from_6d,
    matrix_from_axis_angle,
    mean_axis_angle,
)


def directions(n=200, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


ANGLES = (0., 1e-9, 1e-4, 0.3, np.pi / 2, 3., np.pi - 1e-4, np.pi - 1e-8)


@pytest.mark.parametrize('angle', ANGLES)
def test_rotation_conversions_equal_scipy(angle):
    vectors = np.concatenate([directions(), np.eye(3), -np.eye(3)]) * angle
    expected = Rotation.from_rotvec(vectors)
    for dtype, atol in ((torch.float64, 1e-7), (torch.float32, 2e-6)):
        matrices = matrix_from_axis_angle(torch.tensor(vectors, dtype=dtype))
        np.testing.assert_allclose(matrices, expected.as_matrix(), atol=atol)
        found = axis_angle_from_matrix(torch.tensor(expected.as_matrix(), dtype=dtype))
        assert found.dtype == dtype
        assert found.norm(dim=-1).max() <= np.pi + 1e-6
        # as matrices, because the sign of the axis is undefined at 180 degrees
        error = (Rotation.from_rotvec(found.double().numpy()).inv() * expected).magnitude()
        assert error.max() < (1e-7 if dtype == torch.float64 else 2e-6)
        if angle < 3.1:
            np.testing.assert_allclose(found, vectors, atol=atol)


@pytest.mark.parametrize('angle', ANGLES)
def test_rotation_gradients_are_finite_everywhere(angle):
    vectors = torch.tensor(directions(20) * angle, requires_grad=True)
    matrices = matrix_from_axis_angle(vectors)
    (axis_angle_from_matrix(matrices).norm(dim=-1).sum() + matrices.sum()).backward()
    assert vectors.grad.isfinite().all()
    exact = torch.diag_embed(torch.tensor([[1., 1, 1], [1, -1, -1], [-1, 1, -1]]))
    exact.requires_grad_(True)
    axis_angle_from_matrix(exact).norm(dim=-1).sum().backward()
    assert exact.grad.isfinite().all()


def test_rotation_gradient_equals_finite_differences():
    vectors = torch.tensor(directions(3) * 2., requires_grad=True)
    assert torch.autograd.gradcheck(matrix_from_axis_angle, vectors)
    assert torch.autograd.gradcheck(
        lambda x: axis_angle_from_matrix(matrix_from_axis_angle(x)), vectors)


def test_rotation_6d_is_two_interleaved_columns():
    rotation = torch.tensor(Rotation.random(50, random_state=0).as_matrix())
    x = rotation[..., :2].reshape(50, 6)  # rows of the first two columns
    torch.testing.assert_close(matrix_from_6d(x), rotation)
    # scaling the first column and adding it to the second changes nothing
    skewed = (rotation[..., :2] @ torch.tensor([[3., -0.7], [0, 2.]], dtype=x.dtype))
    torch.testing.assert_close(matrix_from_6d(skewed.reshape(50, 6)), rotation)


def test_flip_axis_angle_mirrors_rotations_and_swaps_sides():
    pose = torch.tensor(directions(24).reshape(24, 3)) * torch.rand(24, 1, dtype=float) * 3
    mirror = np.diag([-1., 1, 1])
    expected = mirror @ Rotation.from_rotvec(pose.numpy()).as_matrix()[list(SMPL_FLIP)] @ mirror
    np.testing.assert_allclose(matrix_from_axis_angle(flip_axis_angle(pose)), expected, atol=1e-12)
    pairs = {(1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21), (22, 23)}
    assert {(i, j) for i, j in enumerate(SMPL_FLIP) if i < j} == pairs


def test_mean_axis_angle_equals_mean_rotation():
    first = directions(40) * np.linspace(0, 2.5, 40)[:, None]
    second = first + 0.1 * directions(40, seed=1)
    np.testing.assert_allclose(mean_axis_angle(*map(torch.tensor, (first, second))),
                               (first + second) / 2)
    # 3.1 rad about x and 3.1 rad about -x are 0.08 rad apart
    turns = np.array([[3.1, 0.02, 0.], [-3.1, 0.03, 0.]])
    found = mean_axis_angle(*torch.tensor(turns)).numpy()
    expected = Rotation.from_rotvec(turns).mean()
    assert (Rotation.from_rotvec(found).inv() * expected).magnitude() < 0.01
    assert (Rotation.from_rotvec(turns.mean(0)).inv() * expected).magnitude() > 3
