"""Models as one graph from keypoints in pixels to results, for ONNX and torch.export.

The graph holds the crop and the canvas of the test pipeline, the rendering of MoFM, eq. 1, and the
model. As in PyTorch only the occupied cubes are rendered and embedded, and attend if the model has
``tokens='occupied'``, so the graph has sizes that depend on the data.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn

from mofm.datasets.transforms import (
    PackMotionInputs,
    PoseCompact,
    PoseMirror,
    ThermalCubeFormat,
    UniformSampleFrames,
)
from mofm.datasets.transforms.thermal_cube import fit_canvas
from mofm.models import MoFMBackbone
from mofm.models.backbones import ConvCubeEmbed
from mofm.models.layers.attention import Packing
from mofm.registry import INFERENCERS, TRANSFORMS
from mofm.structures import SCORE_THRESHOLD, CubeGrid, ThermalCubes

from .inferencers import BaseInferencer
from .row_embed import RowEmbed


class GraphRenderer:
    """The test pipeline and the data preprocessor as tensor operations.

    Args:
        pipeline (Sequence[dict]): UniformSampleFrames with one clip, optionally PoseCompact and
            PoseMirror, ThermalCubeFormat, PackMotionInputs. The caller samples the frames.
        data_preprocessor (MotionDataPreprocessor): Geometry and rendering.

    Raises:
        ValueError: If the pipeline has other transforms or samples several clips.
    """

    def __init__(self, pipeline: Sequence[dict], data_preprocessor: BaseDataPreprocessor):
        transforms = [TRANSFORMS.build(t) for t in pipeline]
        kinds = [type(t) for t in transforms]
        optional = [kind for kind in (PoseCompact, PoseMirror) if kind in kinds]
        if kinds != [UniformSampleFrames, *optional, ThermalCubeFormat, PackMotionInputs]:
            raise ValueError(
                f'test pipeline: found {", ".join(kind.__name__ for kind in kinds)}, expected '
                'UniformSampleFrames, PoseCompact and PoseMirror (optional), ThermalCubeFormat, '
                'PackMotionInputs; a graph supports no other transform')
        if transforms[0].num_clips != 1:
            raise ValueError(f'num_clips of UniformSampleFrames: found {transforms[0].num_clips}, '
                             'expected 1; a graph takes one clip of a recording')
        self.compact: PoseCompact | None = transforms[1] if PoseCompact in kinds else None
        self.mirror = transforms[-3].flip.order if PoseMirror in kinds else None
        self.format = transforms[-2]
        rendering = self.format if self.format.render == 'loader' else data_preprocessor
        self.grid = data_preprocessor.grid
        self.sigma, self.use_score = rendering.sigma, rendering.use_score

    def __call__(self, keypoints: Tensor, img_shape: Tensor) -> 'GraphCubes':
        """Render B clips.

        Args:
            keypoints (Tensor): (B, M, J, F, 3), x and y in pixels and score.
            img_shape (Tensor): (B, 2), height and width in pixels.

        Returns:
            GraphCubes: B clips; with PoseMirror 2 B, each before its mirror image.
        """
        points, score = keypoints[..., :2], keypoints[..., 2]
        present = _seen(points) & (score >= SCORE_THRESHOLD) & (score < torch.inf)
        points = points.where(present[..., None], 0)
        size = img_shape.flip(1)[:, None, None, None].float()  # (B, 1, 1, 1, 2) width, height
        if self.compact:
            points, size = self._crop(self.compact, points, present, size)
            present = present & _seen(points)
        if self.mirror is not None:
            order = torch.from_numpy(self.mirror).to(points.device)
            points, score, present, size = self._mirrored(order, points, score, present, size)
        score = score.where(present, 0)
        scale, offset = fit_canvas(size, self.format.grid.canvas, torch)
        points = points * scale + offset
        heat_x, heat_y = self._profiles(points.where(present[..., None], 0)).unbind(-2)
        heat_y = heat_y * (score if self.use_score else present)[..., None]
        return GraphCubes(heat_x, heat_y, self.grid)

    @staticmethod
    def _crop(compact: PoseCompact, points: Tensor, present: Tensor, size: Tensor) -> tuple:
        """See :class:`PoseCompact`."""
        low, high = (
            extreme(points.where(present[..., None], fill), (1, 2, 3), keepdim=True).double()
            for extreme, fill in ((torch.amin, torch.inf), (torch.amax, -torch.inf)))
        empty = low > high  # (B, 1, 1, 1, 2)
        low, high = low.where(~empty, 0), high.where(~empty, 0)
        start, box, large = compact.box(low, high, size.double(), torch)
        people = present.flatten(1).any(1)[:, None, None, None, None]
        crop = people & large
        points = (points - start.float()).where(crop & present[..., None], points)
        return points, box.float().where(crop, size)

    @staticmethod
    def _mirrored(order: Tensor, points: Tensor, score: Tensor, present: Tensor, size: Tensor
                  ) -> tuple:
        """See :class:`PoseMirror`; the clips of a recording are consecutive."""
        mirrored = torch.cat([size[..., :1] - points[..., :1], points[..., 1:]], -1)[:, :, order]
        pairs = ((points, mirrored), (score, score[:, :, order]),
                 (present, present[:, :, order] & _seen(mirrored)), (size, size))
        return tuple(torch.stack(pair, 1).flatten(0, 1) for pair in pairs)

    def _profiles(self, points: Tensor) -> Tensor:
        """Compute (..., 2, canvas) heat along both axes, supported as in :class:`ThermalCubes`."""
        reach, canvas = 3 * self.sigma, self.grid.canvas
        center = points.clamp(-2 * reach - 2, canvas + 2 * reach + 2)[..., None]
        pixel = torch.arange(canvas, dtype=center.dtype, device=center.device)
        inside = (pixel >= (center - reach).trunc()) & (pixel < (center + reach).trunc() + 1)
        return torch.exp(-(pixel - center).square() / (2 * self.sigma**2)) * inside


def _seen(points: Tensor) -> Tensor:
    """Find coordinates (..., 2) that are finite and not both zero, see ``read_joints``."""
    reach = points[..., 0].abs() + points[..., 1].abs()
    return (reach > 0) & (reach < torch.inf)


class GraphCubes(ThermalCubes):
    """Batch of clips in a graph, of which only the occupied cubes become pixels.

    The heat of a keypoint is a product of two profiles, so that of a cube is computed from the
    parts of the profiles that lie in its rows and columns.

    Args:
        heat_x, heat_y (Tensor): (B, M, J, F, canvas), heat along both axes.
        grid (CubeGrid): Geometry of the cubes.
    """

    def __init__(self, heat_x: Tensor, heat_y: Tensor, grid: CubeGrid):
        self.heat_x, self.heat_y, self.grid = heat_x, heat_y, grid
        self._cut: GraphCubes | None = None
        self._peaks: Tensor | None = None
        self._cubes: Tensor | None = None

    def __len__(self):
        return self.heat_x.shape[0]

    def __getitem__(self, clips: slice) -> ThermalCubes:
        return GraphCubes(self.heat_x[clips], self.heat_y[clips], self.grid)

    @property
    def device(self) -> torch.device:
        """Device of the heat."""
        return self.heat_x.device

    @property
    def num_joints(self) -> int:
        """Number of joints J."""
        return self.heat_x.shape[2]

    def volume(self) -> Tensor:
        """See :meth:`ThermalCubes.volume`."""
        return (self.heat_y[..., :, None] * self.heat_x[..., None, :]).amax(1)

    def union(self) -> Tensor:
        """See :meth:`ThermalCubes.union`."""
        return self.volume().amax(1)

    def traces(self) -> Tensor:
        """See :meth:`ThermalCubes.traces`."""
        return self.volume().amax(2)

    def cut(self, segments: int) -> 'GraphCubes':
        """See :meth:`ThermalCubes.cut`."""
        if segments == 1:
            return self
        if self._cut is None:
            frames = self.grid.num_frames // segments
            x, y = (heat.unflatten(3, (segments, frames)).movedim(3, 1).flatten(0, 1)
                    for heat in (self.heat_x, self.heat_y))
            self._cut = GraphCubes(x, y, replace(self.grid, num_frames=frames))
        return self._cut

    def peaks(self) -> Tensor:
        """See :meth:`ThermalCubes.peaks`."""
        if self._peaks is None:
            x, y = (heat.unflatten(-1, (-1, self.grid.patch)).amax(-1).flatten(1, 3)
                    for heat in (self.heat_x, self.heat_y))  # (B, M * J * F, rows)
            self._peaks = (y[..., :, None] * x[..., None, :]).amax(1).flatten(1)
        return self._peaks

    def _render(self) -> Tensor:
        """Render the occupied cubes (N, J, F, p, p)."""
        b, cube = self.occupied().nonzero().unbind(1)
        p, rows = self.grid.patch, self.grid.rows

        def parts(heat: Tensor, index: Tensor, pixel: Tensor) -> Tensor:
            """Select the profiles of cubes, for each of their pixels (N, M, J, F, p * p)."""
            cut = heat.unflatten(-1, (-1, p)).movedim(-2, 1).flatten(0, 1)
            return cut.index_select(-1, pixel).index_select(0, b * rows + index)

        pixel = torch.arange(p * p)
        heat = parts(self.heat_x, cube % rows, pixel % p) * parts(
            self.heat_y, cube // rows, pixel // p)
        return heat.amax(1).unflatten(-1, (p, p))

    def cubes(self, select: Tensor | None = None) -> Tensor:
        """See :meth:`ThermalCubes.cubes`; only for the occupied cubes."""
        assert select is None
        if self._cubes is None:
            self._cubes = self._render()
        return self._cubes

    def place(self, rows: Tensor, empty: Tensor) -> Tensor:
        """Place rows of the occupied cubes (N, ...) and of an empty one (...) as (B, K, ...)."""
        occupied = self.occupied()
        index = occupied.flatten().cumsum(0) * occupied.flatten()
        return torch.cat((empty[None], rows)).index_select(0, index).unflatten(0, occupied.shape)

    def shares(self, parts: int, segments: int = 1) -> Tensor:
        """See :meth:`ThermalCubes.shares`."""
        cut, frames = self.cut(segments), self.grid.num_frames
        heat = cut.cubes().sum((-2, -1))  # (N, J, F / S)
        heat = cut.place(heat, heat.new_zeros(heat.shape[1:])).unflatten(0, (-1, segments))
        part = torch.arange(frames) * parts // frames
        member = (part[:, None] == torch.arange(parts)).float().unflatten(0, (segments, -1))
        total = torch.einsum('bskjf,sfp->bjpsk', heat, member)
        return F.normalize(total.flatten(3), p=1, dim=-1)


class GraphPacking(Packing):
    """Layout of tokens whose longest clip is a size of the graph."""

    @staticmethod
    def _longest(lengths: Tensor) -> int:
        longest: Any = lengths.max().clamp(min=2).item()  # attention to one token has no mask
        torch._check(longest >= 2)  # noqa: SLF001
        return longest


class GraphBackbone(MoFMBackbone):
    """Backbone of a graph, whose number of tokens depends on the data."""

    _packing = GraphPacking

    def embed_cubes(self, inputs: ThermalCubes, visible: Tensor) -> Tensor:
        """Embed all cubes; none is masked here."""
        assert isinstance(inputs, GraphCubes)
        cubes = inputs.cubes()
        return inputs.place(self.embed(cubes), self.embed(torch.zeros(1, *cubes.shape[1:]))[0])


class ExportableModel(nn.Module):
    """Model from keypoints in pixels to results, for torch.export, torch.compile and ONNX.

    Args:
        model (BaseModel): From :func:`mofm.apis.init_model`, of a task with a graph.

    Attributes:
        task (type[BaseInferencer]): Task, which defines the graph behind the rendering.
        outputs (tuple[str]): Names of the outputs of :meth:`forward`.
        num_joints (int): J.

    Raises:
        ValueError: If the model or its test pipeline cannot be exported.
    """

    def __init__(self, model: BaseModel):
        super().__init__()
        self.task = find_task(model)
        self.outputs = tuple(self.task.predicted)
        self.render = GraphRenderer(test_pipeline(model), model.data_preprocessor)
        config = model.cfg.model.get('backbone', model.cfg.model)
        self.num_joints = config.get('num_joints', 17)
        self.model = copy.copy(model)
        # a shallow copy shares the dict of parts, which has no public name
        self.model._modules = dict(self.model._modules)  # noqa: SLF001
        del self.model.data_preprocessor
        if hasattr(model, 'backbone'):
            self.model.backbone = GraphBackbone(
                **{k: v for k, v in config.items() if k not in ('type', 'init_cfg')})
            self.model.backbone.load_state_dict(model.backbone.state_dict(), assign=True)
            if type(embed := self.model.backbone.embed) is ConvCubeEmbed:
                grid = self.model.backbone.grid
                frames = grid.num_frames // self.model.backbone.segments
                self.model.backbone.embed = RowEmbed(embed, replace(grid, num_frames=frames))
        self.eval()

    @property
    def dynamic_shapes(self) -> dict:
        """Batch and persons, for ``torch.export`` and the ONNX exporter."""
        batch, persons = torch.export.Dim('batch'), torch.export.Dim('persons')
        return dict(keypoints={0: batch, 1: persons}, img_shape={0: batch})

    def example_inputs(self) -> tuple:
        """Make two clips of two persons, for ``torch.export`` and the ONNX exporter."""
        return (torch.zeros(2, 2, self.num_joints, self.render.grid.num_frames, 3),
                torch.ones(2, 2, dtype=torch.int64))

    def forward(self, keypoints: Tensor, img_shape: Tensor) -> tuple:
        """Predict the results of B clips.

        Args:
            keypoints (Tensor): (B, M, J, F, 3) float32: x and y in pixels and score of the F
                sampled frames. A score of 0 marks a missing joint, joints that are all missing a
                missing person.
            img_shape (Tensor): (B, 2) int64, height and width of the image in pixels, positive.

        Returns:
            tuple[Tensor]: :attr:`outputs`, (B, ...) each.
        """
        outputs = self.task.graph(self.model, self.render(keypoints, img_shape))
        if self.render.mirror is None:
            return outputs
        return tuple(self.task.graph_mean(output.unflatten(0, (-1, 2))) for output in outputs)


def find_task(model: BaseModel) -> type[BaseInferencer]:
    """Find the task of a model that has a graph."""
    parts = [getattr(model, name, None) for name in ('backbone', 'cls_head', 'head')]
    if parts[0] is None or type(parts[0]) is MoFMBackbone:
        for task in INFERENCERS.module_dict.values():
            if task.exportable(model):
                return task
    found = ' with '.join(type(part).__name__ for part in (model, *parts) if part is not None)
    raise ValueError(f'model: found {found}, which has no graph; expected a tokenizer, or '
                     'MoFMBackbone with a head whose task has one (docs/deployment.md)')


def test_pipeline(model: BaseModel) -> Sequence[dict]:
    """Return the transforms of the test data."""
    pipeline = model.cfg.get('test_dataloader', {}).get('dataset', {}).get('pipeline')
    if not pipeline:
        raise ValueError('test_dataloader.dataset.pipeline: found none in the config, expected '
                         'the transforms that the graph repeats')
    return pipeline
