"""The interface of pose estimators with a fake one, and the networks behind it where installed."""

import json
import sys
import zipfile

import cv2
import numpy as np
import pytest

from mofm.annotations import AnnotationError, load_annotations
from mofm.cli import extract as command
from mofm.keypoints.tracking import oks
from mofm.pose_estimation import (
    PoseEstimator,
    PoseExtractor,
    Video,
    build_estimator,
    choose_estimator,
    estimator,
    pose_extractor,
    whole_frame,
)
from mofm.pose_estimation.mediapipe import _tiles
from mofm.registry import POSE_ESTIMATORS

PLUGIN = """
import numpy as np
from mofm.pose_estimation import PoseEstimator
from mofm.registry import POSE_ESTIMATORS

@POSE_ESTIMATORS.register_module('fixed_pose', force=True)
class FixedPose(PoseEstimator):
    def __init__(self, shift=0, **settings):
        super().__init__(**settings)
        self.shift = shift

    def estimate(self, image, boxes=None):
        boxes = [[0, 0, 0, 0]] if boxes is None else boxes
        points = np.linspace(5, 40, 34).reshape(17, 2) + self.shift
        return (np.reshape([points + box[:2] for box in boxes], (-1, 17, 2)),
                np.full((len(boxes), 17), .5))
"""


class Fake(PoseEstimator):
    """Returns what it was given."""

    def __init__(self, *result, **settings):
        super().__init__(**settings)
        self.result, self.seen = result, []

    def estimate(self, image, boxes=None):
        self.seen.append(boxes)
        return self.result


@pytest.fixture
def frames():
    return [np.zeros((48, 64, 3), np.uint8)] * 3


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    path = tmp_path / 'fixed_pose_plugin.py'
    path.write_text(PLUGIN)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    yield path
    POSE_ESTIMATORS.module_dict.pop('fixed_pose', None)
    sys.modules.pop('fixed_pose_plugin', None)


@pytest.fixture(scope='session')
def sample(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('sample')
    with zipfile.ZipFile(real_data('images_and_video_sample.zip')) as archive:
        archive.extractall(folder)
    return folder


def write_video(path, frames=4):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 48))
    for _ in range(frames):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return path


def test_estimator_yields_poses_with_boxes_around_joints_that_are_seen(frames):
    keypoint, score = np.zeros((2, 17, 2)), np.zeros((2, 17))
    keypoint[0, 3:5], score[0, 3:5] = [[10, 20], [30, 25]], [.5, 1.7]
    poses = list(Fake(keypoint, score).extract(frames))
    assert len(poses) == 3
    first = poses[0]
    assert first['keypoints'].shape == (1, 17, 2)  # the second pose has no joint
    np.testing.assert_array_equal(first['bboxes'], [[10, 20, 30, 25]])
    np.testing.assert_allclose(first['bbox_scores'], [1.5 / 17])
    assert {value.dtype for value in first.values()} == {np.dtype('float32')}


def test_estimator_without_persons_yields_empty_frames(frames):
    poses = list(Fake(np.zeros((0, 17, 2)), np.zeros((0, 17))).extract(frames))
    assert [len(value) for value in poses[2].values()] == [0, 0, 0, 0]


def test_estimator_receives_boxes_of_the_call_or_its_own(frames):
    result = np.ones((1, 17, 2)), np.ones((1, 17))
    fake = Fake(*result, boxes=whole_frame)
    list(fake.extract(frames, [np.zeros((0, 5)), [[1, 2, 3, 4]], [[1, 2, 3, 4, .5]]]))
    assert [box.tolist() for box in fake.seen] == [[], [[1, 2, 3, 4]], [[1, 2, 3, 4]]]
    next(fake.extract(frames))
    assert fake.seen[-1].tolist() == [[0, 0, 64, 48]]
    fake = Fake(*result)
    next(fake.extract(frames))
    assert fake.seen == [None]


@pytest.mark.parametrize(('keypoint', 'score', 'words'), [
    (np.ones((1, 33, 2)), np.ones((1, 33)), r'Fake: found keypoints \(1, 33, 2\)'),
    (np.ones((1, 17, 2)), np.ones((2, 17)), r'scores \(2, 17\), expected'),
    (np.full((1, 17, 2), np.nan), np.ones((1, 17)), 'NaN or infinite')])
