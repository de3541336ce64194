"""Figures of results: learning curves, confusion matrices, scores of single clips."""
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from .embedding import COLORS, MARKERS
from .pose import FAINT, LEFT, RIGHT

Curves = dict[str, tuple[np.ndarray, np.ndarray]]

_BOOKKEEPING = ('step', 'epoch', 'iter')


def read_scalars(work_dir: str | os.PathLike) -> Curves:
    """Read the scalars that MMEngine logged to a work directory as curves.

    All runs in the directory are joined in the order of their names (time stamps); the last value
    of a step counts. Times of validation have the prefix ``val/``.

    Args:
        work_dir: Folder with ``<time stamp>/vis_data/scalars.json``.

    Returns:
        dict: Name -> (steps, values), both (N,) and sorted by step. Steps are iterations for
        training and steps of the loop for validation.

    Raises:
        FileNotFoundError: If there is no such file in `work_dir`.
    """
    files = sorted(Path(work_dir).glob('**/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'{work_dir}: found no vis_data/scalars.json, expected the '
                                'work_dir of tools/train.py')
    points: dict[str, dict[float, float]] = {}
    for file in files:
        for line in file.read_text(encoding='utf-8').splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:  # the last line of a killed run
                continue
            training = 'iter' in record or 'lr' in record
            for name, value in record.items():
                if name in _BOOKKEEPING or not isinstance(value, (int, float)):
                    continue
                if not training and name in ('time', 'data_time'):
                    name = f'val/{name}'
                points.setdefault(name, {})[record['step']] = value
    return {name: tuple(np.array(column) for column in zip(*sorted(curve.items()), strict=True))
            for name, curve in points.items()}


def draw_curves(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], columns: int = 3) -> Figure:
    """Draw learning curves as small multiples, each with its own scale and its last value.

    Args:
        curves: Name -> (steps, values), see `read_scalars`.
        columns: Maximum number of columns.

    Returns:
        Figure: One axes per curve.

    Raises:
        ValueError: If there is no curve, or steps and values differ in number.
    """
    if not curves:
        raise ValueError('curves: found none, expected at least one')
    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4 * columns, 2.5 * rows), dpi=150, layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(curves):]:
        axis.remove()
    for axis, (name, (steps, values)) in zip(axes, curves.items(), strict=False):
        steps, values = np.asarray(steps), np.asarray(values, dtype=float)
        if steps.shape != values.shape or steps.ndim != 1 or not len(steps):
            raise ValueError(f'{name}: steps {steps.shape} and values {values.shape}, expected '
                             'two equal shapes (N,), N >= 1')
        few = len(steps) <= 25
        axis.plot(steps, values, color=LEFT, linewidth=1.6, marker='o' if few else None,
                  markersize=3.5)
        axis.set_title(name, fontsize=11, loc='left')
        axis.set_title(f'{values[-1]:.4g}', fontsize=10, loc='right', color=LEFT)
        axis.grid(color='#E3E3E3', linewidth=.7)
        axis.spines[['top', 'right']].set_visible(False)
        axis.tick_params(labelsize=9)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(5))
        axis.set_xlabel('step', fontsize=9)
    return figure


