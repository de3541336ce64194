"""Run a trained model on recordings and draw the results.

mofm demo walk.mp4
mofm demo poses.json --model NAME_OR_FOLDER --task features --out features
mofm demo walk.bvh --source-options map=mixamo --model FOLDER
mofm demo data/mine.pkl --model FOLDER --task-options gallery=exemplars.npz
mofm demo walk.mp4 --config CONFIG --checkpoint CHECKPOINT

Tasks are listed in docs/inference.md; those of a project need a config of the project.
"""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from mofm.hub.zoo import DEFAULT, TOKENIZER
from mofm.pose_estimation.options import add_estimator_options, add_pose_fps, estimator_name
from mofm.pose_estimation.sampling import POSE_FPS
from mofm.sources.plugins import add_plugin_option, load_plugins
from mofm.utils.names import file_stem
from mofm.utils.tables import write_arrow

ERRORS = ImportError, OSError, TypeError, ValueError


def add_recording_options(parser: argparse.ArgumentParser):
    """Add the options of reading recordings; returns their group."""
    windows = parser.add_argument_group('recordings')
    windows.add_argument('--fps', type=float, help='frame rate of the input [that of a video]')
    windows.add_argument('--layout', help='joints of the input [coco17, or those of a pose file]')
    windows.add_argument('--img-shape', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                         help='size of the image of inputs that lack it')
    windows.add_argument('--coordinates', choices=('pixels', 'unit', 'signed'),
                         help='pixels, or 0 to 1 or -1 to 1 of the image [as the numbers tell]')
    windows.add_argument('--axes', choices=('MTVC', 'TMVC', 'CTVM'), help='of arrays with persons '
                         'M, frames T, joints V and coordinates C [as the numbers tell]')
    windows.add_argument('--source', default='auto', metavar='NAME',
                         help='reader of poses as in prepare.py [recognized by the content]')
    windows.add_argument('--source-options', nargs='+', action=DictAction, default={},
                         metavar='KEY=VALUE', help='options of the reader, e.g. map=mixamo')
    windows.add_argument('--split', help='split of annotation files')
    return windows


def add_network_options(parser: argparse.ArgumentParser):
    """Add the options of the machine and the pose network."""
    network = parser.add_argument_group('machine and pose network')
    network.add_argument('--device', help='default: cuda, or cpu if there is none')
    network.add_argument('--batch-size', type=int, default=32, help='windows [%(default)s]')
    add_estimator_options(network)
    add_pose_fps(network, POSE_FPS)
    network.add_argument('--pose-model', help='2D model of MMPose for videos')
    network.add_argument('--pose-checkpoint', help='weights of the pose network; a path, for '
                         'mmpose also a URL')
    network.add_argument('--whole-frame', action='store_true',
                         help='one person fills the image; no person detector is needed')


