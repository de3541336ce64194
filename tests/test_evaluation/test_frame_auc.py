"""Frame-level AUC, against the protocol written out and scikit-learn."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import roc_auc_score

from mofm.datasets.frame_labels import CLIPS_LEFT_OUT
from mofm.evaluation import FrameAUC
from mofm.evaluation.functional import smooth
from mofm.evaluation.metrics import frame_auc
from mofm.visualization.evaluation_report import save_pictures


@pytest.fixture
def make(tmp_path):
    """A metric on masks of the given clips."""
    def make(labels, **options):
        folder = tmp_path / 'masks'
        folder.mkdir(exist_ok=True)
        for clip, label in labels.items():
            np.save(folder / f'{clip}.npy', np.array(label, np.uint8))
        return FrameAUC(dict(type='shanghaitech', path=folder), **options)

    return make


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    lengths = dict(a=90, b=41, c=130)
    return {clip: np.repeat(rng.random(t // 10 + 1) < .4, 10)[:t] for clip, t in lengths.items()}


def windows_of(labels, persons=2, seed=0):
    """(clip, frame, normality) for every person and frame, somewhat lower if abnormal."""
    rng = np.random.default_rng(seed)
    return [(clip, t, float(np.clip(rng.normal(.6 - .2 * label[t], .2), .01, .99)))
            for clip, label in labels.items() for _ in range(persons) for t in range(len(label))]


def run(metric, windows, keypoints=None):
    samples = [dict(clip=c, frame=f, track_id=0, normality=torch.tensor(s))
               for c, f, s in windows]
    for i in range(0, len(samples), 64):
        points = keypoints if keypoints is None else keypoints[i:i + 64]
        metric.process(dict(inputs=dict(keypoints=points)), samples[i:i + 64])
    return metric.evaluate(len(samples))


def protocol(labels, windows, sigmas):
    """Labels and scores of all frames, by loops."""
    frames = {clip: np.full(len(label), np.inf) for clip, label in labels.items()}
    for clip, t, score in windows:
        frames[clip][t] = min(frames[clip][t], np.float32(score))
    joined = np.concatenate(list(frames.values()))
    top, bottom = joined[np.isfinite(joined)].max(), joined[np.isfinite(joined)].min()
    for clip, score in frames.items():
        score[score == np.inf], score[score == -np.inf] = top, bottom
        for sigma in sigmas:
            frames[clip] = score = gaussian_filter1d(score, sigma)
    return 1 - np.concatenate(list(labels.values())), np.concatenate(list(frames.values()))


@pytest.mark.parametrize('sigmas', [(), (1, 2, 3, 4, 5, 6), (2.5, )])
def test_frame_auc_equals_the_protocol(make, labels, sigmas):
    """Some frames without a window, an infinite score, several persons."""
    windows = [w for w in windows_of(labels) if w[1] % 7]
    windows[3] = ('a', 8, -np.inf)
    windows[50] = ('b', 20, np.inf)
    out = run(make(labels, smoothing=sigmas), windows)
    assert out['anomaly/micro_auc'] == pytest.approx(
        roc_auc_score(*protocol(labels, windows, sigmas)))
    assert out['anomaly/raw_micro_auc'] == pytest.approx(
        roc_auc_score(*protocol(labels, windows, ())))


def test_frame_auc_takes_minimum_over_persons(make):
    labels = dict(a=[0, 0, 1, 1])
    good = [('a', t, s) for t, s in enumerate([.9, .8, .7, .6])]
    assert run(make(labels, smoothing=()), good)['anomaly/micro_auc'] == 1
    # A second person lowers a normal frame below one, then below both abnormal frames.
    for score, auc in ((.65, .75), (.5, .5)):
        out = run(make(labels, smoothing=()), good + [('a', 0, score)])
        assert out['anomaly/micro_auc'] == auc
    assert run(make(labels, smoothing=()), good + [('a', 0, .95)])['anomaly/micro_auc'] == 1


def test_frame_auc_gives_frames_without_window_the_highest_score(make):
    """Two of three normal frames have none: they tie with the best, .7, which is abnormal."""
    labels = dict(a=[0, 0, 1], b=[1, 1, 0])
    windows = [('a', 2, .7), ('b', 0, .2), ('b', 1, .3), ('b', 2, .5)]
    out = run(make(labels, smoothing=()), windows)
    assert out['anomaly/micro_auc'] == pytest.approx((2 * (.5 + 1 + 1) + 0 + 1 + 1) / 9)


def test_frame_auc_of_inverted_scores_is_the_complement(make, labels):
    windows = windows_of(labels, persons=1)
    out = run(make(labels), windows)
    inverted = run(make(labels), [(c, t, 1 - s) for c, t, s in windows])
    for name in ('micro_auc', 'raw_micro_auc'):
        assert out[f'anomaly/{name}'] > .5
        assert out[f'anomaly/{name}'] + inverted[f'anomaly/{name}'] == pytest.approx(1, abs=1e-4)


def test_frame_auc_default_smoothing_is_nearly_one_gaussian(make):
    """Variances add up, 1 + 4 + 9 + 16 + 25 + 36 = 91; the rest is sampling and truncation."""
    score = np.random.default_rng(0).random(400)
    smoothed = smooth(score, make(dict(a=[0, 1])).smoothing)
    np.testing.assert_allclose(smoothed, gaussian_filter1d(score, np.sqrt(91)), atol=2e-3)


def test_macro_auc_equals_hand_computation(make):
    """Each clip has an abnormal frame of score 0 and a normal one of score 1 in addition."""
    labels = dict(mixed=[0, 1, 1], normal=[0, 0], abnormal=[1, 1])
    windows = [('mixed', 0, .5), ('mixed', 1, .6), ('mixed', 2, .2),
               ('normal', 0, .3), ('normal', 1, 0.), ('abnormal', 0, .3), ('abnormal', 1, 1.)]
    # mixed: normal .5 and 1 against .6, .2, 0: 5 of 6. normal: .3, 0, 1 against 0: 2.5 of 3.
    # abnormal: 1 against .3, 1, 0: 2.5 of 3.
    out = run(make(labels, smoothing=()), windows)
    assert out['anomaly/macro_auc'] == pytest.approx((5 / 6 + 2.5 / 3 + 2.5 / 3) / 3)


def test_macro_auc_ignores_scale_and_shift(make):
    """The added frames have the lowest and highest score of all: scale and shift do not matter."""
    labels = dict(a=[0, 1, 0, 1], b=[0, 0, 1, 1])
    scores = [0., .3, 1., .5, .7, .2, .3, .4]
    for scale, shift in ((1, 0), (1e3, 0), (20, -20)):
        windows = [('ab'[i // 4], i % 4, s * scale + shift) for i, s in enumerate(scores)]
        out = run(make(labels, smoothing=()), windows)
        assert out['anomaly/macro_auc'] == pytest.approx((6.5 / 9 + 7 / 9) / 2)


def test_frame_auc_skips_clips_left_out(make, labels):
    windows = windows_of(labels)
    kept = {clip: label for clip, label in labels.items() if clip != 'b'}
    out = run(make(labels, clips_left_out=['b']), windows)
    sigmas = (1, 2, 3, 4, 5, 6)
    assert out['anomaly/micro_auc'] == pytest.approx(
        roc_auc_score(*protocol(kept, [w for w in windows if w[0] != 'b'], sigmas)))
    with pytest.raises(ValueError, match=r"\['d'\] are not among the 3 clips"):
        make(labels, clips_left_out=['d'])
    with pytest.raises(ValueError, match=r"found 'hr', .* one of \['hr_shanghaitech'\]"):
        make(labels, clips_left_out='hr')


def test_frame_auc_finds_clips_that_are_named_by_their_folder(make, labels):
    windows = windows_of(labels)
    named = [(clip if clip == 'c' else f'test/{clip}', *rest) for clip, *rest in windows]
    for options in ({}, dict(clips_left_out=['b'])):
        assert run(make(labels, **options), named) == run(make(labels, **options), windows)
    with pytest.raises(ValueError, match=r"windows of the clips \['test/b', 'train/b'\], expected "
                                         "one clip 'b'; select one split"):
        run(make(labels), [*named, ('train/b', 0, .5)])


def test_frame_auc_of_hr_shanghaitech_has_published_counts(real_data):
    gt = dict(type='shanghaitech', path=real_data('shanghaitech_gt.zip'))
    metric = FrameAUC(gt, clips_left_out='hr_shanghaitech')
    assert len(metric.labels) == 101
    assert sum(map(len, metric.labels.values())) == 38697
    windows = [(clip, t, 1 - .5 * float(abnormal)) for clip, label in metric.labels.items()
               for t, abnormal in enumerate(label)]
    windows += [(clip, 10**6, 0.) for clip in CLIPS_LEFT_OUT['hr_shanghaitech']]
    out = run(metric, windows)
    assert out['anomaly/raw_micro_auc'] == 1 > out['anomaly/micro_auc'] > .95


def test_frame_auc_ignores_duplicate_windows(make, labels):
    windows = windows_of(labels)
    assert run(make(labels), windows) == run(make(labels), windows + windows[:30])


def test_frame_auc_counts_clips_without_a_window(make, labels, monkeypatch):
    printed = []
    monkeypatch.setattr(frame_auc, 'print_log', lambda text, *_: printed.append(text))
    run(make(labels), [w for w in windows_of(labels) if w[0] == 'b'])
    assert "2 of 3 clips have no window" in printed[0]
    assert "['a', 'c']" in printed[0]
    assert '82 windows on 41 of 261 frames in 3 clips' in printed[1]


@pytest.mark.parametrize(('window', 'words'), [
    (('d', 0, .5), r"no ground truth of 1 clips with windows, e.g. \['d'\]; it has e.g. \['a'"),
    (('b', 41, .5), "clip 'b' has 41 frames, but a window is at frame 41"),
    (('b', -1, .5), 'is at frame -1'), (('b', 3, np.nan), 'NaN')])
def test_frame_auc_names_windows_that_do_not_fit(make, labels, window, words):
    with pytest.raises(ValueError, match=words):
        run(make(labels), windows_of(labels) + [window])


def test_frame_auc_of_one_label_is_nan(make, monkeypatch):
    printed = []
    monkeypatch.setattr('mofm.evaluation.functional.anomaly.print_log',
                        lambda text, *_: printed.append(text))
    out = run(make(dict(a=[0, 0])), [('a', 0, .5)])
    assert np.isnan(out['anomaly/micro_auc'])
    assert out['anomaly/macro_auc'] == 1
    assert any('2 normal and 0 abnormal labels' in text for text in printed)


def test_frame_auc_without_scores_fails(make, labels):
    with pytest.raises(ValueError, match='1 windows without a finite score'):
        run(make(labels), [('a', 0, np.inf)])
    with pytest.raises(ValueError, match='0 windows'):
        make(labels).evaluate(0)


def test_frame_auc_names_samples_without_clip_and_frame(make, labels):
    with pytest.raises(ValueError, match=r"without \['clip', 'frame'\]: expected windows of"):
        make(labels).process({}, [dict(normality=torch.tensor(1.))])


@pytest.mark.parametrize('with_clips', [False, True])
def test_frame_auc_writes_curves_and_scores(make, labels, tmp_path, with_clips):
    windows = windows_of(labels)
    # (B, [clips,] M, J, F, 3); x is the number of the window in its middle frame, 3 of 6
    keypoints = torch.zeros(len(windows), *[2] * with_clips, 1, 17, 6, 3)
    keypoints[..., 3, :] = torch.arange(1., len(windows) + 1).view(-1, *[1] * (keypoints.ndim - 2))
    out = tmp_path / 'results'
    metric = make(labels, out_dir=str(out))
    run(metric, windows, keypoints)
    save_pictures(metric)
    assert {f.name for f in out.iterdir()} == {'a.png', 'b.png', 'c.png', 'scores.npz'}
    with np.load(out / 'scores.npz', allow_pickle=False) as scores:
        for kind, sigmas in (('score', ()), ('smoothed', (1, 2, 3, 4, 5, 6))):
            joined = np.concatenate([scores[f'{clip}/{kind}'] for clip in labels])
            np.testing.assert_allclose(joined, protocol(labels, windows, sigmas)[1], rtol=1e-6)
        for clip, label in labels.items():
            np.testing.assert_array_equal(scores[f'{clip}/label'], label)
    assert metric.thumbnails.keys() == labels.keys()
    number = {(clip, t, s): i for i, (clip, t, s) in enumerate(windows)}
    for clip, thumbnails in metric.thumbnails.items():
        assert 1 <= len(thumbnails) <= 5
        for frame, points in thumbnails.items():
            lowest = min(w for w in windows if w[:2] == (clip, frame))
            assert points.shape == (17, 3)
            assert points[0, 0] == number[lowest] + 1


def test_frame_auc_writes_no_files_by_default(make, labels, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(make(labels), windows_of(labels))
    assert [f.name for f in tmp_path.iterdir()] == ['masks']


def test_frame_auc_odd_clip_names_stay_in_the_folder(tmp_path):
    from mofm.annotations import dump_annotations
    name = '../../escaped'
    ann = dict(frame_dir=name, label=0, img_shape=(9, 9), total_frames=4,
               frame_label=np.array([0, 1, 1, 0]), keypoint=np.ones((1, 4, 17, 2)),
               keypoint_score=np.ones((1, 4, 17)))
    dump_annotations(dict(split={}, annotations=[ann]), tmp_path / 'gt.pkl')
    out = tmp_path / 'one/two'
    metric = FrameAUC(dict(type='annotations', path=tmp_path / 'gt.pkl'), out_dir=out)
    run(metric, [(name, 1, .5)], torch.ones(1, 1, 17, 6, 3))
    save_pictures(metric)
    assert sorted(f.name for f in tmp_path.rglob('*') if f.is_file()) == [
        '_.._escaped.png', 'gt.pkl', 'scores.npz']
    assert (out / '_.._escaped.png').exists()


def test_frame_auc_thumbnails_are_minima_that_lie_apart():
    t = np.arange(300)
    smoothed = 1 - .5 * np.exp(-((t - 50) / 9)**2) - .8 * np.exp(-((t - 200) / 9)**2)
    windows = [(float(smoothed[f]), int(f), np.full((17, 3), f)) for f in t[:250]]
    frames = list(frame_auc._thumbnails(smoothed, windows))
    assert {50, 200} <= set(frames)
    assert frames[0] == 200
    assert np.diff(sorted(frames)).min() >= 20
    assert frame_auc._thumbnails(smoothed, []) == {}


def test_frame_auc_runs_in_the_evaluator(make, labels, tmp_path):
    make(labels)
    init_default_scope('mofm')
    evaluator = Evaluator(dict(
        type='FrameAUC', gt=dict(type='shanghaitech', path=str(tmp_path / 'masks')), prefix='hr'))
    windows = windows_of(labels)
    for clip, frame, score in windows:
        sample = BaseDataElement(metainfo=dict(clip=clip, frame=frame, track_id=1))
        sample.normality = torch.tensor(score, dtype=torch.bfloat16)
        evaluator.process([sample])
    assert set(evaluator.evaluate(len(windows))) == {
        'hr/micro_auc', 'hr/macro_auc', 'hr/raw_micro_auc'}
