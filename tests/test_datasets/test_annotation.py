"""Reading files that nobody vouches for, writing them, and the checks on one annotation."""

import io
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofm.annotations import AnnotationError, dump_annotations, load_annotations, validate


def clip(persons=1, frames=6, joints=17, label=0, name='a', dtype=np.float16, **changes):
    rng = np.random.default_rng(0)
    return dict(dict(
        frame_dir=name, label=label, img_shape=(480, 640), total_frames=frames,
        keypoint=(rng.random((persons, frames, joints, 2)) * 400 + 1).astype(dtype),
        keypoint_score=np.ones((persons, frames, joints), dtype)), **changes)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        if isinstance(a[key], np.ndarray):
            np.testing.assert_array_equal(a[key], b[key])
        else:
            assert tuple(np.atleast_1d(a[key])) == tuple(np.atleast_1d(b[key]))


def write(path, data, protocol=4):
    path.write_bytes(pickle.dumps(data, protocol))
    return path


# ---- files ------------------------------------------------------------------------------------
@pytest.mark.parametrize('protocol', range(6))
def test_pickles_of_every_protocol_are_read(tmp_path, protocol):
    ann = clip(2, label=np.int64(3), keypoint=np.asfortranarray(clip(2)['keypoint']),
               extra={'box_score': np.arange(3.), 'views': {1, 2}, 'n': np.float32(.5)})
    path = write(tmp_path / 'a.pkl', dict(split={'train': ['a']}, annotations=[ann]), protocol)
    data = load_annotations(path)
    read = data['annotations'][0]
    assert data['split'] == {'train': ['a']}
    assert type(read['keypoint']) is np.ndarray
    assert read['keypoint'].dtype == np.float16
    assert read['label'] == 3
    assert read['extra']['views'] == {1, 2}
    np.testing.assert_array_equal(read['extra'].pop('box_score'), ann['extra'].pop('box_score'))
    assert read['extra'] == ann['extra']
    np.testing.assert_array_equal(read['keypoint'], ann['keypoint'])


def test_module_names_of_numpy_1_and_2_are_both_known(tmp_path):
    raw = pickle.dumps([clip(label=np.int64(1))], 2)
    old, new = b'numpy.core.', b'numpy._core.'
    variants = {raw.replace(new, old), raw.replace(new, old).replace(old, new)}
    assert len(variants) == 2
    for content in variants:
        (tmp_path / 'a.pkl').write_bytes(content)
        assert_same(load_annotations(tmp_path / 'a.pkl')['annotations'][0], clip(label=1))


def test_big_endian_arrays_keep_their_values(tmp_path):
    keypoint = clip()['keypoint'].astype('>f4')
    path = write(tmp_path / 'a.pkl', [clip(keypoint=keypoint)])
    np.testing.assert_array_equal(load_annotations(path)['annotations'][0]['keypoint'], keypoint)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(0, 9)), min_size=1,
             max_size=4), st.sampled_from(['.pkl', '.npz', '.json']))
def test_writing_and_reading_round_trips(tmp_path_factory, sizes, suffix):
    anns = [clip(m, t, label=c, name=f'clip{i}') for i, (m, t, c) in enumerate(sizes)]
    data = dict(split={'train': [a['frame_dir'] for a in anns], 'empty': []}, annotations=anns,
                metainfo={'classes': ['x', 'y']})
    path = tmp_path_factory.mktemp('round') / f'a{suffix}'
    dump_annotations(data, path)
    read = load_annotations(path)
    assert read['split'] == data['split']
    assert read['metainfo'] == data['metainfo']
    for a, b in zip(read['annotations'], anns):
        assert_same(a, b)
        assert validate(a) is None


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.json'
    dump_annotations(dict(split={}, annotations=[clip()]), path)
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        dump_annotations(dict(split={}, annotations=[object()]), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ['a.json']


class Hostile:

    def __reduce__(self):
        return os.system, ('touch hacked',)


def test_hostile_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / 'bad.pkl', [clip(extra=Hostile())])
    with pytest.raises(AnnotationError, match=r'bad\.pkl.*refused the class (posix|nt)\.system'):
        load_annotations(path)
    assert os.listdir(tmp_path) == ['bad.pkl']


