"""Annotation files that were made to crash, hang or fill memory."""

import io
import pickle
import struct
import time
import zipfile

import numpy as np
import pytest

from mofm.annotations import AnnotationError, dump_annotations, load_annotations
from mofm.annotations.unpickling import CONSTRUCTORS, RestrictedUnpickler
from mofm.datasets import MotionDataset
from mofm.utils.untrusted import open_zip, parse_json, read_npy, read_npz, to_array
from tests.limited import run_limited
from tests.test_annotations.samples import clip

_RAW = b'B' + struct.pack('<I', 8) + struct.pack('<d', 7)
_DTYPE = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"
_NEW = b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS"b"\ntR'
_STATE = b'(I1\n(I1\nt' + _DTYPE + b'I00\n' + _RAW + b't'
_FROMBUFFER = b'cnumpy._core.numeric\n_frombuffer\n('
_BIG = 8 * 10**5  # more than NumPy copies


def nested(level, repeat, head=b'', tail=b''):
    """A tuple of tuples: one level in ``repeat + 1`` bytes, with shared items."""
    return b'\x80\4' + head + b'N' + (b'2' * (repeat - 1) + {1: b'\x85', 2: b'\x86'}[repeat]
                                      ) * level + tail + b'.'


#: Pickles of arrays whose data, type or state are not what they seem.
UNSAFE = {
    'data is an array': _FROMBUFFER + _NEW + _STATE + b'b' + _DTYPE + b"(I1\ntS'C'\ntR.",
    'data is a text': _FROMBUFFER + b"S'12345678'\n" + _DTYPE + b"(I1\ntS'C'\ntR.",
    'data of another size': _FROMBUFFER + _RAW + _DTYPE + b"(I2\ntS'C'\ntR.",
    'data of a scalar is an array': b'cnumpy.core.multiarray\nscalar\n(' + _DTYPE + _NEW + _STATE
    + b'btR.',
    'state is set twice': _NEW + _STATE + b'b' + _STATE + b'b.',
    'state of an array in a list is set twice': b'(' + _NEW + b'p9\n' + _STATE + b'bg9\n' + _STATE
    + b'bl.',
    'state of a view': _FROMBUFFER + _RAW + _DTYPE + b"(I1\ntS'C'\ntR" + _STATE + b'b.',
    'state is a bytearray': _NEW + b'(I1\n(I1\nt' + _DTYPE + b'I00\ncbuiltins\nbytearray\n(' + _RAW
    + b'tRtb.',
    'state is missing': b'(' + _NEW + b'l.',
    'negative shape': _NEW + b'(I1\n(I-1\nI-1\nt' + _DTYPE + b'I00\n' + _RAW + b'tb.',
    'shape of other numbers': _NEW + b'(I1\n(F1.0\nt' + _DTYPE + b'I00\n' + _RAW + b'tb.',
    'type of objects': b"(cnumpy\ndtype\n(S'O8'\nI0\nI1\ntRl.",
    'type without size': b"(cnumpy\ndtype\n(S'U0'\nI0\nI1\ntRl.",
    'type is a class': _NEW + b'(I1\n(I1\ntcnumpy\nndarray\nI00\n' + _RAW + b'tb.',
    'call of ndarray': b'cnumpy\nndarray\n((I1\ntS"O"\ntR.',
    'ndarray by NEWOBJ': b'cnumpy\nndarray\n((I1\ntt\x81.',
    'bytearray extended': b'cbuiltins\nbytearray\n(' + _RAW + b'tR(I1\nI2\ne.',
    'bytearray of a number': b'cbuiltins\nbytearray\n(I1000000000\ntR.',
    'bytes of a number': b'cbuiltins\nbytes\n(I1000000000\ntR.',
    'text of another encoding': b"c_codecs\nencode\n(S'a'\nS'punycode'\ntR.",
    'set of a number': b'cbuiltins\nset\n(I3\ntR.',
    'OrderedDict of a list of numbers': b'ccollections\nOrderedDict\n((I1\nltR.',
    'state of a class': b"cnumpy\nndarray\n(dS'__new__'\nI1\nsb.",
    'state of a function': b"c_codecs\nencode\nN(dS'__code__'\nI1\nstb.",
    'slots of a class': b"cnumpy\ndtype\n(N(dS'__init__'\nI1\nstb.",
    'state of a dict': b"(d(dS'a'\nI1\nsb.",
    'item of a class': b"cnumpy\ndtype\nS'dtype'\nI1\ns.",
    'append to a class': b'cnumpy\ndtype\nI1\na.',
    'items of an array': _NEW + _STATE + b'bI0\nI1\ns.',
    'OBJ': b'(cnumpy\ndtype\no.', 'INST': b'(inumpy\ndtype\n.', 'EXT1': b'\x82\1.',
    'NEWOBJ_EX': b'\x80\4cnumpy\ndtype\n)}\x92.', 'PERSID': b'P1\n.', 'BINPERSID': b'NQ.',
    'NEXT_BUFFER': b'\x80\5\x97.', 'READONLY_BUFFER': b'\x80\5N\x98.',
    'call of a result': b'cbuiltins\nset\n(ltR(tR.', 'name is no text': b'\x80\4NN\x93.',
}
#: Pickles that take time or memory far beyond their size.
GREEDY = {
    'memo': b'\x80\4Nr' + struct.pack('<I', 2**27) + b'.',
    'memo as text': b'Np134217728\n.', 'negative memo': b'Np-1\n.',
    'bytes': b'\x80\4B' + struct.pack('<I', 2**31 - 1), 'integer': b'\x80\4\x8b\xff\xff\xff\x7f1',
    'frame': b'\x80\4\x95' + struct.pack('<Q', 2**40) + b'N.',
    'bytearray': b'\x80\5\x96' + struct.pack('<Q', 2**62),
    'deep tuple in a set': nested(200_000, 1, b'\x8f(', b'\x90'),
    'deep tuple as key': nested(200_000, 1, b'}', b'Ns'),
    'deep tuple in a frozenset': nested(200_000, 1, b'(', b'\x91'),
    'deep list': b'\x80\4' + b']' * 10**5 + b'a' * (10**5 - 1) + b'.',
    'deep tuple': nested(10**5, 1), 'shared tuple': nested(200, 2),
    'shared tuple in a set': nested(200, 2, b'\x8f(', b'\x90'),
    'list in itself': b']q\0h\0a.',
    'equal hashes': b'\x80\4}(' + b''.join(
        pickle.dumps(i * (2**61 - 1), 2)[2:-1] + b'N' for i in range(1, 10**5)) + b'u.',
    'equal hashes of tuples': pickle.dumps({(i, ) for i in range(10**5)}),
    'same data in many arrays': b'\x80\4' + b'B' + struct.pack('<I', _BIG) + bytes(_BIG) + b'q\0('
    + (_NEW + b'(I1\n(I100000\nt' + _DTYPE + b'I00\nh\0tb') * 3000 + b't.',
    'same set many times': b'\x80\4](' + b'K\1' * 10**5 + b'eq\0('
    + b'cbuiltins\nset\n(h\0tR' * 10**4 + b't.',
    'sets': b'\x80\4(' + b'\x8f' * 10**6 + b't.',
    'shared lists in an OrderedDict as key': b'}(ccollections\nOrderedDict\n(tR' + b"S'a'\n]"
    + b'q\x000](h\0h\0e' * 40 + b'stNs.',
    'text with invalid characters': _NEW + b'(I1\n(I1\nt' + _DTYPE.replace(b'f8', b'U2')
    + b'I00\nB' + struct.pack('<I2I', 8, 0x110000, 0) + b'tb.',
}
_CASES = {**UNSAFE, **GREEDY}


