"""Hostile, damaged and odd checkpoints: a named error, no crash, no memory, no foreign code."""

import contextlib
import io
import pickle
import tarfile
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mofm.hub.checkpoint import check_state, load_local, load_weights
from mofm.hub.partial_loading import load_partial
from mofm.hub.released import read_content
from mofm.hub.torch_file import is_intact, read_torch_file
from tests.limited import run_limited
from tests.test_hub.hostile_checkpoints import (
    BUILD,
    DICT,
    FALSE,
    HISTORY,
    LIST,
    MARK,
    NEWOBJ,
    NONE,
    REDUCE,
    TRUE,
    array,
    array_state,
    call,
    dtype,
    entry,
    fuzz,
    ints,
    name,
    new_array,
    number,
    raw,
    real_checkpoint,
    storage,
    tensor,
    text,
    tuple_of,
    write,
)

OBJECTS = dtype('O8', tuple_of(number(3), text('|'), NONE, NONE, NONE, *map(number, (-1, -1, 63))))


def history(**state: bytes) -> bytes:
    """Push a history of MMEngine."""
    return name(HISTORY) + tuple_of() + NEWOBJ + DICT + b''.join(
        text(key) + value + b's' for key, value in state.items()) + BUILD


def shared(levels: int, first: bytes, last: bytes = b'') -> bytes:
    """Nest containers of which each has the one below twice."""
    return first + b''.join(b'q\x01h\x01\x86' for _ in range(levels)) + last


def shared_lists(levels: int) -> bytes:
    """Nest lists of which each has the one below twice."""
    return LIST + text('a') + b'a' + b'q\x010](h\x01h\x01e' * levels


