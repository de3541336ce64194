"""Reader of the files of ``torch.save`` that only builds tensors, arrays and plain containers.

A file of ``torch.save`` is a pickle besides the bytes of its tensors.
``torch.load(weights_only=True)`` restricts what the pickle may call, but trusts the arguments: a
file can ask for any amount of memory, or for tensors beyond their data. Here it is read by
:class:`~mofm.annotations.unpickling.RestrictedUnpickler` with constructors of tensors that check
their arguments. The checksums of a zip archive, which PyTorch does not verify, are compared while
the tensors are read.
"""

import io
import logging
import math
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch import Tensor

from mofm.annotations.unpickling import CONSTRUCTORS, Constructor, RestrictedUnpickler
from mofm.utils.checks import show
from mofm.utils.limits import get_limits

_ZIP = b'PK\x03\x04'
_LEGACY = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'  # pickle of the magic number
_LEGACY_VERSION = 1001
_STORAGES = dict(Double=torch.float64, Float=torch.float32, Half=torch.float16,
                 BFloat16=torch.bfloat16, Long=torch.int64, Int=torch.int32, Short=torch.int16,
                 Char=torch.int8, Byte=torch.uint8, Bool=torch.bool,
                 ComplexFloat=torch.complex64, ComplexDouble=torch.complex128)
_MAX_DIMS = 32
_ZIP_END = 98  # bytes after the list of records, at most
_CHUNK = 2**18  # bytes that are still in the cache when their checksum is computed

LoadStorage = Callable[[str, torch.dtype, int], Tensor]


class _StorageType(NamedTuple):
    """Class of storages."""

    dtype: torch.dtype


class _Storage(NamedTuple):
    """Values of one tensor or several."""

    values: Tensor


class _Ignored:
    """Stand-in of an object of an unknown class."""


_LEAVES = {str, bytes, int, float, bool, type(None), torch.dtype, torch.device, Tensor, np.ndarray,
           HistoryBuffer, _Ignored}


def _require(condition: bool, what: str, *values: Any):
    """Raise a ValueError with a text and the values for its braces if the condition is false."""
    if not condition:
        raise ValueError(f'refused {what.format(*map(show, values))}')


def _reason(error: Exception) -> str:
    """Return the text of an error in one short line."""
    kind = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
    return kind + (str(error).splitlines() or [''])[0][:300]


def _is_size(value: Any) -> bool:
    """Return whether a value is a shape of less than 2**48 elements, not counting zeros."""
    return (isinstance(value, tuple) and len(value) <= _MAX_DIMS
            and all(type(n) is int and n >= 0 for n in value)
            and math.prod(max(n, 1) for n in value) < 2**48)


def _history() -> HistoryBuffer:
    """Build an empty history; MMEngine's class would convert any argument to an array."""
    return HistoryBuffer()


def _set_history(history: HistoryBuffer, state: Any):
    """Set the values of a history of MMEngine; its statistics are MMEngine's own."""
    _require(type(state) is dict, 'a HistoryBuffer of {}', state)
    log, count, length = map(state.get, ('_log_history', '_count_history', 'max_length'))
    _require(all(type(values) is np.ndarray and values.ndim == 1 and values.dtype.kind in 'iuf'
                 for values in (log, count))
             and type(length) is int and len(log) == len(count) <= length < 2**62,
             'a HistoryBuffer of {}, {} and length {}', log, count, length)
    vars(history).update(_log_history=log, _count_history=count, max_length=length)


def _statistic(owner: Any, name: Any):
    """Accept the statistics of a HistoryBuffer, the only allowed ``getattr``."""
    _require(owner is _HISTORY and name in ('min', 'max', 'current', 'mean'),
             'getattr({}, {})', owner, name)


def _set_versions(target: OrderedDict, state: Any):
    """Set the versions of the modules of a state dict."""
    metadata: Any = state.get('_metadata') if type(state) is dict else None
    _require(isinstance(metadata, dict) and all(
        type(key) is str and isinstance(item, dict)
        and type(item.get('version')) in (int, type(None)) for key, item in metadata.items()),
        'the state {} of an OrderedDict', state)
    vars(target)['_metadata'] = OrderedDict(
        (key, dict(version=item.get('version'))) for key, item in metadata.items())


