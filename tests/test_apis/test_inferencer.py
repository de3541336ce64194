"""MotionInferencer against loops over test data sets, and on every kind of input."""

import json
import logging
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from mofm.annotations import AnnotationError, dump_annotations, load_annotations
from mofm.apis.inferencer import MotionInferencer
from mofm.apis.recording_maker import RecordingMaker
from mofm.apis.recordings import RecordingOptions, RecordingReader
from mofm.apis.windows import ClipWindows
from mofm.datasets import MotionDataset, SyntheticMotion, motion_collate
from mofm.keypoints import resample
from mofm.registry import DATASETS, METRICS, MODELS
from mofm.structures import LAYOUTS, convert

QUIET = dict(progress=False)


def samples_of_a_test(inferencer, dataset, batch_size):
    """Batches and data samples of a test as the runner does it."""
    loader = DataLoader(dataset, batch_size, collate_fn=motion_collate)
    with torch.no_grad():
        return [(batch, inferencer.model.test_step(batch)) for batch in loader]


def clip_of(ann, rows=slice(None)):
    return dict(keypoint=ann['keypoint'][:, rows], keypoint_score=ann['keypoint_score'][:, rows],
                img_shape=ann['img_shape'])


# ------------------------------------------------------------------------------------ tasks
@pytest.mark.parametrize(('kind', 'tasks'), [
    ('action', ('action', 'features')), ('one_shot', ('one_shot', 'features')),
    ('jigsaw', ('anomaly', 'features')), ('anomaly', ('anomaly', 'features')),
    ('dved', ('tokens', 'reconstruct')), ('kmeans', ('tokens', 'reconstruct')),
    ('pretrain', ('features', 'tokens'))])
def test_inferencer_knows_tasks_of_a_model(inferencer, kind, tasks):
    model = inferencer(kind)
    assert model.tasks == tasks
    others = {'action', 'one_shot', 'anomaly', 'tokens', 'reconstruct', 'features'} - {*tasks}
    for task in others:
        with pytest.raises(ValueError, match=f'found {task!r}.*{" and ".join(tasks)} only'):
            model.iter(np.ones((4, 17, 3)), task)
        with pytest.raises(ValueError, match=f'found {task!r}'):
            model.predict_clips([], task)


def test_inferencer_knows_tasks_of_a_foreign_head(tiny):

    @MODELS.register_module(force=True)
    class HowStill(torch.nn.Module):

        def predict(self, features, data_samples):
            for sample, pooled in zip(data_samples, features.pooled, strict=True):
                sample.normality = pooled[0].sigmoid()
            return data_samples

    cfg, _ = tiny('anomaly')
    cfg.model.cls_head = dict(type='HowStill')
    assert MotionInferencer(cfg, device='cpu').tasks == ('anomaly', 'features')


def test_inferencer_refuses_model_without_task(tiny, monkeypatch):
    cfg, _ = tiny('dved')
    monkeypatch.setattr('mofm.models.tokenizers.base.MotionTokenizer.predict',
                        lambda self, inputs, samples: samples)
    with pytest.raises(ValueError, match='DVEDTokenizer: found a model without known output'):
        MotionInferencer(cfg, device='cpu')


def test_inferencer_averages_clips_of_a_recording(tiny, motion):
    cfg, checkpoint = tiny('action')
    cfg.test_dataloader.dataset.pipeline[0].num_clips = 3
    action = MotionInferencer(cfg, checkpoint, device='cpu')
    scores, = action.predict_clips(motion[:1])
    with torch.no_grad():
        sample, = action.model.test_step(motion_collate([action.task().pipeline(dict(motion[0]))]))
    np.testing.assert_array_equal(scores['scores'], sample.pred_score)


