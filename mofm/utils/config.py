"""Configs of ``tools/train.py``, and the folder for their results."""

from pathlib import Path

from mmengine.config import Config


def load_config(path: str | Path, cfg_options: dict | None = None) -> Config:
    """A config of ``tools/train.py``, with settings to override.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not Python: data of strangers could name modules to import.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such config; configs/ holds them all')
    if path.suffix != '.py':
        raise ValueError(f'{path}: expected a .py config')
    config = Config.fromfile(path)
    config.merge_from_dict(cfg_options or {})
    return config


def default_work_dir(config: str | Path) -> str:
    """Folder for the logs and checkpoints of a config that names none.

    Args:
        config (str or Path): ``configs/dt1_penn_tiny.py`` gives ``work_dirs/dt1_penn_tiny``,
            ``configs/mofm/pretrain.py`` gives ``work_dirs/mofm/pretrain``, and
            ``projects/tmor/configs/action_penn.py`` gives ``work_dirs/tmor/action_penn``, so that
            no two configs share a folder.

    Returns:
        str: ``work_dirs/`` and the path below ``configs``, with the name of the project before
        it; the name of the file if it is in no such folder.
    """
    *folders, name = Path(config).resolve().with_suffix('').parts
    below = []
    if 'configs' in folders:
        start = len(folders) - folders[::-1].index('configs')
        below = folders[start:]
        if start >= 3 and folders[start - 3] == 'projects':
            below = [folders[start - 2], *below]
    return '/'.join(['work_dirs', *below, name])