@pytest.mark.parametrize(('module', 'name'), [
    ('builtins', 'eval'), ('builtins', 'getattr'), ('numpy', 'load'), ('numpy', 'memmap'),
    ('numpy.core.multiarray', 'fromfile'), ('collections', 'namedtuple'), ('os', 'system'),
    ('numpy.testing._private.utils', 'runstring')
])
def test_other_callables_are_refused_by_name(tmp_path, module, name):
    path = tmp_path / 'bad.pkl'
    path.write_bytes(f'c{module}\n{name}\n.'.encode())
    with pytest.raises(AnnotationError, match=f'refused the class {module}.{name}'):
        load_annotations(path)


def pointer_arrays():
    """Pickles that would make NumPy follow pointers from the file."""
    pointers = struct.pack('PP', 1, 1)
    dtype = b"cnumpy\ndtype\n(S'O'\nI0\nI1\ntR"
    raw = b'B' + struct.pack('<I', len(pointers)) + pointers  # BINBYTES
    number = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"
    yield 'call', b'cnumpy\nndarray\n((I2\nt' + number + raw + b'tR.'
    yield 'object', b'cnumpy._core.numeric\n_frombuffer\n(' + raw + dtype + b"(I2\ntS'C'\ntR."
    state = b"(I3\nS'<'\n(" + dtype + b'(I2\nttNNI-1\nI-1\nI0\ntb'  # sub-array of objects
    yield 'state', (b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS"b"\ntR'
                    b'(I1\n(I1\nt' + number + state + b'I00\n' + raw + b'tb.')
    yield 'size', (b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS"b"\ntR'
                   b'(I1\n(I1000000000\nt' + number + b'I00\n' + raw + b'tb.')


def test_arrays_of_raw_pointers_are_refused(tmp_path):
    paths = [tmp_path / f'{name}.pkl' for name, _ in pointer_arrays()]
    for path, (_, content) in zip(paths, pointer_arrays()):
        path.write_bytes(content)
    # In a process of its own, since a failure ends in a segmentation fault.
    code = ('import sys; from mofm.annotations.files import *\n'
            'for path in sys.argv[1:]:\n'
            '    try: load_annotations(path); print("read", path)\n'
            '    except AnnotationError as e: print(e)\n')
    done = subprocess.run([sys.executable, '-c', code, *paths], capture_output=True, text=True,
                          env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(paths) == 4
    for line, words in zip(lines, ['a call of numpy.ndarray', "array type 'O'", "array type 'O'",
                                   'does not match its data']):
        assert words in line


@pytest.mark.parametrize('suffix', ['.pkl', '.npz', '.json'])
@pytest.mark.parametrize('share', [0, .5, .98])
def test_truncated_file_is_named(tmp_path, suffix, share):
    path = tmp_path / f'short{suffix}'
    dump_annotations(dict(split={}, annotations=[clip()]), path)
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(AnnotationError, match=rf'short\{suffix}: cannot be read, it may be trunc'):
        load_annotations(path)


def test_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / 'a.npz', keypoint=np.array([Hostile()], object))
    with pytest.raises(AnnotationError, match='allow_pickle=False'):
        load_annotations(tmp_path / 'a.npz')


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_pickle_never_raises_anything_else(tmp_path_factory, data):
    buffer = io.BytesIO()
    pickle.dump(dict(split={'a': ['a']}, annotations=[clip(frames=2, label=np.int64(1))]), buffer)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp('damaged') / 'a.pkl'
    path.write_bytes(content)
    try:
        for ann in load_annotations(path)['annotations']:
            validate(ann)
    except AnnotationError as error:
        assert 'a.pkl' in str(error)


@pytest.mark.parametrize(('content', 'words'), [
    (3, 'found int at the top'),
    ({'a': 1}, r"found \['a'\] at the top"),
    ([], 'holds no annotations'),
    ({'split': [], 'annotations': [1]}, 'split: found list, expected a dict'),
    ({'split': {'val': 3}, 'annotations': [1]}, 'val: expected a list of texts'),
    ({'split': {'val': [[1]]}, 'annotations': [1]}, 'val: expected a list of texts'),
    ({'metainfo': {'classes': 'walk'}, 'annotations': [1]}, 'classes: expected a list of texts'),
])
def test_wrong_structure_is_described(tmp_path, content, words):
    with pytest.raises(AnnotationError, match=rf'a\.pkl: .*{words}'):
        load_annotations(write(tmp_path / 'a.pkl', content))


def test_missing_file_and_unknown_suffix(tmp_path):
    with pytest.raises(AnnotationError, match='none.pkl: no such file.*prepare.py'):
        load_annotations(tmp_path / 'none.pkl')
    with pytest.raises(AnnotationError, match=r"found suffix '\.csv', expected one of"):
        load_annotations(tmp_path / 'a.csv')


