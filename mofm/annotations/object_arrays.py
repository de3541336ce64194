"""Safe reading of dicts that ``np.savez`` and ``np.save`` pickle: arrays () of one object."""

import io
import os
from typing import Any, BinaryIO

import numpy as np

from mofm.utils.limits import check_nesting
from mofm.utils.untrusted import open_zip, read_npz, unique

from .unpickling import (
    CONSTRUCTORS,
    Constructor,
    RefusedPickle,
    RestrictedUnpickler,
    new_array,
    set_array,
)

_NUMBERS = CONSTRUCTORS['numpy', 'dtype']
_MODULES = ('numpy.core.multiarray', 'numpy._core.multiarray')


class _ObjectType:
    """Type of an array of objects."""


def _new_type(code, *rest):
    return _ObjectType() if code in ('O8', 'O4', 'O') else _NUMBERS.build(code, *rest)


def _set_type(dtype, state):
    if type(dtype) is not _ObjectType:
        _NUMBERS.set_state(dtype, state)


class ObjectArrayUnpickler(RestrictedUnpickler):
    """Restricted unpickler that also reads an array () of one object, as :func:`np.save` has it.

    Arrays of objects inside of others are refused: their depth is not checked.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._arrays = 0

    def find_class(self, module, name):
        """Return the constructor of a class or function, see :class:`RestrictedUnpickler`."""
        if (module, name) == ('numpy', 'dtype'):
            return Constructor(_new_type, _set_type)
        if name == '_reconstruct' and module in _MODULES:
            return Constructor(new_array, self._set_array)
        return super().find_class(module, name)

    def _set_array(self, array, state):
        if type(state) is not tuple or len(state) != 5 or type(state[2]) is not _ObjectType:
            set_array(array, state)
            return
        _, shape, _, _, items = state
        self._arrays += 1
        if shape != () or type(items) is not list or len(items) != 1 or self._arrays > 1:
            raise RefusedPickle(f'refused array {self._arrays} of objects, of shape {shape}, '
                                'expected a single array of one object')
        array.__setstate__((1, (), np.dtype(object), False, list(items)))


def read_object_npz(file: str | os.PathLike | BinaryIO) -> dict[str, Any]:
    """Read an ``.npz`` file whose arrays may be an object, which are returned as that object.

    Raises:
        LimitError: If it has too many arrays, they unpack to too much, or an object is refused.
        Exception: Of any kind, if it is damaged.
    """
    items = []
    with open_zip(file) as archive:
        for member in archive.infolist():
            content = archive.read(member)
            name = member.filename.removesuffix('.npy')
            items.append((name, _object(content) if _is_object(content) else None))
    arrays = read_npz(file, [name for name, item in items if item is None])
    return {name: arrays[name] if item is None else item
            for name, item in unique(items).items()}


def kinds_of_arrays(file: str | os.PathLike | BinaryIO) -> tuple[list[str], list[str]]:
    """List the arrays of an ``.npz`` file that are numbers or texts, and those of objects.

    Raises:
        Exception: Of any kind, if it is damaged.
    """
    kinds: tuple[list[str], list[str]] = [], []
    with open_zip(file) as archive:
        for member in archive.infolist():
            with archive.open(member) as opened:
                kinds[_is_object(opened.read(128))].append(member.filename.removesuffix('.npy'))
    return kinds


def _is_object(content) -> bool:
    return content[:6] == b'\x93NUMPY' and b"'descr': '|O'" in content[:128]


def _object(content) -> Any:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file) if version == (1, 0) else (
        None, None, None)
    if shape != () or dtype != np.dtype(object):
        raise ValueError(f'objects of shape {shape}, expected one')
    array = ObjectArrayUnpickler(file).load()
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(object):
        raise ValueError('a pickle of something else than an array of one object')
    check_nesting(array.item(), len(content))
    _refuse_arrays(array.item())
    return array.item()


def _refuse_arrays(value):
    """Refuse an array of objects inside of containers, which may be the one around them."""
    todo, done = [value], set()
    while todo:
        item = todo.pop()
        if isinstance(item, np.ndarray) and item.dtype == np.dtype(object):
            raise RefusedPickle('refused an array of objects inside of another one')
        if isinstance(item, (dict, list, tuple, set, frozenset)) and id(item) not in done:
            done.add(id(item))
            todo += item.values() if isinstance(item, dict) else item
