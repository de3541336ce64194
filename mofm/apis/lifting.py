"""From what a lifter gives for windows to 3D skeletons of a recording."""
from collections.abc import Sequence

import numpy as np
from mmaction.structures import ActionDataSample

from .recordings import Recording
from .results import LiftResult
from .windows import PersonWindows, visible


def to_pixels(joints: np.ndarray, sample: ActionDataSample, clip: dict,
              root_relative: bool) -> np.ndarray:
    """Undo the normalization of a clip.

    Args:
        joints (np.ndarray): (M or more, T, J, 3) normalized, of persons that fill up a batch too.
        sample (ActionDataSample): With ``norm_center`` (2,) and ``norm_scale`` of the pipeline.
        clip (dict): Annotation of the M persons.
        root_relative (bool): Whether the root of each frame is the origin; it is put where that
            of the key points is, or the mean offset of the others where it is missing.

    Returns:
        np.ndarray: (M, T, J, 3) as in :class:`LiftResult`.

    Raises:
        ValueError: If the pipeline does not tell how it normalized.
    """
    if 'norm_scale' not in sample or 'norm_center' not in sample:
        raise ValueError('norm_center and norm_scale: found none in the data samples, '
                         'expected what the test pipeline normalized the key points by')
    joints = joints[:len(clip['keypoint'])] * np.float32(sample.norm_scale)
    if not root_relative:
        joints[..., :2] += sample.norm_center
        return joints
    seen = visible(clip)  # (M, T, J)
    weight = np.where(seen[..., :1], np.arange(seen.shape[-1]) == 0, seen)[..., None]
    shift = (weight * (clip['keypoint'] - joints[..., :2])).sum(2, keepdims=True)
    joints[..., :2] += shift / weight.sum(2, keepdims=True).clip(1)
    return joints


def lift_result(head: dict, recording: Recording, windows: PersonWindows,
                joints: Sequence[np.ndarray], layout: str) -> LiftResult:
    """Join the windows of a recording; frames in several of them get the mean.

    Args:
        head (dict): Fields that all results have.
        recording (Recording): What was lifted.
        windows (PersonWindows): Its windows.
        joints (Sequence[np.ndarray]): (1, T, J, 3) of each window.
        layout (str): Name of the joints' layout.

    Returns:
        LiftResult: NaN where a person is not seen.
    """
    ann = recording.ann
    seen = visible(ann)  # (M, T, J)
    total = np.zeros((*seen.shape, 3), np.float32)
    count = np.zeros((*seen.shape[:2], 1, 1), np.float32)
    for (person, rows), part in zip(windows.rows, joints, strict=True):
        total[person, rows] += part[0]
        count[person, rows] += 1
    known = (count > 0) & seen.any(2)[..., None, None]
    return LiftResult(
        **head, joints=np.where(known, total / count.clip(1), np.float32(np.nan)),
        score=np.where(seen, ann['keypoint_score'], 0).astype(np.float32), layout=layout,
        frame=ann.get('frame_inds', np.arange(ann['total_frames'])) / recording.ratio)
