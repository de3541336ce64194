"""Timeline of predicted and annotated actions of a recording."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .pose import LEFT, MIDDLE, RIGHT

_PROBABILITY = LinearSegmentedColormap.from_list('probability', ['#FFFFFF', LEFT])
_TRUTH = LinearSegmentedColormap.from_list('truth', ['#FFFFFF', RIGHT])
_MAX_CLASSES = 16


def label_time(axis: Axes, fps: float | None, num: int = 10):
    """Label the x axis, which counts frames, with frames and, if ``fps`` is known, seconds."""
    axis.xaxis.set_major_locator(MaxNLocator(num, integer=True))
    axis.set_xlabel('frame' if fps is None else 'frame, time')
    if fps is not None:
        axis.xaxis.set_major_formatter(FuncFormatter(
            lambda frame, _: f'{frame:.0f}\n{frame / fps:.1f} s'))


def draw_timeline(scores: np.ndarray, targets: np.ndarray | None, classes: Sequence[str],
                  title: str = '', fps: float | None = None) -> Figure:
    """Draw one row per action: annotated frames, if any, above the predicted probability.

    At most 16 actions are drawn, those with most annotated frames, then those with the highest
    probability, if they are annotated or reach 0.5.

    Args:
        scores: (T, K) probabilities.
        targets: (T, K) bool, the ground truth, None if unknown.
        classes: K names.
        title: Title of the figure.
        fps: Frames per second, for seconds on the axis.

    Returns:
        Figure: One axes with rows in the order of the classes.

    Raises:
        ValueError: If the shapes do not match.
    """
    known = targets is not None
    scores = np.asarray(scores, np.float32)
    targets = np.asarray(targets, bool) if known else np.zeros(scores.shape, bool)
    if scores.ndim != 2 or not len(scores) or not (
            scores.shape == targets.shape == (len(scores), len(classes))):
        raise ValueError(f'scores {scores.shape}, targets {targets.shape} and {len(classes)} '
                         'names: expected (T, K) twice, T >= 1, and K')
    peak = scores.max(0)
    order = np.lexsort((-peak, -targets.sum(0)))
    shown = [k for k in order if targets[:, k].any() or peak[k] >= .5] or [int(peak.argmax())]
    shown = np.sort(shown[:_MAX_CLASSES])
    names = [classes[k] if len(classes[k]) <= 40 else classes[k][:39] + '…' for k in shown]
    left = .03 + .0065 * max(map(len, names))  # width of a letter
    foot = .5 if fps is None else .65
    inches = .6 + foot + .34 * len(shown)
    figure = Figure(figsize=(12, inches), dpi=110)
    axis = figure.add_axes((left, foot / inches, .98 - left, 1 - (foot + .5) / inches))
    for row, k in enumerate(shown):
        bands = [(targets[:, k], _TRUTH, .08, .36)] * known + [
            (scores[:, k], _PROBABILITY, .42 if known else .08, .92)]
        for values, colors, top, bottom in bands:
            axis.imshow(values[None].astype(np.float32), cmap=colors, vmin=0, vmax=1,
                        aspect='auto', interpolation='nearest',
                        extent=(-.5, len(scores) - .5, row + bottom, row + top))
    axis.hlines(np.arange(1, len(shown)), -.5, len(scores) - .5, color='#D0D0D0', linewidth=.6)
    axis.set(xlim=(-.5, len(scores) - .5), ylim=(len(shown), 0),
             yticks=np.arange(len(shown)) + .5)
    axis.set_yticklabels([name.replace('$', r'\$') for name in names], color=MIDDLE)
    label_time(axis, fps, 12)
    axis.tick_params(labelsize=9, left=False)
    axis.spines[['top', 'right', 'left']].set_visible(False)
    figure.text(left, 1 - .15 / inches, title.replace('$', r'\$'), fontsize=11, va='top')
    handles = [Patch(color=RIGHT, label='annotated')] * known
    figure.legend(handles=[*handles, Patch(color=LEFT, label='predicted probability')],
                  loc='upper right', bbox_to_anchor=(.98, 1 - .06 / inches), ncols=2, fontsize=9,
                  frameon=False, handlelength=1.2, borderaxespad=.3)
    return figure
