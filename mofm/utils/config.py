"""Where the results of a config go."""

from pathlib import Path


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
