"""Pickles of PYSKL and mmaction2: published variants, 3D, and Kinetics."""
import os
import pickle
import warnings
import zipfile
import zlib

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.keypoints import CameraRange
from mofm.sources.data_sets.pyskl import PYSKL, PYSKL3D, Kinetics, decompress
from mofm.structures import convert
from tests.test_sources.native_files import write
from tests.test_sources.native_files.ntu import kinect_body
from tests.test_sources.native_files.pose_detectors import people
from tests.test_sources.native_files.pyskl import (
    KineticsFolder,
    annotation,
    annotation_3d,
    detections,
    kinetics,
    pyskl,
)


def read(tmp_path, content, reader=PYSKL, name='a.pkl', **kwargs):
    (tmp_path / name).write_bytes(content)
    source = reader(tmp_path / name, **kwargs)
    return list(source), source.problems


def without(values, *fields):
    return {k: v for k, v in values.items() if k not in fields}


# --------------------------------------------------------------------------------------------- 2D
def test_pyskl_keeps_what_the_schema_has(tmp_path):
    known = dict(clip='video', track_id=np.array([4, 9]), frame_inds=np.array([0, 2, 5, 6]),
                 frame_label=np.array([0, 1, 1, 0]), segments=np.array([[3, 2, 5]]), fps=25.,
                 box=np.full((2, 4, 4), 7, np.float32))
    (item, ), problems = read(tmp_path, pyskl([annotation('a', **known, other='x')]))
    assert not problems
    assert 'other' not in item[0]
    for field, value in known.items():
        np.testing.assert_equal(item[0][field], value)
    joints, problems = read(tmp_path, pyskl([annotation_3d('a', **known)]), PYSKL3D)
    np.testing.assert_equal(joints[0][0]['frame_inds'], known['frame_inds'])
    assert 'box' not in joints[0][0]
    items, (problem, ) = read(tmp_path, pyskl([
        annotation('a', frame_inds=np.arange(3)), annotation('b')]))
    assert [ann['frame_dir'] for ann, _ in items] == ['b']
    assert 'frame_inds: found shape (3,), expected (4,)' in str(problem)


def test_pyskl_notes_an_order_of_joints_whose_bones_fit_better(tmp_path):
    coco, score = people(30, 1)[..., :2], np.ones((1, 30, 17))
    for layout, noted in (('coco17', []), ('h36m17', ['h36m17'])):
        joints = convert(coco.transpose(1, 0, 2, 3), score, 'coco17', layout)[0]
        ann = annotation('a') | dict(keypoint=joints, keypoint_score=score, total_frames=30)
        (tmp_path / 'a.pkl').write_bytes(pyskl([ann]))
        source = PYSKL(tmp_path / 'a.pkl')
        list(source)
        assert [note.rpartition('order of ')[2] for note in source.notes] == [
            f'{name} (--layout)' for name in noted]


def test_pyskl_keeps_splits_of_the_file(tmp_path):
    names = ['xsub_train', 'xview_val', 'val', 'train1']
    content = pyskl([annotation(n, i) for i, n in enumerate('abcd')],
                    xsub_train=['a', 'b'], xview_val=('b', ), val={'c'}, train1=np.array(['b']))
    items, problems = read(tmp_path, content)
    assert problems == []
    assert [(ann['frame_dir'], ann['label'], set(s)) for ann, s in items] == [
        ('a', 0, {names[0]}), ('b', 1, {names[0], names[1], names[3]}), ('c', 2, {names[2]}),
        ('d', 3, set())]


VARIANTS = {
    'float16': (annotation('a'), {}),
    'float32': (annotation('a', keypoint=annotation('a')['keypoint'].astype(np.float32)), {}),
    'filename': (annotation('a', key='filename'), {}),
    'no img_shape': (without(annotation('a'), 'img_shape'), {}),
    'no total_frames': (without(annotation('a'), 'total_frames'), {}),
    'original_shape differs': (annotation('a', original_shape=(1, 1)), {}),
    'NumPy scalars': (annotation('a', total_frames=np.int64(4),
                                 img_shape=tuple(np.array([1080, 1920]))), {}),
    'label': (annotation('a', label=np.int64(0)), {}),
    'more fields': (annotation('a', valid={.5: 3}, box_score=np.ones(3), imgs=None,
                               keypoint_score_3d='x'), {}),
}


