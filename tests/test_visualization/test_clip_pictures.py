"""Figures of one clip: tokens, joint heat, scores, jigsaw."""
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from mofm.structures import LAYOUTS, CubeGrid
from mofm.visualization import (
    draw_jigsaw,
    draw_joint_heat,
    draw_pose_clip,
    draw_scores,
    draw_tokenized_clip,
)
from mofm.visualization.pose import LEFT

GRID = CubeGrid(num_frames=10, canvas=12, patch=4)


def test_token_figure_shows_ids_beside_skeletons(tmp_path):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 12, (2, 17, 10, 3)).astype(np.float32)
    keypoints[..., 2] = 1
    ids, occupied = np.arange(9) * 50, np.arange(9) % 2 == 1
    figure = draw_tokenized_clip(keypoints, ids, occupied, GRID, vocabulary=512)
    figure.savefig(tmp_path / 'a.png')
    frames = [axis for axis in figure.axes if axis.get_title().startswith('frame')]
    assert [a.get_title() for a in frames] == [f'frame {i}' for i in (0, 1, 2, 3, 4, 6, 7, 8, 9)]
    rows, columns, bones = (c.get_segments() for c in frames[5].collections
                            if isinstance(c, LineCollection))
    assert np.array(rows)[..., 1].tolist() == [[3.5, 3.5], [7.5, 7.5]]  # borders of the cubes
    assert np.array(columns)[..., 0].tolist() == [[3.5, 3.5], [7.5, 7.5]]
    edges = np.array(LAYOUTS['coco17'].edges)
    np.testing.assert_array_equal(bones, keypoints[:, edges, 6, :2].reshape(-1, 2, 2))
    tokens = next(axis for axis in figure.axes if axis.images)
    assert [text.get_text() for text in tokens.texts] == [str(i) for i in ids]
    shown = tokens.images[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(shown).ravel(), ~occupied)
    assert shown[1, 2] == 250
    assert tokens.images[0].norm.vmax == 511
    for wrong in ((keypoints[:, :13], ids, occupied), (keypoints, ids[:8], occupied),
                  (keypoints, ids, occupied[:8])):
        with pytest.raises(ValueError, match='expected'):
            draw_tokenized_clip(*wrong, GRID, 512)


def test_token_figure_of_segments_shows_the_frames_of_each():
    keypoints = np.ones((1, 17, 10, 3), np.float32)
    ids, occupied = np.arange(18), np.arange(18) % 3 == 0
    figure = draw_tokenized_clip(keypoints, ids, occupied, GRID, vocabulary=512)
    shown = [axis for axis in figure.axes if axis.images]
    assert [[int(text.get_text()) for text in axis.texts] for axis in shown] == [
        [*range(9)], [*range(9, 18)]]
    assert [np.ma.count(axis.images[0].get_array()) for axis in shown] == [3, 3]
    frames = [int(axis.get_title().removeprefix('frame ')) for axis in figure.axes
              if axis.get_title().startswith('frame')]
    assert frames[:4] == [0, 1, 3, 4]
    assert frames[4:] == [5, 6, 8, 9]


def test_joint_heat_has_the_color_of_its_time(tmp_path):
    volume = np.zeros((17, 10, 12, 12), np.float32)
    volume[9, 0, 2, 3] = volume[9, 9, 2, 8] = 1
    volume[9, 5, 2, 3] = .5  # later and less hot than frame 0
    volume[9, 9, 7, 8] = .1
    figure = draw_joint_heat(volume, patch=4)
    figure.savefig(tmp_path / 'a.png')
    axes = {axis.get_title(): axis for axis in figure.axes}
    wrist = axes['left wrist']
    assert wrist.title.get_color() == LEFT
    assert 'nose (missing)' in axes
    image = wrist.images[0].get_array()
    bar = figure.axes[-1].collections[-1].cmap
    np.testing.assert_allclose(image[2, 3], bar(0.)[:3])
    np.testing.assert_allclose(image[2, 8], bar(1.)[:3])
    np.testing.assert_allclose(1 - image[7, 8], (1 - image[2, 8]) * .1 ** .6, rtol=1e-5)
    np.testing.assert_array_equal(image[0, 0], [1, 1, 1])
    with pytest.raises(ValueError, match=r'expected \(17, F, H, W\)'):
        draw_joint_heat(volume[:13], 4)


def test_pose_figure_draws_several_persons():
    keypoint = np.random.default_rng(0).uniform(10, 100, (2, 6, 17, 2))
    figure = draw_pose_clip(keypoint, np.ones((2, 6, 17)), num=3)
    bones = next(c for c in figure.axes[2].collections if isinstance(c, LineCollection))
    assert len(bones.get_segments()) == 2 * 17
    np.testing.assert_allclose(bones.get_segments()[17], keypoint[1, 5][[0, 1]], rtol=1e-6)


def test_score_figure_shows_top_classes_and_truth(tmp_path):
    scores = [.1, .6, .05, .22, .01, .02]
    figure = draw_scores(scores, tuple('abcdef'), label=3)
    figure.savefig(tmp_path / 'a.png')
    axis, = figure.axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ['b', 'd', 'a', 'c', 'f']
    assert [bar.get_width() for bar in axis.patches] == [.6, .22, .1, .05, .02]
    assert [bar.get_facecolor()[:3] == to_rgb(LEFT) for bar in axis.patches] == [0, 1, 0, 0, 0]
    assert axis.get_title('left') == 'true class: d'
    with pytest.raises(ValueError, match=r'scores \(6,\): expected \(3,\)'):
        draw_scores(scores, ('a', 'b', 'c'))


def test_jigsaw_figure_shows_matrix_and_error(tmp_path):
    matrix = np.random.default_rng(0).dirichlet(np.ones(4), 4)
    figure = draw_jigsaw(matrix, .125)
    figure.savefig(tmp_path / 'a.png')
    axis = figure.axes[0]
    np.testing.assert_array_equal(axis.images[0].get_array(), matrix)
    texts = {text.get_position(): float(text.get_text()) for text in axis.texts}
    assert texts == {(i, i): round(matrix[i, i], 2) for i in range(4)}
    assert '0.125' in axis.get_title()
    with pytest.raises(ValueError, match=r'expected \(P, P\)'):
        draw_jigsaw(matrix[:3], .1)
