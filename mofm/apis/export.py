"""Export: models as one graph from keypoints in pixels to results, for ONNX and torch.export.

The graph holds the crop and the canvas of the test pipeline, the rendering of MoFM, eq. 1, and the
model. As in PyTorch only the occupied cubes are rendered and embedded, and attend if the model has
``tokens='occupied'``, so the graph has sizes that depend on the data.
"""

import copy
import json
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn

from mofm.datasets import SyntheticMotion
from mofm.datasets.transforms import (
    PackMotionInputs,
    PoseCompact,
    PoseMirror,
    ThermalCubeFormat,
    UniformSampleFrames,
)
from mofm.datasets.transforms.thermal_cube import fit_canvas
from mofm.models import MoFMBackbone
from mofm.models.backbones.mofm_backbone import ResidualBlock3D
from mofm.registry import DATASETS, INFERENCERS, TRANSFORMS
from mofm.structures import SCORE_THRESHOLD, CubeGrid, MotionFeatures, ThermalCubes
from mofm.utils.files import remove_unfinished, temporary_folder
from mofm.utils.locks import hold_output
from mofm.version import __version__

from .inferencers import BaseInferencer


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
        heat = cut.place(heat, torch.zeros_like(heat[0])).unflatten(0, (-1, segments))
        part = torch.arange(frames) * parts // frames
        member = (part[:, None] == torch.arange(parts)).float().unflatten(0, (segments, -1))
        total = torch.einsum('bskjf,sfp->bjpsk', heat, member)
        return nn.functional.normalize(total.flatten(3), p=1, dim=-1)