@pytest.mark.parametrize('variant', sorted(VARIANTS))
@pytest.mark.parametrize('plain', [False, True])
@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_pyskl_variants_become_the_schema(tmp_path, variant, plain, protocol):
    values, kwargs = VARIANTS[variant]
    data = [values] if plain else dict(split=dict(val=['a']), annotations=[values])
    ((ann, splits), ), _ = read(tmp_path, pickle.dumps(data, protocol), strict=True, **kwargs)
    assert splits == (() if plain else ('val', ))
    assert ann.keys() == annotation('a').keys() - {'original_shape'}
    assert (ann['frame_dir'], ann['label'], ann['total_frames'], ann['img_shape']) == (
        'a', 0, 4, (1080, 1920))
    assert type(ann['label']) is type(ann['total_frames']) is int
    np.testing.assert_array_equal(ann['keypoint'], annotation('a')['keypoint'])
    np.testing.assert_array_equal(ann['keypoint_score'], annotation('a')['keypoint_score'])
    assert ann['keypoint'].dtype == ann['keypoint_score'].dtype == np.float16


def test_pyskl_converts_other_layouts(tmp_path):
    values = annotation('a', joints=25)
    ((ann, _), ), _ = read(tmp_path, pyskl([values]), layout='body25')
    expected = convert(values['keypoint'], values['keypoint_score'], 'body25')
    np.testing.assert_array_equal(ann['keypoint'], expected[0])
    np.testing.assert_array_equal(ann['keypoint_score'], expected[1])
    _, (problem, ) = read(tmp_path, pyskl([values]))
    assert 'annotation 0: keypoint: found shape (2, 4, 25, 2)' in str(problem)
    with pytest.raises(ValueError, match="layout: found 'x'"):
        PYSKL(tmp_path, layout='x')


def test_pyskl_missing_joints_and_negative_scores_are_zero(tmp_path):
    values = annotation('a')
    values['keypoint'][0, 1, 2, 0] = np.nan
    values['keypoint_score'][0, 2, :3] = 1.03, -.002, np.nan
    ((ann, _), ), _ = read(tmp_path, pyskl([values]), strict=True)
    assert ann['keypoint_score'][0, 1, 2] == 0
    assert not ann['keypoint'][0, 1, 2].any()
    assert ann['keypoint_score'][0, 2, :3].tolist() == [1, 0, 0]
    changed = (ann['keypoint'] != annotation('a')['keypoint']).any(-1)
    assert np.argwhere(changed).tolist() == [[0, 1, 2], [0, 2, 2]]


def test_pyskl_clip_without_persons_is_kept(tmp_path):
    ((ann, _), ), _ = read(tmp_path, pyskl([annotation('a', persons=0)]), strict=True)
    assert ann['keypoint'].shape == (0, 4, 17, 2)


def test_pyskl_lists_replace_labels_and_splits(tmp_path):
    (tmp_path / 'novel.txt').write_text('b 7\n')
    items, _ = read(tmp_path, pyskl([annotation('a'), annotation('b')], val=['a', 'b']),
                    lists=[('novel', tmp_path / 'novel.txt')])
    assert [(ann['frame_dir'], ann['label'], s) for ann, s in items] == [('b', 7, ('novel', ))]


GOOD = annotation('a')
BAD = [
    (3, 'annotation', 'int'), ({}, 'frame_dir', 'nothing'), (without(GOOD, 'label'), 'label', ''),
    (annotation(3), 'frame_dir', 'int'), (annotation(''), 'frame_dir', 'a name'),
    (annotation('x\n'), 'frame_dir', 'a name'), (annotation('\udc80'), 'frame_dir', 'a name'),
    (annotation('good'), 'frame_dir', 'twice'), (annotation('a', label='0'), 'label', 'str'),
    (annotation('a', label=-1), 'label', 'integer'), (annotation('a', label=1.), 'label', 'float'),
    (annotation('a', label=10**5000), 'label', 'integer'),
    (annotation('a', label=True), 'label', 'bool'),
    (annotation('a', img_shape=(0, 9)), 'img_shape', 'integer >= 1'),
    (annotation('a', img_shape=9), 'img_shape', 'two positive'),
    (annotation('a', img_shape=None), 'img_shape', 'two positive'),
    (without(GOOD, 'img_shape', 'original_shape'), 'original_shape', 'this field'),
    (annotation('a', total_frames=5), 'total_frames', '4 as in keypoint'),
    (annotation('a', frames=0), 'total_frames', 'at least one|>= 1'),
    (without(GOOD, 'keypoint'), 'keypoint', 'this field'),
    (without(GOOD, 'keypoint_score'), 'keypoint_score', 'this field'),
    (annotation('a', keypoint=[[1]]), 'keypoint', 'list'),
    (annotation('a', keypoint=np.zeros((2, 4, 17, 3))), 'keypoint', r'\(2, 4, 17, 3\)'),
    (annotation('a', keypoint=np.full((2, 4, 17, 2), 'x')), 'keypoint', '<U1'),
    (annotation('a', keypoint=np.full((2, 4, 17, 2), np.inf)), 'keypoint', 'infinite'),
    (annotation('a', keypoint=np.full((2, 4, 17, 2), 1e300)), 'keypoint', 'infinite'),
    (annotation('a', keypoint_score=np.ones((1, 4, 17))), 'keypoint_score', r'\(1, 4, 17\)'),
    (annotation('a', keypoint_score=np.full((2, 4, 17), 50.)), 'keypoint_score', '50.0'),
]


