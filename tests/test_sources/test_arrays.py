"""NumPy archives of joints: Bandai-Namco and written files."""
import argparse
import itertools
import re

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.keypoints import CameraRange
from mofm.sources.joint_maps import load_map, shipped_maps
from mofm.sources.mocap.arrays import JointsNPZ
from mofm.structures import LAYOUTS
from tests.test_sources.native_files.mocap import BANDAI, concatenated, npy, npz, person, walk

FRONT = CameraRange(distance=(3, 3), height=(0, 0), yaw=(180, 180), pitch=(0, 0), roll=(0, 0),
                    focal=(.65, .65))
VISIBLE = [0, *range(5, 17)]  # COCO-17 without eyes and ears


def read(path, content, **kwargs):
    """Annotations of a file with this content, by name."""
    path = path / 'data.npz'
    path.write_bytes(content)
    kwargs.setdefault('layout', 'bandai22' if 'joint_map' not in kwargs else None)
    return {ann['frame_dir']: ann
            for ann, _ in JointsNPZ(path, strict=True, cameras=FRONT, **kwargs)}


def expected(joints):
    """COCO-17 pixels that the camera in front of a walk sees: it looks along -z."""
    target = joints[:, VISIBLE].mean((0, 1))
    x, y, z = np.moveaxis(joints - target, -1, 0)
    return np.stack([960 + .65 * 1920 * x / (3 - z), 540 - .65 * 1920 * y / (3 - z)], -1)


def coco(frames=5):
    """The walk in COCO-17; the head stands for the nose."""
    joints = person('coco17')
    joints[0] = person('bandai22')[LAYOUTS['bandai22'].joints.index('head')]
    return joints + .02 * np.arange(frames)[:, None, None] * [1, 0, 0]


# ------------------------------------------------------------------------------------ real data
def test_joints_npz_reads_all_of_bandai_namco(real_data):
    """3076 sequences with 209,188 frames; people stand on the floor, heads up."""
    path = real_data('bandai_namco_15fps.npz')
    with np.load(path) as arrays:
        lengths, names = arrays['length'].tolist(), arrays['name'].tolist()
        floor = arrays['xyz'][..., 1].min(1)
    source = JointsNPZ(path, layout='bandai22', strict=True)
    recordings = [ann for ann, _ in source.recordings('', path.read_bytes())]
    assert [len(ann['joints']) for ann in recordings] == lengths
    assert len(lengths) == 3076
    assert sum(lengths) == 209188
    assert [ann['frame_dir'] for ann in recordings] == [f'bandai_namco_15fps/{n}' for n in names]
    joints = np.concatenate([ann['joints'] for ann in recordings])
    assert not np.isnan(joints[:, VISIBLE]).any()
    assert np.isnan(joints[:, 1:5]).all()
    height = joints[:, 0, 1] - floor
    assert 1.3 < np.median(height) < 1.7
    assert (joints[:, 0, 1] > joints[:, [15, 16], 1].max(1)).mean() > .98
    left = joints[:, 5] - joints[:, 6]
    forward = np.cross(left, joints[:, 0] - joints[:, [11, 12]].mean(1))
    speed = np.concatenate([np.gradient(ann['joints'][:, [11, 12]].mean(1), axis=0)
                            for ann in recordings if 'walk_' in ann['frame_dir']])
    walks = np.concatenate([np.full(n, 'walk_' in name) for n, name in zip(lengths, names,
                                                                           strict=True)])
    assert ((speed * forward[walks]).sum(1) > 0).mean() > .9  # no mirror


def test_joints_npz_layout_and_map_agree_on_bandai_namco(real_data):
    path = real_data('bandai_namco_15fps.npz')
    both = zip(JointsNPZ(path, layout='bandai22', strict=True).recordings('', path.read_bytes()),
               JointsNPZ(path, joint_map='bandai_namco', strict=True).recordings(
                   '', path.read_bytes()), strict=True)
    some = list(itertools.islice(both, 100))
    assert len(some) == 100
    for (a, _), (b, _) in some:
        assert a['frame_dir'] == b['frame_dir']
        np.testing.assert_array_equal(a['joints'], b['joints'])


