"""Reading of untrusted native files, with errors and notes that name them."""
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import AnnotationError, file_error
from mofm.utils.checks import describe
from mofm.utils.file_tree import FileTree
from mofm.utils.limits import LimitError, get_limits
from mofm.utils.untrusted import decode, parse_json, read_npz, to_array, unique


class NativeFiles:
    """Base class of :class:`mofm.sources.Source`: content of files, parsed and checked.

    Attributes:
        path (Path): A folder, an archive, or one native file.
        tree (FileTree): Its files.
        notes (dict[str, tuple[str, int]]): What was taken for granted or passed over: text ->
            first file and number of files.
    """

    path: Path
    tree: FileTree
    notes: dict[str, tuple[str, int]]
    _noted: dict[str, str]  # the last file of each note

    #: Maximum size of a file in bytes, see :attr:`largest`.
    max_size: int = 2**26

    @property
    def largest(self) -> int:
        """Maximum size of a file in bytes, times the limit ``scale`` of ``MOFM_LIMITS``."""
        return self.max_size * get_limits().scale

    def companion(self, filename: str) -> bytes:
        """Read a file that the native ones depend on, inside the path or next to it.

        Args:
            filename (str): Its name without folders, in any case.

        Raises:
            AnnotationError: If there is none.
        """
        inside = [name for name in self.tree.names if name
                  and self.tree.filename(name).lower() == filename.lower()]
        if inside:
            return self.file_content(min(inside, key=lambda name: (
                self.tree.filename(name) != filename, name)))
        folder = self.path.absolute().parent
        for beside in (folder / filename, *sorted(folder.iterdir())):
            name = beside.name.lower().removesuffix('.gz')
            if name == filename.lower() and beside.is_file():
                try:
                    return FileTree(beside).read('', self.largest)
                except Exception as error:
                    raise file_error(beside, 'file', describe(error), 'a readable file') from None
        raise AnnotationError(f'{self.path}: found no {filename}, expected it inside the path or '
                              f'next to it; {type(self).__name__} requires it')

    def error(self, name: str, field: str, found: object, expected: object) -> AnnotationError:
        """Return an error about ``field`` of the native file ``name``."""
        return file_error(self.tree.where(name), field, found, expected)

    def note(self, name: str, text: str):
        """Note what was taken for granted in a file, e.g. a layout; reported once for all files.

        Args:
            name (str): The native file.
            text (str): The same for all files with the same finding.
        """
        first, count = self.notes.get(text, (name, 0))
        if not count or self._noted[text] != name:  # files come one after another
            self.notes[text] = first, count + 1
            self._noted[text] = name

    def json(self, name: str, content: bytes):
        """Parse a JSON file.

        Raises:
            AnnotationError: If the content is no JSON or has a duplicate key.
        """
        try:
            return parse_json(content, unique)
        except Exception as error:  # malformed text: also recursion and encoding errors
            raise self.error(name, 'file', describe(error), 'a readable JSON file') from None

    def text(self, name: str, content: bytes) -> str:
        """Decode a text file in UTF-8, UTF-16 with a byte order mark, or else in Latin-1.

        Every line ends with a line feed then.

        Raises:
            AnnotationError: If the file is no text.
        """
        try:
            text, encoding = decode(content)
        except ValueError as error:
            raise self.error(name, 'file', str(error), 'text in UTF-8') from None
        if encoding != 'utf-8':
            self.note(name, f'text is not UTF-8 and read as {encoding}')
        return text

    def array(self, name: str, field: str, values: object,
              shape: tuple[int | None, ...], missing: bool = False) -> np.ndarray:
        """Convert numbers of a parsed file to an array.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            values (object): Nested lists or an array.
            shape (tuple[int or None]): Expected shape, None for any length, including 0.
            missing (bool): Accept NaN for missing values, with a note; not only NaN.

        Returns:
            np.ndarray: float64, finite or NaN.

        Raises:
            AnnotationError: If the values or their shape are different.
        """
        try:
            array = to_array(values).astype(np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise self.error(name, field, describe(error), f'numbers of shape {shape}') from None
        if array.ndim != len(shape) or any(n not in (None, m)
                                           for n, m in zip(shape, array.shape, strict=True)):
            raise self.error(name, field, f'shape {array.shape}', f'shape {shape}')
        self._check_finite(name, field, array, missing)
        return array

    def _check_finite(self, name, field, array, missing):
        unknown = np.isnan(array)
        if np.isinf(array).any() or (unknown.all() and array.size if missing else unknown.any()):
            raise self.error(name, field, 'NaN or infinite values', 'finite numbers')
        if unknown.any():
            self.note(name, 'NaN is a missing joint')

    def table(self, name: str, content: bytes, columns: int,
              delimiter: str | None = None, missing: bool = False,
              header: int = 0) -> np.ndarray:
        """Parse a text file with one row of numbers per line.

        Args:
            name (str): The native file.
            content (bytes): Its content, see :meth:`text`.
            columns (int): Numbers per row.
            delimiter (str, optional): Between numbers; None for white space.
            missing (bool): Accept NaN.
            header (int): Lines at the top that are passed over.

        Returns:
            np.ndarray: (N, columns) float64, finite; or NaN if ``missing``, see :meth:`array`.

        Raises:
            AnnotationError: If the file is empty or the values or their number are different.
        """
        try:
            if not content.strip():
                raise ValueError('no text')
            rows = np.loadtxt(io.StringIO(self.text(name, content)), delimiter=delimiter,
                              comments=None, ndmin=2, skiprows=header)
        except ValueError as error:
            raise self.error(name, 'rows', str(error)[:200],
                             f'{columns} numbers per row') from None
        if rows.shape[1] != columns:
            raise self.error(name, 'rows', f'{rows.shape[1]} numbers', f'{columns} per row')
        self._check_finite(name, 'rows', rows, missing)
        return rows

    def npz(self, name: str, content: bytes,
            only: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Read the arrays of an ``.npz`` file, or only those of these names.

        Raises:
            AnnotationError: If the file is invalid, contains objects, or unpacks to too much.
        """
        try:
            return read_npz(io.BytesIO(content), only)
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise self.error(name, 'file', describe(error), 'a readable .npz file of numbers'
                             ) from None

    def file_content(self, name: str) -> bytes:
        """Read a native file.

        Args:
            name (str): Path inside the folder or archive; empty if :attr:`path` is the file.

        Raises:
            AnnotationError: If the file cannot be read or is larger than :attr:`largest`.
        """
        try:
            return self.tree.read(name, self.largest)
        except LimitError:
            kind = PurePosixPath(self.tree.filename(name)).suffix
            raise self.error(name, 'file', f'more than {self.largest} bytes',
                             f'a {kind} file of usual size; MOFM_LIMITS=scale=N accepts larger '
                             'ones') from None
        except Exception as error:  # archives raise many kinds for damaged members
            raise self.error(name, 'file', describe(error), 'a readable file') from error
