"""Transforms of UNIK and T-MOR (arXiv 2606.21607, Sec. II-A; arXiv 2107.08580).

A pipeline starts with :class:`NormalizeSkeleton`, which moves missing joints to the origin, where
the others keep them, and ends with :class:`PackSkeleton`. ``keypoint`` is (M, T, V, C), with two
or three coordinates.
"""

import numpy as np
from mmcv.transforms import BaseTransform
from scipy.spatial.transform import Rotation

from mofm.datasets.transforms import PackMotionInputs
from mofm.registry import TRANSFORMS
from mofm.structures import LAYOUTS, SCORE_THRESHOLD
from mofm.utils.checks import is_number, require, require_count


@TRANSFORMS.register_module()
class NormalizeSkeleton(BaseTransform):
    """Normalize coordinates to about [-1, 1] and set missing joints to 0.

    ========= ================================ ======================
    joints    origin                           unit
    ========= ================================ ======================
    2D        center of the image              half its longer side
    3D        mean of all joints of the clip   unchanged, a meter
    ``box``   center of the box of the clip    half its longest side
    ========= ================================ ======================

    A joint is missing if its score is below 1e-4, a coordinate is not finite, or all are 0.

    Modified keys: ``keypoint`` (M, T, V, C) float32, ``keypoint_score`` (M, T, V), optional.

    Args:
        box (bool): Normalize by the box around all joints of the clip. Defaults to False.

    Raises:
        ValueError: If the shapes do not match.
    """

    def __init__(self, box: bool = False):
        self.box = box

    def transform(self, results: dict) -> dict:
        """Shift and scale."""
        keypoint = np.array(results['keypoint'], np.float32)
        shape, score = keypoint.shape, results.get('keypoint_score')
        clip = results.get('frame_dir', 'unnamed')
        require(len(shape) == 4 and shape[-1] in (2, 3), self, f'keypoint of clip {clip!r}', shape,
                'shape (persons, frames, joints, 2 or 3)')
        present = np.isfinite(keypoint).all(-1) & keypoint.any(-1)
        if score is not None:
            require(np.shape(score) == shape[:-1], self, f'keypoint_score of clip {clip!r}',
                    np.shape(score), f'shape {shape[:-1]}, keypoint without its last axis')
            present &= np.asarray(score) >= SCORE_THRESHOLD
            results['keypoint_score'] = np.where(present, score, 0).astype(np.float32)
        points = keypoint[present]
        if len(points):
            origin, unit = self._frame(points, results)
            keypoint = (keypoint - origin) / unit
        keypoint[~present] = 0
        results['keypoint'] = keypoint
        return results

    def _frame(self, points: np.ndarray, results: dict) -> tuple:
        """Return origin (C,) and unit of present joints (N, C)."""
        if self.box:
            low, high = points.min(0), points.max(0)
            return (low + high) / 2, max((high - low).max() / 2, 1e-6)
        if points.shape[1] == 3:
            return points.mean(0), np.float32(1)
        size = np.array(results['img_shape'][::-1], np.float32)
        return size / 2, size.max() / 2


@TRANSFORMS.register_module()
class SelectPersons(BaseTransform):
    """Select the persons that move most, and pad with empty ones.

    A person's motion is the sum of the standard deviations of the coordinates over present joints.

    Modified keys: ``keypoint`` (M, T, V, C), ``keypoint_score`` (M, T, V), optional.

    Args:
        num_persons (int): M. Defaults to 2.

    Raises:
        ValueError: If M is not a positive integer.
    """

    def __init__(self, num_persons: int = 2):
        require_count(self, 'num_persons', num_persons, 'persons')
        self.num_persons = num_persons

    def transform(self, results: dict) -> dict:
        """Sort, crop and pad the axis of persons."""
        keypoint = results['keypoint']
        present = keypoint.any(-1, keepdims=True)
        count = present.sum((1, 2)).clip(1)  # (M, 1)
        mean = keypoint.sum((1, 2)) / count
        spread = np.square((keypoint - mean[:, None, None]) * present).sum((1, 2)) / count
        order = np.argsort(-np.sqrt(spread).sum(-1), kind='stable')[:self.num_persons]
        for key in ('keypoint', 'keypoint_score'):
            if key in results:
                persons = results[key][order]
                out = np.zeros((self.num_persons, *persons.shape[1:]), persons.dtype)
                out[:len(persons)] = persons
                results[key] = out
        return results


@TRANSFORMS.register_module()
class SkeletonMove(BaseTransform):
    """Simulate a moving camera: rotation, scale and shift change linearly over the clip.

    Frame t becomes ``p' = s_t R(a_t) p + d_t`` in the plane of the first two coordinates, for all
    persons. Starts and ends are drawn from the given values. Missing joints stay 0, unlike in the
    released code of UNIK.

    Modified key: ``keypoint`` (M, T, V, C).

    Args:
        angles (Sequence[float]): a in degrees. Defaults to (-10, -5, 0, 5, 10).
        scales (Sequence[float]): s. Defaults to (0.9, 1, 1.1).
        shifts (Sequence[float]): Both components of d. Defaults to (-0.2, -0.1, 0, 0.1, 0.2).
    """

    def __init__(self, angles: tuple = (-10, -5, 0, 5, 10), scales: tuple = (.9, 1, 1.1),
                 shifts: tuple = (-.2, -.1, 0, .1, .2)):
        self.choices = [angles, scales, shifts, shifts]

    def transform(self, results: dict) -> dict:
        """Move the clip."""
        keypoint = results['keypoint'].copy()
        start, end = np.array([np.random.choice(values, 2) for values in self.choices]).T
        a, s, *shift = np.linspace(start, end, keypoint.shape[1], axis=1, dtype=np.float32)
        cos, sin = s * np.cos(np.deg2rad(a)), s * np.sin(np.deg2rad(a))
        turn = np.stack([cos, sin, -sin, cos], -1).reshape(-1, 2, 2)  # of rows p, (T, 2, 2)
        moved = keypoint[..., :2] @ turn + np.stack(shift, -1)[:, None]
        keypoint[..., :2] = moved * keypoint.any(-1, keepdims=True)
        results['keypoint'] = keypoint
        return results


