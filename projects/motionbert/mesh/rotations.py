"""Rotations of the joints of SMPL as matrices, axis-angle vectors and six numbers (6D).

Axis-angle: direction of the axis, angle in radians as length. 6D: arXiv 1812.07035, Sec. 4.2,
with the two columns interleaved as in SPIN.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: Partner of each of the 24 joints of SMPL in a mirror.
SMPL_FLIP = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22)


def matrix_from_6d(x: Tensor) -> Tensor:
    """Rotation matrices by Gram-Schmidt.

    Args:
        x (Tensor): (..., 6); entries 0, 2, 4 point along the first column, 1, 3, 5 about along
            the second.

    Returns:
        Tensor: (..., 3, 3).
    """
    first, second = x.unflatten(-1, (3, 2)).unbind(-1)
    first = F.normalize(first, dim=-1)
    second = F.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def matrix_from_axis_angle(x: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3) by Rodrigues' formula."""
    angle = x.norm(dim=-1)[..., None, None]
    zero = torch.zeros_like(x[..., 0])
    a, b, c = x.unbind(-1)
    skew = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], -1).unflatten(-1, (3, 3))
    # sin(t) / t and (1 - cos(t)) / t^2, smooth at 0
    return (torch.eye(3).to(x) + torch.sinc(angle / math.pi) * skew
            + torch.sinc(angle / (2 * math.pi))**2 / 2 * skew @ skew)


def axis_angle_from_matrix(matrix: Tensor) -> Tensor:
    """Axis-angle vectors (..., 3) of rotation matrices (..., 3, 3), of length 0 to pi.

    By the quaternion q: of the four rows of 4 q q^T, all of which are linear in the matrix, the
    longest is accurate for every angle (Bar-Itzhack, J. Guid. Control Dyn. 23(6), 2000).
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in matrix.unbind(-2))
    rows = torch.stack([
        1 + a + e + i, h - f, c - g, d - b,
        h - f, 1 + a - e - i, d + b, c + g,
        c - g, d + b, 1 - a + e - i, h + f,
        d - b, c + g, h + f, 1 - a - e + i], -1).unflatten(-1, (4, 4))
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    quaternion = F.normalize(rows.take_along_dim(best, -2).squeeze(-2), dim=-1)
    cos, sin = quaternion.split((1, 3), -1)  # of half the angle, the latter times the axis
    sin = torch.where(cos < 0, -sin, sin)
    length = sin.norm(dim=-1, keepdim=True).clamp(min=1e-7)
    return sin * (2 * torch.atan2(length, cos.abs()) / length)


def flip_axis_angle(pose: Tensor) -> Tensor:
    """The pose of the body in a mirror, x to -x.

    Args:
        pose (Tensor): (..., 24, 3) axis-angle vectors of the joints of SMPL.

    Returns:
        Tensor: (..., 24, 3).
    """
    return pose[..., SMPL_FLIP, :] * pose.new_tensor((1, -1, -1))


def mean_axis_angle(first: Tensor, second: Tensor) -> Tensor:
    """Mean of two axis-angle vectors (..., 3), each of length 0 to pi.

    A rotation by almost half a turn about one axis is one by a little more about the opposite
    axis, so of the two vectors for ``second`` the one closer to ``first`` is taken.
    """
    length = second.norm(dim=-1, keepdim=True).clamp(min=1e-7)
    other = second * (1 - 2 * math.pi / length)
    closer = (other - first).norm(dim=-1) < (second - first).norm(dim=-1)
    return (first + torch.where(closer[..., None], other, second)) / 2
