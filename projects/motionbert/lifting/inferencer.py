"""Lifting: 3D skeletons from the 2D keypoints of a recording."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from mofm.apis.windows import visible
from mofm.registry import INFERENCERS
from mofm.structures import get_layout
from mofm.writers import write_bvh

from ..persons import PersonInferencer, PersonResult, join_persons


@dataclass
class LiftResult(PersonResult):
    """3D skeletons of the M persons of a recording in T frames.

    Joints are NaN in frames without the person, and if no frame of a window shows them.

    Attributes:
        joints (np.ndarray): (M, T, J, 3) float32 in pixels of the input image, x to the right, y
            down, z away from the camera. z is 0 at the root (first joint) of each frame if the
            model is root-relative, else of the first frame of each window.
    """

    task = 'lift'
    suffixes = ('.json', '.npz', '.bvh')
    default_suffixes = ('.bvh', )
    joints: np.ndarray

    def summary(self) -> str:
        """Summarize the size, and name the joints of each person that no frame shows."""
        names = get_layout(self.layout).joints
        hidden: dict[str, list[str]] = {}
        for person, known in enumerate(self.known.any(1)):  # (J,)
            missing = ', '.join(names[joint] for joint in np.flatnonzero(~known))
            if missing and known.any():
                hidden.setdefault(missing, []).append(str(person))
        return '; '.join([super().summary(), *(
            f'no frame shows {missing} of person {", ".join(persons)}'
            for missing, persons in hidden.items())])

    @property
    def known(self) -> np.ndarray:
        """Joints (M, T, J) that have a position."""
        return np.isfinite(self.joints).all(-1)

    def rows(self) -> list[dict]:
        """Return the position of every known joint of the persons."""
        names = get_layout(self.layout).joints
        return [dict(person=person, frame=float(self.frame[row]), joint=names[joint],
                     **dict(zip('xyz', self.joints[person, row, joint].tolist(), strict=True)),
                     score=float(self.score[person, row, joint]))
                for person, row, joint in np.argwhere(self.known).tolist()]

    def save(self, path: str | PathLike) -> list[Path]:
        """Write the result.

        Args:
            path (str or Path): ``.json`` or ``.npz``, as other results, or ``.bvh`` for animation
                software (:func:`mofm.writers.write_bvh`): one person, in pixels, y up, z towards
                the camera, from the first to the last frame with the person, gaps interpolated
                linearly, without joints that are never known, at 30 frames per second if
                :attr:`fps` is None. For several persons,
                ``walk.bvh`` becomes ``walk+0.bvh``, ``walk+1.bvh``, ... by index; no name of
                :func:`mofm.utils.names.file_stem` has a ``+``.

        Returns:
            list[Path]: Files written.

        Raises:
            ValueError: If the suffix is unknown.
        """
        path = Path(path)
        if path.suffix != '.bvh':
            return super().save(path)
        written = []
        known = self.known
        step = np.diff(self.frame).min(initial=1)
        for person in np.flatnonzero(known.any((1, 2))):
            first, last = self.frame[known[person].any(1)][[0, -1]]
            even = np.arange(first, last + step / 2, step).clip(max=last)
            joints = np.full((len(even), *self.joints.shape[2:]), np.nan)
            for joint in np.flatnonzero(known[person].any(0)):
                rows = known[person, :, joint]
                for axis, values in enumerate(self.joints[person, rows, joint].T):
                    joints[:, joint, axis] = np.interp(even, self.frame[rows], values)
            written.append(path.with_stem(f'{path.stem}+{person}') if len(known) > 1 else path)
            write_bvh(written[-1], joints * (1, -1, -1), self.layout, (self.fps or 30) / step)
        return written


@INFERENCERS.register_module(LiftResult.task)
class LiftInferencer(PersonInferencer):
    """Lifting by models that set ``pred_keypoints_3d`` in the units of their input."""

    result_type = LiftResult
    title = '3D skeleton'
    predicted = dict(joints='pred_keypoints_3d')

    @classmethod
    def offered(cls, model, inputs, sample) -> bool:
        """Exclude models of meshes, whose joints are in mm."""
        return super().offered(model, inputs, sample) and 'pred_vertices' not in sample

    def finish(self, output, sample, clip) -> dict:
        """Convert the joints to pixels; those that no frame shows are a guess, and NaN."""
        joints = to_pixels(output['joints'], sample, clip,
                           getattr(self.model, 'root_relative', False))
        shown = visible(clip).any(1)[:, None, :, None]  # (M, 1, J, 1)
        return dict(joints=np.where(shown, joints, np.float32(np.nan)))

    def make_result(self, group, windows, outputs, options) -> LiftResult:
        """Join the windows of each person."""
        return LiftResult(**self.common(group, windows),
                          joints=join_persons(windows, outputs['joints'], group[0].ann))

    def draw(self, result) -> dict:
        """Draw up to three of the most visible persons, as a strip and an animation."""
        from mofm.visualization import animate_clip_3d, draw_clip_3d, real_time

        seen = result.known.any(2).sum(1)
        joints = result.joints[seen >= seen.max() / 2][:3]
        num = real_time(result.frame[-1] - result.frame[0], result.fps)
        clip = dict(result.poses[0], frame_inds=result.frame, fps=result.fps)
        return {'.png': draw_clip_3d(joints, result.layout, clip),
                '.gif': animate_clip_3d(joints, result.layout, clip, num)}


def to_pixels(joints: np.ndarray, sample, clip: dict, root_relative: bool) -> np.ndarray:
    """Undo the normalization of a clip.

    Args:
        joints (np.ndarray): (M or more, T, J, 3) normalized, with padded persons.
        sample (ActionDataSample): Sample with ``norm_center`` (2,) and ``norm_scale``.
        clip (dict): Annotation of the M persons.
        root_relative (bool): Whether the root of each frame is the origin. It is moved to the root
            of the keypoints or, if missing, by the mean offset of the other joints.

    Returns:
        np.ndarray: (M, T, J, 3) as in :class:`LiftResult`.

    Raises:
        ValueError: If the sample lacks ``norm_center`` or ``norm_scale``.
    """
    if 'norm_scale' not in sample or 'norm_center' not in sample:
        raise ValueError('norm_center and norm_scale: found none in the data samples, '
                         'expected the normalization of the test pipeline')
    joints = joints[:len(clip['keypoint'])] * np.float32(sample.norm_scale)
    if not root_relative:
        joints[..., :2] += sample.norm_center
        return joints
    seen = visible(clip)  # (M, T, J)
    weight = np.where(seen[..., :1], np.arange(seen.shape[-1]) == 0, seen)[..., None]
    shift = (weight * (clip['keypoint'] - joints[..., :2])).sum(2, keepdims=True)
    joints[..., :2] += shift / weight.sum(2, keepdims=True).clip(1)
    return joints
