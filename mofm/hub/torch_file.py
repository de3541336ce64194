"""Reader of the files of ``torch.save`` that only builds tensors, arrays and plain containers.

A file of ``torch.save`` is a program of a stack machine (pickle) besides the bytes of its tensors.
``torch.load(weights_only=True)`` restricts what the program may call, but trusts the arguments: a
file can ask for any amount of memory, or for tensors beyond their data. Here the program runs on a
machine that calls nothing of the file's choice: each class or function it names is an entry of a
table of builders, which check their arguments. The checksums of a zip archive, which PyTorch does
not verify, are compared while the tensors are read.
"""

import io
import logging
import math
import pickletools
import re
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch import Tensor

from mofm.utils.checks import show
from mofm.utils.limits import get_limits

_ZIP = b'PK\x03\x04'
_LEGACY = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'  # pickle of the magic number
_LEGACY_VERSION = 1001
_STORAGES = dict(Double=torch.float64, Float=torch.float32, Half=torch.float16,
                 BFloat16=torch.bfloat16, Long=torch.int64, Int=torch.int32, Short=torch.int16,
                 Char=torch.int8, Byte=torch.uint8, Bool=torch.bool,
                 ComplexFloat=torch.complex64, ComplexDouble=torch.complex128)
_ATOMS = (str, bytes, int, float, bool, type(None))  # keys, whose hashes cannot be made to collide
_MAX_BITS = 128  # of an integer
_MAX_DIMS = 32
_ZIP_END = 98  # bytes after the list of records, at most
_CHUNK = 2**18  # bytes that are still in the cache when their checksum is computed

LoadStorage = Callable[[str, torch.dtype, int], Tensor]


class _Name(NamedTuple):
    """Class or function that a file names; nothing is imported."""

    name: str


class _Storage(NamedTuple):
    """Values of one tensor or several."""

    values: Tensor


class _Ignored:
    """Stand-in of an object of an unknown class."""


_LEAVES = (*_ATOMS, torch.dtype, torch.device, _Ignored)


class _Pending:
    """Object that is complete after its state has been set, once."""

    def __init__(self, build: Callable, value: Any = None):
        self.build = build
        self.value = value
        self.done = False

    def set(self, state: Any):
        _require(not self.done, 'a second state of an object')
        self.value = self.build(self.value, state)
        self.done = True


def _require(condition: bool, what: str, *values: Any):
    """Raise a ValueError with a text and the values for its braces if the condition is false."""
    if not condition:
        raise ValueError(f'refused {what.format(*map(show, values))}')


def _reason(error: Exception) -> str:
    """Return the text of an error in one short line."""
    kind = '' if type(error) is ValueError else f'{type(error).__name__}: '
    return kind + (str(error).splitlines() or [''])[0][:300]


def _is_size(value: Any) -> bool:
    """Return whether a value is a shape of less than 2**48 elements, not counting zeros."""
    return (isinstance(value, tuple) and len(value) <= _MAX_DIMS
            and all(type(n) is int and n >= 0 for n in value)
            and math.prod(max(n, 1) for n in value) < 2**48)


def _key(value: Any) -> Any:
    _require(type(value) in _ATOMS and (type(value) is not int or value.bit_length() < 61),
             'the key {}', value)
    return value


def _build_array(_: None, state: Any) -> np.ndarray:
    """Build an array of its pickled state."""
    _require(type(state) is tuple and len(state) == 5, 'the state {} of an array', state)
    _, shape, dtype, fortran, raw = state
    _require(isinstance(dtype, np.dtype), 'the array type {}', dtype)
    _require(_is_size(shape) and type(raw) is bytes
             and math.prod(shape) * dtype.itemsize == len(raw),
             'an array of shape {} and type {} of other data', shape, dtype)
    array = np.frombuffer(raw, dtype).reshape(shape, order='F' if fortran else 'C')
    return array.view('u1') != 0 if dtype.kind == 'b' else array.copy('K')


def _build_dtype(dtype: np.dtype, state: Any) -> np.dtype:
    """Set the byte order of a type; fields, subarrays and metadata are refused."""
    _require(type(state) is tuple and len(state) == 8 and state[0] == 3
             and state[1] in ('<', '>', '|', '=') and state[2:5] == (None, None, None),
             'the state {} of an array type', state)
    return dtype.newbyteorder(state[1])


