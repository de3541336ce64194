"""Pose estimation from videos to annotations, on real images with random weights."""

import contextlib
import http.server
import importlib.util
import json
import runpy
import shutil
import subprocess
import sys
import threading
import types
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from imageio_ffmpeg import get_ffmpeg_exe
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mofm.annotations import AnnotationError, load_annotations
from mofm.pose_estimation import extract, pose_extractor
from mofm.pose_estimation.extract import extract_video
from mofm.pose_estimation.pose_extractor import PersonDetector, PoseExtractor
from mofm.pose_estimation.video import Video, find_videos
from mofm.sources.pose_programs.mmpose import MMPoseJSON
from mofm.utils.locks import LockedError, hold_output
from mofm.visualization import overlay
from tests.test_tools.tool_runner import ROOT

SMALL = 'td-hm_shufflenetv2_8xb64-210e_coco-256x192'
BOTTOM_UP = 'ae_hrnet-w32_8xb24-300e_coco-512x512'


@pytest.fixture(autouse=True)
def scope():
    """MMPose's own functions leave its scope behind."""
    with DefaultScope.overwrite_default_scope('mofm'):
        yield


@pytest.fixture(scope='session')
def mmpose():
    pytest.importorskip('mmpose', reason='needs requirements/pose.txt')
    return pose_extractor._mmpose()


def save_model(mmpose, name, folder, change=lambda config: None):
    """Config and checkpoint with random weights, as MMPose publishes them."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        config = Config.fromfile(pose_extractor._find_model(mmpose, name)[0])
        change(config)
        torch.manual_seed(0)
        model = mmpose.apis.init_model(config, None, 'cpu')
    path = folder / 'config.json'
    config.dump(path)
    # weights_only refuses bytes by default
    assert model.dataset_meta['keypoint_colors'].dtype == np.uint8
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=model.dataset_meta)),
               folder / 'weights.pth')
    return str(path), str(folder / 'weights.pth')


def smaller(config):
    """Inputs of 48 x 64 pixels."""
    codec = dict(config.codec, input_size=(48, 64), heatmap_size=(12, 16))
    config.model.head.decoder = codec
    for transform in config.test_dataloader.dataset.pipeline:
        if 'input_size' in transform:
            transform.input_size = (48, 64)


@pytest.fixture(scope='session')
def small(mmpose, tmp_path_factory):
    """Model and checkpoint that take milliseconds per person."""
    return save_model(mmpose, SMALL, tmp_path_factory.mktemp('small'), smaller)


@pytest.fixture(scope='session')
def sample(real_data, tmp_path_factory):
    """Folder with two COCO images, their annotations and a street video."""
    folder = tmp_path_factory.mktemp('sample')
    with zipfile.ZipFile(real_data('images_and_video_sample.zip')) as archive:
        archive.extractall(folder)
    return folder


def write_video(path, frames=7, size=(160, 120), codec='mp4v', seed=0):
    """Frames of noise with their number as a gray level."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, size)
    noise = np.random.default_rng(seed).integers(0, 60, (*size[::-1], 3))
    for i in range(frames):
        writer.write((noise + 20 * i).astype(np.uint8))
    writer.release()
    return path


class Counter:
    """Counts the persons of every call of the network and may stop before one."""

    def __init__(self, extractor, stop=None):
        self.batches, self.stop, self.step = [], stop, extractor.model.test_step
        extractor.model.test_step = self

    def __call__(self, batch):
        if len(self.batches) == self.stop:
            raise KeyboardInterrupt
        self.batches.append(len(batch['inputs']))
        return self.step(batch)


def boxes_of(counts, seed=0):
    """Random boxes inside 160 x 120 pixels by frame."""
    rng = np.random.default_rng(seed)
    low = [rng.integers(0, 60, (n, 2)) for n in counts]
    return {i: np.column_stack((a, a + rng.integers(20, 60, a.shape), rng.uniform(.3, 1, len(a)))
                               ).astype(np.float32) for i, a in enumerate(low)}


def run_tool(monkeypatch, capsys, *arguments):
    """What the tool prints, run in this process; a message it exits with comes last."""
    monkeypatch.setattr(sys, 'argv', ['extract_poses.py', *map(str, arguments)])
    monkeypatch.setenv('COLUMNS', '300')
    message = ''
    try:
        runpy.run_path(str(ROOT / 'tools/data/extract_poses.py'), run_name='__main__')
    except SystemExit as stop:
        message = str(stop)
    return capsys.readouterr().out + message


