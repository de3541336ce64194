"""Keypoint-wise masking of cubes (MoFM, Algorithm 1, corrected)."""

import numpy as np
from mmcv.transforms import BaseTransform

from mofm.registry import TRANSFORMS
from mofm.structures import SCORE_THRESHOLD, CubeGrid
from mofm.utils.checks import is_int, require


@TRANSFORMS.register_module()
class KeypointMaskGenerator(BaseTransform):
    """Mask the cubes of random keypoints.

    Of the n present joints of all persons and frames on the canvas, m are drawn without
    replacement, m uniform in [max(1, min(min_masked, n)), min(max_masked, n)], inclusive; their
    cubes are masked. As joints share cubes, fewer than m cubes are masked; ``unit='blocks'``
    counts distinct cubes instead, for n and m. A clip without a joint on the canvas has an empty
    mask.

    Required key: ``keypoints`` (M, J, F, 3), see :class:`ThermalCubeFormat`. Added key: ``mask``
    (K,) bool.

    Args:
        min_masked (int): Lower bound of m. Defaults to 16.
        max_masked (int): Upper bound of m. Defaults to 75.
        unit (str): 'points' or 'blocks'. Defaults to 'points'.
        canvas (int): Side of the canvas in pixels. Defaults to 72.
        patch (int): Side of a cube in pixels. Defaults to 4.
        num_frames (int): F, frames of a clip. Defaults to 48.
        segments (int): S, parts of the clip with cubes of their own, see
            :class:`mofm.models.MoFMBackbone`; K is S times the cubes of the canvas. Defaults to 1.

    Raises:
        ValueError: If a parameter is out of range, the canvas is not divisible by the patch, or
            ``keypoints`` is absent or has several clips.
    """

    def __init__(self,
                 min_masked: int = 16,
                 max_masked: int = 75,
                 unit: str = 'points',
                 canvas: int = 72,
                 patch: int = 4,
                 num_frames: int = 48,
                 segments: int = 1):
        require(is_int(segments, 1) and num_frames % segments == 0, self, 'segments', segments,
                f'a divisor of num_frames={num_frames}')
        require(is_int(min_masked, 0), self, 'min_masked', min_masked, 'an integer of at least 0')
        require(is_int(max_masked, max(min_masked, 1)), self, 'max_masked', max_masked,
                f'an integer of at least 1 and min_masked={min_masked}')
        require(unit in ('points', 'blocks'), self, 'unit', unit, "'points' or 'blocks'")
        self.min_masked = min_masked
        self.max_masked = max_masked
        self.unit = unit
        self.grid = CubeGrid(num_frames, canvas, patch)
        self.segments = segments

    def transform(self, results: dict) -> dict:
        """Add the mask."""
        keypoints = results.get('keypoints')
        require(keypoints is not None, self, 'keypoints', None,
                'keypoints on the canvas; add ThermalCubeFormat before it')
        require(np.ndim(keypoints) == 4 and keypoints.shape[2:] == (self.grid.num_frames, 3), self,
                'keypoints', keypoints.shape,
                f'shape (M, J, {self.grid.num_frames}, 3), one clip; sample with num_clips=1')
        x, y, score = keypoints.reshape(-1, 3).T
        cubes = self.grid.index(x, y)
        if self.segments > 1:
            frame = np.arange(len(cubes)) % self.grid.num_frames
            segment = frame * self.segments // self.grid.num_frames
            cubes = np.where(cubes < 0, cubes, segment * self.grid.num_cubes + cubes)
        cubes = np.random.permutation(cubes[(score >= SCORE_THRESHOLD) & (cubes >= 0)])
        if self.unit == 'blocks':
            cubes = cubes[np.sort(np.unique(cubes, return_index=True)[1])]  # in random order
        mask = np.zeros(self.segments * self.grid.num_cubes, dtype=bool)
        n = len(cubes)
        if n:
            low, high = max(1, min(self.min_masked, n)), min(self.max_masked, n)
            mask[cubes[:np.random.randint(low, high + 1)]] = True
        results['mask'] = mask
        return results