@pytest.mark.parametrize('case', range(len(BAD)))
def test_pyskl_bad_annotation_is_skipped_alone(tmp_path, case):
    values, field, words = BAD[case]
    content = pyskl([annotation('good'), values, annotation('other', 1)])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        items, problems = read(tmp_path, content)
    assert [ann['frame_dir'] for ann, _ in items] == ['good', 'other']
    assert len(problems) == 1
    with pytest.raises(AnnotationError, match=rf'annotation 1: {field}: found .*({words})'):
        read(tmp_path, content, strict=True)


class Run:
    def __reduce__(self):
        return os.system, ('touch executed', )


def bomb(depth=40):
    """Nested lists that share one element: 2**depth numbers when unfolded."""
    value = [1.]
    for _ in range(depth):
        value = [value, value]
    return value


FILES = [
    (b'', 'file', 'UnpicklingError: the end'), (b'no pickle', 'file', 'UnpicklingError'),
    (pyskl([GOOD])[:-300], 'file', 'truncated|Error'), (pickle.dumps(Run()), 'file', 'refused'),
    (pickle.dumps(3), 'annotations', 'int'), (pickle.dumps({}), 'annotations', 'dict'),
    (pickle.dumps(dict(annotations='ab')), 'annotations', 'dict'),
    (pickle.dumps(dict(annotations=[GOOD], split=[3])), 'split', 'list'),
    (pickle.dumps(dict(annotations=[GOOD], split=dict(val=3))), 'split', 'lists of ids'),
    (pickle.dumps(dict(annotations=[GOOD], split=dict(val=[3]))), 'split', 'lists of ids'),
    (pickle.dumps(dict(annotations=[GOOD], split={3: ['a']})), 'split', 'lists of ids'),
    (pickle.dumps(dict(annotations=[GOOD], split=dict(val=bomb()))), 'file',
     'more than the limit expansion'),
]


@pytest.mark.parametrize('case', range(len(FILES)))
def test_pyskl_bad_file_is_skipped_with_its_reason(tmp_path, case, monkeypatch):
    content, field, words = FILES[case]
    monkeypatch.chdir(tmp_path)
    items, problems = read(tmp_path, content)
    assert items == []
    assert len(problems) == 1
    assert not (tmp_path / 'executed').exists()
    with pytest.raises(AnnotationError, match=rf'(?s)a.pkl: {field}: found .*({words})'):
        read(tmp_path, content, strict=True)


@pytest.mark.parametrize('field', ['keypoint', 'label', 'frame_dir', 'img_shape', 'total_frames'])
def test_pyskl_nested_lists_are_refused_in_short(tmp_path, field):
    items, (problem, ) = read(tmp_path, pyskl([annotation('a') | {field: bomb()}]))
    assert items == []
    assert len(str(problem)) < 500


def test_pyskl_ids_without_annotation_are_reported(tmp_path):
    content = pyskl([annotation('a')], val=['a', 'gone', 'lost'])
    items, (problem, ) = read(tmp_path, content)
    assert len(items) == 1
    assert "split: found 2 ids without annotation, e.g. 'gone'" in str(problem)


def test_pyskl_large_file_is_refused_unread(tmp_path, monkeypatch):
    content = pyskl([annotation('a')])
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('bomb.pkl', bytes(10**6))
        archive.writestr('small.pkl', content)
    monkeypatch.setattr(PYSKL, 'max_size', len(content))
    source = PYSKL(tmp_path / 'a.zip')
    assert len(list(source)) == 1
    assert f'bomb.pkl: file: found more than {len(content)} bytes' in str(source.problems[0])
    with pytest.raises(AnnotationError, match='bytes, expected a .pkl file of usual size'):
        read(tmp_path, content + b' ', strict=True)


