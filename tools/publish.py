"""Publish a checkpoint: ``python tools/publish.py CONFIG CHECKPOINT --out FOLDER``.

Writes weights (safetensors), config, class names and a model card, see docs/models.md.
"""

from mofm.utils.tool import run_tool

import argparse
from pathlib import Path

from mmengine.config import DictAction


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='checkpoint of tools/train.py')
    parser.add_argument('--out', required=True, type=Path, metavar='FOLDER',
                        help='new folder for the published model')
    parser.add_argument('--name', help='title of the model card [name of the config]')
    parser.add_argument('--metrics', nargs='+', default=[], type=Path, metavar='FILE.json',
                        help='results of tools/test.py, WORK_DIR/TIME/TIME.json')
    parser.add_argument('--license', metavar='NAME',
                        help='license of the weights, e.g. apache-2.0')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    return parser.parse_args()


def main():
    """Publish."""
    args = parse_args()
    from mofm.apis.publish import publish  # heavy

    weights, dropped = publish(**vars(args))
    before, after = (Path(p).stat().st_size / 2**20 for p in (args.checkpoint, weights))
    print(f'{args.checkpoint} {before:.1f} MiB -> {weights} {after:.1f} MiB, '
          f'without {", ".join(dropped) or "anything dropped"}')


if __name__ == '__main__':
    run_tool(main, OSError, ValueError)
