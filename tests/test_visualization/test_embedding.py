"""Embedding maps: neighbors, names and thumbnails."""
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection

from mofm.visualization import draw_embedding, embed_in_plane


def test_embedding_keeps_neighbors_together():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    features = 10 * np.eye(3)[labels] @ rng.normal(size=(3, 8)) + rng.normal(size=(60, 8))
    points = embed_in_plane(features)
    distance = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(60, np.inf))
    assert (labels[distance.argmin(1)] == labels).mean() > .95
    np.testing.assert_array_equal(points, embed_in_plane(features))
    assert embed_in_plane(features[:4]).shape == (4, 2)
    with pytest.raises(ValueError, match='found 3 clips'):
        embed_in_plane(features[:3])


def test_embedding_figure_shows_points_and_names(tmp_path):
    points = np.array([[0., 0], [1, 0], [2, 0], [10, 10], [12, 10]])
    figure = draw_embedding(points, [2, 2, 2, 9, 9], [f'sit_{i}' for i in range(10)])
    figure.savefig(tmp_path / 'a.png')
    axis, = figure.axes
    assert {t.get_text(): t.get_position() for t in axis.texts} == {
        'sit 2': (1, 0), 'sit 9': (11, 10)}
    first, second = (c for c in axis.collections if isinstance(c, PathCollection))
    np.testing.assert_array_equal(first.get_offsets(), points[:3])
    # classes 2 and 9 have the same color, so that the markers have to differ
    np.testing.assert_array_equal(first.get_facecolors(), second.get_facecolors())
    assert first.get_paths()[0].vertices.shape != second.get_paths()[0].vertices.shape


def test_embedding_names_and_thumbnails_do_not_overlap():
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 6
    points = rng.normal(size=(60, 2)) + 20 * (labels[:, None] == 5)
    names = [f'a long name {i}' for i in range(6)]
    person = rng.uniform(0, 100, (17, 2)), np.ones(17)
    figure = draw_embedding(points, labels, names, dict.fromkeys(range(6), person))
    figure.draw_without_rendering()
    axis, = figure.axes
    boxes = [t.get_window_extent() for t in axis.texts]
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1:]]
    assert len(boxes) == 6
    assert not any(a.overlaps(b) for a, b in pairs)
    skeletons = [c for c in axis.collections if isinstance(c, LineCollection)]
    assert 2 <= len(skeletons) < 6  # one over the pile of classes, one over the lonely class
    boxes = [np.concatenate(c.get_segments()) for c in skeletons]
    for i, a in enumerate(boxes):
        for b in boxes[i + 1:]:
            assert (a.max(0) < b.min(0)).any() or (b.max(0) < a.min(0)).any()
    high = axis.get_ylim()[1]
    assert all(box[:, 1].max() < high for box in boxes)


@pytest.mark.parametrize(('points', 'labels', 'words'), [
    (np.zeros((3, 3)), [0, 0, 0], r'expected \(N, 2\)'), (np.zeros((0, 2)), [], 'N >= 1'),
    (np.zeros((2, 2)), [0, 2], r'found 0\.\.\.2, expected 0\.\.\.1')])
def test_embedding_figure_names_wrong_shapes_and_labels(points, labels, words):
    with pytest.raises(ValueError, match=words):
        draw_embedding(points, labels, ['a', 'b'])
