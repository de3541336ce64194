"""Index the motion in recordings, to search it by example.

mofm index recordings index
mofm index recordings index --config CONFIG --checkpoint CHECKPOINT
mofm index data/mine.pkl index --model NAME_OR_FOLDER --window 32
mofm index more_recordings index

The index has its model in it, so that later calls, and ``mofm search``, need no config. An
interrupted call resumes; recordings that are in the index are skipped. See docs/search.md.
"""

import argparse
import shutil
from pathlib import Path

from mmengine.config import DictAction

from mofm.sources.plugins import add_plugin_option, load_plugins
from mofm.utils.files import temporary_folder
from mofm.utils.locks import hold_output

from .demo import add_network_options, add_recording_options, recording_options

ERRORS = ImportError, OSError, TypeError, ValueError
HINT = 'the same command resumes'
MODEL = 'model'  # folder in that of an index
_BACKBONE = 'mofm-tiny'


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('input', nargs='+', help='video, poses of any source of prepare.py, '
                        'annotations, joint arrays, or a folder or archive of them')
    parser.add_argument('index', type=Path, help='folder of the index')
    parser.add_argument('--model', '--config', dest='config', help='of a new index: name '
                        'of `mofm models`, published folder or hub ID, or config '
                        f'[{_BACKBONE}]')
    parser.add_argument('--checkpoint', help='weights for a config')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of a config file')
    windows = parser.add_argument_group('windows of a new index')
    windows.add_argument('--window', type=int, help='frames per window [48]')
    windows.add_argument('--stride', type=int,
                         help='frames between the starts of two windows [half a window]')
    windows.add_argument('--model-fps', type=float, help='frame rate to which recordings and '
                         'queries are resampled [none]')
    add_recording_options(parser)
    add_network_options(parser)
    add_plugin_option(parser)
    return parser.parse_args(load_plugins(argv))


def store_model(args: argparse.Namespace) -> Path:
    """Store the model of a new index in its folder; returns its folder.

    Raises:
        ValueError: If the model of the options cannot be used, or is not that of the index.
    """
    from mofm.apis.publish import publish
    from mofm.hub.published import find_published, is_published
    from mofm.hub.zoo import suggest

    model = args.index / MODEL
    if model.exists() and (args.config or args.checkpoint or args.cfg_options) is None:
        return model
    config = args.config or _BACKBONE
    with hold_output(args.index), temporary_folder(model) as folder:
        if is_published(config):
            shutil.copytree(find_published(config), folder / MODEL)
        elif args.checkpoint is None:
            raise ValueError(f'--model: found {config}, expected a published model, or '
                             f'--checkpoint, too{suggest(config)}')
        else:
            publish(config, args.checkpoint, folder / MODEL, cfg_options=args.cfg_options)
        if not model.exists():
            (folder / MODEL).rename(model)
        elif _content(model) != _content(folder / MODEL):
            raise ValueError(f'--model: found {config}, expected {model}, the model of the '
                             'index; leave the option out, or make another index')
    return model


def _content(model: Path) -> tuple[list[str], bytes]:
    """Return the files of weights of a published model, which are named by content, and config."""
    return (sorted(path.name for path in model.glob('*.safetensors')),
            (model / 'config.json').read_bytes())


def main(argv=None):
    """Parse the command line and run."""
    args = parse_args(argv)
    from mofm.annotations import summarize
    from mofm.apis import MotionIndex, MotionInferencer  # heavy

    inferencer = MotionInferencer(store_model(args), device=args.device,
                                  batch_size=args.batch_size)
    index = MotionIndex(args.index, inferencer, args.window, args.stride, args.model_fps)
    added = index.add(args.input, **recording_options(args))
    if index.problems:
        print(f'skipped {len(index.problems)} recordings:\n{summarize(index.problems)}')
    print(f'{args.index}: {added} recordings added, {index.skipped} were in it; '
          f'{len(index)} windows')