def test_estimator_with_wrong_output_is_named(frames, keypoint, score, words):
    with pytest.raises(AnnotationError, match=words):
        next(Fake(keypoint, score).extract(frames))


def test_unknown_estimator_is_named():
    with pytest.raises(ValueError, match="found 'openpose', expected auto or one of .*mediapipe, "
                       'mmpose, movenet, rtmpose, ultralytics'):
        build_estimator('openpose')
    assert POSE_ESTIMATORS.get('mmpose') is PoseExtractor


@pytest.mark.parametrize(('ready', 'installed', 'name'), [
    (True, ('mediapipe', ), 'mmpose'), (False, ('mediapipe', 'mmpose', 'mmdet'), 'mediapipe'),
    (False, ('mmpose', 'mmdet'), 'mmpose')])
def test_default_is_mmpose_with_weights_then_mediapipe(
        monkeypatch, capsys, ready, installed, name):
    monkeypatch.setattr(pose_extractor, 'is_ready', lambda detector: ready)
    monkeypatch.setattr(estimator, 'find_spec', lambda library: library in installed or None)
    assert choose_estimator() == name
    assert capsys.readouterr().err == f'poses by {name}\n'


def test_default_without_any_library_names_the_command(monkeypatch):
    monkeypatch.setattr(pose_extractor, 'is_ready', lambda detector: False)
    for installed in ((), ('mmpose', )):  # without a detector
        monkeypatch.setattr(estimator, 'find_spec',
                            lambda library, known=installed: library in known or None)
        with pytest.raises(ImportError, match=r"pip install 'mofm\[video\]'.*docs/video.md"):
            choose_estimator()


@pytest.mark.parametrize(('name', 'words'), [
    ('mediapipe', r"pip install 'mofm\[video\]'"), ('movenet', 'pip install ai-edge-litert'),
    ('rtmpose', 'pip install rtmlib onnxruntime'), ('ultralytics', 'pip install ultralytics')])
def test_estimator_without_its_library_names_the_command(monkeypatch, name, words):
    monkeypatch.setattr(estimator, 'find_spec', lambda library: None)
    with pytest.raises(ImportError, match=words):
        build_estimator(name)


