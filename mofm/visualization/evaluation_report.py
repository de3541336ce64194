"""Sections of the HTML report: classification, one-shot recognition, anomaly detection.

One function per task; :class:`mofm.engine.ReportHook` chooses it.
"""
from collections.abc import Iterable, Sequence

import numpy as np

from mofm.evaluation.functional import wilson_interval
from mofm.evaluation.measures import format_interval, format_value
from mofm.evaluation.metrics.clip_auc import ClipAUC
from mofm.evaluation.metrics.frame_auc import FrameAUC
from mofm.evaluation.metrics.one_shot import OneShotAccuracy

from .animation import save_figure
from .anomaly import draw_anomaly_curve
from .report import Bar, Report, format_count
from .results import draw_confusion
from .scores import draw_calibration, draw_histograms, draw_roc

_MAX_CURVES = 10
_MAX_PAIRS = 20


def save_pictures(metric):
    """Save the figures of a metric in its ``out_dir``, if it has one.

    Args:
        metric (BaseMetric): After its ``compute_metrics``. For :class:`FrameAUC` the anomaly
            curve of each clip, ``CLIP.png``, for :class:`OneShotAccuracy` ``confusion.png``.
    """
    if getattr(metric, 'out_dir', None) is None:
        return
    if isinstance(metric, FrameAUC):
        for clip, arrays in metric.scores.items():
            save_figure(draw_anomaly_curve(**arrays, thumbnails=metric.thumbnails[clip],
                                           title=_short(clip)),
                        metric.out_dir / f'{metric.file_names[clip]}.png')
    elif isinstance(metric, OneShotAccuracy):
        metric.out_dir.mkdir(parents=True, exist_ok=True)
        names = _drawable([metric.class_name(c) for c in range(len(metric.confusion))])
        save_figure(draw_confusion(metric.confusion, names), metric.out_dir / 'confusion.png')


def report_classification(report: Report, dataset, rows: Iterable[tuple], num_mistakes: int):
    """Report confusion, accuracy per class, calibration, and the least probable true classes.

    Args:
        report (Report): Report to extend.
        dataset (MotionDataset): Test set.
        rows (Iterable[tuple]): ``sample_idx``, label, best classes, their scores, the score of the
            true class of every sample, and more that is not used.
        num_mistakes (int): Number of mistakes to show.
    """
    from sklearn.metrics import confusion_matrix

    index, label, best, scores, true, *_ = zip(*rows, strict=True)
    index, label, true = np.array(index), np.array(label), np.array(true)
    best, scores = np.array(best), np.array(scores)  # (N, 3)
    names = _names(dataset, 1 + max(label.max(), best.max()))
    if not np.isfinite(scores).all():
        report.add('Scores', f'{(~np.isfinite(scores)).any(1).sum()} of {len(label)} clips have '
                   'NaN or infinite scores; check the training loss.')
        return
    right = best[:, 0] == label
    matrix = confusion_matrix(label, best[:, 0], labels=np.arange(len(names)))
    _add_confusion(report, matrix, names, 'clips')
    report.add_figures('Calibration',
                       {'confidence and accuracy': draw_calibration(scores[:, 0], right)})
    wrong = np.flatnonzero(~right)
    wrong = wrong[np.argsort(true[wrong], kind='stable')]

    def facts(i):
        guesses = [f'{names[c]}, {score:.1%}' for c, score in zip(best[i], scores[i], strict=True)
                   if c != label[i]]
        return list(zip(('true', 'predicted', '', ''),
                        [f'{names[label[i]]}, {true[i]:.1%}', *guesses], strict=False))

    wrong = wrong[:num_mistakes]
    _add_clips(report, 'Mistakes', dataset, index[wrong], map(facts, wrong),
               f'{(~right).sum()} of {len(label)} clips are misclassified; shown are those with '
               'the lowest scores of the true class.')


