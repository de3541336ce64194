"""Everything that one GPU can tell about MoFM, in one command of at most 10 minutes.

python benchmarks/gpu.py                             # the paper's size, bfloat16
python benchmarks/gpu.py --device cpu --size tiny    # that it runs

Rendering against copy bandwidth; training steps of all models and of their peers; the largest
batch; torch.compile and CUDA graphs; the loss of a training in bfloat16 and in float32. Prints
Markdown and writes it, with the same numbers as JSON, to benchmarks/results/. Every row survives
the failure of another: a row that fails, e.g. by running out of memory, says so.
"""

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import motionbert
import numpy as np
import torch
import unik
from common import ROOT, commit, machine, spread, synchronize, take_turns, timed, write_report
from mmengine.dataset import pseudo_collate
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from peers import ReferencePretrainer, posec3d
from report import markdown
from run import CONFIGS, Bench, Loader
from stages import ceilings
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mofm.apis.model import init_model
from mofm.apis.profiling import Memory, flop_counter
from mofm.engine.optimizers.bfloat16 import BFloat16OptimWrapper
from mofm.registry import MODELS
from mofm.structures import ThermalCubes
from mofm.utils.config import load_config

WRAPPERS = dict(fp32=OptimWrapper, bf16=BFloat16OptimWrapper)
#: Configs and sizes of the other models by size of the run.
OTHERS = dict(tiny=('configs/mofm/dved_paper_tiny.py', 'Penn Action', 'tiny'),
              base=('configs/mofm/dved_paper.py', 'NTU-60 3D', 'mb'))


class Training(NamedTuple):
    """Training of a model.

    Attributes:
        step (Callable): Trains on a collated batch.
        loader (Loader): Loads the batch.
        forward (Callable): Computes the loss of a batch, to count its FLOPs.
    """

    step: Callable
    loader: Loader
    forward: Callable


class Samples(Dataset):
    """Transformed samples of a loader, endless."""

    def __init__(self, loader: Loader, length: int):
        self.loader, self.length = loader, length

    def __len__(self):
        return self.length

    def __getitem__(self, index: int):
        annotation = self.loader.dataset.get_data_info(index % len(self.loader.dataset))
        return self.loader.pipeline(annotation)