def test_hrnet_equals_inference_topdown(mmpose, sample, tmp_path):
    """The same numbers as MMPose's own function; persons of two images in one batch."""
    config, weights = save_model(mmpose, pose_extractor.MODEL, tmp_path)
    extractor = PoseExtractor(pose_extractor.MODEL, weights, 'cpu')
    coco = json.loads((sample / 'test_coco.json').read_text())
    images, boxes = [], []
    for info in coco['images'][::3]:
        images.append(cv2.imread(str(sample / info['file_name'])))
        x, y, w, h = np.array([a['bbox'] for a in coco['annotations']
                               if a['image_id'] == info['id']]).T
        boxes.append(np.stack((x, y, x + w, y + h), 1)[:2])
    assert [len(b) for b in boxes] == [1, 2]
    found = list(extractor.extract(images, boxes))

    model = mmpose.apis.init_model(config, None, 'cpu')
    model.load_state_dict(torch.load(weights, weights_only=False)['state_dict'])
    for image, box, poses in zip(images, boxes, found, strict=True):
        expected = mmpose.apis.inference_topdown(model, image, box)
        keypoints = np.concatenate([r.pred_instances.keypoints for r in expected])
        scores = np.concatenate([r.pred_instances.keypoint_scores for r in expected])
        np.testing.assert_allclose(poses['keypoint_scores'], scores.clip(0, 1), atol=1e-5)
        # random weights make flat maps, whose maximum may tie
        assert (np.abs(poses['keypoints'] - keypoints).max(-1) < .01).mean() > .95
        np.testing.assert_allclose(poses['bboxes'], box, rtol=1e-6)
        # the input of the network is the box with a ratio of 3 : 4 and 1.25 times as large
        size = box[:, 2:] - box[:, :2]
        size = np.maximum(size, size[:, ::-1] * [.75, 1 / .75]) * 1.25
        distance = np.abs(poses['keypoints'] - (box[:, None, 2:] + box[:, None, :2]) / 2)
        assert (distance <= size[:, None] * (.5 + 1 / 48)).all()
        assert poses['keypoints'].shape == (len(box), 17, 2)
        assert {v.dtype for v in poses.values()} == {np.dtype('float32')}


def test_pose_extractor_batches_equal_single_persons(small):
    counts = [2, 0, 1, 3, 9, 0, 0, 1, 0, 0, 0, 0, 1]
    boxes = [boxes_of(counts)[i] for i in range(len(counts))]
    frames = np.random.default_rng(0).integers(0, 255, (len(counts), 120, 160, 3), np.uint8)
    results, batches = [], []
    for batch_size in (4, 1):
        extractor = PoseExtractor(*small, 'cpu', batch_size=batch_size)
        counter = Counter(extractor)
        results.append(list(extractor.extract(frames, boxes)))
        batches.append(counter.batches)
    # whole frames, 4 persons or frames at most; the frame with 9 is cut
    assert batches == [[3, 3, 4, 4, 1, 1, 1], [1] * 17]
    for batched, single, box in zip(*results, boxes, strict=True):
        assert batched['keypoints'].shape == (len(box), 17, 2)
        np.testing.assert_allclose(batched['keypoint_scores'], single['keypoint_scores'],
                                   atol=1e-5)
        moved = np.abs(batched['keypoints'] - single['keypoints']).max(-1, initial=0)
        assert not moved.size or (moved < .01).mean() > .9
        np.testing.assert_array_equal(batched['bbox_scores'], box[:, 4])


def test_pose_extractor_finds_boxes_and_keeps_the_scope(small):
    with DefaultScope.overwrite_default_scope('mofm'):
        extractor = PoseExtractor(*small, 'cpu', boxes=lambda image: np.array(
            [[0, 0, image[0, 0, 0], 50]]))
        frame = np.full((60, 80, 3), 40, np.uint8)
        poses, = extractor.extract([frame])
        assert DefaultScope.get_current_instance().scope_name == 'mofm'
    np.testing.assert_array_equal(poses['bboxes'], [[0, 0, 40, 50]])
    extractor.boxes = pose_extractor.whole_frame
    poses, = extractor.extract([frame])
    np.testing.assert_array_equal(poses['bboxes'], [[0, 0, 80, 60]])
    extractor.model.head.final_layer.bias.data[:] = np.nan
    with pytest.raises(AnnotationError, match='found NaN'):
        list(extractor.extract([frame]))


