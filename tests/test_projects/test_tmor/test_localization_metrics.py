"""Frame and event mAP against loops and hand computation; segments and timelines."""

import numpy as np
import pytest
import torch

from mofm.visualization import draw_timeline
from projects.tmor.localization import (
    EventMAP,
    FrameMAP,
    argmax_segments,
    event_ap,
    threshold_segments,
)
from projects.tmor.localization.events import event_statistic


def samples_of(recordings, window=8, stride=5):
    """Cut data samples of windows from {name: (scores (T, K), targets, segments)}."""
    out = []
    for name, (scores, targets, segments) in recordings.items():
        total = len(scores)
        for first in range(0, max(total - window, 0) + stride, stride):
            frames = np.arange(first, first + window)
            valid = frames < total
            inside = np.minimum(frames, total - 1)
            out.append(dict(
                frame_dir=name, frame=first, num_frames=total, valid=valid, segments=segments,
                frame_targets=targets[inside] & valid[:, None],
                frame_scores=torch.tensor(scores[inside])))
    return out


def evaluate(metric, samples):
    for i in range(0, len(samples), 3):
        metric.process(None, samples[i:i + 3])
    return metric.evaluate(len(samples))


@pytest.fixture
def recordings():
    rng = np.random.default_rng(0)
    out = {}
    for name, frames in (('b', 33), ('a', 21), ('c', 5)):
        targets = rng.random((frames, 4)) < .3
        targets[:, 3] = False
        out[name] = (rng.random((frames, 4)).astype(np.float32), targets,
                     np.array([[0, 1, 3]]))
    return out


def ap_of_frames(scores, targets):
    """Average the precision at the ranks of the positives."""
    total, hits = 0., 0
    for rank, i in enumerate(sorted(range(len(scores)), key=lambda i: -scores[i]), 1):
        if targets[i]:
            hits += 1
            total += hits / rank
    return total / hits


def test_frame_map_equals_sklearn(recordings):
    """Windows that overlap, a short recording, a class without frames."""
    scores, targets = (np.concatenate([recordings[n][i] for n in 'abc']) for i in (0, 1))
    ap = [ap_of_frames(scores[:, k], targets[:, k]) for k in range(3)]
    metric = FrameMAP(convention='charades')
    out = evaluate(metric, samples_of(recordings))
    assert out == {'localization/frame_mAP': pytest.approx(np.mean(ap), rel=1e-6)}
    np.testing.assert_allclose(metric.average_precision[:3], ap, rtol=1e-6)
    assert np.isnan(metric.average_precision[3])


def test_frame_map_conventions_differ_for_classes_never_right(monkeypatch, recordings):
    from projects.tmor.localization import metrics
    aps = iter([.5, 0., .3] * 2)
    monkeypatch.setattr(metrics, 'average_precision_score', lambda *_: next(aps))
    samples = samples_of(recordings)
    assert evaluate(FrameMAP('tsu'), samples)['localization/frame_mAP'] == pytest.approx(.4)
    assert evaluate(FrameMAP('charades'), samples)['localization/frame_mAP'] == pytest.approx(
        .8 / 3)


def test_frame_map_of_spaced_frames_equals_sklearn(recordings):
    metric = FrameMAP('charades', num_points=5)
    out = evaluate(metric, samples_of(recordings))
    ap = []
    for k in range(3):
        rows = [(r[0][t, k], r[1][t, k]) for r in recordings.values()
                for t in (round(i * (len(r[0]) - 1) / 4) for i in range(5))]
        ap.append(ap_of_frames(*zip(*rows, strict=True)))
    assert out['localization/frame_mAP'] == pytest.approx(np.mean(ap), rel=1e-6)


