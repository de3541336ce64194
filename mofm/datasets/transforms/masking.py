"""Masking of cubes: keypoint-wise (MoFM, Algorithm 1, corrected), block-wise as in BEiT."""

import numpy as np
from mmcv.transforms import BaseTransform

from mofm.registry import TRANSFORMS
from mofm.structures import SCORE_THRESHOLD, CubeGrid
from mofm.utils.checks import is_int, is_number, require


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


@TRANSFORMS.register_module()
class BlockMaskGenerator(BaseTransform):
    """Mask random rectangles of cubes, as in BEiT (arXiv 2106.08254, Algorithm 1).

    Rectangles of at least ``min_block`` cubes are added until the share of the cubes is masked, or
    none of ten fits into what is left.

    Added key: ``mask`` (K,) bool.

    Args:
        share (float): Largest share of masked cubes. Defaults to 0.4.
        min_block (int): Smallest rectangle in cubes. Defaults to 16.
        aspect (float): Smallest ratio of height and width, below 1; its inverse is the largest.
            Defaults to 0.3.
        canvas, patch (int): Geometry, see :class:`CubeGrid`. Default to 72 and 4.

    Raises:
        ValueError: If a parameter is out of range, or the share is less than a rectangle.
    """

    def __init__(self, share: float = 0.4, min_block: int = 16, aspect: float = 0.3,
                 canvas: int = 72, patch: int = 4):
        self.grid = CubeGrid(1, canvas, patch)
        require(is_number(share, 1e-6, 1 - 1e-6), self, 'share', share, 'a number in (0, 1)')
        require(is_number(aspect, 1e-6, 1), self, 'aspect', aspect, 'a number in (0, 1]')
        self.most = round(share * self.grid.num_cubes)
        require(is_int(min_block, 1, self.most), self, 'min_block', min_block,
                f'an integer from 1 to {self.most}, the masked cubes')
        self.min_block = min_block
        self.aspect = aspect

    def transform(self, results: dict) -> dict:
        """Add the mask."""
        mask = np.zeros((self.grid.rows, self.grid.cols), dtype=bool)
        while self._add(mask, self.most - mask.sum()):
            pass
        results['mask'] = mask.ravel()
        return results

    def _add(self, mask: np.ndarray, left: int) -> bool:
        """Mask a rectangle of at most ``left`` new cubes; return whether one fitted."""
        for _ in range(10 if left else 0):
            area = np.random.uniform(self.min_block, left)
            ratio = np.exp(np.random.uniform(np.log(self.aspect), -np.log(self.aspect)))
            height, width = (round(n) for n in (np.sqrt(area * ratio), np.sqrt(area / ratio)))
            if height >= len(mask) or width >= len(mask):
                continue
            top, start = (np.random.randint(len(mask) - n + 1) for n in (height, width))
            block = mask[top:top + height, start:start + width]
            if 0 < block.size - block.sum() <= left:
                block[:] = True
                return True
        return False
