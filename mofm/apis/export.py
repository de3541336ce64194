"""Export of models as ONNX files."""

import copy
import json
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel

from mofm.datasets import SyntheticMotion
from mofm.registry import DATASETS
from mofm.utils.files import remove_unfinished, temporary_folder
from mofm.utils.locks import hold_output
from mofm.version import __version__

from .graph import ExportableModel, find_task, test_pipeline
from .inferencers import BaseInferencer


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
    computed as before, convolutions included; only those of a graph without matrix products (dVED)
    get 8 bits.

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
        nodes = onnx.load(prepared, load_external_data=False).graph.node
        kinds = {node.op_type for node in nodes}
        # the features of weak and strong cubes share one range, but are normalized cube by cube
        cubes = [node.name for node in nodes
                 if any('.embed.blocks.' in name for name in node.input)]
        # beside matrix products 8-bit convolutions are slower than those of floats; the CPU has
        # no kernel of them with signed weights
        products = bool(kinds & {'MatMul', 'Gemm'})
        quantize_dynamic(prepared, written, ['MatMul'] if products else ['Conv'],
                         nodes_to_exclude=cubes, per_channel=products,
                         use_external_data_format=large,
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
    task, dataset = find_task(model), DATASETS.build(model.cfg.test_dataloader.dataset)
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
    pipeline = Compose(test_pipeline(model))
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
