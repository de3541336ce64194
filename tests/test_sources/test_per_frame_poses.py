"""Poses per frame to annotations: track IDs, gaps, choice of persons."""

import argparse
import json
import zipfile

import numpy as np
import pytest

from mofm.annotations import AnnotationError, validate
from mofm.annotations.values import find_coordinates
from mofm.sources import PennAction, per_frame_poses
from mofm.sources.frame_numbers import find_step, frame_numbers
from mofm.sources.joint_order import misfit, other_layouts
from mofm.sources.per_frame_poses import FramePoses, FramePoseSource
from mofm.structures import LAYOUTS, convert
from tests.test_sources.native_files.pose_detectors import people


class Given(FramePoseSource):
    """Videos that a test made."""

    def videos(self, name, content):
        yield from self.given


def read(tmp_path, *videos, **kwargs):
    (tmp_path / 'a.json').write_text('')
    source = Given(tmp_path, strict=True, **kwargs)
    source.given = videos
    return [ann for ann, _ in source]


def video(values, frames=None, name='walk', ids=None, **kwargs):
    """All persons (T, M, V, 3) in all frames."""
    length, persons = values.shape[:2]
    frames = np.arange(length) if frames is None else np.array(frames)
    flat = values.reshape(-1, *values.shape[2:])
    ids = None if ids is None else np.tile(ids, length)
    return FramePoses(name, frames, np.repeat(frames, persons), flat[..., :2], flat[..., 2], ids,
                      **kwargs)


def select(video, keep):
    return video._replace(frame=video.frame[keep], box=None, keypoint=video.keypoint[keep],
                          score=video.score[keep],
                          track_id=None if video.track_id is None else video.track_id[keep])


def test_frame_poses_become_one_annotation_per_video(tmp_path):
    values = people(frames=7, persons=3)
    values[..., 2] *= np.array([.5, 1, .8])[:, None]
    ann, = read(tmp_path, video(values))
    assert validate(ann) is None
    assert {k: ann[k] for k in ('frame_dir', 'label', 'total_frames')} == dict(
        frame_dir='walk', label=0, total_frames=7)
    assert not ann.keys() & {'frame_inds', 'track_id', 'clip'}
    expected = values.transpose(1, 0, 2, 3)[[1, 2, 0]].astype(np.float16)  # by summed score
    np.testing.assert_array_equal(ann['keypoint'], expected[..., :2])
    np.testing.assert_array_equal(ann['keypoint_score'], expected[..., 2])
    assert ann['keypoint'].dtype == ann['keypoint_score'].dtype == np.float16
    top, = read(tmp_path, video(values), max_person=2)
    np.testing.assert_array_equal(top['keypoint'], ann['keypoint'][:2])


def test_frame_poses_with_tracks_become_one_annotation_per_person(tmp_path):
    values = people(frames=5, persons=3)
    anns = read(tmp_path, video(values, [2, 3, 4, 5, 6], ids=[7, 3, 12]), tracks=True)
    assert [(a['frame_dir'], a['clip'], a['track_id']) for a in anns] == [
        ('walk/3', 'walk', 3), ('walk/7', 'walk', 7), ('walk/12', 'walk', 12)]
    for ann, m in zip(anns, (1, 0, 2), strict=True):
        assert validate(ann) is None
        assert ann['frame_inds'].tolist() == [2, 3, 4, 5, 6]
        np.testing.assert_array_equal(ann['keypoint'][0], values[:, m, :, :2].astype('f2'))


