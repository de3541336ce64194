"""CMU Panoptic: projection against OpenCV, runs of frames, visibility."""
import argparse
import json
import warnings
import zipfile
from collections import Counter

import cv2
import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources.data_sets.panoptic import DomeCamera, Panoptic
from mofm.sources.prepare import prepare
from mofm.structures import LAYOUTS
from tests.test_sources.native_files import write
from tests.test_sources.native_files.panoptic import DOME, body, dome_camera, panoptic, scene

COCO19 = [1, 15, 17, 16, 18, 3, 9, 4, 10, 5, 11, 6, 12, 7, 13, 8, 14]
SEQUENCES = ('160906_band1', '160906_band2')


def read(path, files, **kwargs):
    """Annotations of written files by name."""
    return {ann['frame_dir']: ann
            for ann, _ in Panoptic(write(path, files), strict=True, **kwargs)}


def opencv(entry, points):
    """(N, 2) pixels of a camera of a calibration file."""
    pixels, _ = cv2.projectPoints(
        np.reshape(points, (-1, 3)), cv2.Rodrigues(np.array(entry['R']))[0],
        np.array(entry['t']), np.array(entry['K']), np.array(entry['distCoef']))
    return pixels[:, 0]


# ------------------------------------------------------------------------------------ real data
@pytest.fixture(scope='module')
def sample(real_data):
    """Path, and by sequence: calibration and frames {number: {person: (19, 4)}}."""
    path, data = real_data('panoptic_sample.zip'), {}
    with zipfile.ZipFile(path) as archive:
        for sequence in SEQUENCES:
            calibration = json.loads(archive.read(f'{sequence}/calibration_{sequence}.json'))
            frames = {int(name[-13:-5]): {
                b['id']: np.reshape(b['joints19'], (19, 4))
                for b in json.loads(archive.read(name))['bodies']}
                for name in archive.namelist() if f'{sequence}/hd' in name}
            data[sequence] = {c['name']: c for c in calibration['cameras']}, frames
    return path, data


@pytest.mark.parametrize(('kind', 'count'), [('hd', 31), ('vga', 479)])
def test_panoptic_cameras_project_as_opencv(sample, kind, count):
    """Points all over the image, and the persons, with less than 1/1000 pixel of difference."""
    path, data = sample
    source = Panoptic(path, cameras=[kind])
    for sequence, (entries, frames) in data.items():
        people = np.concatenate([b[:, :3] for bodies in frames.values() for b in bodies.values()])
        cameras = source._calibration(f'{sequence}/hd', sequence)
        assert len(cameras) == count
        for name, camera in cameras.items():
            entry = entries[name]
            assert camera.img_shape == tuple(entry['resolution'][::-1])
            width, height = entry['resolution']
            u, v = np.meshgrid(np.linspace(-.62, .62, 9) * width / entry['K'][0][0],
                               np.linspace(-.62, .62, 9) * height / entry['K'][1][1])
            grid = np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3) * 250
            grid = (grid - camera.translation) @ camera.rotation
            points = np.concatenate([grid, people])
            pixels = camera.project(points)
            reached = np.isfinite(pixels).all(-1)
            assert reached[:len(grid)].all()
            np.testing.assert_allclose(pixels[reached], opencv(entry, points)[reached], rtol=0,
                                       atol=1e-3)


def test_panoptic_camera_reach_ends_outside_the_image(sample):
    """The image of each camera ends before the distortion turns back, and little further."""
    for entries, _ in sample[1].values():
        for entry in entries.values():
            camera = DomeCamera(*(np.array(entry[k]) for k in ('K', 'distCoef', 'R')),
                                np.array(entry['t'])[:, 0], tuple(entry['resolution'][::-1]))
            corners = np.array([[x, y] for x in (0, entry['resolution'][0])
                                for y in (0, entry['resolution'][1])], np.float64)
            rays = cv2.undistortPointsIter(corners[:, None], camera.matrix, camera.distortion,
                                           None, None, (3, 200, 1e-12))[:, 0]
            assert np.linalg.norm(rays, axis=-1).max() < camera.reach
            if np.isfinite(camera.reach):
                angle = np.linspace(0, 2 * np.pi, 50)
                rim = .999 * camera.reach * np.stack([np.cos(angle), np.sin(angle)], -1)
                pixels = opencv({**entry, 'R': np.eye(3), 't': np.zeros(3)},
                                np.c_[rim, np.ones(50)])
                assert not ((pixels > 0) & (pixels < entry['resolution'])).all(-1).any()