@pytest.mark.parametrize('name', sorted(_CASES))
def test_pickle_with_an_attack_is_refused(tmp_path, name):
    path = tmp_path / 'a.pkl'
    path.write_bytes(_CASES[name])
    start = time.time()
    outcome = run_limited(load_annotations, path, memory=2**29, seconds=10)
    assert isinstance(outcome.error, AnnotationError), outcome
    assert str(path) in str(outcome.error)
    assert len(str(outcome.error)) < 600
    assert 'found' not in str(outcome.error), 'the attack was read'
    assert time.time() - start < 8


def test_pickle_of_one_array_built_twice_keeps_the_stored_value():
    """Two arrays of the same bytes have the value of the file."""
    view = _FROMBUFFER + b'g0\n' + _DTYPE + b"(I1\ntS'C'\ntR"
    content = b'(' + _RAW + b'p0\n0' + view + view + b'l.'
    first, second = RestrictedUnpickler(io.BytesIO(content)).load()
    assert first.tolist() == second.tolist() == [7]


def test_pickle_cannot_change_what_builds_its_objects():
    for constructor in CONSTRUCTORS.values():
        assert not hasattr(constructor, '__dict__')
        with pytest.raises(AttributeError):
            constructor.build = None


@pytest.mark.parametrize('protocol', range(6))
def test_pickle_of_every_plain_value_is_read(protocol):
    shared = (1, 'a')
    values = [None, True, False, 0, -1, 255, 256, 65536, -2**31, 2**31, 2**63, -2**100,
              10**400, 1.5, float('inf'), '', 'text', 'ä\ud800', 'x' * 300, b'', b'ab',
              b'x' * 300, bytearray(b'ab'), bytearray(), (), (1, ), (1, 2), (1, 2, 3), [], [1],
              list(range(2000)), {}, {1: 2, 'a': (3, ), (1, 'b'): 4, 1.5: 5, None: 6, False: 7},
              set(), {1, 'a', (2, 3)}, frozenset(), frozenset({1.5}), shared, shared]
    read = RestrictedUnpickler(io.BytesIO(pickle.dumps(values, protocol))).load()
    assert read == values
    assert list(map(type, read)) == list(map(type, values))
    assert read[-1] is read[-2]


