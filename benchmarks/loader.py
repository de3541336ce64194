"""Data loading of pre-training by stage and in workers, compared with mmaction2's PoseC3D.

OMP_NUM_THREADS=1 python benchmarks/loader.py

Ours reads .pkl and .arrow and returns keypoints, that of mmaction2 returns the same heat (48
frames of 72x72 pixels) rendered in the worker. All times are processor time, which excludes
waiting for a busy machine. In process the pipelines are interleaved; the time of a worker is that
of all its threads between its first and last batch, including pickling.
"""

import argparse
import os
import tempfile
import time
from functools import partial
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from statistics import median

import mmaction
import mmaction.datasets.transforms  # noqa: F401
import numpy as np
import torch
from common import ROOT, machine, one_thread, take_turns, write_clips
from mmaction.registry import TRANSFORMS as PEER_TRANSFORMS
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from peers import to_pose_sample
from torch.utils.data import DataLoader, get_worker_info

from mofm.annotations import dump_annotations, load_annotations
from mofm.datasets import MotionDataset, motion_collate
from mofm.registry import TRANSFORMS
from mofm.utils.config import load_config

PEER = [
    dict(type='UniformSampleFrames', clip_len=48),
    dict(type='PoseDecode'),
    dict(type='PoseCompact', hw_ratio=1., allow_imgpad=True),
    dict(type='Resize', scale=(72, 72), keep_ratio=False),
    dict(type='GeneratePoseTarget', sigma=0.6, use_score=True, with_kp=True, with_limb=False),
    dict(type='FormatShape', input_format='NCTHW_Heatmap'),
    dict(type='PackActionInputs')
]


class Pipeline:
    """Clips of a file with transforms and collate function.

    Args:
        path (Path): Annotation file with the split 'train'.
        transforms (list): Transforms of a sample.
        collate (Callable): Collates samples to a batch.
        batch_size (int): B.
    """

    def __init__(self, path: Path, transforms: list, collate, batch_size: int):
        self.clips = MotionDataset(str(path), split='train')
        self.transforms = transforms
        self.collate = collate
        self.batch_size = batch_size

    def __len__(self):
        return len(self.clips)

    def load(self, index: int) -> dict:
        """Read an annotation."""
        return self.clips.get_data_info(index)

    def __getitem__(self, index: int) -> dict:
        """Return a sample; indices wrap around."""
        results = self.load(index % len(self))
        for transform in self.transforms:
            results = transform(results)
        return results

    def stages(self) -> dict:
        """Measure processor microseconds per sample by stage over a batch of random clips."""
        steps = {'load': self.load, **{type(t).__name__: t for t in self.transforms}}
        seconds, samples = dict.fromkeys([*steps, 'collate'], 0.), []
        for index in np.random.randint(len(self), size=self.batch_size):
            results = int(index)
            for name, step in steps.items():
                start = time.process_time()
                results = step(results)
                seconds[name] += time.process_time() - start
            samples.append(results)
        start = time.process_time()
        self.collate(samples)
        seconds['collate'] = time.process_time() - start
        return {name: 1e6 * value / self.batch_size for name, value in seconds.items()}


class PeerPipeline(Pipeline):
    """Pipeline of mmaction2 transforms, which need the fields of its PoseDataset."""

    def load(self, index: int) -> dict:
        """Read an annotation."""
        return to_pose_sample(super().load(index))


def pipelines(path: Path, batch_size: int) -> dict:
    """Write the clips; return our pipelines of ``.pkl`` and ``.arrow`` and that of mmaction2."""
    write_clips(path)
    arrow = path.with_suffix('.arrow')
    dump_annotations(load_annotations(path), arrow)
    config = load_config(ROOT / 'configs/mofm/pretrain.py')
    ours = [TRANSFORMS.build(t) for t in config.train_dataloader.dataset.pipeline]
    theirs = [PEER_TRANSFORMS.build(dict(t, type=f'mmaction.{t["type"]}')) for t in PEER]
    return {
        'MoFM .pkl': Pipeline(path, ours, motion_collate, batch_size),
        'MoFM .arrow': Pipeline(arrow, ours, motion_collate, batch_size),
        'mmaction2 PoseC3D': PeerPipeline(path, theirs, pseudo_collate, 4)}  # 16 MiB per sample


def clocked(collate, samples: list) -> tuple:
    """Collate a batch; returns the worker and its processor time before, too."""
    return get_worker_info().id, time.process_time(), collate(samples)