def test_ragged_json_names_annotation_and_field(tmp_path):
    (tmp_path / 'a.json').write_text('[{"keypoint": [[1, 2], [3]]}]')
    with pytest.raises(AnnotationError, match='annotation 0: keypoint is not a regular array'):
        load_annotations(tmp_path / 'a.json')


# ---- one annotation ---------------------------------------------------------------------------
@pytest.mark.parametrize('ann', [
    clip(), clip(persons=5), clip(frames=1), clip(frames=10_000), clip(dtype=np.float32),
    clip(label=np.int64(4)), clip(img_shape=np.array([480, 640])),
    clip(keypoint=clip()['keypoint'] - 500)
], ids=['usual', 'five persons', 'one frame', '10000 frames', 'float32', 'numpy label',
        'numpy img_shape', 'outside the image'])
def test_legal_annotations(ann):
    assert validate(ann, num_classes=5) is None


def with_value(field, value):
    ann = clip()
    ann[field][0, 2, 3] = value
    return ann


def without(field):
    ann = clip()
    del ann[field]
    return ann


ZERO = np.zeros_like(clip()['keypoint'])
BAD = {
    'not a dict': ([1], 'annotation', 'list', 'a dict'),
    'no keypoint': (without('keypoint'), 'keypoint', 'nothing', 'this field'),
    'no score': (without('keypoint_score'), 'keypoint_score', 'nothing', 'this field'),
    'no img_shape': (without('img_shape'), 'img_shape', 'nothing', 'this field'),
    'label too large': (clip(label=5), 'label', '5', 'in [0, 4]'),
    'label negative': (clip(label=-1), 'label', '-1', 'in [0, 4]'),
    'label float': (clip(label=1.5), 'label', '1.5', 'an integer'),
    'label list': (clip(label=[1]), 'label', '[1]', 'an integer'),
    'img_shape zero': (clip(img_shape=(0, 640)), 'img_shape', '(0, 640)', 'positive'),
    'img_shape three': (clip(img_shape=(3, 4, 5)), 'img_shape', '(3, 4, 5)', '(h, w)'),
    'no frames': (clip(frames=0), 'total_frames', '0', 'at least one frame'),
    'no persons': (clip(persons=0), 'keypoint', 'no person', 'at least one person'),
    'other length': (clip(total_frames=7), 'keypoint', '(1, 6, 17, 2)', '7 frames'),
    'other joints': (clip(joints=25), 'keypoint', '(1, 6, 25, 2)', '17 joints'),
    '3D': (clip(keypoint=np.ones((1, 6, 17, 3))), 'keypoint', '(1, 6, 17, 3)', '17 joints, 2'),
    'no array': (clip(keypoint=[1]), 'keypoint', 'list', 'an array of numbers'),
    'objects': (clip(keypoint=ZERO.astype(object)), 'keypoint', 'object', 'an array of numbers'),
    'score shape': (clip(keypoint_score=np.ones((1, 6, 16))), 'keypoint_score', '(1, 6, 16)',
                    '(1, 6, 17)'),
    'NaN': (with_value('keypoint', np.nan), 'keypoint', '2 values that are NaN', 'finite'),
    'infinite': (with_value('keypoint', np.inf), 'keypoint', '2 values', 'finite'),
    'NaN score': (with_value('keypoint_score', np.nan), 'keypoint_score', '1 values', 'finite'),
    'all coordinates 0': (clip(keypoint=ZERO), 'keypoint', 'all joints missing', 'one joint'),
    'all scores 0': (clip(keypoint_score=ZERO[..., 0]), 'keypoint', 'all joints missing',
                     'one joint'),
}


@pytest.mark.parametrize('name', sorted(BAD))
def test_bad_annotations_are_described(name):
    ann, field, found, expected = BAD[name]
    problem = validate(ann, num_classes=5, file='x.pkl', index=7)
    assert problem is not None
    assert (problem.file, problem.index, problem.field) == ('x.pkl', 7, field)
    assert found in problem.found
    assert expected in problem.expected
    assert str(problem).startswith(f'x.pkl: annotation 7: {field}: found')


def test_one_visible_joint_late_in_the_clip_is_enough():
    keypoint = ZERO.copy()
    keypoint[0, 5, 2] = 10, 20
    assert validate(clip(keypoint=keypoint)) is None


@pytest.mark.parametrize('name', ['no persons', 'all coordinates 0', 'all scores 0'])
def test_empty_clips_count_in_tests(name):
    assert validate(BAD[name][0], allow_empty=True) is None