def test_bottom_up_models_need_no_boxes(mmpose, tmp_path):
    def change(config):
        codec = dict(config.codec, input_size=(64, 64), heatmap_size=(16, 16))
        config.model.head.decoder = codec
        for transform in config.test_dataloader.dataset.pipeline:
            if 'input_size' in transform:
                transform.input_size = (64, 64)

    extractor = PoseExtractor(*save_model(mmpose, BOTTOM_UP, tmp_path, change), 'cpu',
                              batch_size=2)
    counter = Counter(extractor)
    frames = np.random.default_rng(0).integers(0, 255, (3, 60, 80, 3), np.uint8)
    found = list(extractor.extract(frames))
    assert counter.batches == [2, 1]
    assert len(found) == 3
    for poses in found:
        n = len(poses['bboxes'])
        assert poses['keypoints'].shape == (n, 17, 2)
        assert poses['bboxes'].shape == (n, 4)
        np.testing.assert_array_equal(poses['keypoints'].max(1), poses['bboxes'][:, 2:])


@pytest.mark.parametrize('cut', [0, 5])
def test_extract_video_resumes_in_the_middle(small, tmp_path, cut):
    """Stopped before the third batch: two batches are not done again, the file is the same."""
    video = write_video(tmp_path / 'a.mp4')
    counts = [2, 2, 1, 3, 1, 1, 2]
    settings = dict(video='a.mp4', boxes='b')

    def run(output, stop=None):
        extractor = PoseExtractor(*small, 'cpu', batch_size=4)
        counter, steps = Counter(extractor, stop), []
        with contextlib.suppress(KeyboardInterrupt):
            extract_video(extractor, Video(video), output, settings, boxes_of(counts),
                          progress=steps.append)
        return counter.batches, steps

    assert run(tmp_path / 'whole.json') == ([4, 4, 4], list(range(8)))
    output, part = tmp_path / 'a.json', tmp_path / 'a.jsonl.part'
    assert run(output, stop=2) == ([4, 4], [0, 1, 2, 3, 4])
    assert not output.exists()
    lines = part.read_bytes().splitlines()
    assert [json.loads(line).get('frame_id') for line in lines] == [None, 0, 1, 2, 3]
    part.write_bytes(part.read_bytes() + b'{"frame_id":4,"insta'[:4 * cut])
    assert run(output) == ([4], [4, 5, 6, 7])
    assert not part.exists()
    assert output.read_bytes() == (tmp_path / 'whole.json').read_bytes()
    data = json.loads(output.read_bytes())
    assert [len(f['instances']) for f in data['instance_info']] == counts
    assert [f['frame_id'] for f in data['instance_info']] == list(range(7))
    instance = data['instance_info'][3]['instances'][1]
    assert np.shape(instance['keypoints']) == (17, 2)
    assert np.shape(instance['keypoint_scores']) == (17, )
    assert len(instance['bbox']) == 4
    assert data['meta_info'] == dict(
        settings, pose_step=1, width=160, height=120, fps=10, dataset='coco', frame_offset=0,
        num_frames=7, frames_with_persons=7)


@pytest.mark.parametrize(('tail', 'kept'), [
    (b'', 3), (b'\xff\xfe\n', 3), (b'{"frame_id":7,"instances":[]}\n', 3), (b'null\n', 3),
    (b'{"frame_id":3,"instances":[]}\n', 4), (b'{"frame_id":3,"instances":[]}', 3)])
def test_extract_video_cuts_damaged_end_of_a_part(tmp_path, tail, kept):
    part = tmp_path / 'part'
    head = b''.join([b'{"meta_info":{"model":"m"}}\n'] + [
        b'{"frame_id":%d,"instances":[]}\n' % i for i in range(3)])
    part.write_bytes(head + tail)
    with open(part, 'a+b') as f:
        assert extract._done_frames(f, part, dict(model='m')) == kept
    assert part.read_bytes() == (head + tail if kept == 4 else head)
    with open(part, 'a+b') as f, pytest.raises(AnnotationError, match="found 'm', expected 'n'"):
        extract._done_frames(f, part, dict(model='n'))


def test_extract_video_takes_one_process_per_video(small, tmp_path):
    video = write_video(tmp_path / 'a.mp4', 2)
    extractor = PoseExtractor(*small, 'cpu')
    with hold_output(tmp_path / 'a.json'), pytest.raises(LockedError, match='being written by'):
        extract_video(extractor, Video(video), tmp_path / 'a.json', {})
    assert extract_video(extractor, Video(video), tmp_path / 'a.json', {})['num_frames'] == 2


@pytest.mark.parametrize(('boxes', 'words'), [
    ({3: [[0, 0, 9, 9, 1]]}, 'found frame 3, expected frames 0 to 1'),
    ({0: [[160, 0, 170, 9, 1]]}, 'outside the image in frame 0, expected pixels of an image '
     'of 160 x 120')])
def test_extract_video_refuses_boxes_of_another_video(small, tmp_path, boxes, words):
    video = write_video(tmp_path / 'a.mp4', 2)
    with pytest.raises(AnnotationError, match=words):
        extract_video(PoseExtractor(*small, 'cpu'), Video(video), tmp_path / 'a.json', {},
                      {k: np.array(v, np.float32) for k, v in boxes.items()})
    assert not (tmp_path / 'a.json').exists()


