"""OneShotAccuracy: given exemplars by hand, drawn ones against all draws."""

import csv
import itertools

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from mofm.evaluation.functional import draw_accuracy
from mofm.registry import METRICS
from mofm.visualization.evaluation_report import save_pictures


def evaluate(embedding, labels, exemplar=None, classes=None, metric=None, **kwargs):
    metric = metric or METRICS.build(dict(type='OneShotAccuracy', **kwargs))
    if classes:
        metric.dataset_meta = dict(classes=classes)
    samples = [dict(embedding=torch.as_tensor(e, dtype=torch.float32),
                    gt_label=torch.tensor([label]), frame_dir=f'clip{i}')
               for i, (e, label) in enumerate(zip(embedding, labels, strict=False))]
    for sample, flag in zip(samples, exemplar or (), strict=False):
        sample['exemplar'] = flag
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def brute_force(similarity, labels):
    """Accuracy, and mean accuracy of the classes, of every draw; one loop a definition."""
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    tables = []
    for draw in itertools.product(*members):
        table = np.zeros((len(members), 2))
        for q in range(len(labels)):
            if q not in draw:
                own = similarity[q, draw[labels[q]]]
                others = [similarity[q, e] for c, e in enumerate(draw) if c != labels[q]]
                table[labels[q]] += all(own > o for o in others), 1
        tables.append(table)
    top1 = [t[:, 0].sum() / t[:, 1].sum() for t in tables]
    shown = tables[0][:, 1] > 0
    return np.array(top1), np.mean([(t[shown, 0] / t[shown, 1]).mean() for t in tables])


def clusters(labels, dims=3, seed=0, noise=1.):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(max(labels) + 1, dims))[labels] + noise * rng.normal(
        size=(len(labels), dims))
    return z / np.linalg.norm(z, axis=1, keepdims=True)


LABELS = np.array([0, 2, 1, 0, 2, 2, 1, 0, 2, 0])


@pytest.mark.parametrize('seed', range(4))
def test_one_shot_accuracy_equals_mean_over_all_draws(seed):
    z = clusters(LABELS, seed=seed).astype(np.float32)
    top1, mean_class = brute_force(z @ z.T, LABELS)
    out = evaluate(z, LABELS, draws=1)
    assert out['one_shot/top1'] == pytest.approx(top1.mean(), abs=1e-12)
    assert out['one_shot/mean_class'] == pytest.approx(mean_class, abs=1e-12)
    assert 0.3 < top1.mean() < 1


@pytest.mark.parametrize('seed', range(4))
def test_one_shot_ties_are_wrong(seed):
    """Similarities of few values, so that most of them tie."""
    rng = np.random.default_rng(seed)
    similarity = rng.integers(0, 3, (10, 10)).astype(np.float32)
    similarity = similarity + similarity.T
    top1, _ = brute_force(similarity, LABELS)
    right = draw_accuracy(similarity, LABELS)
    assert right.sum() / (len(LABELS) - 3) == pytest.approx(top1.mean(), abs=1e-12)


def test_one_shot_equal_embeddings_score_zero():
    same = np.ones((10, 4))
    assert evaluate(same, LABELS, draws=5)['one_shot/top1'] == 0
    exemplar = [i in (0, 1, 2) for i in range(10)]
    assert evaluate(same, LABELS, exemplar)['one_shot/top1'] == 0


def test_one_shot_class_of_one_sample_only_distracts():
    labels = np.array([0, 0, 0, 1, 2, 2])
    z = clusters(labels, seed=2).astype(np.float32)
    top1, mean_class = brute_force(z @ z.T, labels)
    out = evaluate(z, labels, draws=1)
    assert out['one_shot/top1'] == pytest.approx(top1.mean(), abs=1e-12)
    assert out['one_shot/mean_class'] == pytest.approx(mean_class, abs=1e-12)


def test_one_shot_interval_is_that_of_single_draws():
    z = clusters(LABELS, seed=1).astype(np.float32)
    top1, _ = brute_force(z @ z.T, LABELS)
    out = evaluate(z, LABELS, draws=4000)
    low, high = np.percentile(top1, [2.5, 97.5])
    step = 1 / (len(LABELS) - 3)  # accuracies of single draws are multiples
    assert out['one_shot/top1_low'] == pytest.approx(low, abs=step + 1e-9)
    assert out['one_shot/top1_high'] == pytest.approx(high, abs=step + 1e-9)
    assert out == evaluate(z, LABELS, draws=4000)
    few = [evaluate(z, LABELS, draws=3, seed=s)['one_shot/top1_low'] for s in range(5)]
    assert len(set(few)) > 1


def angle(*degrees):
    return np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], 1)


def test_one_shot_given_exemplars_decide(tmp_path):
    """Directions in the plane; label 4 has the exemplar at 0 degrees, label 9 at 90."""
    z = angle(0, 90, 10, 30, 50, 80, 100) * 7  # lengths do not matter
    out = evaluate(z, [4, 9, 4, 4, 4, 9, 9], [True, True] + [False] * 5, out_dir=str(tmp_path))
    assert out == {'one_shot/top1': pytest.approx(4 / 5),
                   'one_shot/mean_class': pytest.approx((2 / 3 + 1) / 2)}
    rows = list(csv.DictReader((tmp_path / 'predictions.csv').open()))
    assert [r['prediction'] for r in rows] == ['4', '4', '9', '9', '9']
    assert rows[2]['name'] == 'clip4'
    assert rows[2]['label'] == '4'
    assert float(rows[2]['similarity_9']) == pytest.approx(np.cos(np.deg2rad(40)), abs=1e-5)


def test_one_shot_nearest_of_several_exemplars_counts():
    z = angle(0, 170, 90, 160, 120)
    out = evaluate(z, [0, 0, 1, 0, 1], [True, True, True, False, False])
    assert out['one_shot/top1'] == 1


def test_one_shot_drawn_exemplars_give_figure_and_no_table(tmp_path):
    metric = METRICS.build(dict(type='OneShotAccuracy', draws=10, out_dir=str(tmp_path)))
    metric.dataset_meta = dict(classes=['a', 'b', 'c'])
    evaluate(clusters(LABELS), LABELS, metric=metric)
    save_pictures(metric)
    assert [p.name for p in tmp_path.iterdir()] == ['confusion.png']
    assert imread(tmp_path / 'confusion.png').std() > 0


def test_one_shot_names_missing_exemplars_and_nan():
    z = angle(0, 90, 10)
    with pytest.raises(ValueError, match='none of class run, .*set exemplar_split'):
        evaluate(z, [0, 1, 0], [True, False, False], classes=['walk', 'run'])
    with pytest.raises(ValueError, match='found no other sample'):
        evaluate(z, [0, 1, 1], [True] * 3)
    with pytest.raises(ValueError, match='one of each of 3 classes'):
        evaluate(z, [0, 1, 2], draws=5)
    with pytest.raises(ValueError, match="embedding of 'clip1': found NaN .*in 1 of 3"):
        evaluate(np.stack([z[0], z[1] * np.nan, z[2]]), [0, 1, 1], draws=5)
    with pytest.raises(ValueError, match='draws: found 0'):
        evaluate(z, [0, 1, 1], draws=0)
