"""Safe unpickling of NumPy arrays, NumPy scalars and plain containers.

A pickle is a program. Python's unpickler runs it: it calls what the file names, changes whatever
was made before, allocates what a length says and hashes values of any depth, in C and without
limits. The machine here has the instructions that numbers, texts, containers and arrays need, of
protocols 0 to 5, and no others. Only the functions of a table are called, with checked arguments,
and the state of an array is set once. Memory is taken for what the file holds, not for what it
says (:mod:`mofm.utils.limits`).
"""

import codecs
import io
import math
import pickle
import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from mofm.utils.checks import show
from mofm.utils.limits import LimitError, check_nesting, get_limits
from mofm.utils.untrusted import check_values

_HASHED_TUPLES = 2**12  # more could be chosen to have the same hash
_DIMENSIONS = 32
_ITEM = 100  # bytes of an item of a container, roughly


class RefusedPickle(LimitError):
    """Error about a pickle with an object that is not allowed."""


@dataclass(frozen=True, eq=False, slots=True)
class Constructor:
    """Stand-in for a class or function that a pickle names; only the unpickler calls it.

    Attributes:
        build (Callable): Called with the arguments in the file.
        set_state (Callable, optional): Called once with the object and its state in the file.
        is_class (bool): Whether it may be called by ``NEWOBJ``.
    """

    build: Callable
    set_state: Callable[[Any, Any], None] | None = None
    is_class: bool = False


class _DType:
    """Type of numbers or text; other types may have pointers."""

    __slots__ = ('dtype', )

    def __init__(self, code, *_):
        if not isinstance(code, str) or not re.fullmatch(r'[biuf]\d{1,2}|U[1-9]\d{0,5}', code):
            raise RefusedPickle(f'refused the array type {show(code)}: only numbers and text are '
                                'allowed')
        self.dtype = np.dtype(code)

    def set_state(self, state):
        """Set the byte order; fields, subarrays and metadata are refused."""
        if type(state) is not tuple or len(state) != 8 or state[2:5] != (None, None, None) or (
                state[1] not in ('<', '>', '|', '=')):
            raise RefusedPickle(f'refused the state {show(state)} of an array type')
        self.dtype = self.dtype.newbyteorder(state[1])


def _check_array(raw, dtype, shape):
    """Check that an array has the size of its data.

    Raises:
        RefusedPickle: If not, or if the values are of other kinds.
    """
    if not (type(shape) is tuple and len(shape) <= _DIMENSIONS and type(dtype) is _DType
            and all(type(size) is int and size >= 0 for size in shape)
            and math.prod(max(size, 1) for size in shape) < 2**48):
        raise RefusedPickle(f'refused an array of shape {show(shape)} and type {show(dtype)}')
    if type(raw) not in (bytes, bytearray) or (
            math.prod(shape) * dtype.dtype.itemsize != len(raw)):
        raise RefusedPickle(f'array of shape {shape} does not match its data')
    try:
        check_values(np.frombuffer(raw, dtype.dtype) if raw else np.empty(0))
    except ValueError as error:
        raise RefusedPickle(f'refused {error}') from None


def new_array(*_) -> np.ndarray:
    """Create an array whose state is not set."""
    return np.empty(0, np.int8)


def set_array(array: np.ndarray, state: object):
    """Set the state of an array: version, shape, type, order, and data.

    Raises:
        RefusedPickle: If the data are not immutable bytes of the size of the array.
    """
    if type(state) is not tuple or len(state) != 5 or type(state[4]) not in (bytes, str):
        raise RefusedPickle('refused an array without data: expected version, shape, type, order '
                            'and bytes')
    _, shape, dtype, fortran, raw = state
    raw = _data(raw)
    _check_array(raw, dtype, shape)
    array.__setstate__((1, shape, dtype.dtype, bool(fortran), raw))


def _data(raw: object) -> object:
    """Return bytes that Python 2 stored as text, others as they are."""
    return raw.encode('latin1') if type(raw) is str else raw


