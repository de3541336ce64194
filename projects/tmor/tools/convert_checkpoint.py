"""Convert a released checkpoint of UNIK, or one of ours for the code of its authors.

python projects/tmor/tools/convert_checkpoint.py posetics_unik.pt work_dirs/posetics_unik.pth
python projects/tmor/tools/convert_checkpoint.py work_dirs/mine/epoch_65.pth mine.pt
"""

import argparse
import sys
from pathlib import Path

import torch

from mofm.hub.checkpoint import load_state
from projects.tmor.released import read_released, to_released


def main(argv=None):
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', type=Path, help='.pt of the authors, or .pth of this project')
    parser.add_argument('target', type=Path, help='where to; the other kind')
    args = parser.parse_args(argv)
    state = load_state(str(args.source))
    if any(name.startswith('backbone.') for name in state):
        state = content = to_released(state)
    else:
        state = read_released(args.source)
        content = dict(state_dict=state, meta={})
    args.target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, args.target)
    print(f'{args.target}: {len(state)} tensors')


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
