"""Temporal localization in the inferencer, the demo and a published model."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mofm.annotations import dump_annotations
from mofm.apis import MotionInferencer, MotionStream, demo
from mofm.datasets import motion_collate
from mofm.registry import DATASETS, METRICS, MODELS
from mofm.structures import convert
from mofm.utils.config import load_config
from mofm.visualization import write_video

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / 'projects/tmor/configs'
CLASSES = ['walk', 'sit', 'stand', 'pick', 'carry', 'throw', 'push', 'pull', 'wave', 'clap']
WINDOW, STRIDE = 16, 6


def recording(name, frames, persons=1, **fields):
    motion = np.random.default_rng(frames).normal(size=(persons, frames, 17, 2)).cumsum(1)
    return dict(frame_dir=name, label=0, img_shape=(480, 640), total_frames=frames,
                keypoint=(300 + 5 * motion).astype(np.float32),
                keypoint_score=np.ones((persons, frames, 17), np.float32),
                segments=np.array([[1, 2, 5]]), **fields)


@pytest.fixture(scope='module', params=['localize_utkinect', 'localize_utkinect_mofm_tiny'])
def model(request, tmp_path_factory):
    """Annotation file, config and checkpoint of an untrained model."""
    folder = tmp_path_factory.mktemp('detection')
    inds = np.r_[2:20, 25:40]  # no persons at the start and in between
    dump_annotations(dict(
        split=dict(test=['long', 'gap', 'short']), metainfo=dict(classes=CLASSES),
        annotations=[recording('long', 40, 2), recording('gap', len(inds), frame_inds=inds),
                     recording('short', 7)]), folder / 'a.pkl')
    cfg = load_config(CONFIGS / f'{request.param}.py')
    init_default_scope('mofm')
    cfg.model.backbone.init_cfg = None
    cfg.test_dataloader.dataset.update(ann_file=str(folder / 'a.pkl'), window=WINDOW,
                                       stride=STRIDE)
    for metric in cfg.test_evaluator:
        if 'segments' in metric:  # scores of an untrained model are all about .5
            metric.segments.update(threshold=.5, min_length=2)
    torch.manual_seed(0)
    network = MODELS.build(cfg.model)
    network.init_weights()
    torch.nn.init.normal_(network.head.fc.weight, std=3)
    torch.save(dict(state_dict=network.state_dict(),
                    meta=dict(dataset_meta=dict(classes=CLASSES))), folder / 'model.pth')
    cfg.dump(folder / 'config.py')
    return folder


@pytest.fixture
def expected(model):
    """Recordings by name as in the metrics of the config, and the segments."""
    cfg = load_config(model / 'config.py')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    network = MODELS.build(cfg.model).eval()
    network.load_state_dict(torch.load(model / 'model.pth', weights_only=True)['state_dict'])
    batch = motion_collate([dataset[i] for i in range(len(dataset))])
    data = network.data_preprocessor(batch)
    with torch.no_grad():
        samples = network(data['inputs'], data['data_samples'], mode='predict')
    metric = METRICS.build(next(m for m in cfg.test_evaluator if 'segments' in m))
    metric.process(None, [sample.to_dict() for sample in samples])
    return metric.recordings(metric.results), metric.to_segments


@pytest.fixture
def inferencer(model):
    return MotionInferencer(model / 'config.py', model / 'model.pth', device='cpu', batch_size=3)


def test_temporal_inferencer_equals_test(inferencer, expected, model):
    """Windows overlap, end behind the recording, and have frames without persons."""
    assert inferencer.tasks == ('localize', 'features')
    results = inferencer(model / 'a.pkl', progress=False)
    recordings, to_segments = expected
    assert {r.name for r in results} == recordings.keys()
    for result in results:
        truth = recordings[result.name].scores
        assert result.scores.shape == truth.shape
        assert np.ptp(truth) > .1
        np.testing.assert_allclose(result.scores, truth, atol=1e-5)
        segments = to_segments(truth)
        found = {(CLASSES.index(name), first, last): score
                 for name, first, last, score in result.actions()}
        assert found.keys() == {tuple(map(int, s[:3])) for s in segments}
        assert all(found[tuple(map(int, s[:3]))] == pytest.approx(s[3], abs=1e-4)
                   for s in segments)
        starts = [first for _, first, _, _ in result.actions()]
        assert starts == sorted(starts)
        last = len(truth) - 1
        np.testing.assert_array_equal(
            result.frames, [(s, min(s + WINDOW - 1, last)) for s in range(0, 99, STRIDE)
                            if s == 0 or s - STRIDE + WINDOW <= last])
    assert any(result.actions() for result in results)


def test_temporal_inferencer_result_is_in_input_frames(inferencer, model, tmp_path):
    """The model gets every second frame of the input; results are in frames of the input."""
    twice = recording('twice', 50)
    half = dict(twice, total_frames=25, keypoint=twice['keypoint'][:, ::2],
                keypoint_score=twice['keypoint_score'][:, ::2])
    slow, = inferencer([half], window=10, progress=False)
    fast, = inferencer([twice], window=10, fps=20., model_fps=10., progress=False)
    # the stride of the config is ignored
    assert slow.frames.tolist() == [[0, 9], [10, 19], [20, 24]]
    assert fast.scores.shape == (50, 10)
    assert fast.frames.tolist() == [[0, 18], [20, 38], [40, 48]]
    np.testing.assert_allclose(fast.scores[:49:2], slow.scores, atol=1e-5)
    assert [(n, 2 * a, 2 * b) for n, a, b, _ in slow.actions()] == [
        action[:3] for action in fast.actions()]
    fast.save(tmp_path / 'a.json')
    written = json.loads((tmp_path / 'a.json').read_text())
    assert written['task'] == 'localize'
    assert written['classes'] == CLASSES
    assert written['actions'] == [list(action) for action in fast.actions()]
    with pytest.raises(ValueError, match='window=10 and stride=11'):
        inferencer([half], window=10, stride=11, progress=False)


def test_temporal_stream_equals_windows(inferencer):
    """Persons are scored separately, in windows of the config."""
    ann = recording('a', 20, 2)
    stream = MotionStream(inferencer, (480, 640))
    found = [result for frame in range(20) for result in stream.push(
        ann['keypoint'][:, frame], ann['keypoint_score'][:, frame], person=[4, 9])]
    assert len(found) == 2 * (20 - WINDOW + 1)
    for result in found:
        first, last = result.frames
        assert last - first == WINDOW - 1
        points, score = convert(ann['keypoint'][[int(result.person == 9)], first:last + 1],
                                np.ones((1, WINDOW, 17), np.float32), 'coco17',
                                inferencer.layout.name)
        clip = dict(ann, keypoint=points, keypoint_score=score, total_frames=WINDOW)
        expected, = inferencer.predict_clips([clip])
        np.testing.assert_allclose(result.output['scores'], expected['scores'], atol=1e-5)


def test_temporal_stream_needs_a_window():
    cfg = load_config(CONFIGS / 'action_penn_64frames_scratch.py')
    with pytest.raises(ValueError, match='window: found nothing, .* UNIKBackbone'):
        MotionStream(MotionInferencer(cfg, device='cpu'), (480, 640))


def test_temporal_inferencer_without_segments_gives_scores(model):
    """A config without a metric of segments gives scores."""
    cfg = load_config(model / 'config.py')
    cfg.test_evaluator = dict(type='FrameMAP')
    found, = MotionInferencer(cfg, model / 'model.pth', device='cpu')(
        [recording('a', 20)], progress=False)
    cfg.test_evaluator = dict(type='EventMAP', segments=dict(type='nothing'))
    with pytest.raises(ValueError, match="segments.type: found 'nothing'"):
        MotionInferencer(cfg, model / 'model.pth', device='cpu')(
            [recording('a', 20)], progress=False)
    assert found.segments is None
    assert found.actions() == []
    assert found.scores.shape == (20, 10)


def test_temporal_demo_draws_the_timeline(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [
        'demo.py', str(model / 'a.pkl'), '--split', 'test', '--config', str(model / 'config.py'),
        '--checkpoint', str(model / 'model.pth'), '--out', str(tmp_path), '--pictures', '1',
        '--json'])
    runpy.run_path(str(ROOT / 'tools/demo.py'), run_name='__main__')
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'gap.json', 'index.html', 'long.json', 'long.png', 'short.json', 'table.csv']
    lines = capsys.readouterr().out.splitlines()
    actions = json.loads((tmp_path / 'long.json').read_text())['actions']
    assert f'long: {", ".join(f"{a[0]} {a[1]}-{a[2]}" for a in actions)}' in lines


def test_temporal_demo_writes_actions_onto_the_video(inferencer, tmp_path):
    write_video((np.full((480, 640, 3), 90, np.uint8) for _ in range(40)), tmp_path / 'a.mp4', 20)
    result, = inferencer([recording('a', 40)], progress=False)
    result.segments = np.array([[1, 10, 19, .9]])
    demo.draw(inferencer.task(), result, tmp_path / 'b', tmp_path / 'a.mp4')
    video = cv2.VideoCapture(str(tmp_path / 'b.mp4'))
    titles = [np.abs(video.read()[1][:24].astype(int) - 90).max() > 60 for _ in range(40)]
    assert titles == [10 <= frame < 20 for frame in range(40)]


def test_temporal_published_model_predicts_the_same(inferencer, model, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.setattr(sys, 'argv', ['publish.py', str(model / 'config.py'),
                                      str(model / 'model.pth'), '--out', str(tmp_path / 'out')])
    runpy.run_path(str(ROOT / 'tools/publish.py'), run_name='__main__')
    assert "task='localize'" in (tmp_path / 'out/README.md').read_text()
    published = MotionInferencer(tmp_path / 'out', device='cpu')
    assert published.classes == tuple(CLASSES)
    for ours, theirs in zip(*(i(model / 'a.pkl', progress=False)
                              for i in (inferencer, published)), strict=True):
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
        assert len(ours.segments) == len(theirs.segments)
    config = json.loads((tmp_path / 'out/config.json').read_text())
    config['test_evaluator'][1]['segments']['type'] = 'os.system'
    (tmp_path / 'out/config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match='segments.type.*os.system'):
        MotionInferencer(tmp_path / 'out', device='cpu')