def test_own_estimator_works_in_extract_and_resumes(plugin, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'a.pkl'
    run = [str(write_video(tmp_path / 'walk.mp4')), '--out', str(out), '--plugin', str(plugin),
           '--estimator', 'fixed_pose']
    command.main([*run, '--estimator-options', 'shift=2'])
    ann, = load_annotations(out)['annotations']
    np.testing.assert_allclose(ann['keypoint'][0, :, 0], [[7, 5 + 35 / 33 + 2]] * 4, atol=.06)
    meta = json.loads((tmp_path / 'a_poses/walk.mp4.json').read_text())['meta_info']
    assert (meta['model'], meta['boxes'], meta['dataset']) == (
        'fixed_pose shift=2', 'fixed_pose', 'coco')
    capsys.readouterr()
    command.main([*run, '--estimator-options', 'shift=2'])
    assert '1 of them from an earlier run' in capsys.readouterr().out
    with pytest.raises(AnnotationError, match="model: found 'fixed_pose shift=2', expected "):
        command.main([*run, '--strict'])
    boxes = tmp_path / 'boxes.json'
    boxes.write_text('{"1": [[10, 0, 20, 20], [3, 3, 30, 30]]}')
    command.main([*run[:2], str(tmp_path / 'b.pkl'), *run[3:], '--boxes', str(boxes)])
    data = json.loads((tmp_path / 'b_poses/walk.mp4.json').read_text())
    assert [len(frame['instances']) for frame in data['instance_info']] == [0, 2, 0, 0]


def test_tiles_cover_the_image():
    assert _tiles(64, 64) == [(0, 0, 64, 64)]
    for height, width in ((425, 640), (1920, 1080), (100, 1000)):
        whole, *squares = _tiles(height, width)
        assert whole == (0, 0, width, height)
        covered = np.zeros((height, width), int)
        for x1, y1, x2, y2 in squares:
            assert x2 - x1 == y2 - y1 == min(height, width)
            covered[y1:y2, x1:x2] += 1
        assert covered.min() >= 1


# ------------------------------------------------------------------------------- the libraries
def truth(sample, name):
    """Keypoints (N, 17, 2), visibility and boxes of the persons of a COCO image."""
    coco = json.loads((sample / 'test_coco.json').read_text())
    image, = (info['id'] for info in coco['images'] if info['file_name'] == name)
    persons = [a for a in coco['annotations'] if a['image_id'] == image]
    points = np.reshape([a['keypoints'] for a in persons], (-1, 17, 3)).astype(float)
    boxes = np.array([a['bbox'] for a in persons])
    boxes[:, 2:] += boxes[:, :2]
    return points[..., :2], (points[..., 2] > 0).astype(float), boxes


def similarity(sample, name, poses):
    """Best OKS of every person."""
    points, visible, _ = truth(sample, name)
    return oks(points, visible, poses['keypoints'],
               np.ones(poses['keypoint_scores'].shape)).max(1, initial=0)


@pytest.fixture(scope='module')
def mediapipe():
    pytest.importorskip('mediapipe', reason="needs pip install 'mofm[video]'")
    return build_estimator('mediapipe')


def test_mediapipe_finds_persons_of_coco_images(mediapipe, sample):
    one, = mediapipe.extract([cv2.imread(str(sample / '000000000785.jpg'))])
    assert len(one['keypoints']) == 1
    assert similarity(sample, '000000000785.jpg', one).min() > .85
    image = cv2.imread(str(sample / '000000197388.jpg'))
    several, = mediapipe.extract([image])
    assert (similarity(sample, '000000197388.jpg', several) > .5).sum() >= 3  # of 5
    boxed, = mediapipe.extract([image], [truth(sample, '000000197388.jpg')[2]])
    assert similarity(sample, '000000197388.jpg', boxed).min() > .4  # all five


def test_mediapipe_finds_nobody_in_noise(mediapipe):
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    poses = list(mediapipe.extract([noise, np.zeros_like(noise)]))
    assert [len(p['keypoints']) for p in poses] == [0, 0]
    outside, = mediapipe.extract([noise], [[[500, 500, 600, 600]]])
    assert len(outside['keypoints']) == 0


def test_mediapipe_takes_a_task_file_and_names_another(mediapipe, tmp_path):
    (tmp_path / 'bad.task').write_bytes(b'no model')
    with pytest.raises(ValueError, match='bad.task: found .* expected a .task file'):
        build_estimator('mediapipe', str(tmp_path / 'bad.task'))
    with pytest.raises(FileNotFoundError, match='none.task: no such file'):
        build_estimator('mediapipe', 'none.task')


def test_mediapipe_sees_an_upright_video_as_it_is_shown(mediapipe, sample, tmp_path):
    """The person of an image, in a video that is stored turned, with a display matrix."""
    imageio_ffmpeg = pytest.importorskip('imageio_ffmpeg')
    import subprocess

    image = cv2.imread(str(sample / '000000000785.jpg'))[:424]
    writer = cv2.VideoWriter(str(tmp_path / 'a.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10,
                             (424, 640))
    writer.write(cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE))
    writer.release()
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-display_rotation', '-90',
                    '-i', tmp_path / 'a.mp4', '-c', 'copy', tmp_path / 'b.mp4'], check=True)
    video = Video(tmp_path / 'b.mp4')
    video.open()
    assert (video.width, video.height) == (640, 424)
    poses, = mediapipe.extract(video.frames())
    assert similarity(sample, '000000000785.jpg', poses).min() > .8


