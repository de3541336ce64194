"""Transforms from keypoints in pixels or meters to the normalized data of a lifter.

Every normalization is affine and the same for x and y: ``v = (p - norm_center) / norm_scale``, and
``z / norm_scale`` for 3D labels. Both are added to the sample, to invert it. Axes are x to the
right, y down, z forward. Keypoints (..., 17, 2), scores (..., 17) and labels (..., 17, 3) may have
any leading axes; the layout is ``h36m17``. MotionBERT, arXiv 2210.06551, Sec. 3.3 and 4.2.
"""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mofm.datasets.transforms import PackMotionInputs
from mofm.registry import TRANSFORMS
from mofm.utils.checks import is_number, is_range, require

from .datasets import LAYOUT

_FLIP = LAYOUT.flip_index
_TRUNK = [(LAYOUT.joints.index(joint), [LAYOUT.joints.index(end) for end in ends])
          for joint, *ends in (('pelvis', 'left_hip', 'right_hip'), ('spine', 'pelvis', 'neck'))]


def _normalize(results: dict, center: np.ndarray, scale: float):
    """Apply ``v = (p - center) / scale`` and record center and scale."""
    results['keypoint'] = ((results['keypoint'] - center) / scale).astype(np.float32)
    if 'keypoint_3d' in results:
        label = results['keypoint_3d'] / scale
        label[..., :2] -= np.asarray(center) / scale
        results['keypoint_3d'] = label.astype(np.float32)
    results['norm_center'] = np.asarray(center, np.float32)
    results['norm_scale'] = float(scale)
    return results


@TRANSFORMS.register_module()
class NormalizeByWidth(BaseTransform):
    """Normalize so that the image width becomes [-1, 1], as for the cameras of Human3.6M.

    ``x' = 2 x / w - 1``, ``y' = 2 y / w - h / w``, ``z' = 2 z / w``. Modified keys: ``keypoint``
    and, if present, ``keypoint_3d``. Added keys: ``norm_center``, ``norm_scale``.
    """

    def transform(self, results: dict) -> dict:
        """Normalize by ``img_shape`` (h, w)."""
        height, width = results['img_shape']
        return _normalize(results, np.array([width / 2, height / 2]), width / 2)


@TRANSFORMS.register_module()
class NormalizeByShortSide(BaseTransform):
    """Normalize so that the shorter side of the image becomes [-1, 1], for use in the wild.

    ``(x, y)' = ((x, y) - (w, h) / 2) / (min(w, h) / 2)``. Keys as in :class:`NormalizeByWidth`.
    """

    def transform(self, results: dict) -> dict:
        """Normalize by ``img_shape`` (h, w)."""
        height, width = results['img_shape']
        return _normalize(results, np.array([width / 2, height / 2]), min(height, width) / 2)


def _box(points: np.ndarray) -> tuple:
    """Compute center (2,) and longer side of the bounding box of points (N, 2)."""
    low, high = points.min(0), points.max(0)
    return (low + high) / 2, (high - low).max()


@TRANSFORMS.register_module()
class NormalizeByBox(BaseTransform):
    """Normalize so that the square bounding box of a clip becomes [-1, 1].

    For people of different sizes in the image. Joints with score 0 are ignored; if the box has no
    size, keypoints are only centered. Keys as in :class:`NormalizeByWidth`.
    """

    def transform(self, results: dict) -> dict:
        """Normalize by the bounding box of all frames."""
        valid = results['keypoint'][results['keypoint_score'] != 0]  # (points, 2)
        middle, side = _box(valid) if len(valid) else (np.zeros(2), 0)
        return _normalize(results, middle, side / 2 or 1.)


@TRANSFORMS.register_module()
class CropScale(BaseTransform):
    """Normalize so that a randomly scaled square around all keypoints becomes [-1, 1].

    The square has the center of the bounding box of all persons and frames, and its longer side
    times a random ratio; keypoints outside are clipped, which cannot be inverted. Joints with
    score 0 are ignored; all keypoints become 0 if fewer than 4 remain or the box has no size.

    Modified keys: ``keypoint`` (..., 2), ``keypoint_score`` (...), which is clipped to [-1, 1] as
    in MotionBERT. Added keys: ``norm_center``, ``norm_scale``.

    Args:
        scale_range (tuple[float, float]): Range of the ratio; above 1 leaves a margin. Defaults
            to (1, 1).

    Raises:
        ValueError: If the range is invalid.
    """

    def __init__(self, scale_range: Sequence[float] = (1, 1)):
        require(is_range(scale_range, 1e-6), self, 'scale_range', scale_range,
                'a pair (low, high) with 0 < low <= high')
        self.scale_range = tuple(scale_range)

    def transform(self, results: dict) -> dict:
        """Normalize by the box."""
        require('keypoint_3d' not in results, self, 'keypoint_3d', '3D labels',
                'keypoints only; use CropScale3D for labels')
        keypoint, score = (np.asarray(results[key], np.float32)
                           for key in ('keypoint', 'keypoint_score'))
        ratio = np.random.uniform(*self.scale_range)
        valid = keypoint[score != 0]  # (points, 2)
        middle, side = _box(valid) if len(valid) >= 4 else (np.zeros(2), 0)
        side = side * ratio
        if side == 0:
            results['keypoint'] = np.zeros(keypoint.shape, np.float32)
            results['keypoint_score'] = np.zeros(score.shape, np.float32)
            results['norm_center'], results['norm_scale'] = np.zeros(2, np.float32), 1.
            return results
        _normalize(results, middle, side / 2)
        np.clip(results['keypoint'], -1, 1, out=results['keypoint'])
        results['keypoint_score'] = np.clip(score, -1, 1)
        return results


