"""Convert a released checkpoint of MotionBERT, or one of ours for the code of its authors.

python projects/motionbert/tools/convert_checkpoint.py best_epoch.bin work_dirs/mb_ft_h36m.pth
python projects/motionbert/tools/convert_checkpoint.py work_dirs/mine/epoch_60.pth mine.bin
"""

import argparse
import sys
from pathlib import Path

import torch

from mofm.hub.checkpoint import load_state
from projects.motionbert.released import read_released, to_released


def main(argv=None):
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', type=Path, help='.bin of the authors, or .pth of this project')
    parser.add_argument('target', type=Path, help='.pth, or .bin for the code of the authors')
    args = parser.parse_args(argv)
    if {args.source.suffix, args.target.suffix} != {'.bin', '.pth'}:
        raise ValueError(f'found {args.source} and {args.target}, expected one .bin (of the '
                         'authors) and one .pth (of this project)')
    if args.source.suffix == '.bin':
        content = dict(state_dict=read_released(args.source), meta={})
    else:
        content = to_released(load_state(str(args.source)))
    args.target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, args.target)
    print(f'{args.target}: {sum(map(len, content.values()))} tensors')


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
