"""Profiling: parameters, FLOPs and peak memory of models.

One FLOP is one addition or one multiplication, so that a multiply-add counts 2. Matrix products,
convolutions, attention and the distances of k-means count; norms, activations and the rendering of
heat do not.
"""

import copy
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mofm.datasets import SyntheticMotion, ThermalCubeFormat, motion_collate
from mofm.models import NearestNeighborDetector
from mofm.registry import MODELS, TRANSFORMS
from mofm.structures import CubeGrid, ThermalCubes
from mofm.utils.config import load_config
from mofm.utils.memory import release_freed_memory

from .model import init_model


@contextmanager
def flop_counter() -> Iterator[FlopCounterMode]:
    """Count FLOPs by PyTorch's counter, extended to all operators of the models here.

    Fused attention on the CPU and products of oneDNN have no formula in PyTorch; matrix products
    have.

    Yields:
        FlopCounterMode: ``get_total_flops()`` returns the count so far.
    """
    counter = FlopCounterMode(display=False, custom_mapping={
        # these operators have no other names
        torch.ops.aten._euclidean_dist:  # noqa: SLF001
            lambda a, b, **_: 2 * math.prod(a) * b[-2],
        torch.ops.aten._cdist_forward:  # noqa: SLF001
            lambda a, b, *_, **__: 2 * math.prod(a) * b[-2],
        torch.ops.mkldnn._linear_pointwise:  # noqa: SLF001
            lambda x, weight, *_, **__: 2 * math.prod(x) * weight[0]})
    with sdpa_kernel(SDPBackend.MATH), counter:
        yield counter


def parts(model: BaseModel) -> dict:
    """Return the children of a model that have weights, and the teacher of a pre-training."""
    modules = {name: child for name, child in model.named_children()
               if next(child.parameters(), None) is not None}
    if hasattr(model, 'tokenizer'):  # not a submodule
        modules['tokenizer (teacher)'] = model.tokenizer
    return modules or {type(model).__name__: model}


@torch.no_grad()
def predict(model: BaseModel, batch: dict):
    """Run a test step on a copy of a batch; returns the inputs of the model."""
    data = model.data_preprocessor(dict(batch))
    model(**data, mode='predict')
    return data['inputs']


def count_flops(model: BaseModel, batch: dict) -> tuple:
    """Count the FLOPs of a prediction.

    Args:
        model (BaseModel): In evaluation mode.
        batch (dict): Collated samples of :class:`PackMotionInputs`.

    Returns:
        tuple: Share of occupied cubes, 1 for models that read coordinates; FLOPs per part and in
        total ('total'). Both per clip.
    """
    with flop_counter() as counter:
        inputs = predict(model, batch)
    counts = {name: sum(ops.values()) / len(inputs)
              for name, ops in counter.get_flop_counts().items()}
    total = counter.get_total_flops() / len(inputs)
    flops = {name: counts.get(f'{type(model).__name__}.{name}', 0.) for name in parts(model)}
    last = list(flops)[-1]
    flops[last] += total - sum(flops.values())  # outside of submodules: the teacher
    cubes = isinstance(inputs, ThermalCubes)
    return float(inputs.occupied().float().mean()) if cubes else 1., dict(flops, total=total)


