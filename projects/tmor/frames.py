"""Transforms that select the frames of a clip, see :mod:`projects.tmor.transforms`."""

import numpy as np
from mmcv.transforms import BaseTransform

from mofm.registry import TRANSFORMS
from mofm.utils.checks import is_range, require, require_count


class _Frames(BaseTransform):
    """Base class of crop and padding."""

    def __init__(self, num_frames: int, random: bool = True):
        require_count(self, 'num_frames', num_frames, 'frames')
        self.num_frames = num_frames
        self.random = random

    def _place(self, space: int) -> int:
        return np.random.randint(space + 1) if self.random else space // 2


@TRANSFORMS.register_module()
class CropFrames(_Frames):
    """Keep T consecutive frames of a longer recording.

    Modified keys: ``keypoint`` (M, T, V, C), ``keypoint_score`` (M, T, V), optional.

    Args:
        num_frames (int): T.
        random (bool): Random position instead of the middle. Defaults to True.

    Raises:
        ValueError: If T is not a positive integer.
    """

    def transform(self, results: dict) -> dict:
        """Crop."""
        space = results['keypoint'].shape[1] - self.num_frames
        if space > 0:
            start = self._place(space)
            for key in ('keypoint', 'keypoint_score'):
                if key in results:
                    results[key] = results[key][:, start:start + self.num_frames]
        return results


@TRANSFORMS.register_module()
class FillFrames(BaseTransform):
    """Move each person to the first frame and fill the empty frames at the end by repetition.

    As in the data of UNIK (arXiv 2107.08580). Empty frames in between are kept.

    Modified keys: ``keypoint`` (M, T, V, C), ``keypoint_score`` (M, T, V), optional.
    """

    def transform(self, results: dict) -> dict:
        """Move and repeat frames."""
        present = results['keypoint'].any((2, 3))  # (M, T)
        first, end = present.argmax(1), present.shape[1] - present[:, ::-1].argmax(1)
        length = (end - first)[:, None]  # all frames if the person is never present
        source = first[:, None] + np.arange(present.shape[1]) % length
        rows = np.arange(len(present))[:, None]
        for key in ('keypoint', 'keypoint_score'):
            if key in results:
                results[key] = results[key][rows, source]
        return results


@TRANSFORMS.register_module()
class PadFrames(_Frames):
    """Pad a recording of fewer than T frames with empty frames on both sides.

    Modified keys: ``keypoint`` (M, T, V, C), ``keypoint_score`` (M, T, V), optional.

    Args:
        num_frames (int): T.
        random (bool): Random position instead of the middle. Defaults to True.

    Raises:
        ValueError: If T is not a positive integer.
    """

    def transform(self, results: dict) -> dict:
        """Pad."""
        frames = results['keypoint'].shape[1]
        if frames < self.num_frames:
            start = self._place(self.num_frames - frames)
            for key in ('keypoint', 'keypoint_score'):
                if key in results:
                    value = results[key]
                    out = np.zeros((len(value), self.num_frames, *value.shape[2:]), value.dtype)
                    out[:, start:start + frames] = value
                    results[key] = out
        return results


@TRANSFORMS.register_module()
class ResampleCrop(BaseTransform):
    """Crop a random run of frames and resample it to T frames.

    Joints are interpolated linearly between two frames; a joint that is missing in either is
    copied from the nearer frame. ``ratio=(1, 1)`` resamples the whole recording, for tests.

    Modified keys: ``keypoint`` (M, T, V, C), ``keypoint_score`` (M, T, V), optional.

    Args:
        num_frames (int): T. Defaults to 150.
        ratio (tuple[float, float]): Range of the share of frames that is kept, in (0, 1].
            Defaults to (0.5, 1).

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(self, num_frames: int = 150, ratio: tuple = (0.5, 1.)):
        require_count(self, 'num_frames', num_frames, 'frames')
        require(is_range(ratio, 1e-6, 1), self, 'ratio', ratio,
                'a pair (low, high) with 0 < low <= high <= 1')
        self.num_frames = num_frames
        self.ratio = tuple(ratio)

    def transform(self, results: dict) -> dict:
        """Crop and resample."""
        keypoint = results['keypoint']
        total = keypoint.shape[1]
        length = max(1, round(total * np.random.uniform(*self.ratio)))
        start = np.random.randint(total - length + 1)
        place = start + np.linspace(0, length - 1, self.num_frames)
        low, near = place.astype(int), (place + .5).astype(int)
        high = np.minimum(low + 1, total - 1)
        weight = (place - low).astype(np.float32)[:, None, None]
        before, after = keypoint[:, low], keypoint[:, high]
        known = before.any(-1, keepdims=True) & after.any(-1, keepdims=True)
        results['keypoint'] = np.where(known, before + weight * (after - before),
                                       keypoint[:, near])
        if 'keypoint_score' in results:
            results['keypoint_score'] = results['keypoint_score'][:, near]
        return results


@TRANSFORMS.register_module()
class ConsecutiveClips(BaseTransform):
    """Declare a window of N * F frames as N clips of F frames, for a backbone of F frames.

    Required key: ``keypoint`` (M, N * F, V, 2). Added key: ``num_clips``, N.

    Args:
        clip_len (int): F.

    Raises:
        ValueError: If F is not positive, or does not divide the frames of the window.
    """

    def __init__(self, clip_len: int):
        require_count(self, 'clip_len', clip_len, 'frames')
        self.clip_len = clip_len

    def transform(self, results: dict) -> dict:
        """Add the number of clips."""
        frames = results['keypoint'].shape[1]
        require(frames % self.clip_len == 0, self, 'frames of keypoint', frames,
                f'a multiple of clip_len={self.clip_len}; change the window of the data set')
        return dict(results, num_clips=frames // self.clip_len)