def test_frame_map_averages_overlapping_windows():
    """Two windows of four frames that share two: .2 and .6 become .4, below .5."""
    common = dict(frame_dir='v', num_frames=6, valid=np.ones(4, bool),
                  segments=np.zeros((0, 3), int))
    windows = [dict(common, frame=first, frame_targets=np.array(truth)[:, None],
                    frame_scores=torch.tensor(scores)[:, None])
               for first, truth, scores in ((0, [1, 0, 0, 0], [.5, .1, .2, .2]),
                                            (2, [0, 0, 0, 0], [.6, .6, .1, .1]))]
    for w in windows:
        w['frame_targets'] = w['frame_targets'].astype(bool)
    assert evaluate(FrameMAP(), windows)['localization/frame_mAP'] == pytest.approx(1.)


def test_frame_map_tells_interval_and_chance_over_recordings(recordings):
    metric = FrameMAP('charades')
    out = evaluate(metric, samples_of(recordings))
    targets = np.concatenate([recordings[n][1] for n in 'abc'])[:, :3]
    found = metric.references()
    assert found.keys() == {'frame_mAP'}
    assert found['frame_mAP'].chance == pytest.approx(targets.mean())
    assert found['frame_mAP'].over == '3 recordings'
    assert found['frame_mAP'].low <= out['localization/frame_mAP'] <= found['frame_mAP'].high
    (title, (head, rows)), = metric.tables().items()
    assert title == 'Classes'
    assert head[3] == 'AP, %'
    ap = metric.average_precision
    assert [row[0] for row in rows] == [str(k) for k in np.argsort(ap[:3])]
    for name, frames, count, value, chance in rows:
        k = int(name)
        assert frames == targets[:, k].sum()
        assert count == sum(recordings[n][1][:, k].any() for n in 'abc')
        assert value.split()[0] == f'{100 * ap[k]:.1f}'
        assert ('[' in value) == (count == 3)
        assert chance == f'{100 * targets[:, k].mean():.1f}'


def ap_of_events(proposals, truth, theta, skip):
    """Sweep as in the protocol, one proposal at a time, with new counts each time."""
    proposals = sorted(proposals, key=lambda p: p[4])
    matched = []
    for video, label, start, end, _ in proposals:
        best, number = theta, None
        for g, (v, k, s, e) in enumerate(truth):
            iou = (min(end, e) - max(start, s)) / (max(end, e) - min(start, s))
            if (v, k) == (video, label) and iou >= best:
                best, number = iou, g
        matched.append(number)

    def state(left):
        found = len({g for g in matched[left:] if g is not None})
        count = len(proposals) - left
        return (found / count if count else 0.), found / len(truth)

    best, old = state(0)
    total = 0.
    for i in range(len(proposals)):
        precision, recall = state(i + 1)
        if matched[i] is not None or not skip:
            best = max(best, precision)
        total += best * (old - recall)
        old = recall
    return total


@pytest.mark.parametrize('skip', [False, True])
def test_event_ap_equals_published_code(skip):
    differ = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth = np.c_[rng.integers(0, 2, 9), rng.integers(0, 2, 9), rng.integers(0, 40, 9)]
        truth = np.c_[truth, truth[:, 2] + rng.integers(3, 20, 9)].astype(float)
        near = truth[rng.integers(0, 9, 25)] + np.c_[np.zeros((25, 2)), rng.normal(0, 4, (25, 2))]
        near[:, 3] = np.maximum(near[:, 3], near[:, 2] + 1)
        proposals = np.c_[near, rng.random(25)]
        for theta in (.1, .3, .5):
            expected = ap_of_events(proposals.tolist(), truth.tolist(), theta, skip)
            assert event_ap(proposals, truth, theta, skip) == pytest.approx(expected, abs=1e-12)
        differ += event_ap(proposals, truth, .5) != event_ap(proposals, truth, .5, True)
    assert differ


