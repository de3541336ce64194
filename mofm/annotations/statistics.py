"""Statistics of an annotation file: clips, lengths, persons, joints, scores."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from mofm.structures import get_layout, visible_joints

_BINS = 10


class AnnotationStatistics:
    """Incremental statistics of annotations.

    Args:
        layout (str): Joint layout of the file.
    """

    def __init__(self, layout: str):
        self.layout = get_layout(layout)
        self.lengths, self.persons = [], Counter()
        self.labels, self.images = Counter(), Counter()
        self.poses = 0
        self.present = np.zeros(self.layout.num_joints, int)
        self.scores = np.zeros(_BINS + 1, int)  # the last bin is for missing joints

    def add(self, ann: dict, splits: Sequence[str]):
        """Count one valid annotation of these splits."""
        self.lengths.append(ann['total_frames'])
        self.persons[len(ann['keypoint'])] += 1
        self.images[tuple(ann['img_shape'])] += 1
        self.labels.update((split, ann['label']) for split in splits)
        if not len(ann['keypoint']):
            return
        score = ann['keypoint_score'].astype(np.float32)
        visible = visible_joints(ann['keypoint'], score)  # (M, T, V)
        self.poses += int(visible.any(-1).sum())
        self.present += visible.sum((0, 1))
        self.scores[:-1] += np.histogram(score[visible].clip(0, 1), _BINS, (0, 1))[0]
        self.scores[-1] += int((~visible & visible.any(-1, keepdims=True)).sum())

    def print(self, console: Console, classes: Sequence[str], splits: Sequence[str]):
        """Print all tables.

        Args:
            console (Console): Console of rich.
            classes (Sequence[str]): Names of the first labels.
            splits (Sequence[str]): Columns of the table of classes.
        """
        table = Table('class', *splits, title='clips by split and class')
        labels = sorted({label for _, label in self.labels})
        for label in labels if len(labels) > 1 else ():
            name = classes[label] if label < len(classes) else str(label)
            table.add_row(name, *(str(self.labels[split, label]) for split in splits))
        table.add_row('total', *(str(sum(self.labels[split, label] for label in labels))
                                 for split in splits), style='bold')
        console.print(table)

        least, most, middle, low, high = np.percentile(
            self.lengths, [0, 100, 50, 5, 95]).astype(int)
        console.print(f'frames   {sum(self.lengths)} in {len(self.lengths)} clips: {least} to '
                      f'{most}, median {middle}, 90 % between {low} and {high}')
        for name, counts in (('persons', self.persons), ('images', self.images)):
            common = [f'{count} x {value}' for value, count in counts.most_common(5)]
            if len(counts) > 5:
                common.append(f'and {len(counts) - 5} more')
            console.print(f'{name:8}', ', '.join(common))

        poses = max(self.poses, 1)
        table = Table('joint', 'present', '', title=f'joints of {self.poses} poses')
        for joint, count in zip(self.layout.joints, self.present, strict=True):
            table.add_row(joint, f'{count / poses:.1%}', _bar(count / poses))
        console.print(table)
        table = Table('score', 'joints', '', title='scores')
        for i, count in enumerate(self.scores):
            name = f'{i / _BINS:.1f} to {(i + 1) / _BINS:.1f}' if i < _BINS else 'missing'
            table.add_row(name, str(count), _bar(count / max(self.scores.max(), 1)))
        console.print(table)


def _bar(share: float) -> str:
    return '█' * round(share * 30)
