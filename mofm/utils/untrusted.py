"""Reading of archives, arrays and JSON from outside, within :mod:`mofm.utils.limits`.

Sizes are compared with what the file says before memory is taken, and what the file says with
what it holds.
"""

import io
import json
import math
import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .limits import check_nesting, exceeds, get_limits

#: Others could ask for any memory, e.g. a dictionary of 4 GiB.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Offset of the lengths of name and extra field in the header of a member of a zip file.
_LENGTHS = 26
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0}


def unique(pairs: Sequence[tuple[str, Any]]) -> dict:
    """Build a dict; raise ``ValueError`` at duplicate names."""
    out = dict(pairs)
    if len(out) < len(pairs):
        (name, _), = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f'{name[:80]!r} twice')
    return out


def decode(content: bytes) -> tuple[str, str]:
    """Decode a text in UTF-8 or UTF-16 with a byte order mark, in UTF-8, or else in Latin-1.

    Returns:
        tuple[str, str]: The text, whose lines end with a line feed, and its encoding.

    Raises:
        ValueError: If it is no text.
    """
    marked = content[:2] in (b'\xff\xfe', b'\xfe\xff')  # UTF-16, of Windows
    if b'\0' in content and not marked:
        raise ValueError('bytes that are no text in UTF-8')
    encoding = 'utf-16' if marked else 'utf-8'
    try:
        text = content.decode('utf-16' if marked else 'utf-8-sig')
    except UnicodeDecodeError:
        if marked:
            raise ValueError('damaged text in UTF-16') from None
        text, encoding = content.decode('latin-1'), 'latin-1'
    return text.replace('\r\n', '\n').replace('\r', '\n'), encoding


def parse_json(content: bytes | str, pairs_hook=None) -> Any:
    """Parse JSON.

    Args:
        content (bytes or str): The text.
        pairs_hook (Callable, optional): Builds objects, e.g. :func:`unique`.

    Raises:
        LimitError: If it is too deep.
        Exception: Of other kinds, if it is no JSON.
    """
    data = json.loads(content, object_pairs_hook=pairs_hook)
    check_nesting(data)
    return data


def open_zip(file: str | os.PathLike | BinaryIO) -> zipfile.ZipFile:
    """Open a zip file.

    Raises:
        LimitError: If it has too many members or they unpack to too much.
        Exception: Of other kinds, if it is damaged or members overlap.
    """
    archive = zipfile.ZipFile(file)
    try:
        _check_zip(archive)
    except Exception:
        archive.close()
        raise
    return archive


def _check_zip(archive):
    size, limits, members = archive.fp.seek(0, io.SEEK_END), get_limits(), archive.infolist()
    total = sum(member.file_size for member in members)
    if len(members) > limits.members:
        raise exceeds(f'{len(members)} files in an archive', 'members')
    if total > limits.expanded(size):
        raise exceeds(f'an archive of {size} bytes unpacks to {total} bytes', 'expansion')
    if any(member.compress_type not in _METHODS for member in members):
        raise zipfile.BadZipFile('a member that is compressed by other methods than deflate')
    if sum(member.compress_size for member in members) > size:
        raise zipfile.BadZipFile('members overlap')


