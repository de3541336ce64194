"""Geometric transforms of keypoints: square crop and augmentations.

The crop is that of PoseConv3D (arXiv 2104.13586). All transforms read ``keypoint`` (M, T, V, 2) in
pixels, ``keypoint_score`` (M, T, V) and ``img_shape`` (h, w), and preserve missing joints with
coordinates 0 and score 0. After :class:`PoseCompact` the image is the square box around the
persons, to which fractions of the image then refer.
"""

import numpy as np
from mmcv.transforms import BaseTransform

from mofm.registry import TRANSFORMS
from mofm.structures import LAYOUTS
from mofm.utils.checks import is_number, is_range, require, require_count

from .utils import read_joints


@TRANSFORMS.register_module()
class PoseCompact(BaseTransform):
    """Crop the image to the persons.

    The tight box over the present joints of all persons and frames is expanded about its center by
    ``1 + padding``, then to the ratio of height to width; its edges are truncated to integer
    pixels as in mmaction2. One box per clip preserves the motion within the clip.

    Modified keys: ``keypoint``, ``keypoint_score``, ``img_shape``. Optional key: ``num_clips``.

    Args:
        padding (float): Expansion of the tight box, at least 0. Defaults to 0.25.
        threshold (float): Minimum height and width of the tight box in pixels; smaller boxes are
            not cropped. Defaults to 10.
        hw_ratio (float | tuple[float, float] | None): Height over width of the box, or its range;
            None for any. Defaults to 1.0.
        allow_imgpad (bool): Whether the box may exceed the image. Defaults to True.
        per_clip (bool): Crop each of the ``num_clips`` clips to a box of its own, resized to that
            of the first one. Defaults to False, one box for all.

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(self,
                 padding: float = 0.25,
                 threshold: float = 10,
                 hw_ratio=1.0,
                 allow_imgpad: bool = True,
                 per_clip: bool = False):
        require(is_number(padding, 0), self, 'padding', padding, 'a number of at least 0')
        require(is_number(threshold, 0), self, 'threshold', threshold, 'a number of at least 0')
        pair = (hw_ratio, hw_ratio) if is_number(hw_ratio, 0) else hw_ratio
        require(pair is None or is_range(pair, 1e-6), self, 'hw_ratio', hw_ratio,
                'None, a positive number or a pair (low, high) of them')
        self.padding = padding
        self.threshold = threshold
        self.hw_ratio = pair
        self.allow_imgpad = allow_imgpad
        self.per_clip = per_clip

    def transform(self, results: dict) -> dict:
        """Move the origin to the corner of the box."""
        if not self.per_clip:
            return self._crop(results)
        count = results.get('num_clips', 1)
        keys = [key for key in ('keypoint', 'keypoint_score') if results.get(key) is not None]
        parts = zip(*(np.split(np.asarray(results[key]), count, axis=1) for key in keys),
                    strict=True)
        clips = [self._crop(dict(results, **dict(zip(keys, part, strict=True)))) for part in parts]
        size = clips[0]['img_shape']
        for clip in clips:
            clip['keypoint'] *= np.float32(max(size) / max(clip['img_shape']))
        merged = {key: np.concatenate([clip[key] for clip in clips], axis=1)
                  for key in ('keypoint', 'keypoint_score')}
        return dict(results, **merged, img_shape=size)

    def _crop(self, results: dict) -> dict:
        keypoint, score, present = read_joints(self, results)
        results.update(keypoint=keypoint, keypoint_score=score)
        if not present.any():
            return results
        image = np.array(results['img_shape'][::-1], float)
        start, size, large = self.box(*self._tight(keypoint, present), image)
        if not large.all():
            return results
        keypoint -= start.astype(np.float32)
        keypoint[~present] = 0
        results['img_shape'] = (int(size[1]), int(size[0]))
        return results

    def box(self, low, high, image, xp=np) -> tuple:
        """Compute the box around the persons with NumPy or torch in double precision.

        Args:
            low (array): (..., 2) upper left corners of the tight boxes.
            high (array): (..., 2) lower right corners.
            image (array): (..., 2), width and height of the images.
            xp (module): ``numpy`` or ``torch``. Defaults to NumPy.

        Returns:
            tuple: Corner of the box (..., 2), its width and height (..., 2), and whether the
            tight box is large enough to be cropped (..., 1).
        """
        tight = high - low
        half = tight / 2 * (1 + self.padding)
        if self.hw_ratio is not None:
            width, height = half[..., 0], half[..., 1]
            height = xp.maximum(self.hw_ratio[0] * width, height)
            width = xp.maximum(height / self.hw_ratio[1], width)
            half = xp.stack((width, height), -1)
        start, end = (low + high) / 2 - half, (low + high) / 2 + half
        if not self.allow_imgpad:
            start, end = xp.clip(start, 0, None), xp.minimum(end, image)
        start = xp.trunc(start)
        return start, xp.trunc(end) - start, xp.amin(tight, -1, keepdims=True) >= self.threshold

    @staticmethod
    def _tight(keypoint: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Return corners (2, 2) of the tight box, in double precision as mmaction2."""
        planes = keypoint.transpose(3, 0, 1, 2).copy()  # (2, M, T, V): short last axes are slow
        np.copyto(planes, np.nan, where=~present)
        return np.array((np.fmin.reduce(planes, (1, 2, 3)), np.fmax.reduce(planes, (1, 2, 3))),
                        float)


