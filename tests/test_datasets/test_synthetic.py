"""Synthetic motion: anatomy, physics, and the annotation schema."""
import numpy as np
import pytest

from mofm.annotations import validate
from mofm.datasets.synthetic import (
    ACTIONS,
    IMG_SHAPE,
    SyntheticMotion,
    animate,
    project,
    synthesize,
)
from mofm.keypoints import add_pose_noise
from mofm.registry import DATASETS
from mofm.structures import LAYOUTS

HIPS, KNEES, ANKLES, WRISTS = [11, 12], [13, 14], [15, 16], [9, 10]


def bodies(action, count=12, num_frames=90):
    """Joints (count, T, 17, 3) in meters."""
    return np.stack([animate(action, np.random.default_rng([7, i]), num_frames)
                     for i in range(count)])


def angle(joints, a, b, c):
    """Angle in degrees at joint b."""
    u, v = joints[..., a, :] - joints[..., b, :], joints[..., c, :] - joints[..., b, :]
    cosine = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    return np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize('action', ACTIONS)
def test_synthetic_body_is_rigid_and_above_the_floor(action):
    joints = bodies(action, count=6)
    for a, b in ((5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16), (5, 6),
                 (11, 12), (3, 4)):
        length = np.linalg.norm(joints[:, :, a] - joints[:, :, b], axis=-1)  # (N, T)
        assert np.ptp(length, axis=1).max() < 1e-9
        assert length.min() > .05
        assert length.max() < .6
    assert joints[..., 2].min() > 0
    assert np.linalg.norm(np.diff(joints, axis=1), axis=-1).max() * 30 < 25  # m/s


@pytest.mark.parametrize('action', ACTIONS)
def test_synthetic_knees_fold_backwards_and_elbows_forwards(action):
    joints = bodies(action, count=6)
    trunk = joints[:, :, [5, 6]].mean(2) - joints[:, :, HIPS].mean(2)
    left = joints[:, :, 11] - joints[:, :, 12]
    forward = np.cross(left, trunk)  # out of the chest
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    for hip, knee, ankle in ((11, 13, 15), (12, 14, 16)):
        # Bent the wrong way, the knee would be behind the line from hip to ankle. The chest is
        # no measure of that where the trunk is turned far, hence the margin.
        middle = (joints[:, :, hip] + joints[:, :, ankle]) / 2
        ahead = ((joints[:, :, knee] - middle) * forward).sum(-1)
        assert ahead.min() > -.12
        assert angle(joints, hip, knee, ankle).min() > 29  # folded by 150 degrees at most
    for shoulder, elbow, wrist in ((5, 7, 9), (6, 8, 10)):
        assert angle(joints, shoulder, elbow, wrist).min() > 29


def test_synthetic_walking_and_running_travel_forwards():
    distance = {}
    for action in ('walk', 'run', 'squat', 'wave'):
        joints = bodies(action)
        hips = joints[:, :, HIPS].mean(2)
        distance[action] = hips[:, -1, 0] - hips[:, 0, 0]  # the body looks along x at the start
    assert distance['walk'].min() > 2  # in 3 seconds
    assert distance['run'].mean() > 1.5 * distance['walk'].mean()
    assert max(abs(distance['squat']).max(), abs(distance['wave']).max()) < .5


def test_synthetic_sitting_lowers_the_hips_and_bends_the_knees():
    down, up = bodies('sit_down'), bodies('stand_up')
    height = down[:, :, HIPS, 2].mean(2)
    assert (height[:, -1] < .75 * height[:, 0]).all()
    assert (angle(down, 11, 13, 15)[:, -1] < 120).all()
    assert (angle(down, 11, 13, 15)[:, 0] > 150).all()
    height = up[:, :, HIPS, 2].mean(2)
    assert (height[:, -1] > 1.25 * height[:, 0]).all()


def test_synthetic_actions_reach_their_pose():
    fallen = bodies('fall')[:, -1]
    assert fallen[..., 2].max() < .8
    assert fallen[:, [5, 6, 11, 12], 2].mean() < .45
    assert (bodies('jump')[:, :, ANKLES, 2].min(2).max(1) > .2).all()  # both feet in the air
    assert (bodies('kick')[:, :, ANKLES, 2].max((1, 2)) > .4).all()
    clap = bodies('clap')
    assert np.median(np.linalg.norm(clap[:, :, 9] - clap[:, :, 10], axis=-1).min(1)) < .15
    drink = bodies('drink')
    assert np.median(np.linalg.norm(drink[:, :, WRISTS] - drink[:, :, :1], axis=-1)
                     .min((1, 2))) < .2
    wave = bodies('wave')
    assert (wave[:, :, WRISTS, 2].max((1, 2)) > wave[:, :, [5, 6], 2].mean((1, 2))).all()


def test_synthetic_image_has_y_down_and_is_not_mirrored():
    seen = 0
    for i in range(20):
        rng = np.random.default_rng(i)
        pixels, depth = project(animate('clap', rng, 40), rng)
        assert (pixels[:, 0, 1] < pixels[:, ANKLES, 1].min(1)).all()
        assert depth.min() > 0
        facing = depth[:, 0].mean() < depth[:, 3:5].mean() - .05  # nose before the ears
        if facing:
            seen += 1
            assert pixels[:, 5, 0].mean() > pixels[:, 6, 0].mean()
    assert seen