def _scalar(dtype, raw):
    raw = _data(raw)
    _check_array(raw, dtype, ())
    return np.frombuffer(bytes(raw), dtype.dtype, 1)[0]


def _frombuffer(raw, dtype, shape, order, axis_order=None):
    _check_array(raw, dtype, shape)
    # A bytearray cannot be resized as long as an array refers to it.
    array = np.frombuffer(raw, dtype.dtype)
    if order == 'K' and axis_order is not None:
        return array.reshape(shape).transpose(axis_order)
    return array.reshape(shape, order=order)


def _latin1(text='', encoding='latin1'):
    """Bytes of a text, as bytes are stored by protocols 0 to 2."""
    if type(text) is not str or encoding not in ('latin1', 'latin-1'):
        raise RefusedPickle(f'refused bytes with the encoding {show(encoding)}')
    return text.encode('latin1')


def _bytearray(raw=b'', *encoding):
    return bytearray(raw if type(raw) is bytes and not encoding else _latin1(raw, *encoding))


def _refuse_call(*_):
    raise RefusedPickle('refused a call of numpy.ndarray')


def _ordered_dict(pairs=()):
    if type(pairs) not in (list, tuple) or not all(
            type(pair) in (list, tuple) and len(pair) == 2 and type(pair[0]) is str
            for pair in pairs):
        raise RefusedPickle(f'refused an OrderedDict of {show(pairs)}')
    return OrderedDict(pairs)


def _of_list(kind):
    """Return a constructor of a set from a list."""

    def build(items=()):
        if type(items) not in (list, tuple):
            raise RefusedPickle(f'refused a {kind.__name__} of {show(items)}')
        _check_hashed(items)
        return kind(items)

    return build


_ARRAY = Constructor(new_array, set_array)
#: Constructors by module and name.
CONSTRUCTORS = {
    ('numpy', 'dtype'): Constructor(_DType, _DType.set_state),
    ('numpy', 'ndarray'): Constructor(_refuse_call),
    ('_codecs', 'encode'): Constructor(_latin1),
    ('collections', 'OrderedDict'): Constructor(_ordered_dict),
    **{(f'numpy.{core}.{module}', name): constructor for core in ('core', '_core')
       for module, name, constructor in (('multiarray', '_reconstruct', _ARRAY),
                                         ('multiarray', 'scalar', Constructor(_scalar)),
                                         ('numeric', '_frombuffer', Constructor(_frombuffer)))},
    **{(builtins, name): Constructor(build) for builtins in ('builtins', '__builtin__')
       for name, build in (('set', _of_list(set)), ('frozenset', _of_list(frozenset)),
                           ('bytearray', _bytearray), ('bytes', _latin1))},
}

_PLAIN = {str, bytes, bool, float, type(None)}
_SIZED = (bytes, str, bytearray)


def _is_plain(item) -> bool:
    """Return whether the hash of a value is quickly computed and rarely that of others."""
    if type(item) is int:
        return -2**60 < item < 2**60  # larger ones may have the same hash
    return type(item) in _PLAIN or (
        isinstance(item, np.generic) and (item.itemsize <= 8 or isinstance(item, str)))


def _check_hashed(items: Collection):
    """Check the items of a set or the keys of a dict.

    Raises:
        RefusedPickle: If one is no number, text, bytes or flat tuple of these.
    """
    if _PLAIN.issuperset(map(type, items)):
        return
    for item in items:
        if not all(map(_is_plain, item)) if type(item) is tuple else not _is_plain(item):
            raise RefusedPickle(f'refused {show(item)} as key or item of a set: only numbers, '
                                'text and flat tuples of these are allowed')


