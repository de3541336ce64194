"""Memory and start-up time of MotionDataset at the size of NTU RGB+D 120, per DataLoader worker.

python benchmarks/dataset_memory.py                   # 114,480 clips, some minutes
python benchmarks/dataset_memory.py --clips 5000 --no-serialize
python benchmarks/dataset_memory.py --clips 1000000 --frames 10 30 --kinds .arrow .pkl

PSS counts a page shared by n processes as 1/n in each, so the sum over the processes is the memory
in use. Linux only.
"""
import argparse
import os
import tempfile
import time
import warnings

import numpy as np
from torch.utils.data import DataLoader, RandomSampler

from mofm.annotations import dump_annotations
from mofm.annotations.arrow import ArrowWriter
from mofm.datasets import MotionDataset

MIB = 2**20


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
    for i in range(num_clips):
        persons, length = 1 + (rng.random() < .25), int(rng.integers(frames[0], frames[1] + 1))
        start, n = int(rng.integers(len(noise) // 2)), persons * length * 17
        yield dict(
            frame_dir=f'clip{i:06d}', label=i % 120, img_shape=(1080, 1920), total_frames=length,
            keypoint=noise[start:start + 2 * n].reshape(persons, length, 17, 2),
            keypoint_score=noise[start:start + n].reshape(persons, length, 17))


def write_clips(path, num_clips, frames):
    """Write the clips; return the bytes of their keypoints and scores."""
    size = 0
    if path.endswith('.arrow'):
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
    start = time.perf_counter()
    dataset = MotionDataset(path, split='train', num_classes=120, serialize_data=serialize)
    loading = time.perf_counter() - start
    print(f'\n{path[-6:].split(".")[1]}, serialize_data={serialize}, {len(dataset)} clips ready '
          f'in {loading:.1f} s (peak RSS {peak() - base:.0f} MiB above the interpreter, private '
          f'{private() - base_private:.0f} MiB)')
    samples = samples or len(dataset)
    for num_workers in workers:
        loader = DataLoader(dataset, 64, sampler=RandomSampler(dataset, num_samples=samples),
                            num_workers=num_workers, collate_fn=count,
                            persistent_workers=num_workers > 0)
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
    print(f'{num_clips} clips, {size / MIB:.0f} MiB of keypoints and scores, '
          f'file {os.path.getsize(path) / MIB:.0f} MiB', flush=True)


def main():
    """Write the clips, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--clips', type=int, default=114480)
    parser.add_argument('--frames', type=int, nargs=2, default=[40, 120], metavar=('LOW', 'HIGH'))
    parser.add_argument('--kinds', nargs='+', default=['.pkl'], choices=['.pkl', '.arrow'])
    parser.add_argument('--samples', type=int, help='clips to read [all]')
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 4])
    parser.add_argument('--no-serialize', action='store_true',
                        help='also measure a plain list of annotations, for comparison')
    args = parser.parse_args()
    warnings.filterwarnings('ignore', 'This DataLoader will create')
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.kinds:
            path = os.path.join(folder, 'clips' + kind)
            in_child(write_and_report, path, args.clips, args.frames)
            for serialize in [True, False][:1 + (args.no_serialize and kind != '.arrow')]:
                in_child(measure, path, serialize, args.workers, args.samples)
            os.remove(path)


if __name__ == '__main__':
    main()