@pytest.mark.parametrize('protocol', range(6))
def test_pickle_of_every_array_is_read(protocol):
    base = np.arange(24).reshape(2, 3, 4)
    arrays = [base.astype(kind) for kind in ('b1', 'i1', 'u2', '>i4', '<u8', 'f2', '>f4', 'f8',
                                             'U3', '>U3')]
    arrays += [np.asfortranarray(base), base.transpose(1, 2, 0), base[:, ::2], np.zeros((0, 3)),
               np.zeros(()), np.zeros(0, 'U'), np.zeros(10**5), np.float32(.5), np.int64(-3),
               np.bool_(True), np.str_('ab'), base.astype('f4')[None]]
    content = pickle.dumps(arrays, protocol)
    read = RestrictedUnpickler(io.BytesIO(content)).load()
    for found, array in zip(read, pickle.loads(content), strict=True):
        assert type(found) is type(array)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        assert found.flags.f_contiguous == array.flags.f_contiguous


def test_pickle_of_python_2_is_read():
    """Its texts are bytes, which the data of arrays and scalars are, too."""
    data = np.array([1.5, -2e300, np.pi])
    f8 = (b'cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff'
          b'K\x00tb')
    content = (
        b'\x80\x02(cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R'
        b'(K\x01K\x03\x85' + f8 + b'\x89U\x18' + data.tobytes() + b'tb'
        b'cnumpy.core.multiarray\nscalar\n' + f8 + b'U\x08' + data[:1].tobytes() + b'\x86R'
        b'U\x04caf\xe9l.')
    array, scalar, text = RestrictedUnpickler(io.BytesIO(content)).load()
    np.testing.assert_array_equal(array, data)
    assert (scalar, text) == (1.5, 'café')
    np.testing.assert_array_equal(pickle.loads(content, encoding='latin1')[0], data)


def test_large_pickle_that_shares_much_is_read_with_a_limit(tmp_path, monkeypatch):
    array = np.zeros(10**6)
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps([clip(), [array] * 200], 4))
    with pytest.raises(AnnotationError, match='become .* bytes, more than the limit expansion'):
        load_annotations(tmp_path / 'a.pkl')
    monkeypatch.setenv('MOFM_LIMITS', 'expansion=1000')
    assert len(load_annotations(tmp_path / 'a.pkl')['annotations'][1]) == 200


def test_pickle_is_read_from_its_position_only():
    file = io.BytesIO(b'head' + pickle.dumps(3) + b'tail')
    file.seek(4)
    assert RestrictedUnpickler(file).load() == 3


