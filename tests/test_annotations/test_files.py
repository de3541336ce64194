"""Annotation files: reading of untrusted files, and writing."""

import json
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
from tests.test_annotations.samples import assert_same, clip


def write(path, data, protocol=4):
    path.write_bytes(pickle.dumps(data, protocol))
    return path


@pytest.mark.parametrize('protocol', range(6))
def test_pickle_of_every_protocol_is_read(tmp_path, protocol):
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


def test_pickle_of_numpy_1_and_2_is_read(tmp_path):
    raw = pickle.dumps([clip(label=np.int64(1))], 2)
    old, new = b'numpy.core.', b'numpy._core.'
    variants = {raw.replace(new, old), raw.replace(new, old).replace(old, new)}
    assert len(variants) == 2
    for content in variants:
        (tmp_path / 'a.pkl').write_bytes(content)
        assert_same(load_annotations(tmp_path / 'a.pkl')['annotations'][0], clip(label=1))


def test_pickle_big_endian_arrays_keep_their_values(tmp_path):
    keypoint = clip()['keypoint'].astype('>f4')
    path = write(tmp_path / 'a.pkl', [clip(keypoint=keypoint)])
    np.testing.assert_array_equal(load_annotations(path)['annotations'][0]['keypoint'], keypoint)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(0, 9)), min_size=1,
             max_size=4), st.sampled_from(['.pkl', '.npz', '.json']))
def test_annotations_round_trip_through_every_format(tmp_path_factory, sizes, suffix):
    anns = [clip(m, t, label=c, name=f'clip{i}') for i, (m, t, c) in enumerate(sizes)]
    data = dict(split={'train': [a['frame_dir'] for a in anns], 'empty': []}, annotations=anns,
                metainfo={'classes': ['x', 'y']})
    path = tmp_path_factory.mktemp('round') / f'a{suffix}'
    dump_annotations(data, path)
    read = load_annotations(path)
    assert read['split'] == data['split']
    assert read['metainfo'] == data['metainfo']
    for a, b in zip(read['annotations'], anns, strict=True):
        assert_same(a, b)
        assert validate(a) is None


def with_estimates(persons, frames, name):
    """A clip with what pose estimators know: boxes, IDs, frames per second."""
    ann = clip(persons, frames, name=name)
    low = ann['keypoint'].min(2, initial=600)
    return dict(ann, box=np.concatenate([low, low + np.float16(32)], -1), fps=29.97,
                track_id=np.arange(persons) * 10**12 + 7)


@pytest.mark.parametrize('suffix', ['.pkl', '.json', '.npz', '.arrow'])
def test_boxes_ids_and_frame_rate_round_trip_through_every_format(tmp_path, suffix):
    anns = [with_estimates(2, 5, 'a'), clip(3, 4, name='b'), with_estimates(1, 3, 'c'),
            *[dict(clip(0, 2, name='d'), track_id=np.zeros(0, np.int64), fps=25)
              for _ in range(suffix != '.json')],  # which has no shape without persons
            dict(clip(2, 2, name='e'), track_id=np.array([3, 1]))]
    assert [validate(ann, allow_empty=True) for ann in anns] == [None] * len(anns)
    path = tmp_path / f'a{suffix}'
    dump_annotations(dict(split={}, annotations=anns), path)
    for read, ann in zip(load_annotations(path)['annotations'], anns, strict=True):
        assert_same(read, ann)
        assert validate(read, allow_empty=True) is None


def test_track_with_box_keeps_its_single_id(tmp_path):
    ann = dict(with_estimates(1, 4, 'a/3'), clip='a', track_id=3, frame_inds=np.arange(4) + 9)
    for suffix in ('.pkl', '.json', '.arrow'):
        dump_annotations(dict(split={}, annotations=[ann]), tmp_path / f'a{suffix}')
        read, = load_annotations(tmp_path / f'a{suffix}')['annotations']
        assert_same(read, ann)
        assert isinstance(read['track_id'], int)


def test_annotations_failed_write_keeps_old_file(tmp_path):
    path = tmp_path / 'a.json'
    dump_annotations(dict(split={}, annotations=[clip()]), path)
    before = path.read_bytes()
    with pytest.raises(AttributeError, match="'object' object has no attribute"):
        dump_annotations(dict(split={}, annotations=[object()]), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ['a.json']


class Hostile:

    def __reduce__(self):
        return os.system, ('touch hacked',)


def test_hostile_pickle_is_refused_and_not_executed(tmp_path, monkeypatch):
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
def test_pickle_refuses_other_callables_by_name(tmp_path, module, name):
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


def test_pickle_refuses_arrays_of_raw_pointers(tmp_path):
    paths = [tmp_path / f'{name}.pkl' for name, _ in pointer_arrays()]
    for path, (_, content) in zip(paths, pointer_arrays(), strict=True):
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
                                   'does not match its data'], strict=True):
        assert words in line


