"""Animations: artists, frames and files."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.sparse.csgraph import connected_components

from mofm.datasets import SyntheticMotion
from mofm.structures import LAYOUTS
from mofm.visualization import animate_clip, animate_contact_sheet, real_time, save_animation
from mofm.visualization.animation import ClipPanel
from mofm.visualization.pose import LEFT, RIGHT, bone_distances, bridges

EDGES = np.array(LAYOUTS['coco17'].edges)


@pytest.fixture
def clip():
    """A clip of two persons; the second has no left wrist and comes late."""
    one, two = (SyntheticMotion(num_clips=2, num_frames=(20, 20)).get_data_info(i)
                for i in range(2))
    both = {key: np.concatenate([one[key], two[key]]) for key in ('keypoint', 'keypoint_score')}
    both['keypoint_score'][:] = np.maximum(both['keypoint_score'], .5)
    both['keypoint_score'][1, :, 9] = 0
    both['keypoint_score'][1, :3] = 0
    return dict(one, **both)


def bones(axis):
    return next(c for c in axis.collections if isinstance(c, LineCollection))


def test_pose_panel_moves_the_same_artists(clip):
    axis = Figure().subplots()
    panel = ClipPanel(axis, clip)
    panel.show(0)
    artists = list(axis.collections)
    assert len(bones(axis).get_segments()) == len(EDGES)  # the first person only
    for time, frame in ((.5, 10), (1, 19), (.37, 7)):
        panel.show(time)
        assert list(axis.collections) == artists
        expected = clip['keypoint'][0, frame][EDGES].tolist()
        expected += clip['keypoint'][1, frame][EDGES[(EDGES != 9).all(1)]].tolist()
        np.testing.assert_allclose(bones(axis).get_segments(), expected, rtol=1e-6)
        points = next(c for c in axis.collections if c is not bones(axis)).get_offsets()
        assert len(points) == 17 + 16
    low, high = np.sort([axis.get_xlim(), axis.get_ylim()], axis=1).T
    seen = clip['keypoint'][clip['keypoint_score'] > 0]
    assert (seen > low).all()
    assert (seen < high).all()


def test_pose_gif_has_frames_duration_and_skeleton(clip, tmp_path):
    save_animation(animate_clip(clip, num=7, title='walk\nsecond line'), tmp_path / 'a.gif', 10)
    image = Image.open(tmp_path / 'a.gif')
    assert (image.n_frames, image.info['duration'], image.info['loop']) == (7, 100, 0)
    frames = []
    for i in range(7):
        image.seek(i)
        frames.append(np.asarray(image.convert('RGB'), int))
    assert frames[0].shape[1] == 384
    assert frames[0].shape[0] > 404
    for color in (LEFT, RIGHT):
        distance = np.abs(frames[4] - np.array(to_rgb(color)) * 255).max(2)
        assert distance.min() < 24
    assert frames[0].max() >= 254  # the ground stays white
    assert all((a != b).any() for a, b in zip(frames, frames[1:], strict=False))
    np.testing.assert_array_equal(frames[0][:20], frames[6][:20])  # the title does not move


def test_pose_mp4_has_frames_and_rate(clip, tmp_path):
    from imageio_ffmpeg import read_frames
    save_animation(animate_clip(clip, num=5), tmp_path / 'a.mp4', fps=5)
    reader = read_frames(str(tmp_path / 'a.mp4'))
    about = next(reader)
    assert about['size'] == (384, 404)
    assert about['fps'] == 5
    assert about['codec'] == 'h264'
    assert len(list(reader)) == 5


def test_animation_of_empty_clip_is_written(clip, tmp_path):
    empty = dict(clip, keypoint=np.zeros((0, 5, 17, 2)), keypoint_score=np.zeros((0, 5, 17)),
                 total_frames=5)
    save_animation(animate_contact_sheet([clip, empty]), tmp_path / 'a.gif')
    assert Image.open(tmp_path / 'a.gif').n_frames > 1
    save_animation(animate_clip(empty, num=1), tmp_path / 'b.gif')
    assert np.asarray(Image.open(tmp_path / 'b.gif').convert('L'))[12:-25, 5:-5].min() > 250


def test_animation_tells_frame_and_time(clip):
    for fields, first, last in (
            ({}, 'frame 0', 'frame 19'),
            (dict(fps=25., frame_inds=np.arange(50, 90, 2)), '2.00 s, frame 50',
             '3.52 s, frame 88')):
        animation = animate_clip(dict(clip, **fields), num=5)
        for number, expected in ((0, first), (4, last)):
            animation._draw_frame(number)
            assert expected in [text.get_text() for text in animation._fig.texts]


def test_real_time_animation_lasts_as_long_as_the_input_up_to_ten_seconds():
    assert real_time(75, 25) == 12 * 3
    assert real_time(75, None) == 12 * 2.5
    assert real_time(1, 60) == 2
    assert real_time(10**6, 60) == 120


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=17, max_size=17))
def test_visible_joints_hang_together_across_missing_ones(seen):
    seen = np.array(seen)
    distances = bone_distances(LAYOUTS['coco17'])
    found = bridges(seen, distances)
    joints = np.flatnonzero(seen)
    shown = EDGES[seen[EDGES].all(1)]
    assert seen[found].all()
    assert (distances[tuple(np.transpose(found))] > 1).all()

    def parts(edges):
        graph = np.zeros((17, 17))
        graph[tuple(np.transpose(edges))] = 1
        labels = connected_components(graph, directed=False)[1][joints]
        return len(np.unique(labels))

    assert parts(np.concatenate([shown, found.reshape(-1, 2)])) == min(len(joints), 1)
    assert len(found) == max(parts(shown) - 1, 0)  # no more than are needed


def test_bridge_of_a_missing_knee_joins_hip_and_ankle():
    seen = np.ones(17, bool)
    seen[13] = False
    np.testing.assert_array_equal(
        np.sort(bridges(seen, bone_distances(LAYOUTS['coco17']))), [[11, 15]])


def test_animation_names_other_suffix(clip, tmp_path):
    animation = animate_clip(clip, num=2)
    with pytest.raises(ValueError, match=r"a\.avi.*'\.avi', expected \.gif or \.mp4"):
        save_animation(animation, tmp_path / 'a.avi')
    save_animation(animation, tmp_path / 'a.gif')