def _build_history(_: None, state: Any) -> HistoryBuffer:
    """Build a history of MMEngine; its statistics are MMEngine's own."""
    _require(type(state) is dict, 'a HistoryBuffer of {}', state)
    log, count, length = map(state.get, ('_log_history', '_count_history', 'max_length'))
    _require(all(type(values) is np.ndarray and values.ndim == 1 for values in (log, count))
             and type(length) is int and len(log) == len(count) <= length < 2**62,
             'a HistoryBuffer of {}, {} and length {}', log, count, length)
    return HistoryBuffer(log, count, length)


def _dtype(code: Any, *_: Any) -> _Pending:
    _require(type(code) is str and bool(re.fullmatch('b1|[iu][1248]|f[248]', code)),
             'the array type {}', code)
    return _Pending(_build_dtype, np.dtype(code))


def _scalar(dtype: Any, raw: Any) -> Any:
    return _build_array(None, (1, (1, ), dtype, False, raw))[0]


def _reconstruct(kind: Any, *_: Any) -> _Pending:
    _require(kind == _Name('numpy.ndarray'), 'an array of class {}', kind)
    return _Pending(_build_array)


def _encode(text: Any, encoding: Any = 'latin1') -> bytes:
    _require(type(text) is str and encoding in ('latin1', 'latin-1'), 'the encoding {}', encoding)
    return text.encode('latin1')


def _bytes(*args: Any) -> bytes:
    _require(not args, 'bytes of {}', args)
    return b''


def _set(values: Any) -> set:
    _require(type(values) is list, 'a set of {}', values)
    return set(map(_key, values))


def _counter(values: Any = None) -> Counter:
    _require(values is None or type(values) is dict, 'a Counter of {}', values)
    return Counter(values)


def _ordered_dict(pairs: Any = ()) -> OrderedDict:
    _require(type(pairs) in (list, tuple)
             and all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs),
             'an OrderedDict of {}', pairs)
    return OrderedDict((_key(key), value) for key, value in pairs)


def _statistic(owner: Any, name: Any):
    """Accept the statistics of a HistoryBuffer, the only allowed ``getattr``."""
    _require(owner == _Name(_HISTORY) and name in ('min', 'max', 'current', 'mean'),
             'getattr({}, {})', owner, name)


def _shape(values: Any) -> torch.Size:
    _require(_is_size(values), 'the size {}', values)
    return torch.Size(values)


def _device(kind: Any, index: Any = None) -> torch.device:
    _require(type(kind) is str and (index is None or type(index) is int and 0 <= index < 128),
             'the device {}:{}', kind, index)
    return torch.device(kind, index)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False,
            hooks: Any = None, metadata: Any = None) -> Tensor:
    """Build a tensor within its storage."""
    _require(type(storage) is _Storage and not metadata and not hooks
             and type(requires_grad) is bool, 'a tensor of other than a storage')
    _require(_is_size(size) and type(offset) is int and offset >= 0 and type(stride) is tuple
             and len(stride) == len(size) and all(type(n) is int and 0 <= n < 2**62
                                                  for n in stride),
             'a tensor of size {}, offset {} and strides {}', size, offset, stride)
    values = storage.values
    last = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    _require(offset + (last + 1 if math.prod(size) else 0) <= values.numel(),
             'a tensor of size {}, offset {} and strides {} in a storage of {} values', size,
             offset, stride, values.numel())
    tensor = values.new_empty(0).set_(values.untyped_storage(), offset, size, stride)
    return tensor.requires_grad_(requires_grad and tensor.is_floating_point())


def _parameter(tensor: Any, requires_grad: Any = True, hooks: Any = None) -> Tensor:
    _require(type(tensor) is Tensor and not hooks, 'a parameter of {}', tensor)
    return tensor


