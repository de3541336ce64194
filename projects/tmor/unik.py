"""UNIK, the encoder of skeletons of T-MOR (arXiv 2606.21607, Sec. II-A; arXiv 2107.08580).

All pairs of joints are connected by learned weights and by attention, with several heads.
Parameters have the names of the released checkpoints.

Features are (N, C, V, T) tensors with the channels last in memory, so that products over joints,
channels and heads are single matrix products or convolutions without copies.
"""

import math
import re
from itertools import pairwise

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from mofm.hub.partial_loading import load_partial
from mofm.models.backbones.base import BaseBackbone
from mofm.models.init_cfg import load_init_cfg
from mofm.registry import MODELS
from mofm.structures import MotionFeatures

_KERNEL = 9
_WIDTHS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
_FIRST_HEADS = 3  # of the first block, independent of num_heads
_STRIDED = (5, 8)  # blocks that halve the frames


def _init_conv(conv: nn.Conv2d):
    nn.init.kaiming_normal_(conv.weight, mode='fan_out')
    nn.init.zeros_(conv.bias)


class TemporalUnit(nn.Module):
    """Convolution over the frames of each joint and batch norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, (kernel, 1), (stride, 1),
                              (kernel // 2, 0))
        self.bn = nn.BatchNorm2d(out_channels)
        _init_conv(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, V, T) to (N, C', V, T / stride)."""
        conv = self.conv  # its weights have the frames before the joints
        return self.bn(F.conv2d(x, conv.weight.mT, conv.bias, conv.stride[::-1],
                                conv.padding[::-1]))