class Script:
    """Parts of the script, which share device, clips and deadline.

    Args:
        bench (Bench): Device, configs and clips.
        args (argparse.Namespace): Command line.
    """

    def __init__(self, bench: Bench, args: argparse.Namespace):
        self.bench, self.device, self.args = bench, bench.device, args
        self.end = time.monotonic() + 60 * args.minutes
        self.gpu = self.device.type == 'cuda'
        self.peak = {}  # FLOP/s of matrix products by data type

    def attempt(self, name: str, measure: Callable) -> dict:
        """Return the row of a measurement, or one that says why there is none."""
        row = dict(work=name)
        if time.monotonic() > self.end:
            return dict(row, error=f'not run within {self.args.minutes:g} minutes')
        try:
            row.update(measure())
        except Exception as error:  # noqa: BLE001  a row must not end the others
            text = str(error).strip().splitlines() or ['']
            row.update(error=f'{type(error).__name__}: {text[0][:120]}'.replace('|', '/'))
        if self.gpu:
            torch.cuda.empty_cache()
        return row

    # -------------------------------------------------------------------------------- trainings
    def mofm(self, task: str, tokens: str, dtype: str, batch: int | None = None) -> Training:
        """Build pre-training or DT1 by its config."""
        bench = self.bench
        cfg = dict(pretrain=bench.pretrain, dt1=bench.dt1)[task]
        model = bench.model(cfg)
        model.backbone.tokens = tokens
        return self.train(model, cfg.optim_wrapper, dtype,
                          bench.loader(cfg.train_dataloader.dataset.pipeline, batch))

    def train(self, model, optim_wrapper: dict, dtype: str, loader: Loader) -> Training:
        """Build the training of a model."""
        wrapper = build_optim_wrapper(model, dict(optim_wrapper, type=WRAPPERS[dtype]))

        def forward(batch):
            with torch.no_grad(), wrapper.optim_context(model):
                model(**model.data_preprocessor(batch, True), mode='loss')
        return Training(lambda batch: model.train_step(batch, wrapper), loader, forward)

    def reference(self) -> Training:
        """Build the reference of the pre-training, float32 by its formulas."""
        bench, cfg = self.bench, self.bench.pretrain
        pipeline = [dict(t, render='loader') if t.type == 'ThermalCubeFormat' else t
                    for t in cfg.train_dataloader.dataset.pipeline]
        optimizer = cfg.optim_wrapper.optimizer
        model = ReferencePretrainer(
            bench.model(cfg), **{k: optimizer[k] for k in ('lr', 'betas', 'weight_decay')})

        @torch.no_grad()
        def forward(batch):
            model(*model.copy(batch))
        return Training(model.train_step, bench.loader(pipeline), forward)

    def posec3d(self, dtype: str) -> Training:
        """Build PoseC3D of mmaction2 by its config."""
        bench = self.bench
        peer = posec3d(bench.dt1.model.cls_head.num_classes, bench.size).to(self.device)
        loader = bench.loader([peer.pipeline], collate=pseudo_collate)
        model = peer.model
        # its accuracy converts the scores to NumPy, which has no bfloat16
        model.cls_head.register_forward_hook(lambda module, args, out: out.float())
        wrapper = WRAPPERS[dtype](peer.optim_wrapper.optimizer)

        def forward(batch):
            with torch.no_grad(), wrapper.optim_context(model):
                model(**model.data_preprocessor(batch, True), mode='loss')
        return Training(lambda batch: model.train_step(batch, wrapper), loader, forward)

    def dved(self, dtype: str) -> Training:
        """Build the tokenizer's training with the loss of the paper."""
        cfg = load_config(ROOT / OTHERS[self.bench.size][0])
        torch.manual_seed(0)
        model = init_model(cfg, device=str(self.device)).train()
        return self.train(model, cfg.optim_wrapper, dtype,
                          self.bench.loader(cfg.train_dataloader.dataset.pipeline))

    # ------------------------------------------------------------------------------------- rows
    def measure(self, build: Callable, dtype: str) -> dict:
        """Measure a training: speed, share of the matmul peak, memory, waiting for the loader."""
        memory = Memory(self.device.type)
        training = build()
        batch = training.loader()
        step = partial(training.step, batch)
        times = take_turns(dict(step=timed(lambda: step(), self.device)), self.args.repeats,
                           'step')['step']
        peak = memory.peak()
        count = len(training.loader.indices)
        flops = self.flops(training, batch)
        rate = flops / median(times)
        return dict(dtype=dtype, batch=count, **spread(times, count), **{
            'GFLOP/sample': flops / count / 1e9, 'TFLOP/s': rate / 1e12,
            'of matmul': rate / self.peak[dtype] if dtype in self.peak else None,
            'peak MiB': peak / 2**20, 'share of waiting for the loader': self.waiting(training)})

    @staticmethod
    def flops(training: Training, batch: dict) -> int:
        """Count the FLOPs of a step: a backward pass is twice the trained part of the forward."""
        with flop_counter() as counter:
            training.step(batch)
        return counter.get_total_flops()

    def waiting(self, training: Training) -> float:
        """Measure the share of time that training waits for the loader with workers."""
        loader, steps = training.loader, self.args.steps
        size, warm = len(loader.indices), 3
        batches = iter(DataLoader(
            Samples(loader, (steps + warm) * size), batch_size=size, collate_fn=loader.collate,
            num_workers=self.args.workers, pin_memory=self.gpu))
        waited = 0.
        for step in range(steps + warm):
            if step == warm:
                waited, start = 0., time.monotonic()
            before = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - before
            training.step(batch)
            synchronize(self.device)
        return waited / (time.monotonic() - start)

    def other(self, module, size: str, dtype: str) -> dict:
        """Measure a training step of a project's benchmark."""
        torch.manual_seed(0)
        batch, _, _, steps = module.prepare(module.SIZES[size], self.args.other_batch,
                                            self.device)
        autocast = torch.autocast(self.device.type, torch.bfloat16) if dtype == 'bf16' \
            else nullcontext()

        def step():
            with autocast:
                steps['ours']()

        memory = Memory(self.device.type)
        times = take_turns(dict(step=timed(step, self.device)), self.args.repeats, size)['step']
        peak = memory.peak()
        with flop_counter() as counter:
            step()
        rate = counter.get_total_flops() / median(times)
        return dict(dtype=dtype, batch=batch, **spread(times, batch), **{
            'TFLOP/s': rate / 1e12, 'of matmul': rate / self.peak[dtype]
            if dtype in self.peak else None, 'peak MiB': peak / 2**20})

    # --------------------------------------------------------------------------------- sections
    def limits(self) -> list:
        """Measure the limits of the machine."""
        found = ceilings(self.device, set(WRAPPERS), self.bench.size == 'tiny')

        def limit(name):
            work, amount = found[name]
            seconds = median(take_turns({name: timed(work, self.device)}, self.args.repeats,
                                        name)[name])
            if name.startswith('matmul'):
                self.peak[name.split(', ')[1]] = amount / seconds
                return dict(value=amount / seconds / 1e12, unit='TFLOP/s')
            self.peak[name] = (2 if name == 'copy' else 1) * amount / seconds
            return dict(value=self.peak[name] / 1e9, unit='GB/s')
        return [self.attempt(name, partial(limit, name)) for name in found]

    def rendering(self) -> list:
        """Measure rendering: bytes written and read once, against a copy."""
        grid = MODELS.build(self.bench.dt1.model.data_preprocessor).grid
        points = self.bench.points(self.bench.batch).to(self.device)

        def render(view):
            def work():
                getattr(ThermalCubes(points, grid), view)().sum()
            times = take_turns({view: timed(work, self.device)}, self.args.repeats, view)[view]
            moved = 2 * getattr(ThermalCubes(points, grid), view)().nbytes
            rate = moved / median(times)
            return {'batch': len(points), **spread(times, len(points)), 'GB/s': rate / 1e9,
                    'of copy': rate / self.peak['copy'] if 'copy' in self.peak else None}
        return [self.attempt(view, partial(render, view))
                for view in ('volume', 'union', 'occupied', 'cubes')]

    def steps(self) -> list:
        """Measure the trainings."""
        work = {'pre-training, reference': (self.reference, 'fp32')}
        for task, dtype, tokens in (
                ('pretrain', 'bf16', 'all'), ('pretrain', 'bf16', 'occupied'),
                ('pretrain', 'fp32', 'occupied'), ('dt1', 'bf16', 'all'),
                ('dt1', 'bf16', 'occupied')):
            work[f'{task}, {tokens}, {dtype}'] = partial(self.mofm, task, tokens, dtype), dtype
        work['PoseC3D, fp32'] = partial(self.posec3d, 'fp32'), 'fp32'
        work['PoseC3D, bf16'] = partial(self.posec3d, 'bf16'), 'bf16'
        work['dVED, bf16'] = partial(self.dved, 'bf16'), 'bf16'
        rows = [self.attempt(name, partial(self.measure, build, dtype))
                for name, (build, dtype) in tqdm(work.items(), desc='steps')]
        _, size_unik, size_dst = OTHERS[self.bench.size]
        rows += [self.attempt('UNIK, bf16', partial(self.other, unik, size_unik, 'bf16')),
                 self.attempt('DSTformer, bf16', partial(self.other, motionbert, size_dst,
                                                         'bf16'))]
        speed = {row['work']: row.get('samples/s') for row in rows}
        for row in rows:
            for peer, prefix in (('pre-training, reference', 'pretrain'),
                                 ('PoseC3D, fp32', 'dt1'), ('PoseC3D, bf16', 'dt1')):
                if row['work'].startswith(prefix) and row.get('samples/s') and speed.get(peer):
                    row[f'{peer} / this'] = row['samples/s'] / speed[peer]
        return rows

    def largest(self) -> list:
        """Double the batch until the memory ends."""
        def grow(task, tokens):
            batch, reason = self.bench.batch, 'limit of the script'
            fits = None
            while batch <= self.args.largest:
                try:
                    training = self.mofm(task, tokens, 'bf16', batch)
                    training.step(training.loader())
                except RuntimeError as error:  # torch.OutOfMemoryError is one
                    reason = str(error).splitlines()[0][:80].replace('|', '/')
                    break
                finally:
                    training = None
                    if self.gpu:
                        torch.cuda.empty_cache()
                fits, batch = batch, 2 * batch
            return dict(batch=fits, ended=reason)
        return [self.attempt(f'{task}, {tokens}, bf16', partial(grow, task, tokens))
                for task in ('pretrain', 'dt1') for tokens in ('all', 'occupied')]

    def compiled(self) -> list:
        """Measure torch.compile, and CUDA graphs by its mode 'reduce-overhead'."""
        def measure(tokens, mode):
            if mode == 'reduce-overhead' and not self.gpu:
                raise ValueError('CUDA graphs need a GPU')
            bench, cfg = self.bench, self.bench.pretrain
            times = {}
            for name in ('eager', 'compiled'):
                model = bench.model(cfg)
                model.backbone.tokens = tokens
                if name == 'compiled':
                    for block in model.backbone.blocks:
                        block.compile(mode=mode, dynamic=tokens == 'occupied' or None)
                training = self.train(model, cfg.optim_wrapper, 'bf16', bench.loader(
                    cfg.train_dataloader.dataset.pipeline))
                step = partial(training.step, training.loader())
                start = time.monotonic()
                step()
                compilation = time.monotonic() - start
                times[name] = take_turns(dict(step=timed(lambda: step(), self.device)),  # noqa: B023
                                         self.args.repeats, name)['step']
            return {**spread(times['compiled'], bench.batch),
                    'eager / this': median(times['eager']) / median(times['compiled']),
                    'first step, s': compilation}
        return [self.attempt(f'pretrain, {tokens}, bf16, {mode}', partial(measure, tokens, mode))
                for tokens in ('all', 'occupied') for mode in ('default', 'reduce-overhead')]

    def curves(self) -> list:
        """Train from the same weights on the same batches in bfloat16 and in float32."""
        losses = {}

        def curve(dtype):
            bench, cfg = self.bench, self.bench.pretrain
            model = bench.model(cfg)
            model.backbone.tokens = 'occupied'
            wrapper = build_optim_wrapper(model, dict(cfg.optim_wrapper, type=WRAPPERS[dtype]))
            loader = bench.loader(cfg.train_dataloader.dataset.pipeline)
            np.random.seed(0)
            torch.manual_seed(0)
            values = []
            for step in range(self.args.iterations):
                if time.monotonic() > self.end:
                    break
                loader.indices = (np.arange(bench.batch) + step * bench.batch) % len(
                    loader.dataset)
                batch = loader.transform(loader.load())
                values.append(model.train_step(batch, wrapper)['loss'].item())
            losses[dtype] = values
            last = values[-max(1, len(values) // 6):]
            return {'steps': len(values), 'first loss': values[0],
                    'loss of the last sixth': sum(last) / len(last)}

        rows = [self.attempt(dtype, partial(curve, dtype)) for dtype in ('fp32', 'bf16')]
        if all(losses.get(dtype) for dtype in WRAPPERS):
            pairs = list(zip(losses['fp32'], losses['bf16'], strict=False))
            gaps = [abs(a - b) / a for a, b in pairs]
            rows[1].update({'mean relative difference': sum(gaps) / len(gaps),
                            'largest relative difference': max(gaps)})
        return rows


#: Tables by name of the section, in the order of the run.
SECTIONS = dict(ceilings='limits', rendering='rendering', steps='steps', curves='curves',
                largest='largest', compile='compiled')


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cuda', type=torch.device, help='[cuda]')
    parser.add_argument('--size', choices=CONFIGS, default='base', help='[base]')
    parser.add_argument('--batch', type=int, default=32, help='clips [32]')
    parser.add_argument('--other-batch', type=int, default=16,
                        help='clips of UNIK and DSTformer [16]')
    parser.add_argument('--repeats', type=int, default=10, help='rounds [10]')
    parser.add_argument('--steps', type=int, default=20, help='steps with the loader [20]')
    parser.add_argument('--workers', type=int, default=4, help='of the loader [4]')
    parser.add_argument('--iterations', type=int, default=300, help='of the loss curves [300]')
    parser.add_argument('--largest', type=int, default=4096, help='largest batch to try [4096]')
    parser.add_argument('--minutes', type=float, default=9, help='no row starts later [9]')
    parser.add_argument('--only', nargs='+', choices=SECTIONS, default=list(SECTIONS),
                        metavar='SECTION', help=f'{", ".join(SECTIONS)} [all]')
    parser.add_argument('--out', type=Path, default=ROOT / 'benchmarks/results',
                        help='folder [benchmarks/results]')
    args = parser.parse_args()
    if args.device.type == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: found no GPU; --device cpu --size tiny tests the script')
    init_default_scope('mofm')
    now = datetime.now().astimezone()
    report = dict(
        size=args.size, device=args.device.type, batch=args.batch, repeats=args.repeats,
        date=now.isoformat(timespec='seconds'), commit=commit(),
        command=shlex.join(['python', 'benchmarks/gpu.py', *sys.argv[1:]]),
        machine=machine(args.device))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, Path(folder))
        script = Script(bench, args)
        tables = {name: getattr(script, SECTIONS[name])() for name in args.only}
    report.update(clips=bench.clips, tables=tables)
    name = f'{now:%Y-%m-%d}_{args.size}_{args.device.type}_script'
    write_report(args.out / name, markdown(report), report)


if __name__ == '__main__':
    main()
