"""Evaluation of frozen features: linear classifiers, nearest neighbors, few labels.

Everything that is chosen (regularization, mirrored clips) is chosen on validation clips.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor
from tqdm import tqdm

from mofm.datasets import draw_labels

#: C of the logistic regression, in ascending order.
GRID = tuple(10 ** (i / 2) for i in range(-8, 3))
_MAX_ITERS = 300
_PATIENCE = 3  # larger C are not tried after so many lower likelihoods


class ClipFeatures(NamedTuple):
    """Features of N clips.

    Attributes:
        names (np.ndarray): (N,) ``frame_dir``.
        labels (np.ndarray): (N,) int.
        clips (np.ndarray): (N, D) float32.
        mirrored (np.ndarray): (N, D), those of the mirrored clips.
    """

    names: np.ndarray
    labels: np.ndarray
    clips: np.ndarray
    mirrored: np.ndarray

    def take(self, index: np.ndarray) -> 'ClipFeatures':
        """Return a part, given indices or a mask."""
        return ClipFeatures(*(field[index] for field in self))

    def gallery(self, mirror: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return features and labels for training, the mirrored clips after the others."""
        if not mirror:
            return self.clips, self.labels
        return np.concatenate([self.clips, self.mirrored]), np.tile(self.labels, 2)


@torch.no_grad()
def extract_features(loader: dict, preprocessor: Callable, backbone: Callable, ann_file: str,
                     split: str, test: bool) -> ClipFeatures:
    """Compute the pooled features of all clips of a split and of their mirror images.

    Args:
        loader (dict): Config of a test data loader, whose pipeline and batch size are used.
        preprocessor (Callable): A data preprocessor.
        backbone (Callable): Maps preprocessed inputs to :class:`mofm.structures.MotionFeatures`.
        ann_file (str): Annotation file.
        split (str): Split in the file.
        test (bool): Whether to keep clips without a visible joint.
    """
    layout = loader['dataset'].get('to_layout', 'coco17')
    # mirror images have features of their own
    pipeline = [cfg for cfg in loader['dataset']['pipeline'] if cfg['type'] != 'PoseMirror']
    names, labels, rows = [], [], []
    for flip in ([], [dict(type='PoseFlip', prob=1., layout=layout)]):
        parts = []
        config = dict(loader, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
            type='MotionDataset', ann_file=ann_file, split=split, to_layout=layout,
            test_mode=test, pipeline=[*flip, *pipeline]))
        for batch in tqdm(Runner.build_dataloader(Config(config)), f'{ann_file}, {split}'):
            data = preprocessor(batch)
            parts.append(backbone(data['inputs']).pooled.float().cpu().numpy())
            if not flip:
                names += [sample.frame_dir for sample in data['data_samples']]
                labels += [int(sample.gt_label) for sample in data['data_samples']]
        rows.append(np.concatenate(parts))
    return ClipFeatures(np.array(names), np.array(labels), *rows)


class _Space:
    """Standardized features of a gallery, in coordinates of their span if these are fewer.

    A linear classifier with an L2 penalty is the same in both.
    """

    def __init__(self, gallery: np.ndarray):
        from sklearn.preprocessing import StandardScaler  # heavy

        self.scaler = StandardScaler().fit(gallery)
        self.gallery, self.basis = torch.from_numpy(self.scaler.transform(gallery)), None
        if len(gallery) < gallery.shape[1]:
            self.basis, upper = torch.linalg.qr(self.gallery.T)
            self.gallery = upper.T.contiguous()

    def __call__(self, features: np.ndarray) -> Tensor:
        found = torch.from_numpy(self.scaler.transform(features))
        return found if self.basis is None else found @ self.basis


