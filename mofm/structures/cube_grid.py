"""Geometry and order of the thermal cubes."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mofm.utils.checks import is_int, require
from mofm.utils.limits import get_limits


@dataclass(frozen=True)
class CubeGrid:
    """Grid of the thermal cubes of a clip (MoFM, Sec. 4.1.1).

    Cube ``k = row * cols + col`` covers the rows ``patch * row ... patch * (row + 1) - 1`` and
    the columns alike, over all joints and frames.

    Args:
        num_frames (int): F, frames of a clip. Defaults to 48.
        canvas (int): H = W, side of the square heat map in pixels. Defaults to 72.
        patch (int): Side of a cube in pixels. Defaults to 4.

    Raises:
        ValueError: If the canvas is not a positive multiple of the patch, or the clip is larger
            than the limits of :mod:`mofm.utils.limits`.
    """

    num_frames: int = 48
    canvas: int = 72
    patch: int = 4

    def __post_init__(self):
        for name in ('num_frames', 'canvas', 'patch'):
            if isinstance(getattr(self, name), str):
                raise ValueError(f'{name}: found {getattr(self, name)!r}, expected a number; '
                                 'mofm.utils.config.load_config resolves references')
            require(is_int(getattr(self, name), 1), self, name, getattr(self, name),
                    'an integer of at least 1')
        if self.patch < 1 or self.canvas < self.patch or self.canvas % self.patch:
            raise ValueError(
                f'canvas: found {self.canvas}, expected a positive multiple of patch='
                f'{self.patch}, e.g. canvas=72 with patch=4')
        size, most = self.num_frames * self.canvas**2, get_limits().pixels
        require(size <= most, self, 'canvas', f'{size} pixels in {self.num_frames} frames',
                f'at most {most}; MOFM_LIMITS=pixels={size} allows it')

    @property
    def rows(self) -> int:
        """Number of cubes in a column (and in a row, as the canvas is square)."""
        return self.canvas // self.patch

    cols = rows

    @property
    def num_cubes(self) -> int:
        """K, the number of cubes of a clip."""
        return self.rows * self.cols

    def index(self, x, y):
        """Find the cubes of points (x, y).

        Args:
            x (np.ndarray | Tensor): Columns on the canvas in pixels, any shape.
            y (np.ndarray | Tensor): Rows on the canvas in pixels, same shape.

        Returns:
            np.ndarray | Tensor: Indices of cubes, -1 for points outside of the canvas or NaN.
        """
        inside = (x >= 0) & (x < self.canvas) & (y >= 0) & (y < self.canvas)
        if isinstance(inside, Tensor):
            x, y = (torch.where(inside, v, 0).long() // self.patch for v in (x, y))
            return torch.where(inside, y * self.cols + x, -1)
        x, y = (np.where(inside, v, 0).astype(np.int64) // self.patch for v in (x, y))
        return np.where(inside, y * self.cols + x, -1)

    def pieces(self, grid: tuple | str, num_pieces: int) -> Tensor:
        """Cut the cubes into P equal pieces, for the token jigsaw.

        Args:
            grid (tuple[int, int] | str): Rows and columns of rectangles, or 'raster', runs of
                cubes in raster order.
            num_pieces (int): P with 'raster'.

        Returns:
            Tensor: (P, K / P) indices of cubes.

        Raises:
            ValueError: If the cubes cannot be cut into equal pieces.
        """
        index = torch.arange(self.num_cubes)
        if grid == 'raster':
            if self.num_cubes % num_pieces:
                raise ValueError(f'num_pieces: found {num_pieces}, expected a divisor of '
                                 f'{self.num_cubes}, the number of cubes')
            return index.view(num_pieces, -1)
        if not isinstance(grid, (tuple, list)) or len(grid) != 2 or any(
                n < 1 or self.rows % n for n in grid):
            raise ValueError(f"grid: found {grid!r}, expected 'raster' or two divisors of "
                             f'{self.rows}, the cubes in a row')
        rows, columns = self.rows // grid[0], self.cols // grid[1]
        index = index.view(grid[0], rows, grid[1], columns).transpose(1, 2)
        return index.reshape(grid[0] * grid[1], -1)

    def split(self, volume: Tensor) -> Tensor:
        """Cut (B, ..., H, W) into cubes (B, K, ..., patch, patch)."""
        p, shape = self.patch, volume.shape
        cut = volume.reshape(*shape[:-2], self.rows, p, self.cols, p)
        cut = cut.movedim((-4, -2), (1, 2))  # (B, rows, cols, ..., p, p)
        return cut.reshape(shape[0], self.num_cubes, *shape[1:-2], p, p)

    def merge(self, cubes: Tensor) -> Tensor:
        """Invert :meth:`split`."""
        shape = cubes.shape
        cut = cubes.reshape(shape[0], self.rows, self.cols, *shape[2:]).movedim((1, 2), (-4, -2))
        return cut.reshape(shape[0], *shape[2:-2], self.canvas, self.canvas)