def test_panoptic_sample_equals_opencv_projection(sample):
    """Every HD camera: joints are where OpenCV puts them, those that are not seen are missing."""
    path, data = sample
    both = [pair for pair in Panoptic(path, strict=True)
            if pair[1] in (('train', ), ('val', ))]
    found = [ann for ann, _ in both]
    assert {splits: ann['frame_dir'][:12] for ann, splits in both} == {
        ('val', ): SEQUENCES[0], ('train', ): SEQUENCES[1]}
    assert len(found) == 138
    assert len({ann['frame_dir'] for ann in found}) == 138
    assert Counter(ann['frame_dir'][:12] for ann in found) == {SEQUENCES[0]: 64, SEQUENCES[1]: 74}
    for ann in found:
        sequence, camera, run = ann['frame_dir'].split('/')
        entries, frames = data[sequence]
        person, first = map(int, run.split('_'))
        assert ann['clip'] == f'{sequence}/{camera}'
        assert ann['track_id'] == person
        assert ann['frame_inds'].tolist() == sorted(frames)
        assert first == min(frames)
        assert ann['img_shape'] == (1080, 1920)
        joints = np.stack([frames[t][person] for t in sorted(frames)])[:, COCO19]
        pixels = opencv(entries[camera], joints[..., :3]).reshape(-1, 17, 2)
        seen = ((joints[..., 3] > .1) & (pixels >= 0).all(-1)
                & (pixels < [1920, 1080]).all(-1))
        assert seen.mean() >= .8
        np.testing.assert_array_equal(ann['keypoint_score'][0] > 0, seen)
        np.testing.assert_allclose(ann['keypoint'][0][seen], pixels[seen], atol=.51)
        np.testing.assert_allclose(ann['keypoint_score'][0][seen], joints[..., 3][seen], rtol=1e-3)
        assert not ann['keypoint'][0][~seen].any()


def test_panoptic_people_stand_upright(sample):
    """Heads above ankles, and left of people who face a camera on the image's right."""
    upright, left = [], []
    for ann, _ in Panoptic(sample[0], strict=True):
        keypoint, seen = ann['keypoint'][0].astype(np.float64), ann['keypoint_score'][0] > 0
        both = seen[:, [0, 15, 16]].all(1)
        upright += (keypoint[both][:, 0, 1] < keypoint[both][:, [15, 16], 1].min(1)).tolist()
        face = seen[:, [1, 2, 5, 6]].all(1)
        order = keypoint[face][:, [1, 5], 0] - keypoint[face][:, [2, 6], 0]
        left += (np.sign(order[:, 0]) == np.sign(order[:, 1])).tolist()
    assert np.mean(upright) > .97
    assert len(upright) > 100
    assert np.mean(left) > .9


def test_panoptic_chooses_cameras_by_kind_name_and_number(sample):
    path = sample[0]

    def names(**kwargs):
        cameras = Panoptic(path, **kwargs)._calibration(f'{SEQUENCES[0]}/hd', SEQUENCES[0])
        return list(cameras)

    assert len(names(cameras=['all'])) == 510
    assert len(names(cameras=['hd', '50_01'])) == 32
    assert names(cameras=['00_12', '03_01']) == ['00_12', '03_01']
    drawn = names(num_cameras=5)
    assert len(set(drawn)) == 5
    assert set(drawn) < set(names())
    assert drawn == names(num_cameras=5)
    assert drawn != names(num_cameras=5, seed=1)
    assert names(num_cameras=99) == names()
    for wrong in ('00_99', 'kinect-color'):
        with pytest.raises(AnnotationError, match=f'cameras: found .*expected {wrong!r}'):
            names(cameras=[wrong])


