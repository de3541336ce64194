"""Owner of a work dir: one run, whose ID is in ``run.json`` and in the checkpoints."""

import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.fileio import put_text
from mmengine.logging import print_log

from mofm.hub.resumable import list_checkpoints, place
from mofm.utils.files import check_space
from mofm.utils.locks import LockedError, hold_lock

_NAMES_SHOWN = 4


def on_main_process(function: Callable, *args) -> Any:
    """Call a function on the main process; all processes get its result or its error.

    Raises:
        ValueError: If the function raises it or an OSError.
    """
    results = [None, None]
    if is_main_process():
        try:
            results[0] = function(*args)
        except (OSError, ValueError) as error:
            file = getattr(error, 'filename', None)
            results[1] = f'{file}: {error.strerror}' if file else str(error)
    broadcast_object_list(results)
    if results[1] is not None:
        raise ValueError(results[1])
    return results[0]


@contextmanager
def own_work_dir(work_dir: str | Path, resume: str | None = None,
                 overwrite: bool = False) -> Iterator[dict]:
    """Own a work dir during a training, alone.

    A work dir without checkpoints is free. Results of tests and other files do not matter. Nothing
    is deleted before :func:`begin_run`: a command that fails at its start leaves the run before as
    it was. If it is killed, the next one finishes the deletion and never resumes that run.

    Args:
        work_dir (str or Path): Folder, made if needed.
        resume (str, optional): ``'auto'`` to continue the run of the folder, or a checkpoint.
        overwrite (bool): Delete the checkpoints and logs of the run before; with a checkpoint of
            the same folder only the later ones. Defaults to False.

    Yields:
        dict: ``id`` of the run, None for one of version 0.2; ``resumed_from``, a checkpoint of
        another folder that the run starts from, or None; ``overwrites``, the files to delete.

    Raises:
        ValueError: If another process trains in the folder, another run has checkpoints there, or
            the disk has no space for one more checkpoint.
    """
    work_dir = Path(work_dir)
    with ExitStack() as stack:

        def claim() -> dict:
            saved = (*work_dir.glob('*.pth'), Path(resume or ''))
            check_space(work_dir, max(p.stat().st_size if p.is_file() else 0 for p in saved))
            try:
                stack.enter_context(hold_lock(work_dir / 'run.lock'))
            except LockedError as error:
                raise ValueError(f'{work_dir}: another training writes here ({error}); wait for '
                                 'its end, or set another --work-dir') from None
            for name in ('run.json', 'last_checkpoint', '*.pth'):
                for unfinished in work_dir.glob(f'{name}.????????.tmp'):  # of killed processes
                    unfinished.unlink()
            path = work_dir / 'run.json'
            before = path.read_bytes() if path.is_file() else None
            run = _claim(work_dir, resume, overwrite)
            _write(work_dir, run)
            stack.callback(_restore, work_dir, run, before)
            return run

        yield on_main_process(claim)


def _restore(work_dir: Path, run: dict, before: bytes | None):
    """Write back the run before, if its files were not deleted."""
    if run['overwrites'] and _read_run(work_dir) == run:
        path = work_dir / 'run.json'
        path.unlink() if before is None else path.write_bytes(before)


def _claim(work_dir: Path, resume: str | None, overwrite: bool) -> dict:
    """Find or start the run of a locked work dir, see :func:`own_work_dir`."""
    if resume == 'auto' and overwrite:
        raise ValueError('found --resume and --overwrite, expected one of them: the first '
                         'continues a training, the second deletes it')
    run, saved = _read_run(work_dir), _existing(work_dir)
    if run is None:
        ids = [meta.get('run_id') for meta in saved.values() if meta is not None]
        run = _run(*(ids or [uuid.uuid4().hex])[:1])
    elif run['overwrites']:  # deletion that was killed
        _delete(work_dir, run['overwrites'])
        saved = _existing(work_dir)
    own = {path: meta for path, meta in saved.items()
           if meta is None or meta.get('run_id') == run['id']}
    source = work_dir.resolve() / Path(resume or '').name
    if resume == 'auto':
        run['overwrites'] = []
    elif source in own and source == Path(resume).resolve():
        later = [path for path, meta in own.items() if place(meta) > place(own[source])]
        if later and not overwrite:
            raise ValueError(f'{work_dir}: found later checkpoints than {source.name} '
                             f'({_names(later)}); add --overwrite to delete them, or set another '
                             '--work-dir')
        run['overwrites'] = [path.name for path in later]
    else:
        if saved and not overwrite:
            raise ValueError(f'{work_dir}: belongs to another training ({_names(saved)}); add '
                             '--resume to continue that one, --overwrite to delete what it wrote, '
                             'or set another --work-dir')
        foreign = saved.keys() - own.keys()
        if foreign:
            raise ValueError(f'{work_dir}: found checkpoints of several trainings '
                             f'({_names(foreign)}); move those to keep elsewhere')
        run = _run(uuid.uuid4().hex, resume and os.path.abspath(resume))
        run['overwrites'] = ['last_checkpoint', *(path.name for path in own)]
        run['overwrites'] += _logs(work_dir) if overwrite else []
    return run


def begin_run(work_dir: str | Path, run: dict):
    """Delete what the run of an owned work dir overwrites."""
    _delete(Path(work_dir), run['overwrites'])
    _write(work_dir, dict(run, overwrites=[]))


def _run(run_id: str | None, resumed_from: str | None = None) -> dict:
    return dict(id=run_id, resumed_from=resumed_from, overwrites=[])


def _read_run(work_dir: Path) -> dict | None:
    """Read the run of a work dir, None if there is none."""
    path = work_dir / 'run.json'
    try:
        run = {**_run(None), **json.loads(path.read_text(encoding='utf-8'))}
        if not isinstance(run['id'], str | None) or not isinstance(run['overwrites'], list):
            raise ValueError('unexpected content')
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        print_log(f'{path}: ignored, not readable ({error}); the newest checkpoint names the run',
                  'current', logging.WARNING)
        return None
    return run


def _write(work_dir: str | Path, run: dict):
    """Write the run of a work dir."""
    put_text(json.dumps(run, indent=1), Path(work_dir) / 'run.json')


def _existing(work_dir: Path) -> dict[Path, dict | None]:
    """List the checkpoints in a work dir without those that only ``last_checkpoint`` names."""
    listed = list_checkpoints(work_dir.resolve())
    return {path: meta for path, meta in listed.items() if path.exists()}


def _logs(work_dir: Path) -> list[str]:
    """List the files of the logs of trainings."""
    found = []
    for scalars in work_dir.glob('*_*/vis_data/scalars.json'):
        folder = scalars.parents[1]
        found += [scalars, scalars.with_name('config.py'), folder / f'{folder.name}.log']
    return [path.relative_to(work_dir).as_posix() for path in found]


def _delete(work_dir: Path, names: list):
    """Delete files of a training; names of others are ignored, as ``run.json`` may be foreign."""
    deletable = [path.name for path in _existing(work_dir)] + ['last_checkpoint', *_logs(work_dir)]
    for path in (work_dir / name for name in deletable if name in names):
        if path.is_dir():
            shutil.rmtree(path)  # a sharded checkpoint
        else:
            path.unlink(missing_ok=True)
        for folder in path.relative_to(work_dir).parents[:-1]:
            with suppress(OSError):  # has files of others
                (work_dir / folder).rmdir()


def _names(paths: Iterable[Path]) -> str:
    """Format the names of some files."""
    names = sorted(path.name for path in paths)
    return ', '.join(names[:_NAMES_SHOWN]) + (', ...' if len(names) > _NAMES_SHOWN else '')