def test_features_are_those_of_the_clip_without_its_mirror_image(tiny, motion):
    cfg, checkpoint = tiny('action')
    plain = MotionInferencer(cfg, checkpoint, device='cpu').predict_clips(motion[:2], 'features')
    cfg.test_dataloader.dataset.pipeline.insert(2, dict(type='PoseMirror'))
    mirrored = MotionInferencer(cfg, checkpoint, device='cpu').predict_clips(
        motion[:2], 'features')
    for expected, found in zip(plain, mirrored, strict=True):
        for name in ('pooled', 'tokens', 'encoded'):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_predict_clips_equals_the_model(inferencer, motion):
    clips = [clip_of(ann, slice(n)) for ann, n in zip(motion[:3], (1, 5, 20), strict=True)]
    dved = inferencer('dved', batch_size=2)
    tokens = dved.predict_clips(clips, 'tokens')
    rebuilt = dved.predict_clips(clips, 'reconstruct')
    pretrain = inferencer('pretrain').predict_clips(clips, 'tokens')
    for clip, token, image, taught in zip(clips, tokens, rebuilt, pretrain, strict=True):
        inputs, _ = dved.task().prepare([clip])
        ids = dved.model.encode(inputs)
        np.testing.assert_array_equal(token['tokens'], ids[0])
        np.testing.assert_array_equal(taught['tokens'], ids[0])  # the teacher is this tokenizer
        np.testing.assert_array_equal(token['occupied'], inputs.occupied()[0])
        np.testing.assert_array_equal(taught['occupied'], inputs.occupied()[0])
        np.testing.assert_allclose(image['heat'], inputs.union()[0])
        np.testing.assert_allclose(image['reconstruction'],
                                   dved.model.decode(ids)[0].detach(), atol=1e-5)
    assert np.unique([t['tokens'] for t in tokens]).size > 1

    action = inferencer('action')
    features = action.predict_clips(clips, 'features')
    scores = action.predict_clips(clips)
    head = action.model.cls_head.fc
    for feature, score in zip(features, scores, strict=True):
        mean = feature['tokens'][feature['encoded']].mean(0)
        np.testing.assert_allclose(feature['pooled'], mean, rtol=1e-4, atol=1e-5)
        logits = head(torch.from_numpy(mean)).detach()
        np.testing.assert_allclose(score['scores'], logits.softmax(0), rtol=1e-3)
    normality = inferencer('anomaly').predict_clips(clips)[0]['normality']
    assert normality.shape == ()
    assert 0 <= normality <= 1
    embedding = inferencer('one_shot').predict_clips(clips)[0]['embedding']
    np.testing.assert_allclose(np.linalg.norm(embedding), 1, rtol=1e-5)


def test_inferencer_names_model_that_gives_nan(inferencer, motion):
    action = inferencer('action')
    action.model.cls_head.fc.weight.data[0] = np.nan
    with pytest.raises(ValueError, match='scores: found NaN.*check the checkpoint'):
        action(motion[0], **QUIET)


# ------------------------------------------------------------------------- as in the test
def test_action_inferencer_equals_test(inferencer, motion):
    action = inferencer('action', batch_size=4)
    dataset = SyntheticMotion(10, seed=3, actions=('walk', 'wave', 'squat'), num_frames=(20, 50),
                              pipeline=action.model.cfg.test_dataloader.dataset.pipeline,
                              test_mode=True)
    samples = [s for _, part in samples_of_a_test(action, dataset, 4) for s in part]
    results = action(motion, **QUIET)
    assert [r.name for r in results] == [ann['frame_dir'] for ann in motion]
    for ann, result, sample in zip(motion, results, samples, strict=True):
        np.testing.assert_array_equal(result.scores[0], sample.pred_score)
        assert result.top()[0][0] == ('walk', 'wave', 'squat')[sample.pred_label]
        assert result.frames.tolist() == [[0, ann['total_frames'] - 1]]
        assert [name for name, _ in result.top(2)] == [
            result.classes[i] for i in sample.pred_score.argsort(descending=True)[:2]]


@pytest.mark.parametrize('kind', ['jigsaw', 'anomaly'])
def test_anomaly_inferencer_equals_test(inferencer, tracks, tmp_path, kind):
    anomaly = inferencer(kind, batch_size=8)
    config = dict(anomaly.model.cfg.test_dataloader.dataset, ann_file=str(tracks))
    dataset = DATASETS.build(config)
    data = load_annotations(tracks)
    metric = dict(type='FrameAUC', smoothing=(1, 2))
    gt = dict(type='annotations', abnormal_labels=(4, ))
    metric_of_all = METRICS.build(dict(metric, gt=dict(gt, path=str(tracks)),
                                       out_dir=str(tmp_path / 'all')))
    expected = {}
    for batch, samples in samples_of_a_test(anomaly, dataset, 8):
        metric_of_all.process(batch, [s.to_dict() for s in samples])
        for s in samples:
            expected.setdefault(s.clip, []).append((s.frame, s.track_id, s.normality.item()))

    results = anomaly(tracks, **QUIET)
    assert {r.name for r in results} == expected.keys()
    assert len(results) == 4
    for result in results:
        found = sorted(zip(result.frame.tolist(), result.person.tolist(),
                           result.normality.tolist(), strict=True))
        assert [f[:2] for f in found] == [e[:2] for e in sorted(expected[result.name])]
        np.testing.assert_allclose([f[2] for f in found],
                                   [e[2] for e in sorted(expected[result.name])], rtol=1e-5)
        # the metric of this video alone, as other videos lend it their highest score
        anns = [a for a in data['annotations'] if a.get('clip', a['frame_dir']) == result.name]
        path = tmp_path / 'one.pkl'
        dump_annotations(dict(split={}, annotations=anns), path)
        alone = METRICS.build(dict(metric, gt=dict(gt, path=str(path)),
                                   out_dir=str(tmp_path / 'out')))
        alone.results = [r for r in metric_of_all.results if r[0] == result.name]
        alone.compute_metrics(alone.results)
        with np.load(tmp_path / 'out/scores.npz') as scores:
            np.testing.assert_allclose(result.score, scores[f'{result.name}/score'], rtol=1e-5)
            np.testing.assert_allclose(result.smoothed, scores[f'{result.name}/smoothed'],
                                       rtol=1e-5)
        persons = result.per_person()
        lowest = np.fmin.reduce(list(persons.values()))
        seen = ~np.isnan(lowest)
        np.testing.assert_array_equal(lowest[seen], result.score[seen])
        assert (result.score[~seen] == result.normality.max()).all()


