"""Base class of results: arrays with their recording and windows."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import ClassVar

import numpy as np

from mofm.annotations import Problem, person_ids
from mofm.utils.files import atomic_write


def _plain(value):
    """Convert arrays to lists, with null instead of NaN, which JSON lacks."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == 'f' and not np.isfinite(value).all():
            return np.where(np.isfinite(value), value.astype(object), np.array(None)).tolist()
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


@dataclass
class Result:
    """Base class of results; W is the number of windows.

    Frames are those of the input, counted from 0.

    Attributes:
        task (str): Name of the task (class attribute).
        suffixes (tuple[str]): File formats of :meth:`save` (class attribute).
        default_suffixes (tuple[str]): Formats that ``tools/demo.py`` writes (class attribute).
        name (str): Name of the recording.
        frames (np.ndarray): (W, 2) int, first and last frame of each window.
        fps (float or None): Frames per second of the input, if known.
        poses (list[dict]): Annotations of the recording, in the layout and at the frame rate of
            the model, e.g. for pictures; not in :meth:`to_dict` and not saved.
    """

    task: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ('.json', '.npz')
    default_suffixes: ClassVar[tuple[str, ...]] = ('.json', )
    name: str
    frames: np.ndarray
    fps: float | None
    poses: list[dict] = field(default_factory=list, repr=False, kw_only=True)

    def summary(self) -> str:
        """Summarize the result in one line."""
        return f'{len(self.frames)} windows'

    def rows(self) -> list[dict]:
        """Return rows of a table, by default one per window; all have the same columns."""
        return [dict(first=first, last=last) for first, last in self.frames.tolist()]

    def persons(self) -> Iterator[tuple]:
        """Yield ID, frames (T,), keypoints (T, V, 2) and scores (T, V) of each person."""
        for ann in self.poses:
            inds = ann.get('frame_inds', np.arange(ann['total_frames']))
            for person, *tracks in zip(person_ids(ann), ann['keypoint'], ann['keypoint_score'],
                                       strict=True):
                yield person, inds, *tracks

    def _values(self) -> dict:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != 'poses'}

    def to_dict(self) -> dict:
        """Convert task and fields to numbers, strings and lists, ready for JSON."""
        return dict(task=self.task,
                    **{name: _plain(value) for name, value in self._values().items()})

    def save(self, path: str | PathLike) -> list[Path]:
        """Save the result.

        Args:
            path (str or Path): ``.json`` for :meth:`to_dict`, ``.npz`` for an array per field.

        Returns:
            list[Path]: Written files.

        Raises:
            ValueError: If the suffix is not one of :attr:`suffixes`.
        """
        path = Path(path)
        if path.suffix not in self.suffixes:
            raise ValueError(f'{path}: found suffix {path.suffix!r}, expected '
                             f'{" or ".join(map(repr, self.suffixes))}')
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as f:
            if path.suffix == '.json':
                f.write(json.dumps(self.to_dict(), allow_nan=False).encode())
            else:
                np.savez_compressed(f, task=self.task, **{
                    name: value for name, value in self._values().items() if value is not None})
        return [path]


class ResultIterator(Iterator):
    """Iterator of results, or of outputs, that reports the recordings it skips.

    Attributes:
        problems (list[Problem]): Reasons of the recordings skipped so far.
    """

    def __init__(self, results: Iterable, problems: list[Problem]):
        self._results = iter(results)
        self.problems = problems

    def __next__(self):
        return next(self._results)


class Results(list[Result]):
    """List of the results of one call.

    Attributes:
        problems (list[Problem]): Reasons of the recordings that were skipped.
    """

    def __init__(self, results: ResultIterator):
        super().__init__(results)
        self.problems = results.problems
