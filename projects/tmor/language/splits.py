"""Zero-shot accuracy over many splits into seen and unseen classes, from precomputed features.

Features of a backbone trained without labels are computed once. Projections of features and texts
are trained on the seen classes of each split, in a second.
"""

import itertools
from collections.abc import Sequence
from math import comb

import numpy as np
import torch
from torch import Tensor

from mofm.registry import MODELS
from mofm.structures import MotionFeatures

from .tables import FeatureTable, unit_rows
from .zero_shot import accuracies


def draw_splits(num_classes: int, num_seen: int, count: int | None,
                seed: int = 0) -> list[tuple[int, ...]]:
    """Draw distinct sets of seen classes.

    Args:
        num_classes (int): C.
        num_seen (int): S, from 1 to C - 2.
        count (int, optional): Number of sets; None or more than exist for all.
        seed (int): Defaults to 0.

    Returns:
        list[tuple[int]]: S labels each, ascending.

    Raises:
        ValueError: If S is out of range.
    """
    if not 1 <= num_seen <= num_classes - 2:
        raise ValueError(f'num_seen: found {num_seen}, expected 1 to {num_classes - 2}, so that '
                         f'two of {num_classes} classes are unseen')
    total = comb(num_classes, num_seen)
    if count is None or count >= total:
        return list(itertools.combinations(range(num_classes), num_seen))
    rng, drawn = np.random.default_rng(seed), {}
    while len(drawn) < count:
        seen = rng.choice(num_classes, num_seen, replace=False)
        drawn[tuple(sorted(seen.tolist()))] = None
    return list(drawn)


