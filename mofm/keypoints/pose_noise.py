"""Pose noise: errors of a 2D pose estimator, added to exact COCO-17 keypoints."""

import numpy as np

_FACE, _EARS, _TORSO = slice(0, 5), slice(3, 5), [5, 6, 12, 11]
# Elbow and wrist, knee and ankle, whose sides are confused.
_LIMBS = (((7, 9), (8, 10)), ((13, 15), (14, 16)))
_RUN = 4  # duration of a miss or a swap in frames


def _runs(rng: np.random.Generator, frames: int, count: int) -> np.ndarray:
    """Draw uniform numbers that are constant for a few frames, (T, count)."""
    draw = np.repeat(rng.random((frames // _RUN + 2, count)), _RUN, axis=0)
    return draw[rng.integers(_RUN):][:frames]


def _occlusion(pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Estimate occlusion by the trunk or the head, (T, 17) bool."""
    hidden = np.zeros(depth.shape, dtype=bool)
    head = depth[:, _EARS].mean(1, keepdims=True)
    hidden[:, _FACE] = depth[:, _FACE] > head + .05
    quad = pixels[:, _TORSO]  # (T, 4, 2), a ring
    edge = np.roll(quad, -1, axis=1) - quad
    to_joint = pixels[:, :, None] - quad[:, None]  # (T, 17, 4, 2)
    side = edge[:, None, :, 0] * to_joint[..., 1] - edge[:, None, :, 1] * to_joint[..., 0]
    inside = (side > 0).all(-1) | (side < 0).all(-1)
    behind = depth > depth[:, _TORSO].mean(1, keepdims=True) + .06
    behind[:, _TORSO] = False
    return hidden | (inside & behind)


def _swaps(rng: np.random.Generator, frames: int, num_joints: int, rate: float) -> np.ndarray:
    """Return the index of the joint reported for each joint, (T, 17)."""
    index = np.tile(np.arange(num_joints), (frames, 1))
    for (left, right), draw in zip(_LIMBS, _runs(rng, frames, len(_LIMBS)).T, strict=True):
        index[np.ix_(draw < rate, left + right)] = right + left
    return index


def add_pose_noise(pixels: np.ndarray, depth: np.ndarray, rng: np.random.Generator,
                   img_shape: tuple[int, int], far: float = 0,
                   swap: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Simulate the output of a 2D pose estimator.

    Jitter increases with speed, distance and occlusion, confidence decreases with the error, and
    joints are missed for a few frames at a time. Joints outside the image are missed too.

    Args:
        pixels (np.ndarray): (T, 17, 2) true positions, NaN where unknown.
        depth (np.ndarray): (T, 17) meters from the camera, NaN where unknown.
        rng (np.random.Generator): Random number generator.
        img_shape (tuple[int, int]): Height and width in pixels.
        far (float): Jitter per meter of distance, in body sizes.
        swap (float): Share of frames with swapped arms, and with swapped legs.

    Returns:
        tuple: keypoint (T, 17, 2) pixels and score (T, 17) in [0, 1], both 0 for missed joints.
    """
    frames, num_joints = depth.shape
    known = np.isfinite(pixels).all(-1)
    # fmax and fmin ignore unknown joints.
    extent = (np.fmax.reduce(pixels, axis=1) - np.fmin.reduce(pixels, axis=1)).max(-1)
    size = np.median(extent[known.any(1)]) if known.any() else 1
    speed = np.zeros(depth.shape)
    if frames > 1:
        speed = np.nan_to_num(np.linalg.norm(np.gradient(pixels, axis=0), axis=-1) / size)
    speed = np.minimum(speed, .15)
    hidden = _occlusion(pixels, depth)
    quality = rng.uniform(.5, 1.5)
    std = quality * (.005 + .12 * speed + .015 * hidden + far * np.nan_to_num(depth))
    error = rng.normal(size=pixels.shape) * std[..., None]  # in body sizes
    keypoint = pixels + error * size
    score = (.96 - 6 * np.linalg.norm(error, axis=-1) - .35 * hidden
             + rng.normal(0, .03, hidden.shape))
    missed = _runs(rng, frames, num_joints) < quality * (.01 + .15 * hidden + .3 * speed)
    height, width = img_shape
    missed |= ~(known & (keypoint > 0).all(-1) & (keypoint < [width, height]).all(-1))
    score = np.where(missed, 0, np.clip(score, .05, 1))
    keypoint = np.where(missed[..., None], 0, keypoint)
    if swap:
        index = _swaps(rng, frames, num_joints, swap)
        score = np.take_along_axis(score, index, 1)
        keypoint = np.take_along_axis(keypoint, index[..., None], 1)
    return keypoint, score