def fill_cubes(grid: CubeGrid, joints: int, share: float) -> np.ndarray:
    """Place keypoints in the middle of the first cubes.

    Args:
        grid (CubeGrid): Geometry of the clip.
        joints (int): J.
        share (float): Share of the cubes with a keypoint, in [0, 1].

    Returns:
        np.ndarray: (M, J, F, 3), with as few persons as possible.
    """
    count = round(share * grid.num_cubes)
    persons = max(1, -(-count // (joints * grid.num_frames)))
    points = np.zeros((persons, joints, grid.num_frames, 3), np.float32)
    row, col = np.divmod(np.arange(count), grid.cols)
    points.reshape(-1, 3)[:count] = np.stack(
        [(col + 0.5) * grid.patch, (row + 0.5) * grid.patch, np.ones(count)], 1)
    return points


def make_batch(cfg: Config, batch_size: int, share: float | None = None) -> dict:
    """Collate clips of the test pipeline.

    They are of the length of the windows of the test data, else of the longest clip of the model.

    Args:
        cfg (Config): Config of a model, see :func:`mofm.utils.config.load_config`.
        batch_size (int): B.
        share (float, optional): Share of occupied cubes. Defaults to that of synthetic motion: the
            clip of median occupancy among 60, or several of evenly spaced ranks.

    Returns:
        dict: Batch of a data loader, with equal labels.
    """
    data = cfg.test_dataloader.dataset
    transforms = [TRANSFORMS.build(t) for t in data.pipeline]
    length = data.get('window') or data.get('seg_len') or cfg.model.get('backbone', {}).get(
        'max_frames')
    motions = SyntheticMotion(60 if share is None else batch_size,
                              num_frames=(length, length) if length else (40, 120))
    samples = []
    for i in range(len(motions)):
        clip = motions.get_data_info(i)
        results = dict(clip, label=0, valid=np.ones(clip['total_frames'], bool))
        for transform in transforms:
            results = transform(results)
            if share is not None and isinstance(transform, ThermalCubeFormat):
                old = results['keypoints']  # ([clips,] M, J, F, 3)
                points = fill_cubes(transform.grid, old.shape[-3], share)
                results['keypoints'] = np.tile(points, (*old.shape[:-4], 1, 1, 1, 1))
                results.pop('heatmap', None)
        samples.append(results)
    return motion_collate(samples if share is not None else typical(cfg, samples, batch_size))


def typical(cfg: Config, samples: list[dict], count: int) -> list[dict]:
    """Choose samples by their share of occupied cubes.

    Args:
        cfg (Config): Config of the model.
        samples (list[dict]): Packed samples of one pipeline.
        count (int): Samples to choose.

    Returns:
        list[dict]: Samples of evenly spaced ranks, for one the median; the first sample repeatedly
        for models that read coordinates, whose cost does not depend on them.
    """
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    occupied = []
    for sample in samples:
        cubes = preprocessor(dict(inputs=dict(
            keypoints=sample['inputs']['keypoints'][None])))['inputs']
        if not isinstance(cubes, ThermalCubes):
            return [copy.deepcopy(samples[0]) for _ in range(count)]
        occupied.append(float(cubes.occupied().float().mean()))
    ranks = np.linspace(0, len(samples) - 1, count + 2)[1:-1].round().astype(int)
    return [samples[i] for i in np.argsort(occupied, kind='stable')[ranks]]


def peak_of_tensors(function: Callable, device: str) -> int:
    """Measure the peak bytes of tensors that a call allocates.

    Exact, but without the buffers of the math library and the memory of NumPy.

    Args:
        function (Callable): Without arguments.
        device (str): 'cpu' or 'cuda'.
    """
    if device == 'cuda':
        memory = Memory(device)
        function()
        return memory.peak()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        function()
    events = [event for event in profiler.profiler.kineto_results.events()
              if event.name() == '[memory]']
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(accumulate(sizes), default=0)  # a size below 0 frees


class Memory:
    """Peak memory above that at the start.

    On a GPU that of PyTorch's tensors, else the resident set of this process (VmHWM of Linux),
    which includes the buffers of the math library.

    Args:
        device (str): 'cpu' or 'cuda'.
    """

    def __init__(self, device: str):
        self.device = device
        self.restart()
        self.start = torch.cuda.memory_allocated() if device == 'cuda' else self._status('VmRSS')

    def restart(self):
        """Reset the peak but not the start."""
        if self.device == 'cuda':
            torch.cuda.reset_peak_memory_stats()
            return
        release_freed_memory()
        # the peak starts anew: man proc
        Path('/proc/self/clear_refs').write_text('5', encoding='utf-8')

    def peak(self) -> int:
        """Return the peak in bytes."""
        now = torch.cuda.max_memory_allocated() if self.device == 'cuda' \
            else self._status('VmHWM')
        return now - self.start

    def _status(self, field: str) -> int:
        text = Path('/proc/self/status').read_text(encoding='utf-8')
        return 1024 * int(re.findall(rf'{field}:\s+(\d+) kB', text)[0])


@dataclass
class Profile:
    """Costs of a model.

    Attributes:
        model (BaseModel): In evaluation mode.
        reads_cubes (bool): Whether costs depend on the occupied cubes of a clip.
        flops (dict[str, tuple]): Results of :func:`count_flops` by kind of clip.
        peaks (dict[str, int]): Peak bytes of the forward pass and, if possible with this batch, of
            the first training step, which creates the state of the optimizer; weights included.
    """

    model: BaseModel
    reads_cubes: bool
    flops: dict[str, tuple]
    peaks: dict[str, int]


def profile_config(cfg: Config, batch_size: int = 1, occupied: float | None = None,
                   device: str = 'cpu') -> Profile:
    """Measure the model of a config with random weights.

    The gallery of :class:`NearestNeighborDetector` is full, as that of a long training is.

    Only occupied cubes are embedded (and, with ``tokens='occupied'``, attend), so the FLOPs of
    MoFM depend on the clip; models that read coordinates cost the same for every clip.

    Args:
        cfg (Config): Config of a model.
        batch_size (int): Clips per batch. Defaults to 1.
        occupied (float, optional): Share of occupied cubes of one more clip.
        device (str): 'cpu' or 'cuda'.
    """
    cfg = load_config(cfg)
    init_default_scope(cfg.default_scope)
    if 'tokenizer' in cfg.model:
        cfg.model.tokenizer.init_cfg = None  # weights do not change what is counted
    np.random.seed(0)  # masks of a pre-training
    batch = make_batch(cfg, batch_size)

    # one-time imports and allocations of PyTorch, which are not costs of the model
    layer = nn.Linear(8, 8, device=device)
    layer(torch.ones(8, 8, device=device)).sum().backward()
    torch.optim.AdamW(layer.parameters()).step()

    memory = Memory(device)
    model = init_model(cfg, device=device)
    if isinstance(model, NearestNeighborDetector):
        model.count.fill_(model.gallery_size)  # the most windows that it may have
    reads_cubes = isinstance(predict(model, batch), ThermalCubes)
    peaks = {'forward': memory.peak()}
    if any(p.requires_grad for p in model.parameters()):
        optim_wrapper = build_optim_wrapper(model.train(), cfg.optim_wrapper)
        try:
            model.train_step(dict(batch), optim_wrapper)
            peaks['training step'] = memory.peak()
        except ValueError as error:  # e.g. batch norm of one sample
            print_log(f'no training step of {batch_size} clips: {error}', 'current')
    model.eval()

    clips: dict[str, float | None] = dict(any=None)
    if reads_cubes:
        clips = dict(empty=0., typical=None, full=1.)
    if reads_cubes and occupied is not None:
        clips[f'{occupied:g}'] = occupied
    return Profile(model, reads_cubes, {
        name: count_flops(model, batch if share is None else make_batch(cfg, batch_size, share))
        for name, share in clips.items()}, peaks)
