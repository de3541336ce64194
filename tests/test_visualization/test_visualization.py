"""Figures of poses, heat, tokens, curves and confusion matrices."""
import json
import sys

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from mofm.structures import LAYOUTS
from mofm.visualization import (
    draw_budget,
    draw_confusion,
    draw_curves,
    draw_heat,
    draw_layouts,
    draw_pose_clip,
    draw_tokens,
    read_scalars,
)


@pytest.fixture
def rng():
    """A fresh generator."""
    return np.random.default_rng(0)


def save(figure, tmp_path):
    """A figure must be writable without a display."""
    figure.savefig(tmp_path / 'figure.png')
    assert (tmp_path / 'figure.png').stat().st_size > 1000


@pytest.mark.parametrize('name', LAYOUTS)
def test_pose_clip_draws_every_layout(name, rng, tmp_path):
    layout = LAYOUTS[name]
    keypoint = rng.uniform(10, 100, (20, layout.num_joints, 2))
    score = rng.uniform(.2, 1, (20, layout.num_joints))
    keypoint[0, 0] = score[0, 0] = 0
    figure = draw_pose_clip(keypoint, score, name, num=5)
    save(figure, tmp_path)
    assert [axis.get_title() for axis in figure.axes] == [f'frame {i}' for i in (0, 5, 10, 14, 19)]
    first, last = ([c for c in axis.collections if isinstance(c, LineCollection)][0]
                   for axis in (figure.axes[0], figure.axes[-1]))
    assert len(last.get_segments()) == len(layout.edges)
    solid = sum(dashes is None for _, dashes in first.get_linestyles())
    assert solid == sum(0 not in edge for edge in layout.edges)
    np.testing.assert_allclose(last.get_segments()[0], keypoint[19][list(layout.edges[0])],
                               rtol=1e-6)
    alpha = .15 + .85 * score[19][np.array(layout.edges)].min(1)
    np.testing.assert_allclose(last.get_colors()[:, 3], alpha, rtol=1e-6)
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top  # y points down


def test_pose_clip_of_missing_joints_is_drawn(tmp_path):
    figure = draw_pose_clip(np.zeros((3, 17, 2)), np.zeros((3, 17)), LAYOUTS['coco17'], num=8)
    save(figure, tmp_path)
    assert len(figure.axes) == 3


def test_pose_clip_names_wrong_shapes():
    with pytest.raises(ValueError, match='coco17'):
        draw_pose_clip(np.zeros((3, 13, 2)), np.zeros((3, 13)), 'coco17')


def test_heat_figure_shows_union_and_reconstruction(rng, tmp_path):
    union, reconstruction = rng.random((2, 10, 12, 12))
    figure = draw_heat(union, reconstruction, num=4)
    save(figure, tmp_path)
    assert len(figure.axes) == 2 * 4 + 1  # and the color bar
    images = [axis.images[0].get_array() for axis in figure.axes[:8]]
    for image, frame in zip(images[:4], (0, 3, 6, 9), strict=True):
        np.testing.assert_array_equal(image, union[frame])
    np.testing.assert_array_equal(images[5], reconstruction[3])
    assert len(draw_heat(union, num=4).axes) == 4 + 1
    with pytest.raises(ValueError, match='expected'):
        draw_heat(union, reconstruction[:5])


def test_token_figure_shows_ids_and_total_heat(tmp_path):
    heat = np.zeros((5, 8, 12))
    heat[:, 1, 5] = 1  # row 0, column 2 of the 4 x 6 cubes of 2 x 2
    heat[2, 7, 11] = .5  # the last cube
    ids = np.arange(24) * 10
    figure = draw_tokens(ids, 4, 6, heat, vocabulary=512)
    save(figure, tmp_path)
    tokens, total = figure.axes[:2]
    assert [text.get_text() for text in tokens.texts] == [str(i) for i in ids]
    shown = tokens.images[0].get_array()
    assert np.argwhere(~np.ma.getmaskarray(shown)).tolist() == [[0, 2], [3, 5]]
    assert shown[3, 5] == 230
    assert tokens.images[0].norm.vmax == 511
    np.testing.assert_array_equal(total.images[0].get_array(), heat.sum(0))
    red, green, blue, _ = tokens.images[0].cmap(0.)
    assert blue > red  # low ids are blue
    assert '2 of 24' in tokens.get_title()


@pytest.mark.parametrize(('ids', 'heat'), [(np.zeros(9), np.zeros((2, 8, 8))),
                                       (np.zeros(16), np.zeros((2, 9, 8)))])
def test_token_figure_names_wrong_shapes(ids, heat):
    with pytest.raises(ValueError, match='expected'):
        draw_tokens(ids, 4, 4, heat)


def test_curve_figure_draws_every_value(tmp_path):
    curves = {f'loss_{i}': (np.arange(30), np.linspace(1, i, 30)) for i in range(4)}
    figure = draw_curves(curves, columns=3)
    save(figure, tmp_path)
    assert [axis.get_title('left') for axis in figure.axes] == list(curves)
    for axis, (steps, values) in zip(figure.axes, curves.values(), strict=True):
        np.testing.assert_array_equal(axis.lines[0].get_xydata(), np.stack([steps, values], 1))
    assert figure.axes[3].get_title('right') == '3'
    with pytest.raises(ValueError, match='none'):
        draw_curves({})
    with pytest.raises(ValueError, match='acc'):
        draw_curves({'acc': ([1, 2], [1])})


