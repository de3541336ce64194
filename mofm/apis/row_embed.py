"""Cube embedding as products of matrices, for graphs of ONNX Runtime."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mofm.models.backbones import ConvCubeEmbed
from mofm.models.backbones.mofm_backbone import ResidualBlock3D
from mofm.structures import CubeGrid


class RowConv(nn.Module):
    """3D convolution of cubes as products of matrices, each for a row of a few frames.

    The features of a row are its columns side by side. ONNX Runtime multiplies matrices faster
    than it convolves images as small as cubes, and has fast 8-bit kernels for products only.

    Args:
        conv (nn.Conv3d): Convolution without bias.
        size (tuple[int]): Rows H, frames T and columns W of the input.

    Attributes:
        size (tuple[int]): Rows, frames and columns of the output.
    """

    _frames = 4  # of a product; the features that it reads stay in the cache

    def __init__(self, conv: nn.Conv3d, size: tuple):
        super().__init__()
        weight = conv.weight.detach().transpose(2, 3)  # (C', C, H, T, W)
        row, frame, column = (
            self._reads(length, *(int(of[axis]) for of in (
                conv.kernel_size, conv.stride, conv.padding)))
            for length, axis in zip(size, (1, 0, 2), strict=True))
        self.size = (len(row), len(frame), len(column))
        inside = F.one_hot(column + 1, size[2] + 1)[..., 1:].float()  # (W', taps, W)
        weight = torch.einsum('dcijk,vkw->ijcwdv', weight, inside).flatten(4).flatten(2, 3)
        outside = size[0] * size[1]  # behind the last row of the last frame: zero
        self._products: list[tuple[str, int, str]] = []
        for taps in row:
            used = taps >= 0
            name = f'weight{"".join(map(str, used.int().tolist()))}'
            self.register_buffer(name, weight[used].flatten(0, 2), persistent=False)
            for frames in frame.split(self._frames):
                index = (taps[used][:, None] * size[1] + frames[:, None]).where(
                    frames[:, None] >= 0, outside)  # (frames, rows, taps in time)
                self._products.append((name, len(frames), f'index{len(self._products)}'))
                self.register_buffer(self._products[-1][-1], index.flatten(), persistent=False)

    @staticmethod
    def _reads(size: int, kernel: int, stride: int, padding: int) -> Tensor:
        """Find the positions that each output reads (size', kernel), -1 outside."""
        outputs = (size + 2 * padding - kernel) // stride + 1
        read = torch.arange(outputs)[:, None] * stride + torch.arange(kernel) - padding
        return read.where(read < size, -1).clamp(min=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, H * T, C * W) to (N, H' * T', C' * W')."""
        x = F.pad(x, (0, 0, 0, 1))
        return torch.cat([
            x.index_select(1, self.get_buffer(index)).unflatten(1, (frames, -1)).flatten(2)
            @ self.get_buffer(weight) for weight, frames, index in self._products], 1)


class RowNorm(nn.Module):
    """Group normalization of cubes (N, H * T, C * W), as behind :class:`RowConv`."""

    weight: Tensor
    bias: Tensor

    def __init__(self, norm: nn.GroupNorm, columns: int):
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        for name in ('weight', 'bias'):
            channels = getattr(norm, name).detach()
            self.register_buffer(name, channels.repeat_interleave(columns), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize over rows, frames, columns and the channels of a group."""
        x = x.unflatten(2, (self.groups, -1)).transpose(1, 2)  # (N, groups, H * T, C / groups * W)
        x = F.layer_norm(x, x.shape[2:], eps=self.eps).transpose(1, 2).flatten(2)
        return x * self.weight + self.bias


class RowBlock(nn.Module):
    """:class:`ResidualBlock3D` of cubes (N, H * T, C * W)."""

    def __init__(self, block: ResidualBlock3D, size: tuple):
        super().__init__()
        self.conv1 = RowConv(block.conv1, size)
        self.size = self.conv1.size
        self.norm1 = RowNorm(block.norm1, self.size[2])
        self.conv2 = RowConv(block.conv2, self.size)
        self.norm2 = RowNorm(block.norm2, self.size[2])
        self.shortcut = RowConv(block.shortcut, size)

    def forward(self, x: Tensor) -> Tensor:
        """Transform (N, H * T, C * W)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class RowEmbed(nn.Module):
    """:class:`ConvCubeEmbed` as products of matrices.

    Args:
        embed (ConvCubeEmbed): Cube embedding.
        grid (CubeGrid): Geometry of the cubes.
    """

    weight: Tensor

    def __init__(self, embed: ConvCubeEmbed, grid: CubeGrid):
        super().__init__()
        size, blocks = (grid.patch, grid.num_frames, grid.patch), []
        for block in embed.blocks:
            assert isinstance(block, ResidualBlock3D)
            blocks.append(RowBlock(block, size))
            size = blocks[-1].size
        self.blocks = nn.Sequential(*blocks)
        rows, frames, columns = size
        weight = embed.proj.weight.detach().unflatten(1, (-1, frames, rows, columns))
        self.register_buffer('weight', weight.permute(0, 3, 2, 1, 4).flatten(1), persistent=False)
        self.bias = embed.proj.bias

    def forward(self, cubes: Tensor) -> Tensor:
        """Embed cubes: (N, J, F, p, p) to (N, D)."""
        rows = cubes.permute(0, 3, 2, 1, 4).flatten(3).flatten(1, 2)  # (N, p * F, J * p)
        return F.linear(self.blocks(rows).flatten(1), self.weight, self.bias)
