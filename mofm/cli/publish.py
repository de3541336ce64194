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
    parser.add_argument('config', help='config of the training, a file or a name')
    parser.add_argument('checkpoint', help='checkpoint of a training')
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument('--out', type=Path, metavar='FOLDER',
                        help='new folder for the published model')
    target.add_argument('--zoo', metavar='NAME', help='add it to the models of the package, in '
                        'float16; needs --data and --data-license')
    parser.add_argument('--name', help='title of the model card [name of the config]')
    parser.add_argument('--metrics', nargs='+', default=[], type=Path, metavar='FILE.json',
                        help='results of mofm test, WORK_DIR/TIME/TIME.json')
    parser.add_argument('--license', metavar='NAME',
                        help='license of the weights, e.g. apache-2.0')
    parser.add_argument('--half', action='store_true', help='write float16; loads as float32')
    parser.add_argument('--data', metavar='TEXT', help='training data, for the list of models')
    parser.add_argument('--data-license', metavar='TEXT', help='license of the training data')
    parser.add_argument('--test-config', metavar='NAME', help='with --zoo, config of the test, if '
                        'it is another one than that of the inference')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    args = parser.parse_args(argv)
    if args.zoo and not (args.data and args.data_license):
        parser.error('--zoo: expected --data and --data-license, too')
    return args


def main(argv=None):
    """Publish."""
    args = parse_args(argv)
    from mofm.apis.publish import publish, publish_to_zoo  # heavy

    common = {name: getattr(args, name) for name in (
        'config', 'checkpoint', 'metrics', 'license', 'data_license', 'cfg_options')}
    done = publish_to_zoo(
        args.zoo, data=args.data, test_config=args.test_config, **common) if args.zoo else publish(
        out=args.out, name=args.name, half=args.half, **common)
    before, after = (Path(p).stat().st_size / 2**20 for p in (args.checkpoint, done.weights))
    print(f'{args.checkpoint} {before:.1f} MiB -> {done.weights} {after:.1f} MiB, '
          f'without {", ".join(done.dropped) or "anything dropped"}'
          + (f'; float32 as before: {", ".join(done.kept)}' if done.kept else ''))