# -------------------------------------------------------------------------------------- geometry
def test_panoptic_undistorted_pixels_equal_hand_computation(tmp_path):
    """3 m in front of the camera: 1344 / 300 pixels per centimeter."""
    camera = dome_camera(distCoef=[0] * 5)
    ann = read(tmp_path, panoptic({7: [body(2)]}, [camera]))['170101_one/00_00/2_00000007']
    expected = DOME[COCO19] + [0, 90, 300]
    expected = [960, 540] + 1344 * expected[:, :2] / expected[:, 2:]
    np.testing.assert_allclose(ann['keypoint'][0, 0], expected, atol=.5)
    np.testing.assert_allclose(ann['keypoint_score'], .6, rtol=1e-3)
    assert [LAYOUTS['panoptic19'].joints[i] for i in COCO19] == list(LAYOUTS['coco17'].joints)


def test_panoptic_distortion_equals_hand_computation():
    """At u = 1/2, v = 0: k1 moves by k1 / 8, p1 by p1 / 4 down, p2 by 3 p2 / 4."""
    camera = DomeCamera(np.diag([100., 100, 1]), np.array([.1, 0, .01, .02, 0]), np.eye(3),
                        np.zeros(3), (100, 100))
    np.testing.assert_allclose(camera.project(np.array([1., 0, 2])),
                               [100 * (.5 + .1 / 8 + .75 * .02), 100 * .01 / 4])


def test_panoptic_points_behind_camera_and_beyond_reach_are_nan():
    camera = DomeCamera(np.diag([100., 100, 1]), np.array([-1 / 3, 0, 0, 0, 0]), np.eye(3),
                        np.zeros(3), (100, 100))
    assert camera.reach == pytest.approx(1)  # d/dr (r - r^3 / 3) = 1 - r^2
    pixels = camera.project(np.array([[.9, 0, 1], [1.1, 0, 1], [1.7, 0, 1], [.1, 0, -1],
                                      [.1, 0, 0]]))
    assert np.isfinite(pixels).all(-1).tolist() == [True] + [False] * 4


# ------------------------------------------------------------------------------------------ runs
def frames_of(anns):
    return {name.split('/')[-1]: ann['frame_inds'].tolist() for name, ann in anns.items()}


@pytest.mark.parametrize(('kwargs', 'expected'), [
    (dict(max_gap=0), {'0_00000001': [1, 2, 3], '0_00000005': [5], '0_00000009': [9, 10]}),
    (dict(max_gap=1), {'0_00000001': [1, 2, 3, 5], '0_00000009': [9, 10]}),
    (dict(max_gap=3), {'0_00000001': [1, 2, 3, 5, 9, 10]}),
    (dict(max_gap=0, min_frames=2), {'0_00000001': [1, 2, 3], '0_00000009': [9, 10]}),
    (dict(max_gap=3, max_frames=4), {'0_00000001': [1, 2, 3, 5], '0_00000009': [9, 10]}),
    (dict(max_gap=3, max_frames=4, min_frames=3), {'0_00000001': [1, 2, 3, 5]})])
def test_panoptic_gaps_split_runs_of_frames(tmp_path, kwargs, expected):
    frames = {t: [body(0)] for t in (1, 2, 3, 5, 9, 10)}
    frames[4] = []  # nobody
    anns = read(tmp_path, panoptic(frames, [dome_camera()]), **kwargs)
    assert frames_of(anns) == expected
    for ann in anns.values():
        assert ann['total_frames'] == len(ann['frame_inds']) == ann['keypoint'].shape[1]


