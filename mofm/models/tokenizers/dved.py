"""DVEDTokenizer: the discrete variational encoder-decoder that learns the MotionBook.

MoFM, Sec. 4.1.2 and 4.2, eq. 2 to 6; details that the paper omits follow the DiscreteVAE it is
built on. A 3D encoder reads the heat of all joints, a Gumbel-softmax (arXiv 1611.01144) samples
one of V motion tokens per thermal cube, and a 2D decoder with frames as channels reconstructs the
heat of all joints together.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import CubeGrid, ThermalCubes

from ..layers.conv3d import Conv3d
from ..precision import full_precision
from .base import MotionTokenizer


class _ResBlock(nn.Module):
    """Residual block: conv3-ReLU-conv3-ReLU-conv1, in 2D or 3D, without normalization."""

    def __init__(self, conv: type, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels, 3, padding=1), nn.ReLU(),
            conv(channels, channels, 3, padding=1), nn.ReLU(),
            conv(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


@MODELS.register_module()
class DVEDTokenizer(MotionTokenizer):
    """Discrete variational encoder-decoder.

    Args:
        num_joints (int): J. Defaults to 17.
        num_frames, canvas, patch (int): Geometry, see :class:`CubeGrid`. The patch is a power of
            two, as each convolution halves the canvas.
        vocab_size (int): V, motion tokens in the MotionBook. Defaults to 8192.
        code_dim (int): Width of a code of the MotionBook. Defaults to 256.
        hidden (int): Channels of encoder and decoder. Defaults to 256.
        num_blocks (int): Residual blocks of encoder and decoder. Defaults to 2.
        temporal_strides (tuple[int]): Temporal kernel and stride of each strided convolution.
            Their product divides F. Defaults to (4, 4).
        temporal_collapse (str): Reduction of the remaining frames: 'conv', in which the projection
            spans them, or 'mean'. Defaults to 'conv'.
        hard (bool): Straight-through sampling of one code instead of a mixture, which matches
            inference. Defaults to False.
        tau (float): Temperature of the Gumbel-softmax, scheduled by :class:`AnnealHook`.
        noise (float): Scale of the Gumbel noise. Defaults to 1.
        loss (dict): Objective. Defaults to ``dict(type='DVEDLoss')``, that of the paper.
        data_preprocessor, init_cfg (dict, optional): See :class:`MotionTokenizer`.

    Raises:
        ValueError: If the sizes do not fit each other.
    """

    def __init__(self,
                 num_joints: int = 17,
                 num_frames: int = 48,
                 canvas: int = 72,
                 patch: int = 4,
                 vocab_size: int = 8192,
                 code_dim: int = 256,
                 hidden: int = 256,
                 num_blocks: int = 2,
                 temporal_strides: tuple = (4, 4),
                 temporal_collapse: str = 'conv',
                 hard: bool = False,
                 tau: float = 1.,
                 noise: float = 1.,
                 loss: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None):
        super().__init__(CubeGrid(num_frames, canvas, patch), vocab_size, data_preprocessor,
                         init_cfg)
        layers = round(math.log2(patch))
        if 2**layers != patch or len(temporal_strides) != layers:
            raise ValueError(f'temporal_strides: found {temporal_strides} with patch={patch}, '
                             'expected a patch that is a power of two and one stride per halving')
        if num_frames % math.prod(temporal_strides):
            raise ValueError(f'temporal_strides: found {temporal_strides}, expected a product '
                             f'that divides num_frames={num_frames}')
        if temporal_collapse not in ('conv', 'mean'):
            raise ValueError(f"temporal_collapse: found '{temporal_collapse}', expected 'conv' or "
                             "'mean'")
        self.num_joints = num_joints
        self.hard = hard
        self.tau = tau
        self.noise = noise
        self.temporal_collapse = temporal_collapse
        self.criterion = MODELS.build(dict(type='DVEDLoss') if loss is None else loss)

        encoder, channels = [], num_joints
        for stride in temporal_strides:
            encoder += [
                Conv3d(channels, hidden, (stride, 4, 4), (stride, 2, 2), (0, 1, 1)),
                nn.ReLU()
            ]
            channels = hidden
        encoder += [_ResBlock(Conv3d, hidden) for _ in range(num_blocks)]
        self.encoder = nn.Sequential(*encoder)
        span = num_frames // math.prod(temporal_strides) if temporal_collapse == 'conv' else 1
        self.to_logits = Conv3d(hidden, vocab_size, (span, 1, 1))

        self.codebook = nn.Embedding(vocab_size, code_dim)

        decoder = [nn.Conv2d(code_dim, hidden, 1)]
        decoder += [_ResBlock(nn.Conv2d, hidden) for _ in range(num_blocks)]
        for _ in range(layers):
            decoder += [nn.ConvTranspose2d(hidden, hidden, 4, 2, 1), nn.ReLU()]
        decoder += [nn.Conv2d(hidden, num_frames, 1)]
        self.decoder = nn.Sequential(*decoder)

    def init_weights(self):
        """Load the guide of the objective and the weights of ``init_cfg``, if any."""
        if hasattr(self.criterion, 'warm_start'):
            self.criterion.warm_start(self)
        super().init_weights()  # last, as it overrides the warm start

    def _features(self, inputs: ThermalCubes) -> Tensor:
        """Compute the encoder features of the clips, (B, hidden, F', rows, cols), float32."""
        if inputs.grid != self.grid or inputs.num_joints != self.num_joints:
            raise ValueError(f'clips: found {inputs.num_joints} joints on {inputs.grid}, expected '
                             f'{self.num_joints} joints on {self.grid}; set the same num_frames, '
                             'canvas and patch everywhere')
        x = self.encoder(inputs.volume())
        return x.mean(2, keepdim=True).float() if self.temporal_collapse == 'mean' else x.float()

    def logits(self, inputs: ThermalCubes) -> Tensor:
        """Compute token logits (B, V, rows, cols), float32."""
        x = self._features(inputs)
        with full_precision(x):
            return self.to_logits(x).squeeze(2)

    @torch.no_grad()
    def encode(self, inputs: ThermalCubes, select: Tensor | None = None) -> Tensor:
        """See :meth:`MotionTokenizer.encode`."""
        if select is None:
            return self.logits(inputs).argmax(1).flatten(1)
        x = self._features(inputs).flatten(3).permute(0, 3, 1, 2)[select]  # (N, hidden, F')
        with full_precision(x):
            return F.linear(x.flatten(1), self.to_logits.weight.flatten(1),
                            self.to_logits.bias).argmax(1)

    def decode(self, ids: Tensor) -> Tensor:
        """See :meth:`MotionTokenizer.decode`."""
        self._check_ids(ids)
        codes = self.codebook(ids).unflatten(1, (self.grid.rows, self.grid.cols))
        return self.decoder(codes.movedim(-1, 1))

    def sample(self, logits: Tensor) -> Tensor:
        """Sample weights (B, V, rows, cols) of tokens by Gumbel-softmax (MoFM, eq. 6)."""
        # -log of exponential noise is Gumbel noise that cannot overflow
        gumbel = -torch.empty_like(logits).exponential_().log()
        weights = ((logits + self.noise * gumbel) / self.tau).softmax(1)
        if not self.hard:
            return weights
        one_hot = torch.zeros_like(weights).scatter_(1, weights.argmax(1, keepdim=True), 1.)
        return one_hot + weights - weights.detach()

    def rebuild(self, weights: Tensor) -> Tensor:
        """Decode mixtures of codes: (B, V, rows, cols) to (B, F, H, W)."""
        codes = torch.einsum('bvhw,vd->bdhw', weights, self.codebook.weight)
        return self.decoder(codes).float()

    def loss(self, inputs: ThermalCubes) -> dict:
        """Compute the losses, and the perplexity of the tokens on occupied cubes."""
        logits = self.logits(inputs)
        losses = self.criterion(self, inputs, logits)
        with torch.no_grad():
            ids = logits.argmax(1).flatten(1)[inputs.occupied()]
            share = torch.bincount(ids, minlength=self.vocab_size) / max(len(ids), 1)
            losses['perplexity'] = torch.special.entr(share).sum().exp()
        return losses
