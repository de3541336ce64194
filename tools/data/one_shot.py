"""Add the one-shot splits of NTU RGB+D 120 to its annotation file.

python tools/data/one_shot.py data/ntu120_hrnet.pkl data/ntu120_oneshot.pkl
"""

from mofm.utils.tool import run_tool

import argparse

from mofm.annotations import AnnotationError, dump_annotations, load_annotations


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('input', help='annotation file of NTU-120, e.g. ntu120_hrnet.pkl')
    parser.add_argument('output', help='annotation file with the splits: .pkl, .npz or .json')
    return parser.parse_args(argv)


def main(argv=None):
    """Add the splits and print their sizes."""
    args = parse_args(argv)
    from mofm.datasets import ntu120_one_shot

    data = load_annotations(args.input)
    try:
        splits = ntu120_one_shot(data['annotations'])
    except AnnotationError as error:
        raise AnnotationError(f'{args.input}: {error}') from None
    data['split'].update(splits)
    dump_annotations(data, args.output)
    for name, ids in splits.items():
        print(f'{name:17}{len(ids):7} samples of {len({i[-4:] for i in ids}):3} classes')
    print(f'{args.output}: {len(data["annotations"])} clips')


if __name__ == '__main__':
    run_tool(main, AnnotationError)
