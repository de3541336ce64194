"""Report on an annotation file: counts, lengths, joints, scores, problems, and pictures.

python tools/data/inspect_annotations.py data/penn_action.pkl
python tools/data/inspect_annotations.py data/penn_action.pkl --sheet work_dirs/penn_action.gif
"""

from mofm.utils.tool import run_tool

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from mofm.annotations import AnnotationError, load_annotations, open_arrow, summarize, validate
from mofm.annotations.statistics import AnnotationStatistics
from mofm.sources.plugins import add_plugin_option, load_plugins
from mofm.structures import LAYOUTS


def read(path: str, split):
    """Read annotations, splits of each by name, and class names.

    An ``.arrow`` file stays on the disk.
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
    from mofm.visualization import (
        animate_contact_sheet,
        draw_contact_sheet,
        save_animation,
        save_figure,
    )

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.gif':
        save_animation(animate_contact_sheet(clips, classes, layout), path)
    else:
        save_figure(draw_contact_sheet(clips, classes, layout), path)


def main():
    """Count, print and draw; the exit status is 1 if there are problems."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('ann_file', help='.pkl, .arrow, .npz or .json')
    parser.add_argument('--split', help='report on this split only')
    parser.add_argument('--layout', default='coco17', choices=sorted(LAYOUTS),
                        help='joint layout of the file')
    parser.add_argument('--sheet', type=Path, help='.png or .gif with random clips')
    parser.add_argument('--clips', type=int, default=8, help='clips on the sheet')
    parser.add_argument('--seed', type=int, default=0, help='seed of random clips')
    add_plugin_option(parser)
    args = parser.parse_args(load_plugins())
    data, splits, names, classes = read(args.ann_file, args.split)
    names = [args.split] if args.split else names or ['all']
    report, problems, valid = AnnotationStatistics(args.layout), [], []
    for index in track(range(len(data)), 'Validating clips'):
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


if __name__ == '__main__':
    run_tool(main, AnnotationError)
