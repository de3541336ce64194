"""Streaming: windows, scores and track IDs equal those of offline inference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mofm.apis.inferencer import MotionInferencer
from mofm.apis.stream import MotionStream
from mofm.datasets import SyntheticMotion

WINDOW = 16


@pytest.fixture(scope='module')
def inferencer():
    torch.manual_seed(0)
    size = dict(num_frames=WINDOW, canvas=36, patch=4)
    pipeline = [
        dict(type='UniformSampleFrames', clip_len=WINDOW, test_mode=True),
        dict(type='PoseCompact'), dict(type='ThermalCubeFormat', **size),
        dict(type='PackMotionInputs')]
    return MotionInferencer(Config(dict(
        model=dict(
            type='JigsawDetector',
            backbone=dict(type='MoFMBackbone', embed_dims=32, depth=1, num_heads=2,
                          embed=dict(type='LinearCubeEmbed'), max_tokens=96, **size),
            head=dict(type='JigsawHead', in_channels=32, canvas=36, patch=4, grid=(3, 3)),
            data_preprocessor=dict(type='MotionDataPreprocessor', **size)),
        test_dataloader=dict(dataset=dict(
            type='TrackWindowDataset', pipeline=pipeline, seg_len=WINDOW, min_len=WINDOW + 1)))))


def video(persons=2, frames=48):
    """Persons far from each other, who come and go: (M, T, 17, 3), some frames of each missing."""
    clips = SyntheticMotion(persons, num_frames=(frames, frames), seed=3)
    points = np.zeros((persons, frames, 17, 3), np.float32)
    for i in range(persons):
        clip = clips.get_data_info(i)
        points[i, ..., :2] = clip['keypoint'][0] + (1500 * i, 0)
        points[i, ..., 2] = clip['keypoint_score'][0]
    rng = np.random.default_rng(0)
    for i in range(persons):
        points[i, rng.choice(frames, 4, replace=False)] = 0
    points[0, 18:23] = 0  # more than max_missing
    return points * (points[..., 2:] > 0)


def stream_all(stream, points, **kwargs):
    found = []
    for frame in range(points.shape[1]):
        here = np.flatnonzero((points[:, frame, :, 2] > 0).any(1))
        found += stream.push(points[here, frame, :, :2], points[here, frame, :, 2], frame,
                             **{name: value[here] for name, value in kwargs.items()})
    return found


@pytest.mark.parametrize('stride', [1, 5])
def test_stream_equals_offline_windows_and_scores(inferencer, stride):
    points, shape = video(), (1080, 4000)
    offline, = inferencer(points, 'anomaly', stride=stride, img_shape=shape, progress=False)
    found = stream_all(MotionStream(inferencer, shape, stride=stride), points,
                       person=np.array([0, 1]))
    live = {(r.person, r.frame): (r.frames, r.output['normality']) for r in found}
    assert len(live) == len(found)
    expected = list(zip(offline.person, offline.frame, offline.frames, offline.normality,
                        strict=True))
    assert len(expected) >= 8
    assert len({e[0] for e in expected}) == 2
    for person, frame, (first, last), normality in expected:
        window, output = live.pop((person, frame))
        assert window == (first, last)
        assert output == pytest.approx(normality, abs=1e-6)
    # besides them only windows that end with the last row of a track
    last_row = [np.flatnonzero((p[..., 2] > 0).any(1))[-1] for p in points]
    assert all(window[1] == last_row[person] for (person, _), (window, _) in live.items())


def test_stream_tracks_unnamed_persons(inferencer):
    points = video()
    named = stream_all(MotionStream(inferencer, (1080, 4000)), points, person=np.array([7, 3]))
    found = stream_all(MotionStream(inferencer, (1080, 4000)), points)
    name = {r.person: {} for r in found}
    assert len(name) == 2
    assert sorted((r.frame, float(r.output['normality'])) for r in found) == sorted(
        (r.frame, float(r.output['normality'])) for r in named)


def test_stream_at_twice_the_rate_says_the_same(inferencer):
    """At twice the frame rate a window has twice the frames and says the same."""
    points = video(1, 40)[:, 30:]  # no gap
    points = np.delete(points, np.flatnonzero(~points[0, :, :, 2].any(1)), 1)
    stream = MotionStream(inferencer, (1080, 4000), fps=60, model_fps=30, window=4)
    assert stream.window == 8
    twice = points.repeat(2, 1)
    found = stream_all(stream, twice)
    assert [r.frames for r in found] == [(i, i + 7) for i in range(twice.shape[1] - 7)]
    plain = stream_all(MotionStream(inferencer, (1080, 4000), window=4), points)
    assert found[0].output['normality'] == pytest.approx(plain[0].output['normality'], abs=1e-6)


def test_stream_memory_does_not_grow(inferencer):
    """Persons who left are forgotten; the windows of those who are here are all there is."""
    stream = MotionStream(inferencer, (100, 100), stride=1000)
    point = np.random.default_rng(0).uniform(0, 99, (1, 17, 2))
    for frame in range(3000):
        stream.push(point, frame=frame, person=[frame // 10])
    assert len(stream._person) <= 2 + (WINDOW + 2) // 10
    assert stream._rows.nbytes < 100_000


def test_stream_takes_empty_frames_and_reset(inferencer):
    stream = MotionStream(inferencer, (100, 100))
    assert stream.push(np.zeros((0, 17, 2))) == []
    assert stream.push(np.full((1, 17, 2), np.nan)) == []  # nobody
    person = np.random.default_rng(0).uniform(1, 99, (1, 17, 2))
    count = [len(stream.push(person)) for _ in range(WINDOW + 1)]
    assert count == [0] * (WINDOW - 1) + [1, 1]
    stream.reset()
    assert [len(stream.push(person, frame=i)) for i in range(WINDOW)] == [0] * (WINDOW - 1) + [1]


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(window=0), 'window: found 0'),
    (dict(stride=0), 'stride: found 0'),
    (dict(task='action'), "task: found 'action', but Jigsaw"),
    (dict(fps=0, model_fps=30), 'fps: found 0'),
    (dict(model_fps=30), 'fps: found nothing'),
    (dict(layout='nobody'), 'nobody'),
    (dict(layout=['coco17']), 'unknown joint layout'),
    *((dict(window=value), 'window: found') for value in ('a', 1.5, np.nan, 10**400, True, 2**40)),
    *((dict(max_missing=value), 'max_missing: found') for value in (-1, .5, 10**400)),
    (dict(max_lost=-1), 'max_lost: found'), (dict(fps=30, model_fps=1e-9), 'window: found'),
    *((dict(img_shape=value), 'img_shape: found') for value in (
        (0, 5), (5, ), 5, None, 'ab', (1.5, 2), (np.nan, 3), (10**400, 3), ('a', 'b'))),
])
def test_stream_names_bad_settings(inferencer, arguments, message):
    with pytest.raises(ValueError, match=message):
        MotionStream(inferencer, **{'img_shape': (100, 100), **arguments})


@pytest.mark.parametrize(('arguments', 'message'), [
    ((np.ones((1, 16, 2)), ), r"shape \(1, 16, 2\), expected \(N, 17, 2\) for layout 'coco17'"),
    ((np.full((1, 17, 2), 9.), np.ones((2, 17))), r'keypoint_score: found shape \(2, 17\)'),
    ((np.full((1, 17, 2), 9.), None, 3), 'frame: found 3 after 5, expected ascending'),
    ((np.full((2, 17, 2), 9.), None, 6, [1, 1]), r'person: found \[1, 1\], expected 2 different'),
])
def test_stream_goes_on_after_bad_frames(inferencer, arguments, message):
    """The next good frame continues the track."""
    stream = MotionStream(inferencer, (100, 100))
    person = np.random.default_rng(0).uniform(1, 99, (1, 17, 2))
    for frame in range(6):
        stream.push(person, frame=frame)
    with pytest.raises(ValueError, match=message):
        stream.push(*arguments)
    assert sum(len(stream.push(person, frame=f)) for f in range(6, WINDOW)) == 1


PERSONS = np.random.default_rng(0).uniform(1, 99, (3, 17, 2)).astype(np.float32)
ONE = PERSONS[:1]


def one(value, dtype=np.float64):
    points = ONE.astype(dtype)
    points[0, 3, 1] = value
    return points


BAD = {
    'keypoint': [
        None, 'abc', 5., {}, [[1, 2]], [[[1., 2]] * 16], np.ones((1, 16, 2)), np.ones((17, 2)),
        np.ones((1, 17, 3)), ONE.astype(object), ONE.astype(complex), ONE.astype(str),
        ONE.astype('M8[s]'), one(np.inf), one(-np.inf), one(1e30), one(1e300), one(-1e5),
        one(1200), one(2**62, int), one(np.inf, np.float16), torch.from_numpy(one(1e30)),
        torch.ones(1, 17, 2, device='meta'), torch.ones(1, 17, 2).to_sparse(),
        np.zeros((1, 0, 2)), np.ma.masked_array(one(1e30), False)],
    'keypoint_score': [
        'abc', 5., {}, np.ones(17), np.ones((2, 17)), np.ones((1, 17), complex), [['a'] * 17],
        np.full((1, 17), np.inf), np.full((1, 17), 1e30), np.full((1, 17), -1e30), [[1] * 16],
        np.zeros((0, 17))],
    'frame': [
        -1, -2**63, 2**63, 2**64, 10**400, 10**9, 2.5, 5., np.nan, np.inf, True, 'x', [1], (),
        np.float32(100), np.int64(-5), np.uint64(2**63), np.array([100]), np.bool_(True)],
    'person': [
        5, 'a', '1', b'1', [1.5], [np.nan], [True], [2**63], [-2**63 - 1], [None], [[1]], {1: 1},
        [1, 2], [], np.array(['1']), np.array([1.]), np.ma.masked_array([1], [True]), {1}],
}
BAD_PUSHES = [(name, i) for name, values in BAD.items() for i in range(len(values))]


def bad_push(stream, name, i, named):
    """Push something bad; it must be refused by its name."""
    arguments = dict(keypoint=ONE, person=[3] if named else None) | {name: BAD[name][i]}
    with pytest.raises(ValueError, match=f'^MotionStream: {name}: found .*, expected'):
        stream.push(**arguments)


@pytest.mark.parametrize(('name', 'i'), BAD_PUSHES)
def test_stream_refuses_a_bad_first_push(inferencer, name, i):
    if (name, BAD[name][i]) != ('frame', 10**9):  # any may be the first
        bad_push(MotionStream(inferencer, (100, 100)), name, i, named=True)


@settings(max_examples=25, deadline=None)
@given(st.booleans(), st.lists(st.one_of(
    st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(0, 2**32 - 1)),
    st.sampled_from(BAD_PUSHES)), min_size=20, max_size=40))
def test_stream_after_bad_pushes_equals_good_pushes_alone(inferencer, named, pushes):
    """A good push is the number of persons, the frames since the last one and a seed."""
    options = dict(img_shape=(100, 100), window=4, max_missing=1)
    both, alone = (MotionStream(inferencer, **options) for _ in range(2))
    frame = -1
    for push in [(1, 1, 0), *pushes, *[(2, 1, 1)] * 4]:
        if isinstance(push[0], str):
            if named or push[0] != 'person':
                bad_push(both, *push, named)
            continue
        count, step, seed = push
        frame += step
        rng = np.random.default_rng(seed)
        keypoint = PERSONS[:count] + rng.uniform(0, 5, (count, 17, 2))
        keypoint[rng.random(keypoint.shape) < .1] = np.nan
        person = rng.permutation(4)[:count] if named else None
        found, expected = (stream.push(keypoint, rng_score(seed, count), frame, person)
                           for stream in (both, alone))
        assert [(r.person, r.frames, r.frame) for r in found] == [
            (r.person, r.frames, r.frame) for r in expected]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a.output['normality'], b.output['normality'])
    assert expected


def rng_score(seed, count):
    return np.random.default_rng(seed).random((count, 17))


def test_stream_repeats_a_push_whose_prediction_failed(inferencer, monkeypatch):
    both, alone = (MotionStream(inferencer, (100, 100), window=4) for _ in range(2))
    predict = both.inferencer.predict_clips

    def fail(clips):
        raise KeyboardInterrupt

    for frame in range(8):
        keypoint = PERSONS[:2] + frame
        monkeypatch.setattr(both.inferencer, 'predict_clips', fail)
        if frame > 2:
            with pytest.raises(KeyboardInterrupt):
                both.push(keypoint)
        monkeypatch.setattr(both.inferencer, 'predict_clips', predict)
        found, expected = both.push(keypoint), alone.push(keypoint)
        assert [(r.person, r.frames) for r in found] == [(r.person, r.frames) for r in expected]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a.output['normality'], b.output['normality'])


def test_stream_refuses_to_mix_trackers(inferencer):
    stream = MotionStream(inferencer, (100, 100))
    stream.push(ONE)
    stream.push(ONE[:0], person=[])  # nobody
    with pytest.raises(ValueError, match=r'person: found \[3\], expected IDs with every frame'):
        stream.push(ONE, person=[3])
    stream.reset()
    stream.push(ONE, person=[3])
    with pytest.raises(ValueError, match='person: found nothing, expected IDs with every frame'):
        stream.push(ONE)


@pytest.mark.parametrize('kind', [
    lambda a: a.tolist(), lambda a: a.astype('>f4'), torch.from_numpy,
    lambda a: torch.tensor(a, requires_grad=True), lambda a: np.repeat(a, 2, -1)[..., ::2],
    lambda a: np.ma.masked_array(a, False), lambda a: np.ma.masked_array(a, a == a[0, 0, 0])])
def test_stream_takes_arrays_of_any_kind(inferencer, kind):
    """The last kind masks a coordinate, so a joint is missing."""
    array = kind(ONE.copy())
    plain = array.astype(np.float32).filled(np.nan) if isinstance(
        array, np.ma.MaskedArray) else ONE
    found, expected = (MotionStream(inferencer, (100, 100), window=2) for _ in range(2))
    assert not found.push(array) + expected.push(plain)
    np.testing.assert_array_equal(found.push(array)[0].output['normality'],
                                  expected.push(plain)[0].output['normality'])
