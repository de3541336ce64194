"""Configs of trainings and tests: overrides, references, work directories."""

import ast
import copy
import difflib
import inspect
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mofm.utils.config_files import config_name, find_base, find_config
from mofm.utils.files import named

_MAX_DUMP = 2**20  # characters, whose syntax tree is 100 times larger
_REFERENCE = re.compile(r'\$\{([\w.]+)\}')
#: Settings that MMEngine or tools read, besides the arguments of a runner.
_READ = {'runner_type', 'custom_imports', 'model_wrapper_cfg', 'sync_bn', 'compile',
         'find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval',
         'init_weights_for_test_or_val', 'env_cfg'}
#: Parts that MMEngine reads by name, ignoring other names.
_PARTS = {'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
          'auto_scale_lr': {'enable', 'base_batch_size'}}
#: Settings of ``paramwise_cfg`` that MMEngine's constructor of optimizers reads.
PARAMWISE = {'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult',
             'flat_decay_mult', 'dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate'}

_base_of_mmengine = Config._get_cfg_path  # noqa: SLF001  has no other name


def _base_path(base: str, filename: str) -> tuple[str, str | None]:
    """Find a base of a config: ``mofm::NAME`` is one of this package, in a wheel and editable.

    MMEngine knows such names only for the packages of OpenMMLab.
    """
    package, _, name = base.partition('::')
    if package == 'mofm' and name:
        return str(find_base(name)), None
    return _base_of_mmengine(base, filename)


Config._get_cfg_path = staticmethod(_base_path)  # noqa: SLF001


def load_config(source: str | Path | Config, cfg_options: dict | None = None) -> Config:
    """Load a config of ``tools/train.py``, with settings to override.

    A value ``'${grid.canvas}'`` refers to the setting ``grid.canvas`` and becomes its value, after
    the overrides: one override changes all values that refer to it. Schedules that would begin at
    or after the end of the training are skipped.

    Args:
        source (str, Path or Config): File or name, see :func:`find_config`, or a config, which is
            copied. A file may inherit from a config of the package: ``_base_ = 'mofm::NAME'``, and
            import modules in the current folder by ``custom_imports``.
        cfg_options (dict, optional): Settings to override, e.g. ``{'grid.canvas': 48}``.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If the file is not Python, as other formats could name modules to import; if a
            module of ``custom_imports`` cannot be imported; if a referenced setting does not
            exist; or if nothing reads a setting, e.g. because of a typo.
    """
    if isinstance(source, Config):
        config, path = copy.deepcopy(source), source.filename or 'config'
    else:
        path = find_config(source)
        if path.suffix != '.py':
            raise ValueError(f'{path}: expected a .py config')
        if Path(source).is_file() and os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())  # for custom_imports, after all that is installed
        try:
            with named(tempfile.gettempdir()):  # of a copy
                config = Config.fromfile(path)
        except ImportError as error:
            if 'custom modules' not in str(error):  # the config itself imports
                raise
            raise ValueError(f'{path}: {_explain_import(error)}') from error
    options = cfg_options or {}
    names = set(config)
    before = set(_REFERENCE.findall(str(config.to_dict())))  # an override may remove them
    try:
        config.merge_from_dict(options)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: cannot set {", ".join(options)}: {error}') from None
    try:
        found = _resolve_references(config)
        _check_names(config, names, found, options)
        if not isinstance(source, Config):
            _check_variables(path, names, found | before)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    epochs = (config.get('train_cfg') or {}).get('max_epochs', 1)
    if not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f'{path}: train_cfg.max_epochs: found {epochs!r}, expected a whole '
                         'number of at least 1')
    schedulers = config.get('param_scheduler')
    if isinstance(schedulers, list):  # no cosine if the training ends with the warm-up
        config.param_scheduler = [scheduler for scheduler in schedulers
                                  if scheduler.get('begin', 0) < scheduler.get('end', math.inf)]
    return config


def _explain_import(error: BaseException) -> str:
    """Return the reason of a failed import, which MMEngine hides behind two errors."""
    while isinstance(error.__context__, ImportError):
        error = error.__context__
    return (f'custom_imports: found {type(error).__name__}: {error}; expected modules in the '
            'current folder, in a folder of PYTHONPATH, or installed')


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


def _read_by_runners() -> set[str]:
    """Return the names of the settings that runners and tools read."""
    from mmengine.runner import FlexibleRunner, Runner  # heavy
    return _READ.union(*(inspect.signature(runner).parameters
                         for runner in (Runner, FlexibleRunner))) - {'self', 'cfg'}


def _check_variables(path: Path, names: set[str], references: set[str]):
    """Raise ValueError if nothing reads a setting of the file."""
    read = _read_by_runners()
    for name in _unread_variables(path, read | {name.partition('.')[0] for name in references}):
        raise ValueError(f'{name}: nothing reads this setting'
                         + _nearest(name, {*names, *read, *references} - {name}))