@TRANSFORMS.register_module()
class CropScale3D(CropScale):
    """Normalize 3D labels by the bounding box of x and y, see :class:`CropScale`.

    The longer side s of the box is divided by a random ratio, nothing is clipped, and
    ``z' = 2 (z - z_0) / s - 1`` with the depth z_0 of the first root. Labels whose box has no size
    become 0. Modified key: ``keypoint_3d`` (..., T, 17, 3). Added keys: ``norm_center``,
    ``norm_scale``.

    Args:
        scale_range (tuple[float, float]): Range of the ratio; below 1 leaves a margin. Defaults
            to (1, 1).
    """

    def transform(self, results: dict) -> dict:
        """Normalize by the box."""
        label = results['keypoint_3d']
        middle, side = _box(label[..., :2].reshape(-1, 2))
        half = side / np.random.uniform(*self.scale_range) / 2
        results['norm_center'] = np.asarray(middle, np.float32)
        results['norm_scale'] = float(half) or 1.
        offset = np.append(middle, label[..., 0, 0, 2].flat[0])
        results['keypoint_3d'] = np.zeros(label.shape, np.float32)
        if half > 0:
            results['keypoint_3d'] = ((label - offset) / half - (0, 0, 1)).astype(np.float32)
        return results


@TRANSFORMS.register_module()
class ScaleMotion(BaseTransform):
    """Scale 3D labels from meters to network units, without centering.

    Modified key: ``keypoint_3d``. Added keys: ``norm_center``, ``norm_scale``.

    Args:
        scale (float): Scale factor. Defaults to 0.298, which matches people in AMASS to the image
            size of Human3.6M.
    """

    def __init__(self, scale: float = 0.298):
        require(is_number(scale, 1e-6), self, 'scale', scale, 'a positive number')
        self.scale = scale

    def transform(self, results: dict) -> dict:
        """Scale the labels."""
        results['keypoint_3d'] = (results['keypoint_3d'] * self.scale).astype(np.float32)
        results['norm_center'], results['norm_scale'] = np.zeros(2, np.float32), 1 / self.scale
        return results


@TRANSFORMS.register_module()
class RandomYaw(BaseTransform):
    """Rotate 3D labels by a random angle about the vertical through the mean root position.

    For recordings with arbitrary heading, e.g. motion capture. Modified key:
    ``keypoint_3d`` (T, 17, 3).
    """

    def transform(self, results: dict) -> dict:
        """Rotate about the y axis."""
        turn = np.deg2rad(np.random.uniform(-180, 180))
        c, s = np.cos(turn), np.sin(turn)
        label = results['keypoint_3d']
        middle = label[:, 0].mean(0) * (1, 0, 1)
        rotation = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])  # for row vectors
        results['keypoint_3d'] = ((label - middle) @ rotation + middle).astype(np.float32)
        return results


@TRANSFORMS.register_module()
class SyntheticKeypoints(BaseTransform):
    """Synthesize 2D input from 3D labels by orthographic projection.

    Required key: ``keypoint_3d`` (..., 17, 3). Added keys: ``keypoint`` and
    ``keypoint_score``, all 1.
    """

    def transform(self, results: dict) -> dict:
        """Project along z."""
        label = results['keypoint_3d']
        results['keypoint'] = label[..., :2].copy()
        results['keypoint_score'] = np.ones(label.shape[:-1], np.float32)
        return results