class RestrictedUnpickler:
    """Unpickler of NumPy arrays, NumPy scalars and plain containers.

    Texts of Python 2, which may be the data of arrays, are decoded as Latin-1.

    Args:
        file (BinaryIO): File that can be searched.
    """

    def __init__(self, file: BinaryIO):
        start = file.tell()
        self._size = file.seek(0, io.SEEK_END) - start
        file.seek(start)
        self._file, self._read = file, file.read
        self._budget = get_limits().expanded(self._size)
        self._stack: list = []
        self._marks: list[int] = []
        self._memo: list = []
        # objects whose state may be set, by id
        self._unset: dict[int, tuple[object, Callable]] = {}
        self._tuples = 0

    def find_class(self, module: str, name: str) -> Constructor:
        """Return the constructor of a class or function.

        Raises:
            RefusedPickle: If it is not allowed.
        """
        if (module, name) not in CONSTRUCTORS:
            raise RefusedPickle(
                f'refused the class {module[:100]}.{name[:100]}: a pickle can run any code, so '
                'only NumPy arrays and plain containers are read. Do not open the file with '
                'pickle.load unless you trust its origin')
        return CONSTRUCTORS[module, name]

    def persistent_load(self, key: object) -> object:
        """Return an object outside of the pickle.

        Raises:
            RefusedPickle: Always; for the unpicklers of formats that have such objects.
        """
        raise RefusedPickle(f'refused the object {show(key)} outside of the pickle')

    def load(self) -> Any:
        """Read the object.

        Raises:
            RefusedPickle: If the file has something that is not allowed, or asks for more than
                :mod:`mofm.utils.limits` allows.
            Exception: Of other kinds, if the file is damaged.
        """
        read, stack, memo, number = self._read, self._stack, self._memo, _U4.unpack
        memoize, get, values, changes = pickle.MEMOIZE, pickle.LONG_BINGET, _VALUES, _CHANGES
        while (code := read(1)) != pickle.STOP:
            if code == memoize:  # with the next one most of a large file
                memo.append(stack[-1])
            elif code == get:
                stack.append(memo[number(read(4))[0]])
            elif code in values:
                stack.append(values[code](self))
            elif code in changes:
                changes[code](self)
            elif code in _REFUSED:
                raise RefusedPickle(f'refused {_REFUSED[code]}, which plain data does not need')
            else:
                raise pickle.UnpicklingError(f'no instruction {code!r}' if code else
                                             'the end of the file inside of the pickle')
        value, = stack
        if any(isinstance(item, np.ndarray) for item, _ in self._unset.values()):
            raise RefusedPickle('array without its data')
        check_nesting(value, self._size)
        return value

    def _charge(self, size: int):
        """Count memory that is taken beyond the size of the file."""
        self._budget -= size
        if self._budget < 0:
            raise RefusedPickle(f'a file of {self._size} bytes becomes larger than MOFM_LIMITS '
                                'allows (expansion, small)')

    def _protocol(self, number: int):
        if number > 5:
            raise ValueError(f'pickle protocol {number}, expected at most 5')

    def _check_size(self, size: int):
        if not 0 <= size <= self._size:
            raise EOFError(f'{size} bytes in a file of {self._size}')

    def _bytes(self, size: int) -> bytes:
        """Read bytes; a length may be larger than the file."""
        self._check_size(size)
        data = self._read(size)
        if len(data) < size:
            raise EOFError('the end of the file inside of the pickle')
        return data

    def _sized(self, code: struct.Struct) -> bytes:
        """Read a length and bytes."""
        return self._bytes(self._number(code))

    def _number(self, code: struct.Struct) -> int | float:
        return code.unpack(self._read(code.size))[0]

    def _line(self) -> bytes:
        """Read a line of protocol 0."""
        line = self._file.readline(self._size)
        if line[-1:] != b'\n':
            raise EOFError('the end of the file inside of a line')
        return line[:-1]

    def _text(self, data: bytes) -> str:
        return data.decode('utf-8', 'surrogatepass')

    def _old_text(self, data: bytes) -> str:
        """Decode a text of Python 2."""
        return data.decode('latin1')

    def _quoted(self) -> str:
        """Read a text of Python 2 in quotes."""
        line = self._line()
        if len(line) < 2 or line[:1] not in (b'"', b"'") or line[-1:] != line[:1]:
            raise ValueError('a text without quotes')
        return self._old_text(codecs.escape_decode(line[1:-1])[0])

    def _decimal(self) -> int:
        """Read an integer of protocol 0; Python refuses thousands of digits."""
        return int(self._line().removesuffix(b'L') or 0)

    def _long(self, code: struct.Struct) -> int:
        return int.from_bytes(self._sized(code), 'little', signed=True)

    def _since_mark(self) -> list:
        """Remove the items above the last mark."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _put(self, index: int):
        """Store the last item; an index cannot be larger than the file."""
        memo = self._memo
        if not 0 <= index <= self._size:
            raise RefusedPickle(f'refused the memo index {index} in a file of {self._size} bytes')
        if index >= len(memo):
            memo += [None] * (index + 1 - len(memo))
        memo[index] = self._stack[-1]

    def _update(self, items: list, target: object):
        """Add keys and values to a dict."""
        if type(target) not in (dict, OrderedDict):
            raise RefusedPickle(f'refused to set items of {show(target)}')
        keys = items[::2]
        self._check_hashed(keys)
        target.update(zip(keys, items[1::2], strict=True))

    def _check_hashed(self, items: list):
        self._count_tuples(items)
        _check_hashed(items)

    def _count_tuples(self, items: list):
        if tuple in map(type, items):
            self._tuples += sum(type(item) is tuple for item in items)
            if self._tuples > _HASHED_TUPLES:
                raise RefusedPickle(f'refused more than {_HASHED_TUPLES} tuples as keys')

    def _extend(self, items: list, target: object):
        if type(target) is not list:
            raise RefusedPickle(f'refused to append to {show(target)}')
        target += items

    def _add(self, items: list, target: object):
        if type(target) is not set:
            raise RefusedPickle(f'refused to add items to {show(target)}')
        self._check_hashed(items)
        target.update(items)

    def _global(self, module: object, name: object) -> Constructor:
        if type(module) is not str or type(name) is not str:
            raise RefusedPickle(f'refused the class {show(module)}.{show(name)}')
        return self.find_class(module, name)

    def _call(self, is_new: bool = False):
        """Build an object: ``REDUCE`` or ``NEWOBJ``."""
        args, constructor = self._stack.pop(), self._stack.pop()
        if type(constructor) is not Constructor or type(args) is not tuple or (
                is_new and not constructor.is_class):
            raise RefusedPickle(f'refused a call of {show(constructor)}')
        for arg in args:
            if type(arg) in _SIZED:
                self._charge(len(arg))
            elif type(arg) in (list, tuple):
                self._charge(_ITEM * len(arg))
                self._count_tuples(arg)
        value = constructor.build(*args)
        if constructor.set_state is not None:
            self._unset[id(value)] = value, constructor.set_state
        return value

    def _build(self):
        """Set the state of an object, once."""
        state = self._stack.pop()
        target = self._stack[-1]
        _, set_state = self._unset.pop(id(target), (None, None))
        if set_state is None:
            raise RefusedPickle(f'refused to set the state of {show(target)}')
        if type(state) is tuple and state and type(state[-1]) in _SIZED:
            self._charge(len(state[-1]))
        set_state(target, state)


_U1, _U2, _U4, _U8, _I4, _F8 = map(struct.Struct, ('<B', '<H', '<I', '<Q', '<i', '>d'))
_FLAGS = {b'00': False, b'01': True}


def _int(self):
    """Read an integer or a boolean of protocol 0."""
    line = self._line()
    return _FLAGS[line] if line in _FLAGS else int(line)


def _set(self):
    self._charge(2 * _ITEM)
    return set()


def _frozenset(self):
    self._charge(2 * _ITEM)
    items = self._since_mark()
    self._check_hashed(items)
    return frozenset(items)


def _dict(self):
    target: dict = {}
    self._update(self._since_mark(), target)
    return target


def _tuple_of(count):

    def build(self):
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise IndexError('too few items for a tuple')
        del self._stack[-count:]
        return items

    return build


#: Instructions that push a value.
_VALUES = {
    pickle.NONE: lambda self: None,
    pickle.NEWTRUE: lambda self: True,
    pickle.NEWFALSE: lambda self: False,
    pickle.INT: _int,
    pickle.LONG: lambda self: self._decimal(),
    pickle.BININT: lambda self: self._number(_I4),
    pickle.BININT1: lambda self: self._read(1)[0],
    pickle.BININT2: lambda self: self._number(_U2),
    pickle.LONG1: lambda self: self._long(_U1),
    pickle.LONG4: lambda self: self._long(_I4),
    pickle.FLOAT: lambda self: float(self._line()),
    pickle.BINFLOAT: lambda self: self._number(_F8),
    pickle.STRING: lambda self: self._quoted(),
    pickle.BINSTRING: lambda self: self._old_text(self._sized(_U4)),
    pickle.SHORT_BINSTRING: lambda self: self._old_text(self._sized(_U1)),
    pickle.UNICODE: lambda self: str(self._line(), 'raw-unicode-escape'),
    pickle.SHORT_BINUNICODE: lambda self: self._text(self._sized(_U1)),
    pickle.BINUNICODE: lambda self: self._text(self._sized(_U4)),
    pickle.BINUNICODE8: lambda self: self._text(self._sized(_U8)),
    pickle.SHORT_BINBYTES: lambda self: self._sized(_U1),
    pickle.BINBYTES: lambda self: self._sized(_U4),
    pickle.BINBYTES8: lambda self: self._sized(_U8),
    pickle.BYTEARRAY8: lambda self: bytearray(self._sized(_U8)),
    pickle.EMPTY_TUPLE: lambda self: (),
    pickle.EMPTY_LIST: lambda self: [],
    pickle.EMPTY_DICT: lambda self: {},
    pickle.EMPTY_SET: _set,
    pickle.TUPLE1: _tuple_of(1),
    pickle.TUPLE2: _tuple_of(2),
    pickle.TUPLE3: _tuple_of(3),
    pickle.TUPLE: lambda self: tuple(self._since_mark()),
    pickle.LIST: lambda self: self._since_mark(),
    pickle.DICT: _dict,
    pickle.FROZENSET: _frozenset,
    pickle.DUP: lambda self: self._stack[-1],
    pickle.GET: lambda self: self._memo[int(self._line())],
    pickle.BINGET: lambda self: self._memo[self._read(1)[0]],
    pickle.GLOBAL: lambda self: self._global(self._text(self._line()), self._text(self._line())),
    pickle.STACK_GLOBAL: lambda self: self._global(self._stack.pop(-2), self._stack.pop()),
    pickle.REDUCE: lambda self: self._call(),
    pickle.BINPERSID: lambda self: self.persistent_load(self._stack.pop()),
    pickle.NEWOBJ: lambda self: self._call(is_new=True),
}
#: Instructions that change the stack, its last items or the memo.
_CHANGES = {
    pickle.PROTO: lambda self: self._protocol(self._read(1)[0]),
    pickle.FRAME: lambda self: self._check_size(self._number(_U8)),
    pickle.MARK: lambda self: self._marks.append(len(self._stack)),
    pickle.POP: lambda self: self._stack.pop(),
    pickle.POP_MARK: lambda self: self._since_mark(),
    pickle.PUT: lambda self: self._put(int(self._line())),
    pickle.BINPUT: lambda self: self._put(self._read(1)[0]),
    pickle.LONG_BINPUT: lambda self: self._put(self._number(_U4)),
    pickle.APPEND: lambda self: self._extend([self._stack.pop()], self._stack[-1]),
    pickle.APPENDS: lambda self: self._extend(self._since_mark(), self._stack[-1]),
    pickle.SETITEM: lambda self: self._update([self._stack.pop(-2), self._stack.pop()],
                                              self._stack[-1]),
    pickle.SETITEMS: lambda self: self._update(self._since_mark(), self._stack[-1]),
    pickle.ADDITEMS: lambda self: self._add(self._since_mark(), self._stack[-1]),
    pickle.BUILD: lambda self: self._build(),
}
_REFUSED = {getattr(pickle, name): name for name in (
    'OBJ', 'INST', 'NEWOBJ_EX', 'PERSID', 'EXT1', 'EXT2', 'EXT4', 'NEXT_BUFFER',
    'READONLY_BUFFER')}
