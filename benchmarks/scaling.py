"""Weak scaling of training: speed of N processes with their own clips against one (DDP).

python benchmarks/scaling.py                          # 2 processes of one thread on the CPU
python benchmarks/scaling.py --device cuda --processes 8

One process alone, N other ones with the same batch each, and an all-reduce of the gradient alone
are interleaved; the times are medians of the wall-clock time of the slowest process. Efficiency is
the speed of N processes over N times that of one. On the CPU each process needs an idle core.
"""

import argparse
import gc
import json
import shlex
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
import torch.distributed as dist
from common import ROOT, commit, machine, synchronize, write_clips, write_report
from mmengine.dataset import Compose
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from tqdm import tqdm

from mofm.datasets import MotionDataset, motion_collate
from mofm.registry import MODELS
from mofm.utils.config import load_config

#: Config, clips per process on the CPU and on a GPU.
SIZES = dict(tiny=('configs/mofm/pretrain_tiny.py', 16, 256),
             base=('configs/mofm/pretrain.py', 2, 32))


class Trainer:
    """Model and optimizer with a fixed batch for repeated training steps.

    Args:
        size (str): Key of ``SIZES``.
        args (argparse.Namespace): Command line.
        rank (int): Rank, which selects clips and GPU.
        clips (Path): Annotation file.
    """

    def __init__(self, size: str, args: argparse.Namespace, rank: int, clips: Path):
        config, *batches = SIZES[size]
        cuda = args.device == 'cuda'
        self.batch = args.batch or batches[cuda]
        self.device = torch.device('cuda', rank) if cuda else torch.device('cpu')
        cfg = load_config(ROOT / config)
        cfg.model.tokenizer.init_cfg = None  # a random teacher takes as long
        self.model = MODELS.build(cfg.model).to(self.device).train()
        self.optimizer = build_optim_wrapper(self.model, cfg.optim_wrapper)
        motions = MotionDataset(str(clips), split='train')
        transform = Compose(cfg.train_pipeline)
        self.data = motion_collate([
            transform(motions.get_data_info((rank * self.batch + i) % len(motions)))
            for i in range(self.batch)])

    def seconds(self, function: Callable) -> float:
        """Measure the seconds of one call."""
        synchronize(self.device)
        start = perf_counter()
        function()
        synchronize(self.device)
        return perf_counter() - start

    def step(self):
        """Do a training step."""
        self.model.train_step(dict(self.data), self.optimizer)

    def distribute(self):
        """Wrap the model as tools/dist_train.sh does."""
        self.model = MMDistributedDataParallel(
            self.model, device_ids=[self.device.index] if self.device.type == 'cuda' else None,
            broadcast_buffers=False)


def start(device: str, rank: int):
    """Set up a process."""
    if device == 'cuda':
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(1)
    init_default_scope('mofm')


def work(rank: int, args: argparse.Namespace, folder: Path, barrier):
    """Run one of the N processes; the first writes the times of the slowest."""
    start(args.device, rank)
    dist.init_process_group('nccl' if args.device == 'cuda' else 'gloo',
                            init_method=f'file://{folder}/store', rank=rank,
                            world_size=args.processes)
    results = []
    for size in args.sizes:
        trainer = Trainer(size, args, rank, folder / 'clips.pkl')
        trainer.distribute()
        gradient = torch.zeros(sum(p.numel() for p in trainer.model.parameters()),
                               device=trainer.device)
        times = []
        for _ in range(args.repeats + 1):
            barrier.wait()
            barrier.wait()  # the process that trains alone is ready
            spent = []
            for function in (trainer.step, partial(dist.all_reduce, gradient)):
                dist.barrier()
                spent.append(trainer.seconds(function))
            spent = torch.tensor(spent, device=trainer.device)
            dist.all_reduce(spent, dist.ReduceOp.MAX)
            times.append(spent.tolist())
        results.append(dict(parameters=gradient.numel(), together=times))
    if rank == 0:
        (folder / 'results.json').write_text(json.dumps(results))
    del trainer  # its DDP wrapper keeps the process group alive
    gc.collect()
    dist.barrier()
    dist.destroy_process_group()


def measure(args: argparse.Namespace, folder: Path) -> list:
    """Measure the rows of the table."""
    barrier = torch.multiprocessing.get_context('spawn').Barrier(args.processes + 1, timeout=600)
    workers = torch.multiprocessing.spawn(work, (args, folder, barrier), args.processes,
                                          join=False)
    start(args.device, 0)
    alone, batches = [], []
    for size in args.sizes:
        trainer = Trainer(size, args, 0, folder / 'clips.pkl')
        times = []
        for _ in tqdm(range(args.repeats + 1), desc=size):
            barrier.wait()
            times.append(trainer.seconds(trainer.step))
            barrier.wait()
        alone.append(times)
        batches.append(trainer.batch)
    while not workers.join():
        pass
    rows, number = [], args.processes
    results = json.loads((folder / 'results.json').read_text())
    for size, batch, times, result in zip(args.sizes, batches, alone, results, strict=True):
        together, reduces = zip(*result['together'], strict=True)
        one, all_, reduce = (median(t[1:]) for t in (times, together, reduces))  # first: warm-up
        rows.append({
            'size': size, 'clips per process': batch, 'samples/s of 1': batch / one,
            f'samples/s of {number}': number * batch / all_, 'efficiency': one / all_,
            'MB of gradient': result['parameters'] * 4 / 1e6, 'ms per step': 1e3 * all_,
            'ms of the all-reduce alone': 1e3 * reduce, 'share of the all-reduce': reduce / all_,
            'seconds': dict(one=times[1:], together=together[1:], all_reduce=reduces[1:])})
    return rows


def markdown(report: dict) -> str:
    """Format the report as Markdown."""
    columns = [column for column in report['rows'][0] if column != 'seconds']
    lines = [f'# Scaling of training, {report["processes"]} processes, {report["device"]}', '',
             f'{report["date"]}, commit {report["commit"]}, `{report["command"]}`', '',
             report['machine'] + ('; one thread per process' * (report['device'] == 'cpu')), '',
             f'Clips: {report["clips"]}. Medians of {report["repeats"]} rounds.', '',
             '| ' + ' | '.join(columns) + ' |', '|---' * len(columns) + '|']
    for row in report['rows']:
        cells = [f'{value:.1%}' if column.startswith(('share', 'eff')) else
                 f'{value:.3g}' if isinstance(value, float) else str(value)
                 for column, value in row.items() if column in columns]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='[cpu]')
    parser.add_argument('--processes', type=int, default=2, help='one per GPU on cuda [2]')
    parser.add_argument('--sizes', nargs='+', choices=SIZES, default=list(SIZES), help='[all]')
    parser.add_argument('--batch', type=int, help='clips per process [depends on the size]')
    parser.add_argument('--repeats', type=int, default=7, help='rounds [7]')
    parser.add_argument('--out', type=Path, default=ROOT / 'benchmarks/results',
                        help='folder [benchmarks/results]')
    args = parser.parse_args()
    now = datetime.now().astimezone()
    report = dict(
        device=args.device, processes=args.processes, repeats=args.repeats,
        date=now.isoformat(timespec='seconds'), commit=commit(),
        command=shlex.join(['python', 'benchmarks/scaling.py', *sys.argv[1:]]),
        machine=machine(torch.device(args.device)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report['clips'] = write_clips(folder / 'clips.pkl')
        report['rows'] = measure(args, folder)
    write_report(args.out / f'{now:%Y-%m-%d}_scaling_{args.device}', markdown(report), report)


if __name__ == '__main__':
    main()
