"""FLOPs of a model and peak memory of the process.

One FLOP is one addition or one multiplication, so that a multiply-add counts 2. Matrix products,
convolutions, attention and the distances of k-means count; norms, activations and the rendering of
heat do not.
"""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mofm.structures import ThermalCubes
from mofm.utils.memory import release_freed_memory


@contextmanager
def flop_counter() -> Iterator[FlopCounterMode]:
    """PyTorch's counter, for everything that the models here compute.

    Fused attention on the CPU has no formula in PyTorch; its two matrix products have.

    Yields:
        FlopCounterMode: ``get_total_flops()`` tells what was computed inside so far.
    """
    counter = FlopCounterMode(display=False, custom_mapping={
        torch.ops.aten._euclidean_dist: lambda a, b, **_: 2 * math.prod(a) * b[-2]})
    with sdpa_kernel(SDPBackend.MATH), counter:
        yield counter


def parts(model: nn.Module) -> dict:
    """The children of a model that have weights, and the teacher of a pre-training."""
    modules = {name: child for name, child in model.named_children()
               if next(child.parameters(), None) is not None}
    if hasattr(model, 'tokenizer'):  # not a submodule
        modules['tokenizer (teacher)'] = model.tokenizer
    return modules or {type(model).__name__: model}


@torch.no_grad()
def predict(model: nn.Module, batch: dict):
    """Test step on a copy of a batch; returns the inputs of the model."""
    data = model.data_preprocessor(dict(batch))
    model(**data, mode='predict')
    return data['inputs']


def count_flops(model: nn.Module, batch: dict) -> tuple:
    """FLOPs of a prediction.

    Args:
        model (nn.Module): In evaluation mode.
        batch (dict): Collated samples of :class:`PackMotionInputs`.

    Returns:
        tuple: Share of the cubes that is occupied, 1 for models that read coordinates; FLOPs of
        each part and of everything ('total'). Both for one clip.
    """
    with flop_counter() as counter:
        inputs = predict(model, batch)
    counts = {name: sum(ops.values()) / len(inputs)
              for name, ops in counter.get_flop_counts().items()}
    total = counter.get_total_flops() / len(inputs)
    flops = {name: counts.get(f'{type(model).__name__}.{name}', 0.) for name in parts(model)}
    last = list(flops)[-1]
    flops[last] += total - sum(flops.values())  # what no submodule did: the teacher
    cubes = isinstance(inputs, ThermalCubes)
    return float(inputs.occupied().float().mean()) if cubes else 1., dict(flops, total=total)


def peak_of_tensors(function: Callable, device: str) -> int:
    """Bytes of the tensors that a call holds at most, beyond those that are there before.

    Exact, but without the buffers of the math library and memory that NumPy allocates.

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
    """Peak memory beyond what was held at the start.

    On a GPU that of PyTorch's tensors, else the resident set of this process (VmHWM of Linux),
    which also holds the buffers of the math library.

    Args:
        device (str): 'cpu' or 'cuda'.
    """

    def __init__(self, device: str):
        self.device = device
        self.restart()
        self.start = torch.cuda.memory_allocated() if device == 'cuda' else self._status('VmRSS')

    def restart(self):
        """Forget the peak so far; the start stays."""
        if self.device == 'cuda':
            torch.cuda.reset_peak_memory_stats()
            return
        release_freed_memory()
        Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew: man proc

    def peak(self) -> int:
        """Bytes."""
        now = torch.cuda.max_memory_allocated() if self.device == 'cuda' \
            else self._status('VmHWM')
        return now - self.start

    def _status(self, field: str) -> int:
        text = Path('/proc/self/status').read_text()
        return 1024 * int(re.search(rf'{field}:\s+(\d+) kB', text)[1])