def test_frame_poses_join_tracks_of_one_person_before_persons_are_left_out(tmp_path):
    """Twelve IDs of one person in 60 frames, and another person: 10 persons would be kept."""
    values = people(frames=60, persons=2)
    values[..., 0] = values[:1, :, :, 0] + np.array([0, 400])[:, None]
    values[..., 1] = values[:1, :, :, 1]
    given = video(values, ids=[0, 0])
    ids = np.stack([100 + np.arange(60) // 5, np.full(60, 7)], 1).ravel()
    given = given._replace(track_id=ids)
    ann, = read(tmp_path, given)
    assert sorted(ann['keypoint_score'].any(-1).sum(1).tolist()) == [60, 60]
    few, = read(tmp_path, given, max_person=1)
    assert few['keypoint_score'].any(-1).sum(1).tolist() == [60]
    every, = read(tmp_path, given, max_person=20)
    assert len(every['keypoint']) == 13  # as the file has them
    assert len(read(tmp_path, given, tracks=True)) == 13


def test_frame_poses_keep_ids_of_file_when_persons_swap_places(tmp_path):
    """Track IDs of the file win over similarity; without them similarity decides."""
    values = people(frames=6, persons=2)
    values[3:] = values[3:, ::-1]
    for ids, persons in (([0, 1], values), (None, np.concatenate([
            values[:3], values[3:, ::-1]]))):
        anns = read(tmp_path, video(values, ids=ids), tracks=True)
        found = sorted(a['keypoint'][0].tolist() for a in anns)
        assert found == sorted(persons[:, m, :, :2].astype('f2').tolist() for m in (0, 1))


def test_frame_poses_with_duplicate_id_keep_the_better_pose(tmp_path):
    values = people(frames=3, persons=3)
    values[:, 0, :, 2], values[:, 1, :, 2] = .5, [[.4], [.6], [.4]]
    values[:, 2, :, 2] = .3
    ann, = read(tmp_path, video(values, ids=[5, 5, 6]))
    assert ann['track_id'].tolist() == [5, 6]
    np.testing.assert_array_equal(
        ann['keypoint'][0], values[np.arange(3), [0, 1, 0], :, :2].astype('f2'))


def test_one_id_of_all_persons_is_no_tracking(tmp_path):
    """As of trackers that were off: 0, or 10000, for everybody."""
    values = people(frames=3, persons=2)
    ann, = read(tmp_path, video(values, ids=[10000, 10000]))
    assert ann['keypoint'].shape == (2, 3, 17, 2)
    assert ann['keypoint_score'].all()
    assert 'track_id' not in ann
    ann, = read(tmp_path, video(values[:, :1], ids=[10000]))
    assert ann['track_id'].tolist() == [10000]


def test_frame_poses_fill_short_gaps_and_split_at_long_ones(tmp_path):
    values = people(frames=30, persons=1)
    present = np.ones(30, bool)
    present[5:8] = present[15:21] = False
    given = select(video(values), present)
    ann, = read(tmp_path, given, max_gap=5)
    seen = ann['keypoint_score'][0].any(-1)
    assert np.flatnonzero(~seen).tolist() == list(range(15, 21))
    assert len(seen) == 30
    np.testing.assert_allclose(  # walks on straight lines
        ann['keypoint'][0, 5:8], values[5:8, 0, :, :2], atol=.5)
    np.testing.assert_allclose(ann['keypoint_score'][0, 6], np.minimum(
        values[4, 0, :, 2], values[8, 0, :, 2]), atol=1e-3)
    first, second = read(tmp_path, given, max_gap=5, tracks=True)
    assert [(a['frame_dir'], a['clip'], a['track_id']) for a in (first, second)] == [
        ('walk/0', 'walk', 0), ('walk/0_1', 'walk', 0)]
    assert first['frame_inds'].tolist() == list(range(15))
    assert second['frame_inds'].tolist() == list(range(21, 30))
    assert [a['total_frames'] for a in read(tmp_path, given, max_gap=0, tracks=True)] == [5, 7, 9]
    assert [a['total_frames'] for a in read(tmp_path, given, max_gap=6, tracks=True)] == [30]
    raw, = read(tmp_path, given, max_gap=0)
    np.testing.assert_array_equal(raw['keypoint_score'][0].any(-1), present)
    long, = read(tmp_path, given, max_gap=0, min_frames=8)
    assert np.flatnonzero(long['keypoint_score'][0].any(-1)).tolist() == list(range(21, 30))


def test_frame_poses_fill_frames_that_the_file_lacks(tmp_path):
    """Filled frames become rows, others do not; frame numbers say which."""
    ann, = read(tmp_path, video(people(frames=4, persons=1), [10, 11, 14, 40], ids=[0]),
                max_gap=2)
    assert ann['frame_inds'].tolist() == [10, 11, 12, 13, 14, 40]
    assert ann['total_frames'] == 6
    assert ann['keypoint_score'].any(-1).all()
    assert len(ann['keypoint']) == 1
    ann, = read(tmp_path, video(people(frames=4, persons=1), [0, 1, 2, 3]))
    assert 'frame_inds' not in ann


def test_frame_poses_without_persons_give_empty_rows(tmp_path):
    values = people(frames=6, persons=1)
    ann, = read(tmp_path, select(video(values), np.arange(6) < 2))
    assert ann['total_frames'] == 6
    assert ann['keypoint_score'][0].any(-1).sum() == 2
    empty = select(video(values), np.zeros(6, bool))
    ann, = read(tmp_path, empty)
    assert ann['keypoint'].shape == (0, 6, 17, 2)
    assert validate(ann, allow_empty=True) is None
    with pytest.raises(AnnotationError, match='persons: found none .* --tracks'):
        read(tmp_path, empty, tracks=True)


def test_frame_poses_clip_scores_to_one_and_refuse_others(tmp_path):
    """Clipped to [0, 1]; what is missing is 0 everywhere; what is no score is refused."""
    values = people(frames=2, persons=1)
    values[0, 0, :4, 2] = 1.07, 6, -.01, 0
    values[1, 0, 3, :2] = 0
    ann, = read(tmp_path, video(values))
    assert ann['keypoint_score'][0, 0, :4].tolist() == [1, 1, 0, 0]
    assert ann['keypoint'][0, 0, 1].any()
    assert not ann['keypoint'][0, 0, 2:4].any()
    assert ann['keypoint_score'][0, 1, 3] == 0
    values[1, 0, 5, 2] = 320
    with pytest.raises(AnnotationError, match='score: found 320'):
        read(tmp_path, video(values))


def test_frame_poses_skip_poses_below_min_score(tmp_path):
    values = people(frames=4, persons=2)
    values[:, 0, :, 2], values[:, 1, :, 2] = .6, .2
    values[2, 0, :, 2] = .3
    ann, = read(tmp_path, video(values), min_score=.4, max_gap=0)
    assert ann['keypoint_score'].any(-1).tolist() == [[True, True, False, True]]


def test_frame_poses_image_size_comes_from_file_option_or_poses(tmp_path):
    values = people(frames=2, persons=1)
    values[0, 0, 0, :2] = 700.2, 410.7
    values[0, 0, 1] = 5000, 5000, 0  # missing
    ann, = read(tmp_path, video(values))
    assert ann['img_shape'] == (411, 701)
    ann, = read(tmp_path, video(values), img_shape=[720, 1280])
    assert ann['img_shape'] == (720, 1280)
    ann, = read(tmp_path, video(values, img_shape=(1080, 1920)), img_shape=[720, 1280])
    assert ann['img_shape'] == (1080, 1920)


def test_frame_poses_lists_choose_and_label_videos(tmp_path):
    (tmp_path / 'train.txt').write_text('walk 3\n')
    (tmp_path / 'a.json').write_text('')
    source = Given(tmp_path, lists=dict(train=tmp_path / 'train.txt'))
    source.given = [video(people(), name='cam1/walk'), video(people(), name='run')]
    (ann, splits), = source
    assert (ann['frame_dir'], ann['label'], splits) == ('cam1/walk', 3, ('train', ))


def test_frame_poses_refuse_values_that_do_not_fit(tmp_path, monkeypatch):
    values = people(frames=8, persons=3)
    monkeypatch.setattr(per_frame_poses, '_MAX_DENSE', 20)
    with pytest.raises(AnnotationError, match='3 in 8 frames.*--tracks'):
        read(tmp_path, video(values))
    assert len(read(tmp_path, video(values), tracks=True)) == 3
    assert len(read(tmp_path, video(values), max_person=2)) == 1
    values[0, 0, 0, 0] = 7e4
    with pytest.raises(AnnotationError, match='keypoint: found 70000.0'):
        read(tmp_path, video(values))
    with pytest.raises(AnnotationError, match='251 in one frame'):
        read(tmp_path, video(people(frames=1, persons=251)[..., :3] / [999, 1, 1]))


@pytest.mark.parametrize('options', [
    dict(max_gap=-1), dict(min_frames=0), dict(max_person=0), dict(min_score=-.1),
    dict(img_shape=(0, 5))])
def test_frame_poses_refuse_options_out_of_range(tmp_path, options):
    with pytest.raises(ValueError, match=f'{next(iter(options))}='):
        read(tmp_path, **options)


def test_frame_poses_options_reach_the_source(tmp_path):
    parser = argparse.ArgumentParser()
    Given.add_options(parser)
    (tmp_path / 'a.json').write_text('')
    source = Given.from_options(tmp_path, **vars(parser.parse_args([])))
    assert (source.max_gap, source.min_frames, source.min_score, source.tracks,
            source.max_person, source.img_shape) == (5, 1, 0, False, 10, None)
    source = Given.from_options(
        tmp_path,
        **vars(
            parser.parse_args([
                '--max-gap', '0', '--min-frames', '9', '--min-score', '.2', '--tracks',
                '--max-person', '2', '--img-shape', '720', '1280', '--strict'
            ])))
    assert (source.max_gap, source.min_frames, source.min_score, source.tracks,
            source.max_person, source.img_shape) == (0, 9, .2, True, 2, (720, 1280))
    assert source.strict


@pytest.mark.parametrize(('names', 'expected'), [
    (['10', '9', '0'], [10, 9, 0]),
    (['img_0010', 'img_0009'], [10, 9]),
    (['cam2-7', 'cam2-30'], [7, 30]),
    (['a3', 'b2'], [0, 1]),                                   # of two cameras
    (['21.9', '21.10', '3.5'], [1, 2, 0]),                    # fractions
    (['21.072956 (1)', '21.072956', '21.136125'], [1, 0, 2]),
    (['x', 'x10', 'x9'], [0, 2, 1]),
    (['07', '7'], [0, 1]),                                    # two images, one number
    (['1', str(2**31)], [0, 2**31 - 1]),
    (['9' * 5000, '1'], [1, 0]),
    (['walk'], [0]),
    (['a_1_pose', 'a_12_pose'], [1, 12]),                     # not at the end
    (['0.5', '0.25', '1.0', '0.75'], [25, 0, 75, 50]),        # seconds
    (['1593612345123', '1593612345156', '1593612345190', '1593612345223'], [0, 33, 67, 100]),
    (['1593612345', '1593612346', '1593612348'], [0, 1, 3]),
    (['c_2018-07-04_12-08-58', 'c_2018-07-04_12-09-00', 'c_2018-07-04_12-09-02'], [0, 2, 4]),
    (['20180704T235959', '20180705T000000', '20180705T000002'], [0, 1, 3]),
    (['a_20180704_120858_07', 'a_20180704_120858_09'], [7, 9]),
    (['20189904_120858', '20189904_120902'], [120858, 120902]),     # no date
    (['cam01.0031', 'cam01.0109'], [31, 109]),                      # no fractions
    (['a_mp4-7_jpg.rf.0123456789abcdef01234', 'a_mp4-12_jpg.rf.fedcba98765432100123'], [7, 12])])
def test_frame_numbers_follow_image_names(names, expected):
    assert frame_numbers(names).tolist() == expected


# ------------------------------------------------------------------------- sampled images, steps
@pytest.mark.parametrize(('numbers', 'places', 'step'), [
    ([0, 6, 12, 18], [0, 1, 2, 3], 6), ([7, 39, 71], [0, 1, 2], 32),
    ([0, 33, 67, 100], [0, 1, 2, 3], 33), ([0, 6, 18, 24], [0, 1, 3, 4], 6),
    ([4, 9, 14, 24, 29], [0, 1, 2, 4, 5], 5), ([0, 2, 5, 7, 10, 12], [0, 1, 2, 3, 4, 5], 2.4),
    ([0, 34, 66, 101, 200], [0, 1, 2, 3, 6], 33),        # time stamps in milliseconds
    ([0, 20, 52, 85, 105, 137, 170, 190, 222, 300], [0, 1, 2, 3, 4, 5, 6, 7, 8, 10], 32),
    ([0, 6], [0, 1], 6),
    ([10**15, 10**15 + 40000, 10**15 + 80000], [0, 1, 2], 40000)])
def test_step_of_sampled_images_is_found(numbers, places, step):
    found, value = find_step(np.array(numbers))
    assert found.tolist() == places
    assert value == pytest.approx(step, rel=.05)


@pytest.mark.parametrize('numbers', [
    [1, 2, 3, 7, 8], [0, 1, 2, 3], [10, 11, 14, 40], [3, 9, 40, 41, 77], [5, 10, 16, 30, 33],
    [0, 40, 100], [3, 7, 40, 51, 77, 83, 120, 122, 180, 240], [5], []])
def test_gaps_of_missing_frames_are_no_step(numbers):
    assert find_step(np.array(numbers, int)) is None


@pytest.mark.parametrize('numbers', [
    6 * np.arange(12), 32 * np.arange(12) + 5, np.rint(100 / 3 * np.arange(12)).astype(int)])
def test_sampled_images_are_one_person_with_a_row_per_image(tmp_path, numbers):
    values = people(frames=12, persons=1)
    given = video(values, numbers, fps=30.)
    ann, = read(tmp_path, given)
    assert ann['keypoint'].shape == (1, 12, 17, 2)
    assert 'frame_inds' not in ann
    np.testing.assert_array_equal(ann['keypoint'][0], values[:, 0, :, :2].astype('f2'))
    missing = select(given, given.frame != numbers[4])._replace(frames=np.delete(numbers, 4))
    ann, = read(tmp_path, missing)
    assert ann['total_frames'] == 12                     # one row filled
    np.testing.assert_allclose(ann['keypoint'][0, 4], values[4, 0, :, :2], atol=.5)
    ann, = read(tmp_path, missing, max_gap=0)
    assert ann['frame_inds'].tolist() == [0, 1, 2, 3, *range(5, 12)]


def test_numbers_with_gaps_everywhere_are_noted(tmp_path):
    (tmp_path / 'a.json').write_text('')
    source = Given(tmp_path, strict=True)
    source.given = [video(people(frames=4, persons=1), [3, 9, 40, 77])]
    list(source)
    assert any('gaps everywhere' in note for note in source.notes)


# --------------------------------------------------------------------- coordinates and image size
def scaled(values, coordinates, size=(400, 800)):
    out = values.copy()
    out[..., :2] /= np.array(size[::-1])
    if coordinates == 'signed':
        out[..., :2] = 2 * out[..., :2] - 1
    return out


@pytest.mark.parametrize('coordinates', ['unit', 'signed'])
def test_normalized_coordinates_are_recognized_and_scaled(tmp_path, coordinates):
    """With the size of the option or the file, and a few joints far outside."""
    values = people(frames=6, persons=2)
    values[..., 1] += 80
    values[2, 0, 3, :2] = 2600, 380                      # a stray joint
    given = video(scaled(values, coordinates))
    for options, shape in ((dict(img_shape=(400, 800)), None), ({}, (400, 800))):
        ann, = read(tmp_path, given._replace(img_shape=shape), **options)
        order = np.argsort(ann['keypoint'][:, 0, 0, 0])
        np.testing.assert_allclose(ann['keypoint'][order], values.transpose(1, 0, 2, 3)[..., :2],
                                   atol=.5)
        assert ann['img_shape'] == (400, 800)
    with pytest.raises(AnnotationError, match='found coordinates of .* --img-shape'):
        read(tmp_path, given)
    with pytest.raises(AnnotationError, match='--img-shape'):  # also if the file says so
        read(tmp_path, video(values, coordinates=coordinates))


def test_missing_joints_stay_missing_when_coordinates_are_scaled(tmp_path):
    values = scaled(people(frames=3, persons=2), 'signed')
    values[1, 0, 5] = 0
    values[1, 0, 6] = -1, -1, 0
    ann, = read(tmp_path, video(values, ids=[1, 2]), img_shape=(400, 800))
    assert not ann['keypoint'][:, 1, [5, 6]].any(-1).all(0).any()


def test_unclear_coordinates_are_asked_for_and_the_option_wins(tmp_path):
    values = scaled(people(frames=6, persons=1), 'unit')
    values[..., 0] -= .1                                  # half of the joints left of the image
    with pytest.raises(AnnotationError, match='--coordinates unit or signed'):
        read(tmp_path, video(values), img_shape=(400, 800))
    for coordinates, x in (('unit', 800 * values[0, 0, 5, 0]),
                           ('signed', 400 * (values[0, 0, 5, 0] + 1))):
        ann, = read(tmp_path, video(values), img_shape=(400, 800), coordinates=coordinates)
        assert ann['keypoint'][0, 0, 5, 0] == pytest.approx(x, abs=.3)
    with pytest.raises(AnnotationError, match='expected pixels'):  # in an image of that size
        read(tmp_path, video(values), img_shape=(400, 800), coordinates='pixels')


def test_small_pixels_are_no_normalized_coordinates():
    points = np.random.default_rng(0).uniform(0, 8, (5, 17, 2))
    assert find_coordinates(points, np.ones((5, 17))) == 'pixels'
    assert find_coordinates(np.zeros((5, 17, 2)), np.ones((5, 17))) == 'pixels'
    assert find_coordinates(points / 8, np.ones((5, 17))) == 'unit'
    assert find_coordinates(points / 4 - 1, np.ones((5, 17))) == 'signed'
    assert find_coordinates(np.full((5, 17, 2), np.nan), np.ones((5, 17))) == 'pixels'


@pytest.mark.parametrize('where', ['option', 'file'])
def test_swapped_height_and_width_are_refused(tmp_path, where):
    values = people(frames=6, persons=3)                  # 20 to 600 x 50 to 230
    swapped = dict(img_shape=(640, 360))
    with pytest.raises(AnnotationError, match='img_shape: .*height 640.* swapped'):
        read(tmp_path, video(values, **swapped if where == 'file' else {}),
             **swapped if where == 'option' else {})
    read(tmp_path, video(values, img_shape=(360, 640)))


def test_persons_half_outside_of_the_image_are_kept(tmp_path):
    values = people(frames=6, persons=1)
    for shape, shift in (((640, 60), 0), ((640, 50), 0), ((120, 640), 0), ((640, 480), -50)):
        moved = values + [shift, 0, 0]
        ann, = read(tmp_path, video(moved, img_shape=shape))
        assert ann['keypoint_score'].all()


def test_poses_outside_of_the_image_are_noted(tmp_path):
    (tmp_path / 'a.json').write_text('')
    source = Given(tmp_path, strict=True)
    source.given = [video(people(frames=6, persons=3), img_shape=(100, 100))]
    list(source)
    assert any('outside of the image' in note for note in source.notes)


def test_joints_far_outside_of_the_image_are_noted(tmp_path):
    (tmp_path / 'a.json').write_text('')
    for stray, noted in ((3000, True), (900, False)):
        values = people(frames=6, persons=2)
        values[:, :, 3, 0] = stray
        source = Given(tmp_path, strict=True)
        source.given = [video(values, img_shape=(480, 640))]
        list(source)
        assert any('far outside' in note for note in source.notes) == noted


# ------------------------------------------------------------------------------- order of joints
class Raw(FramePoseSource):
    """Poses of any layout that a test made."""

    def videos(self, name, content):
        keypoint, score = self.to_layout_joints(name, 'keypoints', *self.given,
                                                ('coco17', 'body25'), self.names)
        yield FramePoses('walk', np.arange(len(keypoint)), np.arange(len(keypoint)), keypoint,
                         score, np.zeros(len(keypoint), int))


def in_layout(tmp_path, src, names=None, **kwargs):
    """Read a person in a layout of which the reader knows two."""
    values = people(frames=6, persons=1)[:, 0]
    (tmp_path / 'a.json').write_text('')
    source = Raw(tmp_path, strict=True, **kwargs)
    source.given = convert(values[..., :2], values[..., 2], 'coco17', src)
    source.names = names
    (ann, _), = source
    body = slice(5, 17)
    np.testing.assert_allclose(ann['keypoint'][0][:, body], values[:, body, :2], atol=.1)
    return source.notes


@pytest.mark.parametrize('layout', ['coco17', 'body25'])
def test_usual_layout_is_taken_and_noted(tmp_path, layout):
    notes = in_layout(tmp_path, layout)
    assert any(f'are read as those of {layout}' in note for note in notes)


@pytest.mark.parametrize(('layout', 'usual'), [
    ('h36m17', 'coco17'), ('body25b', 'body25'), ('kinect25', 'body25')])
def test_other_layout_of_the_same_number_is_refused_unless_said(tmp_path, layout, usual):
    with pytest.raises(AnnotationError, match=f'of {layout}, not of {usual}.*--layout {layout}'):
        in_layout(tmp_path, layout)
    assert not in_layout(tmp_path, layout, layout=layout)
    values = people(frames=6, persons=1)[:, 0]
    source = Raw(tmp_path, layout=usual)                  # the user wins, but is told
    source.given = convert(values[..., :2], values[..., 2], 'coco17', layout)
    source.names = None
    list(source)
    assert not source.problems
    assert any(layout in note for note in source.notes)


def test_unknown_number_of_joints_asks_for_layout(tmp_path):
    words = 'found 13 joints.*--layout, which may be penn13 or .*lcr13.*--map'
    with pytest.raises(AnnotationError, match=words):
        in_layout(tmp_path, 'penn13')
    in_layout(tmp_path, 'penn13', layout='penn13')
    with pytest.raises(AnnotationError, match='found 13 joints, expected those of coco17'):
        in_layout(tmp_path, 'penn13', layout='coco17')


@pytest.mark.parametrize('style', [
    str, str.upper, lambda name: name.title().replace('_', ''),
    lambda name: name.replace('left_', 'L').replace('right_', 'R').title(),
    lambda name: '_'.join(name.split('_')[::-1]).replace('left', 'l').replace('right', 'r')])
def test_joints_are_found_by_their_names(tmp_path, style):
    names = [style(name) for name in LAYOUTS['penn13'].joints]
    assert any('names' in note for note in in_layout(tmp_path, 'penn13', names))


def test_map_by_number_or_name_gives_coco_joints(tmp_path):
    joints, penn = LAYOUTS['coco17'].joints, LAYOUTS['penn13'].joints
    file = tmp_path / 'map.txt'
    for names, entry in ((None, penn.index), ([f'j{i}' for i in range(13)],
                                              lambda joint: f'j{penn.index(joint)}')):
        places = {joint: entry(joint) for joint in joints[5:]}
        file.write_text(json.dumps(dict(places, nose=[places['left_hip'], places['right_hip']])))
        in_layout(tmp_path, 'penn13', names, joint_map=file)
    with pytest.raises(AnnotationError, match='found 13 joints, expected numbers of joints'):
        in_layout(tmp_path, 'penn13', joint_map=file)
    file.write_text('{"nose": 13}')
    with pytest.raises(AnnotationError, match='one joint called 13, the nose'):
        in_layout(tmp_path, 'penn13', joint_map=file)
    with pytest.raises(ValueError, match='layout=.* joint_map='):
        Raw(tmp_path, joint_map=file, layout='coco17')


@pytest.mark.parametrize('turned', [False, True])
def test_people_upside_down_are_noted(tmp_path, turned):
    values = people(frames=12)
    if turned:
        values[..., 1] = 1000 - values[..., 1]
    (tmp_path / 'a.json').write_text('')
    source = Given(tmp_path)
    source.given = [video(values)]
    list(source)
    assert ('heads are below feet in most poses; y is expected to point down' in source.notes
            ) == turned


@pytest.mark.parametrize(('scale', 'noted'), [(1, False), (.1, False), (.01, True)])
def test_tiny_bodies_in_pixels_are_noted(tmp_path, scale, noted):
    """In meters or hundreds of pixels, which are above 1.5."""
    values = people(frames=4, persons=2)
    values[..., :2] = values[..., :2] * scale + 5
    (tmp_path / 'a.json').write_text('')
    source = Given(tmp_path)
    source.given = [video(values)]
    (ann, _), = source
    assert any('most bodies are smaller than 12 pixels' in note for note in source.notes) == noted
    assert ann['keypoint'].max() == pytest.approx(values[..., :2].max(), rel=1e-3)


def test_degenerate_poses_have_the_usual_layout():
    for keypoint in (np.zeros((4, 17, 2)), np.ones((4, 17, 2)), np.zeros((0, 17, 2)),
                     np.eye(17)[:, :2] * np.ones((2, 17, 2)), np.full((1, 17, 2), 1e200)):
        assert other_layouts(keypoint, np.ones(keypoint.shape[:2]), 'coco17')[0] == 'similar'


def test_real_poses_fit_their_own_layout_best(real_data):
    """2547 and 810 real poses in five orders of joints."""
    with zipfile.ZipFile(real_data('alphapose_sample.zip')) as archive:
        files = [json.loads(archive.read(name)) for name in archive.namelist()
                 if name.endswith('.json')]
    for file, src in zip(files, ('coco17', 'halpe26'), strict=True):
        values = np.array([person['keypoints'] for person in file]).reshape(len(file), -1, 3)
        for layout in ('coco17', 'h36m17', 'body25', 'body25b', 'kinect25'):
            keypoint, score = convert(values[..., :2], values[..., 2], src, layout)
            fits = {other: misfit(keypoint, score, other) for other in LAYOUTS
                    if LAYOUTS[other].num_joints == LAYOUTS[layout].num_joints}
            assert fits[layout] == min(fits.values()), (src, layout)


@pytest.mark.parametrize(('usual', 'order', 'read', 'refused'), [
    ('coco17', 'coco17', 1, 0), ('coco17', 'h36m17', 0, .75),
    ('body25', 'body25', 1, 0), ('body25', 'body25b', 0, .7), ('body25', 'kinect25', 0, .7)])
def test_order_of_occluded_joints_is_read_only_if_usual(real_data, usual, order, read, refused):
    """Every 20th clip of Penn Action, which has 13 joints, some never visible."""
    source, kinds = PennAction(real_data('penn_action.zip')), []
    for ann, _ in source.convert(source.files[::20]):
        points = ann['keypoint'][0].astype(float), ann['keypoint_score'][0].astype(float)
        kind, named = other_layouts(*convert(*points, 'coco17', order), usual)
        kinds.append('read' if kind == 'similar' and (order == usual or order not in named)
                     else kind)
    assert kinds.count('read') == read * len(kinds)
    assert kinds.count('better') >= refused * len(kinds)
    assert len(kinds) == 117


# ------------------------------------------------------------------------------- IDs and boxes
def with_boxes(values, **kwargs):
    """A video with the box of every pose."""
    given = video(values, **kwargs)
    return given._replace(box=np.concatenate([given.keypoint.min(1), given.keypoint.max(1)], 1))


def test_ids_and_boxes_of_the_file_are_kept(tmp_path):
    values = people(frames=8, persons=3)
    values[..., 2] *= np.array([.5, 1, .8])[:, None]
    given = with_boxes(values, ids=[70, 3, 12], fps=25.)
    boxes = given.box.reshape(8, 3, 4).transpose(1, 0, 2)[[1, 2, 0]].astype(np.float16)
    ann, = read(tmp_path, given)
    assert validate(ann) is None
    assert ann['track_id'].tolist() == [3, 12, 70]        # by summed score, as the persons
    np.testing.assert_array_equal(ann['box'], boxes)
    assert ann['fps'] == 25
    assert ann['keypoint'].shape == (3, 8, 17, 2)
    for ann, box in zip(read(tmp_path, given, tracks=True), boxes, strict=True):
        assert validate(ann) is None
        np.testing.assert_array_equal(ann['box'], box[None])
    ann, = read(tmp_path, video(values))                  # tracked here: numbers mean nothing
    assert not ann.keys() & {'track_id', 'box', 'fps'}


def test_boxes_are_filled_in_gaps_and_zero_where_there_are_none(tmp_path):
    given = with_boxes(people(frames=8, persons=1), ids=[4])
    given.box[6] = np.nan
    ann, = read(tmp_path, select(given, np.arange(8) != 3)._replace(
        box=np.delete(given.box, 3, 0)))
    np.testing.assert_allclose(ann['box'][0, 3], given.box[[2, 4]].mean(0), atol=.3)
    assert ann['box'].any(-1)[0].tolist() == [True] * 6 + [False, True]
    assert ann['keypoint'].shape == (1, 8, 17, 2)


def test_normalized_boxes_are_scaled_with_the_joints(tmp_path):
    values = people(frames=3, persons=2)
    pixels, = read(tmp_path, with_boxes(values, ids=[1, 2]), img_shape=(400, 800))
    ann, = read(tmp_path, with_boxes(scaled(values, 'unit'), ids=[1, 2]), img_shape=(400, 800))
    np.testing.assert_allclose(ann['box'], pixels['box'], atol=.3)


# ---------------------------------------------------------------------- a video of several files
class Texts(FramePoseSource):
    """Files ``frame`` have one frame, ``video`` several, ``none`` do not tell."""

    def one_frame(self, sample):
        return dict(frame=True, video=False, none=None)[sample.head.decode()]


def videos_of(root, files):
    """Recordings and numbers of their files."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    source = Texts(root)
    return {source.stem(name): len(source.members[name]) for name in source.files}


def numbered(pattern, count=6, content='frame'):
    return {pattern.format(i): content for i in range(count)}


@pytest.mark.parametrize(('files', 'expected'), [
    (numbered('cam_json/cam01_{:06}.json'), {'cam_json/cam01': 6}),
    (numbered('frame{:06}.json'), {'root': 6}), (numbered('{}.json'), {'root': 6}),
    (numbered('walk/IMG_{:04}.JSON'), {'walk': 6}), (numbered('root-{}.json'), {'root': 6}),
    (numbered('a/a_{}.json') | numbered('a/b {:02}.json'), {'a': 6, 'a/b': 6}),
    (numbered('c{:03}_left.json') | numbered('c{:03}_right.json'), {'c_left': 6, 'c_right': 6}),
    (numbered('{:06}_cam1.json') | numbered('{:06}_cam2.json'), {'cam1': 6, 'cam2': 6}),
    (numbered('S001C001_{:04}.json') | numbered('S001C002_{:04}.json'),
     {'S001C001': 6, 'S001C002': 6}),
    (numbered('clip_{:02}.json', content='video'), {f'clip_0{i}': 1 for i in range(6)}),
    (numbered('a_{}.json') | {'a_0.json': 'none'}, {'a': 6}),
    (numbered('a_{}.json') | {'a_0.json': 'none', 'a_5.json': 'video'},
     {f'a_{i}': 1 for i in range(6)}),
    (numbered('a_{}.json') | {'notes.json': 'video'}, {'a': 6, 'notes': 1}),
    (numbered('v_2018-07-04_12-0{}-00.json'), {'v': 6}),
    ({f'{i}_{9 - i}.json': 'frame' for i in range(6)}, {'root': 6}),
    ({'walk.json': 'frame', 'run.json': 'frame'}, {'walk': 1, 'run': 1}),
    (numbered('a/b_{}.json') | numbered('a/b/{}.json'), {'a/b': 6, 'a/b_': 6})])
def test_files_that_differ_in_the_number_are_a_video_if_they_have_a_frame(tmp_path, files,
                                                                          expected):
    assert videos_of(tmp_path / 'root', files) == expected
    with zipfile.ZipFile(tmp_path / 'zip', 'w') as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    (tmp_path / 'zip').rename(tmp_path / 'root.zip')
    source = Texts(tmp_path / 'root.zip')
    assert {source.stem(name): len(source.members[name]) for name in source.files} == expected