def _with_attributes(rebuild: Any, kind: Any, args: Any, _: Any) -> Tensor:
    """Build a tensor that had attributes in Python, as those of sharded training; omit these."""
    _require(rebuild in (_Name('torch._utils._rebuild_tensor_v2'),
                         _Name('torch._utils._rebuild_parameter'))
             and kind in (_Name('torch.Tensor'), _Name('torch.nn.parameter.Parameter'))
             and type(args) is tuple, 'a tensor of class {}', kind)
    return _BUILDERS[rebuild.name](*args)


_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_BUILDERS: dict[str, Callable] = {
    _HISTORY: lambda *args: _Pending(_build_history), 'builtins.getattr': _statistic,
    'builtins.bytes': _bytes, 'builtins.set': _set, '_codecs.encode': _encode,
    'collections.OrderedDict': _ordered_dict, 'collections.Counter': _counter,
    'numpy.dtype': _dtype,
    **{f'numpy.{core}.multiarray.{name}': builder for core in ('core', '_core')  # NumPy 1 and 2
       for name, builder in (('_reconstruct', _reconstruct), ('scalar', _scalar))},
    'torch.Size': _shape, 'torch.device': _device, 'torch._utils._rebuild_tensor': _tensor,
    'torch._utils._rebuild_tensor_v2': _tensor, 'torch._utils._rebuild_parameter': _parameter,
    'torch._tensor._rebuild_from_type_v2': _with_attributes,
}
_CONSTANTS = {
    **{name: _Name(name) for name in ('numpy.ndarray', 'torch.Tensor',
                                      'torch.nn.parameter.Parameter')},
    **{f'torch.{name}Storage': _Name(name) for name in _STORAGES},
    **{str(dtype): dtype for dtype in _STORAGES.values()},
}


def _is_versions(value: Any) -> bool:
    """Return whether a value has the versions of the modules of a state dict."""
    return isinstance(value, dict) and all(
        isinstance(item, dict) and type(item.get('version')) in (int, type(None))
        for item in value.values())


