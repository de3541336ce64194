"""Key points arrive on the device here, and become thermal cubes here."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor

from mofm.registry import MODELS

from .thermal_cubes import CubeGrid, RenderedCubes, ThermalCubes


@MODELS.register_module()
class MotionDataPreprocessor(BaseDataPreprocessor):
    """Stack the samples of a batch on the device as :class:`ThermalCubes`.

    Samples with fewer persons are padded with missing ones; the clips of a sample (``num_clips``
    of the sampling) are put behind each other in the batch.

    Args:
        num_frames, canvas, patch (int): Geometry, see :class:`CubeGrid`.
        sigma (float): Standard deviation of the Gaussian in pixels. Defaults to 0.6.
        use_score (bool): Multiply the heat by the score. Defaults to False.
    """

    def __init__(self,
                 num_frames: int = 48,
                 canvas: int = 72,
                 patch: int = 4,
                 sigma: float = 0.6,
                 use_score: bool = False):
        super().__init__(non_blocking=True)
        self.grid = CubeGrid(num_frames, canvas, patch)
        self.sigma = sigma
        self.use_score = use_score

    def forward(self, data: dict, training: bool = False) -> dict:
        """Collated samples of :class:`PackMotionInputs` to the arguments of a model.

        Args:
            data (dict): ``inputs`` with lists of ``keypoints`` ([clips,] M, J, F, 3), optionally
                ``heatmap`` ([clips,] J, F, H, W) and ``mask`` (K,); ``data_samples`` (list).
            training (bool): Unused.

        Returns:
            dict: ``inputs`` (ThermalCubes), ``data_samples`` and, if given, ``mask`` (B, K).
        """
        data = self.cast_data(data)
        inputs, out = data['inputs'], dict(data_samples=data.get('data_samples'))
        if 'heatmap' in inputs:
            volumes = [v if v.dim() == 5 else v[None] for v in inputs['heatmap']]
            out['inputs'] = RenderedCubes(torch.cat(volumes), self.grid)
        else:
            clips = [k if k.dim() == 5 else k[None] for k in inputs['keypoints']]
            persons = max(k.shape[1] for k in clips)
            clips = [F.pad(k, (0, 0) * 3 + (0, persons - k.shape[1])) for k in clips]
            out['inputs'] = ThermalCubes(torch.cat(clips), self.grid, self.sigma, self.use_score)
        if 'mask' in inputs:
            out['mask'] = torch.stack(tuple(inputs['mask']))
        return out
