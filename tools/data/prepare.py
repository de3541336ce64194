"""Turn the native files of a data set into one annotation file.

python tools/data/prepare.py penn_action Penn_Action.zip data/penn_action.pkl
python tools/data/prepare.py nw_ucla all_sqe.zip data/nw_ucla.pkl --views 4 --yaw -60 60
"""
import argparse
import sys
from collections import Counter

from rich.progress import track

from mofm.datasets.annotation import AnnotationError, dump_annotations, summarise
from mofm.keypoints import CameraRange
from mofm.registry import SOURCES
from mofm.sources import Source3D, UBnormal


def add_options(parser, reader):
    """Options that only some readers have."""
    if issubclass(reader, Source3D):
        parser.add_argument('--views', type=int, default=1, help='virtual cameras per recording')
        parser.add_argument('--yaw', type=float, nargs=2, default=CameraRange.yaw,
                            metavar=('LOW', 'HIGH'),
                            help='where they stand in degrees, 0 is the side of the sensor')
        parser.add_argument('--seed', type=int, default=0, help='of the cameras and the noise')
        parser.add_argument('--noise', action='store_true', help='add the errors of a detector')
    if issubclass(reader, UBnormal):
        parser.add_argument('--gt', help='zip file or folder with the *_tracks.txt files')
        parser.add_argument('--masks', help='folder with Scene1, Scene2, ...')


def parse_args(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    readers = parser.add_subparsers(dest='source', required=True, metavar='source')
    for name, reader in sorted(SOURCES.module_dict.items()):
        sub = readers.add_parser(name, help=reader.__doc__.splitlines()[0])
        sub.add_argument('input', help='zip file or folder as published')
        sub.add_argument('output', help='annotation file: .pkl, .npz or .json')
        sub.add_argument('--strict', action='store_true', help='stop at the first bad file')
        add_options(sub, reader)
    return parser.parse_args(argv)


def main(argv=None):
    """Convert, write and summarise."""
    args = parse_args(argv)
    options = {k: v for k, v in vars(args).items() if k not in ('source', 'input', 'output')}
    try:
        if 'yaw' in options:
            options['cameras'] = CameraRange(yaw=tuple(options.pop('yaw')))
        source = SOURCES.get(args.source)(args.input, **options)
    except ValueError as error:
        raise AnnotationError(error) from None
    annotations, split, counts = [], {}, Counter()
    for ann, names in track(source, f'Reading {args.source}', total=len(source)):
        annotations.append(ann)
        for name in names:
            split.setdefault(name, []).append(ann['frame_dir'])
            counts[name, ann['label']] += 1
    if not annotations:
        raise AnnotationError(f'{args.input}: no file could be read\n'
                              f'{summarise(source.problems)}')
    dump_annotations(
        dict(split=split, annotations=annotations,
             metainfo=dict(classes=list(source.classes), layout='coco17')), args.output)

    names = sorted(split)
    width = max(map(len, source.classes))
    print(f'{"":{width}}', *(f'{name:>8}' for name in names))
    if len({label for _, label in counts}) > 1:  # whole recordings have none of their own
        for label, title in enumerate(source.classes):
            print(f'{title:{width}}', *(f'{counts[name, label]:8}' for name in names))
    print(f'{"total":{width}}', *(f'{len(split[name]):8}' for name in names))
    print(f'{args.output}: {len(annotations)} clips, '
          f'{sum(ann["total_frames"] for ann in annotations)} frames, '
          f'{len(source.problems)} of {len(source.files)} files skipped')
    if source.problems:
        print(summarise(source.problems, limit=50))


if __name__ == '__main__':
    try:
        main()
    except AnnotationError as error:
        sys.exit(f'error: {error}')
