"""Figures of scores: calibration, ROC curves, distributions."""
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mofm.evaluation.functional import bin_by_confidence, expected_calibration_error

from .pose import FAINT, LEFT, MIDDLE, RIGHT


def _panel(width: float, height: float):
    figure = Figure(figsize=(width, height), dpi=130, layout='constrained')
    axis = figure.subplots()
    axis.spines[['top', 'right']].set_visible(False)
    axis.tick_params(labelsize=9)
    return figure, axis


def draw_calibration(confidence: np.ndarray, right: np.ndarray) -> Figure:
    """Draw the accuracy over the confidence; the size of dots is the number of samples.

    Args:
        confidence: (N,) probability of the prediction in [0, 1].
        right: (N,) bool.

    Returns:
        Figure: One axes.
    """
    total, accuracy = bin_by_confidence(confidence, np.asarray(right, float))
    _, mean = bin_by_confidence(confidence, confidence)
    used = total > 0
    figure, axis = _panel(4.2, 4.2)
    axis.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle='--')
    axis.plot(mean[used], accuracy[used], color=LEFT, linewidth=1)
    axis.scatter(mean[used], accuracy[used], 12 + 160 * total[used] / total.max(), color=LEFT)
    error = expected_calibration_error(confidence, right)
    axis.set(xlim=(-.02, 1.04), ylim=(-.04, 1.04), aspect='equal', xlabel='confidence',
             ylabel='accuracy')
    axis.set_title(f'expected calibration error {error:.3f}', fontsize=9, color=MIDDLE)
    return figure


def draw_roc(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw ROC curves of anomaly detection.

    Args:
        curves: Name -> abnormal (N,) bool with both values and normality (N,), higher = more
            normal.

    Returns:
        Figure: One axes.
    """
    from sklearn.metrics import auc, roc_curve  # heavy

    figure, axis = _panel(4.2, 4.2)
    axis.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle='--')
    colors = (LEFT, RIGHT, MIDDLE)
    for color, (name, (abnormal, normality)) in zip(colors, curves.items(), strict=False):
        false, true, _ = roc_curve(abnormal, -np.asarray(normality))
        axis.plot(false, true, color=color, linewidth=1.6,
                  label=f'{name}, AUC {auc(false, true):.1%}')
    axis.set(xlim=(-.01, 1.01), ylim=(-.01, 1.01), aspect='equal',
             xlabel='false positive rate', ylabel='true positive rate')
    axis.legend(loc='lower right', fontsize=9, frameon=False)
    return figure


def draw_histograms(values: Mapping[str, np.ndarray], label: str) -> Figure:
    """Draw normalized histograms of two or three sets of values over the same bins.

    Args:
        values: Name -> (N,).
        label: Label of the x axis.

    Returns:
        Figure: One axes.
    """
    figure, axis = _panel(5.6, 3.4)
    joined = np.concatenate([np.asarray(v, float) for v in values.values()])
    low, high = joined.min(), joined.max()
    bins = np.linspace(low, high if high > low else low + 1, 31)
    for color, (name, part) in zip((LEFT, RIGHT, MIDDLE), values.items(), strict=False):
        if len(part):
            axis.hist(part, bins, density=True, color=color, alpha=.5,
                      label=f'{name} ({len(part)})')
    axis.set(xlabel=label, yticks=[])
    axis.legend(fontsize=9, frameon=False)
    return figure
