"""Convert the native files of a data set to one annotation file.

mofm prepare penn_action Penn_Action.zip data/penn_action.pkl
mofm prepare nw_ucla all_sqe.zip data/nw_ucla.pkl --views 4 --yaw -60 60
mofm prepare alphapose results data/mine.arrow --list train train.txt
mofm prepare auto results data/mine.arrow --list train train.txt

The source `auto`, or none, is recognized by the content of the files.
After an interruption the same command resumes.
"""

import argparse
import sys
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mofm.annotations import AnnotationError
from mofm.registry import SOURCES
from mofm.sources.plugins import add_plugin_option, load_plugins, readers
from mofm.sources.prepare import prepare
from mofm.sources.recognition import resolve
from mofm.utils.ray_actors import WorkerEndedError, add_ray_option, run_on_ray

ERRORS = AnnotationError, ModuleNotFoundError, WorkerEndedError
HINT = 'the same command resumes'
_FORMATS = dict(arrow='.arrow', pickle='.pkl', npz='.npz', json='.json')


def resolve_auto(argv):
    """Replace the source `auto`, or none before an existing path, by the one that fits."""
    first = argv[0] if argv else '--help'
    if first.startswith('-') or first in readers(first):
        return argv
    if first != 'auto' and not Path(first).exists():
        near = get_close_matches(first, [*readers(), 'auto'])
        raise AnnotationError(f'{first}: found neither a source nor a file or folder, expected '
                              f'{" or ".join(near) or "auto"}; --help lists the sources')
    rest = argv[first == 'auto':]
    path = next((arg for arg in rest if not arg.startswith('-')), None)
    if path is None:
        raise AnnotationError('auto: found no path, expected: auto PATH OUTPUT '
                              '[options of the source, which --help lists]')
    match = resolve(path)
    print(f'{path}: recognized {match}')
    return [match.source, *rest]


def parse_args(argv=None):
    """Parse the command line."""
    words = sys.argv[1:] if argv is None else [*map(str, argv)]
    argv = resolve_auto(load_plugins(words))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=(
        'auto, or no source: recognized by the content of the files'))
    add_plugin_option(parser)
    sources = parser.add_subparsers(dest='source', required=True, metavar='source')
    for name, reader in sorted(readers(argv[0] if argv else None).items()):
        title = (reader.__doc__ or name).strip().splitlines()[0].replace('%', '%%')
        sub = sources.add_parser(name, help=title)
        sub.add_argument('input', help='zip file, folder, or one file, as published')
        sub.add_argument('output', type=Path, help='annotation file: .pkl, .arrow, .npz or .json')
        sub.add_argument('--format', choices=_FORMATS,
                         help='file format [suffix of the output]')
        parallel = sub.add_mutually_exclusive_group()
        parallel.add_argument('--workers', type=int, help='number of processes [one per core]')
        add_ray_option(parallel)
        reader.add_options(sub)
        add_plugin_option(sub)
    return parser.parse_args(argv, argparse.Namespace(words=words))


def main(argv=None):
    """Convert, write and summarize."""
    options = vars(parse_args(argv))
    name, path, output = (options.pop(key) for key in ('source', 'input', 'output'))
    kind, workers, ray = (options.pop(key) for key in ('format', 'workers', 'ray'))
    plugins = partial(load_plugins, options.pop('words'))
    del options['plugin']
    if kind is not None:
        output = output if output.suffix else output.with_suffix(_FORMATS[kind])
        if output.suffix != _FORMATS[kind]:
            raise AnnotationError(f'{output}: found suffix {output.suffix!r} and --format {kind}, '
                                  f'expected {_FORMATS[kind]!r} or none')
    try:
        source = SOURCES.get(name).from_options(path, **options)
    except (ImportError, ValueError) as error:
        raise AnnotationError(error) from None
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())
    # no refresh thread, as processes fork
    with Progress(*columns, auto_refresh=False) as bar:
        task = bar.add_task(f'Reading {name}', total=len(source.files))
        report = prepare(source, output, workers,
                         lambda files: bar.update(task, advance=files, refresh=True),
                         None if ray is None else partial(run_on_ray, address=ray, setup=plugins))
    if report.counts:
        show(source, report)
    print(f'{output}: {report.summary()}')
    if report.details():
        print(report.details())


def show(source, report):
    """Print clips by split and class."""
    names = sorted({name for name, _ in report.counts})
    width = max(map(len, source.classes), default=5)
    print(f'{"":{width}}', *(f'{name:>8}' for name in names))
    if len({label for _, label in report.counts}) > 1:  # whole recordings have no labels
        for label, title in enumerate(source.classes):
            print(f'{title:{width}}', *(f'{report.counts[name, label]:8}' for name in names))
    totals = (sum(n for (split, _), n in report.counts.items() if split == name) for name in names)
    print(f'{"total":{width}}', *(f'{total:8}' for total in totals))