def test_anomaly_inferencer_takes_whole_clips(inferencer, motion):
    model = inferencer('clip_jigsaw', batch_size=1)
    for ann, result in zip(motion[:3], model(motion[:3], **QUIET), strict=True):
        normality = model.predict_clips([clip_of(ann)])[0]['normality']
        np.testing.assert_array_equal(result.normality, [normality])
        assert result.frames.tolist() == [[0, ann['total_frames'] - 1]]


def test_anomaly_inferencer_window_takes_short_tracks(inferencer, motion):
    anomaly = inferencer('anomaly')
    ann = clip_of(motion[0], slice(9))
    with pytest.raises(AnnotationError, match='long enough.*the longest has 9 frames'):
        anomaly(ann, **QUIET)
    result, = anomaly(ann, window=16, **QUIET)
    assert result.frames.tolist() == [[0, 8]]
    assert result.frame.tolist() == [4]


# ------------------------------------------------------------------------ windows and batches
@given(total=st.integers(1, 60), window=st.none() | st.integers(1, 40), data=st.data())
def test_windows_cover_every_frame(total, window, data):
    stride = data.draw(st.none() | st.integers(1, window or 40))
    ann = dict(frame_dir='a', img_shape=(9, 9), total_frames=total,
               keypoint=np.ones((2, total, 17, 2)), keypoint_score=np.ones((2, total, 17)),
               frame_inds=np.arange(total) + 5)
    windows = ClipWindows(ann, window, stride)
    covered = np.zeros(total + 5, int)
    for first, last in windows.frames:
        covered[first:last + 1] += 1
        assert last - first + 1 == min(window or total, total)
    assert covered[5:].min() >= 1
    assert not covered[:5].any()
    if window and stride and total > window:
        assert len(windows) == -(-(total - window) // stride) + 1


def test_windows_hold_their_frames_and_skip_empty_ones(motion):
    ann = dict(motion[0], keypoint_score=motion[0]['keypoint_score'].copy())
    ann['keypoint_score'][:, 4:9] = 0
    windows = ClipWindows(ann, 3, 1)
    assert windows.frames[:, 0].tolist() == [0, 1, 2, 3, *range(7, ann['total_frames'] - 2)]
    info = windows.get_data_info(4)
    np.testing.assert_array_equal(info['keypoint'], ann['keypoint'][:, 7:10])
    assert info['total_frames'] == 3


def test_inferencer_renders_long_recording_in_batches(inferencer):
    anomaly = inferencer('jigsaw', batch_size=16)
    sizes = []
    anomaly.model.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(len(args[0] if args else kwargs['inputs'])),
        with_kwargs=True)
    array = np.zeros((100_000, 17, 3), np.float32)
    array[..., :2] = np.random.default_rng(0).uniform(10, 90, (1, 17, 2))
    array[..., 0] += 20 * np.sin(np.arange(100_000) / 9)[:, None]
    array[..., 2] = 1
    result, = anomaly(array, stride=1000, **QUIET)
    assert max(sizes) == 16
    assert sum(sizes) == 100 == len(result.normality)
    assert result.score.shape == (100_000, )
    del sizes[:]
    result, = anomaly(array, 'features', window=32, stride=2000, per_token=False, **QUIET)
    assert max(sizes) == 16
    assert sum(sizes) == 51 == len(result.pooled)
    assert result.tokens is None
    assert result.frames[-1].tolist() == [99_968, 99_999]


def test_inferencer_reads_recordings_lazily(inferencer, motion, monkeypatch):
    action = inferencer('action', batch_size=2)
    read = []
    convert_one = RecordingMaker.make
    monkeypatch.setattr(RecordingMaker, 'make',
                        lambda self, *args: read.append(1) or convert_one(self, *args))
    results = action.iter(iter(motion), **QUIET)
    assert next(results).name == motion[0]['frame_dir']
    assert len(read) == 2
    assert len(list(results)) == 9


