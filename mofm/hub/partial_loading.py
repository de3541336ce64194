"""Partial loading: weights of a model of another size, as far as they fit.

The position table is resized, as in ViT for another image size (arXiv 2010.11929, Sec. 3.2): its
rows are a grid of cubes, which is interpolated bicubically.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from mofm.registry import WEIGHT_INITIALIZERS
from mofm.structures import CubeGrid

from .checkpoint import find_checkpoint, load_state, load_weights
from .published import read_config

_SHOWN = 8


@dataclass
class LoadReport:
    """Load status of every tensor.

    Attributes:
        source (str): Source of the weights.
        matched (list[str]): Tensors loaded unchanged.
        resized (dict[str, str]): Tensors loaded after resizing, with the sizes.
        new (dict[str, str]): Tensors kept as initialized, with the reason.
        unused (list[str]): Tensors of the source that the model lacks.
        notes (list[str]): Assumptions.
        sizes (dict[str, int]): Number of elements of each tensor of the model.
    """

    source: str
    matched: list[str] = field(default_factory=list)
    resized: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def share(self, kind: str) -> float:
        """Compute the share of the model's elements that are 'matched', 'resized' or 'new'."""
        return sum(self.sizes[name] for name in getattr(self, kind)) / sum(self.sizes.values())

    def __str__(self) -> str:
        lines = [f'Weights from {self.source}', '           tensors  elements']
        lines += [f'  {kind:8} {len(getattr(self, kind)):7}  {self.share(kind):8.2%}'
                  for kind in ('matched', 'resized', 'new')]
        lines += [f'  unused   {len(self.unused):7}']
        for kind in ('resized', 'new'):
            items = list(getattr(self, kind).items())
            lines += [f'  {kind}: {name}: {why}' for name, why in items[:_SHOWN]]
            lines += [f'  {kind}: ... and {len(items) - _SHOWN} more'] * (len(items) > _SHOWN)
        if self.unused:
            more = f', ... and {len(self.unused) - _SHOWN} more' * (len(self.unused) > _SHOWN)
            lines.append(f'  unused: {", ".join(self.unused[:_SHOWN])}{more}')
        return '\n'.join(lines + [f'  note: {note}' for note in self.notes])


def resize_positions(table: Tensor, source: CubeGrid, target: Tensor, grid: CubeGrid,
                     source_cls: bool = False, target_cls: bool = False) -> Tensor:
    """Resize a position table to another grid of cubes.

    Bicubic with antialiasing, as in timm: it keeps linear tables linear, and averages where the
    new grid is coarser.

    Args:
        table (Tensor): (1, N, D), the class token, if any, before the cubes.
        source (CubeGrid): Grid of ``table``.
        target (Tensor): (1, N', D), source of the rows that ``table`` lacks: that of a class
            token, and those beyond the grid, which are never read.
        grid (CubeGrid): Grid of ``target``.
        source_cls (bool): Whether ``table`` begins with a class token.
        target_cls (bool): Whether ``target`` begins with a class token.

    Returns:
        Tensor: (1, N', D).
    """
    cubes = table[:, source_cls:source_cls + source.num_cubes]
    cubes = cubes.unflatten(1, (source.rows, source.cols)).permute(0, 3, 1, 2).float()
    if source.rows != grid.rows:
        cubes = F.interpolate(cubes, (grid.rows, grid.cols), mode='bicubic', antialias=True)
    resized = target.clone()
    resized[:, target_cls:target_cls + grid.num_cubes] = cubes.flatten(2).mT
    if source_cls and target_cls:
        resized[:, 0] = table[:, 0]
    return resized


def load_partial(model: nn.Module, source: str | Path, prefix: str = '',
                 source_grid: dict | None = None) -> LoadReport:
    """Load the weights that fit into a model; others keep their values.

    The position table of a backbone is resized if canvas or patch differ. Its cube embedding reads
    all frames and pixels of a cube, so it is not loaded if frames or patch differ.

    Args:
        model (nn.Module): Initialized model to load into.
        source (str or Path): Checkpoint, published folder, ID of one on the Hugging Face hub, or
            URL.
        prefix (str): Prefix of the names of a part, e.g. 'backbone.'. Defaults to all.
        source_grid (dict, optional): ``canvas``, ``patch`` and, if different, ``num_frames`` of
            the source. A published folder knows them; a plain checkpoint does not.

    Returns:
        LoadReport: Load status of every tensor.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not a checkpoint, ``source_grid`` does not fit it, or nothing
            fits the model.
    """
    file = find_checkpoint(source)
    state = load_state(file, prefix)
    if not state:
        names = sorted({name.partition('.')[0] for name in load_state(file)})
        raise ValueError(f'prefix: found {prefix!r}, expected the start of a name in {source}, '
                         f'e.g. {", ".join(f"{name}." for name in names[:5])}')
    own = model.state_dict()
    report = LoadReport(f'{source}{f", {prefix}*" if prefix else ""} into {type(model).__name__}',
                        sizes={name: tensor.numel() for name, tensor in own.items()})
    for path, backbone in _with_positions(model):
        grid = source_grid or _published_grid(file, prefix + path)
        _fit(report, state, path, backbone, grid)
    for name, tensor in own.items():
        if name in report.new:
            continue
        if name not in state:
            report.new[name] = 'not in the source'
        elif state[name].shape != tensor.shape:
            report.new[name] = (f'{tuple(state[name].shape)} in the source, '
                                f'{tuple(tensor.shape)} here')
        elif name not in report.resized:
            report.matched.append(name)
    report.unused = sorted(state.keys() - set(report.matched) - report.resized.keys())
    if not report.matched and not report.resized:
        raise ValueError(f'{report}\n{source}: nothing fits; check prefix and size')
    loaded = {name: state[name] for name in (*report.matched, *report.resized)}
    model.load_state_dict(loaded, strict=False)
    return report