def _counter(values: Any = None) -> Counter:
    _require(values is None or type(values) is dict, 'a Counter of {}', values)
    return Counter(values)


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
    _require(math.prod(size) * values.itemsize <= get_limits().expanded(values.nbytes),
             'a tensor of size {} of {} values; MOFM_LIMITS=expansion=N allows N times as many',
             size, values.numel())
    tensor = values.new_empty(0).set_(values.untyped_storage(), offset, size, stride)
    return tensor.requires_grad_(requires_grad and tensor.is_floating_point())


def _parameter(tensor: Any, requires_grad: Any = True, hooks: Any = None) -> Tensor:
    _require(type(tensor) is Tensor and not hooks, 'a parameter of {}', tensor)
    return tensor


def _with_attributes(rebuild: Any, kind: Any, args: Any, _: Any) -> Tensor:
    """Build a tensor that had attributes in Python, as those of sharded training; omit these."""
    _require(rebuild in (_TENSOR, _PARAMETER) and kind in (_TENSOR_CLASS, _PARAMETER_CLASS)
             and type(args) is tuple, 'a tensor of class {}', kind)
    return rebuild.build(*args)


def _refuse_call(*_: Any):
    raise ValueError('refused a call of a class of tensors')


_HISTORY = Constructor(_history, _set_history, is_class=True)
_TENSOR, _PARAMETER = Constructor(_tensor), Constructor(_parameter)
_TENSOR_CLASS, _PARAMETER_CLASS = Constructor(_refuse_call), Constructor(_refuse_call)
_CONSTRUCTORS: dict[tuple[str, str], Any] = {
    **CONSTRUCTORS,
    ('mmengine.logging.history_buffer', 'HistoryBuffer'): _HISTORY,
    **{(module, 'getattr'): Constructor(_statistic) for module in ('builtins', '__builtin__')},
    ('collections', 'OrderedDict'): Constructor(CONSTRUCTORS['collections', 'OrderedDict'].build,
                                                _set_versions),
    ('collections', 'Counter'): Constructor(_counter),
    ('torch', 'Size'): Constructor(_shape),
    ('torch', 'device'): Constructor(_device),
    ('torch', 'Tensor'): _TENSOR_CLASS,
    ('torch.nn.parameter', 'Parameter'): _PARAMETER_CLASS,
    ('torch._utils', '_rebuild_tensor'): _TENSOR,
    ('torch._utils', '_rebuild_tensor_v2'): _TENSOR,
    ('torch._utils', '_rebuild_parameter'): _PARAMETER,
    ('torch._tensor', '_rebuild_from_type_v2'): Constructor(_with_attributes),
    **{('torch', f'{name}Storage'): _StorageType(dtype) for name, dtype in _STORAGES.items()},
    **{('torch', str(dtype).removeprefix('torch.')): dtype for dtype in _STORAGES.values()},
}
_UNKNOWN = Constructor(lambda *_: _Ignored(), lambda *_: None, is_class=True)