def test_inferencer_progress_counts_windows(inferencer, motion, capsys):
    inferencer('action')(motion[0], window=10, stride=10)
    count = -(-motion[0]['total_frames'] // 10)
    assert f'action: {count} windows' in capsys.readouterr().err


# ---------------------------------------------------------------------------- frame rates
def test_inferencer_at_other_frame_rate_gives_the_same(inferencer, motion):
    action, anomaly = inferencer('action', batch_size=1), inferencer('anomaly')
    ann = motion[1]
    doubled = resample(ann, 2)
    del doubled['frame_inds']
    expected, = action(ann, **QUIET)
    found, = action(doubled, fps=60, model_fps=30, **QUIET)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert found.fps == 60
    assert found.frames.tolist() == [[0, 2 * ann['total_frames'] - 2]]
    expected, = anomaly(ann, **QUIET)
    found, = anomaly(doubled, fps=60, model_fps=30, **QUIET)
    np.testing.assert_allclose(found.normality, expected.normality, atol=1e-5)
    assert found.frame.tolist() == (2 * expected.frame).tolist()
    for name in ('score', 'smoothed'):  # of the next frame at the rate of the model
        nearest = np.round(np.arange(2 * ann['total_frames'] - 1) / 2).astype(int)
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name)[nearest],
                                   atol=1e-5)


@pytest.mark.parametrize('fps', [0, -30, float('nan'), float('inf')])
@pytest.mark.parametrize('name', ['fps', 'model_fps'])
def test_inferencer_names_impossible_frame_rates(inferencer, motion, name, fps):
    with pytest.raises(ValueError, match=f'{name}: found .*expected a positive number'):
        inferencer('action').iter(motion[0], **{'fps': 30, 'model_fps': 30, name: fps})


def test_inferencer_model_fps_needs_fps_of_input(inferencer, motion):
    with pytest.raises(ValueError, match='fps: found nothing, expected the frame rate'):
        inferencer('action')(motion[0], model_fps=30, **QUIET)


# -------------------------------------------------------------------------------- inputs
def read(inputs, **options):
    reader = RecordingReader(RecordingOptions(**options))
    found = list(reader.read(inputs))
    assert not reader.problems
    return found


def test_inferencer_takes_arrays_and_partial_annotations(motion):
    ann = motion[0]
    array = np.concatenate([ann['keypoint'], ann['keypoint_score'][..., None]], -1)  # (1, T, V, 3)
    pair = np.concatenate([array, array])
    found = read([ann, array, array[0], pair, dict(keypoint=ann['keypoint'])])
    for recording in found:
        np.testing.assert_array_equal(recording.ann['keypoint'][0], ann['keypoint'][0])
    assert [len(r.ann['keypoint']) for r in found] == [1, 1, 1, 2, 1]
    np.testing.assert_array_equal(found[3].ann['keypoint_score'][1], ann['keypoint_score'][0])
    assert found[0].ann['img_shape'] == ann['img_shape']
    x, y = ann['keypoint'].reshape(-1, 2).max(0)
    assert found[1].ann['img_shape'] == (np.ceil(y), np.ceil(x))
    assert read(array, img_shape=(480, 640))[0].ann['img_shape'] == (480, 640)


@pytest.mark.parametrize('suffix', ['.pkl', '.json', '.npz', '.arrow'])
def test_inferencer_takes_annotation_files_and_splits(motion, tmp_path, suffix):
    if suffix == '.arrow':
        pytest.importorskip('pyarrow')
    path = tmp_path / f'motion{suffix}'
    anns = [{key: ann[key] for key in ('frame_dir', 'label', 'img_shape', 'total_frames',
                                       'keypoint', 'keypoint_score')} for ann in motion]
    dump_annotations(dict(annotations=anns, split=dict(
        test=[ann['frame_dir'] for ann in motion[2:5]])), path)
    assert [r.name for r in read(path)] == [ann['frame_dir'] for ann in motion]
    found = read(str(path), split='test')
    dataset = MotionDataset(str(path), split='test', test_mode=True)
    assert len(found) == 3
    for i, recording in enumerate(found):
        np.testing.assert_array_equal(recording.ann['keypoint'], dataset[i]['keypoint'])
    reader = RecordingReader(RecordingOptions(split='train'))
    assert not list(reader.read(path))
    assert "split: found 'train', expected one of ['test']" in str(reader.problems[0])


def pose_files(array, folder):
    """Paths of one video of M persons (T, M, 17, 3) as three programs write it."""
    instances = [[dict(keypoints=p[:, :2].tolist(), keypoint_scores=p[:, 2].tolist())
                  for p in frame] for frame in array]
    (folder / 'mmpose').mkdir()
    mmpose = folder / 'mmpose/walk.json'
    mmpose.write_text(json.dumps([dict(frame_id=t, instances=f)
                                  for t, f in enumerate(instances)]))
    alphapose = folder / 'alphapose-results.json'
    alphapose.write_text(json.dumps([
        dict(image_id=f'{t}.jpg', category_id=1, keypoints=p.ravel().tolist(), score=1, idx=m + 1)
        for t, frame in enumerate(array) for m, p in enumerate(frame)]))
    body = np.zeros((*array.shape[:2], 25, 3))
    for i, joint in enumerate(LAYOUTS['body25'].joints):
        if joint in LAYOUTS['coco17'].joints:
            body[:, :, i] = array[:, :, LAYOUTS['coco17'].joints.index(joint)]
    (folder / 'openpose').mkdir()
    for t, frame in enumerate(body):
        (folder / f'openpose/walk_{t:012d}_keypoints.json').write_text(json.dumps(dict(
            version=1.3, people=[dict(person_id=[-1], pose_keypoints_2d=p.ravel().tolist())
                                 for p in frame])))
    return [mmpose, mmpose.parent, alphapose, folder / 'openpose']


