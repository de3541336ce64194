"""Optimized code of the loader equals the plain code."""

import numpy as np
from mmaction.structures import ActionDataSample

from mofm.annotations import validate
from mofm.annotations.values import MAX_SIZES
from mofm.datasets.transforms import PackMotionInputs, PoseAffine, UniformSampleFrames


def test_validate_finds_half_precision_within_limits_as_numpy():
    """Numbers of every exponent and sign, among them infinite ones and NaN."""
    bits = np.arange(0, 2**16, 64)[:, None] + [0, 1, 63]
    numbers = bits.astype(np.uint16).ravel().view(np.float16)
    keypoint = np.ones((1, 1, 1, 2), np.float16)
    ann = dict(frame_dir='a', label=0, img_shape=(9, 9), total_frames=1, keypoint=keypoint,
               keypoint_score=np.ones((1, 1, 1), np.float16))
    assert validate(ann, num_joints=1) is None
    found = []
    for number in numbers:
        keypoint[0, 0, 0, 1] = number
        found.append(validate(ann, num_joints=1) is None)
    np.testing.assert_array_equal(found, np.abs(numbers) <= 9 * MAX_SIZES)


def test_sampling_of_a_clip_does_not_depend_on_others():
    """A clip does not depend on the clips before it: a generator with the seed for each."""
    sampler = UniformSampleFrames(clip_len=48, test_mode=True)
    for frames in (300, 70, 20, 300, 95):
        results = sampler(dict(keypoint=np.ones((1, frames, 17, 2), np.float16)))
        rng = np.random.RandomState(255)
        if frames >= 96:
            edges = np.arange(49) * frames // 48
            expected = [low + rng.randint(high - low) for low, high in zip(edges, edges[1:],
                                                                           strict=False)]
        elif frames >= 48:
            skipped = rng.choice(49, frames - 48, replace=False)
            expected = np.arange(48) + [(skipped <= i).sum() for i in range(48)]
        else:
            expected = np.arange(48) % frames
        np.testing.assert_array_equal(results['frame_inds'], expected)


def test_affine_equals_rotation_scale_and_shift():
    """p' = s R p + t, frame by frame."""
    points = np.random.default_rng(0).uniform(1, 100, (2, 5, 17, 2)).astype(np.float32)
    transform = PoseAffine(scale=(1.2, 1.2), rotation=30)
    np.random.seed(0)
    angle = np.deg2rad(np.random.uniform(-30, 30))
    np.random.seed(0)
    moved = transform(dict(keypoint=points, img_shape=(80, 60)))['keypoint']
    matrix = 1.2 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for m, t, v in np.ndindex(2, 5, 17):
        expected = matrix @ (points[m, t, v] - (30, 40)) + (30, 40)
        np.testing.assert_allclose(moved[m, t, v], expected, atol=1e-3)


def test_data_sample_equals_that_of_mmaction2():
    """Fields set one by one equal those that the constructor and set_gt_label set."""
    meta = dict(frame_dir='a', sample_idx=3, img_shape=(9, 9), total_frames=7, num_clips=1)
    keypoints = np.zeros((1, 17, 48, 3), np.float32)
    sample = PackMotionInputs()(dict(meta, keypoints=keypoints, label=5))['data_samples']
    expected = ActionDataSample(metainfo=meta).set_gt_label(5)
    assert sample.metainfo == expected.metainfo
    assert sample.keys() == expected.keys()
    assert sample.gt_label.dtype == expected.gt_label.dtype
    assert sample.gt_label.tolist() == expected.gt_label.tolist() == [5]
