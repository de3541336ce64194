"""Messages for mistakes in a config that show only when its parts are built."""

import difflib
import inspect
import linecache
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from mmengine.registry import Registry

_UNEXPECTED = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_UNREGISTERED = re.compile(r"'?(\S+) is not in the (?:\S+::)?([\w ]+) registry")
_BUILDERS = 'build_from_cfg', 'build_scheduler_from_cfg'


def explain_config_error(error: Exception, config: dict) -> str | None:
    """Explain an error that a config causes.

    Args:
        error (Exception): As caught.
        config (dict): The settings.

    Returns:
        str or None: What is wrong with which setting; None for any other error, whose traceback
        is needed.
    """
    stack = [*traceback.walk_tb(error.__traceback__)]
    frame, line = stack[-1]
    file = frame.f_code.co_filename
    built = [frame for frame, _ in stack if frame.f_code.co_name in _BUILDERS]
    ours = frame.f_globals.get('__name__', '').partition('.')[0] in ('mofm', 'projects')
    if isinstance(error, (FileNotFoundError, TypeError, ValueError)) \
            and (ours or 'mmengine/runner/' in Path(file).as_posix()) \
            and linecache.getline(file, line).lstrip().startswith('raise '):
        return _place_checkpoint(str(error), config)  # written for the user
    text = str(error)
    if frame.f_code.co_name == '_save_best_checkpoint' and isinstance(error, KeyError):
        return (f'default_hooks.checkpoint.save_best: found no metric {text}, expected one of '
                f'{", ".join(sorted(frame.f_locals["metrics"]))}')
    unexpected, unregistered = _UNEXPECTED.search(text), _UNREGISTERED.match(text)
    if isinstance(error, TypeError) and unexpected:
        owner, name = unexpected.groups()
        places = {place: part for place, part in _parts(config) if name in part}
        built = [frame.f_locals.get('obj_cls') for frame in built[-1:]]
        known = set().union(*places.values(), *map(
            _parameters, filter(callable, (*built, frame.f_globals.get(owner)))))
        return _message((f'{place}.{name}'.lstrip('.') for place in places),
                        f'{owner} has no such setting', name, known - {name})
    if isinstance(error, KeyError) and unregistered and built:
        return _unregistered(*unregistered.groups(), built[-1].f_locals['registry'], config)
    for one, _ in stack:  # MMEngine inspects a missing optimizer
        if 'optimizer_cls' in one.f_locals and one.f_locals['optimizer_cls'] is None:
            return _unregistered(one.f_locals['optimizer_cfg']['type'], 'optimizer',
                                 one.f_locals['registry'], config)
    if isinstance(error, (AssertionError, TypeError, ValueError)) and text and built and (
            frame is built[-1] or not isinstance(error, TypeError)):
        name = built[-1].f_locals.get('obj_type')
        return _message((place for place, part in _parts(config) if part.get('type') == name),
                        f'{name}: {text}')
    return None


def _unregistered(name: str, kind: str, registry: Registry, config: dict) -> str | None:
    """Return the message for a type that is not registered."""
    known = {name for level in (registry, registry.parent) if level for name in level.module_dict}
    return _message((f'{place}.{key}' for place, part in _parts(config)
                     for key, value in part.items() if value == name),
                    f'found {name}, expected a registered {kind}', name, known)


def _place_checkpoint(text: str, config: dict) -> str:
    """Add the setting of a missing checkpoint to the message, and how to do without it."""
    for place, part in _parts(config):
        if part.get('checkpoint') and text.startswith(f'{part["checkpoint"]}: no such '):
            scratch = f'; for training from scratch: --cfg-options {place}=None' \
                if place.endswith('backbone.init_cfg') else ''
            return f'{place}.checkpoint: {text}{scratch}'
    return text


def _parts(config: dict, place: str = '') -> Iterator[tuple[str, dict]]:
    """Iterate over the dicts in a config with their dotted names."""
    if isinstance(config, dict):
        yield place, config
    for key, value in (config.items() if isinstance(config, dict) else enumerate(config)):
        if isinstance(value, (dict, list, tuple)):
            yield from _parts(value, f'{place}.{key}'.lstrip('.'))


def _parameters(function: Callable) -> set[str]:
    """Return the names of the arguments of a function, or of a class and those it inherits."""
    functions = [base.__init__ for base in inspect.getmro(function) if base is not object] \
        if inspect.isclass(function) else [function]
    return {name for item in functions for name in inspect.signature(item).parameters}


def _message(places: Iterator[str], reason: str, name: str = '', known: set = frozenset()
             ) -> str | None:
    """Return the message for the places of a mistake, None if there are none."""
    where = ', '.join(places)
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f'{where}: {reason}' + (f'; did you mean {near[0]}?' if near else '') if where else None
