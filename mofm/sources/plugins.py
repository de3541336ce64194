"""Readers, pose estimators and models of others: a file or module that the user names.

Readers also come by entry points of packages, models by :func:`mofm.registry.is_registered`.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
import warnings
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from mofm.annotations import AnnotationError
from mofm.registry import INFERENCERS, MODELS, POSE_ESTIMATORS, SOURCES
from mofm.utils.checks import describe

#: Group of entry points: ``name = "package.module"`` or ``"package.module:Class"``.
GROUP = 'mofm.sources'
_EXPECTED = "a class with @SOURCES.register_module('NAME')"


_failed: set[str] = set()


def readers(name: str | None = None) -> dict[str, type]:
    """Return readers by name, those of installed packages included.

    Their entry points are imported at the first call that needs them. One that cannot be imported
    is left out with a warning, and an error only if it is asked for.

    Args:
        name (str, optional): The reader that is needed, None for all.

    Raises:
        AnnotationError: If that reader cannot be imported.
    """
    if name in SOURCES.module_dict:
        return SOURCES.module_dict
    for entry in _entry_points():
        if name is None and entry.name not in {*SOURCES.module_dict, *_failed}:
            try:
                _load(entry)
            except AnnotationError as error:
                _failed.add(entry.name)
                warnings.warn(str(error), stacklevel=2)
        elif name == entry.name:
            _load(entry)
    return SOURCES.module_dict


@lru_cache(1)
def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(importlib.metadata.entry_points(group=GROUP))


def _load(entry: importlib.metadata.EntryPoint):
    """Import an entry point."""
    where = f'{entry.dist.name if entry.dist else GROUP}: {entry.name} = {entry.value}'
    try:
        found = entry.load()
        if isinstance(found, type) and found not in SOURCES.module_dict.values():
            SOURCES.register_module(name=entry.name, module=found)
    except (Exception, SystemExit) as error:  # code of others
        raise AnnotationError(f'{where}: the reader cannot be imported: {describe(error)}'
                              ) from error
    if entry.name not in SOURCES.module_dict:
        raise AnnotationError(f'{where}: found no reader {entry.name!r}, expected {_EXPECTED}')


def load_plugin(plugin: str) -> list[str]:
    """Import a reader, pose estimator, model or task of the user, which runs its code.

    Other processes find it, too: the folder of a file is added to the path of modules.

    Args:
        plugin (str): A Python file or the name of a module.

    Returns:
        list[str]: Names of its classes.

    Raises:
        AnnotationError: If it cannot be imported or registers none.
    """
    path = Path(plugin)
    if path.suffix == '.py' or path.exists():
        name = _find_file(path)
    else:
        name = plugin
        _add_folder(os.getcwd())
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:  # code of others
        lines = [frame for frame in traceback.extract_tb(error.__traceback__)
                 if Path(frame.filename).stem == name.rpartition('.')[2]]
        line = f' in line {lines[-1].lineno}' if lines else ''
        raise AnnotationError(f'{plugin}: the plug-in cannot be imported: {describe(error)}{line}'
                              ) from error
    found = [known for registry in (SOURCES, POSE_ESTIMATORS, MODELS, INFERENCERS)
             for known, kind in registry.module_dict.items()
             if f'{kind.__module__}.'.startswith(f'{name}.')]
    if not found:
        raise AnnotationError(f'{plugin}: found no registered class, expected {_EXPECTED}, or of '
                              'POSE_ESTIMATORS, MODELS or INFERENCERS')
    return found


def _find_file(path: Path) -> str:
    """Return the name of the module of a file, which can be imported by it then."""
    path, name = path.absolute(), path.stem
    if not path.is_file():
        raise AnnotationError(f'{path}: found no such file, expected a Python file with a reader')
    if '.' in name:
        raise AnnotationError(f'{path}: found a point in the name of a module, expected none; '
                              'rename the file')
    folder = path.parent
    # modules of a package may import each other
    while (folder / '__init__.py').is_file() and '.' not in folder.name:
        name, folder = f'{folder.name}.{name}', folder.parent
    _add_folder(str(folder))
    importlib.invalidate_caches()
    module = sys.modules.get(name)
    try:
        spec = module.__spec__ if module else importlib.util.find_spec(name)
    except (Exception, SystemExit):  # of the package, which fails again when it is imported
        return name
    if spec is None or not spec.origin or Path(spec.origin).resolve() != path.resolve():
        raise AnnotationError(f'{path}: found another module {name!r}, expected a name of its '
                              'own; rename the file')
    return name


def _add_folder(folder: str):
    if folder not in sys.path:
        sys.path.append(folder)


def add_plugin_option(parser: ArgumentParser, hidden: bool = False):
    """Add ``--plugin``, which :func:`load_plugins` takes from the command line."""
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE_OR_MODULE',
                        help=SUPPRESS if hidden else 'Python file or module with readers, '
                        'pose estimators or models of your own; it is run')


def load_plugins(argv: Sequence[str] | None = None) -> list[str]:
    """Import what ``--plugin`` names on a command line.

    Args:
        argv (Sequence[str], optional): The words, by default those of the process.

    Returns:
        list[str]: The other words.

    Raises:
        AnnotationError: See :func:`load_plugin`.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    add_plugin_option(parser)
    args, rest = parser.parse_known_args(sys.argv[1:] if argv is None else [*map(str, argv)])
    for plugin in args.plugin:
        load_plugin(plugin)
    return rest
