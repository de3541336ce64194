"""Cost of the stages of a step: time, FLOPs and memory, compared with the machine's limits."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import NamedTuple
from unittest.mock import patch

import torch
from common import clock, spread, synchronize, take_turns, timed

from mofm.apis.profiling import Memory, flop_counter


class Variant(NamedTuple):
    """Variant of a step.

    Attributes:
        step (Callable): The step, without arguments.
        stages (list[tuple]): Name of a stage, and owner and name of its method, which is measured
            while the step runs. The remainder is called 'other'.
        dtype (str): Data type of matrix products, 'fp32' or 'bf16'.
    """

    step: Callable
    stages: list
    dtype: str = 'fp32'


def run_stages(variant: Variant, read: Callable, combine: Callable = sum) -> dict:
    """Run a step and measure its stages; the cost of a nested stage counts for that stage only.

    Args:
        variant (Variant): The step.
        read (Callable): Returns the cost since its last call.
        combine (Callable): Combines several costs of a stage. Defaults to ``sum``.

    Returns:
        dict: Cost of every stage, and of 'other'.
    """
    costs = {name: [0] for name, *_ in variant.stages} | dict(other=[])
    running = ['other']

    def watch(name, method):
        def watched(*args, **kwargs):
            costs[running[-1]].append(read())
            running.append(name)
            try:
                return method(*args, **kwargs)
            finally:
                costs[running.pop()].append(read())
        return watched

    with ExitStack() as patches:
        for name, owner, method in variant.stages:
            patches.enter_context(
                patch.object(owner, method, watch(name, getattr(owner, method))))
        read()
        variant.step()
        costs['other'].append(read())
    return {name: combine(values) for name, values in costs.items()}


def since_last(counter: Callable) -> Callable:
    """Convert a counter to its increase since the last call."""
    last = 0

    def read():
        nonlocal last
        before, last = last, counter()
        return last - before
    return read


def run_timed(variant: Variant, device: torch.device) -> dict:
    """Measure the seconds of every stage."""
    now = clock(device)

    def counter():
        synchronize(device)
        return now()
    return run_stages(variant, since_last(counter))


def count_stages(variant: Variant) -> dict:
    """Count the FLOPs of every stage."""
    with flop_counter() as counter:
        return run_stages(variant, since_last(counter.get_total_flops))


def peak_stages(variant: Variant, device: torch.device) -> dict:
    """Measure the peak memory of every stage in bytes, without that before the step."""
    memory = Memory(device.type)

    def read():
        peak = memory.peak()
        memory.restart()
        return peak
    return run_stages(variant, read, max)


def matmul_ceiling(device: torch.device, dtype: str, side: int) -> tuple:
    """Return a function that multiplies square matrices, and its FLOPs."""
    a = torch.randn(side, side, device=device)
    a = a.to(dict(fp32=torch.float32, bf16=torch.bfloat16)[dtype])
    return partial(torch.matmul, a, a, out=torch.empty_like(a)), 2 * side**3


def copy_ceiling(device: torch.device, size: int, source: str | None = None) -> tuple:
    """Return a function that copies ``size`` bytes to the device, and the bytes written."""
    target = torch.ones(size // 4, device=device)
    values = torch.ones(size // 4, device=source or device)
    if target.device != values.device:
        values = values.pin_memory()
    return partial(target.copy_, values), size


def ceilings(device: torch.device, dtypes: set, tiny: bool) -> dict:
    """Return functions that reach the machine's limits, and the FLOPs or bytes of a call.

    Args:
        device (torch.device): Device of the step.
        dtypes (set[str]): Data types of the products.
        tiny (bool): Small sizes, for tests.
    """
    gpu = device.type == 'cuda'
    side, size = (8192, 2**30) if gpu else (512, 2**24) if tiny else (2048, 2**28)
    found = {f'matmul, {dtype}': matmul_ceiling(device, dtype, side) for dtype in sorted(dtypes)}
    found['copy'] = copy_ceiling(device, size)
    if gpu:
        found['copy to the device'] = copy_ceiling(device, size, 'cpu')
    return found


def stage_table(variants: dict, batch: int, repeats: int, device: torch.device, title: str,
                tiny: bool, moved: dict | None = None, in_workers: tuple = ()) -> tuple:
    """Measure variants of a step, interleaved with each other and the ceilings.

    Args:
        variants (dict[str, Variant]): Variants by name.
        batch (int): B.
        repeats (int): Number of rounds.
        device (torch.device): Device of the step.
        title (str): Title of the progress bar.
        tiny (bool): Small ceilings.
        moved (dict, optional): Bytes that a stage must read and write, by (variant, stage).
        in_workers (tuple[str]): Stages that run in workers, in parallel to the step. Their share
            is the number of cores that keep up with the step.

    Returns:
        tuple: Rows of the stages and, last for each variant, of the step; rows of the ceilings.
    """
    limits = ceilings(device, {variant.dtype for variant in variants.values()}, tiny)
    turns = {name: partial(run_timed, variant, device) for name, variant in variants.items()}
    turns.update({name: timed(work, device) for name, (work, _) in limits.items()})
    times = take_turns(turns, repeats, title)
    # a copy reads as much as it writes; one to the device reads from the host
    rates = {name: (2 if name == 'copy' else 1) * amount / median(times[name])
             for name, (_, amount) in limits.items()}
    rows = []
    for name, variant in variants.items():
        flops, peaks = count_stages(variant), peak_stages(variant, device)
        inside = [stage for stage in flops if stage not in in_workers]
        for total, column in ((flops, sum), (peaks, max)):
            total['step'] = column(total[stage] for stage in inside)
        rounds = [dict(t, step=sum(t[stage] for stage in inside)) for t in times[name]]
        # the medians of the stages add up to the whole
        whole = sum(median(t[stage] for t in rounds) for stage in inside)
        for stage in rounds[0]:
            values = [t[stage] for t in rounds]
            rate = rates['copy to the device' if stage == 'copy' else 'copy'] \
                if (name, stage) in (moved or {}) else None
            amount, bytes_moved = flops[stage], (moved or {}).get((name, stage))
            seconds = median(values) if stage != 'step' else whole
            rows.append({
                'variant': name, 'stage': stage, **spread(values, batch), 'share': seconds / whole,
                'GFLOP/sample': amount / batch / 1e9 if amount else None,
                'GFLOP/s': amount / seconds / 1e9 if amount else None,
                'of matmul': (amount / seconds / rates[f'matmul, {variant.dtype}'] if amount else
                              None),
                'MB/sample': bytes_moved / batch / 1e6 if rate else None,
                'GB/s': bytes_moved / seconds / 1e9 if rate else None,
                'of copy': bytes_moved / seconds / rate if rate else None,
                'peak MiB': peaks[stage] / 2**20})
    units = {name: 'GFLOP/s' if 'matmul' in name else 'GB/s' for name in rates}
    return rows, [dict(ceiling=name, value=rate / 1e9, unit=units[name])
                  for name, rate in rates.items()]
