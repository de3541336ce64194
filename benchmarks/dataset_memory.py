"""Memory and start-up time of MotionDataset and MotionCorpus, per DataLoader worker.

By default at the size of NTU RGB+D 120.

python benchmarks/dataset_memory.py                   # 114,480 clips, some minutes
python benchmarks/dataset_memory.py --clips 5000 --no-serialize
python benchmarks/dataset_memory.py --clips 1000000 --frames 10 30 --kinds .arrow .pkl
python benchmarks/dataset_memory.py --clips 10000000 --frames 4 12 --kinds .json --samples 200000

PSS counts a page shared by n processes as 1/n in each, so the sum over the processes is the memory
in use. Linux only.
"""
import argparse
import os
import shutil
import tempfile
import time
import warnings
from contextlib import nullcontext

import numpy as np
from torch.utils.data import DataLoader, RandomSampler

from mofm.annotations import dump_annotations, write_manifest
from mofm.annotations.arrow import ArrowWriter
from mofm.datasets import MixtureSampler, MotionCorpus, MotionDataset

MIB = 2**20
SHARDS = 100


def memory(pid='self'):
    """Return RSS and PSS of a process in MiB."""
    with open(f'/proc/{pid}/smaps_rollup', encoding='utf-8') as f:
        values = dict(line.split(':') for line in f.readlines()[1:])
    return tuple(int(values[key].split()[0]) / 1024 for key in ('Rss', 'Pss'))


def private(pid='self'):
    """Return the memory of a process that is neither shared nor a mapped file, in MiB."""
    with open(f'/proc/{pid}/smaps_rollup', encoding='utf-8') as f:
        values = dict(line.split(':') for line in f.readlines()[1:])
    return int(values['Anonymous'].split()[0]) / 1024


def peak():
    """Return the peak RSS of this process in MiB."""
    with open('/proc/self/status', encoding='utf-8') as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith('VmHWM'))


def clips(num_clips, frames):
    """Yield clips of random length, one in four with two persons."""
    rng = np.random.default_rng(0)
    noise = rng.random(2 * max(frames) * 17 * 3 * 64, np.float32).astype(np.float16)
    pixels = (1000 * noise).astype(np.float16)
    for i in range(num_clips):
        persons, length = 1 + (rng.random() < .25), int(rng.integers(frames[0], frames[1] + 1))
        start, n = int(rng.integers(len(noise) // 2)), persons * length * 17
        yield dict(
            frame_dir=f'clip{i:08d}', label=i % 120, img_shape=(1080, 1920), total_frames=length,
            keypoint=pixels[start:start + 2 * n].reshape(persons, length, 17, 2),
            keypoint_score=noise[start:start + n].reshape(persons, length, 17))


def write_clips(path, num_clips, frames):
    """Write the clips; return the bytes of their keypoints and scores."""
    size = 0
    if path.endswith('.json'):  # a manifest
        files = [os.path.join(os.path.dirname(path), f'{i:03d}.arrow') for i in range(SHARDS)]
        size = SHARDS * write_clips(files[0], num_clips // SHARDS, frames)
        for file in files[1:]:
            shutil.copy(files[0], file)
        write_manifest(path, files)
    elif path.endswith('.arrow'):
        with open(path, 'wb') as f, ArrowWriter(f, {}) as writer:
            for ann in clips(num_clips, frames):
                writer.write(ann, ['train'])
                size += 3 * ann['keypoint'].nbytes // 2
    else:
        annotations = list(clips(num_clips, frames))
        size = sum(3 * ann['keypoint'].nbytes // 2 for ann in annotations)
        ids = [ann['frame_dir'] for ann in annotations]
        dump_annotations(dict(split=dict(train=ids), annotations=annotations), path)
    return size


def count(batch):
    """Collate a batch by reading every value and returning almost nothing."""
    return len(batch), float(sum(item['keypoint'][..., 0].max() for item in batch))


def in_child(function, *args):
    """Run a function in a forked process, so that the next measurement excludes its memory."""
    pid = os.fork()
    if pid == 0:
        function(*args)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit('the measurement failed')


def measure(path, serialize, workers, samples):
    """Print the memory of this process and its workers after reading samples at random."""
    base, base_private = memory()[0], private()
    start, used = time.perf_counter(), time.process_time()
    kind = MotionCorpus if path.endswith('.json') else MotionDataset
    dataset = kind(path, split='train', num_classes=120, serialize_data=serialize)
    loading, used = time.perf_counter() - start, time.process_time() - used
    print(f'\n{path[-6:].split(".")[1]}, serialize_data={serialize}, {len(dataset)} clips ready '
          f'in {loading:.1f} s, {used:.1f} s of processor time (peak RSS {peak() - base:.0f} MiB '
          f'above the interpreter, private {private() - base_private:.0f} MiB)')
    samples = samples or len(dataset)
    for num_workers in workers:
        sampler = MixtureSampler(dataset, num_samples=samples, seed=0) if kind is MotionCorpus \
            else RandomSampler(dataset, num_samples=samples)
        loader = DataLoader(dataset, 64, sampler=sampler, num_workers=num_workers,
                            collate_fn=count, persistent_workers=num_workers > 0)
        start = time.perf_counter()
        iterator = iter(loader)
        total = sum(n for n, _ in iterator)
        seconds = time.perf_counter() - start
        processes = {'main': os.getpid()}
        processes.update((f'worker {i}', w.pid)
                         for i, w in enumerate(getattr(iterator, '_workers', [])))
        print(f'{num_workers} workers, {samples} random clips in {seconds:.1f} s '
              f'({total / seconds:.0f} clips/s)')
        stats = {name: memory(pid) for name, pid in processes.items()}
        for name, (rss, pss) in stats.items():
            print(f'  {name:9} RSS {rss:7.0f} MiB  PSS {pss:7.0f} MiB')
        print(f'  {"sum":9} {"":15}  PSS {sum(pss for _, pss in stats.values()):7.0f} MiB')
        del iterator, loader


def write_and_report(path, num_clips, frames):
    """Write the file and print its size."""
    size = write_clips(path, num_clips, frames)
    files = sum(file.stat().st_size for file in os.scandir(os.path.dirname(path)))
    print(f'{num_clips} clips, {size / MIB:.0f} MiB of keypoints and scores, '
          f'files of {files / MIB:.0f} MiB', flush=True)


def main():
    """Write the clips, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--clips', type=int, default=114480)
    parser.add_argument('--frames', type=int, nargs=2, default=[40, 120], metavar=('LOW', 'HIGH'))
    parser.add_argument('--kinds', nargs='+', default=['.pkl'],
                        choices=['.pkl', '.arrow', '.json'],
                        help='.json is a manifest of an .arrow file and 99 copies')
    parser.add_argument('--samples', type=int, help='clips to read [all]')
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 4])
    parser.add_argument('--no-serialize', action='store_true',
                        help='also measure a plain list of annotations, for comparison')
    parser.add_argument('--folder', help='keep the files here, and read those of an earlier run')
    args = parser.parse_args()
    warnings.filterwarnings('ignore', 'This DataLoader will create')
    for kind in args.kinds:
        with tempfile.TemporaryDirectory() if args.folder is None else nullcontext(
                args.folder) as folder:
            path = os.path.join(folder, 'clips' + kind)
            if not os.path.exists(path):
                in_child(write_and_report, path, args.clips, args.frames)
            for serialize in [True, False][:1 + (args.no_serialize and kind == '.pkl')]:
                in_child(measure, path, serialize, args.workers, args.samples)


if __name__ == '__main__':
    main()
