"""Thermal cubes: Gaussian heat of keypoints, rendered on demand.

A keypoint heats only a few pixels, so nothing dense is computed: the window of +-3 sigma around
every keypoint (PoseConv3D, arXiv 2104.13586; MoFM eq. 1) is evaluated and scattered into the
requested output: the volume U, its union over joints U_R, or only the occupied cubes.
"""

import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mofm.utils.checks import is_number, require

from .cube_grid import CubeGrid
from .score import SCORE_THRESHOLD

_MAX_SIGMA = 4  # the windows of the joints grow with its square


def check_sigma(owner, sigma: float) -> float:
    """Return the standard deviation of a Gaussian in pixels, or raise a ValueError."""
    require(is_number(sigma, 1e-6, _MAX_SIGMA), owner, 'sigma', sigma,
            f'a positive number of pixels, at most {_MAX_SIGMA}')
    return sigma


class ThermalCubes:
    """Batch of clips on the device, as keypoints that are rendered on demand.

    ``U[j, f, y, x] = max over persons of exp(-((x - x_jf)^2 + (y - y_jf)^2) / (2 sigma^2))``,
    zero outside of +-3 sigma, exactly the support of mmaction2's ``GeneratePoseTarget``.

    Args:
        keypoints (Tensor): (B, M, J, F, 3); x and y in canvas pixels, score in [0, 1]. A score
            below 1e-4 or a coordinate that is not finite marks a missing joint.
        grid (CubeGrid): Geometry of the cubes.
        sigma (float): Standard deviation of the Gaussian in pixels. Defaults to 0.6.
        use_score (bool): Multiply the heat by the score. Missing joints have no heat in either
            case, unlike in mmaction2, which without scores draws them at (0, 0). Defaults to
            False.

    Raises:
        ValueError: If the shape of ``keypoints`` does not fit, or sigma is out of range.
    """

    def __init__(self,
                 keypoints: Tensor,
                 grid: CubeGrid,
                 sigma: float = 0.6,
                 use_score: bool = False):
        if keypoints.dim() != 5 or keypoints.shape[-1] != 3:
            raise ValueError(f'keypoints: found shape {tuple(keypoints.shape)}, expected '
                             '(B, M, J, F, 3)')
        if keypoints.shape[3] != grid.num_frames:
            raise ValueError(f'keypoints: found {keypoints.shape[3]} frames, expected '
                             f'{grid.num_frames} (num_frames of the grid)')
        self.keypoints = keypoints.float()
        self.grid = grid
        self.sigma = check_sigma(self, sigma)
        self.use_score = use_score
        self._splats: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        self._peaks: Tensor | None = None
        self._segments: ThermalCubes | None = None

    def __len__(self):
        return self.keypoints.shape[0]

    def __getitem__(self, clips: slice) -> 'ThermalCubes':
        return ThermalCubes(self.keypoints[clips], self.grid, self.sigma, self.use_score)

    @property
    def device(self) -> torch.device:
        """Device of the keypoints."""
        return self.keypoints.device

    @property
    def num_joints(self) -> int:
        """Number of joints J."""
        return self.keypoints.shape[2]

    def _windows(self):
        """Render the window of every present keypoint.

        Returns:
            tuple: Indices (b, j, f) of the N present keypoints (3, N), columns and rows of their
            windows (N, S), and heat (N, S, S) with rows before columns. Pixels of a window outside
            of the support have heat 0.
        """
        if self._splats is None:
            present = (self.keypoints[..., 2] >= SCORE_THRESHOLD) & (
                self.keypoints.isfinite().all(-1))
            b, m, j, f = present.nonzero().unbind(1)
            points = self.keypoints[b, m, j, f]
            reach, size = 3 * self.sigma, self.grid.canvas
            span = torch.arange(min(math.ceil(2 * reach) + 1, size), device=self.device)
            # huge coordinates would overflow; their window is empty
            center = points[:, :2].clamp(-2 * reach - 2, size + 2 * reach + 2)
            start = (center - reach).trunc().clamp(min=0)
            end = ((center + reach).trunc() + 1).clamp(max=size)
            pixel = start[..., None] + span  # (N, 2, S)
            heat = torch.exp(-(pixel - center[..., None]).square() / (2 * self.sigma**2))
            heat = heat * (pixel < end[..., None])
            heat_x, heat_y = heat.unbind(1)
            if self.use_score:
                heat_y = heat_y * points[:, 2:]
            columns, rows = pixel.clamp(max=size - 1).long().unbind(1)
            self._splats = (torch.stack((b, j, f)), columns, rows,
                            heat_y[:, :, None] * heat_x[:, None, :])
        return self._splats

    def _scatter(self, size: int, index: Tensor, heat: Tensor) -> Tensor:
        # np.zeros does not map pages until they are touched, and few are
        out = torch.from_numpy(np.zeros(size, np.float32)) if heat.device.type == 'cpu' \
            else heat.new_zeros(size)
        return out.scatter_reduce_(0, index.flatten(), heat.flatten(), 'amax')

    def _pixels(self, plane: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
        """Compute flat indices (N, S, S) into planes of the canvas."""
        size = self.grid.canvas
        return (plane[:, None, None] * size + rows[:, :, None]) * size + columns[:, None, :]

    def volume(self) -> Tensor:
        """Render the heat of every joint, U.

        Returns:
            Tensor: (B, J, F, H, W) in [0, 1].
        """
        (b, j, f), columns, rows, heat = self._windows()
        batch, joints, frames = len(self), self.num_joints, self.grid.num_frames
        shape = (batch, joints, frames, self.grid.canvas, self.grid.canvas)
        index = self._pixels((b * joints + j) * frames + f, columns, rows)
        return self._scatter(math.prod(shape), index, heat).view(shape)

    def union(self) -> Tensor:
        """Render the maximum over joints, U_R, the target of the tokenizer.

        Returns:
            Tensor: (B, F, H, W) in [0, 1].
        """
        (b, _, f), columns, rows, heat = self._windows()
        shape = (len(self), self.grid.num_frames, self.grid.canvas, self.grid.canvas)
        index = self._pixels(b * self.grid.num_frames + f, columns, rows)
        return self._scatter(math.prod(shape), index, heat).view(shape)

    def traces(self) -> Tensor:
        """Render the maximum over frames, the trace of every joint.

        Returns:
            Tensor: (B, J, H, W) in [0, 1].
        """
        (b, j, _), columns, rows, heat = self._windows()
        shape = (len(self), self.num_joints, self.grid.canvas, self.grid.canvas)
        index = self._pixels(b * self.num_joints + j, columns, rows)
        return self._scatter(math.prod(shape), index, heat).view(shape)

    def peaks(self) -> Tensor:
        """Compute the highest heat of every cube, over joints, frames and pixels.

        Returns:
            Tensor: (B, K) in [0, 1].
        """
        if self._peaks is None:
            (b, _, _), columns, rows, heat = self._windows()
            cube = self.grid.index(columns[:, None, :], rows[:, :, None])
            index = b[:, None, None] * self.grid.num_cubes + cube
            shape = (len(self), self.grid.num_cubes)
            self._peaks = self._scatter(math.prod(shape), index, heat).view(shape)
        return self._peaks

    def occupied(self, segments: int = 1) -> Tensor:
        """Find the cubes with any heat.

        Args:
            segments (int): S, see :meth:`cut`. Defaults to 1.

        Returns:
            Tensor: (B, S * K) bool.
        """
        return (self.cut(segments).peaks() > 0).view(-1, segments * self.grid.num_cubes)

    def cut(self, segments: int) -> 'ThermalCubes':
        """Cut each clip into S segments of F / S frames.

        Returns:
            ThermalCubes: B * S clips, the segments of a clip in a row.
        """
        if segments == 1:
            return self
        frames = self.grid.num_frames // segments
        if self._segments is None or self._segments.grid.num_frames != frames:  # rendered once
            keypoints = self.keypoints.unflatten(3, (segments, frames)).movedim(3, 1)
            self._segments = ThermalCubes(keypoints.flatten(0, 1),
                                          replace(self.grid, num_frames=frames), self.sigma,
                                          self.use_score)
        return self._segments

    def shares(self, parts: int, segments: int = 1) -> Tensor:
        """Compute how the heat of each joint is distributed over the cubes.

        The heat of the frames of a part is added.

        Args:
            parts (int): P, equal parts of the clip.
            segments (int): S, see :meth:`cut`. Defaults to 1.

        Returns:
            Tensor: (B, J, P, S * K), which sum to 1 over the cubes; 0 for missing joints.
        """
        (b, j, f), columns, rows, heat = self._windows()
        frames, size = self.grid.num_frames, self.grid.canvas
        pixel = self._pixels((b * self.num_joints + j) * frames + f, columns, rows).flatten()
        heat = heat.flatten()
        if self.keypoints.shape[1] > 1:  # a pixel has the heat of one person
            pixel, slot = pixel.unique(return_inverse=True)
            heat = self._scatter(len(pixel), slot, heat)
        f, cube = pixel // size**2 % frames, self.grid.index(pixel % size, pixel // size % size)
        row = pixel // (size**2 * frames) * parts + f * parts // frames
        cube = (row * segments + f * segments // frames) * self.grid.num_cubes + cube
        shape = (len(self), self.num_joints, parts, segments * self.grid.num_cubes)
        total = heat.new_zeros(math.prod(shape)).index_add_(0, cube, heat)
        return F.normalize(total.view(shape), p=1, dim=-1)

    def cubes(self, select: Tensor | None = None) -> Tensor:
        """Render selected cubes without the rest of the volume.

        Args:
            select (Tensor, optional): (B, K) bool. Defaults to the occupied cubes.

        Returns:
            Tensor: (N, J, F, patch, patch) in the order of ``select.nonzero()``.
        """
        select = self.occupied() if select is None else select
        (b, j, f), columns, rows, heat = self._windows()
        p, joints, frames = self.grid.patch, self.num_joints, self.grid.num_frames
        slot = select.flatten().cumsum(0) - 1
        slot[~select.flatten()] = -1
        cube = self.grid.index(columns[:, None, :], rows[:, :, None])
        slot = slot[b[:, None, None] * self.grid.num_cubes + cube]  # (N, S, S)
        plane = slot * (joints * frames) + (j * frames + f)[:, None, None]
        pixel = (rows % p)[:, :, None] * p + (columns % p)[:, None, :]
        keep = slot >= 0
        shape = (int(select.sum()), joints, frames, p, p)
        index = (plane * (p * p) + pixel)[keep]
        return self._scatter(math.prod(shape), index, heat[keep]).view(shape)


class RenderedCubes(ThermalCubes):
    """Batch of clips with heat rendered by the loader (``render='loader'``).

    Args:
        volume (Tensor): (B, J, F, H, W).
        grid (CubeGrid): Geometry of the cubes.

    Raises:
        ValueError: If the volume differs from the grid in frames or canvas.
    """

    def __init__(self, volume: Tensor, grid: CubeGrid):
        expected = (grid.num_frames, grid.canvas, grid.canvas)
        if volume.dim() != 5 or tuple(volume.shape[2:]) != expected:
            raise ValueError(f'heat map: found shape {tuple(volume.shape)}, expected '
                             f'(B, J, {", ".join(map(str, expected))})')
        self.grid = grid
        self._volume = volume

    def __len__(self):
        return self._volume.shape[0]

    def __getitem__(self, clips: slice) -> ThermalCubes:
        return RenderedCubes(self._volume[clips], self.grid)

    @property
    def device(self) -> torch.device:
        """Device of the heat."""
        return self._volume.device

    @property
    def num_joints(self) -> int:
        """Number of joints J."""
        return self._volume.shape[1]

    def cut(self, segments: int) -> ThermalCubes:
        """See :meth:`ThermalCubes.cut`."""
        if segments == 1:
            return self
        frames = self.grid.num_frames // segments
        volume = self._volume.unflatten(2, (segments, frames)).movedim(2, 1).flatten(0, 1)
        return RenderedCubes(volume, replace(self.grid, num_frames=frames))

    def shares(self, parts: int, segments: int = 1) -> Tensor:
        """See :meth:`ThermalCubes.shares`."""
        heat = self.grid.split(self._volume).sum((-2, -1)).permute(0, 2, 3, 1)  # (B, J, F, K)
        frame = torch.arange(self.grid.num_frames, device=self.device)
        part, segment = (frame * n // self.grid.num_frames for n in (parts, segments))
        total = heat.new_zeros(*heat.shape[:2], parts * segments, heat.shape[3])
        total.index_add_(2, part * segments + segment, heat)
        return F.normalize(total.unflatten(2, (parts, segments)).flatten(3), p=1, dim=-1)

    def volume(self) -> Tensor:
        """See :meth:`ThermalCubes.volume`."""
        return self._volume

    def union(self) -> Tensor:
        """See :meth:`ThermalCubes.union`."""
        return self._volume.amax(1)

    def traces(self) -> Tensor:
        """See :meth:`ThermalCubes.traces`."""
        return self._volume.amax(2)

    def peaks(self) -> Tensor:
        """See :meth:`ThermalCubes.peaks`."""
        return self.grid.split(self.union()).flatten(2).amax(2)

    def cubes(self, select: Tensor | None = None) -> Tensor:
        """See :meth:`ThermalCubes.cubes`."""
        return self.grid.split(self._volume)[self.occupied() if select is None else select]