class _Unpickler(RestrictedUnpickler):
    """Unpickler of tensors, NumPy arrays, histories of MMEngine and plain containers.

    Args:
        file (BytesIO): The pickle, and maybe more.
        load_storage (Callable): Maps key, type and number of values to the values (N,).
        ignore (bool): Replace objects of unknown classes instead of refusing them.
    """

    def __init__(self, file: io.BytesIO, load_storage: LoadStorage, ignore: bool = False):
        super().__init__(file)
        self.load_storage = load_storage
        self.ignore = ignore
        self.storages: dict[str, Tensor] = {}

    def load(self) -> Any:
        """Read the object.

        Raises:
            ValueError: If the pickle does anything else than build allowed objects.
        """
        try:
            content = super().load()
            _check_leaves(content)
        except Exception as error:  # e.g. an empty stack
            raise ValueError(f'{self._field()}{_reason(error)}') from error
        return content

    def find_class(self, module: str, name: str) -> Any:
        """Return the constructor of a class or function."""
        found = _CONSTRUCTORS.get((module, name))
        if found is None and self.ignore:
            return _UNKNOWN
        _require(found is not None, 'the class or function {}: only tensors, NumPy arrays and '
                 'plain containers are read', f'{module}.{name}')
        return found

    def persistent_load(self, key: Any) -> _Storage:
        """Load the values of ('storage', type, key, device, number[, view])."""
        _require(type(key) is tuple and len(key) in (5, 6), 'the storage {}', key)
        word, kind, key, _, numel, *view = key
        _require(word == 'storage' and type(kind) is _StorageType and type(key) is str
                 and type(numel) is int and 0 <= numel < 2**48 and view in ([], [None]),
                 'the storage {} of {} values', key, numel)
        if key not in self.storages:
            self.storages[key] = self.load_storage(key, kind.dtype, numel)
        values = self.storages[key]
        _require(values.dtype == kind.dtype and values.numel() == numel,
                 'two types or sizes of the storage {}', key)
        return _Storage(values)

    def _update(self, items: list, target: object):
        if type(target) is not _Ignored:
            super()._update(items, target)

    def _extend(self, items: list, target: object):
        if type(target) is not _Ignored:
            super()._extend(items, target)

    def _field(self) -> str:
        """Return where in the content an object under construction belongs."""
        keys: list[str] = []
        ends = [*self._marks, len(self._stack)]
        for start, end in zip([0, *self._marks], ends, strict=True):
            frame = self._stack[start:end]
            at = max((i for i, item in enumerate(frame) if type(item) is str), default=-1)
            nested = [at] if at >= 0 else []
            while (at > 1 and type(frame[at - 1]) in (dict, OrderedDict) and not frame[at - 1]
                   and type(frame[at - 2]) is str):
                at -= 2  # a dict of one entry is in the same frame
                nested.append(at)
            keys += (frame[i] for i in reversed(nested))
        return ''.join(f'{ascii(key[:80])[1:-1]}: ' for key in keys)


def _check_leaves(content: Any):
    """Refuse parts that are no values, e.g. a class."""
    todo, seen = [content], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            todo += node.values()
        elif isinstance(node, (list, tuple, set, frozenset)) and not isinstance(
                node, (_Storage, _StorageType)):
            todo += node
        else:
            _require(type(node) in _LEAVES or isinstance(node, np.generic),
                     f'a {type(node).__name__} as a value')


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


def _as_bytes(values: Tensor) -> Any:
    return values.view(torch.uint8).numpy()


def _on_device(values: Tensor, device: torch.device) -> Tensor:
    """Move the values of a storage to a device; other bytes than 0 and 1 are no booleans."""
    _require(values.dtype != torch.bool or not (values.view(torch.uint8) > 1).any(),
             'booleans that are neither 0 nor 1')
    return values.to(device)


def _read_zip(path: Path, device: torch.device, ignore: bool) -> Any:
    with _open_zip(path) as archive:
        records = _records(archive, path.stat().st_size)

        def load(key: str, dtype: torch.dtype, numel: int) -> Tensor:
            info: Any = records.get(f'data/{key}')
            _require(info is not None and info.file_size == numel * dtype.itemsize,
                     'a storage of {} values of type {} with {} bytes', numel, dtype,
                     info and info.file_size)
            if device.type == 'meta':
                return torch.empty(numel, dtype=dtype, device=device)
            values = torch.empty(numel, dtype=dtype)
            target = _as_bytes(values)
            with cast(Any, archive.open(info)) as file:  # compares the checksum at the end
                for start in range(0, len(target), _CHUNK):
                    file.readinto(target[start:start + _CHUNK])
            return _on_device(values, device)

        return _Unpickler(io.BytesIO(archive.read(records['data.pkl'])), load, ignore).load()


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
    _require(_Unpickler(file, allocate).load() == _LEGACY_VERSION, 'an unknown version')
    _Unpickler(file, allocate).load()  # sizes of numbers where it was written
    start = file.tell()
    unpickler = _Unpickler(file, allocate, ignore)
    unpickler.load()
    storages = unpickler.storages
    keys = _Unpickler(file, allocate).load()
    _require(type(keys) is list and all(type(key) is str for key in keys)
             and sorted(keys) == sorted(storages), 'the storages {}', keys)
    for key in keys:
        values = storages[key]
        numel = int.from_bytes(file.read(8), 'little')
        _require(numel == values.numel() and file.readinto(_as_bytes(values)) == values.nbytes,
                 'the storage {} of {} values', key, numel)
    storages = {key: _on_device(values, device) for key, values in storages.items()}
    file.seek(start)
    return _Unpickler(file, lambda key, *_: storages[key], ignore).load()


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
