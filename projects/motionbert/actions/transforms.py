"""Transforms of MotionBERT's action recognition (arXiv 2210.06551, Sec. 4.4).

The order in a pipeline is :class:`PersonTracking`, :class:`ResampleFrames`,
:class:`NormalizeByLongSide`, :class:`CocoToH36M`, ``PadPersons``, :class:`RandomMove` in
training, then ``CropScale`` and ``PackLiftingInputs`` of ``lifting``. Joints with
score 0 are missing. They and padded persons are moved like all others, as in the training of the
released models.
"""

import numpy as np
from mmcv.transforms import BaseTransform

from mofm.datasets.transforms.utils import read_joints
from mofm.registry import TRANSFORMS
from mofm.structures import convert
from mofm.utils.checks import is_int, is_number, is_range, require, require_count

from ..lifting.datasets import resample


@TRANSFORMS.register_module()
class PersonTracking(BaseTransform):
    """Undo swaps of the first two persons between frames.

    Persons are compared by the sum of the distances between their joints. Where the first person
    is farther from the first than from the second person of the previous frame, the order is
    swapped in this and all following frames.

    Modified keys: ``keypoint`` (M, T, V, 2), ``keypoint_score`` (M, T, V), both float32 and 0
    where joints are missing.

    Args:
        fix_conf_order (bool): Whether to swap the scores, too. The released models were trained
            without. Defaults to False.
    """

    def __init__(self, fix_conf_order: bool = False):
        self.fix_conf_order = fix_conf_order

    def transform(self, results: dict) -> dict:
        """Swap persons."""
        keypoint, score, _ = read_joints(self, results)
        if len(keypoint) > 1:
            steps = keypoint[0, 1:] - keypoint[:2, :-1]  # (2, T - 1, V, 2)
            first, second = np.linalg.norm(steps, axis=-1).sum(-1)
            swapped = 1 + np.flatnonzero(np.cumsum(first > second) % 2)
            keypoint[:2, swapped] = keypoint[1::-1, swapped]
            if self.fix_conf_order:
                score[:2, swapped] = score[1::-1, swapped]
        results.update(keypoint=keypoint, keypoint_score=score)
        return results


@TRANSFORMS.register_module()
class ResampleFrames(BaseTransform):
    """Resample a recording to a fixed number of frames, see :func:`resample`.

    Modified keys: ``keypoint`` (M, T, V, 2), ``keypoint_score`` (M, T, V). Added key:
    ``frame_inds``.

    Args:
        num_frames (int): Frames to sample. Defaults to 243.
        random (bool): Whether to sample at random, for training. Defaults to False.
        resample_every_epoch (bool): Whether to draw new frames each time. By default the frames
            depend on ``sample_idx`` only, as in the training of the released models.
        seed (int): Seed of these frames. Defaults to 0.

    Raises:
        ValueError: If a parameter is out of range, or the recording has no frame.
    """

    def __init__(self, num_frames: int = 243, random: bool = False,
                 resample_every_epoch: bool = False, seed: int = 0):
        require_count(self, 'num_frames', num_frames, 'frames')
        require(is_int(seed, 0, 2**32 - 1), self, 'seed', seed,
                'an integer of at least 0 and 32 bits')
        self.num_frames = num_frames
        self.random = random
        self.resample_every_epoch = resample_every_epoch
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Gather frames."""
        shape = results['keypoint'].shape
        require(shape[1] > 0, self, f'keypoint of {results.get("frame_dir", "a clip")!r}', shape,
                'at least one frame; drop the clip')
        rng = None
        if self.random:
            rng = np.random.default_rng(np.random.randint(2**31) if self.resample_every_epoch else
                                        [self.seed, results.get('sample_idx', 0)])
        results['frame_inds'] = frames = resample(shape[1], self.num_frames, rng)
        for key in ('keypoint', 'keypoint_score'):
            results[key] = results[key][:, frames]
        return results


@TRANSFORMS.register_module()
class NormalizeByLongSide(BaseTransform):
    """Normalize pixels so that the longer side of the image becomes [-1, 1].

    The origin is the center of the square that shares the image's upper left corner, not the
    center of the image.

    Modified key: ``keypoint`` (M, T, V, 2).
    """

    def transform(self, results: dict) -> dict:
        """Divide by half the longer side, subtract 1."""
        results['keypoint'] = results['keypoint'] * (2 / max(results['img_shape'])) - 1
        return results


@TRANSFORMS.register_module()
class CocoToH36M(BaseTransform):
    """Convert joints of COCO (``coco17``) to those of Human3.6M (``h36m17``).

    Modified keys: ``keypoint`` (M, T, 17, 2), ``keypoint_score`` (M, T, 17).

    Args:
        fix_conf_order (bool): Whether to convert the scores, too; a derived joint gets the lowest
            score of its sources. The released models were trained with scores in the order of
            COCO. Defaults to False.
    """

    def __init__(self, fix_conf_order: bool = False):
        self.fix_conf_order = fix_conf_order

    def transform(self, results: dict) -> dict:
        """Convert joints."""
        results['keypoint'], score = convert(results['keypoint'], results['keypoint_score'],
                                             'coco17', 'h36m17')
        if self.fix_conf_order:
            results['keypoint_score'] = score
        return results


@TRANSFORMS.register_module()
class RandomMove(BaseTransform):
    """Simulate a moving camera by a rotation, scale and shift that change linearly over time.

    ``p' = s_t R(a_t) p + d_t`` in frame t, for all persons, padded ones included.

    Modified key: ``keypoint`` (M, T, V, 2), normalized.

    Args:
        angle (float): Start and end of a are drawn from [-angle, angle] degrees. Defaults to 10.
        scale (tuple[float, float]): Range of s, positive. Defaults to (0.9, 1.1).
        shift (float): Both components of d are drawn from [-shift, shift]. Defaults to 0.1.

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(self, angle: float = 10., scale: tuple = (0.9, 1.1), shift: float = 0.1):
        require(is_number(angle, 0, 180), self, 'angle', angle, 'degrees in [0, 180]')
        require(is_range(scale, 1e-6), self, 'scale', scale,
                'a pair (low, high) with 0 < low <= high')
        require(is_number(shift, 0), self, 'shift', shift, 'a number of at least 0')
        self.low = (-angle, scale[0], -shift, -shift)
        self.high = (angle, scale[1], shift, shift)

    def transform(self, results: dict) -> dict:
        """Move the clip."""
        keypoint = results['keypoint']
        start, end = np.random.uniform(self.low, self.high, (2, 4))
        a, s, *shift = np.linspace(start, end, keypoint.shape[1], axis=1, dtype=np.float32)
        cos, sin = s * np.cos(np.deg2rad(a)), s * np.sin(np.deg2rad(a))
        turn = np.stack([cos, sin, -sin, cos], -1).reshape(-1, 2, 2)  # (T, 2, 2), for row vectors
        results['keypoint'] = keypoint @ turn + np.stack(shift, -1)[:, None]
        return results