def through_workers(pipeline: Pipeline, workers: int, batches: int) -> dict:
    """Measure processor microseconds per sample of the workers and of the main process.

    Args:
        pipeline (Pipeline): Pipeline of the workers.
        workers (int): Number of workers, at least 1.
        batches (int): Batches of each worker after one for warm-up.
    """
    size = pipeline.batch_size
    loader = DataLoader(pipeline, size, sampler=range(size * workers * (batches + 1)),
                        num_workers=workers, collate_fn=partial(clocked, pipeline.collate))
    clocks, main = {}, []
    for worker, clock, _ in loader:
        clocks.setdefault(worker, []).append(clock)
        main.append(time.process_time())
    used = sum(c[-1] - c[0] for c in clocks.values())
    warm = len(main) // 2  # the second half arrives after all workers have started
    return {'worker': 1e6 * used / (size * workers * batches),
            'main process': 1e6 * (main[-1] - main[warm]) / (size * (len(main) - 1 - warm))}


def boundary(pipeline: Pipeline) -> tuple:
    """Measure the bytes per sample between processes: in shared memory, and pickled."""
    batch = pipeline.collate([pipeline[i] for i in range(pipeline.batch_size)])
    inputs = batch['inputs'].values() if isinstance(batch['inputs'], dict) else batch['inputs']
    shared = sum(tensor.nbytes for tensor in inputs)
    return (shared / pipeline.batch_size,
            len(ForkingPickler.dumps(batch)) / pipeline.batch_size)


def loader_rates(path: Path, batch_size: int = 32, rounds: int = 10, workers: tuple = (1, 2, 4),
                 batches: int = 8) -> tuple:
    """Measure the loaders.

    Args:
        path (Path): ``.pkl`` file to write the clips to, also as ``.arrow``.
        batch_size (int): B of ours. Defaults to 32.
        rounds (int): Batches of each pipeline in process. Defaults to 10.
        workers (tuple[int]): Numbers of workers; () skips workers. Defaults to (1, 2, 4).
        batches (int): Batches of each worker. Defaults to 8; a quarter of it for mmaction2.

    Returns:
        tuple: Median microseconds per sample by pipeline and stage, and rows (list[dict]):
        pipeline, workers (0 is in process), microseconds per sample of a worker and of the main
        process, samples/s per core, cores for 1,000 samples/s, bytes per sample in shared memory
        and pickled.
    """
    init_default_scope('mofm')
    loaders = pipelines(path, batch_size)
    with one_thread():
        found = take_turns({name: loader.stages for name, loader in loaders.items()}, rounds,
                           'stages')
        stages = {name: {stage: median(r[stage] for r in results) for stage in results[0]}
                  for name, results in found.items()}
        rows = []
        for name, loader in loaders.items():
            shared, pickled = boundary(loader)
            for count in (0, *workers):
                cost = {'worker': sum(stages[name].values()), 'main process': 0.}
                if count:
                    number = batches if loader.batch_size == batch_size else max(1, batches // 4)
                    cost = through_workers(loader, count, number)
                rows.append({
                    'pipeline': name, 'workers': count, **cost,
                    'samples/s per core': 1e6 / cost['worker'],
                    'cores for 1,000/s': cost['worker'] / 1e3,
                    'shared': shared, 'pickled': pickled})
    return stages, rows


def main():
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--workers', type=int, nargs='*', default=[1, 2, 4])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stages, rows = loader_rates(Path(folder, 'clips.pkl'), args.batch_size, args.rounds,
                                    tuple(args.workers))
    print(f'{machine(torch.device("cpu"))}, mmaction2 {mmaction.__version__}; {os.cpu_count()} '
          'cores. Processor microseconds per sample:\n')
    print('| stage | ' + ' | '.join(stages) + ' |\n' + '|---' * (len(stages) + 1) + '|')
    for stage in dict.fromkeys(stage for found in stages.values() for stage in found):
        cells = (f'{found[stage]:,.0f}' if stage in found else '' for found in stages.values())
        print(f'| {stage} | ' + ' | '.join(cells) + ' |')
    totals = [sum(found.values()) for found in stages.values()]
    print('| **total** | ' + ' | '.join(f'**{total:,.0f}**' for total in totals) + ' |')
    print('| ratio | ' + ' | '.join(f'{totals[-1] / total:.1f}x' for total in totals) + ' |\n')
    print('| pipeline | workers | us/sample | main process, us | samples/s per core | cores for '
          '1,000 samples/s | KiB/sample, shared | bytes/sample, pickled |')
    print('|---' * 8 + '|')
    for row in rows:
        print(f'| {row["pipeline"]} | {row["workers"] or "in process"} | {row["worker"]:,.0f} | '
              f'{row["main process"]:,.0f} | {row["samples/s per core"]:,.0f} | '
              f'{row["cores for 1,000/s"]:.2f} | {row["shared"] / 1024:,.1f} | '
              f'{row["pickled"]:,.0f} |')


if __name__ == '__main__':
    main()
