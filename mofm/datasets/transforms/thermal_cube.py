"""Mapping of keypoints to the canvas of thermal cubes (MoFM, Sec. 4.1)."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mofm.registry import TRANSFORMS
from mofm.structures import CubeGrid, ThermalCubes
from mofm.structures.thermal_cubes import check_sigma
from mofm.utils.checks import require

from .utils import read_joints


def fit_canvas(size, canvas: int, xp=np) -> tuple:
    """Compute scale and offset that fit an image in the center of a square canvas.

    Args:
        size (array): (..., 2) width and height of the image, float32.
        canvas (int): Side of the canvas in pixels.
        xp (module): ``numpy`` or ``torch``. Defaults to NumPy.

    Returns:
        tuple: Scale (..., 1) and offset (..., 2): ``scale * point + offset`` is on the canvas.
    """
    # not a maximum over the axis: OpenVINO 2026.4 swaps the operands of a division by one
    longest = xp.maximum(size[..., :1], size[..., 1:])
    # number / tensor is a reciprocal in torch with one more rounding than in NumPy
    scale = xp.full_like(longest, canvas) / longest
    return scale, (canvas - size * scale) / 2


@TRANSFORMS.register_module()
class ThermalCubeFormat(BaseTransform):
    """Fit the image to the square canvas and arrange the keypoints for the model.

    The longer side is scaled to the canvas and the image centered, which preserves proportions.
    Points outside the canvas are kept, as their heat may overlap it. A clip without persons
    becomes one person with all joints missing.

    Required keys: ``keypoint`` (M, num_clips * F, V, 2), ``keypoint_score`` (optional),
    ``img_shape``, ``num_clips`` (optional, 1). Added key: ``keypoints`` (M, J, F, 3) float32:
    x and y in canvas pixels and score; (num_clips, M, J, F, 3) for several clips. With
    ``render='loader'`` also ``heatmap`` (J, F, H, W) float32, clips first for several.

    Args:
        num_frames (int): F, frames of a clip. Defaults to 48.
        canvas (int): H = W in pixels. Defaults to 72.
        patch (int): Side of a cube in pixels. Defaults to 4.
        sigma (float): Standard deviation of the Gaussian in canvas pixels, for ``heatmap``.
            Defaults to 0.6.
        use_score (bool): Multiply the heat by the score, for ``heatmap``. Defaults to False.
        render (str): 'device' to render in the data preprocessor only, 'loader' to also render
            here, for inspection. Defaults to 'device'.

    Raises:
        ValueError: If a parameter is out of range, the canvas is not divisible by the patch, or
            the number of frames differs.
    """

    def __init__(self,
                 num_frames: int = 48,
                 canvas: int = 72,
                 patch: int = 4,
                 sigma: float = 0.6,
                 use_score: bool = False,
                 render: str = 'device'):
        self.grid = CubeGrid(num_frames, canvas, patch)
        require(render in ('device', 'loader'), self, 'render', render, "'device' or 'loader'")
        self.sigma = check_sigma(self, sigma)
        self.use_score = use_score
        self.render = render

    def transform(self, results: dict) -> dict:
        """Add ``keypoints``, and ``heatmap`` with ``render='loader'``."""
        keypoint, score, present = read_joints(self, results)
        clips, frames = results.get('num_clips', 1), self.grid.num_frames
        require(keypoint.shape[1] == clips * frames, self, 'frames of keypoint',
                keypoint.shape[1], f'{clips} x {frames} (num_clips x num_frames); add '
                f'UniformSampleFrames(clip_len={frames}) before it')
        size = np.asarray(results['img_shape'][::-1], dtype=np.float32)
        require(bool((size > 0).all()), self, 'img_shape', results['img_shape'],
                'a positive height and width in pixels')

        scale, offset = fit_canvas(size, self.grid.canvas)
        keypoint *= scale
        keypoint += offset
        keypoint[~present] = 0
        persons, _, joints = score.shape
        out = np.zeros((clips, max(persons, 1), joints, frames, 3), dtype=np.float32)
        view = out[:, :persons].transpose(1, 0, 3, 2, 4)  # (M, clips, F, J, 3)
        view[..., :2] = keypoint.reshape(*view.shape[:-1], 2)
        view[..., 2] = score.reshape(view.shape[:-1])
        if self.render == 'loader':
            cubes = ThermalCubes(torch.from_numpy(out), self.grid, self.sigma, self.use_score)
            heatmap = cubes.volume().numpy()  # (clips, J, F, H, W)
            results['heatmap'] = heatmap if clips > 1 else heatmap[0]
        results['keypoints'] = out if clips > 1 else out[0]
        return results