def test_pyskl_folder_of_pickles_is_read(tmp_path):
    (tmp_path / 'a.pkl').write_bytes(pyskl([annotation('a')]))
    (tmp_path / 'b.pkl').write_bytes(b'')
    source = PYSKL(tmp_path)
    assert [ann['frame_dir'] for ann, _ in source] == ['a']
    assert 'b.pkl' in str(source.problems[0])


# --------------------------------------------------------------------------------------------- 3D
def test_pyskl_3d_persons_are_seen_by_one_camera(tmp_path):
    content = pyskl([annotation_3d('a'), annotation_3d('b', 1)], xset_val=['a'])
    items, problems = read(tmp_path, content, PYSKL3D, views=2)
    assert problems == []
    assert [(ann['frame_dir'], ann['label'], s) for ann, s in items] == [
        ('a_v0', 3, ('xset_val', )), ('a_v1', 3, ('xset_val', )), ('b_v0', 3, ()), ('b_v1', 3, ())]
    joints = annotation_3d('a')['keypoint'].astype(np.float64)
    known = joints.any(-1)
    rng = np.random.default_rng([0, zlib.crc32(b'a'), 1])
    camera = CameraRange().sample(rng, joints[known].mean(0))
    pixels = camera.project(joints)[0][:, :, [3, 8, 16]]  # head, right shoulder, right hip
    ann = items[1][0]
    np.testing.assert_allclose(ann['keypoint'][:, 1:, [0, 6, 12]], pixels[:, 1:], atol=.6)
    assert not ann['keypoint_score'][1, 0].any()
    assert ann['keypoint_score'][0].all()
    assert ann['img_shape'] == (1080, 1920)
    assert ann['keypoint'].shape == (2, 4, 17, 2)


BAD_3D = [
    (annotation_3d('a') | dict(keypoint=kinect_body()[None, ..., :3] * 1000), 'meters below'),
    (annotation_3d('a') | dict(keypoint=np.zeros((0, 4, 25, 3))), 'no person'),
    (annotation_3d('a') | dict(keypoint=np.zeros((1, 4, 25, 2))), r'\(1, 4, 25, 2\)'),
    (annotation_3d('a') | dict(total_frames=3), '4 as in keypoint'),
]


@pytest.mark.parametrize(('values', 'words'), BAD_3D)
@pytest.mark.parametrize('noise', [False, True])
def test_pyskl_3d_bad_annotation_is_skipped_alone(tmp_path, values, words, noise):
    content = pyskl([values, annotation_3d('good')])
    items, (problem, ) = read(tmp_path, content, PYSKL3D, noise=noise)
    assert [ann['frame_dir'] for ann, _ in items] == ['good_v0']
    with pytest.raises(AnnotationError, match=f'annotation 0: .*{words}'):
        raise problem


# ---------------------------------------------------------------------------------------- Kinetics
COUNTS = [[1, 2, 0, 3], [0, 0, 1], [12, 1, 0, 11, 2], [10, 10], [1] * 9]


@pytest.mark.parametrize('valid_ratio', [0, .2, .9])
def test_kinetics_equals_mmaction2(tmp_path, valid_ratio):
    """Its data set and its transform are a second implementation."""
    pytest.importorskip('mmaction')
    from mmaction.datasets import PoseDataset
    from mmaction.datasets.transforms import DecompressPose
    videos = {f'{i}/a': counts for i, counts in enumerate(COUNTS)}
    folder = write(tmp_path, kinetics(videos, val=list(videos)))
    dataset = PoseDataset(str(folder / 'k400.pkl'), [], split='val', box_thr=.6,
                          valid_ratio=valid_ratio or None,
                          data_prefix=dict(skeleton=str(folder / 'skeletons')))
    assert len(dataset) < len(COUNTS) or valid_ratio < .9
    for squeeze in (True, False):
        clips = list(KineticsFolder(folder, strict=True, squeeze=squeeze, box_thr=.6,
                                    valid_ratio=valid_ratio))
        assert len(clips) == len(dataset)
        for i, (ann, splits) in enumerate(clips):
            expected = DecompressPose(squeeze=squeeze)(dataset.get_data_info(i))
            for field in ('frame_dir', 'label', 'total_frames'):
                assert ann[field] == expected[field]
            for field in ('keypoint', 'keypoint_score'):
                np.testing.assert_array_equal(ann[field], expected[field])
            assert splits == ('val', )
            frame, box_score, _ = detections(videos[ann['frame_dir']], ann['label'])
            frame = frame[box_score >= .6] if valid_ratio else frame
            assert ('frame_inds' in ann) is squeeze
            assert ann.get('frame_inds', np.unique(frame)).tolist() == np.unique(frame).tolist()