def test_video_frames_after_a_start_are_the_same(sample):
    video = Video(sample / 'people_walking.mp4')
    video.open()
    frames = list(video.frames())
    assert len(frames) == video.expected_frames == 5
    assert (video.width, video.height, video.fps) == (1280, 720, 30)
    for frame, expected in zip(video.frames(2), frames[2:], strict=True):
        np.testing.assert_array_equal(frame, expected)
    assert len(list(video.frames(4))) == 1
    assert not list(video.frames(9))


def test_video_with_rotation_is_turned_upright(tmp_path):
    """A quarter turn in the track header, as telephones write it."""
    path = write_video(tmp_path / 'a.mp4', 2)
    plain = Video(path)
    plain.open()
    content = path.read_bytes()
    at = content.index(b'tkhd') + 44
    matrix = np.array([0, 2**16, 0, -2**16, 0, 0, 0, 0, 2**30], '>i4').tobytes()
    path.with_name('turned.mp4').write_bytes(content[:at] + matrix + content[at + 36:])
    turned = Video(path.with_name('turned.mp4'))
    turned.open()
    assert (turned.width, turned.height) == (plain.height, plain.width) == (120, 160)
    for a, b in zip(turned.frames(), plain.frames(), strict=True):
        np.testing.assert_array_equal(a, np.rot90(b, -1))


def test_video_of_variable_rate_is_read_at_even_times(tmp_path):
    """20 frames a second, and 5 from the second second on; brightness tells the time."""
    times = np.concatenate([np.arange(20) / 20, 1 + np.arange(10) / 5])
    overlay.write_video((np.full((64, 64, 3), 80 * t, np.uint8) for t in np.arange(60) / 20),
                        tmp_path / 'even.mp4', 20)
    subprocess.run([get_ffmpeg_exe(), '-loglevel', 'error', '-i', tmp_path / 'even.mp4', '-vf',
                    "select='lt(n,20)+not(mod(n,4))'", '-fps_mode', 'passthrough',
                    tmp_path / 'a.mp4'], check=True)
    video, even = Video(tmp_path / 'a.mp4'), Video(tmp_path / 'even.mp4')
    video.open()
    even.open()
    assert len(list(even.frames())) == 60
    assert not even.remarks()
    frames = list(video.frames())
    assert (video.decoded, len(frames)) == (30, round(times[-1] * video.fps) + 1)
    assert video.decoded + video.repeated - video.dropped == len(frames)
    assert min(video.repeated, video.dropped) > 5
    shown = np.array([frame.mean() for frame in frames]) / 80
    assert np.abs(shown - np.arange(len(frames)) / video.fps).max() < 1 / 5
    assert abs(shown[-1] - times[-1]) < .05
    assert video.remarks() == [
        f'variable frame rate: taken at even times, {video.fps:.4g} frames a second; '
        f'{video.repeated} frames repeated, {video.dropped} dropped']
    for frame, expected in zip(video.frames(25), frames[25:], strict=True):
        np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize(('times', 'places'), [
    ([0, 100, 200, 300], [(0, 1), (1, 2), (2, 3), (3, 4)]),
    ([40, 140, 250, 330], [(0, 1), (1, 2), (2, 3), (3, 4)]),  # late start and jitter
    ([0, 0, 0, 0], [(0, 1), (1, 2), (2, 3), (3, 4)]),  # no time stamps
    ([0, 10, 100, 400], [(0, 1), (1, 1), (1, 2), (2, 5)]),
    ([0, 100, 9e9, 9e9 + 100], [(0, 1), (1, 2), (2, 3), (3, 4)]),  # a break is cut out
])
def test_frames_take_the_places_of_their_time_stamps(tmp_path, times, places):
    class Capture:
        at = -1

        def grab(self):
            self.at += 1
            return self.at < len(times)

        def get(self, _):
            return times[self.at]

    (tmp_path / 'a.mp4').touch()
    video = Video(tmp_path / 'a.mp4')
    video.fps = 10
    assert list(video._places(Capture())) == places


@pytest.mark.parametrize('content', ['noise', 'sound'])
def test_file_without_a_frame_is_one_line(tmp_path, content):
    path = tmp_path / 'a.mp4'
    if content == 'sound':
        subprocess.run([get_ffmpeg_exe(), '-loglevel', 'error', '-f', 'lavfi', '-i',
                        'sine=duration=0.2', path], check=True)
    else:
        path.write_bytes(content.encode() * 100)
    code = f"from mofm.pose_estimation.video import Video; Video({str(path)!r}).open()"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert not done.stdout
    assert done.stderr.startswith('Traceback')  # nothing of OpenCV and FFmpeg
    assert done.stderr.splitlines()[-1] == (
        f'mofm.annotations.schema.AnnotationError: {path}: video: found no frame that can be '
        'decoded, expected a video that OpenCV can read')