def _with_positions(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield prefix and module of all modules with a position table over a grid of cubes."""
    for name, module in model.named_modules():
        if isinstance(getattr(module, 'grid', None), CubeGrid) and hasattr(module, 'pos_embed'):
            yield f'{name}.' if name else '', module


def _published_grid(file: str | Path, path: str) -> dict | None:
    """Read the geometry of a part of a published model, None for other checkpoints."""
    file = Path(file)
    if file.suffix != '.safetensors' or not file.with_name('config.json').is_file():
        return None
    part = read_config(file.with_name('config.json')).model
    for name in path.split('.')[:-1]:
        part = part.get(name, {})
    return {name: part.get(name, getattr(CubeGrid, name))
            for name in ('num_frames', 'canvas', 'patch')}


def _fit(report: LoadReport, state: dict, path: str, backbone: Any, grid: dict | None):
    """Resize the position table in ``state``, and skip a cube embedding of other cubes."""
    name = f'{path}pos_embed'
    if name not in state:
        return
    here, table = backbone.grid, state[name]
    if grid is None:
        if table.shape == backbone.pos_embed.shape:
            report.notes.append(f'{name}: the grid of the source is unknown and assumed equal; '
                                'otherwise set source_grid=dict(canvas=..., patch=...)')
        else:
            report.new[name] = (f'{tuple(table.shape)} in the source, whose grid is unknown; set '
                                'source_grid=dict(canvas=..., patch=...) to resize it')
        return
    there = CubeGrid(**{'num_frames': here.num_frames, **grid})
    source_cls, target_cls = f'{path}cls_token' in state, backbone.cls_token is not None
    if table.dim() != 3 or table.shape[1] < source_cls + there.num_cubes:
        raise ValueError(f'source_grid: found {there} with {there.num_cubes} cubes, expected the '
                         f'grid of {name} {tuple(table.shape)}')
    if (there.num_frames, there.patch) != (here.num_frames, here.patch):
        cubes = [f'{g.num_frames} frames of {g.patch}x{g.patch}' for g in (there, here)]
        report.new.update((key, f'cubes of {cubes[0]} in the source, {cubes[1]} here')
                          for key in report.sizes if key.startswith(f'{path}embed.'))
    same = there.rows == here.rows and source_cls == target_cls
    if table.shape[::2] == backbone.pos_embed.shape[::2] and not (
            same and table.shape == backbone.pos_embed.shape):
        state[name] = resize_positions(table, there, backbone.pos_embed.detach(), here,
                                       source_cls, target_cls)
        report.resized[name] = (f'{there.rows}x{there.cols} cubes to {here.rows}x{here.cols}, '
                                f'table of {table.shape[1]} rows to '
                                f'{backbone.pos_embed.shape[1]}')


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class PretrainedInit:
    """Initialization by a checkpoint that fits completely, ``dict(type='Pretrained', ...)``.

    Args:
        checkpoint (str): File, published folder, ID on the Hugging Face hub or URL.
        prefix (str): Prefix of the names of a part, e.g. 'backbone.'. Defaults to all.
        partial (bool): Load the weights that fit, see :func:`load_partial`, and log the report.
            Defaults to False.
        source_grid (dict, optional): See :func:`load_partial`.
    """

    def __init__(self, checkpoint: str, prefix: str = '', partial: bool = False,
                 source_grid: dict | None = None):
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.partial = partial
        self.source_grid = source_grid

    def __call__(self, module: nn.Module):
        """Load the weights into a module."""
        if self.partial:
            print_log(str(load_partial(module, self.checkpoint, self.prefix, self.source_grid)),
                      'current')
        else:
            load_weights(module, self.checkpoint, self.prefix)