ATTACKS = {
    # other memory
    'call of ndarray': call('numpy ndarray', ints(1), OBJECTS, raw(bytes(8))),
    'call of ndarray with pointers': entry('state_dict', call('numpy ndarray', ints(1), call(
        'numpy dtype', text('O8')), raw(b'A' * 8))),
    'array of objects': array((1, ), OBJECTS),
    'huge array of objects': call('numpy ndarray', ints(2**29), text('O8')),
    'array type with fields': array((1, ), call('numpy dtype', text('V8')) + tuple_of(
        number(3), text('|'), NONE, tuple_of(text('f')), entry('f', tuple_of(
            dtype('f8'), number(0))), number(8), number(1), number(16)) + BUILD),
    'array type that becomes objects': array((1, ), dtype('f8', tuple_of(
        number(3), text('<'), NONE, tuple_of(text('f')), entry('f', tuple_of(
            dtype('f8'), number(0))), number(8), number(1), number(63)))),
    'array type with a subarray': array((1, ), dtype('f8', tuple_of(
        number(3), text('<'), tuple_of(dtype('f8'), ints(9)), NONE, NONE, number(72), number(1),
        number(0)))),
    'array type with metadata': array((1, ), dtype('f8', tuple_of(
        number(4), text('<'), NONE, NONE, NONE, number(-1), number(-1), number(0), DICT))),
    'array type of any name': array((1, ), dtype('object')),
    'array of an array': array((1, ), None, array()),
    'array of too few bytes': array((2, )),
    'array of a negative size': array((-1, ), None, raw(b'')),
    'array of a huge empty shape': array((2**40, 0, 2**40), None, raw(b'')),
    'array with two states': array() + array_state(ints(0), dtype('f8'), raw(b'')) + BUILD,
    'array without a state': new_array(),
    'array in its own state': new_array() + b'q\x01' + array_state(
        ints(1), dtype('f8'), b'h\x01') + BUILD,
    'array of other booleans': array((3, ), dtype('b1'), raw(b'\x00\x02\xff')),
    'scalar of objects': call('numpy.core.multiarray scalar', OBJECTS, raw(bytes(8))),
    'scalar of too few bytes': call('numpy.core.multiarray scalar', dtype('f8'), raw(bytes(7))),
    'history of text': history(_log_history=text('a'), _count_history=text('a'),
                               max_length=number(9)),
    'history of unequal lengths': history(_log_history=array(), _count_history=array(
        (2, ), None, raw(bytes(16))), max_length=number(9)),
    'history of arguments': call(HISTORY, shared_lists(31), shared_lists(31)),
    'history of long texts': name(HISTORY) + tuple_of(*[
        LIST + MARK + text('a') * 20_000 + text('a' * 10**5) + b'e'] * 2) + NEWOBJ,
    'history with a foreign statistic': history(
        _log_history=array(), _count_history=array(), max_length=number(9),
        statistics_methods=entry('mean', name('os system'))),
    # storages and tensors
    'storage larger than its record': tensor(ints(4), values=storage(4)),
    'storage smaller than its record': tensor(ints(2), values=storage(2)),
    'storage without a record': tensor(values=storage(3, '9')),
    'storage of another folder': tensor(values=storage(3, '../data.pkl')),
    'storage of a negative size': tensor(values=storage(-3)),
    'storage of a huge size': tensor(values=storage(2**62)),
    'storage of two types': tuple_of(tensor(), tensor(values=storage(
        3, kind='torch IntStorage'))),
    'storage of a number as key': tensor(values=storage(3, number(0))),
    'storage of other booleans': tensor(values=storage(12, kind='torch BoolStorage')),
    'storage that is no tensor': storage(),
    'storage called': call('torch FloatStorage', number(2**40)),
    'storage without type': call('torch.storage UntypedStorage', number(2**40)),
    'tensor beyond its storage': tensor(ints(4)),
    'tensor with large strides': tensor(ints(2), ints(3)),
    'tensor with a large offset': tensor(ints(1), ints(1), number(3)),
    'tensor with a negative offset': tensor(ints(1), ints(1), number(-1)),
    'tensor with negative strides': tensor(ints(2), ints(-1), number(1)),
    'tensor of a negative size': tensor(ints(-3)),
    'tensor of a huge size': tensor(ints(2**62), ints(2**62)),
    'tensor whose size overflows': tensor(ints(2**33, 2**33), ints(0, 0)),
    'tensor of a huge empty shape': tensor(ints(2**60, 0, 2**60), ints(0, 0, 0)),
    'tensor expanded without end': tensor(ints(2**40), ints(0)),
    'tensor of many dimensions': tensor(ints(*[1] * 1000), ints(*[1] * 1000)),
    'tensor of fractions': tensor(tuple_of(b'G' + bytes(8))),
    'tensor with hooks': tensor(ints(3), ints(1), number(0), storage(), FALSE, entry(
        'a', NONE)),
    'tensor with flags of complex numbers': tensor(ints(3), ints(1), number(0), storage(), FALSE,
                                                   DICT, entry('conj', TRUE)),
    'tensor allocated': call('torch Tensor', number(2**40)),
    'tensor allocated as object': name('torch Tensor') + ints(2**40) + NEWOBJ,
    'tensor with a state': tensor() + tuple_of(storage(), number(0), ints(9), ints(1)) + BUILD,
    'parameter of text': call('torch._utils _rebuild_parameter', text('a'), TRUE, DICT),
    'tensor of another class': call('torch._tensor _rebuild_from_type_v2', name(
        'torch._utils _rebuild_tensor_v2'), name(HISTORY), tuple_of(), DICT),
    'tensor by another function': call('torch._tensor _rebuild_from_type_v2', name(
        'builtins getattr'), name('torch Tensor'), tuple_of(), DICT),
    **{f'tensor by {function}': call(f'torch._utils {function}', storage())
       for function in ('_rebuild_sparse_tensor', '_rebuild_qtensor', '_rebuild_nested_tensor',
                        '_rebuild_meta_tensor_no_storage', '_rebuild_wrapper_subclass',
                        '_rebuild_tensor_v3', '_rebuild_device_tensor_from_numpy',
                        '_rebuild_device_tensor_from_cpu_tensor',
                        '_rebuild_parameter_with_state')},
    # foreign code
    'os.system': call('os system', text('exit 1')),
    'posix.system': call('posix system', text('exit 1')),
    'eval': call('builtins eval', text('exit(1)')),
    'eval of Python 2': call('__builtin__ eval', text('exit(1)')),
    'name with dots': call('collections OrderedDict.fromkeys', LIST),
    'getattr of a builder': call('builtins getattr', name('torch._utils _rebuild_tensor_v2'),
                                 text('__globals__')),
    'getattr of a history': call('builtins getattr', name(HISTORY), text('__init__')),
    'call of a text': call(text('eval'), text('exit(1)')),
    'call of a type': call('torch float32', text('a')),
    'call of a tuple': call(tuple_of(text('builtins.getattr')), name(HISTORY), text('min')),
    'call without a tuple': name('torch Size') + number(3) + REDUCE,
    'state of a function': name('torch._utils _rebuild_tensor_v2') + entry(
        '__defaults__', tuple_of(TRUE)) + BUILD,
    'state of a class': name(HISTORY) + entry('mean', NONE) + BUILD,
    'state of a type': name('torch float32') + entry('a', NONE) + BUILD,
    'state of a dict': DICT + entry('a', NONE) + BUILD,
    'state of an ordered dict': call('collections OrderedDict') + entry('items', NONE) + BUILD,
    'slots of an ordered dict': call('collections OrderedDict') + tuple_of(
        NONE, entry('_metadata', DICT)) + BUILD,
    'versions of a state dict': call('collections OrderedDict') + entry(
        '_metadata', entry('', entry('version', text('a')))) + BUILD,
    'item of a function': name('torch._utils _rebuild_tensor_v2') + text('a') + NONE + b's',
    'items of a tensor': tensor() + text('a') + NONE + b's',
    # time and memory
    'nested tuples': tuple_of() + b'\x85' * 200_000,
    'nested tuples in a set': call('builtins set', LIST + tuple_of() + b'\x85' * 50_000 + b'a'),
    'nested tuples as a key': entry(tuple_of() + b'\x85' * 50_000, NONE),
    'nested lists': LIST * 50_000 + b'a' * 49_999,
    'nested dicts': (DICT + text('a')) * 50_000 + NONE + b's' * 50_000,
    'list in itself': LIST + b'q\x01h\x01a',
    'dict in itself': DICT + b'q\x01' + text('a') + b'h\x01s',
    'versions in themselves': call('collections OrderedDict') + b'q\x01' + entry(
        '_metadata', b'h\x01') + BUILD + text('a') + b'h\x01s',
    'shared tuples': shared(60, tuple_of(text('a'))),
    'shared lists': b''.join([text('a' * 1000), b'q\x01',
                              b'](h\x01h\x01eq\x01' * 40]),
    **{f'shared lists in {kind} as a key': entry(tuple_of(call(f'collections {kind}') + text(
        'a') + shared_lists(40) + b's'), NONE) for kind in ('OrderedDict', 'Counter')},
    'shared tuples as a key': entry(shared(40, text('a')), NONE),
    'shared tuples in a set': call('builtins set', LIST + shared(40, text('a')) + b'a'),
    'long text shared': text('a' * 2**20) + b'q\x01' + LIST + MARK + b'h\x01' * 1000 + b'e',
    'large array shared': array((2**17, ), None, raw(bytes(2**20))) + b'q\x01' + LIST + MARK +
    b'h\x01' * 1000 + b'e',
    'integers of one hash': DICT + b''.join(number(n * (2**61 - 1)) + NONE + b's'
                                            for n in range(1, 1000)),
    'four-byte integer': b'\x8b\xff\xff\xff\x7f',
    'text longer than the file': b'X\xff\xff\xff\xff',
    'bytes longer than the file': b'\x8e' + b'\xff' * 7 + b'\x7f',
    'size of many dimensions': call('torch Size', ints(*range(100))),
    'device of any number': call('torch device', text('cuda'), number(2**62)),
    'bytes of a number': call('builtins bytes', number(2**40)),
    'bytearray of a number': call('builtins bytearray', number(2**40)),
    'counter of text': call('collections Counter', text('a' * 9)),
    'ordered dict of text': call('collections OrderedDict', text('ab')),
    'text encoded otherwise': call('_codecs encode', text('a'), text('punycode')),
    'memo of a huge index': DICT + b'r\xff\xff\xff\x7f',
    # other programs
    'empty program': b'',
    'empty stack': REDUCE,
    'frame without mark': b't',
    'memo without entry': b'h\x07',
    'odd items': DICT + MARK + text('a') + b'u',
    'duplicate of the top': DICT + b'22',
    'name from the stack': text('os') + text('system') + b'\x93',
    'class of Python 1': MARK + b'ios\nsystem\n',
    'object of Python 1': MARK + name('os system') + b'o',
    'extension': b'\x82\x01',
    'persistent text': b'P0\n',
    'foreign persistent object': tuple_of(text('module'), name('torch FloatStorage'), text('0'),
                                          text('cpu'), number(3)) + b'Q',
    'persistent number': number(3) + b'Q',
    'buffer': b'\x97',
}


