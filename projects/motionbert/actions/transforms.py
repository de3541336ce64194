"""Clips of key points as MotionBERT recognizes actions in them (arXiv 2210.06551, Sec. 4.4).

The order in a pipeline is :class:`PersonTracking`, :class:`ResampleFrames`,
:class:`NormalizeByLongSide`, :class:`CocoToH36M`, ``PadPersons``, :class:`RandomMove` in
training, then ``CropScale`` and ``PackLiftingInputs`` of the lifting. Joints of score 0 are
missing. Wherever they lie, they move with the others, and so do the persons that fill up a clip:
the released models know them so.
"""

import numpy as np
from mmcv.transforms import BaseTransform

from mofm.datasets.transforms.utils import read_joints
from mofm.registry import TRANSFORMS
from mofm.structures import convert
from mofm.utils.checks import is_int, is_number, is_range, require

from ..lifting.datasets import resample


@TRANSFORMS.register_module()
class PersonTracking(BaseTransform):
    """Swap the first two persons back where their order in the file changes.

    From one frame to the next the first person moves by the sum over the joints of the distances.
    Where it is farther to the first person of the frame before than to the second one, the order
    changes, for all frames from there on.

    Modified keys: ``keypoint`` (M, T, V, 2), ``keypoint_score`` (M, T, V), both float32 and 0
    where joints are missing.

    Args:
        fix_conf_order (bool): Whether scores change places too. The released models were trained
            with scores that do not. Defaults to False.
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
    """Bring a recording to a fixed number of frames, see :func:`resample`.

    Modified keys: ``keypoint`` (M, T, V, 2), ``keypoint_score`` (M, T, V). Added key:
    ``frame_inds``.

    Args:
        num_frames (int): Defaults to 243.
        random (bool): Whether the frames are drawn, for training. Defaults to False.
        resample_every_epoch (bool): Draw others each time. By default a recording keeps those that
            its number in the data set gives, as in the training of the released models.
        seed (int): Seed of the frames that do not change. Defaults to 0.

    Raises:
        ValueError: If a parameter is out of range, or the recording has no frame.
    """

    def __init__(self, num_frames: int = 243, random: bool = False,
                 resample_every_epoch: bool = False, seed: int = 0):
        require(is_int(num_frames, 1), self, 'num_frames', num_frames, 'an integer of at least 1')
        require(is_int(seed, 0), self, 'seed', seed, 'an integer of at least 0')
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
    """Coordinates of the image from pixels to [-1, 1] of its longer side, on both axes.

    The origin is the center of a square with the upper left corner of the image, not the center
    of the image.

    Modified key: ``keypoint`` (M, T, V, 2).
    """

    def transform(self, results: dict) -> dict:
        """Divide by half the longer side, subtract 1."""
        results['keypoint'] = results['keypoint'] * (2 / max(results['img_shape'])) - 1
        return results


@TRANSFORMS.register_module()
class CocoToH36M(BaseTransform):
    """From 17 joints in the order of COCO to 17 in that of Human3.6M.

    Modified keys: ``keypoint`` (M, T, 17, 2), ``keypoint_score`` (M, T, 17).

    Args:
        fix_conf_order (bool): Whether scores follow their joints; a joint between others gets the
            lowest of theirs. The released models were trained with scores in the order of COCO.
            Defaults to False.
    """

    def __init__(self, fix_conf_order: bool = False):
        self.fix_conf_order = fix_conf_order

    def transform(self, results: dict) -> dict:
        """Rearrange joints."""
        results['keypoint'], score = convert(results['keypoint'], results['keypoint_score'],
                                             'coco17', 'h36m17')
        if self.fix_conf_order:
            results['keypoint_score'] = score
        return results


@TRANSFORMS.register_module()
class RandomMove(BaseTransform):
    """A camera that moves: rotation, scale and shift change linearly from a start to an end.

    In frame t it is ``p' = s_t R(a_t) p + d_t``, for all persons, the added ones as well.

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
        turn = np.stack([cos, sin, -sin, cos], -1).reshape(-1, 2, 2)  # of rows p, (T, 2, 2)
        results['keypoint'] = keypoint @ turn + np.stack(shift, -1)[:, None]
        return results