class _Machine:
    """Stack machine for the pickles of ``torch.save`` (protocol 2).

    Args:
        load_storage (Callable): Maps key, type and number of values to the values (N,).
        ignore (bool): Replace objects of unknown classes instead of refusing them.
    """

    def __init__(self, load_storage: LoadStorage, ignore: bool = False):
        self.load_storage = load_storage
        self.ignore = ignore
        self.storages: dict[str, Tensor] = {}
        self.memo: dict[int, Any] = {}
        self.stack: list = []
        self.outer: list[list] = []

    def run(self, file: io.BytesIO) -> Any:
        """Run one program and return the object that it builds.

        Raises:
            ValueError: If the program does anything else than build allowed objects.
        """
        limit = get_limits().steps
        try:
            for count, (step, arg, _) in enumerate(pickletools.genops(file)):
                _require(count < limit, 'more than {} steps; MOFM_LIMITS=steps=N allows N', limit)
                if step.name == 'STOP':
                    return self.pop()
                _require(step.name in _STEPS, 'the operation {}', step.name)
                _STEPS[step.name](self, arg)
        except Exception as error:  # e.g. an empty stack
            raise ValueError(f'{self.field()}{_reason(error)}') from error
        raise ValueError('found no end')

    def field(self) -> str:
        """Return where in the content an object under construction belongs."""
        keys: list[str] = []
        for frame in (*self.outer, self.stack):
            at = max((i for i, item in enumerate(frame) if type(item) is str), default=-1)
            nested = [at] if at >= 0 else []
            while (at > 1 and type(frame[at - 1]) in (dict, OrderedDict) and not frame[at - 1]
                   and type(frame[at - 2]) is str):
                at -= 2  # a dict of one entry is in the same frame
                nested.append(at)
            keys += (frame[i] for i in reversed(nested))
        return ''.join(f'{ascii(key[:80])[1:-1]}: ' for key in keys)

    def pop(self) -> Any:
        return self.value(self.stack.pop())

    def pop_frame(self) -> list:
        frame = [self.value(item) for item in self.stack]
        self.stack = self.outer.pop()
        return frame

    @staticmethod
    def value(item: Any) -> Any:
        """Return a complete object."""
        if type(item) is _Pending:
            _require(item.done, 'an incomplete object')
            return item.value
        return item

    def push(self, value: Any):
        if type(value) is int:
            _require(value.bit_length() <= _MAX_BITS, 'an integer of {} bits', value.bit_length())
        self.stack.append(value)

    def push_mark(self, _: None):
        self.outer.append(self.stack)
        self.stack = []

    def push_tuple(self, count: int):
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def push_global(self, arg: str):
        module, _, name = arg.partition(' ')
        name = f'{module.replace("__builtin__", "builtins")}.{name}'
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _BUILDERS:
            self.stack.append(_Name(name))
        else:
            _require(self.ignore, 'the class or function {}: only tensors, NumPy arrays and '
                     'plain containers are read', name)
            self.stack.append(_Ignored())

    def call(self, _: None):
        args, function = self.pop(), self.pop()
        if type(function) is not _Ignored:
            _require(type(function) is _Name and function.name in _BUILDERS
                     and type(args) is tuple, 'a call of {}', function)
            self.stack.append(_BUILDERS[function.name](*args))
        else:
            self.stack.append(_Ignored())

    def set_state(self, _: None):
        state, owner = self.pop(), self.stack[-1]
        if type(owner) is _Pending:
            owner.set(state)
        elif type(owner) is OrderedDict:  # versions of the modules of a state dict
            _require(type(state) is dict and state.keys() <= {'_metadata'}
                     and all(map(_is_versions, state.values())),
                     'the state {} of an OrderedDict', state)
            vars(owner).update(state)
        else:
            _require(type(owner) is _Ignored, 'a state of {}', owner)

    def add_items(self, items: list):
        owner = self.stack[-1]
        if type(owner) is not _Ignored:
            _require(type(owner) in (dict, OrderedDict, Counter) and len(items) % 2 == 0,
                     'items of {}', owner)
            for key, value in zip(items[::2], items[1::2], strict=True):
                owner[_key(key)] = value

    def append(self, items: list):
        owner = self.stack[-1]
        if type(owner) is not _Ignored:
            _require(type(owner) is list, 'items of {}', owner)
            owner.extend(items)

    def put(self, index: int):
        self.memo[index] = self.stack[-1]

    def push_storage(self, _: None):
        """Load the values of a persistent ID ('storage', type, key, device, number[, view])."""
        name, kind, key, _, numel, *view = (*self.pop(), )
        _require(name == 'storage' and type(kind) is _Name and kind.name in _STORAGES
                 and type(key) is str and type(numel) is int and 0 <= numel < 2**48
                 and view in ([], [None]), 'the storage {} of {} values', key, numel)
        dtype = _STORAGES[kind.name]
        if key not in self.storages:
            self.storages[key] = self.load_storage(key, dtype, numel)
        values = self.storages[key]
        _require(values.dtype == dtype and values.numel() == numel,
                 'two types or sizes of the storage {}', key)
        self.stack.append(_Storage(values))


_STEPS: dict[str, Callable] = {
    'PROTO': lambda machine, arg: None,
    'NONE': _Machine.push,
    'NEWTRUE': lambda machine, _: machine.push(True),
    'NEWFALSE': lambda machine, _: machine.push(False),
    **dict.fromkeys(('BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE',
                     'SHORT_BINSTRING'), _Machine.push),
    'EMPTY_DICT': lambda machine, _: machine.push({}),
    'EMPTY_LIST': lambda machine, _: machine.push([]),
    'EMPTY_TUPLE': lambda machine, _: machine.push(()),
    'MARK': _Machine.push_mark,
    'TUPLE': lambda machine, _: machine.push(tuple(machine.pop_frame())),
    'TUPLE1': lambda machine, _: machine.push_tuple(1),
    'TUPLE2': lambda machine, _: machine.push_tuple(2),
    'TUPLE3': lambda machine, _: machine.push_tuple(3),
    'GLOBAL': _Machine.push_global,
    'REDUCE': _Machine.call,
    'NEWOBJ': _Machine.call,
    'BUILD': _Machine.set_state,
    'SETITEM': lambda machine, _: machine.add_items([machine.pop(), machine.pop()][::-1]),
    'SETITEMS': lambda machine, _: machine.add_items(machine.pop_frame()),
    'APPEND': lambda machine, _: machine.append([machine.pop()]),
    'APPENDS': lambda machine, _: machine.append(machine.pop_frame()),
    'BINPUT': _Machine.put,
    'LONG_BINPUT': _Machine.put,
    'BINGET': lambda machine, index: machine.push(machine.memo[index]),
    'LONG_BINGET': lambda machine, index: machine.push(machine.memo[index]),
    'BINPERSID': _Machine.push_storage,
}