def with_long_header(path):
    """A video of 7 frames whose header says 50."""
    content = bytearray(write_video(path, codec='MJPG').read_bytes())
    for name, offset in ((b'avih', 24), (b'strh', 40)):
        at = content.index(name) + offset
        assert content[at:at + 4] == (7).to_bytes(4, 'little')
        content[at:at + 4] = (50).to_bytes(4, 'little')
    path.write_bytes(content)
    return path


def test_video_frames_are_counted(small, tmp_path):
    video = Video(with_long_header(tmp_path / 'a.avi'))
    meta = extract_video(PoseExtractor(*small, 'cpu'), video, tmp_path / 'a.json', {})
    assert (meta['num_frames'], video.expected_frames) == (7, 50)


def test_video_may_be_a_folder_of_images(tmp_path):
    for name, gray in (('b/f10.png', 10), ('b/f9.png', 9), ('b/f100.PNG', 100), ('c/x.jpg', 7)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((30, 40, 3), gray, np.uint8))
    write_video(tmp_path / 'b/clip.MP4', 1)
    (tmp_path / 'b/.hidden.mp4').touch()
    (tmp_path / 'notes.txt').touch()
    videos = find_videos(tmp_path)
    assert videos == {n: tmp_path / n for n in ('b', 'b/clip.MP4', 'c')}
    assert list(find_videos(tmp_path / 'c')) == ['c']
    assert list(find_videos(tmp_path / 'c/x.jpg')) == ['x.jpg']
    video = Video(videos['b'])
    video.open()
    assert [f[0, 0, 0] for f in video.frames()] == [9, 10, 100]
    assert [f[0, 0, 0] for f in video.frames(2)] == [100]
    assert video.fps is None
    cv2.imwrite(str(tmp_path / 'b/f101.png'), np.zeros((40, 30, 3), np.uint8))
    video = Video(tmp_path / 'b')
    video.open()
    with pytest.raises(AnnotationError, match=r'f101.png: size: found 30 x 40 in frame 3, expected'
                                              ' 40 x 30'):
        list(video.frames())
    (tmp_path / 'c/x.jpg').write_text('no image')
    with pytest.raises(AnnotationError, match='x.jpg: image: found bytes'):
        Video(tmp_path / 'c').open()
    (tmp_path / 'empty').mkdir()
    for path, words in (('empty', 'found none'), ('nowhere', 'no such file or folder')):
        with pytest.raises(AnnotationError, match=words):
            find_videos(tmp_path / path)


@pytest.mark.parametrize(('text', 'words'), [
    ('{', 'expected a readable JSON file'), ('[[1, 2, 3, 4]]', 'found list'),
    ('{"a": []}', "frame 'a'"), ('{"1": [], "01": []}', "frame '01'"),
    ('{"-1": []}', "frame '-1'"),
    ('{"0": [1, 2, 3, 4]}', '4 or 5 numbers'), ('{"0": [[1, 2, 3]]}', '4 or 5 numbers'),
    ('{"0": [[1, 2, 3, "4"]]}', '4 or 5 numbers'), ('{"0": [[1, 2, 3, true]]}', '4 or 5 numbers'),
    ('{"0": [[1, 2, 1, 4]]}', 'x1 < x2'), ('{"0": [[1, 2, 3, 4, 1.1]]}', 'score in'),
    ('{"0": [[1, 2, NaN, 4]]}', 'x1 < x2'), ('{"0": [[1, 2, 1e400, 4]]}', 'x1 < x2'),
    ('{"0": [[1, 2, 1%s, 4]]}' % ('0' * 400), 'usual size'), ('[' * 10**5, 'readable JSON'),
    ('\udcff', 'readable JSON')])
def test_boxes_file_names_wrong_boxes(tmp_path, text, words):
    path = tmp_path / 'boxes.json'
    path.write_text(text, errors='surrogateescape')
    with pytest.raises(AnnotationError, match=words) as error:
        extract.read_boxes(path)
    assert 'boxes.json: ' in str(error.value)


def test_boxes_file_is_read_by_frame(tmp_path):
    path = tmp_path / 'boxes.json'
    path.write_text('{"2": [[1, 2, 3, 4.5], [0, 0, 9, 9, 0.5]], "0": []}')
    boxes = extract.read_boxes(path)
    np.testing.assert_array_equal(boxes[2], [[1, 2, 3, 4.5, 1], [0, 0, 9, 9, .5]])
    assert boxes[0].shape == (0, 5)
    assert boxes.keys() == {0, 2}