# ----------------------------------------------------------------------------------------- forms
@pytest.mark.parametrize('kwargs', [dict(), dict(layout='h36m17'), dict(layout='smpl24'),
                                    dict(layout='humaneva15'), dict(unit=.01), dict(unit=.001),
                                    dict(up='z'), dict(up='z', unit=.001, layout='smpl24')])
def test_joints_npz_shows_same_person_for_every_layout_unit_and_axis(tmp_path, kwargs):
    """All show the same person; z-up files are turned, not mirrored."""
    layout = kwargs.get('layout', 'bandai22')
    joints = walk(layout=layout) / kwargs.get('unit', 1)
    if kwargs.get('up') == 'z':
        joints = np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], -1)
    ann, = read(tmp_path, npz(pose=joints), **kwargs).values()
    limbs = np.arange(5, 17)
    assert (ann['keypoint_score'][0][:, limbs] == 1).all()
    pixels = ann['keypoint'][0][:, limbs].astype(np.float64)
    truth = expected(coco())[:, limbs]
    # The target is the mean of the joints that the layout has.
    shift = (truth - pixels).mean((0, 1))
    np.testing.assert_allclose(pixels + shift, truth, atol=4)
    assert (np.abs(shift) < 30).all()


def test_joints_npz_projects_one_array_to_expected_pixels(tmp_path):
    ann, = read(tmp_path, npz(a=walk())).values()
    assert ann['frame_dir'] == 'data_v0'
    assert ann['label'] == 0
    np.testing.assert_allclose(ann['keypoint'][0][:, VISIBLE], expected(coco())[:, VISIBLE],
                               atol=.5)
    assert not ann['keypoint_score'][..., 1:5].any()


def test_joints_npz_key_chooses_one_of_several_arrays(tmp_path):
    content = npz(a=walk(), b=walk(3), fps=np.array(30), betas=np.zeros((1, 10)))
    anns = read(tmp_path, content)
    assert {k: v['total_frames'] for k, v in anns.items()} == {'data/a_v0': 5, 'data/b_v0': 3}
    assert {k: v['total_frames'] for k, v in read(tmp_path, content, key='b').items()} == {
        'data_v0': 3}
    mesh = npz(joints=walk(), vertices=np.zeros((5, 6890, 3)))
    with pytest.raises(AnnotationError, match=r'vertices: found .*6890, 3.*22, 3'):
        read(tmp_path, mesh)
    assert read(tmp_path, mesh, key='joints').keys() == {'data_v0'}


def test_joints_npz_splits_concatenated_recordings(tmp_path):
    anns = read(tmp_path, concatenated((3, 5)))
    assert {k: v['total_frames'] for k, v in anns.items()} == {'data/walk_0_v0': 3,
                                                              'data/walk_1_v0': 5}
    np.testing.assert_allclose(anns['data/walk_1_v0']['keypoint'][0][:, VISIBLE],
                               expected(coco(5))[:, VISIBLE], atol=1)


def test_joint_map_finds_joints_in_any_order(tmp_path):
    order = np.random.default_rng(0).permutation(22)
    content = concatenated((4, ), xyz=walk(4)[:, order], joints=np.array(BANDAI)[order])
    ann, = read(tmp_path, content, joint_map='bandai_namco').values()
    np.testing.assert_allclose(ann['keypoint'][0][:, VISIBLE], expected(coco(4))[:, VISIBLE],
                               atol=.5)


def test_joint_map_of_user_takes_means(tmp_path):
    file = tmp_path / 'map.json'
    file.write_text('{"nose": ["Hand_L", "Hand_R"], "left_hip": "Hips", "left_ankle": "Foot_L"}')
    ann, = read(tmp_path, concatenated((2, )), joint_map=file).values()
    assert np.flatnonzero(ann['keypoint_score'][0, 0]).tolist() == [0, 11, 15]
    assert abs(ann['keypoint'][0, 0, 0, 0] - ann['keypoint'][0, 0, 11, 0]) < 1.1


