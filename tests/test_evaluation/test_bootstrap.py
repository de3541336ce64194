"""Bootstrap intervals: values against scikit-learn, coverage against the known truth."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import average_precision_score, roc_auc_score

from mofm.evaluation.functional import (
    ap_statistic,
    auc_statistic,
    bootstrap,
    mean_statistic,
    wilson_interval,
)
from mofm.evaluation.measures import (
    MEASURES,
    Reference,
    accuracy_references,
    format_readings,
    group_views,
    make_references,
    read_metrics,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def once(statistic, num):
    """The statistic of the data themselves."""
    return statistic(np.ones((1, num)))[0]


samples = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=2,
                   max_size=40).filter(lambda rows: len({row[0] for row in rows}) == 2)


@given(samples, st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_statistics_equal_scikit_learn_in_every_draw(rows, seed):
    """With ties, and with groups that are drawn several times or not at all."""
    positive, score, group = map(np.array, zip(*rows, strict=True))
    count = np.random.default_rng(seed).multinomial(4, [.25] * 4, 3)
    count[0] = 1
    auc, ap = (make(positive, score, group)(count[:, :group.max() + 1])
               for make in (auc_statistic, ap_statistic))
    for drawn, area, precision in zip(count, auc, ap, strict=True):
        weight = drawn[group]
        label, value = np.repeat(positive, weight), np.repeat(score, weight)
        if label.any():
            assert precision == pytest.approx(average_precision_score(label, value))
        if len(set(label.tolist())) == 2:
            assert area == pytest.approx(roc_auc_score(label, value))
        else:
            assert np.isnan(area)


def test_thinned_levels_change_curves_little(rng):
    positive = rng.random(20000) < .3
    score = rng.normal(size=20000) + positive
    for make, exact in ((auc_statistic, roc_auc_score), (ap_statistic, average_precision_score)):
        assert once(make(positive, score), 20000) == pytest.approx(exact(positive, score),
                                                                   abs=1e-3)


def test_mean_statistic_averages_classes_by_weight():
    value, label, weight = [1, 0, 0, 1], np.array([0, 0, 1, 1]), [1, 1, 3, 1]
    assert once(mean_statistic(value), 4) == .5
    assert once(mean_statistic(value, weight=weight), 4) == pytest.approx(2 / 6)
    means = 1 / 2, 1 / 4
    assert once(mean_statistic(value, label, weight=weight), 4) == pytest.approx(sum(means) / 2)
    absent = np.array([[2, 2, 0, 0]])  # class 1 is not drawn
    assert mean_statistic(value, label)(absent)[0] == .5
    assert np.isnan(mean_statistic(value, weight=[0, 0, 1, 1])(absent)[0])


def test_interval_of_accuracy_is_close_to_the_closed_form(rng):
    """Wilson's interval, as of scipy, of 2000 clips; the same draws give the same interval."""
    right = rng.random(2000) < .9
    low, high = bootstrap(dict(top1=mean_statistic(right)), 2000)['top1']
    exact = binomtest(int(right.sum()), 2000).proportion_ci(method='wilson')
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=.0025)
    assert wilson_interval(right.sum(), 2000) == pytest.approx((exact.low, exact.high))
    assert bootstrap(dict(top1=mean_statistic(right)), 2000)['top1'] == (low, high)


def coverage(draw, truth):
    """Share of 150 simulated tests whose interval contains the truth."""
    hits = 0
    for seed in range(150):
        statistic, groups = draw(np.random.default_rng(seed))
        low, high = bootstrap(dict(value=statistic), groups, seed)['value']
        hits += low <= truth <= high
    return hits / 150


def test_interval_of_auc_covers_the_truth_in_95_percent():
    def draw(rng):
        positive = rng.random(60) < .4
        return auc_statistic(positive, rng.normal(size=60) + positive), 60

    assert .89 <= coverage(draw, norm.cdf(1 / 2**.5)) <= .99


def test_interval_over_recordings_covers_the_truth_where_one_over_frames_does_not():
    """Frames of a recording share its difficulty, so 40 recordings of 50 frames are not 2000."""
    hits = []

    def draw(rng):
        right = rng.random((40, 50)) < rng.beta(2, 2, 40)[:, None]
        low, high = wilson_interval(right.sum(), right.size)
        hits.append(low <= .5 <= high)
        return mean_statistic(right.ravel(), group=np.repeat(np.arange(40), 50)), 40

    assert .89 <= coverage(draw, .5) <= .99
    assert np.mean(hits) < .6


def test_references_of_accuracy_have_chance_and_width():
    label = np.repeat([0, 1, 2], [60, 30, 10])
    rank = np.where(np.arange(100) % 10 == 0, 1, 0)
    found = accuracy_references(label, rank, 4)
    assert found['top1'].chance == .6  # always class 0
    assert found['mean1'].chance == 1 / 4
    assert found['top5'].chance == pytest.approx(1)
    assert found['top1'].low < .9 < found['top1'].high
    assert found['top1'].over == '100 clips'
    assert (found['top5'].low, found['top5'].high) == pytest.approx(  # all are right
        wilson_interval(100, 100))
    assert found['top5'].low < .97


def test_views_of_a_recording_are_one_group():
    names = ['s01_e01_v0', 's01_e01_v1', 's01_e02_v0', '', '', 'S001C001P002R001A003',
             'S001C003P002R001A003', 'S001C001P002R002A003', 's_09_act_05_subact_02_ca_01',
             's_09_act_05_subact_02_ca_04', '0042']
    assert group_views(names).tolist() == [0, 0, 1, 2, 3, 4, 4, 5, 6, 6, 7]


def test_single_group_has_no_interval():
    assert np.isnan(bootstrap(dict(a=mean_statistic([1.])), 1)['a']).all()


def test_value_of_0_in_all_groups_has_no_interval():
    found = make_references(dict(a=mean_statistic([0., 0., 0.])), 3, 'clips')['a']
    assert np.isnan(found[:2]).all()


def test_readings_name_metrics_and_print_as_papers_do():
    metrics = {'acc/top1': .9775, 'anomaly/micro_auc': float('nan'), 'mine/energy': 12.3456,
               'tokenizer/tokens_used': 5, 'acc/top1_walk': .5}
    references = {'acc/top1': Reference(.9685, .9851, .11, '1068 clips')}
    readings = read_metrics(metrics, references)
    assert [r.measure.name for r in readings] == [
        'Top-1 accuracy', 'AUC over all frames', 'mine/energy', 'Tokens used']
    assert [r.text for r in readings] == ['97.8 [96.9, 98.5]', 'nan', '12.35', '5']
    assert readings[0].chance == '11.0'
    assert readings[1].interval == readings[1].chance == ''
    line = format_readings(readings).splitlines()[1]
    assert line.split('  ')[0] == 'Top-1 accuracy'
    assert '97.8 [96.9, 98.5]' in line
    assert line.endswith('1068 clips')


def test_measures_have_distinct_names():
    names = [measure.name for measure in MEASURES.values()]
    assert len(names) == len(set(names))