def test_pose_model_is_found_by_name(mmpose, small, tmp_path):
    config, url = pose_extractor._config(mmpose, pose_extractor.MODEL, None)
    assert Path(config).stem == pose_extractor.MODEL
    assert url.startswith(
        f'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/'
        f'{pose_extractor.MODEL}-81c58e40')
    assert pose_extractor._config(mmpose, 'human', None)[1].endswith('.pth')  # an alias
    words = f'hrnet-w32: found no config file.*{pose_extractor.MODEL[:12]}'
    with pytest.raises(ValueError, match=words):
        PoseExtractor('td-hm_hrnet-w32')
    for model in (small[0], BOTTOM_UP):
        with pytest.raises(ValueError, match='found no checkpoint'):
            PoseExtractor(model)
    with pytest.raises(ValueError, match='not of this model.* wrong, e.g. '):
        PoseExtractor(SMALL.replace('v2', 'v1'), small[1], 'cpu')
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        PoseExtractor(small[0], 'nowhere.pth', 'cpu')
    (tmp_path / 'bad.pth').write_bytes(b'no checkpoint')
    with pytest.raises(ValueError, match='bad.pth: not a readable checkpoint'):
        PoseExtractor(small[0], str(tmp_path / 'bad.pth'), 'cpu')
    with pytest.raises(ValueError, match='batch_size=0'):
        PoseExtractor(*small, batch_size=0)


def test_pose_model_that_cannot_be_built_is_named(mmpose, small):
    if importlib.util.find_spec('mmdet'):
        pytest.skip('mmdet is installed')
    with pytest.raises(ValueError, match='rtmpose-t_8xb256-420e_coco-256x192: cannot be built'):
        PoseExtractor('rtmpose-t_8xb256-420e_coco-256x192', small[1], 'cpu')


def test_pose_checkpoint_is_downloaded_once_and_not_trusted(small, tmp_path, monkeypatch):
    """Downloaded once and read without trust."""
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=Path(small[1]).parent)

        def log_message(self, form, *args):
            requests.append(args[0])

    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}/weights.pth'
        for _ in range(2):
            PoseExtractor(small[0], url, 'cpu')
        with pytest.raises(ValueError, match='none.pth: cannot be downloaded .*404'):
            PoseExtractor(small[0], url.replace('weights', 'none'), 'cpu')
        server.shutdown()
    assert sum('weights.pth' in r for r in requests if isinstance(r, str)) == 1


def test_person_detector_keeps_strong_persons_once(mmpose, monkeypatch, tmp_path):
    """Persons only, strong ones, one box for each; names are those of MMDetection's index."""
    calls = []

    class DetInferencer:
        def __init__(self, model, weights, device):
            calls.append((model, weights, device))

        def __call__(self, image):
            return dict(predictions=[dict(
                bboxes=[[0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 60, 70], [5, 5, 50, 50],
                        [90, 0, 99, 9]],
                labels=[0, 0, 0, 16, 0], scores=[.6, .9, .8, .9, .2])])

    mmdet = types.ModuleType('mmdet')
    mmdet.__file__ = str(tmp_path / '__init__.py')
    mmdet.apis = types.ModuleType('mmdet.apis')
    mmdet.apis.DetInferencer = DetInferencer
    monkeypatch.setitem(sys.modules, 'mmdet', mmdet)
    monkeypatch.setitem(sys.modules, 'mmdet.apis', mmdet.apis)
    (tmp_path / '.mim').mkdir()
    (tmp_path / '.mim/model-index.yml').write_text('Import:\n  - rtmdet.yml\n')
    (tmp_path / '.mim/rtmdet.yml').write_text(
        'Models:\n  - Name: rtmdet_m\n    Alias:\n      - rtmdet-m\n    Config: c.py\n'
        '    Weights: https://example.org/w.pth\n')
    detector = PersonDetector(checkpoint='w.pth', device='cpu')
    assert calls == [(str(tmp_path / '.mim/c.py'), 'w.pth', 'cpu')]
    np.testing.assert_allclose(detector(None), [[0, 0, 10, 11, .9], [50, 50, 60, 70, .8]])
    monkeypatch.setattr(DetInferencer, '__call__', lambda self, image: dict(
        predictions=[dict(bboxes=[], labels=[], scores=[])]))
    assert detector(None).shape == (0, 5)