def test_joints_npz_lists_give_labels_and_splits(tmp_path):
    (tmp_path / 'train.txt').write_text('walk_1 4')
    path = tmp_path / 'data.npz'
    path.write_bytes(concatenated())
    (ann, splits), = JointsNPZ(path, layout='bandai22', lists=dict(train=tmp_path / 'train.txt'))
    assert (ann['frame_dir'], ann['label'], splits) == ('data/walk_1_v0', 4, ('train', ))


def test_joints_npz_nan_is_missing(tmp_path):
    joints = walk()
    joints[1, BANDAI.index('Hand_L'), 2] = np.nan
    joints[2] = np.nan
    ann, = read(tmp_path, npz(a=joints)).values()
    missing = ann['keypoint_score'][0][:, VISIBLE] == 0
    assert missing[1].tolist() == [j == 9 for j in VISIBLE]
    assert missing[2].all()
    assert not missing[[0, 3, 4]].any()
    assert not ann['keypoint'][0, 2].any()


@pytest.mark.parametrize(('layout', 'names'), [
    ('h36m32', None), ('smpl52', None), ('azure32', LAYOUTS['azure32'].joints),
    ('bandai22', LAYOUTS['bandai22'].joints), ('h36m17', LAYOUTS['h36m17'].joints),
    ('bandai22', BANDAI)])
def test_joints_npz_layout_is_that_of_the_file(tmp_path, layout, names):
    """By the names in it, or the number of joints if only one layout has as many."""
    joints = person(layout) + np.zeros((3, 1, 1))
    others = [n for n, other in LAYOUTS.items() if other.num_joints == joints.shape[1]]
    named = {} if names is None else dict(joints=np.array(names))
    (tmp_path / 'a.npz').write_bytes(npz(a=joints, **named))
    source = JointsNPZ(tmp_path, strict=True, keep_3d=True)
    if names is None and others != [layout]:
        with pytest.raises(AnnotationError, match=f'--layout, one of .*{layout}'):
            list(source)
        return
    (ann, _), = source
    expected, = JointsNPZ(tmp_path, layout, strict=True, keep_3d=True)
    np.testing.assert_array_equal(ann['keypoint'], expected[0]['keypoint'])
    assert ann['keypoint_score'][0, 0, 5:].all()
    assert any(f'--layout {layout}' in note for note in source.notes) == (names is None)


@pytest.mark.parametrize(('shape', 'words'), [
    ((5, 22, 3), r'--layout, one of .*bandai22.*smpl22'), ((5, 17, 3), 'coco17.*h36m17'),
    ((5, 7, 3), 'no layout has as many'), ((3, 22, 5), r"\(3, 22, 5\)"),
    ((5, 66), r'\(5, 66\)')])
def test_joints_npz_asks_where_several_layouts_have_one_count(tmp_path, shape, words):
    (tmp_path / 'a.npy').write_bytes(npy(np.zeros(shape)))
    source = JointsNPZ(tmp_path)
    assert list(source) == []
    assert re.search(f'a.npy: .*{words}', str(source.problems[0]))


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('dtype', [np.float16, np.int32, np.float64])
def test_joints_npz_notes_another_order_in_millimeters_of_any_type(real_data, tmp_path, dtype):
    """Squares of millimeters are infinite as float16, and tell no order then."""
    with np.load(real_data('bandai_namco_15fps.npz')) as arrays:
        joints = arrays['xyz'][:arrays['length'][0]].astype(np.float64)
    (tmp_path / 'a.npy').write_bytes(npy((1000 * joints).astype(dtype)))
    source = JointsNPZ(tmp_path, layout='smpl22')
    assert len(list(source)) == 1
    assert any('in the order of bandai22' in note for note in source.notes)
    right = JointsNPZ(tmp_path, layout='bandai22', keep_3d=True)
    (ann, _), = right
    assert not any('in the order of' in note for note in right.notes)
    wrist = LAYOUTS['bandai22'].joints.index('left_wrist')
    np.testing.assert_allclose(ann['keypoint'][0, :, 9], joints[:, wrist], atol=2e-3)
    (tmp_path / 'b.npy').write_bytes(npy((1000 * joints).astype(dtype)))
    asking = JointsNPZ(tmp_path / 'b.npy')
    assert list(asking) == []
    assert "['bandai22', 'jta22', 'smpl22'], best fit first" in str(asking.problems[0])