def _check_size(content: Any, file_size: int):
    """Refuse content far larger than its file, with what is shared counted at each use."""
    limits = get_limits()
    budget = limits.expanded(file_size)
    known: dict[int, tuple[int, int]] = {}  # bytes and levels of containers by identity

    def check(size: int, where: tuple):
        _require(size <= budget, 'more than {} bytes in {}; MOFM_LIMITS=expansion=N allows N '
                 'times the bytes of the file', budget, where[:3])

    def measure(value: Any, depth: int, where: tuple) -> tuple[int, int]:
        kind = type(value)
        if kind in (str, bytes):
            return 8 + len(value), 0
        if kind in (Tensor, np.ndarray):
            return 8 + value.nbytes, 0
        if kind is HistoryBuffer:
            return 8 + sum(values.nbytes for values in value.data), 0
        if kind in _LEAVES or isinstance(value, np.generic):
            return 8, 0
        _require(kind in (dict, OrderedDict, Counter, list, tuple, set, torch.Size),
                 f'{kind.__name__} in {{}}', where)
        size, levels = known.get(id(value), (8, 0))
        _require(levels <= depth, 'more than {} levels in {}; MOFM_LIMITS=depth=N allows N',
                 limits.depth, where[:3])
        if id(value) not in known:
            items = list(value.items() if isinstance(value, dict) else enumerate(value))
            items += vars(value).items() if kind is OrderedDict else ()
            for key, item in items:
                item_size, below = measure(item, depth - 1, (*where, key))
                size += 8 + item_size + (len(key) if type(key) in (str, bytes) else 0)
                levels = max(levels, below + 1)
                check(size, (*where, key))
            known[id(value)] = size, levels
        return size, levels

    check(measure(content, limits.depth, ())[0], ())


def _open_zip(path: Path) -> zipfile.ZipFile:
    """Open an archive whose list of records fits into memory."""
    with path.open('rb') as file:
        file.seek(-min(_ZIP_END, path.stat().st_size), 2)
        end = file.read()
    # the length of the list is in the last record, or in that of an archive above 4 GiB
    size = int.from_bytes(end[-10:-6], 'little')
    if size == 2**32 - 1 or end[-42:-38] == b'PK\x06\x07':
        size = int.from_bytes(end[40:48], 'little')
    members = get_limits().members
    _require(end[-22:-18] == b'PK\x05\x06' and size <= 200 * members,
             'an archive without an end, or with more than {} records', members)
    return zipfile.ZipFile(path)


