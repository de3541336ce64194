"""Memory and start-up time of MotionDataset at the size of NTU RGB+D 120, per DataLoader worker.

python benchmarks/dataset_memory.py                   # 114,480 clips, takes some minutes
python benchmarks/dataset_memory.py --clips 5000 --no-serialize

PSS counts a page shared by n processes as 1/n in each, so the sum over the processes is the
memory that is really in use. Linux only.
"""
import argparse
import os
import tempfile
import time
import warnings

import numpy as np
from torch.utils.data import DataLoader

from mofm.datasets import MotionDataset, dump_annotations

MIB = 2**20


def memory(pid='self'):
    """RSS and PSS of a process in MiB."""
    with open(f'/proc/{pid}/smaps_rollup') as f:
        values = dict(line.split(':') for line in f.readlines()[1:])
    return tuple(int(values[key].split()[0]) / 1024 for key in ('Rss', 'Pss'))


def peak():
    """Highest RSS of this process so far in MiB."""
    with open('/proc/self/status') as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith('VmHWM'))


def write_clips(path, num_clips):
    """Write clips of 40 to 120 frames, one in four with two persons; return their bytes."""
    rng = np.random.default_rng(0)
    noise = rng.random(2 * 120 * 17 * 3 * 64, np.float32).astype(np.float16)
    annotations, size = [], 0
    for i in range(num_clips):
        persons, frames = 1 + (rng.random() < .25), int(rng.integers(40, 121))
        start, n = int(rng.integers(len(noise) // 2)), persons * frames * 17
        annotations.append(dict(
            frame_dir=f'clip{i:06d}', label=i % 120, img_shape=(1080, 1920), total_frames=frames,
            keypoint=noise[start:start + 2 * n].reshape(persons, frames, 17, 2),
            keypoint_score=noise[start:start + n].reshape(persons, frames, 17)))
        size += 6 * n
    ids = [a['frame_dir'] for a in annotations]
    dump_annotations(dict(split=dict(train=ids), annotations=annotations), path)
    return size


def count(batch):
    """Collate that touches every value and hands over almost nothing."""
    return len(batch), float(sum(item['keypoint'][..., 0].max() for item in batch))


def in_child(function, *args):
    """Run in a forked process, so that its memory does not show in the next measurement."""
    pid = os.fork()
    if pid == 0:
        function(*args)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit('the measurement failed')


def measure(path, serialize, workers):
    """Print the memory of this process and its workers after one epoch."""
    base = memory()[0]
    start = time.perf_counter()
    dataset = MotionDataset(path, split='train', num_classes=120, serialize_data=serialize)
    loading = time.perf_counter() - start
    print(f'\nserialize_data={serialize}, {len(dataset)} clips ready in {loading:.1f} s '
          f'(peak RSS {peak() - base:.0f} MiB above the interpreter)')
    for num_workers in workers:
        loader = DataLoader(dataset, 64, shuffle=True, num_workers=num_workers, collate_fn=count,
                            persistent_workers=num_workers > 0)
        start = time.perf_counter()
        iterator = iter(loader)
        total = sum(n for n, _ in iterator)
        seconds = time.perf_counter() - start
        processes = {'main': os.getpid()}
        processes.update((f'worker {i}', w.pid)
                         for i, w in enumerate(getattr(iterator, '_workers', [])))
        print(f'{num_workers} workers, one epoch in {seconds:.1f} s '
              f'({total / seconds:.0f} clips/s)')
        stats = {name: memory(pid) for name, pid in processes.items()}
        for name, (rss, pss) in stats.items():
            print(f'  {name:9} RSS {rss:7.0f} MiB  PSS {pss:7.0f} MiB')
        print(f'  {"sum":9} {"":15}  PSS {sum(pss for _, pss in stats.values()):7.0f} MiB')
        del iterator, loader


def write_and_report(path, num_clips):
    """Write the file and print its size."""
    size = write_clips(path, num_clips)
    print(f'{num_clips} clips, {size / MIB:.0f} MiB of key points and scores, '
          f'file {os.path.getsize(path) / MIB:.0f} MiB', flush=True)


def main():
    """Write the clips, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--clips', type=int, default=114480)
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 4])
    parser.add_argument('--no-serialize', action='store_true',
                        help='also measure a plain list of annotations, for comparison')
    args = parser.parse_args()
    warnings.filterwarnings('ignore', 'This DataLoader will create')
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'clips.pkl')
        in_child(write_and_report, path, args.clips)
        for serialize in [True, False][:1 + args.no_serialize]:
            in_child(measure, path, serialize, args.workers)


if __name__ == '__main__':
    main()
