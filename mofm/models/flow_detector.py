"""FlowDetector: normality by a density of keypoints (DT3).

A small normalizing flow as in STG-NF (Hirschorn and Avidan, ICCV 2023, arXiv 2211.10946), made of
masked affine couplings (RealNVP, arXiv 1605.08803).
"""

import math

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

from .backbones.keypoint_features import normalize_person
from .precision import full_precision


class AffineCoupling(nn.Module):
    """Affine map of one part of the coordinates, given the other part.

    Temporal convolutions with all joints as channels compute scale and shift. Missing coordinates
    are 0 and stay 0, so the flow is a density of the visible ones.

    Args:
        part (Tensor): (C, F) bool, coordinates that are mapped.
        hidden (int): Width of the convolutions.
        kernel (int): Frames of their kernels, odd.
    """

    def __init__(self, part: Tensor, hidden: int, kernel: int):
        super().__init__()
        channels = len(part)
        self.register_buffer('part', part, persistent=False)
        self.net = nn.Sequential(
            nn.Conv1d(2 * channels, hidden, kernel, padding=kernel // 2), nn.GELU(),
            nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2), nn.GELU(),
            nn.Conv1d(hidden, 2 * channels, kernel, padding=kernel // 2))
        nn.init.zeros_(self.net[-1].weight)  # starts as the identity
        nn.init.zeros_(self.net[-1].bias)

    def coefficients(self, x: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logarithm of the scale, in (-2, 2), and the shift, (B, C, F) each."""
        given = torch.cat((x.masked_fill(self.part, 0), visible.to(x.dtype)), 1)
        scale, shift = self.net(given).chunk(2, 1)
        mapped = self.part & visible
        return 2 * torch.tanh(scale / 2) * mapped, shift * mapped

    def forward(self, x: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Map coordinates x (B, C, F); returns them and the log-determinant (B,)."""
        scale, shift = self.coefficients(x, visible)
        return x * scale.exp() + shift, scale.sum((1, 2))

    def inverse(self, z: Tensor, visible: Tensor) -> Tensor:
        """Invert :meth:`forward`."""
        scale, shift = self.coefficients(z, visible)  # reads only what is not mapped
        return (z - shift) * (-scale).exp()


@MODELS.register_module()
class FlowDetector(BaseModel):
    """Anomaly detector by the density of the keypoints of normal windows.

    Keypoints of one person, normalized by :func:`normalize_person`, are mapped to a standard
    normal distribution. In turn x, every second frame, y, the other frames, the joints of one
    side and those of the other are mapped given the rest. Normality is the mean log density per
    visible coordinate in nats. It is trained by maximum likelihood on normal windows.

    Args:
        num_joints (int): J. Defaults to 17.
        num_frames (int): F, frames of a window. Defaults to 48.
        steps (int): Number of couplings. Defaults to 12.
        hidden (int): Width of the networks. Defaults to 64.
        kernel (int): Frames of their kernels, odd. Defaults to 5.
        noise (float): Standard deviation of the noise added to training windows, as a part of the
            size of the person, without which motion that hardly varies has no finite density.
            Defaults to 0.02.
        weighted (bool): Weight losses and scores of windows by the confidence of the pose
            estimation, the lowest mean score of a frame, as in STG-NF. Defaults to False.
        data_preprocessor (dict, optional): Preprocessor of the clips.

    Raises:
        ValueError: If the kernel is even, or the noise negative.
    """

    approach = 'a density of keypoints'

    def __init__(self,
                 num_joints: int = 17,
                 num_frames: int = 48,
                 steps: int = 12,
                 hidden: int = 64,
                 kernel: int = 5,
                 noise: float = 0.02,
                 weighted: bool = False,
                 data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        if kernel % 2 == 0:
            raise ValueError(f'kernel: found {kernel}, expected an odd number of frames')
        if noise < 0:
            raise ValueError(f'noise: found {noise}, expected at least 0')
        self.noise = noise
        self.weighted = weighted
        axis, joint, frame = torch.meshgrid(
            torch.arange(2), torch.arange(num_joints), torch.arange(num_frames), indexing='ij')
        parts = [axis == 0, frame % 2 == 0, axis == 1, frame % 2 == 1, joint % 2 == 0,
                 joint % 2 == 1]
        self.couplings = nn.ModuleList(
            AffineCoupling(parts[i % len(parts)].flatten(0, 1), hidden, kernel)
            for i in range(steps))

    def map(self, x: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Map keypoints to latent coordinates.

        Args:
            x (Tensor): (B, 2 * J, F), x of all joints, then y; 0 where missing.
            visible (Tensor): (B, 2 * J, F) bool.

        Returns:
            tuple: Latent coordinates (B, 2 * J, F) and the log-determinant of the Jacobian (B,).
        """
        total = x.new_zeros(len(x))
        for coupling in self.couplings:
            x, log_det = coupling(x, visible)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor, visible: Tensor) -> Tensor:
        """Invert :meth:`map`."""
        for coupling in reversed(self.couplings):
            z = coupling.inverse(z, visible)
        return z

    def log_density(self, inputs: ThermalCubes) -> tuple[Tensor, Tensor]:
        """Compute the mean log density per visible coordinate, and the weight of each window.

        Returns:
            tuple: (B,) in nats, 0 without a keypoint; (B,) confidence in [0, 1], 1 unless
            ``weighted``.
        """
        xy, score = normalize_person(inputs)  # (B, J, F, 2), (B, J, F)
        visible = (score > 0).repeat(1, 2, 1)  # (B, 2 * J, F)
        x = xy.movedim(3, 1).flatten(1, 2)
        if self.training:
            x = x + self.noise * torch.randn_like(x) * visible
        with full_precision(x):
            z, log_det = self.map(x, visible)
            count = visible.sum((1, 2))
            density = log_det - z.square().sum((1, 2)) / 2 - count * math.log(2 * math.pi) / 2
        weight = score.new_ones(len(score))
        if self.weighted:
            seen = (score > 0).sum(1)  # (B, F)
            weight = (score.sum(1) / seen.clamp(min=1)).masked_fill(seen == 0, 1).amin(1)
        return density / count.clamp(min=1), weight

    def forward(self, inputs: ThermalCubes, data_samples: list | None = None,
                mode: str = 'tensor'):
        """Return losses ('loss'), samples with ``normality`` ('predict') or scores ('tensor')."""
        density, weight = self.log_density(inputs)
        if mode == 'loss':
            return dict(loss_nll=-(density * weight).mean())
        normality = density * weight
        if mode == 'tensor':
            return normality
        normality = normality.view(len(data_samples), -1).mean(1)
        for sample, value in zip(data_samples, normality, strict=True):
            sample.normality = value
        return data_samples
