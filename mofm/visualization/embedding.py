"""Embedding map of clip features."""
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mofm.structures import LAYOUTS

from .pose import Skeletons

# Okabe and Ito's colors, 56 combinations with the markers.
COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
MARKERS = 'o^sDvPX*'


def embed_in_plane(features: np.ndarray) -> np.ndarray:
    """Embed features in the plane by t-SNE (JMLR 2008) of scikit-learn, initialized by PCA.

    Args:
        features: (N, D), N >= 4.

    Returns:
        np.ndarray: (N, 2).

    Raises:
        ValueError: If there are fewer than four clips.
    """
    if len(features) < 4:
        raise ValueError(f'features: found {len(features)} clips, expected at least 4')
    from sklearn.manifold import TSNE  # heavy

    perplexity = min(30, (len(features) - 1) / 3)
    return TSNE(perplexity=perplexity, random_state=0).fit_transform(features)


def draw_embedding(points: np.ndarray, labels: np.ndarray, class_names: Sequence[str],
                   thumbnails: Mapping[int, tuple] | None = None) -> Figure:
    """Draw clips as points colored by class, with class names at the medians.

    Overlapping names are moved down; overlapping thumbnails are omitted.

    Args:
        points: (N, 2), see :func:`embed_in_plane`.
        labels: (N,) classes.
        class_names: C names.
        thumbnails: Label -> keypoints (17, 2) and score (17,) of one frame, drawn above the name.

    Returns:
        Figure: One axes.

    Raises:
        ValueError: If the shapes do not match or a label has no name.
    """
    points, labels = np.asarray(points), np.asarray(labels)
    if points.shape != (len(labels), 2) or labels.ndim != 1 or not len(labels):
        raise ValueError(f'points {points.shape} and labels {labels.shape}: expected (N, 2) and '
                         '(N,), N >= 1')
    if not 0 <= labels.min() <= labels.max() < len(class_names):
        raise ValueError(f'labels: found {labels.min()}...{labels.max()}, expected '
                         f'0...{len(class_names) - 1} for {len(class_names)} class names')
    figure = Figure(figsize=(10, 8.4), dpi=130, layout='constrained')
    axis = figure.subplots()
    labeled = {label: points[labels == label] for label in np.unique(labels)}
    styles = {label: dict(color=COLORS[label % len(COLORS)],
                          marker=MARKERS[label // len(COLORS) % len(MARKERS)])
              for label in labeled}
    for label, cloud in labeled.items():
        axis.scatter(*cloud.T, s=20, alpha=.5, linewidths=0, **styles[label])
    axis.margins(.06)
    axis.set(xticks=[], yticks=[], aspect='equal')
    axis.spines[:].set_color('#D0D0D0')
    low, high = axis.get_ylim()
    inch = max(np.ptp(axis.get_xlim()) / 9.8, (high - low) / 8.2)  # in data units
    names = [class_names[label].replace('_', ' ') for label in labeled]
    boxes = _spread(np.array([np.median(cloud, axis=0) for cloud in labeled.values()]),
                    np.array([[.1 * len(name), .2] for name in names]) * inch)
    halo = [withStroke(linewidth=3, foreground='white')]
    for label, name, (x, y, _, _) in zip(labeled, names, boxes, strict=True):
        axis.text(x, y, name, fontsize=11, ha='center', va='center', fontweight='bold',
                  color=styles[label]['color'], path_effects=halo, zorder=6, parse_math=False)
    for label, (x, y, _, _) in zip(labeled, list(boxes), strict=True):
        box = np.array([x, y + .55 * inch, .8 * inch, .8 * inch])
        if label in (thumbnails or {}) and not any(_overlap(box, other) for other in boxes):
            _draw_thumbnail(axis, box, *thumbnails[label])
            boxes.append(box)
            high = max(high, y + inch)
    axis.set_ylim(low, high)
    return figure


def _overlap(box, other) -> bool:
    """Return whether two boxes (x and y of the center, width, height) overlap."""
    return bool((np.abs(box[:2] - other[:2]) < (box[2:] + other[2:]) / 2).all())


def _spread(centers, sizes) -> list:
    """Place boxes at the centers from the top, moving overlapping ones down."""
    boxes = [None] * len(centers)
    for i in np.argsort(-centers[:, 1], kind='stable'):
        box = np.concatenate([centers[i], sizes[i]])
        for other in sorted((b for b in boxes if b is not None), key=lambda b: -b[1]):
            if _overlap(box, other):
                box[1] = other[1] - (box[3] + other[3]) / 2
        boxes[i] = box
    return boxes


def _draw_thumbnail(axis, box, keypoint, score):
    seen = keypoint[score > 0]
    if len(seen):
        scale = box[2] / max(np.ptp(seen, axis=0).max(), 1e-6)
        middle = (seen.min(0) + seen.max(0)) / 2
        placed = box[:2] + (keypoint - middle) * scale * [1, -1]  # y of an image points down
        Skeletons(axis, LAYOUTS['coco17'], 1.3).show(placed[None], score[None])
