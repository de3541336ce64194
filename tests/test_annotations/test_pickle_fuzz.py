"""Random pickles, of instructions and of damaged files: an error or plain values of limited size.

More than the suite tries: ``python tests/test_annotations/test_pickle_fuzz.py CASES``.
"""

import io
import pickle
import pickletools
import random
import sys
import time
from collections import Counter, OrderedDict

import numpy as np
import pytest

from mofm.annotations.unpickling import CONSTRUCTORS, Constructor, RestrictedUnpickler
from mofm.utils.checks import show
from tests.limited import run_limited

#: Cases of one process, and their limits.
CASES, MEMORY, SECONDS = 1000, 2**29, 40
_NUMBERS = [0, 1, 2, 3, 7, 255, 256, 2**16, 2**27, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1]
_NAMES = [(module, name) for module, name in CONSTRUCTORS] + [
    ('os', 'system'), ('builtins', 'eval'), ('copyreg', '__newobj__'), ('numpy', 'load'),
    ('numpy.core.multiarray', 'fromfile'), ('', ''), ('builtins', 'object')]
_LENGTHS = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}
_TEXTS = [b'f4', b'f8', b'i8', b'O8', b'U3', b'b1', b'V8', b'<', b'>', b'latin1', b'C', b'K',
          b'__new__', b'__dict__', b'__setstate__', b'dtype', b'a' * 300, b'']
_CODES = [op.code.encode('latin1') for op in pickletools.opcodes]


def argument(rng, op):
    """Bytes of an argument of an instruction, mostly of the right form."""
    kind = op.arg.name
    if kind == 'stringnl_noescape_pair':
        return ('\n'.join(rng.choice(_NAMES)) + '\n').encode()
    if kind in ('stringnl', 'unicodestringnl', 'stringnl_noescape'):
        return b"'" + rng.choice(_TEXTS) + b"'\n"
    if kind in ('decimalnl_short', 'decimalnl_long', 'floatnl'):
        number = rng.choice([*map(str, _NUMBERS), '00', '01', '-1', '1e300', 'nan', '9' * 5000])
        return number.encode() + (b'L' if kind == 'decimalnl_long' else b'') + b'\n'
    if kind == 'float8':
        return rng.randbytes(8)
    width = op.arg.n
    if width > 0:  # a number
        number = rng.choice([rng.randrange(8), rng.choice(_NUMBERS)])
        return (number % 2**(8 * width)).to_bytes(width, 'little')
    size = _LENGTHS.get(width, 4)
    data = rng.choice([*_TEXTS, bytes(8), rng.randbytes(rng.randrange(40))])
    length = len(data) if rng.random() < .95 else rng.choice(_NUMBERS)
    return (length % 2**(8 * size)).to_bytes(size, 'little') + data


_FRAGMENTS = [  # whole objects, which random instructions would rarely make
    pickle.dumps(value, protocol)[2 if protocol > 1 else 0:-1] for protocol in (0, 2, 4)
    for value in (np.zeros(2), np.float32(1), np.array('ab'), [1, (2, 'a')], {'a': 1}, {1, 'b'},
                  frozenset('a'), OrderedDict(a=1), b'ab', bytearray(b'ab'), 2**70)]


def instructions(rng):
    """A program of random instructions, biased to those that find enough on the stack."""
    out = [b'\x80\4'] if rng.random() < .5 else []
    for _ in range(rng.choice([3, 10, 30, 100])):
        if rng.random() < .25:
            out.append(rng.choice(_FRAGMENTS))
            continue
        op = rng.choice(pickletools.opcodes)
        if op.code == '.':
            continue
        out.append(op.code.encode('latin1') + (argument(rng, op) if op.arg else b''))
    return b''.join(out) + b'.'


def value_of(rng, depth=0):
    """A value that a pickle may hold."""
    if depth < 3 and rng.random() < .5:
        items = [value_of(rng, depth + 1) for _ in range(rng.randrange(5))]
        return rng.choice([list, tuple, lambda x: dict(zip('abcdef', x, strict=False)),
                           lambda x: OrderedDict(zip('abcdef', x, strict=False))])(items)
    return rng.choice([
        None, True, 3, 2**40, -1, 1.5, 'text', 'ä' * 300, b'bytes', bytearray(b'ab'), {1, 'a'},
        frozenset([2]), np.float32(1), np.int64(3), np.zeros((2, 3), 'f2'), np.arange(5),
        np.asfortranarray(np.ones((3, 2))), np.array(['a', 'bc']), np.ones(3, bool),
        np.zeros(3, '>f4')])


