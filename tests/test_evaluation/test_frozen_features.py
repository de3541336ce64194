"""Evaluation of frozen features: against scikit-learn by itself, and choices on val alone."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from mofm.evaluation.functional.frozen_features import (
    GRID,
    ClipFeatures,
    draw_labels,
    evaluate_frozen,
    evaluate_linear,
    evaluate_nearest,
)


def clips(seed, num=60, dims=12, classes=3, noise=2., mirrored_labels=None):
    """Clips around one center per class; mirrored ones around that of ``mirrored_labels``."""
    centers = np.random.default_rng(0).standard_normal((classes, dims))
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % classes

    def around(labels):
        points = centers[labels] + noise * rng.standard_normal((num, dims))
        return (3 * points + 5).astype(np.float32)
    return ClipFeatures(np.arange(num).astype(str), labels, around(labels),
                        around(labels if mirrored_labels is None else mirrored_labels))


@pytest.mark.parametrize('dims', [12, 300])  # fewer and more than clips
@pytest.mark.parametrize('mirror', [False, True])
def test_linear_and_nearest_equal_scikit_learn(dims, mirror):
    known, queries = clips(1, dims=dims), clips(2, 40, dims)
    x, y = known.clips, known.labels
    if mirror:
        x, y = np.concatenate([x, known.mirrored]), np.concatenate([y, y])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=.01, max_iter=1000)).fit(x, y)
    single = model.predict_proba(queries.clips)
    both = (single + model.predict_proba(queries.mirrored)) / 2
    found = evaluate_linear(known, queries, [(.01, mirror, False), (.01, mirror, True)])
    for average, p in ((False, single), (True, both)):
        accuracy, likelihood = found[.01, mirror, average]
        assert accuracy == (p.argmax(1) == queries.labels).mean()
        np.testing.assert_allclose(
            likelihood, np.log(p[np.arange(40), queries.labels]).mean(), atol=1e-3)
    for scaler in (StandardScaler(), None):
        nearest = make_pipeline(scaler, Normalizer(), KNeighborsClassifier(1)).fit(x, y)
        found = evaluate_nearest(known, queries, mirror, scaler is not None)
        assert found == nearest.score(queries.clips, queries.labels)


@pytest.mark.parametrize('missing', [1, 2])  # between the labels of training, and after them
def test_clip_of_a_label_without_training_clip_is_wrong(missing):
    known, queries = clips(1, noise=.1), clips(2, noise=.1)
    known = known.take(known.labels != missing)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        accuracy, likelihood = evaluate_linear(known, queries, [(1., False, False)])[
            1., False, False]
    assert accuracy == evaluate_nearest(known, queries, False) == pytest.approx(2 / 3)
    assert np.isfinite(likelihood)


def test_one_clip_per_class_is_no_warning():
    known = clips(1, num=6, classes=6)
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        evaluate_linear(known, clips(2, classes=6), [(1., False, False)])


def test_linear_stops_where_a_larger_c_lowers_the_likelihood():
    rng = np.random.default_rng(0)
    known = clips(1)._replace(labels=rng.integers(0, 3, 60))
    queries = clips(2, 40)._replace(labels=rng.integers(0, 3, 40))
    found = evaluate_linear(known, queries, [(c, False, False) for c in GRID])
    likelihoods = [likelihood for _, likelihood in found.values()]
    assert 3 < len(found) < len(GRID)
    assert (np.diff(likelihoods)[-3:] < 0).all()
    assert max(likelihoods) == likelihoods[-4]


def test_draw_has_the_share_of_each_class_and_at_least_one_clip():
    labels = np.repeat([0, 1, 2], [100, 40, 3])
    drawn = draw_labels(labels, .1, 0)
    assert np.bincount(labels[drawn]).tolist() == [10, 4, 1]
    assert len(set(drawn)) == 15
    assert draw_labels(labels, .1, 0).tolist() == drawn.tolist()
    assert draw_labels(labels, .1, 1).tolist() != drawn.tolist()


def test_settings_are_chosen_on_val_alone():
    """Mirrored clips of other classes harm; a test that prefers them does not change that."""
    other = (np.arange(60) + 1) % 3
    fit, val = (clips(seed, noise=.5, mirrored_labels=other) for seed in (1, 2))
    train, test = clips(3, noise=.5, mirrored_labels=other), clips(4, noise=.5)
    swapped = test._replace(labels=other)
    chosen = []
    for queries in (test, swapped):
        found = evaluate_frozen(fit, val, train, queries, shares=(.1, ), draws=2)
        accuracy = found['linear'].pop('accuracy')
        assert (accuracy > .9) == (queries is test)
        chosen.append(found['linear'])
    assert chosen[0] == chosen[1]
    assert not chosen[0]['mirrored_training']
    assert not chosen[0]['mirrored_test']


def test_without_test_clips_all_figures_are_those_of_val():
    fit, val = clips(1), clips(2)
    found = evaluate_frozen(fit, val, shares=(.01, .5), draws=3)
    assert found.keys() == {'linear', 'knn', '1%', '50%'}
    assert found['linear']['accuracy'] == found['linear']['val']
    assert found['knn']['accuracy'] == found['knn']['val']
    assert np.mean(found['50%']['accuracies']) == pytest.approx(found['50%']['val'])
    assert (found['1%']['clips'], found['50%']['clips']) == (3, 30)
    assert len(found['1%']['accuracies']) == 3
