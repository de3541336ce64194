"""Animations: artists, frames and files."""
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from mofm.datasets import SyntheticMotion
from mofm.structures import LAYOUTS
from mofm.visualization import animate_clip, animate_contact_sheet, save_animation
from mofm.visualization.animation import ClipPanel
from mofm.visualization.pose import LEFT, RIGHT

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
    assert frames[0].shape[1] == 176
    assert frames[0].shape[0] > 176
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
    assert about['size'] == (176, 176)
    assert about['fps'] == 5
    assert about['codec'] == 'h264'
    assert len(list(reader)) == 5


def test_animation_of_empty_clip_is_written(clip, tmp_path):
    empty = dict(clip, keypoint=np.zeros((0, 5, 17, 2)), keypoint_score=np.zeros((0, 5, 17)),
                 total_frames=5)
    save_animation(animate_contact_sheet([clip, empty]), tmp_path / 'a.gif')
    assert Image.open(tmp_path / 'a.gif').n_frames > 1
    save_animation(animate_clip(empty, num=1), tmp_path / 'b.gif')
    assert np.asarray(Image.open(tmp_path / 'b.gif').convert('L'))[5:-5, 5:-5].min() > 250


def test_animation_names_other_suffix(clip, tmp_path):
    animation = animate_clip(clip, num=2)
    with pytest.raises(ValueError, match=r"a\.avi.*'\.avi', expected \.gif or \.mp4"):
        save_animation(animation, tmp_path / 'a.avi')
    save_animation(animation, tmp_path / 'a.gif')
