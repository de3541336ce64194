"""Write the manifest of a corpus of annotation files below its folder.

python tools/data/write_manifest.py data/corpus.json data/parts/*.arrow
python tools/data/write_manifest.py data/corpus.json data/a.pkl data/b.arrow --weights 2 1
"""

from mofm.utils.tool import run_tool

import argparse

from mofm.annotations import AnnotationError, write_manifest


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('manifest', help='.json file to write, in a folder above the files')
    parser.add_argument('files', nargs='+', help='annotation files')
    parser.add_argument('--weights', nargs='+', type=float, metavar='W', help='how often the '
                        'clips of each file are drawn in comparison with those of others [1]')
    args = parser.parse_args(argv)
    if args.weights and len(args.weights) != len(args.files):
        parser.error(f'--weights: found {len(args.weights)}, expected {len(args.files)}, one per '
                     'file')
    return args


def main(argv=None):
    """Count the annotations and write the manifest."""
    args = parse_args(argv)
    weights = dict(zip(args.files, args.weights or [1] * len(args.files), strict=True))
    clips = write_manifest(args.manifest, weights)
    print(f'{args.manifest}: {clips} clips in {len(weights)} files')


if __name__ == '__main__':
    run_tool(main, AnnotationError)
