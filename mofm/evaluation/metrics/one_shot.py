"""Accuracy of one-shot recognition (DT2)."""

from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric

from mofm.evaluation.functional import draw_accuracy, mean_statistic, nearest_class
from mofm.evaluation.measures import Reference, count_unit, group_views, make_references
from mofm.registry import METRICS
from mofm.utils.tables import write_csv


@METRICS.register_module()
class OneShotAccuracy(BaseMetric):
    """Accuracy of the nearest exemplar by cosine similarity.

    With ``draws=None`` the exemplars are the samples whose ``exemplar`` is True
    (``exemplar_split`` of :class:`MotionDataset`); of several per class the nearest counts.
    Values: ``top1`` and ``mean_class``, the mean over classes.

    With ``draws`` one exemplar per class is drawn among all samples. ``top1`` and ``mean_class``
    are exact means over all possible draws, see :func:`draw_accuracy`; ``top1_low`` and
    ``top1_high`` are the 2.5 and 97.5 percentiles of ``top1`` over that many random draws.

    Ties between the own and another class count as wrong, so that constant embeddings fail.

    Args:
        draws (int, optional): Number of random draws. Defaults to None: exemplars are given.
        seed (int): Seed of the draws. Defaults to 0.
        out_dir (str, optional): Folder for ``predictions.csv`` if exemplars are given: the
            similarity of every query to the nearest exemplar of each class.
        collect_device, prefix: See :class:`mmengine.evaluator.BaseMetric`.

    Attributes:
        labels (np.ndarray): (C,) labels of the test, ascending. This and the following are set by
            :meth:`compute_metrics`.
        confusion (np.ndarray): (C, C) queries, true class by predicted class; the mean over random
            draws if exemplars are drawn.
        similarity (np.ndarray): (N, C) cosine of every sample and the nearest exemplar of each
            class; the mean over all possible exemplars if they are drawn.
        recognized (np.ndarray): (N,) probability that a query is recognized over all draws; 0 or 1
            for given exemplars, NaN for the exemplars themselves.

    Raises:
        ValueError: If ``draws`` is less than 1; in a test, if a class has no exemplar, there is no
            query, or an embedding is not finite.
    """

    default_prefix = 'one_shot'

    def __init__(self, draws: int | None = None, seed: int = 0, out_dir: str | None = None,
                 collect_device: str = 'cpu', prefix: str | None = None):
        super().__init__(collect_device, prefix)
        if draws is not None and draws < 1:
            raise ValueError(f'draws: found {draws}, expected at least 1, or None for given '
                             'exemplars')
        self.draws = draws
        self.seed = seed
        self.out_dir = None if out_dir is None else Path(out_dir)

    def process(self, data_batch, data_samples):
        """Store embedding, label, exemplar flag and name of every sample."""
        for sample in data_samples:
            self.results.append((sample['embedding'].float().cpu().numpy(),
                                 int(sample['gt_label']), bool(sample.get('exemplar', False)),
                                 sample.get('frame_dir', '')))

    def compute_metrics(self, results: list) -> dict:
        """Compute accuracies in [0, 1]."""
        embedding, labels, exemplar, names = zip(*results, strict=True)
        embedding = np.stack(embedding)  # (N, E)
        bad = np.flatnonzero(~np.isfinite(embedding).all(1))
        if len(bad):
            raise ValueError(f'embedding of {names[bad[0]]!r}: found NaN or infinite values (in '
                             f'{len(bad)} of {len(names)} samples), expected finite numbers')
        embedding /= np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
        self.labels, target = np.unique(labels, return_inverse=True)  # classes 0 ... C - 1
        self._target, self._names = target, names
        if self.draws is None:
            return self._given(embedding, target, np.array(exemplar), names)
        return self._drawn(embedding, target)

    def _given(self, embedding, target, exemplar, names) -> dict:
        for c in np.flatnonzero(np.bincount(target[exemplar], minlength=len(self.labels)) == 0):
            raise ValueError(f'exemplar: found none of class {self.class_name(c)}, expected at '
                             'least one per class; set exemplar_split of the data set, or draws '
                             'of the metric to draw exemplars')
        if exemplar.all():
            raise ValueError('exemplar: found no other sample, expected queries')
        similarity = np.stack([(embedding @ embedding[exemplar & (target == c)].T).max(1)
                               for c in range(len(self.labels))])  # (C, N)
        self.similarity = similarity.T
        similarity = similarity[:, ~exemplar]  # (C, Q)
        target, names = target[~exemplar], np.array(names)[~exemplar]
        predicted = nearest_class(similarity, target)
        self.recognized = np.full(len(exemplar), np.nan)
        self.recognized[~exemplar] = predicted == target
        confusion = np.zeros((len(self.labels),) * 2)
        np.add.at(confusion, (target, predicted), 1)
        self.confusion = confusion
        if self.out_dir is not None:
            head = ['name', 'label', 'prediction',
                    *(f'similarity_{label}' for label in self.labels)]
            columns = zip(names.tolist(), self.labels[target], self.labels[predicted],
                          similarity.T, strict=True)
            write_csv(self.out_dir / 'predictions.csv', head,
                      ([*row, *(f'{s:.6g}' for s in values)] for *row, values in columns))
        return _accuracies(np.diag(confusion), confusion.sum(1))

    def _drawn(self, embedding, target) -> dict:
        count = np.bincount(target)
        if count.max() < 2:
            raise ValueError(f'samples: found one of each of {len(count)} classes, expected '
                             'queries besides the exemplars')
        similarity = embedding @ embedding.T  # (N, N)
        chance = draw_accuracy(similarity, target)
        right = np.bincount(target, chance)
        with np.errstate(invalid='ignore'):  # the only sample of a class is no query
            self.recognized = chance / (1 - 1 / count[target])
        one_hot = np.eye(len(count))[target]  # (N, C); a sample is not its own exemplar
        total = embedding @ (embedding.T @ one_hot) - one_hot
        self.similarity = total / np.maximum(count - one_hot, 1)
        rng = np.random.default_rng(self.seed)
        members = [np.flatnonzero(target == c) for c in range(len(count))]
        draws = np.stack([rng.choice(m, self.draws) for m in members], 1)  # (draws, C)
        confusion = np.zeros((len(count),) * 2)
        accuracy = np.empty(self.draws)
        for i, drawn in enumerate(draws):
            predicted = nearest_class(similarity[drawn], target)
            table = np.bincount(target * len(count) + predicted, minlength=len(count)**2)
            # remove the exemplars, which are no queries
            np.subtract.at(table, target[drawn] * len(count) + predicted[drawn], 1)
            table = table.reshape(confusion.shape)
            accuracy[i] = np.trace(table) / table.sum()
            confusion += table / self.draws
        self.confusion = confusion
        low, high = np.percentile(accuracy, [2.5, 97.5])
        return dict(_accuracies(right, count - 1), top1_low=float(low), top1_high=float(high))

    def references(self) -> dict[str, Reference]:
        """Compute the intervals over queries, or over recordings if these have several views.

        The exemplars, or their draws, stay the same.
        """
        query = np.flatnonzero(np.isfinite(self.recognized))
        recognized, target = self.recognized[query], self._target[query]
        # share of the draws in which a sample is a query
        weight = 1 - 1 / np.bincount(self._target)[target] if self.draws else np.ones(len(query))
        group = group_views([self._names[i] for i in query])
        num = group.max() + 1
        return make_references(
            dict(top1=mean_statistic(recognized, None, group, weight),
                 mean_class=mean_statistic(recognized, target, group, weight)),
            num, count_unit(num, len(query), 'queries'),
            dict.fromkeys(('top1', 'mean_class'), 1 / len(self.labels)))

    def class_name(self, c: int) -> str:
        """Return the name of class c, or its label."""
        label = int(self.labels[c])
        names = (self.dataset_meta or {}).get('classes', ())
        return names[label] if label < len(names) else str(label)


def _accuracies(right: np.ndarray, queries: np.ndarray) -> dict:
    """Compute accuracies from correct queries and all queries per class, (C,) each."""
    shown = queries > 0
    return dict(top1=float(right.sum() / queries.sum()),
                mean_class=float((right[shown] / queries[shown]).mean()))
