"""Base class of results: arrays with their recording and windows."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import ClassVar

import numpy as np

from mofm.annotations import Problem, person_ids
from mofm.annotations.video_poses import Videos, frame_numbers
from mofm.utils.files import atomic_write
from mofm.writers import write_table


def _plain(value):
    """Convert arrays to lists, with null instead of NaN, which JSON lacks."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == 'f' and not np.isfinite(value).all():
            return np.where(np.isfinite(value), value.astype(object), np.array(None)).tolist()
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def at_input(ann: dict, ratio: float, fps: float | None) -> dict:
    """Return an annotation at frames of the input, of which several of the model may be one."""
    known = {} if fps is None else dict(fps=fps)
    if ratio == 1:
        return {**ann, **known}
    inds, rows = np.unique(np.round(frame_numbers(ann) / ratio).astype(np.int64),
                           return_index=True)
    arrays = {name: ann[name].take(rows, axis) for name, axis in
              (('keypoint', 1), ('keypoint_score', 1), ('box', 1), ('frame_label', -1))
              if name in ann}
    return {**ann, **known, **arrays, 'frame_inds': inds, 'total_frames': len(inds)}


def cut(ann: dict, first: int, last: int) -> dict:
    """Return the frames ``first`` to ``last`` of an annotation, with keypoints and scores."""
    inds = frame_numbers(ann)
    rows = slice(*np.searchsorted(inds, (first, last + 1)))
    return dict(ann, frame_inds=inds[rows], total_frames=len(inds[rows]),
                keypoint=ann['keypoint'][:, rows], keypoint_score=ann['keypoint_score'][:, rows])


@dataclass
class Result:
    """Base class of results; W is the number of windows.

    Frames are those of the input, counted from 0.

    Attributes:
        task (str): Name of the task (class attribute).
        suffixes (tuple[str]): File formats of :meth:`save` (class attribute).
        default_suffixes (tuple[str]): Formats that ``mofm demo`` writes besides :meth:`rows`, for
            arrays that do not fit into a table (class attribute).
        name (str): Name of the recording.
        frames (np.ndarray): (W, 2) int, first and last frame of each window.
        fps (float or None): Frames per second of the input, if known.
        poses (list[dict]): Annotations of the recording, in the layout and at the frame rate of
            the model, e.g. for pictures; not in :meth:`to_dict`, and saved in tables only.
        pose_layout (str): Layout of :attr:`poses`.
        pose_ratio (float): Frames of :attr:`poses` per frame of the input.
    """

    task: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ('.json', '.npz', '.csv', '.parquet')
    default_suffixes: ClassVar[tuple[str, ...]] = ()
    name: str
    frames: np.ndarray
    fps: float | None
    poses: list[dict] = field(default_factory=list, repr=False, kw_only=True)
    pose_layout: str = field(default='coco17', repr=False, kw_only=True)
    pose_ratio: float = field(default=1., repr=False, kw_only=True)

    def summary(self) -> str:
        """Summarize the result in one line."""
        return f'{len(self.frames)} windows'

    def rows(self) -> list[dict]:
        """Return rows of a long table, by default one per window; all have the same columns.

        The track IDs of the persons in a window, if known, are separated by spaces.
        """
        known = dict(person=' '.join(map(str, self.track_id))) if self.track_id else {}
        return [dict(**known, first=first, last=last) for first, last in self.frames.tolist()]

    def to_table(self):
        """Return :meth:`rows` as a ``pyarrow.Table``, behind the column ``recording``."""
        import pyarrow as pa  # heavy

        table = pa.Table.from_pylist(self.rows())
        return table.add_column(0, 'recording', pa.array([self.name] * len(table), pa.string()))

    @property
    def track_id(self) -> list[int]:
        """Track IDs of the persons in the order of :meth:`persons`, none without tracking."""
        return [number for ann in self.poses if 'track_id' in ann
                for number in np.ravel(ann['track_id']).tolist()]

    def persons(self) -> Iterator[tuple]:
        """Yield ID, frames (T,), keypoints (T, V, 2) and scores (T, V) of each person."""
        for ann in self.poses:
            inds = ann.get('frame_inds', np.arange(ann['total_frames']))
            for person, *tracks in zip(person_ids(ann), ann['keypoint'], ann['keypoint_score'],
                                       strict=True):
                yield person, inds, *tracks

    def predictions(self, frame: np.ndarray, person: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the result says of poses, for tables and other formats; by default nothing.

        Args:
            frame (np.ndarray): (N,) int, frames of the input.
            person (np.ndarray): (N,) int, ``track_id`` or the row in the annotation.

        Returns:
            dict[str, np.ndarray]: (N,) numbers, NaN where unknown, or texts by name.
        """
        return {}

    def videos(self) -> Videos:
        """Return the poses, at frames of the input, with :meth:`predictions`, for writers."""
        return Videos([at_input(ann, self.pose_ratio, self.fps) for ann in self.poses],
                      self.pose_layout, columns=lambda _, *poses: self.predictions(*poses))

    def _values(self) -> dict:
        return {f.name: getattr(self, f.name) for f in fields(self)
                if f.name not in ('poses', 'pose_layout', 'pose_ratio')}

    def to_dict(self) -> dict:
        """Convert task and fields to numbers, strings and lists, ready for JSON."""
        known = dict(track_id=self.track_id) if self.track_id else {}
        return dict(task=self.task, **known,
                    **{name: _plain(value) for name, value in self._values().items()})

    def save(self, path: str | PathLike) -> list[Path]:
        """Save the result.

        Args:
            path (str or Path): ``.json`` for :meth:`to_dict`, ``.npz`` for an array per field,
                ``.csv`` or ``.parquet`` for the poses with :meth:`predictions`, one row a frame,
                person and joint (:func:`mofm.writers.write_table`).

        Returns:
            list[Path]: Written files.

        Raises:
            ValueError: If the suffix is not one of :attr:`suffixes`.
        """
        path = Path(path)
        if path.suffix not in self.suffixes:
            raise ValueError(f'{path}: found suffix {path.suffix!r}, expected '
                             f'{" or ".join(map(repr, self.suffixes))}')
        if path.suffix in ('.csv', '.parquet'):
            write_table(path, self.videos())
            return [path]
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
        notes (list[str]): What the inputs read so far were taken for.
    """

    def __init__(self, results: Iterable, problems: list[Problem], notes: list[str]):
        self._results = iter(results)
        self.problems = problems
        self.notes = notes

    def __next__(self):
        return next(self._results)


class Results(list[Result]):
    """List of the results of one call.

    Attributes:
        problems (list[Problem]): Reasons of the recordings that were skipped.
        notes (list[str]): What the inputs were taken for.
    """

    def __init__(self, results: ResultIterator):
        super().__init__(results)
        self.problems = results.problems
        self.notes = results.notes

    def to_table(self):
        """Return the rows of all results as one ``pyarrow.Table``, see :func:`join_tables`."""
        return join_tables(result.to_table() for result in self)

    def to_dataframe(self):
        """Return :meth:`to_table` as a ``pandas.DataFrame``.

        Raises:
            ImportError: If pandas is not installed; MoFM itself does not need it.
        """
        try:
            return self.to_table().to_pandas()
        except ImportError as error:
            raise ImportError(f"pandas cannot be imported ({error}); 'pip install pandas', or use "
                              'to_table(), which needs no pandas') from None


def join_tables(tables: Iterable):
    """Join tables of :meth:`Result.to_table`; cells of columns that one lacks are null."""
    import pyarrow as pa  # heavy

    return pa.concat_tables(tables, promote_options='default')