class SpatialUnit(nn.Module):
    """Multi-head dependencies between all joints, learned and by attention.

    Args:
        in_channels, out_channels (int): C and C'.
        num_joints (int): V.
        num_heads (int): H.
        tau (int): Number of neighboring frames, odd, whose joints are connected as well.
    """

    def __init__(self, in_channels: int, out_channels: int, num_joints: int, num_heads: int,
                 tau: int):
        super().__init__()
        self.tau = tau
        joints, hidden = num_joints * tau, out_channels // 4
        self.DepM = nn.Parameter(torch.empty(num_heads, joints, joints))
        # in the released files, but unused: no gradient, for DistributedDataParallel
        self.bias = nn.Parameter(torch.empty(joints), requires_grad=False)
        for weight in (self.DepM, self.bias):
            nn.init.uniform_(weight, -1 / joints, 1 / joints)
        if tau > 1:
            self.out_conv = nn.Conv3d(out_channels, out_channels, (1, tau, 1))
            self.out_bn = nn.BatchNorm2d(out_channels)
        self.conv_a, self.conv_b, self.conv_d = (
            nn.ModuleList(nn.Conv2d(in_channels, width, 1) for _ in range(num_heads))
            for width in (hidden, hidden, out_channels))
        self.down = nn.Identity()
        if in_channels != out_channels:
            self.down = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1),
                                      nn.BatchNorm2d(out_channels))
        self.bn = nn.BatchNorm2d(out_channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _init_conv(module)
        for conv in self.conv_d:
            nn.init.normal_(conv.weight, std=math.sqrt(2 / (out_channels * in_channels
                                                            * num_heads)))
        nn.init.constant_(self.bn.weight, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, V, T) to (N, C', V, T)."""
        if self.tau > 1:
            x = self._unfold(x)
        rows = x.permute(0, 2, 3, 1)  # (N, V, T, C), contiguous
        n, v, t, c = rows.shape
        mixing = self._mixing(rows)  # (N, V, H, V)
        mixed = mixing.flatten(1, 2) @ rows.flatten(2)  # (N, V * H, T * C)
        # with the heads as a kernel dimension, the convolution sums over them
        weight = torch.cat([conv.weight for conv in self.conv_d], 2)  # (C', C, H, 1)
        bias = torch.stack([conv.bias for conv in self.conv_d]).sum(0)
        z = F.conv2d(mixed.view(n * v, -1, t, c).permute(0, 3, 1, 2), weight, bias)
        z = z.permute(0, 2, 3, 1).reshape(n, v, t, -1).permute(0, 3, 1, 2)
        y = F.relu(self.bn(z) + self.down(x))
        return y if self.tau == 1 else self._fold(y)

    def _mixing(self, rows: Tensor) -> Tensor:
        """Compute the weights of joints u in joints v per head, (N, V of v, H, V of u)."""
        n, v, t, _ = rows.shape
        convs = (*self.conv_a, *self.conv_b)
        ab = F.linear(rows, torch.cat([conv.weight for conv in convs]).flatten(1),
                      torch.cat([conv.bias for conv in convs]))
        ab = ab.view(n, v, t, 2, len(self.conv_a), -1).permute(3, 0, 4, 1, 2, 5)
        a, b = ab.flatten(4)  # (N, H, V, T * C' / 4)
        attention = (a @ b.mT / a.shape[-1]).softmax(-2)  # (N, H, u, v), over u
        return (self.DepM + attention).permute(0, 3, 1, 2)

    def _unfold(self, x: Tensor) -> Tensor:
        """Gather the joints of tau frames around each: (N, C, V, T) to (N, C, tau * V, T)."""
        x = F.pad(x, (self.tau // 2, self.tau // 2)).unfold(-1, self.tau, 1)  # (N, C, V, T, tau)
        return x.permute(0, 4, 2, 3, 1).flatten(1, 2).permute(0, 3, 1, 2)

    def _fold(self, y: Tensor) -> Tensor:
        """Merge the joints of tau frames: (N, C', tau * V, T) to (N, C', V, T)."""
        y = y.unflatten(2, (self.tau, -1))  # (N, C', tau, V, T)
        joints = y.shape[3:]
        y = F.conv2d(y.flatten(3), self.out_conv.weight.squeeze(2), self.out_conv.bias)
        return self.out_bn(y.squeeze(2).unflatten(2, joints))


class Block(nn.Module):
    """Spatial and temporal unit with a residual connection around both."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, residual: bool,
                 **spatial):
        super().__init__()
        self.s_unit = SpatialUnit(in_channels, out_channels, **spatial)
        self.t_unit = TemporalUnit(out_channels, out_channels, _KERNEL, stride)
        self.residual = nn.Identity() if residual else None
        if residual and (in_channels, stride) != (out_channels, 1):
            self.residual = TemporalUnit(in_channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, V, T) to (N, C', V, T / stride)."""
        y = self.t_unit(self.s_unit(x))
        return F.relu(y if self.residual is None else y + self.residual(x))


def joint_features(x: Tensor) -> MotionFeatures:
    """Pool the features of joints.

    Args:
        x (Tensor): (B, M, V, T, C).

    Returns:
        MotionFeatures: ``tokens`` (B, M * T * V, C), persons outermost; ``pooled`` (B, C), their
        mean; ``encoded`` (B, M * T * V), all true; ``frames`` (B, T, C), the means over persons
        and joints.
    """
    x = x.float()
    tokens = x.transpose(2, 3).flatten(1, 3)
    frames = x.mean((1, 2))
    return MotionFeatures(tokens, frames.mean(1), torch.ones_like(tokens[..., 0], dtype=bool),
                          frames)


class UNIK(BaseBackbone):
    """Published UNIK model: skeleton sequences to class scores.

    3,443,664 parameters without the last layer; 3,451,631 with 31 classes. The released models of
    3D joints have ``num_joints=25, in_channels=3`` and 4 (NTU-60) or 12 (NTU-120) heads.

    Args:
        in_channels (int): C, coordinates of a joint. Defaults to 2.
        num_joints (int): V. Defaults to 17, layout ``unik17``.
        num_persons (int): M. Absent persons are 0, but included in the mean. Defaults to 2.
        num_heads (int): Heads of all blocks but the first, which has 3. Defaults to 3.
        tau (int): Number of neighboring frames, odd, whose joints are connected. Defaults to 1.
        num_classes (int): K. Defaults to 0, no last layer.
        init_cfg (dict, optional): Weights to start from.

    Raises:
        ValueError: If ``tau`` is even.
    """

    def __init__(self,
                 in_channels: int = 2,
                 num_joints: int = 17,
                 num_persons: int = 2,
                 num_heads: int = 3,
                 tau: int = 1,
                 num_classes: int = 0,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if tau % 2 == 0:
            raise ValueError(f'tau: found {tau}, expected an odd number of frames')
        self.input_shape = (num_persons, num_joints, in_channels)
        self.data_bn = nn.BatchNorm1d(math.prod(self.input_shape))
        for i, (before, width) in enumerate(pairwise((in_channels, *_WIDTHS)), 1):
            self.add_module(f'l{i}', Block(
                before, width, stride=2 if i in _STRIDED else 1, residual=i > 1,
                num_joints=num_joints, num_heads=num_heads if i > 1 else _FIRST_HEADS, tau=tau))
        self.fc = nn.Linear(_WIDTHS[-1], num_classes) if num_classes else nn.Identity()
        if num_classes:
            nn.init.normal_(self.fc.weight, std=math.sqrt(2 / num_classes))

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """See :class:`BaseBackbone`; layer i is ``l<i>``."""
        last = len(_WIDTHS) + 1
        if match := re.match(rf'{re.escape(prefix)}l(\d+)\.', param_name):
            return int(match[1]), last + 1
        return 0 if param_name.startswith(f'{prefix}data_bn.') else last, last + 1

    def encode(self, x: Tensor) -> Tensor:
        """Compute the features of joints.

        Args:
            x (Tensor): (B, M, T, V, C), coordinates in about [-1, 1]; missing joints are 0.

        Returns:
            Tensor: (B, M, V, T', 256), T' = T / 4, rounded up.

        Raises:
            ValueError: If M, V or C differs from the model.
        """
        persons, joints, channels = self.input_shape
        if x.ndim != 5 or (x.shape[1], *x.shape[3:]) != self.input_shape:
            raise ValueError(f'x: found shape {tuple(x.shape)}, expected (B, {persons}, T, '
                             f'{joints}, {channels}), see num_persons, num_joints and in_channels')
        b, m, t, v, c = x.shape
        x = self.data_bn(x.permute(0, 1, 3, 4, 2).reshape(b, -1, t))  # (B, M * V * C, T)
        x = x.view(b * m, v, c, t).transpose(2, 3).contiguous().permute(0, 3, 1, 2)
        for i in range(1, len(_WIDTHS) + 1):
            x = self.get_submodule(f'l{i}')(x)
        return x.permute(0, 2, 3, 1).unflatten(0, (b, m))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, V, M) to class scores (N, K), or features (N, 256) without classes."""
        return self.fc(self.encode(x.permute(0, 4, 2, 3, 1)).mean((1, 2, 3)))


@MODELS.register_module()
class UNIKBackbone(UNIK):
    """UNIK as a backbone for heads on its features, e.g. in a :class:`MotionRecognizer`.

    Args:
        frozen (bool): No gradients, for linear probes. Defaults to False.
        frozen_norm (str): Mode of frozen batch norms: 'eval' keeps the statistics, 'train'
            updates them, as in the released code. Defaults to 'eval'.
        **kwargs: Arguments of :class:`UNIK` except ``num_classes``. ``partial=True`` in
            ``init_cfg`` accepts weights for other numbers of joints, coordinates or persons:
            ``data_bn`` and the learned dependencies of joints keep their initialization, and for
            other coordinates all of ``l1``.

    Raises:
        ValueError: If ``frozen_norm`` is unknown.
    """

    def __init__(self, frozen: bool = False, frozen_norm: str = 'eval', **kwargs):
        super().__init__(**kwargs)
        if frozen_norm not in ('eval', 'train'):
            raise ValueError(f"frozen_norm: found {frozen_norm!r}, expected 'eval' or 'train'")
        self.frozen_norm = frozen_norm
        if frozen:
            self.freeze()

    def init_weights(self):
        """Load the weights of ``init_cfg``, if any; the constructor initializes the others."""
        if not self.init_cfg:
            return
        if not self.init_cfg.get('partial'):
            load_init_cfg(self)
            return
        first = {f'l1.{name}': value.clone() for name, value in self.l1.state_dict().items()}
        report = load_partial(self, self.init_cfg['checkpoint'], self.init_cfg.get('prefix', ''))
        if 'l1.s_unit.down.0.weight' in report.new:
            self.load_state_dict(first, strict=False)
            report.new.update(dict.fromkeys(first, 'reads other coordinates'))
            report.matched = [name for name in report.matched if name not in first]
        print_log(str(report), 'current')

    def train(self, mode: bool = True):
        """Set the training mode; if frozen, only that of batch norm with frozen_norm='train'."""
        super().train(mode)
        if self.frozen_norm == 'train':
            for module in self.modules():
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                    module.train(mode)
        return self

    def forward(self, inputs: Tensor) -> MotionFeatures:
        """Compute the features of clips.

        Args:
            inputs (Tensor): (B, M, T, V, C or more); the first C coordinates are used.

        Returns:
            MotionFeatures: As :func:`joint_features`, with T' frames and 256 channels.
        """
        return joint_features(self.encode(inputs[..., :self.input_shape[-1]]))