class _TapConv(nn.Module):
    """3D convolution as one over rows and columns, whose channels are the three taps in time.

    ONNX Runtime has fast kernels for 2D convolutions only.
    """

    weight: Tensor

    def __init__(self, conv: Any):
        super().__init__()
        weight = conv.weight.detach().transpose(1, 2).flatten(1, 2)
        self.register_buffer('weight', weight, persistent=False)  # (C', 3 * C, 3, 3)

    @classmethod
    def exchange(cls, model: nn.Module):
        """Exchange the convolutions of residual blocks without a stride; others gain nothing."""
        for block in model.modules():
            if isinstance(block, ResidualBlock3D):
                block.conv2 = cls(block.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, T, H, W) to (N, C', T, H, W)."""
        frames = x.shape[2]
        x = nn.functional.pad(x, (0, 0, 0, 0, 1, 1)).transpose(1, 2)
        taps = torch.cat([x[:, tap:tap + frames] for tap in range(3)], 2)  # (N, T, 3 * C, H, W)
        y = nn.functional.conv2d(taps.flatten(0, 1), self.weight, padding=1)
        return y.unflatten(0, (-1, frames)).transpose(1, 2)


class GraphBackbone(MoFMBackbone):
    """Backbone of a graph, whose number of tokens depends on the data."""

    def embed_cubes(self, inputs: ThermalCubes, visible: Tensor) -> Tensor:
        """Embed all cubes; none is masked here."""
        assert isinstance(inputs, GraphCubes)
        cubes = inputs.cubes()
        return inputs.place(self.embed(cubes), self.embed(torch.zeros(1, *cubes.shape[1:]))[0])

    def _encode(self, x: Tensor, keep: Tensor, levels: list) -> MotionFeatures:
        """Run the blocks on as many tokens of x (B, K, D) as the longest clip keeps."""
        # attention to one token has no mask
        longest: Any = keep.sum(1).max().clamp(min=2).item()
        torch._check(longest >= 2)  # noqa: SLF001
        torch._check(longest <= keep.shape[1])  # noqa: SLF001
        count = keep.shape[1]
        rank = keep * count - torch.arange(count, device=keep.device)  # the kept ones first
        order = rank.topk(longest).indices
        index = order[..., None].expand(-1, -1, x.shape[2])
        kept = self.attend(x.gather(1, index), keep.gather(1, order), levels=levels)

        def restore(tokens):
            return tokens.new_zeros(*keep.shape, x.shape[2]).scatter(1, index, tokens)

        levels[:] = map(restore, levels)
        return MotionFeatures(restore(kept.tokens), kept.pooled, keep)


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
        self.task = _find_task(model)
        self.outputs = tuple(self.task.predicted)
        self.render = GraphRenderer(_pipeline(model), model.data_preprocessor)
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
            _TapConv.exchange(self.model.backbone.embed)
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


def _find_task(model: BaseModel) -> type[BaseInferencer]:
    """Find the task of a model that has a graph."""
    parts = [getattr(model, name, None) for name in ('backbone', 'cls_head', 'head')]
    if parts[0] is None or type(parts[0]) is MoFMBackbone:
        for task in INFERENCERS.module_dict.values():
            if task.exportable(model):
                return task
    found = ' with '.join(type(part).__name__ for part in (model, *parts) if part is not None)
    raise ValueError(f'model: found {found}, which has no graph; expected a tokenizer, or '
                     'MoFMBackbone with a head whose task has one (docs/deployment.md)')


def _pipeline(model: BaseModel) -> Sequence[dict]:
    """Return the transforms of the test data."""
    pipeline = model.cfg.get('test_dataloader', {}).get('dataset', {}).get('pipeline')
    if not pipeline:
        raise ValueError('test_dataloader.dataset.pipeline: found none in the config, expected '
                         'the transforms that the graph repeats')
    return pipeline


def export_onnx(model: BaseModel, path: str | Path, tolerance: float = 1e-4) -> dict:
    """Write a model as ONNX, after a comparison of ONNX Runtime with PyTorch.

    Batch and persons are dynamic. The metadata of the file are ``task``, ``num_joints``,
    ``num_frames``, ``canvas``, ``patch``, ``sigma``, ``mofm_version`` and, if known, ``classes``,
    a JSON list of names. Weights beyond 2 GB go to a second file, ``PATH.data``.

    Args:
        model (BaseModel): From :func:`mofm.apis.init_model`, on the CPU; see
            :class:`ExportableModel`.
        path (str | Path): File to write.
        tolerance (float): Largest allowed difference. Defaults to 1e-4.

    Returns:
        dict[str, float]: Largest difference per output; for tokens, of their scores.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime is not installed.
        ValueError: If the model or its test pipeline cannot be exported.
        RuntimeError: If the results differ by more than the tolerance; no file is written.
    """
    _require_onnx()
    device = next(model.parameters()).device
    if device.type != 'cpu':
        raise ValueError(f"model: found on {device}, expected cpu; init_model(..., device='cpu')")
    exportable = ExportableModel(model)
    with _quiet():
        program: Any = torch.onnx.export(
            exportable, exportable.example_inputs(), dynamic_shapes=exportable.dynamic_shapes,
            input_names=('keypoints', 'img_shape'), output_names=exportable.outputs, dynamo=True,
            verbose=False)
    grid = exportable.render.grid
    metadata = dict(task=exportable.task.result_type.task, num_joints=exportable.num_joints,
                    num_frames=grid.num_frames, canvas=grid.canvas, patch=grid.patch,
                    sigma=exportable.render.sigma, mofm_version=__version__)
    if exportable.task.names_classes and model.dataset_meta.get('classes'):
        metadata['classes'] = json.dumps(list(model.dataset_meta['classes']))
    program.model.metadata_props.update({name: str(value) for name, value in metadata.items()})

    path = Path(path)
    weights = sum(value.const_value.nbytes for value in program.model.graph.initializers.values())
    with _parts(path) as folder:
        written = Path(folder, path.name)
        program.save(written, external_data=weights > 1.9e9)  # protobuf ends at 2 GiB
        _forget_shapes(written)
        difference = _compare(written, exportable, model)
        if not all(value <= tolerance for value in difference.values()):  # nor NaN
            raise RuntimeError(f'{path}: found a difference of {difference} between ONNX Runtime '
                               f'and torch, expected at most {tolerance}')
        for file in Path(folder).iterdir():
            os.replace(file, path.with_name(file.name))
    return difference


@contextmanager
def _parts(path: Path) -> Iterator[Path]:
    """Make a folder for a file that this process alone writes, and its weights."""
    with hold_output(path):
        remove_unfinished(path)
        with temporary_folder(path) as folder:
            yield folder


def _forget_shapes(path: Path):
    """Remove inferred shapes, which go stale when a tool such as a quantizer edits the graph."""
    import onnx

    graph = onnx.load(path, load_external_data=False)
    del graph.graph.value_info[:]
    onnx.save(graph, path)
    onnx.checker.check_model(path, full_check=True)


def quantize_onnx(path: str | Path, quantized: str | Path):
    """Write a copy of a file of :func:`export_onnx` that computes with 8 bits, by ONNX Runtime.

    Quantization is dynamic: the range of weights is stored, that of features is found at every
    call. Weights of matrix products have signs and a scale per channel. Everything else is
    computed as before; only in a graph without matrix products (dVED) convolutions get 8 bits.

    Args:
        path (str | Path): File of :func:`export_onnx`.
        quantized (str | Path): File to write.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime is not installed.
    """
    _require_onnx()
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path, quantized = Path(path), Path(quantized)
    large = Path(f'{path}.data').exists()
    with _parts(quantized) as folder, _quiet():
        prepared, written = Path(folder, 'prepared.onnx'), Path(folder, quantized.name)
        # computes what is constant, such as transposed weights
        quant_pre_process(path, prepared, skip_symbolic_shape=True, save_as_external_data=large)
        kinds = {node.op_type for node in
                 onnx.load(prepared, load_external_data=False).graph.node}
        # beside matrix products 8-bit convolutions are slower than those of floats; the CPU has
        # no kernel of them with signed weights
        products = bool(kinds & {'MatMul', 'Gemm'})
        quantize_dynamic(prepared, written, ['MatMul'] if products else ['Conv'],
                         per_channel=products, use_external_data_format=large,
                         extra_options=dict(DefaultTensorType=onnx.TensorProto.FLOAT),
                         weight_type=QuantType.QInt8 if products else QuantType.QUInt8)
        _forget_shapes(written)
        for file in Path(folder).glob(f'{quantized.name}*'):
            os.replace(file, quantized.with_name(file.name))


def evaluate_onnx(model: BaseModel, *paths: str | Path) -> list[dict]:
    """Test files of a model on the test data of its config, with the metrics of its config.

    Every clip goes through all files in turn, on one thread, so that their latencies compare.

    Args:
        model (BaseModel): From :func:`mofm.apis.init_model`.
        *paths (str | Path): Files of :func:`export_onnx` or :func:`quantize_onnx`.

    Returns:
        list[dict]: Per file ``metrics`` (none for a tokenizer), ``latency`` of a clip in seconds
        (median), ``size`` in bytes, and ``equal``, the share of classes or tokens as from the
        first file; None for other outputs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
                for path in paths]
    task, dataset = _find_task(model), DATASETS.build(model.cfg.test_dataloader.dataset)
    # metrics of tokenizers need the reconstruction, which is not in the graph
    metrics = model.cfg.test_evaluator if hasattr(model, 'backbone') else []
    evaluators = [Evaluator(copy.deepcopy(metrics)) for _ in paths]
    for evaluator in evaluators:
        evaluator.dataset_meta = dataset.metainfo
    sample_frames, *others = dataset.pipeline.transforms
    times: list = [[] for _ in paths]
    choices: list = [[] for _ in paths]
    for index in range(len(dataset)):
        clip = sample_frames(dataset.get_data_info(index))
        inputs, packed = to_inputs([clip]), Compose(others)(dict(clip))
        for number, (session, evaluator) in enumerate(zip(sessions, evaluators, strict=True)):
            start = time.perf_counter()
            outputs = session.run(list(task.predicted), inputs)
            times[number].append(time.perf_counter() - start)
            sample = packed['data_samples'].clone()
            for field, output in zip(task.predicted.values(), outputs, strict=True):
                sample.set_field(torch.from_numpy(output)[0], field)
            evaluator.process([sample], pseudo_collate([packed]))
            choices[number].append(
                outputs[0].argmax(1) if 'scores' in task.predicted else outputs[0])
    discrete = choices[0][0].dtype.kind == 'i'
    return [dict(metrics=evaluator.evaluate(len(dataset)), latency=float(np.median(seconds)),
                 size=_size(path), equal=np.equal(chosen, choices[0]).mean() if discrete else None)
            for path, evaluator, seconds, chosen in zip(
                paths, evaluators, times, choices, strict=True)]


@contextmanager
def _quiet():
    """Silence the exporter, e.g. about a missing torchvision."""
    loggers = {logger: logger.level for logger in (logging.getLogger('torch.onnx'), logging.root)}
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            yield
        finally:
            for logger, level in loggers.items():
                logger.setLevel(level)


def _require_onnx():
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError('export needs onnx, onnxscript and onnxruntime: '
                          "pip install -e '.[export]'") from error


@torch.no_grad()
def _compare(path: Path, exportable: ExportableModel, model: BaseModel) -> dict:
    """Compute the largest difference per output from PyTorch, over batches of 1 and 5 clips."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    clips = _clips(exportable.render.grid.num_frames, exportable.num_joints)
    difference = dict.fromkeys(exportable.outputs, 0.)
    for batch in (clips[:1], clips[1:]):
        results = session.run(exportable.outputs, to_inputs(batch))
        cubes, expected = _run_model(model, batch, exportable.task)
        for name, result in zip(exportable.outputs, map(torch.from_numpy, results), strict=True):
            gap = exportable.task.graph_gap(model, cubes, name, result, expected[name])
            difference[name] = float(np.maximum(difference[name], gap.max().item()))  # keeps NaN
    return difference


def describe_onnx(path: str | Path) -> list[str]:
    """List inputs, outputs, metadata and size of an ONNX file, one per line."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    lines = [f'{kind}: {tensor.name} ({", ".join(map(str, tensor.shape))}) {tensor.type}'
             for kind, tensors in (('input', session.get_inputs()),
                                   ('output', session.get_outputs())) for tensor in tensors]
    metadata = session.get_modelmeta().custom_metadata_map
    lines += [f'{name}: {value}' for name, value in sorted(metadata.items())]
    return [*lines, f'{path}: {_size(path) / 1e6:.1f} MB']


def _size(path: str | Path) -> int:
    """Return the bytes of an ONNX file and of its weights."""
    return sum(f.stat().st_size for f in (Path(path), Path(f'{path}.data')) if f.exists())


def to_inputs(clips: Sequence[dict]) -> dict:
    """Convert annotations with sampled frames to the inputs of a graph.

    Args:
        clips (Sequence[dict]): ``keypoint`` (M, F, J, 2), ``keypoint_score`` (M, F, J) and
            ``img_shape`` per clip, with the same M.

    Returns:
        dict[str, np.ndarray]: ``keypoints`` (B, M, J, F, 3) and ``img_shape`` (B, 2).
    """
    points = [np.concatenate((c['keypoint'], c['keypoint_score'][..., None]), -1) for c in clips]
    return dict(keypoints=np.stack(points).swapaxes(2, 3).astype(np.float32),
                img_shape=np.array([c['img_shape'] for c in clips], np.int64))


def _run_model(model: BaseModel, clips: Sequence[dict], task: type[BaseInferencer]) -> tuple:
    """Return the thermal cubes of clips and the model's results by name."""
    pipeline = Compose(_pipeline(model))
    data = model.data_preprocessor(pseudo_collate([pipeline(dict(clip)) for clip in clips]))
    samples = model(**data, mode='predict')
    return data['inputs'], {
        name: torch.stack([sample.get(field) for sample in samples])
        for name, field in task.predicted.items()}


def _clips(frames: int, joints: int) -> list:
    """Make six clips of two synthetic persons; one clip lacks a person, one lacks both."""
    rng = np.random.default_rng(0)
    people = SyntheticMotion(12, num_frames=(max(frames, 2), max(frames, 2)))
    joint, clips = np.arange(joints) % 17, []
    for i, persons in enumerate((2, 2, 2, 2, 1, 0)):
        pair = (people[2 * i], people[2 * i + 1])
        keypoint, score = (np.concatenate([person[key][:, :frames, joint] for person in pair])
                           for key in ('keypoint', 'keypoint_score'))
        if i == 3:
            keypoint = keypoint / 400  # too small for PoseCompact
        score[rng.random(score.shape) < 0.1] = 0
        score[persons:] = 0
        clips.append(dict(keypoint=keypoint, keypoint_score=score, total_frames=frames,
                          img_shape=(480 + 60 * i, 640)))
    return clips