def test_joints_npz_reads_npy(tmp_path):
    (tmp_path / 'a.npy').write_bytes(npy(walk()))
    (tmp_path / 'b.NPY').write_bytes(npy(walk()[:, :, [0, 2, 1]]))
    a, b = JointsNPZ(tmp_path, 'bandai22', strict=True, cameras=FRONT)
    np.testing.assert_allclose(a[0]['keypoint'][0][:, VISIBLE], expected(coco())[:, VISIBLE],
                               atol=.5)
    assert b[0]['frame_dir'] == 'b_v0'


@pytest.mark.parametrize('kwargs', [
    dict(joints=np.array(BANDAI)), dict(joints=np.array(BANDAI, 'S')),
    dict(joint_names=np.array(BANDAI))])
def test_joints_npz_names_are_texts_or_bytes(tmp_path, kwargs):
    key = 'joints' if 'joint_names' in kwargs else 'a'
    ann, = read(tmp_path, npz(**{key: walk()}, **kwargs), joint_map='bandai_namco').values()
    np.testing.assert_allclose(ann['keypoint'][0][:, VISIBLE], expected(coco())[:, VISIBLE],
                               atol=.5)
    names = next(iter(kwargs))
    with pytest.raises(AnnotationError, match=f'{names}: found .*Toes_R'):
        read(tmp_path, npz(**{key: walk()}, **{names: kwargs[names][::-1]}))


def test_joints_npz_passes_over_python_objects_beside_numbers(tmp_path):
    """Metadata that NumPy pickled; a file of nothing else is refused."""
    (tmp_path / 'a.npz').write_bytes(npz(a=walk(), meta=np.array({'fps': 30}, dtype=object)))
    source = JointsNPZ(tmp_path, 'bandai22', strict=True)
    assert [ann['total_frames'] for ann, _ in source] == [5]
    assert 'arrays of Python objects are passed over' in source.notes


def test_joints_npz_map_of_numbers_needs_no_names(tmp_path):
    joints = [f'"{name}": {BANDAI.index(part[0])}' for name, part in load_map(
        'bandai_namco').items()]
    (tmp_path / 'map.json').write_text('{' + ', '.join(joints) + '}')
    (tmp_path / 'a.npy').write_bytes(npy(walk()))
    (ann, _), = JointsNPZ(tmp_path / 'a.npy', joint_map=tmp_path / 'map.json', strict=True,
                          cameras=FRONT)
    np.testing.assert_allclose(ann['keypoint'][0][:, VISIBLE], expected(coco())[:, VISIBLE],
                               atol=.5)


def test_joints_npz_refuses_axes_in_another_order(tmp_path):
    for joints in (walk().transpose(1, 0, 2), walk().transpose(0, 2, 1)):
        with pytest.raises(AnnotationError, match=r'at least 1 frame, 22, 3|shape \(T, J, 3\)'):
            read(tmp_path, npz(a=joints))


def test_joints_npz_frame_rate_is_that_of_the_file_or_the_user(tmp_path):
    def fps(content, **kwargs):
        return [ann.get('fps') for ann in read(tmp_path, content, **kwargs).values()]
    assert fps(npz(a=walk())) == [None]
    assert fps(npz(a=walk(), fps=np.array(25))) == [25]
    assert fps(npz(a=walk(), mocap_framerate=np.array([120.]))) == [120]
    assert fps(npz(a=walk()), fps=59.94) == [59.94]
    assert fps(npz(a=walk(), fps=np.array('many'))) == [None]