def test_rtmpose_decodes_the_outputs_of_an_onnx_file(frames, tmp_path):
    pytest.importorskip('rtmlib', reason='needs rtmlib')
    onnx = pytest.importorskip('onnx', reason="needs the extra 'export'", exc_type=ImportError)
    x, y = np.zeros((1, 17, 384), np.float32), np.zeros((1, 17, 512), np.float32)
    x[0, :, 96], y[0, :, 384] = .8, .9  # a quarter and three quarters of the input
    helper, dims = onnx.helper, (1, 3, 256, 192)
    nodes = [helper.make_node('Constant', [], [name], value=onnx.numpy_helper.from_array(value))
             for name, value in (('simcc_x', x), ('simcc_y', y))]
    outputs = [helper.make_tensor_value_info(name, 1, value.shape)
               for name, value in (('simcc_x', x), ('simcc_y', y))]
    graph = helper.make_graph(nodes, 'g', [helper.make_tensor_value_info('input', 1, dims)],
                              outputs)
    path = str(tmp_path / 'm.onnx')
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)],
                                ir_version=8), path)
    network = build_estimator('rtmpose', path)
    box = [10, 8, 40, 38]
    poses = list(network.extract(frames, [[box], np.zeros((0, 4)), [box, box]]))
    assert [len(p['keypoints']) for p in poses] == [1, 0, 2]
    # the box, 1.25 times as large, with the ratio 3 : 4 of the input
    width, height = 30 * 1.25, 30 * 1.25 / .75
    expected = [25 + width * (.25 - .5), 23 + height * (.75 - .5)]
    np.testing.assert_allclose(poses[0]['keypoints'][0], [expected] * 17, atol=.2)
    assert next(network.extract(frames))['keypoints'].shape == (1, 17, 2)  # the whole frame
    with pytest.raises(ValueError, match='checkpoint: found none, expected the path of an ONNX'):
        build_estimator('rtmpose')
    (tmp_path / 'bad.onnx').write_bytes(b'no model')
    with pytest.raises(ValueError, match='bad.onnx: found .* expected an ONNX file'):
        build_estimator('rtmpose', str(tmp_path / 'bad.onnx'))


class Interpreter:
    """Stands for that of LiteRT; two persons in corners of the padded input."""

    last = 56

    def __init__(self, path):
        assert path.endswith('.tflite')

    def get_input_details(self):
        return [dict(index=0, dtype=np.uint8)]

    def get_output_details(self):
        return [dict(index=1, shape=np.array((1, 6, self.last)))]

    def resize_tensor_input(self, index, shape):
        self.shape = shape

    def allocate_tensors(self):
        pass

    def set_tensor(self, index, value):
        assert value.shape == self.shape
        self.image = value

    def invoke(self):
        pass

    def get_tensor(self, index):
        out = np.zeros((1, 6, 56), np.float32)
        out[0, :2, :51] = np.tile([.5, .25, .9], 17)
        out[0, :3, 55] = .8, .3, .1
        return out


def test_movenet_scales_persons_back_from_the_padded_input(tmp_path, monkeypatch):
    module = type(sys)('ai_edge_litert.interpreter')
    module.Interpreter = Interpreter
    monkeypatch.setitem(sys.modules, 'ai_edge_litert', type(sys)('ai_edge_litert'))
    monkeypatch.setitem(sys.modules, 'ai_edge_litert.interpreter', module)
    monkeypatch.setattr(estimator, 'find_spec', lambda library: True)
    path = tmp_path / 'm.tflite'
    path.write_bytes(b'')
    network = build_estimator('movenet', str(path), size=64)
    poses, = network.extract([np.full((90, 160, 3), (1, 2, 3), np.uint8)])
    assert network._network.shape == (1, 64, 64, 3)  # 36 rows of image, 28 of padding
    assert network._network.image[0, 0, 0].tolist() == [3, 2, 1]
    assert poses['keypoints'].shape == (2, 17, 2)
    np.testing.assert_allclose(poses['keypoints'][0, 0], [.25 * 160, .5 * 64 / 36 * 90])
    np.testing.assert_allclose(poses['keypoint_scores'], .9)
    with pytest.raises(ValueError, match='size=60, expected a multiple of 32'):
        build_estimator('movenet', str(path), size=60)
    monkeypatch.setattr(Interpreter, 'last', 51)
    with pytest.raises(ValueError, match='of MoveNet MultiPose'):
        build_estimator('movenet', str(path))
