"""Publish a checkpoint: ``mofm publish CONFIG CHECKPOINT --out FOLDER``.

Writes weights (safetensors), config, class names and a model card, see docs/models.md.
"""

import argparse
from pathlib import Path

from mmengine.config import DictAction

ERRORS = OSError, ValueError


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument('--out', required=True, type=Path, metavar='FOLDER',
                        help='new folder for the published model')
    parser.add_argument('--name', help='title of the model card [name of the config]')
    parser.add_argument('--metrics', nargs='+', default=[], type=Path, metavar='FILE.json',
                        help='results of mofm test, WORK_DIR/TIME/TIME.json')
    parser.add_argument('--license', metavar='NAME',
                        help='license of the weights, e.g. apache-2.0')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    return parser.parse_args(argv)


def main(argv=None):
    """Publish."""
    args = parse_args(argv)
    from mofm.apis.publish import publish  # heavy

    weights, dropped = publish(**vars(args))
    before, after = (Path(p).stat().st_size / 2**20 for p in (args.checkpoint, weights))
    print(f'{args.checkpoint} {before:.1f} MiB -> {weights} {after:.1f} MiB, '
          f'without {", ".join(dropped) or "anything dropped"}')
