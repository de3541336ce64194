"""Search by example: planted motions, resumption, damaged files, merging, tracks, frame rates."""

import json
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mofm.annotations import dump_annotations
from mofm.apis import MotionIndex, write_hits
from mofm.apis.index_adding import TrackWindows, keypoint_features, mirrored
from mofm.datasets import SyntheticMotion
from mofm.pose_estimation import PoseEstimator

QUIET = dict(progress=False)
LENGTH = 60


def motions(action, num, seed, frames=LENGTH):
    """Clips of one action, as annotations."""
    dataset = SyntheticMotion(num, seed=seed, actions=(action, ), num_frames=(frames, frames))
    return [dataset.get_data_info(i) for i in range(num)]


def recording(name, *clips, **fields):
    """One recording of several clips of one person, one after the other."""
    keypoint = np.concatenate([clip['keypoint'][:1] for clip in clips], 1)
    score = np.concatenate([clip['keypoint_score'][:1] for clip in clips], 1)
    return dict(frame_dir=name, label=0, img_shape=clips[0]['img_shape'], keypoint=keypoint,
                keypoint_score=score, total_frames=keypoint.shape[1], **fields)


@pytest.fixture
def keypoints(inferencer):
    """A model whose features are keypoints without place and size."""
    return inferencer('keypoints')


@pytest.fixture
def planted():
    """Three recordings, and a squat that two have in the third quarter, elsewhere and noisy."""
    walk, wave, squat = (motions(name, 6, i) for i, name in enumerate(('walk', 'wave', 'squat')))
    rng = np.random.default_rng(0)
    copies = [dict(squat[0], keypoint=.7 * squat[0]['keypoint'] + shift + rng.normal(
        0, 2, squat[0]['keypoint'].shape)) for shift in (30, 200)]
    return [recording('a', walk[0], wave[0], copies[0], walk[1]),
            recording('b', walk[2], wave[2], wave[3], walk[3]),
            recording('c', wave[4], walk[4], copies[1], wave[5])], squat[0]


