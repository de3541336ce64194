"""Anomaly curves with ground truth and thumbnails."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from mofm.visualization import draw_anomaly_curve


def skeleton(seed=0):
    return np.random.default_rng(seed).uniform(5, 60, (17, 3))


def axes_of(figure):
    """The axes of the curve and those of the thumbnails."""
    axis, = figure.axes
    return axis, axis.child_axes


def test_anomaly_figure_draws_curves_and_shades(tmp_path):
    score, smoothed = np.random.default_rng(0).random((2, 50))
    label = np.zeros(50, bool)
    label[:4] = label[20] = label[40:] = True
    figure = draw_anomaly_curve(score, smoothed, label, title='01_0014')
    figure.savefig(tmp_path / 'a.png')
    axis, thumbnails = axes_of(figure)
    assert not thumbnails
    np.testing.assert_array_equal(axis.lines[0].get_ydata(), score)
    np.testing.assert_array_equal(axis.lines[1].get_ydata(), smoothed)
    shades = [(p.get_x(), p.get_x() + p.get_width()) for p in axis.patches]
    assert shades == [(-.5, 3.5), (19.5, 20.5), (39.5, 49.5)]
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert names == ['abnormal (ground truth)', 'score', 'smoothed']
    assert figure.texts[0].get_text() == '01_0014'


def test_anomaly_figure_draws_thumbnails_of_given_frames(tmp_path):
    smoothed = np.linspace(0, 1, 300)
    points = {200: skeleton(0), 30: skeleton(1), 205: skeleton(2)}
    points[30][9] = 0
    figure = draw_anomaly_curve(smoothed, smoothed, smoothed > 2, points)
    figure.savefig(tmp_path / 'a.png')
    axis, thumbnails = axes_of(figure)
    assert [t.get_title() for t in thumbnails] == ['frame 30', 'frame 200', 'frame 205']
    dots = [line.get_xydata()[0].tolist() for line in axis.lines[2:]]
    assert dots == [[f, smoothed[f]] for f in (30, 200, 205)]
    bones = [c for t in thumbnails for c in t.collections if isinstance(c, LineCollection)]
    assert [len(c.get_segments()) for c in bones] == [16, 17, 17]  # a missing wrist
    np.testing.assert_allclose(bones[2].get_segments()[0], points[205][[0, 1], :2], rtol=1e-6)
    low, high = thumbnails[1].get_ylim()
    assert low > high  # y points down


@pytest.mark.parametrize('frames', [[0, 1, 2, 3, 4], [295, 296, 299], [0, 150, 299], [140, 150]])
def test_anomaly_thumbnails_lie_over_their_frames_side_by_side(frames):
    curve = np.zeros(300)
    figure = draw_anomaly_curve(curve, curve, curve > 0, {f: skeleton() for f in frames})
    axis, thumbnails = axes_of(figure)
    figure.draw_without_rendering()
    boxes = [t.get_position() for t in thumbnails]
    assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))
    outer = axis.get_position()
    assert boxes[0].x0 >= outer.x0 - 1e-6
    assert boxes[-1].x1 <= outer.x1 + 1e-6
    if frames == [0, 150, 299]:
        assert (boxes[1].x0 + boxes[1].x1) / 2 == pytest.approx(
            outer.x0 + outer.width * 150.5 / 300)


def test_anomaly_thumbnail_skips_persons_without_joints(tmp_path):
    figure = draw_anomaly_curve([1], [1], [False], {0: np.zeros((17, 2))})
    figure.savefig(tmp_path / 'a.png')
    assert len(axes_of(figure)[1]) == 1


@pytest.mark.parametrize(('arguments', 'words'), [
    (([1, 2], [1], [0]), 'expected three equal shapes'), (([], [], []), 'T >= 1'),
    (([1], [1], [0], {1: skeleton()}), r'a frame in \[0, 1\)'),
    (([1], [1], [0], {0: np.zeros((13, 2))}), r'expected .*\(17, 2 or 3\)')])
def test_anomaly_figure_names_wrong_shapes(arguments, words):
    with pytest.raises(ValueError, match=words):
        draw_anomaly_curve(*arguments)