def test_panoptic_persons_in_changing_order_keep_their_ids(tmp_path):
    frames = {1: [body(5), body(2, (50, 0, 0))], 2: [body(2, (50, 0, 0)), body(5)], 3: [body(5)]}
    anns = read(tmp_path, panoptic(frames, [dome_camera()]))
    assert frames_of(anns) == {'2_00000001': [1, 2], '5_00000001': [1, 2, 3]}
    five = anns['170101_one/00_00/5_00000001']['keypoint']
    assert (five == five[:, :1]).all()
    assert (anns['170101_one/00_00/2_00000001']['keypoint'][0, :, 0, 0] > five[0, 0, 0, 0]).all()


# ------------------------------------------------------------------------------------ visibility
@pytest.mark.parametrize(('missing', 'found'), [(3, True), (4, False)])
@pytest.mark.parametrize('how', ['confidence', 'image'])
def test_panoptic_person_needs_four_fifths_of_the_joints(tmp_path, missing, found, how):
    """14 of 17 joints are enough (.82), 13 are not (.76); neck and pelvis do not count."""
    confidence, shift = np.full(19, .5), np.zeros((19, 3))
    lost = COCO19[-missing:]
    if how == 'confidence':
        confidence[[0, 2]] = -1
        confidence[lost] = [.1, .05, -1, 0][:missing]
    else:
        shift[lost] = 1000, 0, 0
    files = panoptic({1: [body(0, shift, confidence)]}, [dome_camera()])
    anns = read(tmp_path, files)
    assert len(anns) == found
    if found:
        ann, = anns.values()
        assert np.flatnonzero(ann['keypoint_score'][0, 0] == 0).tolist() == [14, 15, 16]
    assert len(read(tmp_path, files, min_visible=.9)) == 0
    assert len(read(tmp_path, files, min_visible=.7)) == 1


def test_panoptic_small_people_are_skipped(tmp_path):
    """1.5 m at 50 m are 40 pixels of an HD camera and 13 of a VGA one."""
    cameras = [dome_camera(t=[[0], [90], [5000]]), dome_camera('01_01', 'vga',
                                                               t=[[0], [90], [5000]])]
    files = panoptic({1: [body()]}, cameras)
    assert read(tmp_path, files, cameras=['all']).keys() == {'170101_one/00_00/0_00000001'}
    assert len(read(tmp_path, files, cameras=['all'], min_height=10)) == 2
    assert len(read(tmp_path, files, cameras=['all'], min_height=50)) == 0


def test_panoptic_confidence_above_one_is_one(tmp_path):
    ann, = read(tmp_path, panoptic({1: [body(confidence=1.5)]}, [dome_camera()])).values()
    assert (ann['keypoint_score'] == 1).all()


# --------------------------------------------------------------------------------- names, splits
def test_panoptic_split_follows_sequence_name(tmp_path):
    names = [f'1701{i:02}_a' for i in range(30)]
    for name in names:
        write(tmp_path / 'data', panoptic({1: [body()]}, [dome_camera()], sequence=name))
    splits = {ann['clip'].split('/')[1]: s for ann, (s, ) in Panoptic(tmp_path)}
    assert splits.keys() == set(names)
    assert 0 < list(splits.values()).count('val') < 8
    assert set(splits.values()) == {'train', 'val'}
    assert splits == {ann['clip'].split('/')[0]: s for ann, (s, ) in Panoptic(tmp_path / 'data')}
    assert {s for _, (s, ) in Panoptic(tmp_path, val_share=0)} == {'train'}
    few = Panoptic(tmp_path, val_share=1e-9)
    assert [s for _, (s, ) in few].count('val') == 1
    (tmp_path / 'some.txt').write_text(f'{names[3]} 2')
    (ann, split), = Panoptic(tmp_path, lists=dict(some=tmp_path / 'some.txt'))
    assert (ann['label'], split) == (2, ('some', ))
    assert names[3] in ann['clip']