def test_inferencer_takes_pose_files(tmp_path):
    rng = np.random.default_rng(0)
    array = rng.uniform(10, 80, (6, 2, 17, 3)).round()
    array[..., :2] = array[:1, ..., :2]
    array[:, 1, :, 0] += 300
    array[:, 0, :, 2] = .75  # the best comes first
    array[:, 1, :, 2] = .5
    for path in pose_files(array, tmp_path):
        recording, = read(path)
        np.testing.assert_allclose(recording.ann['keypoint'].swapaxes(0, 1), array[..., :2])
        np.testing.assert_allclose(recording.ann['keypoint_score'].swapaxes(0, 1), array[..., 2])


def test_inferencer_takes_array_files_and_folders(motion, tmp_path):
    arrays = [np.concatenate([a['keypoint'], a['keypoint_score'][..., None]], -1)
              for a in motion[:3]]
    np.save(tmp_path / 'walk.npy', arrays[0][0])
    np.savez(tmp_path / 'more.npz', b=arrays[1], c=arrays[2])
    found = {r.name: r.ann['keypoint'] for r in read(tmp_path)}
    assert found.keys() == {'walk', 'more/b', 'more/c'}
    np.testing.assert_array_equal(found['more/c'], motion[2]['keypoint'])


def test_inferencer_converts_layouts(inferencer, motion):
    rng = np.random.default_rng(0)
    array = rng.uniform(5, 90, (20, 25, 3)).astype(np.float32)
    keypoint, score = convert(array[None, ..., :2], array[None, ..., 2], 'body25')
    action = inferencer('action')
    found, = action(array, layout='body25', **QUIET)
    expected, = action(dict(keypoint=keypoint, keypoint_score=score), **QUIET)
    np.testing.assert_array_equal(found.scores, expected.scores)
    with pytest.raises(ValueError, match="25 joints, expected the 17 of layout 'coco17'.*body25"):
        action(array, **QUIET)
    with pytest.raises(ValueError, match="unknown joint layout 'coco71'.*'coco17'"):
        action(array, layout='coco71', **QUIET)


# -------------------------------------------------------------------------------- videos
class Extractor:
    """Finds the same standing person in every frame."""

    meta = dict(dataset_name='coco')

    def __init__(self, persons=1):
        self.persons = persons

    def extract(self, frames, boxes=None):
        points = np.linspace(5, 40, 34, dtype=np.float32).reshape(1, 17, 2)[:self.persons]
        for _ in frames:
            yield dict(keypoints=points, keypoint_scores=np.ones(points.shape[:2]),
                       bboxes=np.tile((0., 0, 9, 9), (len(points), 1)),
                       bbox_scores=np.full(len(points), .9))


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'walk.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 48))
    for _ in range(20):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return path


def test_inferencer_takes_frame_rate_of_video(inferencer, video, capsys):
    action = inferencer('action')
    result, = action(video, pose_extractor=Extractor(), model_fps=30)
    assert (result.name, result.fps, result.frames.tolist()) == ('walk.mp4', 10, [[0, 19]])
    assert re.search(r'walk.mp4: .* 20/20 ', capsys.readouterr().err)
    expected, = action(np.tile(np.dstack([np.linspace(5, 40, 34).reshape(1, 17, 2),
                                          np.ones((1, 17))]), (20, 1, 1)), **QUIET)
    np.testing.assert_allclose(result.scores, expected.scores, atol=.02)  # 2 decimals of pixels


def test_inferencer_names_bad_videos(inferencer, video, tmp_path):
    action = inferencer('action')
    (tmp_path / 'empty.mp4').write_bytes(b'')
    with pytest.raises(AnnotationError, match='empty.mp4: video: found no frame'):
        action(tmp_path / 'empty.mp4', pose_extractor=Extractor(), **QUIET)
    with pytest.raises(AnnotationError, match='walk.mp4: keypoint: found no person in 20 frames'):
        action(video, pose_extractor=Extractor(0), **QUIET)
    results = action(tmp_path, pose_extractor=Extractor(), **QUIET)
    assert [result.name for result in results] == ['walk.mp4']
    assert 'empty.mp4' in str(results.problems[0])