def read_npy(file: str | os.PathLike | BinaryIO) -> np.ndarray:
    """Read an ``.npy`` file without objects.

    Raises:
        Exception: Of any kind, if it is damaged or its header asks for more than it has.
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, 'rb') as opened:
            return read_npy(opened)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return _read_array(file, size)


def map_array(path: str | os.PathLike, member: str | None = None) -> np.ndarray:
    """Map an array to memory, so that only what is used of it is read.

    Args:
        path (str): An ``.npy`` file, or an ``.npz`` file.
        member (str, optional): The array of an ``.npz`` file, which is stored, not compressed.

    Returns:
        np.ndarray: Of numbers, read only.

    Raises:
        ValueError: If it is compressed or its header asks for more than the file has.
        Exception: Of other kinds, if the file is damaged or lacks the member.
    """
    with open(path, 'rb') as file:
        start, size = 0, file.seek(0, io.SEEK_END)
        if member is not None:
            with open_zip(file) as archive:
                info = archive.getinfo(f'{member}.npy')
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f'{member}: compressed')
            file.seek(info.header_offset + _LENGTHS)
            lengths = int.from_bytes(file.read(2), 'little') + int.from_bytes(
                file.read(2), 'little')
            start, size = file.tell() + lengths, min(size, file.tell() + lengths + info.file_size)
        file.seek(start)
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f'array of version {version}')
        shape, fortran, dtype = _HEADERS[version](file)
        if dtype.kind not in 'fiu' or min(shape, default=0) < 1 or (
                file.tell() + math.prod(shape) * dtype.itemsize > size):
            raise ValueError(f'{dtype} of shape {shape} in {size - start} bytes')
        return np.memmap(path, dtype, 'r', file.tell(), shape, 'F' if fortran else 'C')


def _read_array(file, size):
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f'array of version {version}')
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject or dtype.kind == 'V':
        raise ValueError('array of objects or structures, which are not read '
                         '(allow_pickle=False)')
    # the second sum is that of an array without elements, which is large as lists
    if not dtype.itemsize or min(shape, default=0) < 0 or (
            file.tell() + math.prod(shape) * dtype.itemsize > size
            or math.prod(length or 1 for length in shape) > get_limits().expanded(size)):
        raise ValueError(f'{dtype} of shape {shape} in {size} bytes')
    file.seek(0)
    array = np.lib.format.read_array(file, allow_pickle=False)
    check_values(array.ravel('K'))
    return array


def check_values(array: np.ndarray):
    """Check that bytes from a file are values of the type, which NumPy takes for granted.

    Args:
        array (np.ndarray): (N,).

    Raises:
        ValueError: If booleans are neither 0 nor 1, or texts have invalid characters.
    """
    if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
        raise ValueError('booleans that are neither 0 nor 1')
    if array.dtype.kind == 'U' and array.size and (
            array.view(np.dtype('u4').newbyteorder(array.dtype.byteorder)) > 0x10ffff).any():
        raise ValueError('texts with invalid characters')


def read_npz(file: str | os.PathLike | BinaryIO,
             names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read an ``.npz`` file without objects.

    Args:
        file (str, PathLike or BinaryIO): The file.
        names (Sequence[str], optional): Read only these of its arrays.

    Raises:
        LimitError: If it has too many arrays or they unpack to too much.
        Exception: Of any kind, if it is damaged.
    """
    arrays = []
    with open_zip(file) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix('.npy')
            if names is not None and name not in names:
                continue
            try:
                with archive.open(member) as opened:
                    arrays.append((name, _read_array(opened, member.file_size)))
            except ValueError as error:
                raise ValueError(f'{name[:80]}: {error}') from error
    return unique(arrays)


def to_array(values: Any, dtype: type | None = None) -> np.ndarray:
    """Convert nested lists of numbers to an array.

    Raises:
        ValueError: If there are texts, whose array would have the longest one as often as there
            are items, or other values; or if lists have unequal lengths.
        OverflowError: If a number is too large.
    """
    if not _are_numbers(values):
        raise ValueError('values that are no numbers')
    try:
        array = np.array(values, dtype)
    except ValueError:
        raise ValueError('lists of unequal lengths') from None
    if array.dtype == object:
        raise OverflowError('an integer of more than 64 bits')
    return array


def _are_numbers(values) -> bool:
    if isinstance(values, (list, tuple)):
        return all(type(v) in (int, float) or _are_numbers(v) for v in values)
    if isinstance(values, (np.ndarray, np.generic)):
        return values.dtype.kind in 'iuf'
    return type(values) in (int, float)


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read the arrays of an ``.npz`` file, or that of an ``.npy`` file by the name ''.

    Raises:
        Exception: See :func:`read_npz` and :func:`read_npy`.
    """
    return {'': read_npy(path)} if Path(path).suffix.lower() == '.npy' else read_npz(path)