@TRANSFORMS.register_module()
class SkeletonRotate(BaseTransform):
    """Rotate the clip about the origin: 2D in the plane, 3D about the three axes in turn.

    Modified key: ``keypoint`` (M, T, V, C).

    Args:
        angle (float): Angles are drawn from [-angle, angle] degrees. Defaults to 30.

    Raises:
        ValueError: If ``angle`` is not in [0, 180].
    """

    def __init__(self, angle: float = 30.):
        require(is_number(angle, 0, 180), self, 'angle', angle, 'degrees in [0, 180]')
        self.angle = angle

    def transform(self, results: dict) -> dict:
        """Rotate."""
        keypoint = results['keypoint']
        dims = keypoint.shape[-1]
        angles = np.random.uniform(-1, 1, 3) * self.angle
        if dims == 2:
            angles[:2] = 0
        turn = Rotation.from_euler('xyz', angles, degrees=True).as_matrix()[:dims, :dims]
        results['keypoint'] = keypoint @ turn.T.astype(keypoint.dtype)
        return results


@TRANSFORMS.register_module()
class SkeletonFlip(BaseTransform):
    """Mirror the clip: negate x, swap left and right joints.

    Modified keys: ``keypoint`` (M, T, V, C), ``keypoint_score`` (M, T, V), optional.

    Args:
        prob (float): Probability, in [0, 1]. Defaults to 0.5.
        layout (str): Joint layout, a key of ``mofm.structures.LAYOUTS``. Defaults to 'unik17'.

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(self, prob: float = 0.5, layout: str = 'unik17'):
        require(is_number(prob, 0, 1), self, 'prob', prob, 'a number in [0, 1]')
        require(layout in LAYOUTS, self, 'layout', layout, f'one of {sorted(LAYOUTS)}')
        self.prob = prob
        self.order = LAYOUTS[layout].flip_index

    def transform(self, results: dict) -> dict:
        """Flip with the given probability."""
        if np.random.rand() < self.prob:
            keypoint = results['keypoint'][:, :, self.order].copy()
            keypoint[..., 0] *= -1
            results['keypoint'] = keypoint
            if 'keypoint_score' in results:
                results['keypoint_score'] = results['keypoint_score'][:, :, self.order]
        return results


@TRANSFORMS.register_module()
class SkeletonMirror(SkeletonFlip):
    """Add the mirror image as a second clip, over whose predictions heads average.

    Modified key: ``keypoint`` (M, T, V, C) to (2, M, T, V, C).

    Args:
        layout (str): Joint layout, see :class:`SkeletonFlip`. Defaults to 'unik17'.
    """

    def __init__(self, layout: str = 'unik17'):
        super().__init__(1., layout)

    def transform(self, results: dict) -> dict:
        """Stack the clip and its mirror image."""
        mirrored = super().transform(dict(results))['keypoint']
        results['keypoint'] = np.stack([results['keypoint'], mirrored])
        return results


@TRANSFORMS.register_module()
class DropJoints(BaseTransform):
    """Drop joints of the whole clip, each with the same random probability.

    Pose estimators and annotators miss the same joints throughout a recording. Without this
    transform, the missing joints reveal which views belong to the same recording.

    Modified keys: ``keypoint`` (M, T, V, C), ``keypoint_score`` (M, T, V), optional.

    Args:
        max_share (float): The probability is drawn from [0, max_share]. Defaults to 0.5.

    Raises:
        ValueError: If ``max_share`` is not in [0, 1].
    """

    def __init__(self, max_share: float = 0.5):
        require(is_number(max_share, 0, 1), self, 'max_share', max_share, 'a number in [0, 1]')
        self.max_share = max_share

    def transform(self, results: dict) -> dict:
        """Drop joints of each person."""
        persons, _, joints, _ = results['keypoint'].shape
        keep = np.random.rand(persons, 1, joints) >= np.random.uniform(0, self.max_share)
        results['keypoint'] = results['keypoint'] * keep[..., None]
        if 'keypoint_score' in results:
            results['keypoint_score'] = results['keypoint_score'] * keep
        return results


@TRANSFORMS.register_module()
class PackSkeleton(PackMotionInputs):
    """Pack ``keypoint`` ([2,] M, T, V, C) for a model that reads coordinates.

    The tensor is ([2,] M, V, T, C) float32, in the order of :class:`PackMotionInputs`.
    """

    def transform(self, results: dict) -> dict:
        """See :class:`PackMotionInputs`."""
        keypoints = np.asarray(results['keypoint'], np.float32).swapaxes(-3, -2)
        return super().transform(dict(results, keypoints=keypoints))
