"""Base classes of the readers of outside formats."""
import glob
import io
import json
import re
import zipfile
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from mofm.annotations import AnnotationError, Problem, file_error, validate
from mofm.structures import LAYOUTS

Item = tuple[dict, tuple[str, ...]]


class Source:
    """Native files, read one at a time, as annotations of the one schema in COCO-17 order.

    Iterating yields ``(annotation, splits)``: the annotation and the names of the splits it is
    in. A reader sets the class attributes and writes :meth:`read`. A file that cannot be used is
    left out and its reason kept in :attr:`problems`.

    Args:
        path (str or Path): A folder, a zip file, or one native file.
        strict (bool): Raise at the first bad file instead.
        lists (Mapping[str, str or Path] or Sequence[tuple], optional): For readers whose files
            have no label: text files with lines ``NAME LABEL`` by split, as mmaction2 lists
            videos. Recordings in no list are left out. Without, all have label 0 and no split.

    Raises:
        AnnotationError: If the path holds no such files, or a list is wrong.
    """

    #: The native files begin and end with these; others, e.g. lists of labels, are left alone.
    prefix: str = ''
    suffix: str = ''
    #: Larger files are refused, in bytes.
    max_size: int = 2**26
    #: Names of the labels 0, 1, ...; empty if the files have none.
    classes: tuple[str, ...] = ()
    #: Layout and coordinates of the joints in the annotations.
    out_layout: str = 'coco17'
    dims: int = 2

    def __init__(self, path: str | Path, strict: bool = False,
                 lists: Mapping[str, str | Path] | Sequence | None = None):
        self.path = Path(path)
        self.strict = strict
        self.problems: list[AnnotationError] = []
        self.lists = lists and _read_lists(lists)
        self.files = self.find()
        if not self.files:
            kind = f'{self.prefix}*{self.suffix}' if self.prefix else self.suffix
            raise AnnotationError(f'{self.path}: found no {kind} file, expected those of '
                                  f'{type(self).__name__}')

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """Add the keyword arguments that users of ``tools/data/prepare.py`` set."""
        parser.add_argument('--strict', action='store_true', help='stop at the first bad file')
        if not cls.classes:
            parser.add_argument('--list', nargs=2, action='append', dest='lists',
                                metavar=('SPLIT', 'FILE'),
                                help='text file with lines NAME LABEL; once for every split')

    @classmethod
    def from_options(cls, path: str | Path, **options) -> 'Source':
        """Make the reader from the parsed options of :meth:`add_options`.

        Raises:
            AnnotationError: As the class.
            ValueError: If an option is out of range.
        """
        return cls(path, **options)

    def find(self) -> list[str]:
        """Paths of the native files inside the folder or zip file, sorted.

        Raises:
            AnnotationError: If the path is neither.
        """
        try:
            if self.path.is_dir():
                files = [f.relative_to(self.path) for f in self.path.rglob('*' + self.suffix)]
            elif zipfile.is_zipfile(self.path) and self.path.suffix != self.suffix:
                with zipfile.ZipFile(self.path) as archive:
                    files = [PurePosixPath(f) for f in archive.namelist()]
            elif self.path.is_file() and self.path.suffix == self.suffix:
                return ['']
            else:
                raise OSError('no such file' if not self.path.exists() else
                              f'found suffix {self.path.suffix!r}, not {self.suffix!r}')
        except Exception as error:  # zipfile raises many kinds for damaged directories
            raise AnnotationError(f'{self.path}: is neither a folder nor a readable zip file '
                                  f'({error})') from None
        # A zip file may have the same name twice; the later one counts.
        return sorted({f.as_posix() for f in files
                       if f.suffix == self.suffix and f.name.startswith(self.prefix)
                       and not f.name.startswith('.') and '__MACOSX' not in f.parts})

    def read(self, name: str, content: bytes) -> Item:
        """Turn one native file into an annotation.

        Args:
            name (str): Path inside the folder or zip file; empty if :attr:`path` is the file.
            content (bytes): What the file holds.

        Returns:
            tuple[dict, tuple[str]]: The annotation and its splits.

        Raises:
            AnnotationError: If the file is not as expected.
        """
        raise NotImplementedError

    def annotations(self, name: str, content: bytes) -> Iterable[Item]:
        """All annotations of one native file: that of :meth:`read`, unless overridden."""
        return [self.read(name, content)]

    def stem(self, name: str) -> str:
        """Path of a native file without its suffix: what a recording without a name is called."""
        path = PurePosixPath(name or self.path.name)
        return path.with_suffix('').as_posix()

    def listed(self, name: str) -> tuple[int, tuple[str, ...]] | None:
        """Label and splits of a recording of a reader without classes.

        Args:
            name (str): What a line of the lists calls it; folders and suffix may be left out.

        Returns:
            tuple[int, tuple[str]] or None: None if there are lists and it is in none.
        """
        if self.lists is None:
            return 0, ()
        path = PurePosixPath(name)
        for key in (name, (path.parent / path.stem).as_posix(), path.name, path.stem):
            if key in self.lists:
                label, splits = self.lists[key]
                return label, tuple(splits)
        return None

    def companion(self, filename: str) -> bytes:
        """Content of a file that the native ones need, inside the path or next to it.

        Args:
            filename (str): Its name without folders.

        Raises:
            AnnotationError: If there is none.
        """
        files = [self.path.absolute().parent / filename]
        if self.path.is_dir():
            files = [*sorted(self.path.absolute().rglob(glob.escape(filename))), *files]
        elif self.files != ['']:
            with zipfile.ZipFile(self.path) as archive:
                for name in archive.namelist():
                    if PurePosixPath(name).name == filename:
                        return self.file_content(name, archive)
        for file in files:
            if file.is_file():
                return self.file_content(str(file), None)
        raise AnnotationError(f'{self.path}: found no {filename}, expected it inside or beside; '
                              f'{type(self).__name__} cannot be read without it')

    def error(self, name: str, field: str, found: object, expected: object) -> AnnotationError:
        """The error to raise about ``field`` of the native file ``name``."""
        where = f'{self.path}:{name}' if name else str(self.path)
        return file_error(where, field, found, expected)

    def check_path(self, name: str, field: str, path: str):
        """Refuse a name that is no path inside of a folder, or cannot be written.

        Raises:
            AnnotationError: If it is neither.
        """
        if not is_inside(path):
            raise self.error(name, field, repr(path), 'a path inside the folder')

    def json(self, name: str, content: bytes):
        """Parse a JSON file.

        Raises:
            AnnotationError: If it is none.
        """
        try:
            return json.loads(content, object_pairs_hook=unique)
        except Exception as error:  # damaged or hostile text: also recursion and encoding errors
            raise self.error(name, 'file', f'{type(error).__name__}: {error}',
                             'a readable JSON file') from None

    def array(self, name: str, field: str, values: object,
              shape: tuple[int | None, ...]) -> np.ndarray:
        """Numbers of a parsed file as an array.

        Args:
            name (str): The native file.
            field (str): Named in the error.
            values (object): Nested lists or an array.
            shape (tuple[int or None]): Expected shape, None for any length, 0 included.

        Returns:
            np.ndarray: float64, finite.

        Raises:
            AnnotationError: If it is anything else.
        """
        try:
            array = np.array(values)
            if array.dtype.kind not in 'iuf' and array.size or holds_bool(values):
                raise ValueError(f'{array.dtype}, values that are no numbers')
            array = array.astype(np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise self.error(name, field, error, f'numbers of shape {shape}') from None
        if array.ndim != len(shape) or any(n not in (None, m)
                                           for n, m in zip(shape, array.shape, strict=True)):
            raise self.error(name, field, f'shape {array.shape}', f'shape {shape}')
        if not np.isfinite(array).all():
            raise self.error(name, field, 'NaN or infinite values', 'finite numbers')
        return array

    def npz(self, name: str, content: bytes) -> dict[str, np.ndarray]:
        """Arrays of an ``.npz`` file.

        Raises:
            AnnotationError: If it is none, holds objects, or unpacks to more than
                :attr:`max_size` bytes.
        """
        try:
            arrays = []
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                size = sum(info.file_size for info in archive.infolist())
                if size > self.max_size:
                    raise ValueError(f'unpacks to {size} bytes')
                for info in archive.infolist():
                    with archive.open(info) as f:  # unpacks more if it is not told how much
                        member = io.BytesIO(f.read(info.file_size))
                    array = np.lib.format.read_array(member, allow_pickle=False)
                    if array.size > self.max_size:  # values of no bytes
                        raise ValueError(f'{array.dtype} of shape {array.shape}')
                    arrays.append((info.filename.removesuffix('.npy'), array))
            return unique(arrays)
        except Exception as error:  # damaged bytes make the parsers raise nearly anything
            raise self.error(name, 'file', f'{type(error).__name__}: {error}',
                             f'a readable .npz file of numbers, at most {self.max_size} bytes'
                             ) from None

    def check(self, ann: dict, file: str, index: int | None = None) -> Problem | None:
        """Check an annotation of this reader, see :func:`validate`."""
        return validate(ann, LAYOUTS[self.out_layout].num_joints, len(self.classes) or None, True,
                        file, index, self.dims)

    def file_content(self, name: str, archive) -> bytes:
        """Content of a native file.

        Args:
            name (str): Path inside the folder or zip file; empty if :attr:`path` is the file.
            archive (ZipFile, optional): The open zip file; None for a file of its own.

        Raises:
            AnnotationError: If it cannot be read, or is larger than :attr:`max_size`.
        """
        file = self.path / name if name else self.path
        try:
            size = archive.getinfo(name).file_size if archive else file.stat().st_size
            with (archive.open(name) if archive else open(file, 'rb')) as f:
                content = f.read(min(size, self.max_size) + 1)  # reserves as much
        except Exception as error:  # zipfile raises many kinds for damaged members
            raise self.error(name, 'file', f'{type(error).__name__}: {error}',
                             'a readable file') from error
        if max(size, len(content)) > self.max_size:
            raise self.error(name, 'file', f'more than {self.max_size} bytes',
                             f'a {self.suffix} file of usual size')
        return content

    def load(self, name: str, archive) -> bytes:
        """Load the content of the native file ``name`` for :meth:`annotations`."""
        return self.file_content(name, archive)

    def convert(self, names: Sequence[str]) -> Iterator[Item]:
        """Annotations of some of :attr:`files`; :attr:`problems` then tells what was left out.

        Raises:
            AnnotationError: At the first bad file, if ``strict``.
        """
        self.problems.clear()
        packed = self.path.is_file() and self.files != ['']
        archive = zipfile.ZipFile(self.path) if packed else None
        try:
            for name in names:
                try:
                    self.check_path(name, 'file', name)
                    items = list(self.annotations(name, self.load(name, archive)))
                    for ann, _ in items:
                        self.check_path(name, 'frame_dir', ann['frame_dir'])
                        problem = self.check(ann, f'{self.path}:{name}')
                        if problem is not None:
                            raise AnnotationError(problem)
                except AnnotationError as error:
                    if self.strict:
                        raise
                    self.problems.append(error)
                else:
                    yield from items
        finally:
            if archive:
                archive.close()

    def __iter__(self) -> Iterator[Item]:
        return self.convert(self.files)

    def __len__(self) -> int:
        """Number of annotations if no file is bad and each has one."""
        return len(self.files)


class FolderSource(Source):
    """Recordings that are folders with a native file per frame.

    :attr:`files` are the folders, and :meth:`annotations` gets an iterator over the names
    (without folders) and contents of the files of one, sorted by name, each read when its turn
    comes.
    """

    def find(self) -> list[str]:
        """Folders with native files."""
        self.members: dict[str, list[str]] = {}
        for file in super().find():
            self.members.setdefault(self.folder(file) if file else '', []).append(file)
        return sorted(self.members)

    def folder(self, file: str) -> str:
        """Recording that a native file belongs to: the folder it is in."""
        return PurePosixPath(file).parent.as_posix()

    def stem(self, name: str) -> str:
        """Name of the recording: its folder, or the path if that is one recording."""
        return self.path.absolute().stem if name in ('', '.') else name

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterable[Item]:
        """All annotations of one folder."""
        raise NotImplementedError

    def load(self, name: str, archive) -> Iterator[tuple[str, bytes]]:
        """Names and contents of the files of the folder ``name``."""
        for file in self.members[name]:
            yield PurePosixPath(file).name, self.file_content(file, archive)


def is_inside(name: str) -> bool:
    """Whether a name, as a path on any system, stays in the folder that it is put into."""
    path = PureWindowsPath(name)  # knows the separators of both worlds
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not path.anchor and '..' not in path.parts


def unique(pairs: Sequence[tuple[str, Any]]) -> dict:
    """A dict, unless a name comes twice."""
    out = dict(pairs)
    if len(out) < len(pairs):
        (name, _), = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f'{name[:80]!r} twice')
    return out