class _LogisticRegression:
    """Multinomial objective and solver of scikit-learn, with PyTorch's products of float32.

    Those of NumPy take two to six times as long for some thousand clips: few columns, and old
    versions do not know new processors.

    Args:
        features (Tensor): (N, D) of training clips.
        labels (Tensor): (N,) int64, in [0, K).
    """

    def __init__(self, features: Tensor, labels: Tensor):
        self.features = F.pad(features, (0, 1), value=1.)  # the last one is the intercept
        self.labels = labels
        self.weight = np.zeros((int(labels.max()) + 1, features.shape[1] + 1))

    def fit(self, c: float) -> '_LogisticRegression':
        """Minimize the mean cross entropy and the squared weights / (2 c N), from the last fit."""
        from scipy.optimize import minimize  # heavy

        penalty = 1 / (c * len(self.features))

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weight = torch.from_numpy(flat.reshape(self.weight.shape)).float()
            scores = self.features @ weight.T
            gradient = scores.softmax(1)
            gradient[torch.arange(len(gradient)), self.labels] -= 1
            decayed = F.pad(weight[:, :-1], (0, 1))
            gradient = gradient.T @ self.features / len(scores) + penalty * decayed
            loss = F.cross_entropy(scores, self.labels) + penalty / 2 * decayed.square().sum()
            return float(loss), gradient.numpy().astype(float).ravel()

        self.weight = minimize(loss_and_gradient, self.weight.ravel(), jac=True, method='L-BFGS-B',
                               options=dict(maxiter=_MAX_ITERS, maxls=50, gtol=1e-4,
                                            ftol=64 * np.finfo(float).eps)
                               ).x.reshape(self.weight.shape)
        return self

    def predict_proba(self, features: Tensor) -> np.ndarray:
        """Return probabilities (N, K)."""
        weight = torch.from_numpy(self.weight).float()
        return (features @ weight[:, :-1].T + weight[:, -1]).softmax(1).numpy()


