"""Poses per frame to annotations: track IDs, gaps, choice of persons."""

import argparse

import numpy as np
import pytest

from mofm.annotations import AnnotationError, validate
from mofm.sources import per_frame_poses
from mofm.sources.per_frame_poses import FramePoses, FramePoseSource, frame_numbers
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
    return video._replace(frame=video.frame[keep], keypoint=video.keypoint[keep],
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
    values = people(frames=3, persons=2)
    values[:, 0, :, 2], values[:, 1, :, 2] = .5, [[.4], [.6], [.4]]
    ann, = read(tmp_path, video(values, ids=[5, 5]))
    np.testing.assert_array_equal(
        ann['keypoint'][0], values[np.arange(3), [0, 1, 0], :, :2].astype('f2'))


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
    (['1', str(2**31)], [0, 1]),
    (['9' * 5000, '1'], [1, 0]),
    (['walk'], [0])])
def test_frame_numbers_follow_image_names(names, expected):
    assert frame_numbers(names).tolist() == expected