@pytest.mark.parametrize('where', ['', '170101_one', '170101_one/hdPose3d_stage1_coco19'])
def test_panoptic_sequence_is_found_from_any_folder(tmp_path, where):
    files = panoptic({1: [body()]}, [dome_camera()])
    files['170101_one/hdPose3d_stage1/body3DScene_00000001.json'] = b'other joints'
    write(tmp_path, files)
    anns = [ann['frame_dir'] for ann, _ in Panoptic(tmp_path / where, strict=True)]
    assert anns == ['170101_one/00_00/0_00000001']


# ------------------------------------------------------------------------------------- bad files
def frame(**changes):
    return json.dumps(dict(bodies=[{**body(), **changes}])).encode()


LONG, FAR = (body()['joints19'] for _ in range(2))
FAR[6] = 1e300
BAD_FRAMES = [
    (b'', 'file'), (b'\xff\xfe', 'file'), (b'[' * 10**5, 'file'), (scene(body())[:-50], 'file'),
    (b'[]', 'bodies'), (b'{"bodies": 3}', 'bodies'), (b'{"bodies": [3]}', 'bodies'),
    (b'{"bodies": [{"id": 0}]}', 'bodies'), (scene(body(), body()), 'id'),
    (frame(id=-1), 'id'), (frame(id=True), 'id'), (frame(id='0'), 'id'), (frame(id=[[]]), 'id'),
    (frame(id=2**40), 'id'), (frame(id=1.0), 'id'), (frame(joints19=FAR), 'joints19'),
    (frame(joints19=LONG[:-1]), 'joints19'),
    (frame(joints19=[[1]] * 76), 'joints19'), (frame(joints19='a' * 76), 'joints19'),
    (frame(joints19=None), 'joints19'), (frame(joints19=[10**400] * 76), 'joints19')]


@pytest.mark.parametrize('case', range(len(BAD_FRAMES)))
def test_panoptic_bad_frame_is_reported_and_missing(tmp_path, case):
    content, field = BAD_FRAMES[case]
    files = panoptic({t: [body()] for t in range(5)}, [dome_camera()])
    name = '170101_one/hdPose3d_stage1_coco19/body3DScene_00000003.json'
    source = Panoptic(write(tmp_path, {**files, name: content}))
    (ann, _), = source
    assert ann['frame_inds'].tolist() == [0, 1, 2, 4]
    assert f'{name}: {field}: found' in str(source.problems[0])
    assert len(source.problems) == 1
    with pytest.raises(AnnotationError, match=f'{name}: {field}: found'):
        list(Panoptic(tmp_path, strict=True))


def test_panoptic_runs_that_are_all_too_short_are_not_blamed_on_lists(tmp_path):
    files = panoptic({t: [body(0)] for t in range(3)}, [dome_camera()])
    source = Panoptic(write(tmp_path / 'in', files), min_frames=9)
    with pytest.raises(AnnotationError, match=r'none of 1 recordings, e\.g\. .*a minimum of frames'
                       ) as caught:
        prepare(source, tmp_path / 'a.pkl', 0)
    assert 'lists' not in str(caught.value)


def test_panoptic_refuses_frame_name_without_eight_digits(tmp_path):
    files = panoptic({1: [body()]}, [dome_camera()])
    files['170101_one/hdPose3d_stage1_coco19/body3DScene_1.json'] = scene(body())
    with pytest.raises(AnnotationError, match='name: found body3DScene_1.json'):
        read(tmp_path, files)


def test_panoptic_sequence_without_persons_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match='bodies: found none'):
        read(tmp_path, panoptic({1: [], 2: []}, [dome_camera()]))


