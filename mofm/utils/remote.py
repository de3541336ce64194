"""Local copies of files at URLs: ``s3://``, ``gs://``, ``hf://``, ``https://`` and others.

fsspec reads them. Its own caches of whole files are not used, as two processes that download the
same file would write into the copy that a third one has mapped.
"""

import hashlib
import os
from pathlib import Path, PurePosixPath

from filelock import FileLock

from .files import atomic_path, remove_unfinished


def cache_folder() -> Path:
    """Return the folder of copies: ``MOFM_CACHE``, by default ``~/.cache/mofm``."""
    return Path(os.environ.get('MOFM_CACHE') or Path(
        os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache', 'mofm'))


def local_copy(url: str) -> Path:
    """Return a local copy of a file, which is downloaded once by one of several processes.

    A file that has changed since is downloaded again, to another folder: the copy that running
    processes have mapped stays.

    Args:
        url (str): URL of a protocol of fsspec. Credentials and endpoints are those of its
            libraries, e.g. ``AWS_PROFILE`` and ``AWS_ENDPOINT_URL``.

    Returns:
        Path: The copy, of the same name.

    Raises:
        ImportError: If the library of the protocol is not installed.
        Exception: Of any kind, if the file cannot be read.
    """
    from fsspec.core import url_to_fs  # takes a fifth of a second

    system, path = url_to_fs(url)
    key = hashlib.sha256(f'{system.unstrip_protocol(path)} {system.ukey(path)}'.encode())
    copy = cache_folder() / key.hexdigest()[:32] / PurePosixPath(path).name
    copy.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(copy.parent / '.lock'):
        if not copy.exists():
            remove_unfinished(copy)
            with atomic_path(copy) as temporary:
                system.get_file(path, str(temporary))
    return copy