@pytest.mark.parametrize(('max_person', 'order'), [(3, [0, 1, 2]), (2, [1, 2])])
def test_kinetics_orders_persons_only_above_maximum(max_person, order):
    keypoint = np.ones((4, 17, 3))
    keypoint[:, :, 2] = [[.1], [.9], [.5], [.7]]
    out = decompress(keypoint, np.array([0, 0, 0, 2]), 4, max_person)
    assert out.shape == (max_person, 4, 17, 3)
    np.testing.assert_allclose(out[:, 0, 0, 2], [[.1, .9, .5][i] for i in order], atol=1e-3)
    assert out[0, 2, 0, 2] > .6
    assert not out[1:, 2].any()
    assert not out[:, [1, 3]].any()


def test_kinetics_crowd_in_one_frame_needs_little_memory():
    frame = np.repeat(np.arange(20001), [20000, *[1] * 20000])
    assert decompress(np.ones((40000, 17, 3)), frame, 20001, 3).shape == (3, 20001, 17, 3)


def test_kinetics_filters_videos_by_valid_frames(tmp_path):
    videos = {'low': [1, 0, 0, 0], 'half': [1, 1, 0, 0], 'full': [3, 4, 5, 6]}
    folder = write(tmp_path, kinetics(videos))
    annotations = pickle.loads((folder / 'k400.pkl').read_bytes())  # written by this test
    shares = {ann['frame_dir']: ann['valid'][.5] / 4 for ann in annotations}
    for ratio in (0, .2, .5, .9):
        kept = KineticsFolder(folder, valid_ratio=ratio).files
        assert kept == [name for name in videos if shares[name] >= ratio]
    (folder / 'k400.pkl').write_bytes(pyskl(annotations[:1]))
    with pytest.raises(AnnotationError, match='none left of 1'):
        KineticsFolder(folder, valid_ratio=1)


def test_kinetics_units_are_videos(tmp_path):
    folder = write(tmp_path, kinetics({'a/x y': [1, 2], 'b': [1], 'c': [2, 2]}, train=['b']))
    source = KineticsFolder(folder)
    assert source.files == ['a/x y', 'b', 'c']
    assert len(source) == 3
    assert [ann['frame_dir'] for ann, _ in source.convert(['c', 'b'])] == ['c', 'b']
    with zipfile.ZipFile(tmp_path / 'skeletons.zip', 'w') as archive:
        for file in (folder / 'skeletons').rglob('*.pkl'):
            archive.write(file, file.relative_to(folder / 'skeletons'))
    packed = Kinetics(folder / 'k400.pkl', tmp_path / 'skeletons.zip')
    np.testing.assert_equal(list(packed), list(source))
    (tmp_path / 'list.txt').write_text('a/x y 5')
    (ann, splits), = KineticsFolder(folder, lists=dict(val=tmp_path / 'list.txt'))
    assert (ann['frame_dir'], ann['label'], splits) == ('a/x y', 5, ('val', ))


@pytest.mark.parametrize('name', ['../../secret', '/etc/passwd', 'a/../../b', '..\\b', 'C:\\b',
                                  '\\\\host\\b', 'C:b'])
def test_kinetics_ids_stay_inside_the_folder(tmp_path, name):
    files = kinetics({'good': [1]})
    bad = dict(pickle.loads(files['k400.pkl'])[0], frame_dir=name)
    folder = write(tmp_path / 'a/b', files)
    (tmp_path / 'secret.pkl').write_bytes(files['skeletons/good.pkl'])
    (folder / 'k400.pkl').write_bytes(pyskl([bad, *pickle.loads(files['k400.pkl'])]))
    source = KineticsFolder(folder)
    assert [ann['frame_dir'] for ann, _ in source] == ['good']
    assert 'frame_dir: found' in str(source.problems[0])
    assert 'a path inside the folder' in str(source.problems[0])


def kinetics_bad(skeleton=None, **changes):
    files = kinetics({'bad': [1, 2, 0, 1]})
    ann, = pickle.loads(files['k400.pkl'])
    if skeleton is not None:
        files['skeletons/bad.pkl'] = skeleton
    return ann | changes, files['skeletons/bad.pkl']