@pytest.mark.parametrize('action', ACTIONS)
def test_synthetic_clip_is_valid(action):
    for i in range(4):
        clip = synthesize(action, np.random.default_rng(i))
        assert validate(clip, num_classes=len(ACTIONS)) is None
        assert 40 <= clip['total_frames'] <= 120
        keypoint, score = clip['keypoint'], clip['keypoint_score']
        assert clip['frame_dir'].startswith(f'synthetic_{action}_')
        assert clip['label'] == ACTIONS.index(action)
        assert clip['img_shape'] == IMG_SHAPE
        assert keypoint.shape == (1, clip['total_frames'], 17, 2)
        assert keypoint.dtype == score.dtype == np.float32
        missing = score == 0
        assert (keypoint[missing] == 0).all()
        assert (keypoint[~missing] > 0).all()
        assert (keypoint < IMG_SHAPE[::-1]).all()
        assert score.mean() > .2
        assert score.max() <= 1


def test_synthetic_pose_noise_misses_joints_and_lowers_scores():
    rng = np.random.default_rng(0)
    errors, scores = [], []
    for i in range(60):
        pixels, depth = project(animate(i % len(ACTIONS), rng, 60), rng)
        keypoint, score = add_pose_noise(pixels, depth, rng, IMG_SHAPE)
        size = np.ptp(pixels, axis=1).max(-1).mean()
        errors.append((np.linalg.norm(keypoint - pixels, axis=-1) / size)[score > 0])
        scores.append(score)
    errors, scores = np.concatenate(errors), np.concatenate([s.ravel() for s in scores])
    assert .005 < (scores == 0).mean() < .15
    assert np.median(errors) < .02  # of the body size
    assert np.corrcoef(errors, scores[scores > 0])[0, 1] < -.3


def test_synthetic_clip_depends_on_its_generator_only():
    state = np.random.get_state()[1].copy()
    first, again = (synthesize('walk', np.random.default_rng(3)) for _ in range(2))
    by_index = synthesize(ACTIONS.index('walk'), np.random.default_rng(3))
    other = synthesize('walk', np.random.default_rng(4), num_frames=50)
    assert first['frame_dir'] == again['frame_dir']
    np.testing.assert_array_equal(first['keypoint'], again['keypoint'])
    np.testing.assert_array_equal(first['keypoint'], by_index['keypoint'])
    assert other['total_frames'] == 50
    assert (np.random.get_state()[1] == state).all()  # the global generator is untouched


def test_synthetic_actions_differ_in_motion_not_in_one_pose():
    """Nearest class mean of root-centered poses: above chance, far from perfect."""
    def features(seed):
        rows = []
        for i in range(12 * len(ACTIONS)):
            rng = np.random.default_rng([seed, i])
            joints, _ = project(animate(i % len(ACTIONS), rng, 48), rng)
            joints = joints - joints[:, HIPS].mean(1, keepdims=True)
            rows.append(joints[::3] / np.ptp(joints, axis=1).max())
        return np.stack(rows).reshape(len(rows), 16, -1), np.arange(len(rows)) % len(ACTIONS)

    (train, label), (test, truth) = features(0), features(1)

    def accuracy(train, test):
        means = np.stack([train[label == c].mean(0) for c in range(len(ACTIONS))])
        distance = np.linalg.norm(test[:, None] - means, axis=-1)
        return (distance.argmin(1) == truth).mean()

    assert accuracy(train.reshape(len(train), -1), test.reshape(len(test), -1)) > .3
    assert accuracy(train[:, 0], test[:, 0]) < .6


def test_synthetic_dataset_is_deterministic_and_balanced():
    config = dict(type='SyntheticMotion', num_clips=30, num_frames=(20, 30))
    train, again = DATASETS.build(config), DATASETS.build(config)
    longer = DATASETS.build(dict(config, num_clips=45))
    test = DATASETS.build(dict(config, seed=1))
    assert isinstance(train, SyntheticMotion)
    assert len(train) == 30
    assert train.metainfo['classes'] == list(ACTIONS)
    assert train.metainfo['left_kp'] == list(LAYOUTS['coco17'].left)
    for i in range(30):
        clip = train[i]
        np.testing.assert_array_equal(clip['keypoint'], again[i]['keypoint'])
        np.testing.assert_array_equal(clip['keypoint'], longer[i]['keypoint'])
        assert 20 <= clip['total_frames'] <= 30
        assert clip['sample_idx'] == i
        assert clip['label'] == i % len(ACTIONS)
    names = [{d[i]['frame_dir'] for i in range(30)} for d in (train, test)]
    assert len(names[0] | names[1]) == 60
    assert not np.array_equal(train[0]['keypoint'], test[0]['keypoint'])


def test_synthetic_dataset_with_some_actions_has_their_labels():
    dataset = SyntheticMotion(num_clips=4, actions=('fall', 'walk'), num_frames=(16, 16), repeat=2)
    assert len(dataset) == 8
    assert dataset.metainfo['classes'] == ['fall', 'walk']
    assert [dataset[i]['label'] for i in range(4)] == [0, 1, 0, 1]
    assert dataset[1]['frame_dir'].startswith('synthetic_walk_')


@pytest.mark.parametrize(('kwargs', 'message'), [
    (dict(actions=('moonwalk',)), 'moonwalk'), (dict(num_clips=0), 'num_clips'),
    (dict(num_frames=(50, 40)), 'num_frames'), (dict(num_frames=(1, 40)), 'num_frames')])
def test_synthetic_dataset_names_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SyntheticMotion(**{'num_clips': 2, **kwargs})


@pytest.mark.parametrize('action', ['moonwalk', -1, 99])
def test_synthesize_names_unknown_action(action):
    with pytest.raises(ValueError, match=f'{action}.*walk'):
        synthesize(action, np.random.default_rng(0))


def test_synthesize_needs_two_frames():
    assert synthesize('run', np.random.default_rng(0), num_frames=2)['total_frames'] == 2
    with pytest.raises(ValueError, match='num_frames is 1'):
        animate('run', np.random.default_rng(0), 1)