def test_event_statistic_equals_ap_of_drawn_recordings():
    """A recording that is drawn twice is there twice; one has no true segments."""
    rng = np.random.default_rng(1)
    start = rng.uniform(0, 50, (40, 1))
    proposals = np.c_[rng.integers(0, 4, 40), np.zeros(40), start, start + 10, rng.random(40)]
    true = rng.uniform(0, 50, (9, 1))
    truth = np.c_[rng.integers(0, 3, 9), np.zeros(9), true, true + 10]
    statistic, draws = event_statistic(proposals, truth, .3), [[1, 1, 1, 1], [2, 0, 1, 1]]
    for count, value in zip(draws, statistic(np.array(draws)), strict=True):
        copies = [r for r, times in enumerate(count) for _ in range(times)]
        parts = ([np.insert(rows[rows[:, 0] == r, 1:], 0, i, 1) for i, r in enumerate(copies)]
                 for rows in (proposals, truth))
        assert value == pytest.approx(event_ap(*map(np.concatenate, parts), .3))
    assert np.isnan(statistic(np.array([[0, 0, 0, 4]]))[0])  # no true segment


def test_event_ap_equals_hand_computation():
    truth = np.array([[0, 0, 0, 10.], [0, 0, 20, 30]])
    right, half, wrong = [0, 0, 0, 10.], [0, 0, 20, 25.], [0, 0, 50, 60.]

    def ap(*proposals, iou=.5, **options):
        return event_ap(np.array([[*p, c] for p, c in proposals]), truth, iou, **options)

    assert ap((right, .9), (half, .8)) == 1  # an overlap of exactly one half counts
    assert ap((right, .9), (half, .8), iou=.51) == .5  # recall stops at one half
    # with all three, precision is 2/3 at recall 1; without the worst, 1/2 at recall 1/2; then 1
    assert ap((right, .9), (wrong, .5), (half, .1)) == pytest.approx(.5 * 2 / 3 + .5 * 1)
    assert ap((right, .9), (wrong, .5), (half, .1), skip_unmatched=True) == pytest.approx(2 / 3)
    # two proposals of one segment: it is found once, as long as one is left
    assert ap((right, .9), (right, .2)) == .5
    assert ap(([0, 1, 0, 10.], .9), ([1, 0, 0, 10.], .9)) == 0  # another label, another video
    assert event_ap(np.zeros((0, 5)), truth, .5) == event_ap(truth[:, [0, 1, 2, 3, 3]],
                                                             truth[:0], .5) == 0


def test_event_map_averages_classes_and_videos():
    """Class 0 is found in both videos, class 1 in none, class 2 has no segment."""
    scores = np.zeros((2, 40, 3), np.float32)
    scores[0, 5:15, 0] = .9
    scores[1, 25:35, 0] = .8
    scores[1, 5:15, 1] = .7
    truth = [np.array([[0, 5, 14]]), np.array([[0, 25, 34], [1, 30, 39]])]
    recordings = {f'v{i}': (scores[i], np.zeros((40, 3), bool), truth[i]) for i in range(2)}
    out = evaluate(EventMAP(segments=dict(type='threshold_segments', sigma=0, min_length=5),
                            iou=(.1, .5)), samples_of(recordings))
    for theta in (.1, .5):
        assert out[f'localization/mAP_action@{theta}'] == pytest.approx(1 / 3)
        # the second video: (label 0, .8) is right, (label 1, .7) is wrong; recall 1/2
        assert out[f'localization/mAP_video@{theta}'] == pytest.approx((1 + .5) / 2)


def test_temporal_metrics_name_bad_input(recordings):
    samples = samples_of(recordings)
    with pytest.raises(ValueError, match=r"without \['segments'\]: expected windows"):
        FrameMAP().process(None, [{k: v for k, v in samples[0].items() if k != 'segments'}])
    samples[2]['frame_scores'][0, 0] = np.nan
    with pytest.raises(ValueError, match="frame_scores of 'b': found NaN"):
        evaluate(EventMAP(), samples)
    for options, message in ((dict(convention='coco'), 'convention'),
                             (dict(num_points=0), 'num_points')):
        with pytest.raises(ValueError, match=message):
            FrameMAP(**options)
    with pytest.raises(ValueError, match='iou'):
        EventMAP(iou=(0., .5))


