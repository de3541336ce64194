"""Report on annotations or poses: counts, layout, units, sides, scores, problems, and pictures.

mofm inspect data/penn_action.pkl
mofm inspect alphapose-results.json
mofm inspect capture.zip --source bvh --source-options map=mixamo
mofm inspect data/penn_action.pkl --sheet work_dirs/penn_action.gif
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from mmengine.config import DictAction
from rich.console import Console
from rich.progress import track

from mofm.annotations import (
    AnnotationError,
    complete_3d,
    find_twice,
    load_annotations,
    open_arrow,
    summarize,
    validate,
)
from mofm.annotations.statistics import AnnotationStatistics
from mofm.sources.plausibility import Plausibility
from mofm.sources.plugins import add_plugin_option, load_plugins
from mofm.sources.prepare import prepare
from mofm.sources.recognition import is_annotation_file, open_source
from mofm.structures import LAYOUTS, visible_joints

ERRORS = AnnotationError,


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
    return data, splits, sorted(names), metainfo


def converted(args, folder):
    """Convert poses of another program to an annotation file, as prepare.py does."""
    source, said = open_source(args.path, args.source, args.source_options)
    print(f'{args.path}: read as {said}')
    report = prepare(source, Path(folder) / 'poses.arrow')
    print('\n'.join(filter(None, (report.summary(), report.details()))))
    return str(Path(folder) / 'poses.arrow')


def dims_of(data):
    """Return the coordinates of the joints of the first annotation with a person."""
    keypoints = (data[i].get('keypoint') for i in range(len(data)) if isinstance(data[i], dict))
    shapes = (k.shape for k in keypoints if isinstance(k, np.ndarray) and k.size)
    return 3 if next(shapes, (2, ))[-1] == 3 else 2


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


def save_frames(path: Path, ann, layout):
    """Write a picture of three frames of a clip."""
    from mofm.visualization import draw_labeled_frames, save_figure

    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(draw_labeled_frames(ann, layout), path)


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('path', help='annotations (.pkl, .arrow, .npz or .json), or the input of '
                        'a source of prepare.py: a file, a folder or an archive')
    parser.add_argument('--split', help='report on this split only')
    parser.add_argument('--layout', choices=sorted(LAYOUTS),
                        help='joint layout of annotations [that in the file, or coco17]')
    parser.add_argument('--source', default='auto', metavar='NAME',
                        help='reader of poses [recognized by the content]')
    parser.add_argument('--source-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='options of the reader, e.g. map=mixamo')
    parser.add_argument('--frames', type=Path, metavar='FILE.png',
                        help='three frames of a clip [work_dirs/inspect/NAME.png]')
    parser.add_argument('--clip', metavar='NAME', help='the clip of these frames [the first one]')
    parser.add_argument('--sheet', type=Path, help='.png or .gif with random clips')
    parser.add_argument('--clips', type=int, default=8, help='clips on the sheet')
    parser.add_argument('--seed', type=int, default=0, help='seed of random clips')
    add_plugin_option(parser)
    return parser.parse_args(load_plugins(argv))


def main(argv=None):
    """Count, print and draw; the exit status is 1 if there are problems."""
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        if not Path(args.path).exists():
            raise AnnotationError(f'{args.path}: found no such file or folder')
        is_ours = args.source == 'auto' and is_annotation_file(args.path)
        return inspect(args, args.path if is_ours else converted(args, folder))


class Findings:
    """Problems, valid clips, statistics and evidence of an annotation file.

    Args:
        layout (str): Joint layout.
        dims (int): Coordinates of a joint.
        clips (int): Number of annotations.
        wanted (str, optional): The clip to draw, by default the first one with a person.
    """

    def __init__(self, layout, dims, clips, wanted):
        self.report = AnnotationStatistics(layout)
        self.evidence = Plausibility(layout, dims, clips)
        self.problems, self.valid, self.names = [], [], []
        self.example, self.wanted = None, wanted

    def add(self, ann, index, problem, splits):
        """Add an annotation."""
        if problem is None:
            self.report.add(ann, splits)
            self.valid.append(index)
            self.names.append(ann['frame_dir'])
        else:
            self.problems.append(problem)
        if problem is None or is_no_pixels(problem):
            self.evidence.add(ann)
            if self.example is None and self.wanted in (None, ann['frame_dir']) and visible_joints(
                    ann['keypoint'], ann['keypoint_score']).any():
                self.example = ann


def is_no_pixels(problem):
    """Return whether the only problem of an annotation are its coordinates."""
    return problem.field == 'keypoint' and problem.found.startswith('coordinates from')


def inspect(args, ann_file):
    """Report on an annotation file."""
    data, splits, names, metainfo = read(ann_file, args.split)
    classes, dims = list(metainfo.get('classes', [])), dims_of(data)
    in_file = metainfo.get('layout') if metainfo.get('layout') in LAYOUTS else None
    said = 'as said' if args.layout else 'as the file says' if in_file else ''
    layout = args.layout or in_file or 'coco17'
    findings = Findings(layout, dims, len(data), args.clip)
    for index in track(range(len(data)), 'Validating clips'):
        ann = data[index]
        in_splits = splits.get(ann.get('frame_dir'), []) if isinstance(ann, dict) else []
        if args.split and args.split not in in_splits:
            continue
        ann = complete_3d(ann) if dims == 3 and isinstance(ann, dict) else ann
        problem = validate(ann, findings.report.layout.num_joints, len(classes) or None,
                           file=str(args.path), index=index, dims=dims)
        findings.add(ann, index, problem, in_splits if splits else ['all'])
    if findings.report.lengths:
        findings.report.print(Console(), classes, [args.split] if args.split else names or ['all'])
    if findings.evidence.clips:
        print('\n'.join(findings.evidence.lines(said)))
    twice = find_twice(findings.names)
    if twice:
        print(f'names    of several clips: {twice}, expected one clip per name')
    draw(args, findings, data, classes, layout)
    valid, problems = findings.valid, findings.problems
    print(f'{args.path}: {len(problems)} problems in {len(valid) + len(problems)} clips')
    if problems:
        print(summarize(problems, limit=50))
    return int(bool(problems))


def draw(args, findings, data, classes, layout):
    """Draw three frames, and the sheet if it is asked for."""
    if args.clip is not None and findings.example is None:
        raise AnnotationError(f'{args.path}: found no valid clip {args.clip!r} with a person, '
                              'expected its frame_dir')
    if findings.example is not None:
        frames = args.frames or Path('work_dirs/inspect') / f'{Path(args.path).stem}.png'
        save_frames(frames, findings.example, layout)
        print(f'{frames}: three frames of {findings.example["frame_dir"]}, to check layout and '
              'sides by eye')
    if args.sheet is not None and findings.valid:
        rng = np.random.default_rng(args.seed)
        chosen = np.sort(rng.permutation(findings.valid)[:args.clips])
        save_sheet(args.sheet, [data[i] for i in chosen], classes, layout)
        print(f'{args.sheet}: {len(chosen)} clips')
