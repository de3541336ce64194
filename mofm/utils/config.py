"""Configs of trainings and tests: overrides, references, work directories."""

import ast
import copy
import math
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config

_REFERENCE = re.compile(r'\$\{([\w.]+)\}')


def load_config(source: str | Path | Config, cfg_options: dict | None = None) -> Config:
    """Load a config of ``tools/train.py``, with settings to override.

    A value ``'${grid.canvas}'`` refers to the setting ``grid.canvas`` and becomes its value, after
    the overrides: one override changes all values that refer to it. Schedules that would begin at
    or after the end of the training are skipped.

    Args:
        source (str, Path or Config): File, or a config, which is copied.
        cfg_options (dict, optional): Settings to override, e.g. ``{'grid.canvas': 48}``.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not Python, as other formats could name modules to import; if a
            referenced setting does not exist; or if nothing refers to a setting of ``grid`` to
            override.
    """
    if isinstance(source, Config):
        config, path = copy.deepcopy(source), source.filename or 'config'
    else:
        path = Path(source).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such config; configs/ contains all of them')
        if path.suffix != '.py':
            raise ValueError(f'{path}: expected a .py config')
        config = Config.fromfile(path)
    config.merge_from_dict(cfg_options or {})
    try:
        found = _resolve_references(config)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    for name in cfg_options or {}:
        if name.startswith('grid.') and name not in found:
            raise ValueError(f'{path}: {name}: no setting refers to it')
    schedulers = config.get('param_scheduler')
    if isinstance(schedulers, list):  # no cosine if the training ends with the warm-up
        config.param_scheduler = [scheduler for scheduler in schedulers
                                  if scheduler.get('begin', 0) < scheduler.get('end', math.inf)]
    return config


def _resolve_references(config: Config) -> set[str]:
    """Replace the values ``'${a.b}'`` of a config by the settings they refer to.

    Returns:
        set[str]: Names of these settings.

    Raises:
        ValueError: If a setting does not exist, or if settings refer to each other in a circle.
    """
    found = set()

    def resolve(value: Any, path: tuple[str, ...] = ()) -> Any:
        if isinstance(value, dict):
            return type(value)({key: resolve(item, path) for key, item in value.items()})
        if isinstance(value, (list, tuple)):
            return type(value)(resolve(item, path) for item in value)
        match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return value
        name = match[1]
        found.add(name)
        if name in path:
            raise ValueError(f'{value}: found a circle, {" -> ".join((*path, name))}')
        setting = config
        for key in name.split('.'):
            try:
                setting = setting[int(key) if isinstance(setting, list) else key]
            except (KeyError, IndexError, TypeError, ValueError):
                raise ValueError(f'{value}: found no such setting') from None
        return resolve(setting, (*path, name))

    for key, value in list(config.items()):
        config[key] = resolve(value)
    return found


def compare_settings(old: str, new: str) -> dict[str, tuple[str, str]]:
    """Compare the settings of two configs, without running them.

    Args:
        old (str): Text of a whole config, as :attr:`Config.pretty_text`. Nothing is compared if
            one is empty or not a config.
        new (str): Text of the other config.

    Returns:
        dict[str, tuple[str, str]]: Dotted name to the text of both values; without the names of
        folders and checkpoints of a run.
    """
    try:
        before, after = map(_read_settings, (old, new))
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError):
        return {}
    if not before or not after:
        return {}
    return {name: (before.get(name, 'not set'), after.get(name, 'not set'))
            for name in {**before, **after} if before.get(name) != after.get(name)
            and name not in ('work_dir', 'load_from', 'resume', 'experiment_name')}


def _read_settings(text: str) -> dict[str, str]:
    """Read the text of a config into dotted names and texts of values."""
    found = {}

    def visit(name: str, node: ast.expr):
        items = []
        if isinstance(node, ast.Call):  # dict(name=value)
            items = [(keyword.arg, keyword.value) for keyword in node.keywords]
        elif isinstance(node, ast.Dict):
            items = [(ast.literal_eval(key), value)
                     for key, value in zip(node.keys, node.values, strict=True)]
        elif isinstance(node, (ast.List, ast.Tuple)) and any(
                isinstance(item, (ast.Call, ast.Dict)) for item in node.elts):
            items = list(enumerate(node.elts))
        for key, value in items:
            visit(f'{name}.{key}', value)
        if not items:
            found[name] = ast.unparse(node)

    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign):
            visit(ast.unparse(statement.targets[0]), statement.value)
    return found


def default_work_dir(config: str | Path) -> str:
    """Return the default folder for the logs and checkpoints of a config.

    Args:
        config (str or Path): ``configs/dt1_penn_tiny.py`` gives ``work_dirs/dt1_penn_tiny``,
            ``configs/mofm/pretrain.py`` gives ``work_dirs/mofm/pretrain``, and
            ``projects/tmor/configs/action_penn.py`` gives ``work_dirs/tmor/action_penn``, so that
            no two configs share a folder.

    Returns:
        str: ``work_dirs/`` and the path below ``configs``, after the name of the project; only
        the name of the file outside of such folders.
    """
    *folders, name = Path(config).resolve().with_suffix('').parts
    below = []
    if 'configs' in folders:
        start = len(folders) - folders[::-1].index('configs')
        below = folders[start:]
        if start >= 3 and folders[start - 3] == 'projects':
            below = [folders[start - 2], *below]
    return '/'.join(['work_dirs', *below, name])