# ------------------------------------------------------------------------------------------ maps
def test_shipped_joint_maps_cover_the_body():
    assert shipped_maps() == ['bandai_namco', 'biped', 'cmu', 'daz', 'joint_centers', 'mixamo',
                              'motive', 'plug_in_gait', 'plug_in_gait_legs', 'rokoko', 'theia',
                              'unity', 'unreal', 'xsens_bvh', 'xsens_mvnx']
    for name in shipped_maps():
        joint_map = load_map(name)
        joints = {LAYOUTS['coco17'].joints[i] for i in VISIBLE}
        if name == 'joint_centers':  # a head has none
            joints.remove('nose')
        legs = {joint for joint in joints if re.search('hip|knee|ankle', joint)}
        assert set(joint_map) - {'left_ear', 'right_ear'} == (
            legs if name.endswith('_legs') else joints)
        assert len({part for parts in joint_map.values() for part in parts}) >= len(joint_map)
        for joint, parts in joint_map.items():
            side = joint.split('_')[0]
            if side in ('left', 'right'):
                other = joint_map[joint.replace(side, dict(left='right', right='left')[side])]
                assert parts != other
                assert any(word in parts[0] for word in (side.title(), f'_{side[0].upper()}',
                                                         f'_{side[0]}')) or (
                    parts[0][0].lower() == side[0])


@pytest.mark.parametrize(('text', 'words'), [
    ('', 'JSON'), ('[1]', 'list'), ('{}', 'joints of'), ('{"tail": "Hips"}', 'tail'),
    ('{"nose": -3}', 'nose: found another value'), ('{"nose": []}', 'nose'),
    ('{"nose": [["Head"]]}', 'nose'), ('[' * 60000, 'RecursionError|JSON')])
def test_bad_joint_map_is_named(tmp_path, text, words):
    file = tmp_path / 'map.json'
    file.write_text(text)
    with pytest.raises(AnnotationError, match=f'map.json: .*({words})'):
        load_map(file)


def test_unknown_joint_map_lists_known_ones():
    with pytest.raises(AnnotationError, match='bandai_namco.*cmu.*mixamo'):
        load_map('bandai')


# ------------------------------------------------------------------------------------- bad files
FAR, INFINITE = walk(), walk()
FAR[2, 5] = 1e9
INFINITE[2, 5, 0] = np.inf
BAD = [
    (b'', {}, 'file'), (b'PK\x03\x04', {}, 'file'), (npz(a=walk())[:-300], {}, 'file'),
    (npz(a=np.array([dict()])), {}, 'Object arrays|allow_pickle'),
    (npz(a=np.zeros(3)), {}, r'arrays: .*\(3,\)'),
    (npz(a=walk()), dict(key='b'), "b: found .*'a'"),
    (npz(a=walk()[:, :21]), {}, r'a: found float64 of shape \(5, 21, 3\)'),
    (npz(a=walk()[:0]), {}, r'\(0, 22, 3\)'),
    (npz(a=walk() + 0j), dict(key='a'), 'complex128'),
    (npz(a=walk().astype(str)), dict(key='a'), '<U'),
    (npz(a=FAR), {}, 'a: found .*meters below'), (npz(a=INFINITE), {}, 'a: found .*inf'),
    (npz(a=np.full((5, 22, 3), np.nan)), {}, 'body of 0 m'),
    (npz(a=np.zeros((5, 22, 3))), {}, 'body of 0 m'),
    (npz(a=walk()), dict(unit=.01), 'body of .* unit'),
    (npz(a=100 * walk()), dict(unit=.1), 'body of .* unit'),
    (npz(a=walk(), joints=np.array(BANDAI[::-1])), {}, 'joints: found .*Toes_R.*bandai22'),
    (npz(a=walk(), joints=np.array(BANDAI[:-1])), {}, 'joints: found'),
    (npz(a=walk()), dict(joint_map='bandai_namco'), 'joints: found nothing'),
    (npz(a=walk(), joints=np.array(BANDAI)), dict(joint_map='cmu'), 'Toes_R.*Head_End|LeftArm'),
    (npz(a=walk(), joints=np.array(BANDAI[:-1] + ['Head'])), dict(joint_map='bandai_namco'),
     "one joint called 'Head'"),
    (npz(a=walk(), joints=np.array(BANDAI[:-1])), dict(joint_map='bandai_namco'), '21, 3'),
    (concatenated(length=np.array([3, 3])), {}, 'length: found .*sum to 7'),
    (concatenated(length=np.array([8, -1])), {}, 'length'),
    (concatenated(length=np.array([2**63, 2**63 + 7], np.uint64)), {}, 'length'),
    (concatenated(length=np.array([3., 4.])), {}, 'length'),
    (concatenated(name=None), {}, 'name: found'),
    (concatenated(name=np.array(['a', 'a'])), {}, 'name: found 1 names'),
    (concatenated(name=np.array(['a', '../b'])), {}, 'without slashes'),
    (concatenated(name=np.array(['a', ''])), {}, 'name'),
    (concatenated(name=np.array(['a', '\ud800'])), {}, 'name: found'),
    (concatenated(name=np.array([1114112, 97], '<u4').view('<U1')), {}, 'name: texts with'),
    (concatenated(joints=np.array([1114112] * 22, '<u4').view('<U1')), {},
     'joints: texts with'),
    (concatenated(more=walk()), {}, 'length: found .*--key'),
    (npz(**{'../a': walk()}), {}, "arrays: found '../a'"),
]