class SplitTrainer:
    """Trainer of the projections of a :class:`ZeroShotHead` on the seen classes of a split.

    Args:
        head (dict): Options of :class:`ZeroShotHead` except ``classes`` and ``num_seen``.
        classes (Sequence[str]): Ids of the classes in its table, by label.
        epochs (int): Defaults to 20.
        batch_size (int): Defaults to 64.
        lr (float): Learning rate of AdamW, with cosine decay to 0. Defaults to 1e-3.
        weight_decay (float): Defaults to 0.1.
        seed (int): Seed of weights and batches. Defaults to 0.
    """

    def __init__(self, head: dict, classes: Sequence[str], epochs: int = 20, batch_size: int = 64,
                 lr: float = 1e-3, weight_decay: float = 0.1, seed: int = 0):
        self.head, self.classes = dict(head), list(classes)
        self.epochs, self.batch_size = epochs, batch_size
        self.optimizer = dict(lr=lr, weight_decay=weight_decay)
        self.seed = seed

    def __call__(self, train: Tensor, labels: Tensor, test: Tensor,
                 order: Sequence[int]) -> Tensor:
        """Train and score.

        Args:
            train (Tensor): (N, D) features of seen classes.
            labels (Tensor): (N,) their labels in the new order.
            test (Tensor): (Q, D) features.
            order (Sequence[int]): (C,) labels, those of seen classes first.

        Returns:
            Tensor: (Q, C) cosines, columns in the new order.
        """
        torch.manual_seed(self.seed)
        head = MODELS.build(dict(
            self.head, type='ZeroShotHead', in_channels=train.shape[1],
            classes=[self.classes[c] for c in order], num_seen=int(labels.max()) + 1))
        optimizer = torch.optim.AdamW(head.parameters(), **self.optimizer)
        steps = self.epochs * -(-len(train) // self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(self.epochs):
            for batch in torch.randperm(len(train)).split(self.batch_size):
                optimizer.zero_grad()
                head.loss(_features(train[batch]), labels[batch])['loss_mt'].backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            return head.eval()(_features(test))


def _features(pooled: Tensor) -> MotionFeatures:
    return MotionFeatures(pooled[:, None], pooled, torch.ones(len(pooled), 1, dtype=torch.bool))


def nearest_seen_class(train: np.ndarray, labels: np.ndarray, test: np.ndarray,
                       texts: np.ndarray, num_seen: int) -> np.ndarray:
    """Score classes by their texts' similarity to that of the nearest seen class, as a baseline.

    Args:
        train (np.ndarray): (N, D) features of seen classes.
        labels (np.ndarray): (N,) their labels, below ``num_seen``.
        test (np.ndarray): (Q, D) features.
        texts (np.ndarray): (C, E) features of the texts, those of seen classes first.
        num_seen (int): S.

    Returns:
        np.ndarray: (Q, C) scores: cosine of the texts of each class and of the seen class whose
        mean feature has the highest cosine with that of the sample.
    """
    train, test, texts = unit_rows(train), unit_rows(test), unit_rows(texts)
    centers = unit_rows(np.stack([train[labels == c].mean(0) for c in range(num_seen)]))
    nearest = (test @ centers.T).argmax(1)  # (Q,)
    return (texts @ texts.T)[nearest]


def bilinear_scores(train: np.ndarray, labels: np.ndarray, test: np.ndarray, texts: np.ndarray,
                    num_seen: int, ridge: float = 1.) -> np.ndarray:
    """Score classes by a bilinear map of features and texts, which has a closed form.

    ESZSL (Romera-Paredes and Torr, ICML 2015): ``x V t`` with
    ``V = (X'X + r I)^-1 X'Y T (T'T + r I)^-1`` on features of mean squared length 1, centered
    class indicators Y and texts centered by the mean of the seen ones.

    Args:
        train (np.ndarray): (N, D) standardized features of seen classes.
        labels (np.ndarray): (N,) their labels, below ``num_seen``.
        test (np.ndarray): (Q, D) features.
        texts (np.ndarray): (C, E) features of the texts, those of seen classes first.
        num_seen (int): S.
        ridge (float): r. Defaults to 1.

    Returns:
        np.ndarray: (Q, C) scores.
    """
    scale = np.sqrt(np.square(train).sum(1).mean())
    x, query = train / scale, test / scale
    texts = unit_rows(texts)
    mean = texts[:num_seen].mean(0)
    seen = texts[:num_seen] - mean
    indicators = np.eye(num_seen, dtype=x.dtype)[labels]
    weights = np.linalg.solve(x @ x.T + ridge * np.eye(len(x), dtype=x.dtype),
                              indicators - indicators.mean(0))  # (N, S)
    gram = seen @ seen.T
    gram *= num_seen / np.trace(gram)
    likeness = np.linalg.solve(gram + ridge * np.eye(num_seen), seen @ unit_rows(texts - mean).T)
    return query @ x.T @ weights @ likeness


def evaluate_splits(splits: Sequence[Sequence[int]], train: tuple[np.ndarray, np.ndarray],
                    test: tuple[np.ndarray, np.ndarray], trainer: SplitTrainer,
                    progress=lambda splits: splits) -> dict[str, dict[str, np.ndarray]]:
    """Compute accuracies of a trained head, of the baseline and of chance.

    Features are standardized by the mean and standard deviation of the seen classes.

    Args:
        splits (Sequence[Sequence[int]]): Labels of the seen classes of each split.
        train (tuple): Features (N, D) and labels (N,) of the training samples of all classes.
        test (tuple): Features and labels of the test samples.
        trainer (SplitTrainer): Trainer of the head.
        progress (Callable): Wraps the iteration over the splits.

    Returns:
        dict: Values of all splits by method and metric of :func:`accuracies`.

    Raises:
        ValueError: If a class has no training or test sample.
    """
    num_classes = len(trainer.classes)
    for name, (_, labels) in (('training', train), ('test', test)):
        count = np.bincount(labels, minlength=num_classes)
        if len(count) > num_classes or not count.all():
            raise ValueError(f'{name} labels: found {count.tolist()} samples of the classes, '
                             f'expected some of each of {num_classes}')
    table = FeatureTable.load(trainer.head['class_table']).lookup(trainer.classes)
    rows = {}
    for seen in progress(splits):
        order = np.array([*seen, *sorted(set(range(num_classes)) - set(seen))])
        new = np.argsort(order)  # label to its place
        use = np.isin(train[1], seen)
        x, y = train[0][use], new[train[1][use]]
        mean, std = x.mean(0), np.maximum(x.std(0), 1e-6)
        x, query = (x - mean) / std, (test[0] - mean) / std
        scores = {
            'nearest seen class': nearest_seen_class(x, y, query, table[order], len(seen)),
            'bilinear': bilinear_scores(x, y, query, table[order], len(seen)),
            'phi_m, phi_t': trainer(*map(torch.from_numpy, (x, y, query)), order).numpy()}
        for name, values in scores.items():
            for metric, value in accuracies(values, new[test[1]], len(seen)).items():
                rows.setdefault(name, {}).setdefault(metric, []).append(value)
    rows['chance'] = dict(unseen_mean_class=[1 / (num_classes - len(seen)) for seen in splits])
    return {name: {metric: np.array(values) for metric, values in metrics.items()}
            for name, metrics in rows.items()}