def test_inferencer_names_what_to_install_for_video(inferencer, video, monkeypatch):
    for library in ('mediapipe', 'mmpose'):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match='no pose estimator is installed.*or give poses'):
        inferencer('action')(video, **QUIET)
    with pytest.raises(ValueError, match="pose estimator: found 'openpose'"):
        inferencer('action')(video, pose_extractor='openpose', **QUIET)


# ----------------------------------------------------------------------------- bad input
def array(**changes):
    return dict(dict(keypoint=np.full((1, 4, 17, 2), 5.)), **changes)


def far(value):
    keypoint = np.full((1, 4, 17, 2), 5.)
    keypoint[0, 2, 3, 0] = value
    return array(keypoint=keypoint, img_shape=(50, 100))


BAD = {
    'no_person': (array(keypoint=np.zeros((1, 4, 17, 2))), 'found no person in 4 frames'),
    'nobody': (array(keypoint=np.zeros((0, 4, 17, 2))), 'found no person in 4 frames'),
    'all_nan': (np.full((4, 17, 3), np.nan), 'found no person'),
    'no_frames': (np.zeros((0, 17, 3)), 'total_frames: found 0, expected at least one'),
    'order': (array(frame_inds=np.array([0, 2, 1, 3])), 'frame_inds: found .*unsorted'),
    'time_stamps': (array(frame_inds=np.arange(4) + 10**8), 'frame_inds: found .*too large'),
    'two_axes': (np.ones((4, 17)), r'array: found float64 of shape \(4, 17\).*\(T, V, C\)'),
    'flat': (np.ones((4, 34)), r'array: found float64 of shape \(4, 34\).*reshape\(4, 17, 2\)'),
    'four_values': (np.ones((4, 17, 4)), r'array: found float64 of shape \(4, 17, 4\)'),
    'unit': (np.full((4, 17, 2), .7), 'img_shape: found nothing, and coordinates from 0.7 to 0.7'),
    'texts': (np.full((4, 17, 3), 'a'), 'array: found <U1'),
    'joints': (np.ones((4, 18, 3)), "18 joints.*of layout 'coco17'.*coco18"),
    'scores': (array(keypoint_score=np.ones((1, 4, 16))),
               r'keypoint_score: found float64 of shape \(1, 4, 16\), .* \(1, 4, 17\)'),
    'score_list': (array(keypoint_score=[[[1.] * 17] * 4, [1]]),
                   'keypoint_score: found list .ValueError'),
    'objects': (array(keypoint=np.full((1, 4, 17, 2), None)), 'keypoint: found object'),
    'complex': (array(keypoint=np.ones((1, 4, 17, 2), complex)), 'keypoint: found complex128'),
    'meta_tensor': (torch.ones(4, 17, 3, device='meta'), 'array: found Tensor .NotImplemented'),
    'complex_tensor': (torch.ones(4, 17, 3) * 1j, 'array: found complex64'),
    'far': (far(1e30), r'keypoint: found 1e\+30 at person 0, frame 2, joint 3 .*within 1000, 10'),
    'far_without_size': (far(1e30)['keypoint'][0, ..., [0, 1, 1]].transpose(1, 2, 0),
                         r'keypoint: found 1e\+30 at person 0, frame 2, joint 3 .*65504'),
    'infinite': (far(np.inf), 'keypoint: found inf at person 0, frame 2, joint 3'),
    'infinite_score': (array(keypoint_score=np.full((1, 4, 17), np.inf)), 'score: found inf at'),
    'name': (array(frame_dir=[1]), r'frame_dir: found \[1\], expected a string'),
    'name_surrogate': (array(frame_dir='\udcff'), r"frame_dir: found '\\udcff', expected"),
    'image': (array(img_shape=(0, 5)), r'img_shape: found \(0, 5\)'),
    'no_keypoint': (dict(label=1), 'keypoint: found NoneType, expected numbers of'),
    'kind': (17, 'input: found int, expected an annotation, an array or a path'),
    'no_file': ('nowhere.pkl', 'nowhere.pkl: file: found no such file or folder'),
}


@pytest.mark.parametrize('case', BAD)
def test_inferencer_raises_for_one_bad_input(inferencer, case):
    value, message = BAD[case]
    with pytest.raises(AnnotationError, match=message):
        inferencer('action')(value, **QUIET)


def test_inferencer_keeps_good_inputs_of_a_list(inferencer, motion, caplog):
    action = inferencer('action', batch_size=3)
    mixed = [motion[0], *(value for value, _ in BAD.values()), motion[1]]
    with caplog.at_level(logging.WARNING):
        results = action(mixed, **QUIET)
    assert [r.name for r in results] == [motion[0]['frame_dir'], motion[1]['frame_dir']]
    assert len(results.problems) == len(BAD)
    assert [p.index for p in results.problems[:-1]] == list(range(1, len(BAD)))
    with pytest.raises(AnnotationError, match=f'none of {len(BAD)} recordings can be used'):
        action([value for value, _ in BAD.values()], **QUIET)
    assert action(motion[0], **QUIET).problems == []