def damaged(rng):
    """The pickle of a value, of which instructions or bytes are changed, moved or repeated."""
    content = pickle.dumps(value_of(rng), rng.randrange(6))
    if rng.random() < .5:  # by bytes
        data = bytearray(content)
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = rng.randrange(len(data))
            part = data[at:at + rng.randrange(1, 20)]
            data[at:at + rng.choice([0, 1, len(part)])] = rng.choice([
                rng.randbytes(1), rng.choice(_CODES), b'', part + part, bytes(part[::-1])])
            data = data or bytearray(b'.')
        return bytes(data)
    places = [place for _, _, place in pickletools.genops(content)] + [len(content)]
    parts = [content[a:b] for a, b in zip(places, places[1:], strict=False)]
    for _ in range(rng.choice([1, 1, 2, 5])):
        i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
        kind = rng.randrange(5)
        if kind == 0:
            parts[i], parts[j] = parts[j], parts[i]
        elif kind == 1:
            parts.insert(i, parts[j])
        elif kind == 2 and len(parts) > 1:
            del parts[i]
        elif kind == 3:
            op = rng.choice([op for op in pickletools.opcodes if op.code != '.'])
            parts.insert(i, op.code.encode('latin1') + (argument(rng, op) if op.arg else b''))
        else:
            parts[i:i] = parts[j:j + 6]
    return b''.join(parts)


_ALLOWED = (type(None), bool, int, float, str, bytes, bytearray, list, tuple, dict, OrderedDict,
            set, frozenset, np.ndarray, Constructor)


def check(value, seen):
    """Check that only plain values come out, and that all of their memory can be read."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    kind = type(value)
    assert kind in _ALLOWED or isinstance(value, np.generic) or kind.__name__ == '_DType', kind
    if isinstance(value, (np.ndarray, np.generic)):
        assert value.dtype.kind in 'biufU'
        if value.size:
            value.tobytes()
            assert value.size * value.itemsize < 10**6
    elif isinstance(value, dict):
        check(list(value.items()), seen)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            check(item, seen)


def stand_ins():
    """What a pickle might change: attributes of everything that it can reach."""
    return [(key, id(c.build), id(c.set_state), sorted(vars(c.build)) if isinstance(c.build, type)
             else sorted(getattr(c.build, '__dict__', ()))) for key, c in CONSTRUCTORS.items()]


def run(first, count):
    """Try cases; returns the kinds of their ends."""
    before, ends = stand_ins(), Counter()
    for seed in range(first, first + count):
        rng = random.Random(seed)
        content = (instructions if seed % 2 else damaged)(rng)
        start = time.process_time()
        end = 'read'
        try:
            value = RestrictedUnpickler(io.BytesIO(content)).load()
        except Exception as error:
            value, end = show(error), type(error).__name__
        ends[end] += 1
        try:
            check(value, {})
            show(value)
        except Exception as error:
            raise AssertionError(f'seed {seed}: {error}') from error
        assert time.process_time() - start < 2, f'seed {seed} takes long'
    assert stand_ins() == before
    return dict(ends)


@pytest.mark.parametrize('first', range(0, 8 * CASES, CASES))
def test_random_pickle_is_an_error_or_plain_values(first):
    outcome = run_limited(run, first, CASES, memory=MEMORY, seconds=SECONDS)
    assert outcome.value, f'seeds {first} to {first + CASES}: {outcome}'
    ends = outcome.value
    assert ends['read'] > CASES / 25
    assert ends['RefusedPickle'] > CASES / 20


if __name__ == '__main__':
    total, begin = Counter(), time.time()
    for first in range(0, int(sys.argv[1]), CASES):
        outcome = run_limited(run, first, CASES, memory=MEMORY, seconds=SECONDS)
        if outcome.value:
            total.update(outcome.value)
        else:
            print(f'seeds {first} to {first + CASES}: {outcome}')
    print(f'{sum(total.values())} cases in {time.time() - begin:.0f} s: {dict(total)}')
