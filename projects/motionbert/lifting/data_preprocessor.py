"""Corruption of keypoints on the device, for the pre-training.

Noise and masks follow MotionBERT (arXiv 2210.06551, Sec. 3.3, 4.2 and A.1) and its released code;
the pose noise is modeled as in arXiv 1812.03595, Sec. 4.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mofm.hub.torch_file import read_torch_file
from mofm.models.data_preprocessor import SkeletonDataPreprocessor, joints_last
from mofm.registry import MODELS
from mofm.utils.checks import describe


@MODELS.register_module()
class LiftingDataPreprocessor(SkeletonDataPreprocessor):
    """Data preprocessor that corrupts keypoints in training by pose noise and masks.

    ``noise`` and ``masked`` of :class:`PackLiftingInputs` select them per sample.

    Args:
        noise (dict, optional): Arguments of :class:`KeypointNoise`. Defaults to no noise.
        joint_mask (float): Probability of masking a joint; 0.05 in the released code. Defaults
            to 0.
        frame_mask (float): Probability of masking a frame in the whole batch; 0.1 in the released
            code, which masks nothing unless both are positive. Defaults to 0.

    Raises:
        ValueError: If a share is not in [0, 1).
    """

    def __init__(self, noise: dict | None = None, joint_mask: float = 0.,
                 frame_mask: float = 0.):
        super().__init__()
        for name, value in (('joint_mask', joint_mask), ('frame_mask', frame_mask)):
            if not 0 <= value < 1:
                raise ValueError(f'{name}: found {value}, expected a share in [0, 1)')
        self.noise = None if noise is None else KeypointNoise(**noise)
        self.joint_mask = joint_mask
        self.frame_mask = frame_mask

    def forward(self, data: dict, training: bool = False) -> dict:
        """Convert collated samples of :class:`PackLiftingInputs` to the arguments of a lifter.

        Args:
            data (dict): Collated samples; ``inputs`` also with ``target`` (B, T, J, 3) for 3D
                data and, in training, ``noise`` (B,) and ``masked`` (B,) bool.
            training (bool): Whether to corrupt the keypoints. Defaults to False.

        Returns:
            dict: ``inputs`` and ``clean`` (B, M, T, J, 3), the keypoints with and without
            corruption; ``target`` (B, T, J, 3) or None; ``data_samples``.
        """
        data = self._receive(data)
        given = data['inputs']
        inputs = clean = joints_last(given['keypoints'])
        if training and self.noise is not None:
            inputs = torch.where(given['noise'].view(-1, 1, 1, 1, 1), self.noise(clean), clean)
        if training and (self.joint_mask or self.frame_mask):
            inputs = inputs * (self._keep(inputs) | ~given['masked'].view(-1, 1, 1, 1))[..., None]
        return dict(inputs=inputs, clean=clean, target=given.get('target'),
                    data_samples=data.get('data_samples'))

    def _keep(self, x: Tensor) -> Tensor:
        """Draw which joints of (B, M, T, J, 3) are not masked, (B, M, T, J) bool."""
        joints = torch.rand(x.shape[:-1], device=x.device) >= self.joint_mask
        frames = torch.rand(x.shape[2], 1, device=x.device) >= self.frame_mask
        return joints & frames


# Bones between each joint and the root, layout h36m17.
_BONES = torch.tensor([0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 3, 4, 5, 3, 4, 5.])


class KeypointNoise(nn.Module):
    """Simulated errors and confidences of a 2D pose estimator.

    At evenly spaced key frames the error of a joint is drawn from a Gaussian or, less often, a
    uniform distribution; it is interpolated linearly in between. Each frame gets a small
    additional jitter, shared by the batch. Missing joints stay missing.

    ``params/synthetic_noise.pth`` of MotionBERT has a Gaussian per joint, fitted to a pose
    estimator. The default is a substitute in the range of the fitted values, whose assignment to
    joints is assumed: no bias; bone by bone from the root to the wrists, the standard deviation
    grows from 0.0034 to 0.0095 and the share of Gaussian errors falls from 0.999 to 0.703.

    Args:
        num_keyframes (int): Key frames per clip. Defaults to 27, for 243 frames.
        params_file (str, optional): File with tensors ``mean`` (J, 2), ``std`` (J, 2), ``weight``
            (J,), in the units of the keypoints, and optionally ``uniform_range`` (0.06).
        jitter (float): Standard deviation of the jitter. Defaults to 0.002.
        confidence (tuple): a, b, m and s of the confidence ``a / (d + a) + b d + N(m, s^2)`` of
            an error of length d, clipped to [0, 1].

    Raises:
        ValueError: If ``num_keyframes`` is less than 1 or the file is invalid.
    """

    def __init__(self, num_keyframes: int = 27, params_file: str | None = None,
                 jitter: float = 0.002,
                 confidence: tuple = (0.028, 1.1, -0.0045857, 0.143106)):
        super().__init__()
        if num_keyframes < 1:
            raise ValueError(f'num_keyframes: found {num_keyframes}, expected at least 1')
        self.num_keyframes = num_keyframes
        self.jitter = jitter
        self.confidence = confidence
        params = _read_params(params_file) if params_file else dict(
            mean=torch.zeros(17, 2), std=(0.0034 + 0.0061 * _BONES[:, None] / 5).expand(17, 2),
            weight=0.999 - 0.296 * _BONES / 5)
        self.uniform_range = float(params.get('uniform_range', 0.06))
        for name in ('mean', 'std', 'weight'):
            self.register_buffer(name, params[name].float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add noise and its confidences to keypoints (..., T, J, 3)."""
        *batch, frames, joints, _ = x.shape

        def draw(sample, axes=2):
            return sample(*batch, joints, axes, self.num_keyframes, device=x.device)

        gaussian = draw(torch.randn) * self.std[..., None] + self.mean[..., None]
        uniform = (draw(torch.rand) - 0.5) * self.uniform_range
        error = torch.where(draw(torch.rand, 1) < self.weight[:, None, None], gaussian, uniform)
        error = F.interpolate(error.flatten(0, -4).flatten(1, 2), frames, mode='linear',
                              align_corners=True)  # (N, J * 2, T)
        error = error.view(*batch, joints, 2, frames).movedim(-1, -3)  # (..., T, J, 2)
        error = error + self.jitter * torch.randn(error.shape[-3:], device=x.device)
        a, b, m, s = self.confidence
        distance = error.norm(dim=-1, keepdim=True)
        score = a / (distance + a) + b * distance + m + s * torch.randn_like(distance)
        noisy = torch.cat([x[..., :2] + error, score.clamp(0, 1)], -1)
        return noisy * (x[..., 2:] > 0)


def _read_params(path: str) -> dict:
    """Read and check the parameters of the noise."""
    if not Path(path).is_file():
        raise ValueError(f'params_file: found no file {path}, expected synthetic_noise.pth of '
                         'MotionBERT; omit params_file for the substitute')
    try:
        params = read_torch_file(Path(path))
        shapes = {name: tuple(params[name].shape) for name in ('mean', 'std', 'weight')}
    except Exception as error:  # damaged bytes raise nearly anything
        raise ValueError(f'{path}: no tensors called mean, std and weight to be read '
                         f'({describe(error)}), expected those of synthetic_noise.pth of '
                         'MotionBERT') from error
    if shapes != dict(mean=(17, 2), std=(17, 2), weight=(17, )):
        raise ValueError(f'{path}: found the shapes {shapes}, expected mean (17, 2), std (17, 2) '
                         'and weight (17,)')
    return params
