"""Search by example: mean average precision on real data, and time and memory of large indexes.

python benchmarks/search.py accuracy mofm-tiny
python benchmarks/search.py accuracy CONFIG CHECKPOINT --split train       # for choices
python benchmarks/search.py scale --hours 1000

``accuracy``: Penn Action and NW-UCLA, every clip is a query for the clips of its class among the
others; untrimmed UTKinect, every instance of an action is a query for those of the other subjects,
beside raw keypoints in the same index. A hit is right if its middle is in an instance of the
action, or the middle of one is in the hit; further hits of an instance are wrong.

``scale``: random vectors in an index of the given size, of one person all the time.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from common import ROOT, machine

from mofm.annotations import load_annotations
from mofm.apis import MotionIndex, MotionInferencer
from mofm.apis.index_adding import WIDTHS
from mofm.apis.index_files import IndexFiles, PartWriter, Projection, Projections

BASELINE = ROOT / 'configs/dt2_penn_baseline.py'
FPS = 30


def average_precision(right: np.ndarray, total: int) -> float:
    """Compute the average precision of a ranking, of which ``total`` are to be found."""
    right = np.asarray(right, float)
    return float((right.cumsum() / np.arange(1, len(right) + 1) * right).sum() / max(total, 1))


def clips(inferencer, data: dict, split: str) -> dict:
    """Search for the clips of the same class with each clip of a split."""
    names = set(data['split'][split])
    anns = [ann for ann in data['annotations'] if ann['frame_dir'] in names]
    with tempfile.TemporaryDirectory() as folder:
        index = MotionIndex(folder, inferencer, window=10**6)  # a clip is a window
        index.add(anns, progress=False)
        known = {ann['frame_dir']: ann for ann in anns}
        labels = np.array([known[name]['label'] for name in index.recordings])
        vectors = index.vectors.astype(np.float32)
        flipped = index.encode([known[name] for name in index.recordings], mirror=True)
    plain = vectors @ vectors.T
    rankings = [rank(scores, labels) for scores in (plain, np.maximum(plain, flipped @ vectors.T))]
    (alone, _), (both, first) = rankings
    return dict(queries=len(labels), alone=alone, mAP=both, first=first)


def rank(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return mean average precision and accuracy of the first of all others, in %."""
    np.fill_diagonal(scores, -2)
    order = np.argsort(-scores, 1)[:, :-1]
    right = labels[order] == labels[:, None]
    return (100 * np.mean([average_precision(row, row.sum()) for row in right]),
            100 * right[:, 0].mean())


def instances(ann: dict) -> list[tuple[int, int, int]]:
    """Return action, first and last frame of the instances in a recording."""
    labels = np.asarray(ann['frame_label']).ravel()
    cuts = np.flatnonzero(np.diff(labels)) + 1
    ends = [*cuts, len(labels)]
    return [(int(labels[a]), int(a), int(b - 1)) for a, b in zip([0, *cuts], ends, strict=True)
            if labels[a] >= 0]