# ----------------------------------------------------------------------------------- segments
def test_argmax_segments_close_gaps_and_drop_short_runs():
    """Runs shorter than 10 go, gaps up to 5 close, the confidence is the mean."""
    scores = np.full((100, 2), .1)  # background .8
    scores[10:25, 0] = .7
    scores[30:45, 0] = .8  # a gap of 5
    scores[51:70, 0] = .6  # of 6
    scores[80:89, 1] = .9  # 9 frames
    out = argmax_segments(scores, sigma=0)
    np.testing.assert_allclose(out, [[0, 10, 44, (15 * .7 + 5 * .1 + 15 * .8) / 35],
                                     [0, 51, 69, .6]])
    assert argmax_segments(scores, sigma=0, min_length=9)[-1].tolist()[:3] == [1, 80, 88]
    assert argmax_segments(np.zeros((30, 2)), sigma=5).shape == (0, 4)
    # a class of .45 is less likely than a background of .55
    assert not len(argmax_segments(np.full((30, 1), .45), sigma=0))
    assert len(argmax_segments(np.full((30, 1), .55), sigma=0)) == 1


def test_threshold_segments_may_overlap():
    scores = np.zeros((50, 2))
    scores[5:30, 0] = .8
    scores[10:40, 1] = .6
    out = threshold_segments(scores, sigma=0)
    np.testing.assert_allclose(out, [[0, 5, 29, .8], [1, 10, 39, .6]])
    assert len(threshold_segments(scores, threshold=.7, sigma=0)) == 1


def test_segments_smoothing_is_gaussian():
    """A step of 0.5 probability stays where it is; single frames vanish."""
    scores = np.zeros((80, 1))
    scores[30:] = 1.
    scores[10] = 1.
    (_, first, last, confidence), = threshold_segments(scores, sigma=5)
    kernel = np.exp(-np.arange(-20, 21)**2 / 50)
    kernel /= kernel.sum()
    smooth = np.convolve(np.pad(scores[:, 0], 20, 'edge'), kernel, 'valid')
    assert (first, last) == (np.flatnonzero(smooth >= .5)[0], 79) == (30, 79)
    assert confidence == pytest.approx(smooth[30:].mean(), abs=1e-6)


# ----------------------------------------------------------------------------------- pictures
def test_timeline_shows_classes_that_occur(monkeypatch):
    rng = np.random.default_rng(0)
    scores, targets = rng.random((60, 5)) * .4, np.zeros((60, 5), bool)
    targets[10:20, 3], targets[30:34, 1] = True, True
    scores[40:50, 4] = .9
    axis, = draw_timeline(scores, targets, list('abcde'), 'v').axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ['b', 'd', 'e']
    truth, predicted = ([np.asarray(i.get_array())[0] for i in axis.images[start::2]]
                        for start in (0, 1))
    np.testing.assert_array_equal(np.array(truth).T, targets[:, [1, 3, 4]])
    np.testing.assert_allclose(np.array(predicted).T, scores[:, [1, 3, 4]], rtol=1e-6)
    monkeypatch.setattr('mofm.visualization.timeline._MAX_CLASSES', 1)
    axis, = draw_timeline(scores, targets, list('abcde')).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ['d']  # most annotated frames
    axis, = draw_timeline(scores, None, list('abcde')).axes  # without ground truth
    assert [t.get_text() for t in axis.get_yticklabels()] == ['e']
    assert len(axis.images) == 1
    with pytest.raises(ValueError, match='expected'):
        draw_timeline(scores, targets[:-1], list('abcde'))


def test_frame_map_writes_timelines_and_scores(recordings, tmp_path):
    recordings = {'a/b $x': recordings['a'], 'c': recordings['c']}
    evaluate(FrameMAP(out_dir=str(tmp_path), num_pictures=1), samples_of(recordings))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['0000_a_b__x.png', 'scores.npz']
    data = np.load(tmp_path / 'scores.npz')
    np.testing.assert_allclose(data['0000_a_b__x/score'], recordings['a/b $x'][0], atol=1e-3)
    np.testing.assert_array_equal(data['0001_c/target'], recordings['c'][1])
