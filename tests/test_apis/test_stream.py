"""Streaming: windows, scores and track IDs equal those of offline inference."""

import numpy as np
import pytest
import torch
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
])
def test_stream_names_bad_settings(inferencer, arguments, message):
    with pytest.raises(ValueError, match=message):
        MotionStream(inferencer, (100, 100), **arguments)


@pytest.mark.parametrize(('arguments', 'message'), [
    ((np.ones((1, 16, 2)), ), r"shape \(1, 16, 2\), expected \(N, 17, 2\) for layout 'coco17'"),
    ((np.ones((1, 17, 2)), np.ones((2, 17))), r'keypoint_score: found shape \(2, 17\)'),
    ((np.ones((1, 17, 2)), None, 3), 'frame: found 3 after 5, expected ascending'),
    ((np.ones((2, 17, 2)), None, 6, [1, 1]), r'person: found \[1, 1\], expected 2 different'),
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