def attack(path, ignore=False):
    """Return the message of the refusal, None if there is none."""
    try:
        read_torch_file(path, ignore=ignore)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize('kind', ATTACKS)
def test_hostile_checkpoint_is_refused(tmp_path, kind):
    """In little time and memory, with the file, and a message of one short line."""
    path = write(tmp_path / 'a.pth', ATTACKS[kind])
    before = set(torch.serialization.get_safe_globals())
    outcome = run_limited(attack, path, memory=2**29, seconds=20)
    assert isinstance(outcome.value, str), outcome
    assert 'a.pth: not a readable checkpoint' in outcome.value
    assert len(outcome.value) < 800
    assert '\n' not in outcome.value
    assert 'MemoryError' not in outcome.value
    assert 'RecursionError' not in outcome.value
    assert set(torch.serialization.get_safe_globals()) == before


def test_hostile_programs_are_well_formed(tmp_path):
    """The pieces of the attacks build what they say if nothing is wrong with them."""
    program = entry('a', tuple_of(tensor(), array(), history(
        _log_history=array(), _count_history=array(), max_length=number(9)),
        call('torch Size', ints(3)), number(2**70)))
    found = read_torch_file(write(tmp_path / 'a.pth', program))
    assert found['a'][0].tolist() == [1, 2, 3]
    assert found['a'][1].tolist() == [0]
    assert found['a'][2].current() == 0
    assert found['a'][3:] == (torch.Size([3]), 2**70)