def report_one_shot(report: Report, dataset, rows: Iterable[tuple], metric: OneShotAccuracy,
                    num_mistakes: int):
    """Report confusion, accuracy per class, similarities, and the most confident mistakes.

    Args:
        report (Report): Report to extend.
        dataset (MotionDataset): Test set.
        rows (Iterable[tuple]): ``sample_idx`` and label of every sample.
        metric (OneShotAccuracy): Metric after the test.
        num_mistakes (int): Number of mistakes to show.
    """
    index, label = np.array([row[:2] for row in rows]).T
    target = np.searchsorted(metric.labels, label)
    names = [_names(dataset, c + 1)[c] for c in metric.labels]
    rest = metric.similarity.copy()  # (N, C)
    own = np.take_along_axis(rest, target[:, None], 1)[:, 0]
    np.put_along_axis(rest, target[:, None], -np.inf, 1)
    other, nearest = rest.max(1), rest.argmax(1)
    query = np.isfinite(metric.recognized)
    similarity = 'cosine similarity' + (' (mean over draws)' if metric.draws else '')
    _add_confusion(report, metric.confusion, names, 'queries',
                   f'Mean over {metric.draws} random draws of exemplars.' if metric.draws else '')
    if len(names) > 1:
        report.add_figures('Similarity', {'of queries and exemplars': draw_histograms(
            {'own class': own[query], 'nearest other class': other[query]}, similarity)})
    wrong = np.flatnonzero(query & (metric.recognized < .5))
    wrong = wrong[np.lexsort(((own - other)[wrong], metric.recognized[wrong]))]

    def facts(i):
        drawn = [('recognized', f'{metric.recognized[i]:.1%} of draws')] if metric.draws else []
        return [('true', f'{names[target[i]]}, {own[i]:.3f}'),
                ('nearest', f'{names[nearest[i]]}, {other[i]:.3f}'), *drawn]

    how = 'are recognized in less than half of all draws of exemplars; shown are those with the ' \
        'lowest rates' if metric.draws else \
        'are nearer to an exemplar of another class; shown are those with the largest difference'
    note = f'{len(wrong)} of {query.sum()} queries {how}. Numbers are {similarity}.'
    wrong = wrong[:num_mistakes]
    _add_clips(report, 'Mistakes', dataset, index[wrong], map(facts, wrong), note)


def report_frames(report: Report, dataset, rows: Iterable[tuple], metric: FrameAUC,
                  num_mistakes: int):
    """Report the ROC curve over frames, normality of windows, curves of clips, worst windows.

    Args:
        report (Report): Report to extend.
        dataset (TrackWindowDataset): Test set.
        rows (Iterable[tuple]): ``sample_idx``, label, normality, clip and frame of every window;
            the ground truth is that of the metric.
        metric (FrameAUC): Metric after the test.
        num_mistakes (int): Number of mistakes to show.
    """
    index, _, normality, clip, frame = zip(*(r for r in rows if r[3] in metric.scores),
                                           strict=True)
    abnormal = np.array([metric.scores[c]['label'][f] for c, f in zip(clip, frame, strict=True)],
                        bool)
    label, smoothed, score = (np.concatenate([s[name] for s in metric.scores.values()])
                              for name in ('label', 'smoothed', 'score'))
    normality = np.array(normality).clip(score.min(), score.max())  # finite
    curves = {'smoothed': (label, smoothed), 'not smoothed': (label, score)}
    _add_normality(report, curves, abnormal, normality, 'windows')
    _add_curves(report, metric.scores)
    _add_wrong_side(report, dataset, np.array(index), abnormal, normality, 'windows',
                    num_mistakes)