def dumped(shape=(4, 17, 3), fill=.5):
    return pickle.dumps(dict(keypoint=np.full(shape, fill)))


KINETICS_BAD = [
    (kinetics_bad(b''), 'file', 'UnpicklingError: the end'),
    (kinetics_bad(pickle.dumps(Run())), 'file', 'refused'),
    (kinetics_bad(pickle.dumps([])), 'annotation', 'list'),
    (kinetics_bad(pickle.dumps({})), 'keypoint', 'this field'),
    (kinetics_bad(dumped((4, 17, 2))), 'keypoint', r'\(4, 17, 2\)'),
    (kinetics_bad(dumped((5, 17, 3))), 'frame_inds', r'\(5,\)'),
    (kinetics_bad(dumped(fill=np.inf)), 'keypoint', 'infinite'),
    (kinetics_bad(dumped(fill=9.)), 'keypoint_score', '9.0'),
    (kinetics_bad(frame_inds=np.array([0, 2, 1, 3])), 'frame_inds', 'ascending'),
    (kinetics_bad(frame_inds=np.array([0, 1, 1, 4])), 'frame_inds', '0 to 3'),
    (kinetics_bad(frame_inds=np.array([0, 1, 1, 2**64 - 1], np.uint64)), 'frame_inds', '0 to 3'),
    (kinetics_bad(frame_inds=np.array([0, 1, 1, 3.])), 'frame_inds', 'float64'),
    (kinetics_bad(total_frames=0), 'total_frames', 'integer'),
    (kinetics_bad(total_frames=2**30), 'total_frames', 'at most'),
    (kinetics_bad(label=None), 'label', 'None'),
    (kinetics_bad(img_shape=3), 'img_shape', 'int'),
    (kinetics_bad(valid=3), 'valid', 'int'), (kinetics_bad(valid={}), 'valid', 'None'),
    (kinetics_bad(box_score=np.ones(3)), 'box_score', r'\(3,\)'),
    (kinetics_bad(frame_dir=['x']), 'frame_dir', 'list'),
    (kinetics_bad(frame_dir='good'), 'frame_dir', 'twice'),
]


@pytest.mark.parametrize('case', range(len(KINETICS_BAD)))
def test_kinetics_bad_video_is_skipped_with_its_reason(tmp_path, case):
    (ann, skeleton), field, words = KINETICS_BAD[case]
    files = kinetics({'good': [1, 1]})
    files['skeletons/bad.pkl'] = skeleton
    files['k400.pkl'] = pyskl([*pickle.loads(files['k400.pkl']), ann])
    folder = write(tmp_path, files)
    kwargs = dict(valid_ratio=.01) if field in ('valid', 'box_score') else dict(squeeze=False)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        source = KineticsFolder(folder, **kwargs)
        assert 'good' in source.files
        assert len(source) == 2
        list(source)
    assert any(f'{field}: found' in str(p) for p in source.problems)
    with pytest.raises(AnnotationError, match=rf'(?s){field}: found .*({words})'):
        list(KineticsFolder(folder, strict=True, **kwargs))


def test_kinetics_names_missing_files_and_bad_options(tmp_path):
    folder = write(tmp_path, kinetics({'good': [1, 1]}))
    (folder / 'skeletons/good.pkl').unlink()
    source = KineticsFolder(folder)
    assert list(source) == []
    assert 'FileNotFoundError' in str(source.problems[0])
    for ann, skeletons, words in (('none.pkl', 'skeletons', 'none.pkl: file: found'),
                                  ('k400.pkl', 'none', 'none: is neither a folder nor a'),
                                  ('k400.pkl', 'k400.pkl', 'k400.pkl: is neither a folder nor')):
        with pytest.raises(AnnotationError, match=words):
            Kinetics(folder / ann, folder / skeletons)
    for kwargs in (dict(valid_ratio=2), dict(box_thr=.55), dict(max_person=0)):
        with pytest.raises(ValueError, match='valid_ratio=.*box_thr=.*max_person='):
            KineticsFolder(folder, **kwargs)


def test_kinetics_large_skeleton_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Kinetics, 'max_size', 10000)
    folder = write(tmp_path, kinetics({'good': [1, 1]}))
    with zipfile.ZipFile(tmp_path / 'bomb.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('good.pkl', bytes(10001))
    source = Kinetics(folder / 'k400.pkl', tmp_path / 'bomb.zip')
    assert list(source) == []
    assert 'usual size' in str(source.problems[0])