def test_iter_reports_problems_of_recordings_read_so_far(inferencer, motion):
    found = inferencer('action', batch_size=1).iter([17, motion[0], 18, motion[1]], **QUIET)
    assert found.problems == []
    next(found)
    assert [p.index for p in found.problems] == [0]
    next(found)
    assert [p.index for p in found.problems] == [0, 2]


@pytest.mark.parametrize(('kind', 'task'), [('action', 'action'), ('jigsaw', 'anomaly'),
                                            ('pretrain', 'tokens')])
def test_threads_that_share_an_inferencer_get_results_and_problems_of_serial_calls(
        inferencer, motion, kind, task):
    """Clips of any length, as the sampling of each length takes other random numbers."""
    model = inferencer(kind)
    rng = np.random.default_rng(0)
    calls = [[rng.uniform(1, 99, (int(frames), 17, 3)) for frames in rng.integers(49, 140, 4)]
             + [17 + i] * i for i in range(12)]
    for call in calls:
        rng.shuffle(call)

    def outcome(inputs, model=model):
        found = model(inputs, task, stride=60, **QUIET)
        return [result.to_dict() for result in found], [str(p) for p in found.problems]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(outcome, 2 * calls))
    assert together == 2 * [outcome(call, inferencer(kind)) for call in calls]
    assert [len(problems) for _, problems in together[:12]] == list(range(12))


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('a.json', '{"a": [1]}', r"format: found a JSON object with \['a'\], expected files that"),
    ('a.json', '[{"image_id": "1.jpg", "keypoints": [1, 2]}]', 'keypoints: found'),
    ('a.json', '{"annotations": []}', 'found no annotations'),
    ('a.npy', 'nothing', 'arrays in the .npy or .npz format'),
    ('a.npz', 'nothing', 'arrays in the .npy or .npz format'),
    ('a.pkl', 'nothing', 'cannot be read'),
    ('a.txt', 'nothing', "format: found text 'nothing', expected")])