@TRANSFORMS.register_module()
class PoseFlip(BaseTransform):
    """Mirror the clip: x becomes W - x, left and right joints are swapped.

    Modified keys: ``keypoint``, ``keypoint_score``. Added key: ``flip``.

    Args:
        prob (float): Probability, in [0, 1]. Defaults to 0.5.
        layout (str): Joint layout, a key of ``mofm.structures.LAYOUTS``. Defaults to 'coco17'.

    Raises:
        ValueError: If a parameter is out of range, or the number of joints differs.
    """

    def __init__(self, prob: float = 0.5, layout: str = 'coco17'):
        require(is_number(prob, 0, 1), self, 'prob', prob, 'a number in [0, 1]')
        require(layout in LAYOUTS, self, 'layout', layout, f'one of {sorted(LAYOUTS)}')
        self.prob = prob
        self.layout = LAYOUTS[layout]
        self.order = np.asarray(self.layout.flip_index)

    def transform(self, results: dict) -> dict:
        """Flip with the given probability."""
        results['flip'] = bool(np.random.rand() < self.prob)
        if results['flip']:
            keypoint, score, present = read_joints(self, results)
            require(keypoint.shape[2] == len(self.order), self, 'joints of keypoint',
                    keypoint.shape[2], f'{len(self.order)} as in layout {self.layout.name!r}')
            keypoint[..., 0] = results['img_shape'][1] - keypoint[..., 0]
            keypoint[~present] = 0
            results['keypoint'] = keypoint.take(self.order, axis=2)
            results['keypoint_score'] = score.take(self.order, axis=2)
        return results


@TRANSFORMS.register_module()
class PoseMirror(BaseTransform):
    """Append the mirror images of the clips as further clips of the recording.

    Heads average predictions over the clips of a recording, :class:`NearestNeighborDetector`
    collects all of them. Use it after :class:`PoseCompact`.

    Modified keys: ``keypoint`` (M, 2 * num_clips * F, V, 2), ``keypoint_score``, ``num_clips``.

    Args:
        layout (str): Joint layout, see :class:`PoseFlip`. Defaults to 'coco17'.
    """

    def __init__(self, layout: str = 'coco17'):
        self.flip = PoseFlip(1., layout)

    def transform(self, results: dict) -> dict:
        """Append the mirrored frames."""
        mirrored = self.flip.transform(dict(results))
        keypoint, score, _ = read_joints(self, results)
        results.update(
            keypoint=np.concatenate([keypoint, mirrored['keypoint']], 1),
            keypoint_score=np.concatenate([score, mirrored['keypoint_score']], 1),
            num_clips=2 * results.get('num_clips', 1))
        return results