def test_released_reader_is_no_way_around(tmp_path):
    """It ignores objects of unknown classes, and nothing else."""
    paths = {kind: write(tmp_path / f'{i}.pth', program)
             for i, (kind, program) in enumerate(ATTACKS.items()) if len(program) < 10_000}
    ignored = run_limited(lambda: {kind for kind, path in paths.items()
                                   if attack(path, ignore=True) is None}).value
    unknown = {kind for kind in ATTACKS if kind.startswith('tensor by _rebuild')} | {
        'os.system', 'posix.system', 'eval', 'eval of Python 2', 'name with dots',
        'history with a foreign statistic', 'storage without type'}
    assert ignored == unknown
    found = read_content(write(tmp_path / 'a.pth', entry('a', call('os system', text('exit 1')))))
    assert type(found['a']).__name__ == '_Ignored'


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize(('change', 'message'), [
    (lambda records: [*records, records[-1]], 'not of torch.save'),
    (lambda records: [(f'{i}/{key}', value) for i, (key, value) in enumerate(records)],
     'not of torch.save'),
    (lambda records: [*records, ('a/constants.pkl', b'')], 'not of torch.save'),
    (lambda records: records[1:], 'not of torch.save'),
    (lambda records: [records[0], ('a/byteorder', b'big'), *records[2:]], 'byte order'),
])
def test_archive_of_other_records_is_refused(tmp_path, change, message):
    path = write(tmp_path / 'a.pth', tensor())
    with zipfile.ZipFile(path) as archive:
        records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, 'w') as archive:
        for key, content in change(records):
            archive.writestr(key, content)
    assert not is_intact(path)
    with pytest.raises(ValueError, match=f'a.pth: .*{message}'):
        read_torch_file(path)