def test_inferencer_names_bad_files(inferencer, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(AnnotationError, match=message):
        inferencer('action')(tmp_path / name, **QUIET)


def test_inferencer_does_not_unpickle_arrays_of_objects(inferencer, tmp_path):
    np.save(tmp_path / 'a.npy', np.array([{}], object))
    with pytest.raises(AnnotationError, match='without objects'):
        inferencer('action')(tmp_path / 'a.npy', **QUIET)


def test_inferencer_names_empty_lists_and_folders(inferencer, tmp_path):
    with pytest.raises(ValueError, match='found no recording'):
        inferencer('action')([], **QUIET)
    with pytest.raises(ValueError, match='format: found no file'):
        inferencer('action')(tmp_path, **QUIET)


def test_inferencer_takes_nan_as_missing(inferencer, motion):
    action = inferencer('action')
    missing, nan = clip_of(motion[0]), clip_of(motion[0])
    missing = {k: v.copy() if k != 'img_shape' else v for k, v in missing.items()}
    missing['keypoint_score'][:, 3:9, 4] = 0
    nan = {k: v.copy() if k != 'img_shape' else v for k, v in nan.items()}
    nan['keypoint'][:, 3:6, 4, 1] = np.nan
    nan['keypoint_score'][:, 6:9, 4] = np.nan
    first, second = action([missing, nan], **QUIET)
    np.testing.assert_array_equal(first.scores, second.scores)


def frozen(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize('kind', [
    np.ndarray.tolist, frozen, lambda a: a.astype('>f4'), lambda a: a.astype(np.longdouble),
    lambda a: np.repeat(a, 2, -1)[..., ::2], lambda a: a.astype(np.uint16), np.asfortranarray,
    lambda a: a.astype(int), torch.from_numpy, lambda a: torch.tensor(a, requires_grad=True),
    lambda a: torch.tensor(a, dtype=torch.bfloat16), lambda a: np.ma.masked_array(a, False),
    lambda a: a.astype(np.float16)])
def test_inferencer_takes_arrays_of_any_kind(inferencer, kind):
    """Whole numbers below 256, which all kinds represent."""
    action = inferencer('action')
    points = np.random.default_rng(0).integers(1, 256, (1, 60, 17, 2)).astype(np.float32)
    score = np.ones(points.shape[:3], np.float32)
    expected, = action(dict(keypoint=points, keypoint_score=score), **QUIET)
    for ann in (dict(keypoint=kind(points.copy()), keypoint_score=kind(score.copy())),
                kind(np.concatenate([points, score[..., None]], -1))):
        if not isinstance(ann, list):  # a list is one of recordings
            result, = action(ann, **QUIET)
            np.testing.assert_allclose(result.scores, expected.scores, atol=1e-6)


def test_inferencer_takes_masked_joints_as_missing(inferencer, motion):
    action = inferencer('action')
    keypoint, score = motion[0]['keypoint'].copy(), motion[0]['keypoint_score'].copy()
    mask = np.zeros(keypoint.shape, bool)
    mask[:, 3:9, 4, 1] = True
    score[:, 3:9, 4] = 0
    masked = np.ma.masked_array(np.where(mask, 7e9, keypoint), mask)
    first, second = action([dict(keypoint=keypoint, keypoint_score=score, img_shape=(1080, 1920)),
                            dict(keypoint=masked, img_shape=(1080, 1920),
                                 keypoint_score=motion[0]['keypoint_score'])], **QUIET)
    np.testing.assert_array_equal(first.scores, second.scores)


@pytest.mark.parametrize('option', ['window', 'stride', 'top_k'])
@pytest.mark.parametrize('value', [0, -1, 2.5])
def test_inferencer_names_sizes_that_are_no_counts(inferencer, motion, option, value):
    with pytest.raises(ValueError, match=f'{option}: found {value}, expected an integer'):
        inferencer('action').iter(motion[0], **{option: value})


def test_inferencer_refuses_unknown_option(inferencer, motion):
    with pytest.raises(TypeError, match='fbs: found an unknown option, expected one of fps, .*'
                       'window, stride, cut_long, top_k'):
        inferencer('action').iter(motion[0], fbs=30)
    with pytest.raises(TypeError, match='top_k: found an unknown option, .* per_token'):
        inferencer('action').iter(motion[0], 'features', top_k=3)


def test_inferencer_names_stride_that_misses_everybody(inferencer, motion):
    array = np.zeros((60, 17, 3))
    array[5:8] = np.random.default_rng(0).uniform(10, 99, (3, 17, 3))
    with pytest.raises(ValueError, match='no person in any of 3.*smaller stride than 30'):
        inferencer('action')(array, window=4, stride=30, **QUIET)


def test_inferencer_names_config_without_test(tiny):
    cfg, checkpoint = tiny('action')
    cfg.pop('test_dataloader')
    with pytest.raises(ValueError, match='no test_dataloader.dataset.pipeline'):
        MotionInferencer(cfg, checkpoint)
    with pytest.raises(ValueError, match='batch_size: found 0'):
        MotionInferencer(*tiny('action'), batch_size=0)


def test_inferencer_refuses_checkpoint_of_another_model(tiny):
    with pytest.raises(ValueError, match='does not fit MotionRecognizer'):
        MotionInferencer(tiny('action')[0], tiny('one_shot')[1])


# ------------------------------------------------------------------------------- results
@pytest.mark.parametrize(('kind', 'task'), [
    ('action', None), ('anomaly', None), ('action', 'features'), ('dved', 'tokens'),
    ('dved', 'reconstruct')])
def test_inferencer_results_are_written(inferencer, motion, tmp_path, kind, task):
    init_default_scope('mofm')
    result = inferencer(kind)(motion[0], task, fps=30, window=16, **QUIET)[0]
    result.save(tmp_path / 'new/a.json')
    result.save(tmp_path / 'a.npz')
    read_back = json.loads((tmp_path / 'new/a.json').read_text())
    assert (read_back['task'], read_back['fps']) == (task or kind, 30)
    with np.load(tmp_path / 'a.npz', allow_pickle=False) as arrays:
        assert str(arrays['task']) == (task or kind)
        assert str(arrays['name']) == result.name
        values = {name: value for name, value in vars(result).items()
                  if not name.startswith('pose')}
        assert 'poses' not in read_back
        assert 'poses' not in arrays
        for name, value in values.items():
            np.testing.assert_array_equal(arrays[name], value)
            if isinstance(value, np.ndarray):
                np.testing.assert_allclose(read_back[name], value)
    with pytest.raises(ValueError, match="found suffix '.pkl', expected '.json' or '.npz'"):
        result.save(tmp_path / 'a.pkl')


def test_inferencer_result_keeps_its_poses(inferencer, motion):
    """What the result is about, for pictures."""
    result, = inferencer('anomaly')(motion[0], **QUIET)
    np.testing.assert_array_equal(result.poses[0]['keypoint'], motion[0]['keypoint'])


def test_action_result_top_averages_windows(inferencer, motion):
    result, = inferencer('action')(motion[0], window=10, stride=10, top_k=2, **QUIET)
    mean = dict(zip(result.classes, result.scores.mean(0).tolist(), strict=True))
    assert dict(result.top()).items() <= {k: pytest.approx(v) for k, v in mean.items()}.items()
    assert len(result.top()) == 2
    assert result.top()[0][1] == pytest.approx(max(mean.values()))
    assert result.top(1, window=1)[0][0] == result.classes[result.scores[1].argmax()]
    assert result.to_dict()['top'] == [list(pair) for pair in result.top()]
