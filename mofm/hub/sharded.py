"""Sharded checkpoints: folders with the tensors of ``torch.distributed.checkpoint``.

``training.pth`` holds everything else and is written last. The tensors are named
``state_dict.NAME`` and ``optimizer.INDEX.STATE``, with the index in the optimizer.
"""

import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from mofm.utils.checks import found_expected, show

from .checkpoint import REST
from .torch_file import is_intact, read_torch_file

# what the metadata of tensors consist of
_CLASSES = {
    'torch.distributed.checkpoint.metadata': (
        'Metadata', 'MetadataIndex', 'TensorStorageMetadata', 'TensorProperties',
        'ChunkStorageMetadata', 'StorageMeta', '_MEM_FORMAT_ENCODING'),
    'torch.distributed.checkpoint.filesystem': ('_StorageInfo', '_StoragePrefix'),
    'torch.serialization': ('_get_layout', ),
    'torch': ('Size', 'float64', 'float32', 'float16', 'bfloat16', 'int64', 'int32', 'int16',
              'int8', 'uint8', 'bool'),
    'pathlib': ('Path', 'PosixPath', 'WindowsPath', 'PurePosixPath')}
_DAMAGED = (OSError, EOFError, IndexError, KeyError, pickle.UnpicklingError, RuntimeError,
            AttributeError, TypeError, dcp.api.CheckpointException)


class _Unpickler(pickle.Unpickler):
    """Unpickler of metadata only; that of PyTorch could run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _CLASSES.get(module, ()):
            raise pickle.UnpicklingError(f'refused {module[:100]}.{name[:100]}')
        return super().find_class(module, name)


class _Reader(dcp.FileSystemReader):
    """PyTorch's reader of shards, with restricted metadata."""

    def read_metadata(self, *args, **kwargs) -> dcp.Metadata:
        with Path(self.path, '.metadata').open('rb') as file:
            return _Unpickler(file).load()


def is_whole(folder: Path) -> bool:
    """Return whether a sharded checkpoint has all its files in full length."""
    try:
        shards = _Reader(folder).read_metadata().storage_data
        return is_intact(folder / REST) and all(
            Path(folder, shard.relative_path).stat().st_size >= shard.offset + shard.length
            for shard in shards.values())
    except _DAMAGED:
        return False


def read_sharded(folder: str | Path,
                 allocate: Callable[[dict, str, Tensor], Tensor] | None = None) -> dict:
    """Read a sharded checkpoint, written by any number of processes.

    Args:
        folder (str or Path): The checkpoint.
        allocate (Callable, optional): Called with the content of ``training.pth``, the name of a
            tensor and an empty tensor for it; returns the tensor to read into, e.g. a
            ``DTensor``, of which each process reads its shard. Defaults to whole tensors.

    Returns:
        dict: As a checkpoint in one file.

    Raises:
        ValueError: If the checkpoint is damaged or has anything but tensors.
    """
    folder = Path(folder)
    checkpoint = read_torch_file(folder / REST)
    reader = _Reader(folder)
    try:
        found = reader.read_metadata().state_dict_metadata
        tensors = {name: torch.empty(size, dtype=dtype)
                   for name, size, dtype in _check(folder, found)}
        if allocate is not None:
            tensors = {name: allocate(checkpoint, name, empty) for name, empty in tensors.items()}
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # that there may be one process
            dcp.load(tensors, storage_reader=reader, no_dist=True)  # each reads by itself
    except _DAMAGED as error:
        raise ValueError(f'{folder}: damaged or incomplete ({show(str(error))}); use an earlier '
                         'checkpoint') from error
    for name, tensor in tensors.items():
        part, _, name = name.partition('.')
        if part == 'state_dict':
            checkpoint.setdefault(part, {})[name] = tensor
        else:
            index, _, state = name.partition('.')
            checkpoint[part].setdefault('state', {}).setdefault(int(index), {})[state] = tensor
    return checkpoint


def _check(folder: Path, found: dict) -> Iterator[tuple]:
    """Yield names, sizes and types of tensors; raise ValueError for more bytes than there are."""
    left = sum(path.stat().st_size for path in folder.glob('*.distcp'))
    for name, entry in found.items():
        if not isinstance(entry, TensorStorageMetadata):
            raise ValueError(found_expected(folder, '.metadata', show(name), 'tensors only'))
        left -= entry.size.numel() * entry.properties.dtype.itemsize
        if left < 0:
            raise ValueError(found_expected(folder, '.metadata', f'more bytes than in its files, '
                                            f'at {show(name)}', 'tensors that they contain'))
        yield name, entry.size, entry.properties.dtype
