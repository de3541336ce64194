"""The command line of inspect.py."""
import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mofm.annotations import AnnotationError, load_annotations, open_arrow, summarize, validate
from mofm.structures import LAYOUTS, get_layout, visible_joints
from mofm.visualization import animate_contact_sheet, draw_contact_sheet, save_animation

_BINS = 10


class Report:
    """Counts over annotations, one at a time.

    Args:
        layout (str): Joint layout of the file.
    """

    def __init__(self, layout: str):
        self.layout = get_layout(layout)
        self.lengths, self.persons = [], Counter()
        self.labels, self.images = Counter(), Counter()
        self.poses = 0
        self.present = np.zeros(self.layout.num_joints, int)
        self.scores = np.zeros(_BINS + 1, int)  # the last one is for joints that are missing

    def add(self, ann: dict, splits):
        """Count one valid annotation."""
        self.lengths.append(ann['total_frames'])
        self.persons[len(ann['keypoint'])] += 1
        self.images[tuple(ann['img_shape'])] += 1
        self.labels.update((split, ann['label']) for split in splits)
        if not len(ann['keypoint']):
            return
        score = ann['keypoint_score'].astype(np.float32)
        visible = visible_joints(ann['keypoint'], score)  # (M, T, V)
        self.poses += int(visible.any(-1).sum())
        self.present += visible.sum((0, 1))
        self.scores[:-1] += np.histogram(score[visible].clip(0, 1), _BINS, (0, 1))[0]
        self.scores[-1] += int((~visible & visible.any(-1, keepdims=True)).sum())

    def print(self, console: Console, classes, splits):
        """Print all tables."""
        table = Table('class', *splits, title='clips by split and class')
        labels = sorted({label for _, label in self.labels})
        for label in labels if len(labels) > 1 else ():
            name = classes[label] if label < len(classes) else str(label)
            table.add_row(name, *(str(self.labels[split, label]) for split in splits))
        table.add_row('total', *(str(sum(self.labels[split, label] for label in labels))
                                 for split in splits), style='bold')
        console.print(table)

        least, most, middle, low, high = np.percentile(
            self.lengths, [0, 100, 50, 5, 95]).astype(int)
        console.print(f'frames   {sum(self.lengths)} in {len(self.lengths)} clips: {least} to '
                      f'{most}, median {middle}, nine in ten between {low} and {high}')
        for name, counts in (('persons', self.persons), ('images', self.images)):
            common = [f'{count} x {value}' for value, count in counts.most_common(5)]
            if len(counts) > 5:
                common.append(f'and {len(counts) - 5} more')
            console.print(f'{name:8}', ', '.join(common))

        poses = max(self.poses, 1)
        table = Table('joint', 'present', '', title=f'joints of {self.poses} poses')
        for joint, count in zip(self.layout.joints, self.present, strict=True):
            table.add_row(joint, f'{count / poses:.1%}', _bar(count / poses))
        console.print(table)
        table = Table('score', 'joints', '', title='scores')
        for i, count in enumerate(self.scores):
            name = f'{i / _BINS:.1f} to {(i + 1) / _BINS:.1f}' if i < _BINS else 'missing'
            table.add_row(name, str(count), _bar(count / max(self.scores.max(), 1)))
        console.print(table)


def _bar(share: float) -> str:
    return '█' * round(share * 30)


def read(path: str, split):
    """Annotations, splits of each by name, and class names.

    An ``.arrow`` file is not loaded.
    """
    if path.endswith('.arrow'):
        data = open_arrow(path)
        ids, metainfo = data.ids(), data.metainfo
        names = {name: [ids[row] for row in rows] for name, rows in data.splits().items()}
    else:
        loaded = load_annotations(path)
        data, names, metainfo = loaded['annotations'], loaded['split'], loaded['metainfo']
    if split is not None and split not in names:
        raise AnnotationError(f'{path}: no split {split!r}, expected one of {sorted(names)}')
    splits = {}
    for name, ids in names.items():
        for id_ in ids:
            splits.setdefault(id_, []).append(name)
    return data, splits, sorted(names), list(metainfo.get('classes', []))


def save_sheet(path: Path, clips, classes, layout):
    """Write a picture, or an animation if the file is a GIF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.gif':
        save_animation(animate_contact_sheet(clips, classes, layout), path)
    else:
        draw_contact_sheet(clips, classes, layout).savefig(path)


def main(argv=None):
    """Count, print and draw; the exit status tells whether there were problems."""
    parser = argparse.ArgumentParser(description='what is in an annotation file')
    parser.add_argument('ann_file', help='.pkl, .arrow, .npz or .json')
    parser.add_argument('--split', help='only this one')
    parser.add_argument('--layout', default='coco17', choices=sorted(LAYOUTS),
                        help='joint layout of the file')
    parser.add_argument('--sheet', type=Path, help='.png or .gif with random clips')
    parser.add_argument('--clips', type=int, default=8, help='clips on the sheet')
    parser.add_argument('--seed', type=int, default=0, help='which clips')
    args = parser.parse_args(argv)
    try:
        data, splits, names, classes = read(args.ann_file, args.split)
    except AnnotationError as error:
        return f'error: {error}'
    names = [args.split] if args.split else names or ['all']
    report, problems, valid = Report(args.layout), [], []
    for index in track(range(len(data)), 'Looking at clips'):
        ann = data[index]
        in_splits = splits.get(ann.get('frame_dir'), []) if isinstance(ann, dict) else []
        if args.split and args.split not in in_splits:
            continue
        problem = validate(ann, report.layout.num_joints, len(classes) or None,
                           file=args.ann_file, index=index)
        if problem is None:
            report.add(ann, in_splits if splits else ['all'])
            valid.append(index)
        else:
            problems.append(problem)
    if report.lengths:
        report.print(Console(), classes, names)
    if args.sheet is not None and valid:
        rng = np.random.default_rng(args.seed)
        chosen = np.sort(rng.permutation(valid)[:args.clips])
        save_sheet(args.sheet, [data[i] for i in chosen], classes, args.layout)
        print(f'{args.sheet}: {len(chosen)} clips')
    print(f'{args.ann_file}: {len(problems)} problems in {len(valid) + len(problems)} clips')
    if problems:
        print(summarize(problems, limit=50))
    return int(bool(problems))