def _records(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the records of an archive of ``torch.save`` by name, without its root folder."""
    infos = archive.infolist()
    roots = {info.filename.partition('/')[0] for info in infos}
    records = {info.filename.partition('/')[2]: info for info in infos}
    _require(len(roots) == 1 and len(records) == len(infos) and 'data.pkl' in records
             and 'constants.pkl' not in records, 'a zip archive that is not of torch.save')
    _require(all(info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
                 for info in infos) and sum(info.file_size for info in infos) <= size,
             'compressed or overlapping records')
    if 'byteorder' in records:
        order = archive.read(records['byteorder'])
        _require(order == b'little', 'the byte order {}', order)
    return records


def _as_bytes(values: Tensor) -> np.ndarray:
    return values.view(torch.uint8).numpy()


def _normalized(values: Tensor) -> Tensor:
    """Replace bytes of booleans that are neither 0 nor 1."""
    return values.view(torch.uint8) != 0 if values.dtype == torch.bool else values


def _read_zip(path: Path, device: torch.device, ignore: bool) -> Any:
    with _open_zip(path) as archive:
        records = _records(archive, path.stat().st_size)

        def load(key: str, dtype: torch.dtype, numel: int) -> Tensor:
            info = records.get(f'data/{key}')
            _require(info is not None and info.file_size == numel * dtype.itemsize,
                     'a storage of {} values of type {} with {} bytes', numel, dtype,
                     info and info.file_size)
            if device.type == 'meta':
                return torch.empty(numel, dtype=dtype, device=device)
            values = torch.empty(numel, dtype=dtype)
            target = memoryview(_as_bytes(values))
            with archive.open(info) as file:  # compares the checksum at the end
                for start in range(0, len(target), _CHUNK):
                    file.readinto(target[start:start + _CHUNK])
            return _normalized(values).to(device)

        return _Machine(load, ignore).run(io.BytesIO(archive.read(records['data.pkl'])))


def _read_legacy(path: Path, device: torch.device, ignore: bool) -> Any:
    """Read the format before torch 1.6: pickles, then the values of all storages."""
    content = path.read_bytes()
    file = io.BytesIO(content)
    promised = 0

    def allocate(key: str, dtype: torch.dtype, numel: int) -> Tensor:
        nonlocal promised
        promised += numel * dtype.itemsize
        _require(promised <= len(content), 'a storage of {} values of type {} in a file of {} '
                 'bytes', numel, dtype, len(content))
        return torch.empty(numel, dtype=dtype)

    file.seek(len(_LEGACY))
    _require(_Machine(allocate).run(file) == _LEGACY_VERSION, 'an unknown version of torch.save')
    _Machine(allocate).run(file)  # sizes of numbers where it was written
    start = file.tell()
    machine = _Machine(allocate, ignore)
    machine.run(file)
    storages = machine.storages
    keys = _Machine(allocate).run(file)
    _require(type(keys) is list and all(type(key) is str for key in keys)
             and sorted(keys) == sorted(storages), 'the storages {}', keys)
    for key in keys:
        values = storages[key]
        numel = int.from_bytes(file.read(8), 'little')
        _require(numel == values.numel() and file.readinto(_as_bytes(values)) == values.nbytes,
                 'the storage {} of {} values', key, numel)
    storages = {key: _normalized(values).to(device) for key, values in storages.items()}
    file.seek(start)
    return _Machine(lambda key, *_: storages[key], ignore).run(file)


def read_torch_file(path: Path, device: str | torch.device | None = None,
                    ignore: bool = False) -> Any:
    """Read a file of ``torch.save``, and compare its checksums.

    Args:
        path (Path): The file.
        device (str or torch.device, optional): Device of the tensors, by default the CPU; with
            'meta' their values are not read.
        ignore (bool): Replace objects of unknown classes, e.g. a learning rate schedule, instead
            of refusing them. Defaults to False.

    Returns:
        Any: Tensors, NumPy arrays, histories of MMEngine and plain containers.

    Raises:
        ValueError: If the file is damaged, or contains anything else.
    """
    device = torch.device(device or 'cpu')
    try:
        with path.open('rb') as file:
            start = file.read(len(_LEGACY))
        is_zip = start.startswith(_ZIP)
        _require(bool(start), 'an empty file')
        _require(is_zip or start == _LEGACY, 'a file that is not of torch.save')
        content = (_read_zip if is_zip else _read_legacy)(path, device, ignore)
        _check_size(content, path.stat().st_size)
    except Exception as error:  # damaged bytes raise nearly anything
        raise ValueError(f'{path}: not a readable checkpoint ({_reason(error)}); it may be '
                         'truncated, or contain objects other than weights') from error
    if not is_zip:
        print_log(f'{path}: the format before torch 1.6, without checksums: damage of its '
                  'weights cannot be noticed', 'current', logging.WARNING)
    return content


def is_intact(path: Path, no_checksums: bool = False) -> bool:
    """Return whether all checksums of a file of ``torch.save`` hold.

    Args:
        path (Path): The file.
        no_checksums (bool): The result for a file of another format. Defaults to False.
    """
    try:
        with path.open('rb') as file:
            if file.read(len(_ZIP)) != _ZIP:
                return no_checksums
        with _open_zip(path) as archive:
            _records(archive, path.stat().st_size)
            return archive.testzip() is None
    except Exception:  # damaged bytes raise nearly anything
        return False
