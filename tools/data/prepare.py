"""Turn the native files of a data set into one annotation file.

python tools/data/prepare.py penn_action Penn_Action.zip data/penn_action.pkl
"""
import argparse
import sys
from collections import Counter

from rich.progress import track

import mofm.sources  # noqa: F401  (registers the readers)
from mofm.datasets.annotation import AnnotationError, dump_annotations, summarise
from mofm.registry import SOURCES


def parse_args(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', choices=sorted(SOURCES.module_dict), help='which reader')
    parser.add_argument('input', help='zip file or folder as published')
    parser.add_argument('output', help='annotation file: .pkl, .npz or .json')
    parser.add_argument('--strict', action='store_true', help='stop at the first bad file')
    return parser.parse_args(argv)


def main(argv=None):
    """Convert, write and summarise."""
    args = parse_args(argv)
    source = SOURCES.get(args.source)(args.input, strict=args.strict)
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
    for label, title in enumerate(source.classes):
        print(f'{title:{width}}', *(f'{counts[name, label]:8}' for name in names))
    print(f'{"total":{width}}', *(f'{len(split[name]):8}' for name in names))
    print(f'{args.output}: {len(annotations)} clips, '
          f'{sum(ann["total_frames"] for ann in annotations)} frames, '
          f'{len(source.problems)} of {len(source)} files skipped')
    if source.problems:
        print(summarise(source.problems, limit=50))


if __name__ == '__main__':
    try:
        main()
    except AnnotationError as error:
        sys.exit(f'error: {error}')