@TRANSFORMS.register_module()
class PoseAffine(BaseTransform):
    """Scale, rotate, stretch, shear and shift the clip about the center of the image.

    All persons and frames of a clip have the same parameters:
    ``p' = s R(a) A (p - c) + c + (d_x W, d_y H)`` with ``A = ((1 + b, e), (0, 1))``. A stretch
    along x and a shear resemble another camera: a person who is turned gets narrower.

    Modified keys: ``keypoint``, ``keypoint_score``.

    Args:
        scale (tuple[float, float]): Range of s, positive. Defaults to (1.0, 1.0).
        shift (float): d_x and d_y are drawn from [-shift, shift], fractions of the image.
            Defaults to 0.
        rotation (float): a is drawn from [-rotation, rotation] degrees. Defaults to 0.
        stretch (float): b is drawn from [-stretch, stretch], below 1. Defaults to 0.
        shear (float): e is drawn from [-shear, shear]. Defaults to 0.

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(self, scale: tuple = (1.0, 1.0), shift: float = 0.0, rotation: float = 0.0,
                 stretch: float = 0.0, shear: float = 0.0):
        require(is_range(scale, 1e-6), self, 'scale', scale,
                'a pair (low, high) with 0 < low <= high')
        require(is_number(shift, 0), self, 'shift', shift, 'a number of at least 0')
        require(is_number(rotation, 0, 180), self, 'rotation', rotation, 'degrees in [0, 180]')
        require(is_number(stretch, 0, 0.99), self, 'stretch', stretch, 'a number in [0, 0.99]')
        require(is_number(shear, 0), self, 'shear', shear, 'a number of at least 0')
        self.scale = tuple(scale)
        self.shift = shift
        self.rotation = rotation
        self.stretch = stretch
        self.shear = shear

    def transform(self, results: dict) -> dict:
        """Apply one random affine map."""
        keypoint, score, present = read_joints(self, results)
        size = np.asarray(results['img_shape'][::-1], dtype=np.float32)
        angle = np.deg2rad(np.random.uniform(-self.rotation, self.rotation))
        cos, sin = np.random.uniform(*self.scale) * np.array((np.cos(angle), np.sin(angle)))
        matrix = np.array(((cos, -sin), (sin, cos)), dtype=np.float32)
        offset = np.random.uniform(-self.shift, self.shift, 2).astype(np.float32) * size
        if self.stretch or self.shear:  # otherwise nothing is drawn, as before
            stretch, shear = np.random.uniform(-1, 1, 2) * (self.stretch, self.shear)
            matrix @= np.array(((1 + stretch, shear), (0, 1)), dtype=np.float32)
        points = keypoint.reshape(-1, 2) @ matrix.T  # a single product for all frames
        points += size / 2 + offset - matrix @ (size / 2)
        keypoint = points.reshape(keypoint.shape)
        keypoint[~present] = 0
        results.update(keypoint=keypoint, keypoint_score=score)
        return results


@TRANSFORMS.register_module()
class PoseJitter(BaseTransform):
    """Add Gaussian noise to every present joint of every frame.

    Modified keys: ``keypoint``, ``keypoint_score``.

    Args:
        std (float): Standard deviation as a fraction of the longer side of the image. Defaults
            to 0.01.

    Raises:
        ValueError: If ``std`` is negative.
    """

    def __init__(self, std: float = 0.01):
        require(is_number(std, 0), self, 'std', std, 'a number of at least 0')
        self.std = std

    def transform(self, results: dict) -> dict:
        """Add the noise."""
        keypoint, score, present = read_joints(self, results)
        noise = np.random.standard_normal(keypoint.shape) * self.std * max(results['img_shape'])
        keypoint += noise.astype(np.float32)
        keypoint[~present] = 0
        results.update(keypoint=keypoint, keypoint_score=score)
        return results


@TRANSFORMS.register_module()
class PadPersons(BaseTransform):
    """Truncate or pad the clip to a number of persons.

    Modified keys: ``keypoint`` (M, T, V, 2), ``keypoint_score`` (M, T, V), both 0 for padding.

    Args:
        num_persons (int): M. Defaults to 2.

    Raises:
        ValueError: If the number is not positive.
    """

    def __init__(self, num_persons: int = 2):
        require_count(self, 'num_persons', num_persons, 'persons')
        self.num_persons = num_persons

    def transform(self, results: dict) -> dict:
        """Truncate or pad the axis of persons."""
        for key in ('keypoint', 'keypoint_score'):
            persons = results[key][:self.num_persons]
            empty = np.zeros((self.num_persons - len(persons), *persons.shape[1:]), persons.dtype)
            results[key] = np.concatenate([persons, empty])
        return results
