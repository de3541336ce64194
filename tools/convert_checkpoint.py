"""Convert a checkpoint released by other authors, or one of ours for their code.

python tools/convert_checkpoint.py projects.motionbert best_epoch.bin work_dirs/mb_wild.pth
python tools/convert_checkpoint.py projects.tmor work_dirs/mine/epoch_65.pth mine.pt
"""

from mofm.utils.tool import run_tool

import argparse
import importlib


def main(argv=None):
    """Parse the command line and convert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('project', help='package with a module released, e.g. projects.motionbert')
    parser.add_argument('source', help='released checkpoint, or one of ours')
    parser.add_argument('target', help='output file of the other kind')
    args = parser.parse_args(argv)
    from mofm.hub.released import convert_checkpoint  # loads torch
    names = importlib.import_module(f'{args.project}.released')
    count = convert_checkpoint(args.source, args.target, names)
    print(f'{args.target}: {count} tensors')


if __name__ == '__main__':
    run_tool(main, ImportError, OSError, ValueError)