def report_clips(report: Report, dataset, rows: Iterable[tuple], metric: ClipAUC,
                 num_mistakes: int):
    """Report the ROC curve and normality of clips, AUC per class, and the worst clips.

    Args:
        report (Report): Report to extend.
        dataset (MotionDataset): Test set.
        rows (Iterable[tuple]): ``sample_idx``, label and normality of every clip.
        metric (ClipAUC): Metric with the normal classes.
        num_mistakes (int): Number of mistakes to show.
    """
    index, label, normality = np.array([row[:3] for row in rows]).T
    index, label = index.astype(int), label.astype(int)
    abnormal = ~np.isin(label, metric.normal_labels)
    _add_normality(report, dict(clips=(abnormal, normality)), abnormal, normality, 'clips')
    error, names = ranking_errors(abnormal, normality), _names(dataset, label.max() + 1)
    auc = {c: 1 - error[label == c].mean() for c in np.unique(label)}
    report.add_table(
        'Classes', ['class', 'kind', 'clips', 'mean normality', 'AUC, %'],
        [[names[c], 'normal' if c in metric.normal_labels else 'abnormal', (label == c).sum(),
          f'{normality[label == c].mean():.4f}', format_value(auc[c])]
         for c in sorted(auc, key=auc.get)],
        'AUC of the class against all clips of the other kind.')
    _add_wrong_side(report, dataset, index, abnormal, normality, 'clips', num_mistakes)


def ranking_errors(abnormal: np.ndarray, normality: np.ndarray) -> np.ndarray:
    """Compute the share of wrongly ranked samples of the other kind; ties count half.

    The mean over the samples of either kind is one minus the AUC.

    Args:
        abnormal (np.ndarray): (N,) bool.
        normality (np.ndarray): (N,).

    Returns:
        np.ndarray: (N,) in [0, 1]; 0 if all samples are of one kind.
    """
    error = np.zeros(len(normality))
    for kind in (abnormal, ~abnormal):
        other = np.sort(normality[~kind])
        if len(other):
            below = (np.searchsorted(other, normality[kind])
                     + np.searchsorted(other, normality[kind], 'right')) / (2 * len(other))
            error[kind] = below if kind is abnormal else 1 - below
    return error


def _names(dataset, num: int) -> list[str]:
    """Return names of at least ``num`` classes, numbers for unnamed ones."""
    names = [str(name) for name in dataset.metainfo.get('classes', ())]
    return names + [str(c) for c in range(len(names), num)]


def _drawable(names: Sequence[str]) -> list[str]:
    """Shorten names for a figure and escape matplotlib's math mode."""
    return [_short(name).replace('$', r'\$') for name in names]


def _short(name: str) -> str:
    return name if len(name) <= 32 else name[:31] + '…'


def _add_confusion(report, matrix, names, unit, note=''):
    """Add confusion matrix, most confused pairs and accuracy per class, for occurring classes."""
    there = np.flatnonzero(matrix.any(0) | matrix.any(1))
    matrix, names = matrix[np.ix_(there, there)], [names[c] for c in there]
    total, right = matrix.sum(1), matrix.diagonal()
    report.add_confusion('Confusion', matrix, names, f'{note} Rows are true classes, columns are '
                         'predicted ones; a cell tells its classes and its count.'.strip())
    wrong = matrix - np.diag(right)
    pairs = np.dstack(np.unravel_index(np.argsort(-wrong, None, 'stable'), wrong.shape))[0]
    pairs = [(i, j) for i, j in pairs[:_MAX_PAIRS] if wrong[i, j] >= 2]
    if pairs:
        report.add_table('Most confused', ['true', 'predicted', unit, 'of the class'], [
            [names[i], names[j], format_count(wrong[i, j]), f'{wrong[i, j] / total[i]:.1%}']
            for i, j in pairs])
    low, high = wilson_interval(right, total)
    with np.errstate(invalid='ignore'):
        accuracy = right / total
    rows = []
    for c in np.argsort(accuracy, kind='stable'):
        worst = wrong[c].argmax()
        rows.append([
            names[c], format_count(total[c]),
            f'{format_value(float(accuracy[c]))} {format_interval(low[c], high[c])}'
            if total[c] else '–', Bar(accuracy[c], low[c], high[c]) if total[c] else '',
            f'{names[worst]} ({format_count(wrong[c, worst])})' if wrong[c, worst] else '–'])
    report.add_table('Classes', ['class', unit, 'accuracy, %', '', 'most often confused with'],
                     rows, 'Lowest accuracy first, with its 95 % interval (Wilson).')


