"""Reading of HDF5 files from outside, within :mod:`mofm.utils.limits`; needs h5py.

A file can name other files as its data, pack a lot into a little, and hold pickles. Data of other
files, filters that are loaded at run time, types other than numbers and texts, and anything larger
than the limits are refused before memory is taken.
"""

import io
import math
from typing import Any

import numpy as np

from .limits import exceeds, get_limits

_FILTERS = (1, 2, 3, 32000)  # deflate, shuffle, checksum, lzf: those that h5py brings
_TEXTS = 2**14  # read one by one


def require_h5py() -> Any:
    """Import h5py.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"HDF5 files need h5py ({error}): pip install 'mofm[sources]'"
                          ) from error
    return h5py


class HDF5File:
    """Arrays, texts and attributes of an HDF5 file in memory, a context manager.

    Args:
        content (bytes): The file.

    Raises:
        ImportError: If h5py is not installed.
        Exception: Of any kind, if it is damaged.
    """

    def __init__(self, content: bytes):
        self._h5py = h5py = require_h5py()
        self._budget = get_limits().expanded(len(content))
        self._size = len(content)
        self._file = h5py.File(io.BytesIO(content), 'r')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def find(self, path: str) -> Any:
        """Return a dataset or group by its path, None if there is none.

        Raises:
            ValueError: If a part of the path is a link, maybe to another file.
        """
        node = self._file
        for part in filter(None, path.split('/')):
            if not isinstance(node, self._h5py.Group) or part not in node:
                return None
            if not isinstance(node.get(part, getlink=True), self._h5py.HardLink):
                raise ValueError(f'{path} is a link')
            node = node[part]
        return node

    def groups(self) -> list[str]:
        """List the names at the top."""
        return list(self._file)

    def array(self, path: str) -> np.ndarray:
        """Read an array of numbers, of texts of fixed length, or of records of them.

        Raises:
            LimitError: If it is larger than the limits allow.
            Exception: Of other kinds, if there is none or it is of another type.
        """
        data = self._dataset(path)
        self._charge(data.dtype.itemsize, data.shape)
        kinds = {_kind(data.dtype[field]) for field in data.dtype.names} if data.dtype.names else {
            _kind(data.dtype)}
        if not kinds <= set('biufS'):
            raise ValueError(f'{path} has the type {data.dtype}')
        return data[()]

    def texts(self, path: str) -> list[str]:
        """Read a list of texts.

        Raises:
            LimitError: If they are larger than the limits allow.
            Exception: Of other kinds, if there are none.
        """
        data = self._dataset(path)
        info = self._h5py.check_string_dtype(data.dtype)
        if info is None or data.ndim != 1 or len(data) > _TEXTS:
            raise ValueError(f'{path} has the type {data.dtype} and shape {data.shape}')
        self._charge(data.dtype.itemsize, data.shape)
        out = []
        for i in range(len(data)):  # those of variable length may be the same, and long
            text = data[i]
            self._charge(len(text), ())
            out.append(text.decode() if isinstance(text, bytes) else text)
        return out

    def attribute(self, path: str, name: str) -> Any:
        """Read a text or a number beside a dataset or group, None if there is none.

        Raises:
            ValueError: If it is of another type.
        """
        node = self.find(path)
        if node is None or name not in node.attrs:
            return None
        kept = node.attrs.get_id(name)
        if kept.shape != () or self._h5py.check_string_dtype(kept.dtype) is None and (
                _kind(kept.dtype) not in 'biufS'):
            raise ValueError(f'{path}: {name} has the type {kept.dtype} and shape {kept.shape}')
        value = node.attrs[name]
        return value.item() if isinstance(value, np.generic) else value

    def _dataset(self, path):
        data = self.find(path)
        if not isinstance(data, self._h5py.Dataset):
            raise KeyError(f'no array {path}')
        plist = data.id.get_create_plist()
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        if data.is_virtual or data.external or not set(filters) <= set(_FILTERS):
            raise ValueError(f'{path} is stored in other files or by the filters {filters}')
        self._charge(data.dtype.itemsize, data.chunks or (), keep=True)
        return data

    def _charge(self, itemsize, shape, keep=False):
        """Count the bytes of an array."""
        size = itemsize * math.prod(shape)
        if size > self._budget:
            raise exceeds(f'a file of {self._size} bytes becomes {size} bytes', 'expansion')
        self._budget -= 0 if keep else size


def _kind(dtype) -> str:
    return dtype.base.kind