def holds_bool(values) -> bool:
    """NumPy takes true and false among numbers for 1 and 0."""
    return isinstance(values, (list, tuple)) and any(
        type(v) is bool or holds_bool(v) for v in values)


def _read_lists(lists) -> dict[str, tuple[int, list[str]]]:
    """Label and splits by name, from text files with lines ``NAME LABEL``."""
    out = {}
    for split, path in dict(lists).items():
        try:
            lines = Path(path).read_text(encoding='utf-8').splitlines()
        except (OSError, ValueError) as error:
            raise AnnotationError(f'{path}: the list of split {split!r} cannot be read '
                                  f'({error})') from None
        for number, line in enumerate(lines, 1):
            match = re.fullmatch(r'(\S.*?)[ ,\t]+(\d{1,6})', line.strip())
            if match is None:
                if line.strip():
                    raise AnnotationError(f'{path}: line {number}: found {line[:80]!r}, expected '
                                          'NAME LABEL')
                continue
            name = re.sub(r'\.(avi|json|mkv|mov|mp4|webm)$', '', match[1])
            label, splits = out.setdefault(name, (int(match[2]), []))
            if label != int(match[2]):
                raise AnnotationError(f'{path}: line {number}: found label {match[2]} for '
                                      f'{match[1]!r}, which has {label} in another line')
            if split not in splits:
                splits.append(split)
    return out