def untrimmed(inferencer, data: dict, split: str, window: int, views: str) -> dict:
    """Search for the instances of other subjects with each instance of an action."""
    names = set(data['split'][split])
    anns = {ann['frame_dir']: ann for ann in data['annotations']
            if ann['frame_dir'] in names and ann['frame_dir'].endswith(views)}
    precision, first, tens = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        index = MotionIndex(folder, inferencer, window=window, stride=max(window // 4, 1))
        index.add(list(anns.values()), progress=False)
        for name, ann in anns.items():
            subject = name[:3]
            for action, start, end in instances(ann):
                wanted = {(other, one) for other in anns if other[:3] != subject
                          for one in instances(anns[other]) if one[0] == action}
                hits = index.search(ann, top=10**6, frames=(start, end))
                right = judge([hit for hit in hits if hit.recording[:3] != subject], wanted)
                precision.append(average_precision(right, len(wanted)))
                first.append(right[0])
                tens.append(np.mean(right[:10]))
    return dict(queries=len(precision), mAP=100 * np.mean(precision), first=100 * np.mean(first),
                P10=100 * np.mean(tens), windows=len(index))


def judge(hits: list, wanted: set) -> list[bool]:
    """Return whether each hit is the first one of a wanted instance."""
    left, right = set(wanted), []
    for hit in hits:
        middle = (hit.first + hit.last) / 2
        found = [item for item in left if item[0] == hit.recording and (
            item[1][1] <= middle <= item[1][2]
            or hit.first <= (item[1][1] + item[1][2]) / 2 <= hit.last)]
        right.append(bool(found))
        left -= set(found[:1])
    return right


def accuracy(args: argparse.Namespace):
    """Print the table of real data."""
    models = {'raw keypoints': MotionInferencer(BASELINE, device=args.device),
              args.model: MotionInferencer(args.model, args.checkpoint, args.device)}
    data = {name: load_annotations(args.data / f'{name}.pkl')
            for name in ('penn_action', 'nw_ucla_test', 'utkinect_untrimmed')
            if not args.sets or name in args.sets}
    print('| data | features | queries | mAP | first hit | | CPU |\n' + '|---' * 7 + '|')
    for title, content in data.items():
        for name, model in models.items():
            began = time.process_time()
            if title == 'utkinect_untrimmed':
                for window in args.windows:
                    row = untrimmed(model, content, args.split, window, args.views)
                    rest = f'P@10 {row["P10"]:.1f}, {row["windows"]} windows of {window} frames'
                    report(title, name, row, rest, began)
            else:
                row = clips(model, content, args.split)
                rest = f'mAP {row["alone"]:.1f} without the mirrored query'
                report(title, name, row, rest, began)


def report(title: str, name: str, row: dict, rest: str, began: float):
    """Print a row."""
    print(f'| {title} | {name} | {row["queries"]} | {row["mAP"]:.1f} | {row["first"]:.1f} '
          f'| {rest} | {time.process_time() - began:.0f} s |', flush=True)


def scale(args: argparse.Namespace):
    """Print time and memory of an index with random vectors."""
    import torch

    window, stride, hour = 48, 24, 3600 * FPS
    rng = np.random.default_rng(0)
    projections = Projections(*(Projection(np.zeros(width, np.float32),
                                           np.eye(width, dtype=np.float32)) for width in WIDTHS))
    inferencer = MotionInferencer(BASELINE, device='cpu')
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        files = IndexFiles(folder)
        files.start(MotionIndex(folder, inferencer, window, stride).header)
        files.write_projections(projections)
        began = time.perf_counter()
        starts = np.arange(0, hour - window, stride)
        frames = np.stack([starts, starts + window - 1], 1)
        poses, inds = np.ones((hour // 3, 17, 2), np.float16), np.arange(0, hour, 3)
        for number in range(args.hours):
            writer = PartWriter()
            vectors = [rng.standard_normal((len(starts), width), np.float32) for width in WIDTHS]
            writer.add(projections.apply(vectors), frames, f'hour {number}', 0, FPS, str(number),
                       '', poses, inds)
            files.write_part(writer)
        print(f'{args.hours} hours written in {time.perf_counter() - began:.0f} s, '
              f'{sum(f.stat().st_size for f in Path(folder).iterdir()) / 1e9:.2f} GB')
        began = time.perf_counter()
        index = MotionIndex(folder, inferencer)
        print(f'opened and checked in {time.perf_counter() - began:.1f} s, {len(index)} windows')
        index.nearest(projections.apply([rows[:2] for rows in vectors]), 20)
        for _ in range(3):
            began = time.perf_counter()
            hits = index.nearest(projections.apply([rows[:2] for rows in vectors]), 20)
            print(f'search in {time.perf_counter() - began:.2f} s, best {hits[0].recording}, '
                  f'{hits[0].similarity:.3f}')
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f'peak memory {peak:.2f} GB with the mapped files\n{machine(torch.device("cpu"))}')


def main():
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    one = commands.add_parser('accuracy', help='mean average precision on real data')
    one.add_argument('model', help='with features: name of the zoo, or a config')
    one.add_argument('checkpoint', nargs='?', help='of the config')
    one.add_argument('--data', type=Path, default=ROOT / 'data')
    one.add_argument('--sets', nargs='+', help='some of the data sets')
    one.add_argument('--split', default='test', help='[%(default)s]')
    one.add_argument('--windows', type=int, nargs='+', default=[48], help='[48]')
    one.add_argument('--views', default='v0', help='end of the names of recordings; an empty text '
                     'for all views [%(default)s]')
    one.add_argument('--device')
    two = commands.add_parser('scale', help='time and memory of a large index')
    two.add_argument('--hours', type=int, default=1000)
    two.add_argument('--folder', help='for temporary files')
    args = parser.parse_args()
    {'accuracy': accuracy, 'scale': scale}[args.command](args)


if __name__ == '__main__':
    main()
