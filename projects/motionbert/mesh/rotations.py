"""Rotations of SMPL joints as matrices, axis-angle vectors (radians) and 6D vectors.

6D: arXiv 1812.07035, Sec. 4.2, with the two columns interleaved as in SPIN.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: Index of the mirrored joint of each of the 24 SMPL joints.
SMPL_FLIP = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22)


def matrix_from_6d(x: Tensor) -> Tensor:
    """Convert 6D vectors to rotation matrices by Gram-Schmidt.

    Args:
        x (Tensor): (..., 6); entries 0, 2, 4 are the first column before normalization, 1, 3, 5
            the second.

    Returns:
        Tensor: (..., 3, 3).
    """
    first, second = x.unflatten(-1, (3, 2)).unbind(-1)
    first = F.normalize(first, dim=-1)
    second = F.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def matrix_from_axis_angle(x: Tensor) -> Tensor:
    """Convert axis-angle vectors (..., 3) to matrices (..., 3, 3) by Rodrigues' formula."""
    angle = x.norm(dim=-1)[..., None, None]
    zero = torch.zeros_like(x[..., 0])
    a, b, c = x.unbind(-1)
    skew = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], -1).unflatten(-1, (3, 3))
    # sin(t) / t and (1 - cos(t)) / t^2, smooth at 0
    return (torch.eye(3).to(x) + torch.sinc(angle / math.pi) * skew
            + torch.sinc(angle / (2 * math.pi))**2 / 2 * skew @ skew)


def axis_angle_from_matrix(matrix: Tensor) -> Tensor:
    """Convert rotation matrices (..., 3, 3) to axis-angle vectors (..., 3) of length 0 to pi.

    Uses the quaternion q: of the four rows of 4 q q^T, which are linear in the matrix, the longest
    is accurate for every angle (Bar-Itzhack, J. Guid. Control Dyn. 23(6), 2000).
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in matrix.unbind(-2))
    rows = torch.stack([
        1 + a + e + i, h - f, c - g, d - b,
        h - f, 1 + a - e - i, d + b, c + g,
        c - g, d + b, 1 - a + e - i, h + f,
        d - b, c + g, h + f, 1 - a - e + i], -1).unflatten(-1, (4, 4))
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    quaternion = F.normalize(rows.take_along_dim(best, -2).squeeze(-2), dim=-1)
    cos, sin = quaternion.split((1, 3), -1)  # of half the angle; sin times the axis
    sin = torch.where(cos < 0, -sin, sin)
    length = sin.norm(dim=-1, keepdim=True).clamp(min=1e-7)
    return sin * (2 * torch.atan2(length, cos.abs()) / length)


def flip_axis_angle(pose: Tensor) -> Tensor:
    """Mirror poses, x to -x.

    Args:
        pose (Tensor): (..., 24, 3) axis-angle vectors of the SMPL joints.

    Returns:
        Tensor: (..., 24, 3).
    """
    return pose[..., SMPL_FLIP, :] * pose.new_tensor((1, -1, -1))


def mean_axis_angle(first: Tensor, second: Tensor) -> Tensor:
    """Average two axis-angle vectors (..., 3) of length 0 to pi.

    Of the two vectors equivalent to ``second``, about opposite axes, the one closer to ``first``
    is used.
    """
    length = second.norm(dim=-1, keepdim=True).clamp(min=1e-7)
    other = second * (1 - 2 * math.pi / length)
    closer = (other - first).norm(dim=-1) < (second - first).norm(dim=-1)
    return (first + torch.where(closer[..., None], other, second)) / 2