def test_archive_bombs_are_refused(tmp_path):
    """Compressed records, records that share their bytes, and endless lists of records."""
    path = write(tmp_path / 'a.pth', tensor(ints(2**28), values=storage(2**28)),
                 compression=zipfile.ZIP_DEFLATED, **{'0': bytes(2**20)})
    assert 'compressed' in run_limited(attack, path, memory=2**28).value
    path = write(tmp_path / 'b.pth', tensor(), **{str(i): bytes(2**20) for i in range(2)})
    content = path.read_bytes()
    second = content.rindex(b'PK\x01\x02')
    first = content.rindex(b'PK\x01\x02', 0, second)
    offset = content[first + 42:first + 46]
    path.write_bytes(content[:second + 42] + offset + content[second + 46:])
    assert 'b.pth: not a readable checkpoint' in run_limited(attack, path).value
    path = write(tmp_path / 'c.pth', tensor())
    content = bytearray(path.read_bytes())
    content[-10:-6] = (2**31).to_bytes(4, 'little')
    path.write_bytes(content)
    assert 'more than 1000000 records' in run_limited(attack, path).value


@pytest.mark.parametrize('legacy', [False, True])
def test_flipped_bit_is_noticed_or_harmless(tmp_path, legacy):
    """The format before torch 1.6 has no checksums, so that weights may change."""
    path, whole = tmp_path / 'a.pth', real_checkpoint(legacy)
    path.write_bytes(whole)
    expected = repr(without_buffers(read_torch_file(path)))
    assert is_intact(path) is not legacy
    draw = np.random.default_rng(0)
    differ = 0
    for position in range(0, len(whole), 3):
        content = bytearray(whole)
        content[position] ^= 1 << draw.integers(8)
        path.write_bytes(content)
        with contextlib.suppress(ValueError):
            differ += repr(without_buffers(read_torch_file(path))) != expected
    assert (differ > 0) is legacy


def without_buffers(value):
    """Replace histories by their data, whose text has no address."""
    if isinstance(value, dict):
        return {k: without_buffers(v) for k, v in value.items()}
    return value.data if isinstance(value, HistoryBuffer) else value


def damage(path):
    """Flip a bit of the first weight."""
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(0.625).tobytes()) + 3] ^= 64
    path.write_bytes(content)


@pytest.mark.parametrize('read', [
    load_local, lambda path: load_weights(torch.nn.Linear(1, 1), path),
    lambda path: load_partial(torch.nn.Linear(1, 1), path), read_content,
    CheckpointLoader.load_checkpoint])
def test_flipped_weight_is_noticed_by_all_readers(tmp_path, read):
    """MMEngine's loader is that of tests, ``load_from`` and ``resume``."""
    path = tmp_path / 'a.pth'
    state = dict(weight=torch.tensor([[0.625]]), bias=torch.zeros(1))
    torch.save(dict(state_dict=state), path)
    read(str(path))
    damage(path)
    assert torch.load(path)['state_dict']['weight'] > 1e30
    with pytest.raises(ValueError, match='a.pth: not a .*: weight: BadZipFile: Bad CRC'):
        read(str(path))


def test_all_schemes_of_mmengine_have_one_reader():
    """Model zoos and stores that MMEngine would read by itself are unknown names."""
    for scheme in CheckpointLoader._schemes:  # noqa: SLF001
        assert CheckpointLoader._schemes[scheme] is load_local, scheme  # noqa: SLF001
    with pytest.raises(FileNotFoundError, match='torchvision://resnet50: no such checkpoint'):
        CheckpointLoader.load_checkpoint('torchvision://resnet50')


