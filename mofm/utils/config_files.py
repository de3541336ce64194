"""Config files by name: those of the package are found from any folder."""

import difflib
from functools import lru_cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
#: Folder of ``configs`` and ``projects``: in an installed package its ``.mim``, see setup.py.
ROOT = _PACKAGE / '.mim' if (_PACKAGE / '.mim').is_dir() else _PACKAGE.parent


def config_name(config: str | Path) -> str:
    """Return the name of a config, unique among those of the package.

    Args:
        config (str or Path): ``configs/dt1_penn_tiny.py`` gives ``dt1_penn_tiny``,
            ``configs/mofm/pretrain.py`` gives ``mofm/pretrain``, and
            ``projects/tmor/configs/action_penn.py`` gives ``tmor/action_penn``.

    Returns:
        str: The path below ``configs``, after the name of the project; only the name of the file
        outside of such folders.
    """
    *folders, name = Path(config).resolve().with_suffix('').parts
    below = []
    if 'configs' in folders:
        start = len(folders) - folders[::-1].index('configs')
        below = folders[start:]
        if start >= 3 and folders[start - 3] == 'projects':
            below = [folders[start - 2], *below]
    return '/'.join([*below, name])


@lru_cache(1)
def packaged_configs() -> dict[str, Path]:
    """Return the configs of the package by name, without bases."""
    return {config_name(path): path for folder in ('configs', 'projects/*/configs')
            for path in sorted(ROOT.glob(f'{folder}/**/*.py')) if '_base_' not in path.parts}


def find_config(source: str | Path) -> Path:
    """Find a config: a file, or one of the package by its name or its path in the repository.

    Args:
        source (str or Path): A file; else, ``mofm/pretrain``, ``configs/mofm/pretrain.py`` and
            ``pretrain`` are the same config of the package. The last needs to be unique.

    Raises:
        FileNotFoundError: If there is none, with near names, or several.
    """
    path = Path(source).expanduser()
    return path if path.is_file() else _find_packaged(path)


def _find_packaged(path: Path) -> Path:
    configs = packaged_configs()
    if ROOT / path in configs.values():
        return ROOT / path
    name = path.as_posix().removesuffix('.py')
    found = [name] if name in configs else [n for n in configs if n.rpartition('/')[2] == name]
    if len(found) == 1:
        return configs[found[0]]
    near = found or difflib.get_close_matches(name.removeprefix('configs/'), configs)
    raise FileNotFoundError(f'{path}: no such config; ' + (
        f'did you mean {" or ".join(near)}?' if near else f'{ROOT}/configs contains all of them'))


def find_base(name: str) -> Path:
    """Find a config of the package that another one inherits from.

    Args:
        name (str): Path below ``configs``, also of ``_base_``, or a name of :func:`find_config`.

    Raises:
        FileNotFoundError: See :func:`find_config`.
    """
    path = ROOT / 'configs' / name
    return path if path.is_file() else _find_packaged(Path(name))