@pytest.fixture
def index(keypoints, planted, tmp_path):
    index = MotionIndex(tmp_path / 'index', keypoints, window=LENGTH, stride=LENGTH // 2)
    assert index.add(planted[0], **QUIET) == 3
    return index


def test_motion_index_finds_planted_motions(index, planted):
    assert len(index) == 3 * 7
    assert index.recordings == ['a', 'b', 'c']
    hits = index.search(planted[1], top=2)
    assert {hit.recording for hit in hits} == {'a', 'c'}
    for hit in hits:
        assert hit.first <= 2.5 * LENGTH <= hit.last
        assert hit.person == 0
    assert 1 >= hits[0].similarity >= hits[1].similarity


def test_motion_index_finds_itself_by_frames_and_mirror(index, planted):
    frames = (2 * LENGTH, 3 * LENGTH - 1)
    itself = index.search(planted[0][0], top=1, frames=frames)[0]
    assert (itself.recording, itself.first, itself.last) == ('a', *frames)
    assert itself.similarity == pytest.approx(1, abs=1e-3)
    flipped = mirrored(planted[0][0], 'coco17')
    assert index.search(flipped, top=1, frames=frames)[0].similarity == pytest.approx(1, abs=1e-2)
    alone = index.search(flipped, top=1, frames=frames, mirror=False)[0]
    assert alone.similarity < .99


def test_similarities_equal_cosines_of_all_windows(index, planted, keypoints):
    """Against a second implementation, by an SVD: features of the model are keypoints, too."""
    windows = [clip for ann in planted[0] for cut in [TrackWindows(ann, LENGTH, LENGTH // 2)]
               for clip in map(cut.get_data_info, range(len(cut)))]
    task = keypoints.task('features')
    rows, flipped = (np.stack([out['pooled'] for out in task.predict_clips(clips)])
                     for clips in (windows, [mirrored(clip, 'coco17') for clip in windows]))
    both = np.concatenate([rows, flipped])
    rows = rows - both.mean(0)
    directions = np.linalg.svd(both - both.mean(0))[2]
    cosines = []
    for width in (len(rows.T), 64):  # 42 windows and mirror images keep all distances in 128
        reduced = rows @ directions[:width].T
        reduced /= np.linalg.norm(reduced, axis=1, keepdims=True)
        cosines.append(reduced @ reduced.T)
    for i in (0, 9):
        clip = windows[i]
        hits = index.search(clip, top=1, mirror=False)
        assert hits[0].recording == clip['frame_dir']
        found = index.similarities(index.encode([clip]))
        np.testing.assert_allclose(found, np.mean(cosines, 0)[i], atol=5e-3)


def test_keypoint_features_equal_those_of_the_backbone(keypoints):
    """Clips of several lengths, with missing joints and frames."""
    clips = []
    for ann, length in zip(motions('walk', 3, 0, 90), (5, 20, 90), strict=True):
        clip = recording('clip', ann)
        for name in ('keypoint', 'keypoint_score'):
            clip[name] = clip[name][:, :length].copy()
        clip['keypoint_score'][0, 1, :9] = 0
        clips.append(dict(clip, total_frames=length))
    expected = [out['pooled'] for out in keypoints.task('features').predict_clips(clips)]
    np.testing.assert_allclose(keypoint_features(clips), expected, atol=1e-5)


def test_motion_index_merges_overlapping_windows_of_one_motion(keypoints, tmp_path):
    """A minute of one walk is one hit, not one per window."""
    walk = motions('walk', 1, 0, 600)[0]
    index = MotionIndex(tmp_path, keypoints, window=40, stride=10)
    still = {**walk, **{name: np.repeat(walk[name][:, :1], 600, 1)
                        for name in ('keypoint', 'keypoint_score')}}
    index.add([recording('still', still), recording('walk', walk)], **QUIET)
    hits = index.search(recording('query', still), frames=(0, 39), top=50)
    assert (hits[0].recording, hits[0].first, hits[0].last) == ('still', 0, 599)
    spans = sorted((hit.recording, hit.first, hit.last) for hit in hits)
    for (name, _, last), (other, first, _) in zip(spans, spans[1:], strict=False):
        assert name != other or last < first


def test_motion_index_separates_persons(keypoints, tmp_path):
    walk, squat = motions('walk', 2, 0), motions('squat', 2, 1)
    both = recording('both', walk[0], walk[1])
    both['keypoint'] = np.concatenate([both['keypoint'], recording('', walk[1], squat[0])[
        'keypoint']])
    both['keypoint_score'] = np.concatenate([both['keypoint_score'], recording(
        '', walk[1], squat[0])['keypoint_score']])
    both['track_id'] = np.array([4, 7])
    index = MotionIndex(tmp_path, keypoints, window=LENGTH)
    index.add(both, **QUIET)
    assert len(index) == 2 * 3
    hit, = index.search(squat[0], top=1)
    assert (hit.person, hit.first, hit.last) == (7, LENGTH, 2 * LENGTH - 1)
    example, = index.search(both, top=1, person=7, frames=(LENGTH, 2 * LENGTH))
    assert (example.person, example.first) == (7, LENGTH)
    with pytest.raises(ValueError, match='person: found no person 5, expected a visible person'):
        index.search(both, person=5)


def test_motion_index_skips_windows_without_the_person(keypoints, tmp_path):
    ann = recording('gone', *motions('walk', 4, 0))
    ann['keypoint'][:, LENGTH:3 * LENGTH] = 0
    ann['keypoint_score'][:, LENGTH:3 * LENGTH] = 0
    index = MotionIndex(tmp_path, keypoints, window=LENGTH, stride=LENGTH // 2)
    index.add(ann, **QUIET)
    assert len(index) == 4  # of 7


def test_motion_index_of_other_frame_rates_has_seconds(keypoints, tmp_path):
    """A recording at 60 and a query at 15 frames per second meet at 30."""
    walk, squat = (motions(name, 1, 0, 120)[0] for name in ('walk', 'squat'))
    index = MotionIndex(tmp_path, keypoints, window=60, stride=30, model_fps=30)
    index.add(recording('fast', walk, squat, fps=60), **QUIET)
    slow = recording('slow', squat)
    for name in ('keypoint', 'keypoint_score'):
        slow[name] = slow[name][:, ::4]
    slow['total_frames'] = 30
    hit, = index.search(slow, top=1, fps=15)
    assert hit.seconds == pytest.approx((2, 4), abs=.1)
    assert hit.similarity > .95
    with pytest.raises(ValueError, match='fps: found nothing, expected the frame rate'):
        index.search(slow, top=1)
    with pytest.raises(ValueError, match='model_fps: found 30, expected 25'):
        MotionIndex(tmp_path, keypoints, model_fps=25)
    part, = index.search(recording('query', walk, squat), top=1, fps=60, seconds=(2, 4))
    assert (part.first, part.last) == (hit.first, hit.last)


def test_motion_index_resumes_and_skips_known_content(index, keypoints, planted, tmp_path):
    again = MotionIndex(tmp_path / 'index', keypoints)
    renamed = [dict(ann, frame_dir=f'{ann["frame_dir"]}2') for ann in planted[0]]
    assert again.add([*renamed, recording('d', planted[1])], **QUIET) == 1
    assert again.skipped == 3
    assert again.recordings == ['a', 'b', 'c', 'd']
    assert again.add(planted[0], **QUIET) == 0
    assert MotionIndex(tmp_path / 'index', keypoints).search(planted[1], top=1)[0].recording == 'd'


_KILLED = """
import os, signal, sys
import numpy as np
import mofm.apis.index_adding as module
from mofm.apis import MotionIndex, MotionInferencer
from mofm.utils.config import load_config

module._PART, module._SAMPLE, save, parts = 10, 20, np.savez, []

def savez(file, **arrays):
    parts.extend(['vectors'] * ('vectors' in arrays))
    if len(parts) == 3:
        file.write(b'half of it')
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(file, **arrays)

np.savez = savez
inferencer = MotionInferencer(load_config('configs/dt2_penn_baseline.py'), device='cpu',
                              batch_size=8)
MotionIndex(sys.argv[1], inferencer, window=30).add(sys.argv[2], progress=False)
"""


@pytest.mark.slow
def test_killed_indexing_resumes(keypoints, tmp_path):
    clips = [recording(f'r{i}', clip) for i, clip in enumerate(motions('walk', 40, 0, 30))]
    dump_annotations(dict(split={}, annotations=clips), tmp_path / 'clips.pkl')
    folder = tmp_path / 'index'
    code = subprocess.run([sys.executable, '-c', _KILLED, folder, tmp_path / 'clips.pkl'],
                          env=dict(os.environ, PYTHONPATH='.'), check=False).returncode
    assert code == -signal.SIGKILL
    assert len(list(folder.glob('part_*.tmp'))) == 1
    (folder / 'model.12345678.tmp/model').mkdir(parents=True)  # killed while it was copied
    index = MotionIndex(folder, keypoints)
    done = len(index.recordings)
    assert 0 < done < 40
    assert index.add(tmp_path / 'clips.pkl', **QUIET) == 40 - done
    assert index.skipped == done
    assert index.recordings == [clip['frame_dir'] for clip in clips]
    assert not list(folder.glob('*.tmp'))


class Walker(PoseEstimator):
    """A person who walks to the right, frame by frame; is interrupted at a frame."""

    def __init__(self, frames):
        super().__init__()
        self.frames = frames

    def estimate(self, image, boxes=None):
        self.frames -= 1
        if self.frames < 0:
            raise KeyboardInterrupt
        points = np.linspace(5, 40, 34, dtype=np.float32).reshape(1, 17, 2)
        return points + int(image.mean()) / 10, np.ones((1, 17))


@pytest.fixture
def videos(tmp_path):
    """A video file and a folder of images, of 40 frames each."""
    folder = tmp_path / 'videos'
    (folder / 'images').mkdir(parents=True)
    writer = cv2.VideoWriter(str(folder / 'file.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10,
                             (64, 48))
    for i in range(40):
        image = np.full((48, 64, 3), 2 * i, np.uint8)
        writer.write(image)
        cv2.imwrite(str(folder / f'images/{i:03}.png'), image + 1)
    writer.release()
    return folder


def test_interrupted_indexing_keeps_poses_of_videos(keypoints, videos, tmp_path):
    folder, options = tmp_path / 'index', dict(QUIET, fps=10)
    index = MotionIndex(folder, keypoints, window=20)
    with pytest.raises(KeyboardInterrupt):
        index.add(videos, pose_extractor=Walker(55), **options)
    assert not index.recordings
    rest = Walker(80)
    assert index.add(videos, pose_extractor=rest, **options) == 2
    assert rest.frames == 80 - 25
    assert index.recordings == ['file.avi', 'images']
    assert not (folder / 'videos').exists()
    assert index.add(videos, pose_extractor=Walker(0), **options) == 0
    assert index.skipped == 2
    other = MotionIndex(tmp_path / 'other', keypoints, window=20)
    other.add(videos, pose_extractor=Walker(80), **options)
    np.testing.assert_array_equal(index.vectors, other.vectors)


def test_kept_poses_are_of_the_same_network_and_rate(keypoints, videos, tmp_path):
    index = MotionIndex(tmp_path / 'index', keypoints, window=20)
    with pytest.raises(KeyboardInterrupt):
        index.add(videos, pose_extractor=Walker(55), **QUIET)
    half = Walker(80)
    assert index.add(videos, pose_extractor=half, pose_fps=5, **QUIET) == 2
    assert half.frames == 80 - 21 - 40  # and the last one; images have no rate


@pytest.mark.parametrize(('change', 'message'), [
    (lambda path: path.write_bytes(path.read_bytes()[:-200]), 'file: found'),
    (lambda path: path.write_bytes(b'\x80\x04K\x00.'), 'file: found BadZipFile'),
    ('flip', 'file: found BadZipFile'),
    (dict(track=lambda x: x + 9), r'track: found other values, expected rows of 3 tracks'),
    (dict(vectors=lambda x: x * np.float16(np.nan)), 'vectors: found NaN'),
    (dict(vectors=lambda x: x[:, 1:]), 'vectors: found other values, expected 192 columns'),
    (dict(name=lambda x: np.array([object()] * len(x))), 'file: found ValueError: name'),
    (dict(last=lambda x: x - 1000), 'last: found other values, expected frames after the first'),
    (dict(fps=lambda x: x[:1]), 'fps: found float64 of shape'),
])
def test_damaged_part_is_refused(index, keypoints, planted, tmp_path, change, message):
    path = tmp_path / 'index/part_000001.npz'
    if callable(change):
        change(path)
    elif change == 'flip':
        content = bytearray(path.read_bytes())
        content[1000] ^= 1  # of the vectors
        path.write_bytes(content)
    else:
        with np.load(path) as file:
            arrays = dict(file)
        for name, function in change.items():
            arrays[name] = function(arrays[name])
        np.savez(path, **arrays)
    with pytest.raises(ValueError, match=f'part_000001.npz: {message}'):
        MotionIndex(tmp_path / 'index', keypoints).search(planted[1])


@pytest.mark.parametrize(('values', 'message'), [
    (dict(format='other'), "format: found other, expected 'mofm motion index 2'"),
    (dict(window=-3), 'window: found -3, expected an integer of at least 1'),
    (dict(window='48'), 'window: found 48, expected an integer'),
    (dict(layout='no'), 'layout: found no, expected one of'),
    (dict(model='0' * 64), 'model: found 000'),
    (dict(more=1), 'file: found TypeError'),
])
def test_damaged_header_is_refused(index, keypoints, tmp_path, values, message):
    path = tmp_path / 'index/index.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    with pytest.raises(ValueError, match=f'index.json: {message}'):
        MotionIndex(tmp_path / 'index', keypoints)


def test_index_without_header_or_projection_is_refused(index, keypoints, tmp_path):
    (tmp_path / 'index/projection.npz').rename(tmp_path / 'projection.npz')
    with pytest.raises(ValueError, match='projection.npz: file: found nothing'):
        MotionIndex(tmp_path / 'index', keypoints)
    (tmp_path / 'index/projection.npz').write_bytes(b'no')
    with pytest.raises(ValueError, match='projection.npz: file: found'):
        MotionIndex(tmp_path / 'index', keypoints)
    (tmp_path / 'index/index.json').unlink()
    with pytest.raises(ValueError, match='index.json: file: found nothing'):
        MotionIndex(tmp_path / 'index', keypoints)


def test_index_of_another_model_is_refused(inferencer, motion, tmp_path):
    MotionIndex(tmp_path, inferencer('action'), window=20).add(motion, **QUIET)
    with pytest.raises(ValueError, match='model: found .* use the model'):
        MotionIndex(tmp_path, inferencer('action', seed=1))
    assert MotionIndex(tmp_path, inferencer('action')).search(motion[0], top=3)


def test_empty_index_and_wrong_options_are_refused(keypoints, motion, tmp_path):
    index = MotionIndex(tmp_path, keypoints)
    with pytest.raises(ValueError, match='windows: found 0'):
        index.search(motion[0])
    with pytest.raises(ValueError, match='keypoint: found'):
        index.add(dict(keypoint=np.zeros((1, 9, 17, 2))), **QUIET)
    with pytest.raises(TypeError, match='speed: found an unknown option'):
        index.add(motion, speed=3, **QUIET)
    index.add(motion, **QUIET)
    with pytest.raises(ValueError, match='expected one recording'):
        index.search(motion)
    with pytest.raises(ValueError, match='seconds: found no frame rate'):
        index.search(motion[0], seconds=(0, 1))


def test_hits_are_drawn_and_written(index, planted, tmp_path):
    from mofm.visualization import save_animation, save_figure

    hits = index.search(planted[1], top=3)
    poses = index.poses(hits[0])
    assert poses['keypoint'].shape == (1, 20, 17, 2)
    source = next(ann for ann in planted[0] if ann['frame_dir'] == hits[0].recording)
    there = poses['keypoint_score'] > 0
    np.testing.assert_allclose(poses['keypoint'][there], source['keypoint'][
        :, poses['frame_inds']][there], atol=1)
    pictures = index.draw(hits)
    save_figure(pictures['.png'], tmp_path / 'hits.png')
    save_animation(pictures['.gif'], tmp_path / 'hits.gif')
    write_hits(hits, tmp_path / 'hits.csv')
    lines = (tmp_path / 'hits.csv').read_text().splitlines()
    assert lines[0] == 'recording,person,start,end,first,last,similarity'
    assert len(lines) == 4
    assert lines[1].startswith(f'{hits[0].recording},0,,,{hits[0].first},')


def test_index_and_search_from_the_shell(published, planted, tmp_path, capsys):
    from mofm.cli import index, search

    dump_annotations(dict(split={}, annotations=planted[0]), tmp_path / 'clips.pkl')
    np.save(tmp_path / 'example.npy', planted[0][0]['keypoint'][0, :LENGTH])
    words = [str(tmp_path / 'clips.pkl'), str(tmp_path / 'index'), '--fps', '30']
    index.main([*words, '--model', str(published('action')), '--window', '60'])
    assert '3 recordings added, 0 were in it; 21 windows' in capsys.readouterr().out
    for again in ([], ['--model', str(published('action'))]):
        index.main([*words, *again])
        assert '0 recordings added, 3 were in it; 21 windows' in capsys.readouterr().out
    with pytest.raises(ValueError, match='--model: found mofm-tiny, expected .*index/model'):
        index.main([*words, '--model', 'mofm-tiny'])
    search.main([str(tmp_path / 'index'), str(tmp_path / 'example.npy'), '--top', '3', '--out',
                 str(tmp_path / 'hits')])
    out = capsys.readouterr().out
    assert '1 1.000 a, person 0: 0.00 to 2.00 s, frames 0 to 59' in out
    assert {path.name for path in (tmp_path / 'hits').iterdir()} == {
        'hits.csv', 'hits.gif', 'hits.png'}
    assert len((tmp_path / 'hits/hits.csv').read_text().splitlines()) == 4
    with pytest.raises(FileNotFoundError, match='found no index, expected a folder of mofm index'):
        search.main([str(tmp_path), str(tmp_path / 'example.npy')])
    with pytest.raises(ValueError, match='--model: found nothing, expected a published model'):
        index.main([words[0], str(tmp_path / 'other'), '--model', 'nothing'])