def test_old_format_says_that_it_has_no_checksums(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mofm.hub.torch_file.print_log', lambda text, *_: lines.append(text))
    path = tmp_path / 'a.pth'
    path.write_bytes(real_checkpoint(legacy=True))
    found = load_local(str(path))
    assert found['state_dict'].keys() == {'weight', 'bias'}
    assert lines == [f'{path}: the format before torch 1.6, without checksums: damage of its '
                     'weights cannot be noticed']


@pytest.mark.parametrize('content', [
    b'', b'PK\x03\x04', b'<html>404</html>', b'epoch 3', bytes(1000), pickle.dumps({}),
    pickle.dumps({}, 2), real_checkpoint()[:-1], real_checkpoint()[:3000],
    real_checkpoint(legacy=True)[:-1], real_checkpoint(legacy=True)[:100]])
def test_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='a.pth: not a readable checkpoint'):
        load_local(str(path))


def test_tar_and_folders_and_links_are_refused(tmp_path):
    path = tmp_path / 'a.pth'
    with tarfile.open(path, 'w') as archive:
        archive.addfile(tarfile.TarInfo('pickle'), io.BytesIO())
    with pytest.raises(ValueError, match='a.pth: .*not of torch.save'):
        load_local(str(path))
    (tmp_path / 'link.pth').symlink_to(tmp_path / 'none.pth')
    with pytest.raises(FileNotFoundError, match='link.pth: no such checkpoint'):
        load_local(str(tmp_path / 'link.pth'))
    (tmp_path / 'folder.pth').mkdir()
    with pytest.raises(FileNotFoundError, match='folder.pth: found nothing'):
        load_local(str(tmp_path / 'folder.pth'))


WEIGHT = torch.ones(1, 2)


@pytest.mark.parametrize(('content', 'message'), [
    ([1], "content: found .1., expected a checkpoint"),
    (dict(model=dict(weight=WEIGHT), epoch=3), 'content.model: found .*, expected a tensor'),
    (dict(state_dict=None), 'state_dict: found None'),
    (dict(state_dict=dict(state_dict=dict(weight=WEIGHT))), 'state_dict.state_dict: found .*ten'),
    (dict(state_dict={3: WEIGHT}), 'state_dict, key: found 3, expected the name of a tensor'),
    (dict(state_dict=dict(weight=3.)), 'state_dict.weight: found 3.0, expected a tensor'),
    (dict(state_dict=dict(weight=WEIGHT * 1j)),
     'state_dict.weight: found torch.complex64, expected real numbers'),
    (dict(state_dict=dict(weight=WEIGHT.to_sparse())),
     'state_dict: weight: refused .*_rebuild_sparse_tensor'),
    (dict(state_dict=dict(weight=torch.quantize_per_tensor(WEIGHT, .1, 0, torch.qint8))),
     'state_dict: weight: refused .*_rebuild_qtensor'),
    (dict(state_dict=dict(weight=WEIGHT.to('meta'))), 'state_dict: weight: refused .*_meta_'),
    (dict(state_dict={}, ema_state_dict=[3]), 'ema_state_dict: found .3., expected a dict'),
    (dict(state_dict={}, meta=None), 'meta: found None, expected a dict'),
    (dict(state_dict={}, meta='epoch 3'), "meta: found 'epoch 3', expected a dict"),
    (dict(state_dict={}, meta=dict(epoch='3')), "meta.epoch: found '3', expected a number"),
    (dict(state_dict={}, meta=dict(iter=-1)), 'meta.iter: found -1, expected a number'),
    (dict(state_dict={}, meta=dict(cfg={})), 'meta.cfg: found .*, expected the text'),
    (dict(state_dict={}, meta=dict(dataset_meta=[])), 'meta.dataset_meta: found'),
    (dict(state_dict={}, meta=dict(dataset_meta=dict(classes='ab'))),
     "meta.dataset_meta.classes: found 'ab', expected class names"),
    (dict(state_dict={}, meta=dict(dataset_meta=dict(classes=[1]))), 'classes: found .1., expe'),
    (dict(state_dict={}, message_hub=None), 'message_hub: found None'),
    (dict(state_dict={}, message_hub=dict(log_scalars=[])), 'message_hub.log_scalars: found'),
    (dict(state_dict={}, optimizer=[]), 'optimizer: found'),
    (dict(state_dict={}, optimizer=dict(state={0: 3}, param_groups=[])), 'optimizer.state: fou'),
    (dict(state_dict={}, optimizer=dict(state={})), 'optimizer.param_groups: found None'),
    (dict(state_dict={}, optimizer=dict(state={}, param_groups=[{}])), 'groups: found .{}..*par'),
    (dict(state_dict={}, param_schedulers='a'), "param_schedulers: found 'a'"),
    (dict(state_dict={}, param_schedulers=[{}]), r'param_schedulers: found \[{}\], expected'),
    (dict(state_dict={}, resume=dict(hooks=[])), 'resume: found'),
])
def test_odd_checkpoint_names_file_and_field(tmp_path, content, message):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=f'a.pth: .*{message}'):
        load_local(str(tmp_path / 'a.pth'))


