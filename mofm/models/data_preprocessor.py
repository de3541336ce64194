"""Data preprocessors: keypoints to the device, and to thermal cubes."""

import torch
from mmengine.model import BaseDataPreprocessor

from mofm.registry import MODELS
from mofm.structures import CubeGrid, RenderedCubes, ThermalCubes, stack_inputs
from mofm.structures.thermal_cubes import check_sigma


def joints_last(keypoints: torch.Tensor) -> torch.Tensor:
    """View (B, [clips,] M, J, T, C) as (B * clips, M, T, J, C)."""
    return keypoints.view(-1, *keypoints.shape[-4:]).transpose(2, 3)


@MODELS.register_module()
class SkeletonDataPreprocessor(BaseDataPreprocessor):
    """Keypoints of a batch on the device, for models that read coordinates.

    Samples with fewer persons are padded with missing ones; the clips of a sample are consecutive
    in the batch.
    """

    def __init__(self):
        super().__init__(non_blocking=True)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Convert collated samples of :class:`PackMotionInputs` to the arguments of a model.

        Args:
            data (dict): ``inputs`` with ``keypoints`` (B, [clips,] M, J, T, C), or a list of these
                without B; ``data_samples`` (list); ``labels`` (B,) if the samples lack theirs.
            training (bool): Unused.

        Returns:
            dict: ``inputs`` (B * clips, M, T, J, C), a view, and ``data_samples``.
        """
        data = self._receive(data)
        return dict(inputs=joints_last(data['inputs']['keypoints']),
                    data_samples=data.get('data_samples'))

    def _receive(self, data: dict) -> dict:
        """Move a batch to the device and its labels to their samples."""
        if not isinstance(data['inputs']['keypoints'], torch.Tensor):
            data = dict(data, inputs=stack_inputs(data['inputs']))
        data = self.cast_data(data)
        for sample, label in zip(data.get('data_samples') or (),
                                 data.get('labels', ()),
                                 strict=False):
            sample.set_gt_label(label[None])
        return data


@MODELS.register_module()
class MotionDataPreprocessor(SkeletonDataPreprocessor):
    """Samples of a batch on the device as :class:`ThermalCubes`.

    Samples with fewer persons are padded with missing ones; the clips of a sample (``num_clips``
    of the sampling) are consecutive in the batch.

    Args:
        num_frames, canvas, patch (int): Geometry, see :class:`CubeGrid`.
        sigma (float): Standard deviation of the Gaussian in pixels. Defaults to 0.6.
        use_score (bool): Multiply the heat by the score. Missing joints have no heat in either
            case, unlike in mmaction2, which without scores draws them at (0, 0). Defaults to
            False.
    """

    def __init__(self,
                 num_frames: int = 48,
                 canvas: int = 72,
                 patch: int = 4,
                 sigma: float = 0.6,
                 use_score: bool = False):
        super().__init__()
        self.grid = CubeGrid(num_frames, canvas, patch)
        self.sigma = check_sigma(self, sigma)
        self.use_score = use_score

    def forward(self, data: dict, training: bool = False) -> dict:
        """Convert collated samples of :class:`PackMotionInputs` to the arguments of a model.

        Args:
            data (dict): ``inputs`` with ``keypoints`` (B, [clips,] M, J, F, 3), optionally
                ``heatmap`` (B, [clips,] J, F, H, W) and ``mask`` (B, K), or lists of these
                without B; ``data_samples`` (list); ``labels`` (B,) if the samples lack theirs.
            training (bool): Unused.

        Returns:
            dict: ``inputs`` (ThermalCubes), ``data_samples`` and, if given, ``mask`` (B, K).
        """
        data = self._receive(data)
        inputs, out = data['inputs'], dict(data_samples=data.get('data_samples'))
        if 'heatmap' in inputs:
            volume = inputs['heatmap']  # (B, [clips,] J, F, H, W)
            out['inputs'] = RenderedCubes(volume.view(-1, *volume.shape[-4:]), self.grid)
        else:
            keypoints = inputs['keypoints']  # (B, [clips,] M, J, F, 3)
            out['inputs'] = ThermalCubes(
                keypoints.view(-1, *keypoints.shape[-4:]), self.grid, self.sigma, self.use_score)
        if 'mask' in inputs:
            out['mask'] = inputs['mask']
        return out
