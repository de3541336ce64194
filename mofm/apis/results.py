"""What the inferencer finds: one small dataclass a task.

W is the number of windows of a recording. Frames are those of the input, counted from 0.
"""
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mofm.keypoints import interpolate
from mofm.sources import write_bvh
from mofm.utils.files import atomic_write


def _plain(value):
    """Lists and numbers instead of arrays; null instead of NaN, which JSON does not have."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == 'f' and not np.isfinite(value).all():
            value = np.where(np.isfinite(value), value, None)
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


@dataclass
class Result:
    """Head of all results.

    Attributes:
        name (str): The recording.
        frames (np.ndarray): (W, 2) int, first and last frame of each window.
        fps (float or None): Frames per second of the input, if known.
        poses (list[dict]): Annotations that it is about, in the order and at the frame rate of
            the model, e.g. for pictures; not in :meth:`to_dict` and not saved.
    """

    task: ClassVar[str]
    _suffixes: ClassVar[tuple[str, ...]] = ('.json', '.npz')
    name: str
    frames: np.ndarray
    fps: float | None
    poses: list[dict] = field(default_factory=list, repr=False, kw_only=True)

    def _values(self) -> dict:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != 'poses'}

    def to_dict(self) -> dict:
        """The task and all fields as numbers, texts and lists, ready for JSON."""
        return dict(task=self.task,
                    **{name: _plain(value) for name, value in self._values().items()})

    def save(self, path: str | PathLike) -> list[Path]:
        """Write the result.

        Args:
            path (str or Path): ``.json`` gets :meth:`to_dict`, ``.npz`` an array per field.

        Returns:
            list[Path]: What was written.

        Raises:
            ValueError: If the suffix is another one.
        """
        path = Path(path)
        if path.suffix not in self._suffixes:
            raise ValueError(f'{path}: found suffix {path.suffix!r}, expected '
                             f'{" or ".join(map(repr, self._suffixes))}')
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as f:
            if path.suffix == '.json':
                f.write(json.dumps(self.to_dict(), allow_nan=False).encode())
            else:
                np.savez_compressed(f, task=self.task, **{
                    name: value for name, value in self._values().items() if value is not None})
        return [path]


@dataclass
class ActionResult(Result):
    """Classes of a recording.

    Attributes:
        scores (np.ndarray): (W, C) float32, probability of every class.
        classes (tuple[str]): Names of the C classes; their numbers if the model has none.
        top_k (int): How many classes :meth:`top` and :meth:`to_dict` name.
    """

    task = 'action'
    scores: np.ndarray
    classes: tuple[str, ...]
    top_k: int

    def top(self, k: int | None = None, window: int | None = None
            ) -> list[tuple[str, float]]:
        """The best classes.

        Args:
            k (int, optional): How many, by default :attr:`top_k`.
            window (int, optional): Of this window; by default of the mean over all.

        Returns:
            list[tuple[str, float]]: Names and scores, the best first.
        """
        scores = self.scores.mean(0) if window is None else self.scores[window]
        best = np.argsort(-scores, kind='stable')[:k or self.top_k]
        return [(self.classes[i], float(scores[i])) for i in best]

    def to_dict(self) -> dict:
        """Also ``top``, pairs of name and score."""
        return dict(super().to_dict(), top=[list(pair) for pair in self.top()])


@dataclass
class OneShotResult(ActionResult):
    """Classes of a gallery; ``scores`` are cosines with the nearest exemplar, in [-1, 1].

    Attributes:
        embedding (np.ndarray): (W, E) float32, length 1.
    """

    task = 'one_shot'
    embedding: np.ndarray


@dataclass
class AnomalyResult(Result):
    """Normality of a video: 1 is normal, 0 abnormal; of a JigsawHead only the order counts.

    A window counts for one frame and one person. T is the number of frames up to the last one
    that was looked at.

    Attributes:
        frame (np.ndarray): (W,) int, the frame that each window counts for.
        person (np.ndarray): (W,) int, the person: ``track_id``, or the row in the annotation.
        normality (np.ndarray): (W,) float32 in [0, 1].
        score (np.ndarray): (T,) float64, minimum over the persons; frames without a window get
            the highest of the video.
        smoothed (np.ndarray): (T,) float64, the same after the Gaussians of the metric.
    """

    task = 'anomaly'
    frame: np.ndarray
    person: np.ndarray
    normality: np.ndarray
    score: np.ndarray
    smoothed: np.ndarray

    def per_person(self) -> dict[int, np.ndarray]:
        """Normality (T,) of every person, NaN in frames without a window."""
        out = {int(person): np.full(len(self.score), np.nan) for person in np.unique(self.person)}
        for person, values in out.items():
            mine = self.person == person
            np.fmin.at(values, self.frame[mine], self.normality[mine])
        return out


@dataclass
class DetectResult(Result):
    """Actions in a recording over time, any number in a frame.

    Attributes:
        scores (np.ndarray): (T, K) float32, probability of every class in each of the T frames.
        segments (np.ndarray or None): (N, 4) float64, class, first and last frame and confidence
            of the actions, by their first frames. None if no metric of the config says how frames
            become segments.
        classes (tuple[str]): Names of the K classes; their numbers if the model has none.
    """

    task = 'detect'
    scores: np.ndarray
    segments: np.ndarray | None
    classes: tuple[str, ...]

    def actions(self) -> list[tuple[str, int, int, float]]:
        """Name, first and last frame and confidence of every segment, in order of time."""
        return [(self.classes[int(label)], int(first), int(last), confidence)
                for label, first, last, confidence in
                (() if self.segments is None else self.segments.tolist())]

    def to_dict(self) -> dict:
        """Also ``actions``."""
        return dict(super().to_dict(), actions=[list(action) for action in self.actions()])


@dataclass
class TokensResult(Result):
    """Motion tokens.

    Attributes:
        tokens (np.ndarray): (W, K) int, token of every cube.
        occupied (np.ndarray): (W, K) bool, cubes that hold heat.
    """

    task = 'tokens'
    tokens: np.ndarray
    occupied: np.ndarray


@dataclass
class FeaturesResult(Result):
    """Features of the backbone.

    Attributes:
        pooled (np.ndarray): (W, D) float32.
        tokens (np.ndarray or None): (W, K, D) float32, zero where not encoded.
        encoded (np.ndarray): (W, K) bool, cubes that took part in attention.
    """

    task = 'features'
    pooled: np.ndarray
    tokens: np.ndarray | None
    encoded: np.ndarray


@dataclass
class ReconstructResult(Result):
    """What a tokenizer makes of the heat; two numbers per pixel, frame and window.

    Attributes:
        heat (np.ndarray): (W, F, H, W) float32, U_R in [0, 1].
        reconstruction (np.ndarray): (W, F, H, W) float32, the same decoded from the tokens.
    """

    task = 'reconstruct'
    heat: np.ndarray
    reconstruction: np.ndarray


@dataclass
class LiftResult(Result):
    """3D skeletons of the M persons of a recording in T frames.

    Joints are NaN in frames in which the person is not seen at all.

    Attributes:
        joints (np.ndarray): (M, T, J, 3) float32. x to the right and y down are pixels of the
            input's image; z, away from the camera, is in the same unit, 0 at the root (the first
            joint) if the model tells the pose only, else at the root in the first frame of each
            window.
        score (np.ndarray): (M, T, J) float32, confidence of the 2D key points, 0 for joints that
            were missing.
        layout (str): Name of the joints' layout, see :data:`mofm.structures.LAYOUTS`.
        frame (np.ndarray): (T,) float64, the frame of the input behind each row; between two of
            them if the frame rate was changed.
    """

    task = 'lift'
    _suffixes = ('.json', '.npz', '.bvh')
    joints: np.ndarray
    score: np.ndarray
    layout: str
    frame: np.ndarray

    def save(self, path: str | PathLike) -> list[Path]:
        """Write the result.

        Args:
            path (str or Path): ``.json`` and ``.npz`` as of the other results. ``.bvh`` gets the
                motion of one person for animation programs (:func:`mofm.sources.write_bvh`): in
                pixels, y up, z towards the camera, from the first to the last frame with the
                person, gaps closed along straight lines, at 30 frames per second if
                :attr:`fps` is None. Of several persons, ``walk.bvh`` becomes ``walk_0.bvh``,
                ``walk_1.bvh``, ... by their index in :attr:`joints`.

        Returns:
            list[Path]: What was written.

        Raises:
            ValueError: If the suffix is another one.
        """
        path = Path(path)
        if path.suffix != '.bvh':
            return super().save(path)
        written = []
        seen = np.isfinite(self.joints).all((2, 3))  # (M, T)
        step = np.diff(self.frame).min(initial=1)
        for person in np.flatnonzero(seen.any(1)):
            place, joints = self.frame[seen[person]], self.joints[person, seen[person]]
            at = np.arange(place[0], place[-1] + step / 2, step).clip(max=place[-1])
            joints, _ = interpolate(joints.astype(float), np.ones(joints.shape[:2]), place, at)
            written.append(path.with_stem(f'{path.stem}_{person}') if len(seen) > 1 else path)
            write_bvh(written[-1], joints * (1, -1, -1), self.layout, (self.fps or 30) / step)
        return written


def frame_scores(frame: np.ndarray, normality: np.ndarray, num_frames: int,
                 smoothing: Sequence[float], stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores of frames from windows, by the rules of :class:`mofm.evaluation.FrameAUC`.

    Args:
        frame (np.ndarray): (W,) frame that each window counts for.
        normality (np.ndarray): (W,).
        num_frames (int): T.
        smoothing (Sequence[float]): Sigmas of the Gaussians in frames.
        stride (int): Frames between two windows; a window counts for that many frames about its
            own, so that there are no holes.

    Returns:
        tuple: Minimum over the windows of each frame, and the same smoothed, (T,) each.
    """
    score = np.full(num_frames, np.inf)
    near = frame[:, None] + np.arange(stride) - stride // 2  # (W, stride)
    inside = (near >= 0) & (near < num_frames)
    np.minimum.at(score, near[inside], np.broadcast_to(normality[:, None], near.shape)[inside])
    score = np.minimum(score, normality.max())
    smoothed = score
    for sigma in smoothing:
        smoothed = gaussian_filter1d(smoothed, sigma)
    return score, smoothed