@TRANSFORMS.register_module()
class LiftingFlip(BaseTransform):
    """Mirror normalized keypoints and labels: negate x and swap left and right joints.

    Modified keys: ``keypoint`` (..., 17, 2), ``keypoint_score`` (..., 17) and, if present,
    ``keypoint_3d`` (..., 17, 3). Added key: ``flip``.

    Args:
        prob (float): Flip probability. Defaults to 0.5.
    """

    def __init__(self, prob: float = 0.5):
        require(is_number(prob, 0, 1), self, 'prob', prob, 'a number in [0, 1]')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Flip all frames or none."""
        results['flip'] = np.random.rand() < self.prob
        if results['flip']:
            for key in ('keypoint', 'keypoint_3d'):
                if key in results:
                    results[key] = results[key][..., _FLIP, :]  # a new array
                    results[key][..., 0] *= -1
            results['keypoint_score'] = results['keypoint_score'][..., _FLIP]
        return results


@TRANSFORMS.register_module()
class LiftingMirror(LiftingFlip):
    """Add the mirror image as a second clip, over whose predictions heads average.

    Modified keys: ``keypoint`` (M, T, 17, 2) to (2, M, T, 17, 2), ``keypoint_score`` likewise.
    """

    def __init__(self):
        super().__init__(1.)

    def transform(self, results: dict) -> dict:
        """Stack the clip and its mirror image."""
        mirrored = super().transform(dict(results))
        for key in ('keypoint', 'keypoint_score'):
            results[key] = np.stack([results[key], mirrored[key]])
        return results


@TRANSFORMS.register_module()
class FillJoints(BaseTransform):
    """Interpolate joints that are missing in some frames linearly along time.

    Lifters are trained on complete poses. Before the first and after the last frame that shows a
    joint it stays where it was; a joint that no frame shows stays missing. The score is the lower
    one of both ends.

    Modified keys: ``keypoint`` (..., T, 17, 2), ``keypoint_score`` (..., T, 17).
    """

    def transform(self, results: dict) -> dict:
        """Interpolate."""
        keypoint, score = results['keypoint'], results['keypoint_score']
        seen, last = score != 0, score.shape[-2] - 1
        rows = np.arange(last + 1)[:, None]
        before = np.maximum.accumulate(np.where(seen, rows, -1), -2)
        after = np.minimum.accumulate(np.where(seen, rows, last + 1)[..., ::-1, :],
                                      -2)[..., ::-1, :]
        any_seen = seen.any(-2, keepdims=True)
        first = np.where(before < 0, after, before).clip(0, last)
        second = np.where(after > last, before, after).clip(0, last)
        share = ((rows - first) / np.maximum(second - first, 1))[..., None]
        ends = [np.take_along_axis(keypoint, index[..., None], -3) for index in (first, second)]
        filled = ((1 - share) * ends[0] + share * ends[1]).astype(keypoint.dtype)
        results['keypoint'] = np.where((any_seen & ~seen)[..., None], filled, keypoint)
        results['keypoint_score'] = np.where(
            any_seen & ~seen, np.minimum(*(np.take_along_axis(score, index, -2)
                                           for index in (first, second))), score)
        return results


@TRANSFORMS.register_module()
class DeriveTrunk(BaseTransform):
    """Place the pelvis between the hips and the spine between pelvis and neck.

    For keypoints that were clipped, as the released pre-training clips the joints of PoseTrack
    before it derives those that PoseTrack lacks. Modified key: ``keypoint`` (..., 17, 2).
    """

    def transform(self, results: dict) -> dict:
        """Derive pelvis and spine."""
        keypoint = results['keypoint'].copy()
        for joint, ends in _TRUNK:
            keypoint[..., joint, :] = keypoint[..., ends, :].mean(-2)
        results['keypoint'] = keypoint
        return results


@TRANSFORMS.register_module()
class ZeroMissing(BaseTransform):
    """Set joints with score 0 to the origin, after a normalization that moved them.

    Modified key: ``keypoint`` (..., 17, 2).
    """

    def transform(self, results: dict) -> dict:
        """Zero missing joints."""
        results['keypoint'] = results['keypoint'] * (results['keypoint_score'] != 0)[..., None]
        return results


@TRANSFORMS.register_module()
class PackLiftingInputs(PackMotionInputs):
    """Pack normalized keypoints and their 3D labels.

    Required keys: ``keypoint`` ([[clips,] M,] T, 17, 2), ``keypoint_score`` likewise. Optional
    key: ``keypoint_3d`` (T, 17, 3).

    Args:
        noise (bool): Whether the data preprocessor adds pose noise in training. Defaults to False.
        masked (bool): Whether it masks joints and frames. Defaults to False.
        meta_keys (Sequence[str]): Keys to copy to the meta information if present.
    """

    def __init__(self, noise: bool = False, masked: bool = False,
                 meta_keys: Sequence[str] = ('frame_dir', 'sample_idx', 'img_shape', 'flip',
                                             'clip', 'track_id', 'frame', 'exemplar', 'source',
                                             'action', 'frame_inds', 'norm_center', 'norm_scale',
                                             'factor', 'target_3d')):
        super().__init__(tuple(meta_keys))
        self.noise = noise
        self.masked = masked

    def transform(self, results: dict) -> dict:
        """Pack a sample.

        Returns:
            dict: ``inputs`` with ``keypoints`` ([clips,] M, 17, T, 3) float32, x, y and score,
            ``noise`` and ``masked`` bool () and, with labels, ``target`` (T, 17, 3) float32;
            ``data_samples`` as in :class:`PackMotionInputs`.
        """
        score = results['keypoint_score'][..., None]
        keypoints = np.concatenate([results['keypoint'], score], -1, dtype=np.float32)
        if keypoints.ndim == 3:
            keypoints = keypoints[None]  # ([clips,] M, T, 17, 3)
        packed = super().transform(dict(results, keypoints=keypoints.swapaxes(-3, -2)))
        packed['inputs'].update(noise=torch.tensor(self.noise), masked=torch.tensor(self.masked))
        if 'keypoint_3d' in results:
            packed['inputs']['target'] = torch.from_numpy(
                np.ascontiguousarray(results['keypoint_3d'], np.float32))
        return packed