@pytest.mark.parametrize('suffix', ['.pkl', '.npz', '.json'])
@pytest.mark.parametrize('share', [0, .5, .98])
def test_annotations_truncated_file_is_named(tmp_path, suffix, share):
    path = tmp_path / f'short{suffix}'
    dump_annotations(dict(split={}, annotations=[clip()]), path)
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(AnnotationError, match=rf'short\{suffix}: cannot be read, it may be trunc'):
        load_annotations(path)


def test_annotations_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / 'a.npz', keypoint=np.array([Hostile()], object))
    with pytest.raises(AnnotationError, match='allow_pickle=False'):
        load_annotations(tmp_path / 'a.npz')


def annotations_or_error(path):
    try:
        return load_annotations(path)['annotations'], None
    except AnnotationError as error:
        return None, str(error)


def test_damaged_pickle_is_named_or_valid(tmp_path):
    path, rng, errors = tmp_path / 'a.pkl', np.random.default_rng(0), 0
    content = np.frombuffer(pickle.dumps(dict(split={'a': ['a']}, annotations=[
        clip(frames=2, label=np.int64(1))])), np.uint8)
    for _ in range(200):
        damaged, value = content.copy(), rng.integers(0, 256)
        if value == ord('r'):  # LONG_BINPUT: the unpickler of Python may allocate gigabytes
            continue
        damaged[rng.integers(0, len(content), rng.integers(1, 5))] = value
        path.write_bytes(damaged)
        annotations, error = annotations_or_error(path)
        if annotations is None:
            assert 'a.pkl' in error
            errors += 1
        else:
            assert all(p is None or p.field for p in map(validate, annotations))
    assert 20 < errors < 180


@pytest.mark.parametrize(('content', 'words'), [
    (3, 'found int 3 at the top'),
    ({'a': 1}, r"found \['a'\] at the top"),
    ([], 'found no annotations'),
    ({'split': [], 'annotations': [1]}, 'split: found list .*, expected a dict'),
    ({'split': {'val': 3}, 'annotations': [1]}, 'val: found 3, expected a list of strings'),
    ({'split': {'val': [[1]]}, 'annotations': [1]}, r'val: found \[1\], expected a list of str'),
    ({'split': {'val': ['a\n']}, 'annotations': [1]}, r"val: found 'a\\n', expected a list"),
    ({'split': {7: []}, 'annotations': [1]}, 'split: found 7, expected a list of strings'),
    ({'split': {'\ud800': []}, 'annotations': [1]}, r"split: found '\\ud800', expected a list"),
    ({'metainfo': {'classes': ['a', 'b\0']}, 'annotations': [1]}, r"classes: found 'b\\x00'"),
    ({'metainfo': {'classes': 'walk'}, 'annotations': [1]}, "classes: found 'walk', expected a"),
])
def test_annotations_wrong_structure_is_described(tmp_path, content, words):
    with pytest.raises(AnnotationError, match=rf'a\.pkl: .*{words}'):
        load_annotations(write(tmp_path / 'a.pkl', content))


def test_annotations_missing_file_and_unknown_suffix_are_named(tmp_path):
    with pytest.raises(AnnotationError, match='none.pkl: no such file.*mofm prepare'):
        load_annotations(tmp_path / 'none.pkl')
    with pytest.raises(AnnotationError, match=r"found suffix '\.csv', expected one of"):
        load_annotations(tmp_path / 'a.csv')


@pytest.mark.parametrize(('field', 'value'), [
    ('keypoint', [[1, 2], [3]]), ('keypoint', [10**400]), ('keypoint', {}), ('keypoint', None),
    ('keypoint_score', ['a']), ('frame_inds', [10**30]), ('frame_inds', [True]),
    ('segments', [[1, 2], 3])])
def test_annotation_of_json_without_array_is_skipped_alone(tmp_path, field, value):
    good = dict(clip(), **{name: clip()[name].tolist() for name in ('keypoint', 'keypoint_score')})
    assert f'{field}: found ' in str(validate(dict(clip(), **{field: value})))
    anns = [dict(good, **{field: value}), None, 5, 'keypoint', ['keypoint'], good]
    (tmp_path / 'a.json').write_text(json.dumps(anns))
    found = [validate(ann, file='a.json', index=i) for i, ann in enumerate(
        load_annotations(tmp_path / 'a.json')['annotations'])]
    assert str(found[0]).startswith(f'a.json: annotation 0: {field}: found ')
    assert all('expected a dict' in str(problem) for problem in found[1:5])
    assert found[5] is None
