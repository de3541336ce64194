"""Base class of tokenizers of thermal cubes."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mofm.registry import MODELS
from mofm.structures import CubeGrid, ThermalCubes

from ..init_cfg import load_init_cfg


class MotionTokenizer(BaseModel):
    """Base class of tokenizers; teachers of the pre-training only need :meth:`encode`.

    Args:
        grid (CubeGrid): Geometry of the clips.
        vocab_size (int): V, number of motion tokens.
        data_preprocessor (dict, optional): Needed to train, not to encode.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)``, see
            :class:`mofm.hub.partial_loading.PretrainedInit`.
    """

    segments = 1

    def __init__(self,
                 grid: CubeGrid,
                 vocab_size: int,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor), init_cfg)
        if vocab_size < 2:
            raise ValueError(f'vocab_size: found {vocab_size}, expected at least 2')
        self.grid = grid
        self.vocab_size = vocab_size

    def init_weights(self):
        """Load the weights of ``init_cfg``, if any."""
        if self.init_cfg:
            load_init_cfg(self)

    def encode(self, inputs: ThermalCubes, select: Tensor | None = None) -> Tensor:
        """Encode clips as motion tokens, without noise and gradient.

        Args:
            inputs (ThermalCubes): B clips.
            select (Tensor, optional): (B, K) bool, cubes to encode. Defaults to all.

        Returns:
            Tensor: (B, K) token IDs in the order of the cubes, or (N,) in the order of
            ``select.nonzero()``.
        """
        raise NotImplementedError

    def decode(self, ids: Tensor) -> Tensor:
        """Reconstruct U_R from token IDs (B, K).

        Returns:
            Tensor: (B, F, H, W).

        Raises:
            ValueError: If an ID is not in the vocabulary or the number of cubes is wrong.
        """
        raise NotImplementedError

    def _check_ids(self, ids: Tensor):
        cubes = self.segments * self.grid.num_cubes
        if ids.dim() != 2 or ids.shape[1] != cubes:
            raise ValueError(f'ids: found shape {tuple(ids.shape)}, expected (B, {cubes})')
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.vocab_size:
            raise ValueError(f'ids: found {int(ids.min())}...{int(ids.max())}, expected '
                             f'0...{self.vocab_size - 1}')

    def forward(self, inputs: ThermalCubes, data_samples: list | None = None,
                mode: str = 'tensor'):
        """Return losses ('loss'), samples with tokens and heat ('predict'), or IDs ('tensor')."""
        if mode == 'loss':
            return self.loss(inputs)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return self.encode(inputs)

    @torch.no_grad()
    def predict(self, inputs: ThermalCubes, data_samples: list) -> list:
        """Add ``tokens`` (K,), ``occupied`` (K,), ``heat`` and ``reconstruction`` (F, H, W)."""
        ids = self.encode(inputs)
        fields = zip(data_samples,
                     ids,
                     inputs.occupied(self.segments),
                     inputs.union(),
                     self.decode(ids),
                     strict=True)
        for sample, token, occupied, heat, reconstruction in fields:
            sample.set_field(token, 'tokens')
            sample.set_field(occupied, 'occupied')
            sample.set_field(heat, 'heat')
            sample.set_field(reconstruction, 'reconstruction')
        return data_samples