def _check_names(config: Config, names: set[str], references: set[str], options: dict):
    """Raise ValueError if nothing reads an option, or a name in parts that MMEngine ignores."""
    from mmengine.hooks import CheckpointHook  # heavy
    read, unread = _read_by_runners(), []
    for name in options:
        root = name.partition('.')[0]
        if root not in read and not any(f'{name}.'.startswith(f'{reference}.')
                                        or f'{reference}.'.startswith(f'{name}.')
                                        for reference in references):
            unread.append(name if root in names else root)
    if unread:
        raise ValueError(f'{unread[0]}: nothing reads this setting'
                         + _nearest(unread[0], {*names, *read, *references} - {unread[0]}))
    for part, known in _PARTS.items():
        _check_part(part, config.get(part), known)
    wrapper, default = config.get('optim_wrapper') or {}, 'DefaultOptimWrapperConstructor'
    if wrapper.get('constructor', default) == default:  # ignores unknown names
        _check_part('optim_wrapper.paramwise_cfg', wrapper.get('paramwise_cfg'), PARAMWISE)
    hooks = config.get('default_hooks') or {}
    for name, hook in hooks.items():
        if isinstance(hook, dict) and 'type' not in hook:
            raise ValueError(f'default_hooks.{name}: found no type, expected that of a hook'
                             + _nearest(name, set(hooks) - {name}))
    checkpoint = hooks.get('checkpoint') or {}
    if checkpoint.get('type') == 'CheckpointHook':  # keeps unknown names until it saves
        _check_part('default_hooks.checkpoint', checkpoint,
                    {'type', 'priority', *inspect.signature(CheckpointHook).parameters})


def _check_part(name: str, part: dict | None, names: set[str]):
    for key in part or ():
        if key not in names:
            raise ValueError(f'{name}.{key}: nothing reads this setting' + _nearest(key, names))


def _nearest(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), 1)
    return f'; did you mean {near[0]}?' if near else ''


def _unread_variables(path: Path, read: set[str], inherited: frozenset | None = None) -> list[str]:
    """List the names that a config file sets and nothing reads.

    A variable is read if a setting refers to it, in its file or as ``_base_.name`` in one that
    inherits from it. A base may have variables for other files, and a config that a tool has
    written has all of them, so only names that resemble a setting are listed of these.

    Args:
        path (Path): The file.
        read (set[str]): Names of settings that are read anyway.
        inherited (frozenset, optional): Names that files which inherit from this one read; None
            if there are none.
    """
    tree = ast.parse(path.read_text(encoding='utf-8'))
    nodes = list(ast.walk(tree))
    loaded = {node.id for node in nodes
              if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    of_bases = (inherited or frozenset()) | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name) and node.value.id == '_base_'}
    strict = inherited is None and any(
        isinstance(node, ast.Name) and node.id == '_base_' for node in nodes)
    unread = []
    for statement in tree.body:
        if not isinstance(statement, ast.Assign):
            continue
        for node in (node for target in statement.targets for node in ast.walk(target)):
            if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Store):
                continue
            if node.id not in read | loaded | (inherited or set()) | {'_base_'} and (
                    strict or difflib.get_close_matches(node.id, read, 1, 0.85)):
                unread.append(node.id)
    for base in Config._get_base_files(str(path)):  # noqa: SLF001  has no other name
        if '::' not in base or base.startswith('mofm::'):  # else of another package
            unread += _unread_variables(Path(_base_path(base, str(path))[0]), read, of_bases)
    return unread


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
    before, after = (dict(_flatten(read_dump(text))) for text in (old, new))
    if not before or not after:
        return {}
    return {name: (before.get(name, 'not set'), after.get(name, 'not set'))
            for name in {**before, **after} if before.get(name) != after.get(name)
            and name not in ('work_dir', 'load_from', 'resume', 'experiment_name')}


def _flatten(settings: dict, prefix: str = '') -> Iterator[tuple[str, str]]:
    """Yield dotted names and texts of settings."""
    for key, value in settings.items():
        if isinstance(value, (list, tuple)) and any(isinstance(item, dict) for item in value):
            value = dict(enumerate(value))
        if isinstance(value, dict) and value:
            yield from _flatten(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', repr(value)


def read_dump(text: object) -> dict:
    """Read the settings of a config dumped by MMEngine as data; empty if they are more."""
    if not isinstance(text, str) or len(text) > _MAX_DUMP:
        return {}

    def value(node):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict':
            return {item.arg: value(item.value) for item in node.keywords}
        if isinstance(node, ast.Dict):
            return {ast.literal_eval(key): value(item)
                    for key, item in zip(node.keys, node.values, strict=True)}
        if isinstance(node, (ast.List, ast.Tuple)):
            return [value(item) for item in node.elts]
        return ast.literal_eval(node)

    try:
        settings: list[Any] = ast.parse(text).body  # statements of another kind lack targets
        return {node.targets[0].id: value(node.value) for node in settings}
    except Exception:  # hostile text raises nearly anything
        return {}


def default_work_dir(config: str | Path) -> str:
    """Return the default folder for the logs and checkpoints of a config.

    Args:
        config (str or Path): ``configs/mofm/pretrain.py`` gives ``work_dirs/mofm/pretrain``, see
            :func:`config_name`, so that no two configs share a folder.
    """
    return f'work_dirs/{config_name(config)}'
