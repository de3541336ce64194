"""Files of a folder, of an archive, or a single one, by the same few calls."""

import bz2
import gzip
import lzma
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from .limits import exceeds, get_limits
from .untrusted import open_zip

_TARS = {'.tar': open, '.tar.gz': gzip.open, '.tgz': gzip.open, '.tar.bz2': bz2.open,
         '.tar.xz': lzma.open}
#: Suffixes of archives.
ARCHIVES = ('.zip', *_TARS)
# Zip files that are single native files.
_ZIPPED = ('.npz', '.xlsx', '.xlsm', '.ods', '.usdz', '.cmz')
# Archives that Python does not read.
_FOREIGN = ('.rar', '.7z', '.tar.zst', '.tzst', '.tar.lz4', '.tar.z', '.lzh', '.cab')
_CHUNK = 2**20


class FileTree:
    """Files of a folder, of a zip or tar archive, or a single file.

    Names are paths below the folder or inside the archive, with ``/``, without the ending ``.gz``
    of compressed files, which are decompressed when they are read. A name in another case stands
    for a file if there is none of that case. Files and folders that begin
    with a dot, and ``__MACOSX``, are not listed. Linked folders are. A zip file that contains a
    name twice has the last one.

    Args:
        path (str or Path): The folder, archive or file.

    Attributes:
        names (list[str]): Sorted; ``['']`` for a single file.
        is_file (bool): Whether the path is a single file.
        twice (list[str]): Names that a file with and one without ``.gz`` have; the latter counts.

    Raises:
        OSError: If there is no such path.
        Exception: Of other kinds, if an archive is damaged.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._archive: Any = None
        self.is_file = False
        if self.path.is_dir():
            members = list(_walk(self.path))
        elif not self.path.is_file():
            raise FileNotFoundError('no such file or folder')
        elif self.path.name.lower().endswith(_FOREIGN):
            raise ValueError(f'found an archive {self.path.suffix}, expected .zip, '
                             f'{", ".join(_TARS)} or a folder; unpack it')
        elif self._is_archive():
            members = list(self._index())
        else:
            self.is_file, members = True, []
        self._members = {_without_gz(name): name for name in members if _is_gz(name)}
        plain = [name for name in members if not _is_gz(name)]
        self.twice = sorted(self._members.keys() & set(plain))
        self._members.update((name, name) for name in plain)
        self._folded = {name.lower(): name for name in reversed(sorted(self._members))}
        self.names = [''] if self.is_file else sorted(
            name for name in self._members
            if not any(part.startswith('.') or part == '__MACOSX'
                       for part in PurePosixPath(name).parts))

    def __getstate__(self):
        return {**self.__dict__, '_archive': None}  # every process opens its own

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def find(self, name: str) -> str | None:
        """Return a name as it is listed, also for one in another case; None if there is none."""
        return name if name in self._members else self._folded.get(name.lower())

    def _member(self, name: str) -> str:
        """Return the path of a file as it is stored."""
        return self._members.get(self.find(name) or name, name)

    def filename(self, name: str) -> str:
        """Return the last part of a name, without ``.gz``; that of the path for ''."""
        return PurePosixPath(name).name if name else _without_gz(self.path.name)

    @property
    def title(self) -> str:
        """Name of the folder, or of the archive or file without what it ends with."""
        path = self.path.absolute()
        if path.is_dir():
            return path.name
        return path.name[:-len(self._tar_suffix())] if self._tar_suffix() else path.stem

    def where(self, name: str) -> str:
        """Return the place of a file for messages."""
        return f'{self.path}:{self._member(name)}' if name else str(self.path)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes, as stored."""
        if isinstance(self._opened(), zipfile.ZipFile):
            return self._archive.getinfo(self._stored(name)).file_size
        if self._archive is not None:
            return self._archive.getmember(self._stored(name)).size
        return (self.path / self._member(name) if name else self.path).stat().st_size

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for reading.

        Raises:
            Exception: Of any kind, if it is missing or damaged.
        """
        stored, archive = self._member(name), self._opened()
        if isinstance(archive, zipfile.ZipFile):
            file = archive.open(self._stored(name))
        elif archive is not None:
            file = archive.extractfile(self._stored(name))
        else:
            file = (self.path / stored if name else self.path).open('rb')
        with file:
            packed = _is_gz(stored or self.path.name)
            yield gzip.GzipFile(fileobj=file) if packed else file

    def head(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file."""
        with self.open(name) as file:
            return file.read(size)

    def read(self, name: str, largest: int) -> bytes:
        """Return the content of a file.

        Raises:
            LimitError: If it has more than ``largest`` bytes.
            Exception: Of any kind, if it is missing or damaged.
        """
        size = self.size(name)
        with self.open(name) as file:
            packed = isinstance(file, gzip.GzipFile)
            # allocates as much as it asks for
            content = file.read(largest + 1 if packed else min(size, largest) + 1)
        if len(content) > largest or not packed and size > largest:
            raise exceeds(f'a file of more than {largest} bytes', 'scale')
        if packed and len(content) > get_limits().expanded(size):
            raise exceeds(f'a file of {size} bytes unpacks to {len(content)} bytes', 'expansion')
        return content

    def close(self):
        """Close the archive; it is opened again when a file is read."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    def _is_archive(self):
        name = self.path.name.lower()
        if self._tar_suffix() or name.endswith('.zip'):
            return True
        return zipfile.is_zipfile(self.path) and not name.endswith(_ZIPPED)

    def _tar_suffix(self):
        name = self.path.name.lower()
        return max((suffix for suffix in _TARS if name.endswith(suffix)), key=len, default='')

    def _index(self) -> Iterator[str]:
        """Open the archive, list its files and keep the names that it stores."""
        self._names: dict[str, str] = {}
        archive = self._open_archive()
        with archive:
            if isinstance(archive, zipfile.ZipFile):
                stored = [name for name in archive.namelist() if not name.endswith(('/', '\\'))]
            else:
                stored = [member.name for member in archive if member.isfile()]
        for name in stored:
            # some programs on Windows write backslashes, tar begins with ./
            clean = name.replace('\\', '/').removeprefix('./')
            self._names[clean] = name
            yield clean

    def _stored(self, name):
        stored = self._member(name)
        return self._names.get(stored, stored)

    def _opened(self):
        if self._archive is None and not self.is_file and self.path.is_file():
            self._archive = self._open_archive()
        return self._archive

    def _open_archive(self):
        suffix = self._tar_suffix()
        if not suffix:
            return open_zip(self.path)
        file = self.path.open('rb') if suffix == '.tar' else self._decompressed(_TARS[suffix])
        try:
            return _open_tar(file)
        except Exception:
            file.close()
            raise

    def _decompressed(self, opener) -> BinaryIO:
        """Return the tar archive, in a file without a name, which goes with the process."""
        size = self.path.stat().st_size
        largest = get_limits().expanded(size)
        with opener(self.path, 'rb') as packed, ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile())
            while chunk := packed.read(_CHUNK):
                file.write(chunk)
                if file.tell() > largest:
                    raise exceeds(f'an archive of {size} bytes unpacks to more than {largest} '
                                  'bytes', 'expansion')
            file.seek(0)
            stack.pop_all()
            return file


def _open_tar(file):
    archive = tarfile.TarFile(fileobj=file)
    count = 0
    for count, _ in enumerate(archive, 1):
        if count > get_limits().members:
            raise exceeds(f'more than {count - 1} files in an archive', 'members')
    return archive


def _is_gz(name):
    return name.lower().endswith('.gz')


def _without_gz(name):
    return name[:-3] if _is_gz(name) else name


def _walk(root: Path) -> Iterator[str]:
    """Yield the files below a folder, through links, but not those to a folder around them."""
    for folder, folders, files in os.walk(root, followlinks=True):
        here = os.path.realpath(folder)
        folders[:] = [name for name in folders if not name.startswith('.')
                      and not (here + os.sep).startswith(
                          os.path.realpath(os.path.join(folder, name)) + os.sep)]
        below = Path(folder).relative_to(root)
        for name in files:
            yield (below / name).as_posix()