def recording_options(args: argparse.Namespace) -> dict:
    """Return the options of recordings, with the pose network for videos."""
    names = ('fps', 'layout', 'split', 'img_shape', 'coordinates', 'axes', 'source',
             'source_options', 'pose_fps')
    return dict({name: getattr(args, name) for name in names},
                pose_extractor=pose_estimator(args))


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('input', nargs='+', help='video, poses of any source of prepare.py, '
                        'annotations, joint arrays, or a folder or archive of them')
    parser.add_argument('--model', '--config', dest='config',
                        help='name of `mofm models`, published folder or hub ID, or config '
                        f'[{DEFAULT}, and without --task the motion tokens of {TOKENIZER}]')
    parser.add_argument('--checkpoint', help='weights for a config')
    parser.add_argument('--task', help='task [that of the training]')
    parser.add_argument('--task-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='options of the task, e.g. top_k=3')
    parser.add_argument('--out', type=Path, default='demo',
                        help='folder of the results [%(default)s]')
    parser.add_argument('--table', default='.csv', choices=['.csv', '.parquet'],
                        help='format of the table of all results [%(default)s]')
    parser.add_argument('--json', action='store_true',
                        help='also write every result with all of its fields to NAME.json')
    parser.add_argument('--poses', nargs='+', default=(), choices=['.csv', '.parquet'],
                        help='also write the poses with the predictions, as tables')
    parser.add_argument('--pictures', type=int, default=8, metavar='N',
                        help='draw the first N recordings [%(default)s]')
    windows = add_recording_options(parser)
    windows.add_argument('--window', type=int,
                         help='frames per window [that of the config, else the '
                         'whole recording, or 2 seconds of one of more than 10]')
    windows.add_argument('--stride', type=int, help='frames between the starts of two windows')
    windows.add_argument('--model-fps', type=float, help='frame rate of the training data')
    add_network_options(parser)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of a config file')
    add_plugin_option(parser)
    return parser.parse_args(load_plugins(argv))


def pose_estimator(args: argparse.Namespace):
    """Build the pose network for videos, None for the default one."""
    if args.estimator == 'auto' and not (args.whole_frame or args.pose_model
                                         or args.pose_checkpoint or args.estimator_options):
        return None
    from mofm.pose_estimation import build_estimator, whole_frame

    boxes = whole_frame if args.whole_frame else None
    name = estimator_name(args, bool(args.pose_model or args.pose_checkpoint), boxes is None)
    options = dict(args.estimator_options)
    if args.pose_model:
        options['model'] = args.pose_model
    return build_estimator(name, args.pose_checkpoint, args.device, boxes, **options)


def print_files(written: list[Path], folder: Path):
    """List the written files, the first thirty of many."""
    print(f'\n{len(written)} files:')
    for path in written[:30]:
        print(f'  {path}')
    if len(written) > 30:
        print(f'  ... and {len(written) - 30} more in {folder}')


def check_out(inputs: list[str], results: list[Path]):
    """Raise a ValueError if a file of the results is an input."""
    files = {file.resolve() for path in map(Path, inputs)
             for file in (path.rglob('*') if path.is_dir() else [path])}
    for path in results:
        if path.resolve() in files:
            raise ValueError(f'{path}: found an input, which the results would overwrite, '
                             'expected another folder for them (--out)')


def main(argv=None):
    """Parse the command line and run."""
    args = parse_args(argv)
    table, tokens = (args.out / f'{name}{args.table}' for name in ('table', 'tokens'))
    page = args.out / 'index.html'
    check_out(args.input, [table, tokens, page])
    from mofm.annotations import AnnotationError
    from mofm.apis import MotionInferencer  # heavy
    from mofm.apis.demo import (
        View,
        about,
        ask_again,
        draw,
        files_of,
        title_of,
        videos_of,
        write_page,
    )
    from mofm.apis.inferencers import TokensResult, join_tables
    from mofm.pose_estimation import build_estimator

    videos, written = videos_of(args.input), []
    recordings = recording_options(args)
    if videos and recordings['pose_extractor'] is None:  # before the model is loaded
        recordings['pose_extractor'] = build_estimator(device=args.device)
    config = args.config or DEFAULT
    task = MotionInferencer(config, args.checkpoint, args.device, args.batch_size,
                            args.cfg_options).task(args.task)
    asked = {table: (task, about(task, config, args.checkpoint))}
    if not (args.config or args.task):
        other = MotionInferencer(TOKENIZER, None, args.device, args.batch_size).task(
            TokensResult.task)
        asked[tokens] = other, about(other, TOKENIZER)
    for _, known in asked.values():
        for name, text in known.items():
            print(f'{name}: {text}')
    args.out.mkdir(parents=True, exist_ok=True)
    used = {file.stem.casefold(): 1 for path in map(Path, args.input) for file in files_of(path)
            if file.resolve().parent == args.out.resolve()}  # inputs are not overwritten
    used.update({path.stem: 1 for path in asked})  # nor are the tables by --poses
    windows = dict(window=args.window, stride=args.stride, model_fps=args.model_fps,
                   cut_long=True)
    results = task.iter(args.input, **windows, **recordings, **args.task_options)
    tables: dict[Path, list] = {path: [] for path in asked}
    views: dict[str, list[View]] = {}
    problems: list[str] = []
    for number, result in enumerate(results):
        stem, said = args.out / file_stem(result.name, used), []
        answers: list[tuple] = []
        for path, (asking, known) in asked.items():
            try:
                answer = result if asking is task else ask_again(asking, result, **windows)
            except AnnotationError as error:
                problems.append(f'{title_of(asking)}: {error}')
                said.append(problems[-1])
                continue
            said.append(answer.summary())
            answers.append((path, asking, known, answer))
        print(f'{result.name}: {"; ".join(said)}', flush=True)  # before tables and pictures
        for suffix in (*result.default_suffixes, *['.json'] * args.json, *args.poses):
            written += result.save(stem.with_name(stem.name + suffix))
        for path, asking, known, answer in answers:
            tables[path].append(answer.to_table())
            if number < args.pictures:
                files = draw(asking, answer, stem,
                             videos.get(result.name) if asking is task else None)
                written += files
                views.setdefault(result.name, []).append(View(
                    title_of(asking), known, answer, path,
                    [file for file in files if file.suffix not in ('.mp4', '.gif')],
                    [file for file in files if file.suffix in ('.mp4', '.gif')]))
    tables = {path: found for path, found in tables.items() if found}
    for path, found in tables.items():
        write_arrow(path, join_tables(found))
    first = Path(args.input[0]).resolve().name
    write_page(page, first if len(args.input) == 1 else f'{first} and {len(args.input) - 1} more',
               views, {title_of(asking): known for asking, known in asked.values()},
               {path: len(found) for path, found in tables.items()},
               [*results.notes, *map(str, results.problems), *problems])
    written += [*tables, page]
    print_files(written, args.out)
    print(f'\nopen {page}')