def _add_curves(report, scores):
    """Add curves of the clips with the lowest AUC, and a table of all clips."""
    from sklearn.metrics import roc_auc_score

    auc = {clip: roc_auc_score(s['label'], -s['smoothed']) if 0 < s['label'].mean() < 1 else 2.
           for clip, s in scores.items()}
    order = sorted(scores, key=auc.get)
    figures = {}
    for clip in order[:_MAX_CURVES]:
        figure = draw_anomaly_curve(**scores[clip])
        figure.set_dpi(110)
        figures[clip] = figure
    note = f'The {_MAX_CURVES} of {len(order)} clips with the lowest AUC.' \
        if len(order) > _MAX_CURVES else 'Lowest AUC first.'
    report.add_figures('Anomaly curves', figures, note)
    report.add_table(
        'Clips', ['clip', 'frames', 'abnormal', 'lowest normality', 'AUC, %'],
        [[clip, len(scores[clip]['label']), scores[clip]['label'].sum(),
          f'{scores[clip]["smoothed"].min():.4f}',
          format_value(float(auc[clip])) if auc[clip] <= 1 else '–'] for clip in order],
        'AUC of the smoothed scores; undefined for clips with a single label.')


def _add_normality(report, curves, abnormal, normality, unit):
    """Add ROC curves (if both labels occur) and histograms of normality."""
    label, _ = next(iter(curves.values()))
    figures = {'ROC curve': draw_roc(curves)} if 0 < label.sum() < len(label) else {}
    figures[f'normality of {unit}'] = draw_histograms(
        {'normal': normality[~abnormal], 'abnormal': normality[abnormal]}, 'normality')
    report.add_figures('Scores', figures)


def _add_wrong_side(report, dataset, index, abnormal, normality, unit, num):
    """Add normal samples with the lowest and abnormal ones with the highest normality."""
    error = ranking_errors(abnormal, normality)

    def where(i):
        ann = dataset.get_data_info(int(i))
        if 'frame' in ann:
            return [('frame', ann['frame']), ('track', ann['track_id'])]
        return [('class', _names(dataset, ann['label'] + 1)[ann['label']])]

    for title, kind, sign, note in (
            ('False alarms', ~abnormal, 1, f'Normal {unit} with the lowest normality. Below: '
             'share of abnormal ones with higher normality.'),
            ('Missed anomalies', abnormal, -1, f'Abnormal {unit} with the highest normality. '
             'Above: share of normal ones with lower normality.')):
        wrong = np.flatnonzero(kind & (error > 0))
        wrong = wrong[np.argsort(sign * normality[wrong], kind='stable')]
        wrong = wrong[_apart(dataset, index[wrong], num // 2)]
        side = 'below' if sign > 0 else 'above'
        _add_clips(report, title, dataset, index[wrong],
                   ([*where(index[i]), ('normality', f'{normality[i]:.3g}'),
                     (side, f'{error[i]:.1%}')] for i in wrong), note)


def _apart(dataset, index: Iterable[int], num: int) -> list[int]:
    """Return the first indices without two samples of the same person at the same time."""
    shown, out = [], []
    for position, i in enumerate(index):
        if len(out) == num:
            break
        ann = dataset.get_data_info(int(i))
        who = ann.get('clip'), np.ravel(ann.get('track_id', ())).tolist()
        frame, length = ann.get('frame', i), ann['total_frames'] if 'frame' in ann else 1
        if not any(who == other and abs(frame - when) < length for other, when in shown):
            shown.append((who, frame))
            out.append(position)
    return out


def _add_clips(report, title, dataset, index, facts, note):
    """Add animations of samples with their facts."""
    if not len(index):
        report.add(title, 'None.')
        return
    annotations = [dataset.get_data_info(int(i)) for i in index]
    report.add_clips(title, [(a, a['frame_dir'], lines)
                             for a, lines in zip(annotations, facts, strict=True)], note)
