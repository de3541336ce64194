"""Errors of 3D poses against their definitions, and the Human3.6M protocol."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from projects.motionbert.lifting.metrics import PoseAccuracy3D, mpjpe, n_mpjpe, p_mpjpe

RNG = np.random.default_rng(0)


def poses(*shape):
    return RNG.normal(0, 300, (*shape, 17, 3))


def distance(a, b):
    """Average the distance over joints with scalars."""
    return sum(math.dist(p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)) / len(a)


def aligned(pred, target):
    """Align with SciPy's rotation and a least-squares scale."""
    y, x = pred - pred.mean(0), target - target.mean(0)
    y = Rotation.align_vectors(x, y)[0].apply(y)
    return (x * y).sum() / (y * y).sum() * y, x


def scaled(pred, target):
    scale = np.linalg.lstsq(pred.reshape(-1, 1), target.ravel(), rcond=None)[0]
    return scale * pred, target


@pytest.mark.parametrize(('metric', 'align'), [
    (mpjpe, lambda pred, target: (pred, target)), (p_mpjpe, aligned), (n_mpjpe, scaled)])
def test_pose_3d_errors_of_frames_equal_formula(metric, align):
    pred, target = poses(4, 6), poses(4, 6)
    target[:2] = pred[:2] + 0.1 * poses(2, 6)  # the best orthogonal map is no reflection
    found = metric(pred, target)
    assert found.shape == (4, 6)
    for clip in range(4):
        for frame in range(6):
            expected = distance(*align(pred[clip, frame], target[clip, frame]))
            assert found[clip, frame] == pytest.approx(expected, rel=1e-9)
    assert metric(pred[0, 0], target[0, 0]) == pytest.approx(found[0, 0])


def test_pose_3d_alignment_removes_similarity_only():
    target = poses(8)
    turned = 0.3 * target @ Rotation.random(random_state=1).as_matrix() + [9, 8, 7]
    assert p_mpjpe(turned, target).max() < 1e-9 < 1 < n_mpjpe(turned, target).min()
    assert n_mpjpe(0.3 * target, target).max() < 1e-9 < 1 < mpjpe(0.3 * target, target).min()
    assert p_mpjpe(target * [-1, 1, 1], target).min() > 50  # a mirror image is another pose
    nothing = np.zeros((17, 3))
    assert p_mpjpe(nothing, target[0]) == pytest.approx(
        np.linalg.norm(target[0] - target[0].mean(0), axis=1).mean())
    assert n_mpjpe(nothing, target[0]) == pytest.approx(mpjpe(nothing, target[0]))


SCALE, FACTOR = 500., 2.5  # pixels per unit, mm per pixel


def sample(frames, error, source='s_09_act_02_subact_01_ca_01', action='Walk'):
    """Create a clip with errors of ``error`` (T,) mm along x at all joints but the root."""
    target = np.random.default_rng(5).normal(0, 300, (99, 17, 3))[frames].astype(np.float32)
    pred = target + 1000.  # the root position is irrelevant
    pred[:, 1:, 0] += np.asarray(error, np.float32)[:, None]
    return dict(pred_keypoints_3d=torch.from_numpy(pred / (SCALE * FACTOR))[None],
                norm_scale=SCALE, factor=np.full(len(frames), FACTOR, np.float32),
                target_3d=target, frame_inds=np.array(frames), source=source, action=action)


def evaluate(*clips, **options):
    metric = PoseAccuracy3D(**options)
    metric.process({}, clips)
    return metric.evaluate(len(clips))


def test_pose_3d_protocol_equals_hand_computation():
    """Frame 2 is in two clips; actions have equal weights."""
    out = evaluate(
        sample([0, 1, 2], [17, 34, 34]), sample([2, 3], [68, 17]),
        sample([4, 5], [170, 170], 's_11_act_03_subact_02_ca_03', 'Eat'),
        # not adjacent to frame 5 or each other
        sample([8, 6], [0, 34], 's_11_act_03_subact_02_ca_04', 'Eat'),
        sample([10, 11], [999, 999], 's_09_act_05_subact_02_ca_02', 'Sit'))
    joints = 16 / 17
    walk, eat = (17 + 34 + (34 + 68) / 2 + 17) / 4, (170 + 170 + 0 + 34) / 4
    assert out['pose3d/mpjpe_Walk'] == pytest.approx(walk * joints, rel=1e-5)
    assert out['pose3d/mpjpe_Eat'] == pytest.approx(eat * joints, rel=1e-5)
    assert out['pose3d/mpjpe'] == pytest.approx((walk + eat) / 2 * joints, rel=1e-5)
    # the mean error of frame 2 is 51: Walk steps 17, 17, -34; Eat 0, over neighbors only
    assert out['pose3d/mpjve'] == pytest.approx((68 / 3 + 0) / 2 * joints, rel=1e-4)
    # Walk 0 and -51; no action Eat has three frames in a row
    assert out['pose3d/acceleration'] == pytest.approx(51 / 2 * joints, rel=1e-4)
    assert 'pose3d/mpjpe_Sit' not in out
    assert 0 < out['pose3d/p_mpjpe'] < out['pose3d/n_mpjpe'] < out['pose3d/mpjpe']
    assert (out['pose3d/p_mpjpe_Walk'] + out['pose3d/p_mpjpe_Eat']) / 2 == pytest.approx(
        out['pose3d/p_mpjpe'])


def test_pose_3d_intervals_are_over_recordings():
    """Walk in three recordings, one of them in two views; Eat in one, which has no interval."""
    errors, clips = (17, 34, 51, 68), []
    for i, (error, name) in enumerate(zip(errors, ('01_ca_01', '01_ca_02', '02_ca_01', '03_ca_01'),
                                          strict=True)):
        clips.append(sample([9 * i, 9 * i + 1], [error] * 2, f's_09_act_02_subact_{name}'))
    clips.append(sample([50, 51], [170, 170], 's_11_act_03_subact_02_ca_03', 'Eat'))
    metric = PoseAccuracy3D()
    metric.process({}, clips)
    out = metric.evaluate(len(clips))
    found = metric.references()['mpjpe']
    assert found.over == '4 recordings'
    assert found.low < out['pose3d/mpjpe'] < found.high
    assert math.isnan(found.chance)
    (title, (_, (eat, walk))), = metric.tables().items()
    assert title == 'Actions'
    assert eat[:4] == ['Eat', 2, 1, '160.0']
    assert walk[:3] == ['Walk', 8, 3]
    # draws of three recordings with mean errors of 24, 48 and 64 mm
    assert walk[3] == '40.0 [24.0, 64.0]'


def test_pose_3d_metric_skips_blocked_sources():
    clips = [sample([0, 1, 2], [17] * 3),
             sample([3, 4], [51, 51], 's_09_act_13_subact_01_ca_01', 'Eat')]
    assert evaluate(*clips)['pose3d/mpjpe'] == pytest.approx(16, rel=1e-5)
    with pytest.raises(ValueError, match='found none but those of blocked sources'):
        evaluate(clips[1])


def test_pose_3d_metric_names_bad_samples():
    clip = sample([0, 1], [1, 1])
    with pytest.raises(ValueError, match='s_09_act_02_subact_01_ca_01.*found NaN'):
        evaluate(dict(clip, pred_keypoints_3d=clip['pred_keypoints_3d'] * math.nan))
    del clip['target_3d']
    with pytest.raises(ValueError, match='expected labels in mm; set test_mode=True'):
        evaluate(clip)
