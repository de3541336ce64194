"""Checkpoints written operation by operation, as an attacker would, and mutations of real ones.

``python -m tests.test_hub.hostile_checkpoints 100000`` reads as many mutations in processes with
limits; the test suite reads a few hundred.
"""

import argparse
import io
import os
import pickletools
import random
import struct
import sys
import tempfile
import time
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mofm.hub.torch_file import read_torch_file
from mofm.utils.checks import show
from tests.limited import run_limited

#: Steps of a program without an argument.
DICT, LIST, NONE, TRUE, FALSE, MARK, REDUCE, NEWOBJ, BUILD, STOP = (
    b'}', b']', b'N', b'\x88', b'\x89', b'(', b'R', b'\x81', b'b', b'.')
HISTORY = 'mmengine.logging.history_buffer HistoryBuffer'


def text(value: str) -> bytes:
    """Push a text."""
    data = value.encode('utf-8', 'surrogatepass')
    return b'X' + struct.pack('<I', len(data)) + data


def number(value: int) -> bytes:
    """Push an integer."""
    if abs(value) < 2**31:
        return b'J' + struct.pack('<i', value)
    data = value.to_bytes(value.bit_length() // 8 + 1, 'little', signed=True)
    return b'\x8a' + bytes([len(data)]) + data


def name(path: str) -> bytes:
    """Push a class or function 'module name'."""
    return b'c' + path.replace(' ', '\n').encode() + b'\n'


def tuple_of(*items: bytes) -> bytes:
    """Push a tuple."""
    return MARK + b''.join(items) + b't'


def ints(*values: int) -> bytes:
    """Push a tuple of integers."""
    return tuple_of(*map(number, values))


def call(function: bytes | str, *args: bytes) -> bytes:
    """Call a function."""
    function = name(function) if isinstance(function, str) else function
    return function + tuple_of(*args) + REDUCE


def entry(key: bytes | str, value: bytes) -> bytes:
    """Push a dict of one entry."""
    return DICT + (text(key) if isinstance(key, str) else key) + value + b's'


def raw(data: bytes) -> bytes:
    """Push bytes."""
    return call('_codecs encode', text(data.decode('latin1')), text('latin1'))


def dtype(code: str, state: bytes | None = None) -> bytes:
    """Push an array type."""
    state = state or tuple_of(number(3), text('<'), NONE, NONE, NONE, *map(number, (-1, -1, 0)))
    return call('numpy dtype', text(code), FALSE, TRUE) + state + BUILD


def new_array(kind: str = 'numpy ndarray') -> bytes:
    """Push an array without state."""
    return call('numpy.core.multiarray _reconstruct', name(kind), ints(0), raw(b'b'))


def array_state(shape: bytes, type: bytes, data: bytes) -> bytes:
    """Push the state of an array."""
    return tuple_of(number(1), shape, type, FALSE, data)


def array(shape=(1, ), type: bytes | None = None, data: bytes | None = None) -> bytes:
    """Push an array."""
    return new_array() + array_state(ints(*shape), type or dtype('f8'), data or raw(bytes(8))
                                     ) + BUILD


def storage(numel: int = 3, key: bytes | str = '0', kind: str = 'torch FloatStorage') -> bytes:
    """Push a storage; the archive has the record 0 of 12 bytes."""
    return tuple_of(text('storage'), name(kind), text(key) if isinstance(key, str) else key,
                    text('cpu'), number(numel)) + b'Q'


def tensor(size: bytes = ints(3), stride: bytes = ints(1), offset: bytes = number(0),
           values: bytes | None = None, *more: bytes) -> bytes:
    """Push a tensor."""
    return call('torch._utils _rebuild_tensor_v2', values or storage(), offset, size, stride,
                *(more or (FALSE, call('collections OrderedDict'))))


def write(path: Path, program: bytes, protocol: bytes = b'\x80\x02', compression: int = 0,
          **records: bytes) -> Path:
    """Write an archive of a program and records, by default of the record 0."""
    with zipfile.ZipFile(path, 'w', compression) as archive:
        archive.writestr('a/data.pkl', protocol + program + STOP)
        archive.writestr('a/byteorder', b'little')
        archive.writestr('a/version', b'3\n')
        for key, content in (records or {'0': np.float32([1, 2, 3]).tobytes()}).items():
            archive.writestr(f'a/data/{key}', content)
    return path


@cache
def real_checkpoint(legacy: bool = False) -> bytes:
    """Return a small checkpoint of a training."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(linear.parameters())
    linear(torch.ones(3)).sum().backward()
    optimizer.step()
    history = HistoryBuffer()
    history.update(1.5, 2)
    file = io.BytesIO()
    torch.save(dict(
        meta=dict(epoch=1, iter=2, cfg='a = 1', dataset_meta=dict(classes=['a', 'b'])),
        state_dict=linear.state_dict(), optimizer=optimizer.state_dict(),
        message_hub=dict(log_scalars=dict(loss=history), runtime_info=dict(n=np.float64(3)),
                         resumed_keys={}),
        param_schedulers=[dict(_global_step=1, milestones=Counter({3: 1}), last=torch.Size([1]))]),
        file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def mutate(seed: int) -> bytes:
    """Return a mutation of a checkpoint, the same one for each seed."""
    draw = random.Random(seed)
    if seed % 8 == 0:  # bytes of the old format
        content = bytearray(real_checkpoint(legacy=True))
        for _ in range(draw.randint(1, 3)):
            content[draw.randrange(15, len(content))] = draw.randrange(256)
        return bytes(content)
    source = io.BytesIO(real_checkpoint())
    with zipfile.ZipFile(source) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    root = next(iter(records)).partition('/')[0]
    program = records[f'{root}/data.pkl']
    if seed % 8 < 3:  # bytes
        program = bytearray(program)
        for _ in range(draw.randint(1, 3)):
            program[draw.randrange(len(program))] = draw.choice(
                [draw.randrange(256), *b'RbsuQtq)]}(c\x81'])
    else:
        program = _mutate_steps(draw, program)
    records[f'{root}/data.pkl'] = bytes(program)
    if draw.random() < 0.2:
        key = draw.choice(list(records))
        records[key] = records[key][:draw.randrange(len(records[key]) + 1)]
    target = io.BytesIO()
    with zipfile.ZipFile(target, 'w') as archive:
        for key, content in records.items():
            archive.writestr(key, content)
    return target.getvalue()


_PIECES = [
    DICT, LIST, NONE, TRUE, MARK, REDUCE, NEWOBJ, BUILD, b's', b'u', b'e', b't', b'0', b'\x85',
    b'Q', b'h\x00', b'h\x05', b'q\x03', number(-1), number(2**62), number(2**500), text('\ud800'),
    name('builtins getattr'), name('numpy ndarray'), name('numpy dtype'), name(HISTORY),
    name('torch._utils _rebuild_tensor_v2'), name('os system'), dtype('f8'), dtype('O8'),
    new_array(), array(), storage(), storage(2**40), storage(3, '1'), tensor(),
    tensor(ints(2**40), ints(0)), tensor(ints(-1)), tensor(ints(5), ints(7)),
    call('torch Size', ints(2**40)), entry('a', NONE), b'K\x05' * 50 + MARK]


def _mutate_steps(draw: random.Random, program: bytes) -> bytes:
    """Remove, repeat, swap, replace and insert steps of a program."""
    starts = [position for _, _, position in pickletools.genops(program)] + [len(program)]
    steps = [program[i:j] for i, j in zip(starts, starts[1:], strict=False)]
    for _ in range(draw.randint(1, 3)):
        at, other = draw.randrange(1, len(steps)), draw.randrange(1, len(steps))
        kind = draw.randrange(5)
        if kind == 0:
            del steps[at]
        elif kind == 1:
            steps[at:at] = steps[other:other + draw.randint(1, 40)]
        elif kind == 2:
            steps[at], steps[other] = steps[other], steps[at]
        elif kind == 3:
            steps[at] = draw.choice(_PIECES)
        else:
            steps.insert(at, draw.choice(_PIECES))
    return b''.join(steps)


def use(content: object):
    """Read all values of a content, which would fail for data outside of memory."""
    if isinstance(content, dict):
        for key, value in content.items():
            hash(key)
            use(value)
        use(vars(content).get('_metadata') if hasattr(content, '__dict__') else None)
    elif isinstance(content, (list, tuple, set)):
        for value in content:
            use(value)
    elif isinstance(content, HistoryBuffer):
        use(content.data)
    elif torch.is_tensor(content):
        content.sum()
    elif isinstance(content, np.ndarray):
        content.tobytes()
    show(content)


def read_mutations(first: int, count: int, folder: str) -> int:
    """Read mutations and return how many could be read; the seed is in the file ``seed``."""
    path, note = Path(folder, 'fuzz.pth'), Path(folder, 'seed')
    readable = 0
    for seed in range(first, first + count):
        note.write_text(str(seed))
        path.write_bytes(mutate(seed))
        try:
            use(read_torch_file(path))
            readable += 1
        except ValueError as error:
            if str(path) not in str(error) or len(str(error)) > 1000 or isinstance(
                    error.__cause__, MemoryError):
                raise RuntimeError(f'seed {seed}: {error}') from error
        except Exception as error:
            raise RuntimeError(f'seed {seed}: {error!r}') from error
    return readable


def fuzz(first: int, count: int, folder: str | Path) -> int:
    """Read mutations in a process with limits and return how many could be read.

    Raises:
        AssertionError: If one crashes, fails otherwise than by a ValueError with the file, or
            needs more than the limits.
    """
    outcome = run_limited(read_mutations, first, count, str(folder), memory=2**28, seconds=600)
    if outcome.signal or outcome.error:
        raise AssertionError(f'seed {Path(folder, "seed").read_text()}: {outcome}')
    return outcome.value


def main():
    """Read mutations of checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('cases', type=int)
    parser.add_argument('--first', type=int, default=0, help='first seed')
    args = parser.parse_args()
    start, readable = time.time(), 0
    with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None
                                     ) as folder:
        for first in range(args.first, args.first + args.cases, 1000):
            readable += fuzz(first, min(1000, args.first + args.cases - first), folder)
            sys.stdout.write(f'\r{first}')
    print(f'\n{args.cases} mutations in {time.time() - start:.0f} s: {readable} readable, the '
          'others refused with the name of the file')


if __name__ == '__main__':
    main()