def draw_budget(tasks: Mapping[str, Mapping[str, Sequence[tuple[ArrayLike, ArrayLike]]]],
                columns: int = 3) -> Figure:
    """Draw a metric against the CPU time of training, mean and standard deviation of seeds.

    Args:
        tasks: Task -> model -> (minutes, values), both (N,), of every seed. Seeds have equal N.
        columns: Maximum number of columns.

    Returns:
        Figure: One axes per task, and a legend of the models.
    """
    columns = max(1, min(columns, len(tasks)))
    rows = max(1, -(-len(tasks) // columns))
    figure = Figure(figsize=(4 * columns, 3 * rows + .5), dpi=150, layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(tasks):]:
        axis.remove()
    models = list(dict.fromkeys(model for task in tasks.values() for model in task))
    handles = {}
    for axis, (title, task) in zip(axes, tasks.items(), strict=False):
        for model, seeds in task.items():
            if not seeds:
                continue
            minutes, values = np.array(seeds, dtype=float).swapaxes(0, 1)  # (S, N) each
            index = models.index(model)
            handles[model] = axis.errorbar(
                minutes.mean(0), values.mean(0), color=COLORS[index % len(COLORS)],
                yerr=values.std(0, ddof=1) if len(seeds) > 1 else None, linewidth=1.6,
                marker=MARKERS[index % len(MARKERS)], markersize=4.5, capsize=2.5, elinewidth=1.)
        axis.set_title(title, fontsize=10, loc='left', parse_math=False)
        axis.set_xlim(left=0)
        axis.set_xlabel('CPU minutes of training, pre-training included', fontsize=9)
        axis.grid(color='#E3E3E3', linewidth=.7)
        axis.spines[['top', 'right']].set_visible(False)
        axis.tick_params(labelsize=9)
    if handles:
        figure.legend(handles.values(), handles, loc='outside upper center', fontsize=9,
                      frameon=False, ncols=min(len(handles), 2 * columns))
    return figure


def draw_confusion(matrix: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix with counts (up to 30 classes) and the top-1 accuracy.

    Args:
        matrix: (C, C) counts, true class by predicted class, as of
            `sklearn.metrics.confusion_matrix`.
        class_names: C names.

    Returns:
        Figure: One axes.

    Raises:
        ValueError: If the matrix is not square or does not match the names.
    """
    from sklearn.metrics import ConfusionMatrixDisplay  # heavy

    matrix = np.asarray(matrix)
    num = len(class_names)
    if matrix.shape != (num, num):
        raise ValueError(f'matrix {matrix.shape}: expected ({num}, {num}) for {num} class names')
    size = float(max(np.clip(2.2 + .5 * num, 4.5, 14), 2.2 + .16 * num))
    figure = Figure(figsize=(size, size), dpi=150, layout='constrained')
    axis = figure.subplots()
    font = float(np.clip(150 / num, 7, 11))
    display = ConfusionMatrixDisplay(matrix, display_labels=class_names)
    display.plot(include_values=num <= 30, cmap='Blues', ax=axis, colorbar=False,
                 xticks_rotation=90, values_format='.4g', text_kw=dict(fontsize=font),
                 im_kw=dict(norm=PowerNorm(.5)) if num > 30 else None)  # rare errors are seen
    if display.text_ is not None:
        for text in display.text_[matrix == 0]:
            text.set_visible(False)
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    axis.set_title(f'top-1 {100 * accuracy:.1f} % of {matrix.sum():.0f} clips', fontsize=12)
    axis.set(xlabel='predicted', ylabel='true')
    axis.tick_params(labelsize=font)
    return figure


def draw_scores(scores: np.ndarray, class_names: Sequence[str],
                label: int | None = None) -> Figure:
    """Draw the five most likely classes of a clip; the bar of the true class is blue.

    Args:
        scores: (C,) probabilities.
        class_names: C names.
        label: True class.

    Returns:
        Figure: One axes.

    Raises:
        ValueError: If the scores do not match the names.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.shape != (len(class_names), ):
        raise ValueError(f'scores {scores.shape}: expected ({len(class_names)},) for '
                         f'{len(class_names)} class names')
    best = np.argsort(-scores, kind='stable')[:5]
    figure = Figure(figsize=(12, .3 * len(best) + .5), dpi=150, layout='constrained')
    axis = figure.subplots()
    bars = axis.barh(np.arange(len(best)), scores[best], height=.7,
                     color=[LEFT if c == label else FAINT for c in best])
    axis.bar_label(bars, [f'{score:.3f}' for score in scores[best]], padding=4, fontsize=10)
    axis.set_yticks(np.arange(len(best)), [class_names[c] for c in best], fontsize=10)
    axis.set(xlim=(0, 1.08), xticks=[], ylim=(len(best) - .5, -.5))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    title = '' if label is None else f'true class: {class_names[label]}'
    wrong = label is not None and label != best[0]
    axis.set_title(title, fontsize=11, loc='left', color=RIGHT if wrong else 'black',
                   parse_math=False)
    return figure


def draw_jigsaw(probability: np.ndarray, normality: float) -> Figure:
    """Draw the piece that the token jigsaw predicts for each slot of an ordered clip.

    Args:
        probability: (P, P), slot by piece; the diagonal is correct. Rows of empty slots are
            meaningless.
        normality: Smallest probability on the diagonal over the pieces with heat.

    Returns:
        Figure: One axes and its color bar.

    Raises:
        ValueError: If the matrix is not square.
    """
    probability = np.asarray(probability, dtype=float)
    num = len(probability)
    if probability.shape != (num, num):
        raise ValueError(f'probability {probability.shape}: expected (P, P)')
    figure = Figure(figsize=(6, 5.2), dpi=150, layout='constrained')
    axis = figure.subplots()
    image = axis.imshow(probability, cmap='Blues', vmin=0, vmax=1)
    for i, value in enumerate(probability.diagonal()):
        axis.text(i, i, f'{value:.2f}'.lstrip('0'), ha='center', va='center', fontsize=9,
                  color='white' if value > .5 else 'black')
    axis.set(xlabel='piece', ylabel='slot', xticks=range(num), yticks=range(num))
    axis.set_title(f'normality {normality:.3f} (empty pieces do not count)', fontsize=10)
    figure.colorbar(image, ax=axis, label='probability', fraction=.04, pad=.02)
    return figure