def test_extract_poses_names_what_to_install(sample, tmp_path, monkeypatch, capsys):
    command = sample / 'people_walking.mp4', '--out', tmp_path / 'a.pkl'
    for library in ('mediapipe', 'mmpose'):
        monkeypatch.setitem(sys.modules, library, None)
    for options in (['--whole-frame'], []):
        last = run_tool(monkeypatch, capsys, *command, *options).splitlines()[-1]
        assert last.startswith('error: no pose estimator is installed: pip install ')
        last = run_tool(monkeypatch, capsys, *command, *options, '--estimator', 'mmpose')
        last = last.splitlines()[-1]
        assert last.startswith('error: MMPose cannot be imported')
        assert last.endswith('pip install --no-deps -r requirements/pose.txt')


def test_extract_poses_names_alternatives_to_the_detector(
        mmpose, sample, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'mmdet', None)
    last = run_tool(monkeypatch, capsys, sample / 'people_walking.mp4', '--out',
                    tmp_path / 'a.pkl', '--estimator', 'mmpose').splitlines()[-1]
    assert last.startswith('error: no person detector')
    assert last.endswith(
        'install mmdet and the full mmcv, or pass --boxes PATH or --whole-frame')


def test_extract_poses_of_the_real_video_gives_annotations(
        small, sample, tmp_path, monkeypatch, capsys):
    boxes = {str(i): [[600, 200, 700, 450], [100 + i, 200, 200 + i, 460, .9]] for i in range(5)}
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    out = tmp_path / 'a.pkl'
    command = (sample / 'people_walking.mp4', '--out', out, '--model', small[0], '--checkpoint',
               small[1], '--device', 'cpu', '--boxes', tmp_path / 'boxes.json')
    printed = run_tool(monkeypatch, capsys, *command)
    assert '1 of 1 videos, 0 of them from an earlier run, 0 skipped' in printed
    assert '1 clips, 5 frames, 0 of 1 files skipped' in printed
    ann, = load_annotations(out)['annotations']
    assert ann['frame_dir'] == 'people_walking.mp4'
    assert 'frame_inds' not in ann
    assert ann['img_shape'] == (720, 1280)
    assert ann['total_frames'] == 5
    data = json.loads((tmp_path / 'a_poses/people_walking.mp4.json').read_bytes())
    assert [len(f['instances']) for f in data['instance_info']] == [2] * 5
    (same, _), = MMPoseJSON(tmp_path / 'a_poses', strict=True)
    np.testing.assert_array_equal(same['keypoint'], ann['keypoint'])
    # again: nothing to do, and nothing is mixed
    monkeypatch.setattr(PoseExtractor, '__init__', None)
    assert '1 of them from an earlier run' in run_tool(monkeypatch, capsys, *command, '--tracks')
    (tmp_path / 'boxes.json').write_text('{}')
    assert "meta_info.boxes: found 'boxes.json " in run_tool(monkeypatch, capsys, *command)


def test_extract_poses_of_a_folder_reports_bad_videos(small, tmp_path, monkeypatch, capsys):
    """Nobody, damage and a wrong header are reported; the other videos go on."""
    videos, boxes = tmp_path / 'videos', tmp_path / 'boxes'
    (videos / 'sub').mkdir(parents=True)
    (boxes / 'sub').mkdir(parents=True)
    write_video(videos / 'good.mp4', 3)
    write_video(videos / 'nobody.mp4', 4)
    write_video(videos / 'unboxed.mp4', 4)
    with_long_header(videos / 'sub/long.avi')
    (videos / 'bad.mp4').write_bytes((videos / 'good.mp4').read_bytes()[:900])
    one = json.dumps({str(i): [[10, 10, 60, 100]] for i in range(3)})
    for name, text in (('good.mp4', one), ('nobody', '{}'), ('sub/long', one), ('bad', one)):
        (boxes / f'{name}.json').write_text(text)
    out = tmp_path / 'mine.pkl'
    command = (videos, '--out', out, '--model', small[0], '--checkpoint', small[1], '--device',
               'cpu', '--boxes', boxes)
    printed = run_tool(monkeypatch, capsys, *command)
    for words in ('mine_poses: 3 of 5 videos, 0 of them from an earlier run, 2 skipped',
                  'bad.mp4: video: found no frame that can be decoded',
                  'found no unboxed.mp4.json',
                  'nobody.mp4: no person in any of its 4 frames',
                  'long.avi: 7 frames can be decoded, 50 are in its header'):
        assert words in printed, words
    empty = json.loads((tmp_path / 'mine_poses/nobody.mp4.json').read_bytes())
    assert [f['instances'] for f in empty['instance_info']] == [[]] * 4
    found = {Path(a['frame_dir']).stem: a['keypoint'].shape
             for a in load_annotations(out)['annotations']}
    assert found.pop('nobody', (0, 4, 17, 2)) == (0, 4, 17, 2)
    assert found == {'good': (1, 3, 17, 2), 'long': (1, 7, 17, 2)}
    stopped = run_tool(monkeypatch, capsys, *command, '--strict')
    assert stopped.splitlines()[-1].startswith('error: ')
    assert 'bad.mp4' in stopped
    assert 'found one file for several videos' in run_tool(
        monkeypatch, capsys, *command[:-1], boxes / 'bad.json')
    only = run_tool(monkeypatch, capsys, videos / 'bad.mp4', '--out', tmp_path / 'no.pkl',
                    *command[3:-2], '--whole-frame')
    wrong = run_tool(monkeypatch, capsys, videos, '--out', tmp_path / 'no.pkl', '--whole-frame',
                     '--checkpoint', 'nowhere.pth')
    assert wrong.splitlines()[-1].startswith('error: nowhere.pth: no such checkpoint')
    assert 'bad.mp4: video' in only
    assert only.endswith('none of the videos could be read')
    assert not (tmp_path / 'no.pkl').exists()
    assert not (tmp_path / 'no_poses').exists()