def packed(members, level=9):
    """A compressed zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def npy(shape, descr='<f8', data=b''):
    head = repr(dict(descr=descr, fortran_order=False, shape=shape)).encode() + b'\n'
    return b'\x93NUMPY\1\0' + struct.pack('<H', len(head)) + head + data


def overlapping():
    """Many members that are the same bytes of the archive."""
    content = packed([('a', bytes(10**7))])
    start = content.index(b'PK\1\2')
    end = content.index(b'PK\5\6')
    entry = content[start:end]
    tail = struct.pack('<4s4H2LH', b'PK\5\6', 0, 0, 3000, 3000, 3000 * len(entry), start, 0)
    return content[:start] + entry * 3000 + tail


def lzma():
    """An array whose decompression asks for a dictionary of 4 GiB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_LZMA) as archive:
        archive.writestr('a.npy', npy((0, )))
    content = out.getvalue()
    start = content.index(b'a.npy') + len('a.npy') + 5
    return content[:start] + b'\xff' * 4 + content[start + 4:]


def clips(**changed):
    """Columns of one clip, some of them changed."""
    out = io.BytesIO()
    np.savez(out, **{**dict(
        frame_dir=np.array(['a']), label=np.array([0]), img_shape=np.array([[9, 9]]),
        total_frames=np.array([2]), num_person=np.array([1]), keypoint=np.zeros((2, 17, 2)),
        keypoint_score=np.zeros((2, 17)), metainfo=np.array('{}')), **changed})
    return out.getvalue()


def columns(count):
    """Columns of clips without frames."""
    out = io.BytesIO()
    zeros = np.zeros(count, np.int8)
    np.savez_compressed(
        out, frame_dir=zeros.astype('U1'), label=zeros, img_shape=np.zeros((count, 2), np.int8),
        total_frames=zeros, num_person=zeros, keypoint=np.zeros((0, 17, 2)),
        keypoint_score=np.zeros((0, 17)), metainfo='{}')
    return out.getvalue()


#: Files by suffix, and words of their error.
FILES = {
    'npz of empty members': ('.npz', lambda: packed((f'{i}.npy', b'') for i in range(20_000)), ''),
    'npz of many empty arrays': ('.npz', lambda: packed((f'{i}.npy', npy((0, )))
                                                        for i in range(5000)), ''),
    'npz that unpacks': ('.npz', lambda: packed([('keypoint.npy', npy((2**27, ), '|i1', bytes(
        2**27)))]), 'expansion'),
    'npz of clips without frames': ('.npz', lambda: columns(10**6), 'expansion'),
    'npz of a huge shape': ('.npz', lambda: packed([('label.npy', npy((2**40, )))]), 'shape'),
    'npz of a huge empty shape': ('.npz', lambda: packed([('label.npy', npy((2**40, 0)))]),
                                  'shape'),
    'npz of items without size': ('.npz', lambda: packed([('label.npy', npy((2**30, ), '<U0'))]),
                                  'shape'),
    'npz with a name twice': ('.npz', lambda: packed([('a.npy', npy((0, )))] * 2), 'twice'),
    'npz of another compression': ('.npz', lzma, 'deflate'),
    'npz of structures': ('.npz', lambda: clips(label=np.zeros(1, 'f8,f8')), 'not read'),
    'npz of other booleans': ('.npz', lambda: packed([('a.npy', npy((1, ), '|b1', b'\2'))]),
                              'booleans'),
    'npz of invalid characters': ('.npz', lambda: clips(frame_dir=np.array(
        [0x110000], 'u4').view('U1')), 'characters'),
    'npz of a text as number': ('.npz', lambda: clips(
        num_person=np.array(['a']), total_frames=np.array([10**10])), 'num_person'),
    'npz of a list as number': ('.npz', lambda: clips(
        num_person=np.array([[1]]), total_frames=np.array([10**10])), 'num_person'),
    'npz of negative numbers': ('.npz', lambda: clips(
        num_person=np.array([-1]), total_frames=np.array([-2])), 'num_person'),
    'npz of fractions': ('.npz', lambda: clips(total_frames=np.array([2.])), 'total_frames'),
    'npz whose members overlap': ('.npz', overlapping, 'expansion'),
    'deep json': ('.json', lambda: b'[' * 10**6 + b']' * 10**6, 'Recursion'),
    'deeper json than the limit': ('.json', lambda: b'[' * 100 + b']' * 100, 'depth'),
    'json of deep objects': ('.json', lambda: b'{"a":' * 200 + b'1' + b'}' * 200, 'depth'),
    'json of digits': ('.json', lambda: b'[{"label": ' + b'1' * 10**6 + b'}]', 'digits'),
}


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize('name', sorted(FILES))
def test_annotation_file_with_an_attack_is_refused(tmp_path, name):
    suffix, content, words = FILES[name]
    path = tmp_path / f'a{suffix}'
    path.write_bytes(content())
    outcome = run_limited(load_annotations, path, memory=2**29, seconds=10)
    assert isinstance(outcome.error, AnnotationError), outcome
    assert str(path) in str(outcome.error)
    assert words in str(outcome.error)
    assert len(str(outcome.error)) < 600


