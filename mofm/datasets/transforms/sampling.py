"""Sampling of the frames of a clip.

Uniform sampling is that of PoseConv3D (arXiv 2104.13586, Sec. 3.2), as described for MoFM: one
frame from each of F equal bins.
"""

import threading

import numpy as np
from mmcv.transforms import BaseTransform

from mofm.registry import TRANSFORMS
from mofm.utils.checks import is_int, is_range, require, require_count

from .utils import read_joints


class _Generator(threading.local):
    """Random generator of a thread, which is slower to create than to seed."""

    def __init__(self):
        self.rng = np.random.RandomState()


_PER_THREAD = _Generator()


@TRANSFORMS.register_module()
class UniformSampleFrames(BaseTransform):
    """Sample n frames uniformly from the T frames of a recording.

    ========== =====================================================================
    T < n      n consecutive frames from a start, wrapping around at the end
    n <= T <2n all frames except T - n random ones
    T >= 2n    one random frame from each bin ``i * T // n ... (i + 1) * T // n - 1``
    ========== =====================================================================

    Training uses NumPy's global random state. Test mode uses a generator that is seeded at every
    call, so that a recording always has the same clips, and spaces the starts of short
    recordings evenly. Missing joints become zeros.

    Required keys: ``keypoint`` (M, T, V, 2), ``keypoint_score`` (M, T, V) (optional),
    ``total_frames`` (optional, checked). Modified keys: ``keypoint``
    (M, num_clips * clip_len, V, 2) float32, ``keypoint_score``. Added keys: ``frame_inds`` int32,
    ``clip_len``, ``num_clips``.

    Args:
        clip_len (int): n, frames of a clip. Defaults to 48.
        num_clips (int): Clips per recording, concatenated along the frame axis. Defaults to 1.
        test_mode (bool): Whether sampling is deterministic. Defaults to False.
        seed (int): Seed of the test mode. Defaults to 255 as in mmaction2.

    Raises:
        ValueError: If a parameter is out of range, the recording has no frame, or its length
            differs from ``total_frames``.
    """

    def __init__(self,
                 clip_len: int = 48,
                 num_clips: int = 1,
                 test_mode: bool = False,
                 seed: int = 255):
        require_count(self, 'clip_len', clip_len, 'frames')
        require_count(self, 'num_clips', num_clips, 'clips')
        require_count(self, 'num_clips * clip_len', num_clips * clip_len, 'frames')
        require(is_int(seed, 0, 2**32 - 1), self, 'seed', seed,
                'an integer of at least 0 and 32 bits')
        self.clip_len = clip_len
        self.num_clips = num_clips
        self.test_mode = test_mode
        self.seed = seed

    def _clip(self, total: int, clip: int, rng) -> np.ndarray:
        n = self.clip_len
        if total < n:
            if not self.test_mode:
                start = rng.randint(0, total)
            elif total < self.num_clips:
                start = clip
            else:
                start = clip * total // self.num_clips
            return (start + np.arange(n)) % total
        if total < 2 * n:
            skip = np.zeros(n + 1, dtype=np.int64)
            skip[rng.permutation(n + 1)[:total - n]] = 1
            return np.arange(n) + np.cumsum(skip)[:-1]
        edges = np.arange(n + 1) * total // n
        return edges[:-1] + rng.randint(np.diff(edges))

    def transform(self, results: dict) -> dict:
        """Replace the recording by its clips."""
        total = _num_frames(self, results)
        rng = np.random
        if self.test_mode:
            rng = _PER_THREAD.rng
            rng.seed(self.seed)
        inds = np.concatenate([self._clip(total, i, rng) for i in range(self.num_clips)])
        _take(results, inds)
        results['keypoint'], results['keypoint_score'], _ = read_joints(self, results)
        results['frame_inds'] = inds.astype(np.int32)
        results['clip_len'] = self.clip_len
        results['num_clips'] = self.num_clips
        return results


@TRANSFORMS.register_module()
class TemporalCrop(BaseTransform):
    """Crop a random range of consecutive frames, which varies the speed after uniform sampling.

    Use it before :class:`UniformSampleFrames`. Modified keys: ``keypoint``, ``keypoint_score``,
    ``total_frames``.

    Args:
        ratio (tuple[float, float]): Range of the share of frames to keep, in (0, 1]. Defaults to
            (0.7, 1.0).

    Raises:
        ValueError: If the range is not in (0, 1], or the recording has no frame.
    """

    def __init__(self, ratio: tuple = (0.7, 1.0)):
        require(is_range(ratio, 1e-6, 1), self, 'ratio', ratio,
                'a pair (low, high) with 0 < low <= high <= 1')
        self.ratio = tuple(ratio)

    def transform(self, results: dict) -> dict:
        """Crop the frame axis."""
        total = _num_frames(self, results)
        length = max(1, round(total * np.random.uniform(*self.ratio)))
        start = np.random.randint(total - length + 1)
        _take(results, np.arange(start, start + length))
        results['total_frames'] = length
        return results


def _num_frames(owner, results: dict) -> int:
    shape = np.shape(results['keypoint'])
    clip = f'keypoint of clip {results.get("frame_dir", "unnamed")!r}'
    require(len(shape) == 4, owner, clip, shape, 'shape (persons, frames, joints, 2)')
    require(shape[1] > 0, owner, clip, shape, 'at least one frame; drop the clip')
    total = results.get('total_frames', shape[1])
    require(total == shape[1], owner, clip, f'{shape[1]} frames',
            f'{total} as in total_frames; frames may be sampled only once')
    return shape[1]


def _take(results: dict, frames: np.ndarray):
    results['keypoint'] = np.take(results['keypoint'], frames, axis=1)
    if results.get('keypoint_score') is not None:
        results['keypoint_score'] = np.take(results['keypoint_score'], frames, axis=1)