def linear_probabilities(known: ClipFeatures, queries: ClipFeatures, mirror: bool,
                         grid: Sequence[float]) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Fit a logistic regression on standardized features for each C of a grid.

    Args:
        known (ClipFeatures): Training clips.
        queries (ClipFeatures): N clips to classify.
        mirror (bool): Whether mirrored training clips are added.
        grid (Sequence[float]): C in ascending order, each fit starts from the last one.

    Yields:
        tuple[float, np.ndarray, np.ndarray]: C, probabilities (N, K) of the clips and of their
        mirror images for the K labels of the training clips, in order.
    """
    gallery, labels = known.gallery(mirror)
    space = _Space(gallery)
    clips, mirrored = space(queries.clips), space(queries.mirrored)
    labels = np.unique(labels, return_inverse=True)[1]
    model = _LogisticRegression(space.gallery, torch.from_numpy(labels))
    for c in grid:
        model.fit(c)
        yield c, model.predict_proba(clips), model.predict_proba(mirrored)


def evaluate_linear(known: ClipFeatures, queries: ClipFeatures, options: Sequence[tuple]
                    ) -> dict[tuple, tuple[float, float]]:
    """Evaluate logistic regressions.

    Args:
        known (ClipFeatures): Training clips.
        queries (ClipFeatures): Clips to classify; those of labels without a training clip are
            wrong, with probability 0.
        options (Sequence[tuple]): (C, whether mirrored training clips are added, whether the
            probabilities of a clip and its mirror image are averaged).

    Returns:
        dict: Top-1 accuracy and log-likelihood per clip by option, without those of a larger C
        than the last of three in a row that lower the likelihood.
    """
    out, rows = {}, np.arange(len(queries.labels))
    classes = np.unique(known.labels)
    index = np.searchsorted(classes, queries.labels).clip(max=len(classes) - 1)
    has_label = classes[index] == queries.labels
    for mirror in sorted({option[1] for option in options}):
        grid = sorted({option[0] for option in options if option[1] == mirror})
        likelihoods = [-np.inf]
        for c, clips, mirrored in linear_probabilities(known, queries, mirror, grid):
            for average in (False, True):
                if (c, mirror, average) in options:
                    p = (clips + mirrored) / 2 if average else clips
                    likelihood = np.log(has_label * p[rows, index] + 1e-12).mean()
                    accuracy = (has_label & (p.argmax(1) == index)).mean()
                    out[c, mirror, average] = accuracy, likelihood
            likelihoods.append(likelihood)
            if (np.diff(likelihoods[-_PATIENCE - 1:]) < 0).sum() == _PATIENCE:
                break
    return out


def evaluate_nearest(known: ClipFeatures, queries: ClipFeatures, mirror: bool,
                     standardize: bool = True) -> float:
    """Compute the accuracy of the nearest neighbor by cosine.

    Args:
        known (ClipFeatures): Training clips.
        queries (ClipFeatures): Clips to classify.
        mirror (bool): Whether mirrored training clips are added.
        standardize (bool): Standardize the features, or use them as they are.
    """
    from sklearn.preprocessing import StandardScaler  # heavy

    gallery, labels = known.gallery(mirror)
    scaler = StandardScaler(with_mean=standardize, with_std=standardize).fit(gallery)
    near, queried = (F.normalize(torch.from_numpy(scaler.transform(features)))
                     for features in (gallery, queries.clips))
    nearest = (queried @ near.T).argmax(1).numpy()
    return float((labels[nearest] == queries.labels).mean())


#: All options of :func:`evaluate_linear`, simple ones first.
OPTIONS = [(c, mirror, average) for mirror, average, c in product(
    (False, True), (False, True), GRID)]


def _best(scores: dict) -> tuple:
    """Return the option of the highest accuracy, then of the highest second score."""
    return max(scores, key=scores.get)


def _settings(option: tuple) -> dict:
    return dict(zip(('C', 'mirrored_training', 'mirrored_test'), option, strict=True))


def evaluate_frozen(fit: ClipFeatures, val: ClipFeatures, train: ClipFeatures | None = None,
                    test: ClipFeatures | None = None, shares: Sequence[float] = (.01, .1),
                    draws: int = 5) -> dict[str, dict]:
    """Choose on ``val`` after fitting on ``fit``, then fit on ``train`` and evaluate on ``test``.

    Args:
        fit (ClipFeatures): Part of the training clips.
        val (ClipFeatures): The other part.
        train (ClipFeatures, optional): Both.
        test (ClipFeatures, optional): Test clips; None to evaluate the choices on ``val``.
        shares (Sequence[float]): Shares of labeled training clips.
        draws (int): Draws of labeled clips per share, seeds 0, 1, ...

    Returns:
        dict: ``linear`` and ``knn`` with ``accuracy``; one entry per share, e.g. ``1%``, with
        ``accuracies`` of all draws and ``clips``; all with what was chosen, and ``val``, the
        accuracy on ``val`` of that.
    """
    out = {}
    scores = evaluate_linear(fit, val, OPTIONS)
    best = _best(scores)
    out['linear'] = dict(_settings(best), val=scores[best][0], accuracy=scores[best][0])
    if test is not None:
        out['linear']['accuracy'] = evaluate_linear(train, test, [best])[best][0]

    nearest = {  # of options that are level on val, the one with which val classifies fit best
        option: (evaluate_nearest(fit, val, *option), evaluate_nearest(val, fit, *option))
        for option in product((False, True), (True, False))}
    best = _best(nearest)
    accuracy = nearest[best][0]
    out['knn'] = dict(zip(('mirrored_training', 'standardized'), best, strict=True),
                      val=accuracy, accuracy=accuracy)
    if test is not None:
        out['knn']['accuracy'] = evaluate_nearest(train, test, *best)

    for share in shares:
        scored = [evaluate_linear(fit.take(draw_labels(fit.labels, share, seed)), val, OPTIONS)
                  for seed in range(draws)]
        best = _best({option: np.mean([one[option] for one in scored], 0).tolist()
                      for option in OPTIONS if all(option in one for one in scored)})
        chosen = [one[best][0] for one in scored]
        source = fit if test is None else train
        drawn = [draw_labels(source.labels, share, seed) for seed in range(draws)]
        out[f'{100 * share:g}%'] = dict(
            _settings(best), val=float(np.mean(chosen)), clips=len(drawn[0]),
            accuracies=chosen if test is None else [
                evaluate_linear(train.take(index), test, [best])[best][0] for index in drawn])
    return out