def test_nested_texts_become_no_array():
    """NumPy would give each the size of the longest one."""
    texts = ['a'] * 10**5 + ['a' * 10**6]
    for values in (texts, [[1., 'a']], [True], [None], 'a', [10**30]):
        outcome = run_limited(to_array, values, memory=2**28, seconds=5)
        assert isinstance(outcome.error, (ValueError, OverflowError)), outcome
    assert to_array([[1, 2.5], (3, np.float32(4))]).tolist() == [[1, 2.5], [3, 4]]


def test_limits_variable_accepts_larger_files(monkeypatch):
    deep, wide = '[' * 100 + ']' * 100, packed([('a.npy', npy((2**27, ), '|i1', bytes(2**27)))])
    monkeypatch.setenv('MOFM_LIMITS', 'depth=100 expansion=2000')
    assert len(parse_json(deep)) == 1
    assert read_npz(io.BytesIO(wide))['a'].shape == (2**27, )
    monkeypatch.setenv('MOFM_LIMITS', 'members=1')
    with pytest.raises(ValueError, match='2 files in an archive, more than the limit members=1'):
        open_zip(io.BytesIO(packed([('a', b''), ('b', b'')])))


def test_array_file_is_that_of_numpy():
    for array in (np.arange(6.).reshape(2, 3), np.asfortranarray(np.ones((2, 3), 'f2')),
                  np.array('text'), np.zeros((0, 3)), np.zeros((), '>i4')):
        file = io.BytesIO()
        np.save(file, array)
        found = read_npy(file)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        assert found.flags.f_contiguous == array.flags.f_contiguous
        assert found.flags.writeable


def test_npz_of_many_small_clips_is_read(tmp_path):
    anns = [clip(1, 2, name=f'clip{i}') for i in range(3000)]
    dump_annotations(dict(split={}, annotations=anns), tmp_path / 'a.npz')
    assert len(load_annotations(tmp_path / 'a.npz')['annotations']) == 3000


def doubled(levels=18):
    """A value that is printed in megabytes, within the limits."""
    value = ('x', )
    for _ in range(levels):
        value = (value, value)
    return value


PLACES = {
    **{f'annotation.{name}': {'annotations': [clip(), {**clip(1, 2, name='b'), name: doubled()}]}
       for name in (*clip(), 'clip', 'track_id', 'frame_inds', 'frame_label', 'segments')},
    'annotation': {'annotations': [clip(), doubled()]},
    'annotations': {'annotations': doubled()},
    'file': doubled(), 'file key': {'a': doubled()},
    'split': {'annotations': [clip()], 'split': doubled()},
    'ids': {'annotations': [clip()], 'split': {'train': doubled()}},
    'id': {'annotations': [clip()], 'split': {'train': [doubled()]}},
    'name of a split': {'annotations': [clip()], 'split': {('a', ) * 10**5: ['a']}},
    'metainfo': {'annotations': [clip()], 'metainfo': doubled()},
    'classes': {'annotations': [clip()], 'metainfo': {'classes': doubled()}},
    'class': {'annotations': [clip()], 'metainfo': {'classes': [doubled()]}},
    'classes by number': {'annotations': [clip()], 'metainfo': {'classes': {0: 'a'}}},
}


def problems_of(path):
    """Texts about a file, from a data set and from an error."""
    try:
        return list(map(str, MotionDataset(str(path)).problems))
    except AnnotationError as error:
        return [str(error)]


@pytest.mark.parametrize('place', sorted(PLACES))
def test_message_about_a_value_that_prints_in_megabytes_is_short(tmp_path, place):
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(PLACES[place], 4))
    outcome = run_limited(problems_of, path, memory=2**28, seconds=10)
    assert outcome.value, outcome
    for text in outcome.value:
        assert str(path) in text
        assert len(text) < 1000