@pytest.mark.parametrize(('weight', 'message'), [
    (torch.ones(2, 2, dtype=torch.int64), r'weight: found \(2, 2\) of torch.int64, expected '
     r'\(2, 2\) of torch.float32'),
    (torch.ones(2, 2, dtype=torch.bool), r'weight: found \(2, 2\) of torch.bool'),
    (torch.ones(2, 0, 2**40), r'weight: found \(2, 0, \d+\), expected \(2, 2\)'),
    (torch.tensor([[1, 2], [np.nan, 1]]), 'weight: found NaN or infinite weights'),
    (torch.tensor([[1, 2], [np.inf, 1]]), 'weight: found NaN or infinite weights'),
])
def test_weights_of_another_kind_are_refused(tmp_path, weight, message):
    torch.save(dict(weight=weight, bias=torch.zeros(2)), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=f'a.pth.*{message}|a.pth(.|\n)*{message}'):
        load_weights(torch.nn.Linear(2, 2), str(tmp_path / 'a.pth'))


@pytest.mark.parametrize('kind', [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_loaded(kind):
    model = torch.nn.Linear(2, 2)
    check_state(model, {k: v.to(kind) for k, v in model.state_dict().items()}, 'a.pth')


@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_checkpoints_of_both_versions_of_numpy_are_read(tmp_path, core):
    path = tmp_path / 'a.pth'
    content = real_checkpoint()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(path, 'w') as target:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename.endswith('data.pkl'):
                assert data.count(b'numpy.core') + data.count(b'numpy._core') == 2
                data = data.replace(b'numpy.core', core.encode()).replace(
                    b'numpy._core', core.encode())
            target.writestr(info.filename, data)
    hub = load_local(str(path))['message_hub']
    assert hub['log_scalars']['loss'].mean() == 0.75
    assert hub['runtime_info'] == dict(n=3)


@pytest.mark.parametrize('legacy', [False, True])
def test_content_is_that_of_torch_load(tmp_path, legacy):
    """Views share their storage, and all kinds of tensors keep values, strides and type."""
    base = torch.arange(24.).reshape(2, 3, 4)
    content = OrderedDict(
        base=base, view=base[:, 1:].transpose(0, 2), scalar=torch.tensor(3), empty=base[:0],
        expanded=torch.ones(1).expand(5), parameter=torch.nn.Parameter(torch.ones(2)),
        **{str(kind): base.to(kind) for kind in (
            torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
            torch.int8, torch.uint8, torch.bool, torch.complex64)})
    torch.save(content, tmp_path / 'a.pth', _use_new_zipfile_serialization=not legacy)
    found, expected = read_torch_file(tmp_path / 'a.pth'), torch.load(tmp_path / 'a.pth')
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
        assert (found[key].dtype, found[key].stride()) == (value.dtype, value.stride()), key
    found['base'][:] = 7
    assert (found['view'] == 7).all()


def test_fuzzed_checkpoints_are_refused_or_read(tmp_path):
    """A subset of what ``python -m tests.test_hub.hostile_checkpoints 100000`` reads."""
    assert 10 < fuzz(0, 800, tmp_path) < 400