@pytest.mark.parametrize('case', range(len(BAD)))
def test_joints_npz_names_bad_array(tmp_path, case):
    content, kwargs, words = BAD[case]
    with pytest.raises(AnnotationError, match=f'(?s)data.npz: .*({words})'):
        read(tmp_path, content, **kwargs)


def test_joints_npz_bad_file_is_skipped_with_its_reason(tmp_path):
    (tmp_path / 'good.npz').write_bytes(npz(a=walk()))
    (tmp_path / 'bad.npz').write_bytes(npz(a=FAR))
    source = JointsNPZ(tmp_path, layout='bandai22')
    assert [ann['frame_dir'] for ann, _ in source] == ['good_v0']
    assert 'bad.npz: a: found' in str(source.problems[0])


def test_joints_npz_refuses_large_unpacked_size(tmp_path, monkeypatch):
    monkeypatch.setenv('MOFM_LIMITS', 'small=100000 expansion=0')
    with pytest.raises(AnnotationError, match='unpacks to .* bytes, more than the limit expans'):
        read(tmp_path, npz(a=np.zeros((10**4, 22, 3))))


@pytest.mark.parametrize(('kwargs', 'words'), [
    (dict(layout='bandai22', joint_map='cmu'), 'expected one of them'),
    (dict(layout='bandai'), 'unknown joint layout'), (dict(layout='bandai22', unit=0), 'unit=0'),
    (dict(layout='bandai22', unit=np.nan), 'unit=nan'), (dict(layout='bandai22', up='w'), 'up=')])
def test_joints_npz_refuses_bad_arguments(tmp_path, kwargs, words):
    (tmp_path / 'a.npz').write_bytes(npz(a=walk()))
    with pytest.raises(ValueError, match=words):
        JointsNPZ(tmp_path, **kwargs)


def test_joints_npz_options_reach_the_source(capsys):
    parser = argparse.ArgumentParser()
    JointsNPZ.add_options(parser)
    args = parser.parse_args(['--map', 'cmu', '--unit', '.001', '--up', 'z', '--key', 'a'])
    assert (args.joint_map, args.layout, args.unit, args.up, args.key) == (
        'cmu', None, .001, 'z', 'a')
    assert parser.parse_args(['--layout', 'smpl24']).unit is None
    for wrong, words in ((['--layout', 'bandai22', '--map', 'cmu'], 'not allowed with'),
                         (['--layout', 'x'], "invalid choice: 'x'")):
        with pytest.raises(SystemExit):
            parser.parse_args(wrong)
        assert words in capsys.readouterr().err
