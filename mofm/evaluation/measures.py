"""Names, units, 95 % intervals and chance levels of metrics, for people who read a result.

A metric with a method ``references()`` gives a :class:`Reference` for each of its values. A
plug-in adds the names of its metrics to :data:`MEASURES`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .functional import Statistic, bootstrap, mean_statistic, wilson_interval


class Measure(NamedTuple):
    """Meaning of a metric.

    Attributes:
        name (str): Name to read.
        unit (str): ``'%'`` for shares, which are stored as 0 to 1, or the unit of the value.
        better (str): ``'higher'``, ``'lower'`` or nothing.
    """

    name: str
    unit: str = '%'
    better: str = 'higher'


#: Key in the log, with its prefix -> measure.
MEASURES: dict[str, Measure] = {
    'acc/top1': Measure('Top-1 accuracy'),
    'acc/top5': Measure('Top-5 accuracy'),
    'acc/mean1': Measure('Mean class accuracy'),
    'one_shot/top1': Measure('One-shot accuracy'),
    'one_shot/mean_class': Measure('One-shot mean class accuracy'),
    'one_shot/top1_low': Measure('One-shot accuracy, 2.5th percentile of draws', better=''),
    'one_shot/top1_high': Measure('One-shot accuracy, 97.5th percentile of draws', better=''),
    'anomaly/micro_auc': Measure('AUC over all frames'),
    'anomaly/macro_auc': Measure('Mean AUC of recordings'),
    'anomaly/raw_micro_auc': Measure('AUC over all frames, not smoothed'),
    'anomaly/clip_auc': Measure('AUC over clips'),
    'tokenizer/smooth_l1': Measure('Reconstruction error (smooth L1)', '', 'lower'),
    'tokenizer/blank_smooth_l1': Measure('Error of an empty reconstruction', '', ''),
    'tokenizer/iou': Measure('Overlap of reconstructed heat (IoU)'),
    'tokenizer/tokens_used': Measure('Tokens used', '', ''),
    'tokenizer/perplexity': Measure('Perplexity of tokens', '', ''),
    'masked/acc': Measure('Accuracy at masked cubes'),
    'masked/majority_acc': Measure('Share of the most frequent token', better=''),
}


class Reference(NamedTuple):
    """95 % interval and chance level of a value.

    Attributes:
        low, high (float): Ends of the interval; NaN if there is none.
        chance (float): Value of a guess; NaN where it is undefined.
        over (str): What is resampled, e.g. ``'1068 clips'``.
    """

    low: float
    high: float
    chance: float = float('nan')
    over: str = ''


# Names of the views of a recording: of our virtual cameras, of NW-UCLA, Human3.6M and NTU.
_VIEW = re.compile(r'_v\d+$|_ca_\d+$|C\d{3}(?=P\d{3}R\d{3}A\d{3})')


def group_views(names: Sequence[str]) -> np.ndarray:
    """Number the recordings, of which several clips may be views, by the names of the clips.

    Args:
        names (Sequence[str]): (N,); clips without a name are recordings of their own.

    Returns:
        np.ndarray: (N,) int.
    """
    keys = [_VIEW.sub('', name) or i for i, name in enumerate(names)]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys])


def make_references(statistics: Mapping[str, Statistic], num: int, unit: str,
                    chance: Mapping[str, float] | None = None) -> dict[str, Reference]:
    """Compute intervals by :func:`bootstrap` and join them with chance levels, by name.

    An interval without width, as of a value that is 0 in every group, is none.

    Args:
        statistics (Mapping[str, Statistic]): Name of a value -> statistic.
        num (int): Number of groups.
        unit (str): What a group is, in the plural.
        chance (Mapping[str, float], optional): Chance levels, by name.
    """
    out = {}
    for name, (low, high) in bootstrap(statistics, num).items():
        ends = (low, high) if low < high else (np.nan, np.nan)
        out[name] = Reference(*ends, (chance or {}).get(name, np.nan), f'{num} {unit}')
    return out


def accuracy_references(label: np.ndarray, rank: np.ndarray, num_classes: int,
                        group: np.ndarray | None = None) -> dict[str, Reference]:
    """Compute the references of top-1, top-5 and mean class accuracy.

    Chance is the share of the one or five most frequent classes of the test, the best that a
    constant answer can have, and one over the number of classes for the mean over classes. Where
    no or all clips are right the interval is Wilson's, as the bootstrap has no width.

    Args:
        label (np.ndarray): (N,) int.
        rank (np.ndarray): (N,) int, number of classes with a higher score than the true one.
        num_classes (int): Number of classes of the model.
        group (np.ndarray, optional): (N,) int, recordings. Defaults to one per clip.
    """
    frequent = np.sort(np.bincount(label))[::-1] / len(label)
    right = {'top1': rank < 1, 'top5': rank < 5, 'mean1': rank < 1}
    chance = dict(top1=frequent[0], top5=frequent[:5].sum(), mean1=1 / num_classes)
    num = len(label) if group is None else group.max() + 1
    out = make_references({
        name: mean_statistic(part, label if name == 'mean1' else None, group)
        for name, part in right.items()}, num, count_unit(num, len(label)), chance)
    for name, part in right.items():
        if part.all() or not part.any():
            low, high = wilson_interval(part.mean() * num, num)
            out[name] = out[name]._replace(low=float(low), high=float(high))
    return out


def count_unit(num_groups: int, num_clips: int, unit: str = 'clips') -> str:
    """Return what groups are: recordings if they have several clips, else clips."""
    return unit if num_groups == num_clips else 'recordings'


class Reading(NamedTuple):
    """Value of a metric with its meaning; texts are ready to print.

    Attributes:
        key (str): Key in the log.
        number (float): Value as in the log.
        measure (Measure): Name, unit and direction.
        reference (Reference): Interval and chance level.
    """

    key: str
    number: float
    measure: Measure
    reference: Reference

    @property
    def value(self) -> str:
        """Value without unit."""
        return format_value(self.number, self.measure.unit)

    @property
    def interval(self) -> str:
        """Interval as ``[96.9, 98.5]``, empty if there is none."""
        return format_interval(self.reference.low, self.reference.high, self.measure.unit)

    @property
    def text(self) -> str:
        """Value and interval as ``97.8 [96.9, 98.5]``."""
        return f'{self.value} {self.interval}'.strip()

    @property
    def chance(self) -> str:
        """Chance level, empty if undefined."""
        chance = self.reference.chance
        return '' if np.isnan(chance) else format_value(chance, self.measure.unit)


def format_value(value: float, unit: str = '%') -> str:
    """Format a number: shares as per cent, both these and lengths with one decimal."""
    if not isinstance(value, float) or np.isnan(value):
        return str(value)
    if unit == '%':
        return f'{100 * value:.1f}'
    return f'{value:.1f}' if unit and value >= 10 else f'{value:.4g}'


def format_interval(low: float, high: float, unit: str = '%') -> str:
    """Format an interval as ``[96.9, 98.5]``, empty for NaN."""
    if np.isnan(low):
        return ''
    return f'[{format_value(float(low), unit)}, {format_value(float(high), unit)}]'


def read_metrics(metrics: Mapping[str, float], references: Mapping[str, Reference]
                 ) -> list[Reading]:
    """Join values with their meaning, in the order of the log.

    Keys with an unknown name have their key as name. ``KEY@X`` has the name of ``KEY`` with X;
    ``KEY_X`` is the value of a part, such as a class, and is left to tables.

    Args:
        metrics (Mapping[str, float]): Values by key.
        references (Mapping[str, Reference]): By key.
    """
    out = []
    for key, value in metrics.items():
        head, _, at = key.partition('@')
        measure = MEASURES.get(key) or MEASURES.get(head) or Measure(key, '', '')
        if measure.name == key and any(key.startswith(f'{known}_') for known in MEASURES):
            continue
        if at:
            measure = measure._replace(name=f'{measure.name} {at}')
        out.append(Reading(key, value, measure,
                           references.get(key, Reference(np.nan, np.nan))))
    return out


def collect_references(metrics: Iterable) -> dict[str, Reference]:
    """Collect the references of all metrics that give them, after a test, by key of the log.

    Args:
        metrics (Iterable[BaseMetric]): Metrics of an evaluator.
    """
    out = {}
    for metric in metrics:
        references: Callable | None = getattr(metric, 'references', None)
        for name, reference in (references() if references else {}).items():
            out[f'{metric.prefix}/{name}' if metric.prefix else name] = reference
    return out


def to_table(readings: Iterable[Reading]) -> tuple[list[str], list[list]]:
    """Return head and rows of a table of readings, with numbers as in the log."""
    head = ['metric', 'name', 'value', 'low', 'high', 'chance', 'over', 'text', 'unit', 'better']
    return head, [
        [r.key, r.measure.name, r.number,
         *('' if np.isnan(number) else number for number in r.reference[:3]), r.reference.over,
         r.text, r.measure.unit, r.measure.better] for r in readings]


def format_readings(readings: Iterable[Reading]) -> str:
    """Format readings as an aligned table with what the intervals are over, for a log."""
    rows = [('metric', 'value [95 % interval]', '', 'chance', 'better', 'interval over')]
    rows += [(r.measure.name, r.text, r.measure.unit, r.chance, r.measure.better,
              r.reference.over) for r in readings]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join('  '.join(
        cell.rjust(width) if i == 3 else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows)
