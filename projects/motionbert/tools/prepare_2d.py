"""Convert the 2D data of the pre-training to an annotation file.

python projects/motionbert/tools/prepare_2d.py posetrack18 posetrack18/train data/posetrack18.pkl
python projects/motionbert/tools/prepare_2d.py instavariety InstaVariety data/instavariety.pkl
"""

from mofm.utils.tool import run_tool

import argparse
from pathlib import Path

from tqdm import tqdm

from mofm.annotations import AnnotationError, dump_annotations, summarize
from mofm.registry import SOURCES


def main(argv=None):
    """Run the conversion."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', choices=('posetrack18', 'instavariety'))
    parser.add_argument('input', type=Path, help='folder or zip file of the native files')
    parser.add_argument('output', type=Path, help='annotation file: .pkl, .arrow, .npz or .json')
    args = parser.parse_args(argv)
    import projects.motionbert.lifting.sources  # noqa: F401  registers the readers

    source = SOURCES.get(args.source)(args.input)
    annotations = [ann for ann, _ in tqdm(iter(source), 'Tracks', mininterval=1)]
    if source.problems:
        print(f'{len(source.problems)} of {len(source.files)} files skipped\n'
              f'{summarize(source.problems, limit=50)}')
    if not annotations:
        raise AnnotationError(f'{args.input}: found no track in {len(source.files)} files')
    dump_annotations(dict(split={}, annotations=annotations, metainfo=dict(layout='h36m17')),
                     args.output)
    print(f'{args.output}: {len(annotations)} tracks, '
          f'{sum(ann["total_frames"] for ann in annotations)} frames')


if __name__ == '__main__':
    run_tool(main, AnnotationError)