BAD_CAMERAS = [
    (3, 'cameras: found int'), ([3], 'cameras: found list'), ([{}], 'name'), ([], 'cameras'),
    ([{**dome_camera(), 'name': 3}], 'name'),
    ([{**dome_camera(), 'name': '../a'}], 'name'), ([dome_camera(), dome_camera()], 'twice'),
    ([dome_camera(panel=['hd'])], "expected 'hd'"), ([dome_camera('01_01', 'vga')], "'hd'"),
    ([dome_camera(K=None)], '00_00: K'), ([dome_camera(K=[[1, 0], [0, 1]])], '00_00: K'),
    ([dome_camera(K=np.zeros((3, 3)).tolist())], 'K: found .*a camera matrix'),
    ([dome_camera(K=np.ones((3, 3)).tolist())], 'K: found .*a camera matrix'),
    ([dome_camera(R=np.ones((3, 3)).tolist())], 'R: found .*a rotation'),
    ([dome_camera(R=(-np.eye(3)).tolist())], 'R: found .*a rotation'),
    ([dome_camera(R=(1e200 * np.eye(3)).tolist())], 'R: found .*a rotation'),
    ([dome_camera(t=[[0], [90], [1e9]])], 't: found .*centimeters'),
    ([dome_camera(t=[0, 90, 300])], r't: found shape \(3,\)'),
    ([dome_camera(distCoef=[0] * 4)], 'distCoef'), ([dome_camera(distCoef=['a'] * 5)], 'distCoef'),
    ([dome_camera(distCoef=[float('nan')] * 5)], 'distCoef'),
    ([dome_camera(distCoef=[0, 0, 0, 0, 1e300])], 'distCoef: found .*below 1000'),
    ([dome_camera(resolution=[0, 5])], 'resolution'), ([dome_camera(resolution=9)], 'resolution'),
    ([dome_camera(resolution=[1e6, 5])], 'resolution'),
    ([dome_camera(resolution=[10.5, 5])], 'resolution')]


@pytest.mark.parametrize('case', range(len(BAD_CAMERAS)))
def test_panoptic_bad_calibration_is_named(tmp_path, case):
    cameras, words = BAD_CAMERAS[case]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(AnnotationError,
                           match=f'(?s)calibration_170101_one.json: .*({words})'):
            read(tmp_path, panoptic({1: [body()]}, cameras))


def test_panoptic_extreme_distortion_gives_no_joints(tmp_path):
    for coefficients in ([-999] * 5, [-999, 0, 0, 0, 1e-310], [0, 0, 999, 999, 0]):
        files = panoptic({1: [body()]}, [dome_camera(distCoef=coefficients)])
        assert read(tmp_path, files) == {}


def test_panoptic_missing_calibration_is_named(tmp_path):
    files = panoptic({1: [body()]})
    del files['170101_one/calibration_170101_one.json']
    source = Panoptic(write(tmp_path, files))
    assert list(source) == []
    assert 'found no calibration_170101_one.json' in str(source.problems[0])


def test_panoptic_other_skeletons_alone_are_refused(tmp_path):
    write(tmp_path, {'a/hdPose3d_stage1/body3DScene_00000001.json': scene(body())})
    with pytest.raises(AnnotationError, match='found no body3DScene_'):
        Panoptic(tmp_path)


@pytest.mark.parametrize('kwargs', [dict(min_frames=0), dict(max_frames=0), dict(max_gap=-1),
                                    dict(num_cameras=0), dict(seed=-1),
                                    dict(min_visible=80), dict(val_share=np.nan)])
def test_panoptic_refuses_bad_arguments(tmp_path, kwargs):
    with pytest.raises(ValueError, match='found min_(frames|visible)='):
        Panoptic(write(tmp_path, panoptic()), **kwargs)


def test_panoptic_options_reach_the_source(tmp_path):
    parser = argparse.ArgumentParser()
    Panoptic.add_options(parser)
    args = vars(parser.parse_args(['--cameras', 'hd', '01_01', '--num-cameras', '2', '--max-gap',
                                   '0', '--max-frames', '3', '--min-frames', '2']))
    source = Panoptic(write(tmp_path, panoptic()), **args)
    assert Counter(ann['total_frames'] for ann, _ in source) == {3: 4, 2: 4}