def test_extract_poses_shards_equal_one_process(small, tmp_path, monkeypatch, capsys):
    """Each takes every second video; the last to finish writes what one process would."""
    (tmp_path / 'videos').mkdir()
    for i in range(5):
        write_video(tmp_path / f'videos/{i}.mp4', 2, seed=i)

    def run(out, *options):
        return run_tool(monkeypatch, capsys, tmp_path / 'videos', '--out', tmp_path / out,
                        '--model', small[0], '--checkpoint', small[1], '--device', 'cpu',
                        '--whole-frame', *options)

    run('one.pkl')
    assert '3 videos without poses: run the other shards' in run('two.pkl', '--shard', '1/2')
    names = sorted(f.name for f in (tmp_path / 'two_poses').iterdir())
    assert names == ['1.mp4.json', '3.mp4.json']
    assert not (tmp_path / 'two.pkl').exists()
    assert '3 of 3 videos' in run('two.pkl', '--shard', '0/2')
    one, two = (load_annotations(tmp_path / n)['annotations'] for n in ('one.pkl', 'two.pkl'))
    assert [a['frame_dir'] for a in one] == [a['frame_dir'] for a in two]
    assert len(one) == 5
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a['keypoint'], b['keypoint'])
    for wrong in ('2/2', '0/0', '1', '-1/2'):
        assert run('two.pkl', f'--shard={wrong}') == '2'  # exit status of argparse


def test_extract_poses_takes_alphapose_files(tmp_path, monkeypatch, capsys):
    """No network, no MMPose."""
    monkeypatch.setitem(sys.modules, 'mmpose', None)
    pose = np.column_stack((np.random.default_rng(0).uniform(20, 90, (17, 2)), np.ones(17)))
    (tmp_path / 'alphapose-results.json').write_text(json.dumps([
        dict(image_id=f'{i}.jpg', category_id=1, keypoints=(pose + [i, 0, 0]).ravel().tolist(),
             score=2.5, box=[20, 20, 70, 70], idx=1) for i in range(4)]))
    printed = run_tool(monkeypatch, capsys, '--from', 'alphapose',
                       tmp_path / 'alphapose-results.json', '--out', tmp_path / 'a.pkl')
    assert '1 clips, 4 frames' in printed
    ann, = load_annotations(tmp_path / 'a.pkl')['annotations']
    expected = pose[None, :, :2] + np.arange(4)[:, None, None] * [1, 0]
    np.testing.assert_allclose(ann['keypoint'][0], expected, atol=.04)


def test_extract_poses_takes_every_2d_source_and_recognizes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'mmpose', None)
    folder = tmp_path / 'walk'
    folder.mkdir()
    pose = np.column_stack((np.random.default_rng(0).uniform(20, 90, (25, 2)), np.ones(25)))
    for i in range(4):
        (folder / f'walk_{i:012d}_keypoints.json').write_text(json.dumps(dict(people=[
            dict(pose_keypoints_2d=(pose + [i, 0, 0]).ravel().tolist())])))
    archive = shutil.make_archive(str(tmp_path / 'a'), 'zip', folder)
    for source in ('auto', 'openpose'):
        printed = run_tool(monkeypatch, capsys, '--from', source, archive, '--out',
                           tmp_path / 'a.pkl', '--img-shape', 100, 120)
        assert '1 clips, 4 frames' in printed
        assert ('recognized openpose (OpenPose)' in printed) == (source == 'auto')
        ann, = load_annotations(tmp_path / 'a.pkl')['annotations']
        assert ann['img_shape'] == (100, 120)
        np.testing.assert_allclose(ann['keypoint'][0, :, 0], pose[0, :2] + [[0, 0], [1, 0], [
            2, 0], [3, 0]], atol=.04)