def test_budget_figure_draws_means_and_deviations_of_seeds(tmp_path):
    seeds = [([1, 2], [50, 70]), ([2, 3], [60, 90])]
    figure = draw_budget({'walk': {'ours': seeds, 'theirs': []}, 'run': {'theirs': seeds[:1]}})
    save(figure, tmp_path)
    walk, run = figure.axes
    assert [axis.get_title('left') for axis in (walk, run)] == ['walk', 'run']
    np.testing.assert_allclose(walk.lines[0].get_xydata(), [[1.5, 55], [2.5, 80]])
    (low, high), _ = walk.collections[0].get_segments()
    np.testing.assert_allclose([low[1], high[1]], [55 - 50**.5, 55 + 50**.5])
    np.testing.assert_allclose(run.lines[0].get_xydata(), [[1, 50], [2, 70]])
    assert not run.collections
    colors = [axis.lines[0].get_color() for axis in (walk, run)]
    assert colors[0] != colors[1]
    legend, = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['ours', 'theirs']


def test_confusion_figure_shows_counts_and_accuracy(tmp_path):
    matrix = np.array([[5, 1, 0], [0, 7, 0], [2, 0, 12]])
    figure = draw_confusion(matrix, ('walk', 'run', 'sit down'))
    save(figure, tmp_path)
    axis, = figure.axes
    visible = [text.get_text() for text in axis.texts if text.get_visible()]
    assert visible == ['5', '1', '7', '2', '12']
    assert [t.get_text() for t in axis.get_xticklabels()] == ['walk', 'run', 'sit down']
    assert '88.9 % of 27' in axis.get_title()
    assert not draw_confusion(np.eye(60), [str(i) for i in range(60)]).axes[0].texts
    with pytest.raises(ValueError, match='2 class names'):
        draw_confusion(matrix, ('a', 'b'))


def test_figures_leave_nothing_in_pyplot(rng):
    draw_confusion(np.eye(3), 'abc')
    draw_heat(rng.random((2, 4, 4)))
    if 'matplotlib.pyplot' in sys.modules:
        assert not sys.modules['matplotlib.pyplot'].get_fignums()


def write_scalars(folder, *records, tail=''):
    """A log as mmengine's LocalVisBackend writes it."""
    folder = folder / 'vis_data'
    folder.mkdir(parents=True)
    lines = '\n'.join(json.dumps(r) for r in records)
    (folder / 'scalars.json').write_text(lines + '\n' + tail)


def test_read_scalars_joins_a_resumed_run(tmp_path):
    write_scalars(
        tmp_path / '20250101_000000',
        dict(lr=.1, data_time=.01, loss=3., time=.5, epoch=1, iter=10, step=10),
        {'acc/top1': .4, 'data_time': .02, 'time': .1, 'step': 1},
        dict(lr=.1, data_time=.01, loss=9., time=.5, epoch=2, iter=20, step=20),
        tail='{"lr": 0.1, "lo')  # killed while writing
    write_scalars(
        tmp_path / '20250102_000000',
        dict(lr=.1, data_time=.01, loss=2., time=.5, epoch=2, iter=20, step=20),
        dict(lr=.1, data_time=.01, loss=1., time=.5, epoch=3, iter=30, step=30),
        {'acc/top1': .6, 'data_time': .02, 'time': .1, 'step': 3})
    curves = read_scalars(tmp_path)
    assert set(curves) == {'lr', 'loss', 'time', 'data_time', 'acc/top1', 'val/time',
                           'val/data_time'}
    assert curves['loss'][0].tolist() == [10, 20, 30]
    assert curves['loss'][1].tolist() == [3, 2, 1]
    assert curves['acc/top1'][0].tolist() == [1, 3]
    assert curves['acc/top1'][1].tolist() == [.4, .6]


def test_read_scalars_reads_what_mmengine_writes(tmp_path):
    from mmengine.visualization import LocalVisBackend
    backend = LocalVisBackend(save_dir=str(tmp_path / 'run' / 'vis_data'))
    for step in (1, 2):
        backend.add_scalars(dict(loss=1 / step, lr=.1, iter=step), step=step)
    steps, values = read_scalars(tmp_path)['loss']
    assert steps.tolist() == [1, 2]
    assert values.tolist() == [1, .5]


def test_read_scalars_of_empty_folder_fails(tmp_path):
    with pytest.raises(FileNotFoundError, match='scalars.json'):
        read_scalars(tmp_path)


def test_layout_figure_draws_every_joint(tmp_path):
    figure = draw_layouts()
    save(figure, tmp_path)
    axes = {axis.get_title(): axis for axis in figure.axes}
    fingers = {'wholebody133', 'halpe136', 'smpl52'}
    assert axes.keys() - {''} == LAYOUTS.keys() - fingers
    for name in LAYOUTS.keys() - fingers:
        layout = LAYOUTS[name]
        points = {text.get_text(): text.xy for text in axes[layout.name].texts}
        assert len(points) == layout.num_joints == len(set(points.values()))
        for left, right in zip(layout.left, layout.right, strict=True):  # a person who faces us
            assert points[str(left)][0] == -points[str(right)][0] > 0
