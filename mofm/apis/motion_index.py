"""Search by example: an index of the windows of recordings, and the windows most like a query.

Vectors are features of a backbone, reduced by a PCA and normalized; their cosine with the query is
computed for every window, so nothing is missed and no graph has to be trained or trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mofm.annotations import AnnotationError, Problem, file_error, summarize
from mofm.hub.checkpoint import fingerprint
from mofm.structures import get_layout
from mofm.utils.checks import found_expected, require
from mofm.utils.locks import hold_output
from mofm.utils.tables import write_csv

from .index_adding import Adding, Encoder, tracks
from .index_files import IndexFiles, IndexHeader, Part
from .inferencers import FeaturesResult
from .inferencers.base import sort_options
from .recordings import Inputs, Recording, RecordingOptions, RecordingReader
from .windows import ClipWindows, WindowOptions, visible

_CHUNK = 8192  # vectors that are compared at once, which fit into the cache
_SLACK = 1.5  # longest query in windows that is one clip
_KEPT = .9  # of the similarity of the best window, by which a hit goes on


@dataclass(frozen=True)
class Hit:
    """Moment of a recording that resembles the query.

    Attributes:
        recording (str): Name of the recording.
        person (int): Track ID, or the row in the annotation.
        first (int): First frame of the recording, counted from 0.
        last (int): Last frame.
        fps (float or None): Frames per second of the recording, if known.
        similarity (float): Cosine of the most similar window, in [-1, 1].
        place (tuple[int, int]): Part of the index and track in it.
    """

    recording: str
    person: int
    first: int
    last: int
    fps: float | None
    similarity: float
    place: tuple[int, int]

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Start and end in seconds, None without a frame rate."""
        return (self.first / self.fps, (self.last + 1) / self.fps) if self.fps else None

    def row(self) -> dict:
        """Return a row of a table; ``start`` and ``end`` are in seconds."""
        start, end = (round(time, 3) for time in self.seconds) if self.seconds else ('', '')
        return dict(recording=self.recording, person=self.person, start=start, end=end,
                    first=self.first, last=self.last, similarity=round(self.similarity, 4))


class MotionIndex:
    """Index of the motion in recordings, on the disk.

    The folder has a header, a projection and parts; each appears complete or not at all. Windows
    are of one person each. Threads may search at once; one process at a time adds.

    Args:
        folder (str or Path): Folder of the index, made by the first :meth:`add`.
        inferencer (MotionInferencer): Model that offers features.
        window (int, optional): Frames of a window at the frame rate of the model; by default that
            of the index, 48 for a new one.
        stride (int, optional): Frames between two windows, by default half a window.
        model_fps (float, optional): Frame rate to which recordings and queries are resampled, so
            that windows have one length in seconds.

    Attributes:
        problems (list[Problem]): Reasons of recordings that the last :meth:`add` skipped.
        skipped (int): Recordings that the last :meth:`add` found indexed.

    Raises:
        ValueError: If the model has no features; if the index is damaged, or of another model or
            other options.
    """

    def __init__(self, folder: str | Path, inferencer, window: int | None = None,
                 stride: int | None = None, model_fps: float | None = None):
        task = inferencer.task(FeaturesResult.task)
        self._files = IndexFiles(folder)
        WindowOptions(window, stride)
        RecordingOptions(model_fps=model_fps)
        header = self._files.read_header()
        if header is None:
            window = window or 48
            header = IndexHeader(fingerprint(task.model), task.layout.name, window,
                                 stride or max(window // 2, 1), model_fps)
        self.header = header
        self._check(dict(model=fingerprint(task.model), layout=task.layout.name),
                    'use the model that the index was made with, or index again')
        self._check(dict(window=window, stride=stride, model_fps=model_fps),
                    'leave the option out, or make another index')
        self._encoder = Encoder(task, self._files.read_projections())
        self._parts: list[Part] = self._files.read_parts(self._encoder.projections)
        self.problems: list[Problem] = []
        self.skipped = 0

    def _check(self, values: dict, hint: str):
        for name, value in values.items():
            known = getattr(self.header, name)
            if value is not None and value != known:
                raise ValueError(found_expected(self._files.header, name, known,
                                                f'{value}; {hint}'))

    def __len__(self) -> int:
        """Return the number of windows."""
        return sum(map(len, self._parts))

    @property
    def recordings(self) -> list[str]:
        """Names of the recordings, in the order they were added."""
        return [name for part in self._parts
                for name in dict.fromkeys(zip(part.name, part.digest, strict=True))
                for name in name[:1]]

    # ---------------------------------------------------------------------------- indexing
    def add(self, inputs: Inputs, progress: bool = True, **options) -> int:
        """Add recordings, except those whose poses are in the index.

        After an interruption the next call resumes: poses of videos are kept frame by frame, a
        minute of vectors, or those of the first 1024 windows, is computed again. A video that is
        in the index, by its content, is not read again.

        Args:
            inputs: See :meth:`MotionInferencer.iter`.
            progress (bool): Show windows per second. Defaults to True.
            **options: Fields of :class:`RecordingOptions`, except ``model_fps``.

        Returns:
            int: Number of recordings added.

        Raises:
            TypeError: If an option is unknown.
            ValueError: If no recording can be used.
            LockedError: If another process adds.
        """
        reader = self._reader(options, progress)
        with hold_output(self._files.folder):
            self._files.start(self.header)
            self._parts = self._files.read_parts(self._encoder.projections, self._parts)
            known = {value for part in self._parts for value in (*part.digest, *part.source)}
            adding = Adding(self._encoder, self._files, self.header, reader, known)
            added = adding.run(inputs, progress)
            self._parts = self._files.read_parts(self._encoder.projections, self._parts)
        self.problems, self.skipped = reader.problems, adding.skipped
        if not added and not self.skipped:
            raise AnnotationError(f'inputs: none of {reader.count} recordings can be used\n'
                                  f'{summarize(reader.problems)}' if reader.problems else
                                  'inputs: found no recording, expected at least one')
        return added

    def _reader(self, options: dict, progress: bool) -> RecordingReader:
        if 'model_fps' in options:
            raise TypeError('model_fps: found an option of add or search, expected one of the '
                            'index')
        recordings, = sort_options(dict(options, model_fps=self.header.model_fps),
                                   RecordingOptions)
        device = self._encoder.task.model.data_preprocessor.device
        return RecordingReader(recordings, self.header.layout, str(device), progress)

    # ----------------------------------------------------------------------------- searching
    def search(self, query: Inputs, top: int = 20, frames: tuple[int, int] | None = None,
               seconds: tuple[float, float] | None = None, person: int | None = None,
               mirror: bool = True, **options) -> list[Hit]:
        """Find the moments that are most like an example.

        Args:
            query: One recording, see :meth:`MotionInferencer.iter`. If longer than 1.5 windows
                it is cut into windows, and a moment may be like any of them.
            top (int): Number of hits. Defaults to 20.
            frames (tuple[int, int], optional): First and last frame of the example in it.
            seconds (tuple[float, float], optional): The same in seconds.
            person (int, optional): Track ID of the person, by default the one with the most
                visible joints.
            mirror (bool): Whether the mirrored example counts, too. Defaults to True.
            **options: Fields of :class:`RecordingOptions`, except ``model_fps``.

        Returns:
            list[Hit]: The most similar first. Windows of a person that overlap a hit are part of
            it if they are nearly as similar, and no hits of their own.

        Raises:
            TypeError: If an option is unknown.
            ValueError: If the index is empty or damaged, or the example cannot be used.
        """
        require(isinstance(top, int) and top > 0, self, 'top', top, 'an integer of at least 1')
        if not len(self):
            raise ValueError(found_expected(self._files.folder, 'windows', 0,
                                            'an index with recordings; add some first'))
        clips = self._example(query, frames, seconds, person, options)
        vectors = [self.encode(clips, flip) for flip in (False, True)[:1 + mirror]]
        return self.nearest(np.concatenate(vectors), top)

    def encode(self, clips: Sequence[dict], mirror: bool = False) -> np.ndarray:
        """Compute the vectors of clips.

        Args:
            clips (Sequence[dict]): N annotations of one person each, with the joints of the index.
            mirror (bool): Whether to mirror them. Defaults to False.

        Returns:
            np.ndarray: (N, K) float32 of length 1.
        """
        return self._encoder.reduce(self._encoder.features(clips, mirror))

    @property
    def vectors(self) -> np.ndarray:
        """All vectors (W, K) float16, read into memory."""
        return np.concatenate([part.vectors for part in self._parts])

    def _example(self, query, frames, seconds, person, options) -> list[dict]:
        """Read the query and cut it into clips."""
        reader = self._reader(options, False)
        found = list(islice(reader.read(query), 2))
        if len(found) != 1:
            names = ' and '.join(repr(recording.name) for recording in found) or 'nothing'
            raise ValueError(str(reader.problems[0]) if reader.problems and not found else
                             f'query: found {names}, expected one recording')
        recording, = found
        name, fps = recording.name, recording.fps
        if seconds is not None:
            if fps is None:
                raise file_error(name, 'seconds', 'no frame rate', 'fps, or frames')
            frames = round(seconds[0] * fps), round(seconds[1] * fps) - 1
        persons = dict(tracks(recording.ann))
        if frames is not None:
            persons = {key: part for key, ann in persons.items()
                       if (part := _cut(ann, recording, frames)) is not None}
        if person is not None:
            persons = {key: ann for key, ann in persons.items() if key == person}
        if not persons:
            raise file_error(name, 'person', f'nobody in frames {frames}' if person is None else
                             f'no person {person}', 'a visible person')
        ann = max(persons.values(), key=lambda ann: visible(ann).sum())
        window = self.header.window
        whole = ann['total_frames'] <= _SLACK * window
        windows = ClipWindows(ann, None if whole else window, max(window // 2, 1))
        return [windows.get_data_info(i) for i in range(len(windows))]

    def similarities(self, vectors: np.ndarray) -> np.ndarray:
        """Compute the largest cosine of each window with one of the vectors.

        Args:
            vectors (np.ndarray): (Q, K) of length 1.

        Returns:
            np.ndarray: (W,) float32 in the order of the parts.

        Raises:
            ValueError: If a part is damaged.
        """
        queries, out = torch.from_numpy(vectors).T.contiguous(), []
        for part in self._parts:
            for start in range(0, len(part), _CHUNK):
                rows = torch.from_numpy(np.array(part.vectors[start:start + _CHUNK]))
                out.append((rows.float() @ queries).amax(1))
            if not torch.isfinite(out[-1]).all():
                raise part.damaged('vectors', 'NaN or infinite values', 'finite ones')
        return torch.cat(out).numpy()

    def nearest(self, vectors: np.ndarray, top: int = 20) -> list[Hit]:
        """Find the moments whose windows are most like one of several vectors.

        Args:
            vectors (np.ndarray): (Q, K) float32 of length 1, see :meth:`encode`.
            top (int): Number of hits. Defaults to 20.

        Returns:
            list[Hit]: See :meth:`search`.
        """
        scores = self.similarities(vectors)
        ends = np.cumsum([len(part) for part in self._parts])
        count = 0
        while True:
            count = min(max(4 * count, 50 * top), len(scores))
            best = np.argpartition(-scores, count - 1)[:count]
            best = best[np.argsort(-scores[best], kind='stable')]
            hits: list[Hit] = []
            taken: dict[tuple[int, int], list[Hit]] = {}
            for i in best:
                number = int(np.searchsorted(ends, i, side='right'))
                offset = ends[number] - len(self._parts[number])
                hit = self._hit(number, int(i - offset), scores[offset:ends[number]], taken)
                if hit is not None:
                    hits.append(hit)
                    taken.setdefault(hit.place, []).append(hit)
                if len(hits) == top:
                    return hits
            if count == len(scores):
                return hits

    def _hit(self, number, row, scores, taken) -> Hit | None:
        """Return the hit around a window, unless it overlaps an earlier one."""
        part = self._parts[number]
        track = int(part.track[row])
        hits = taken.get((number, track), ())

        def free(i):
            return all(part.last[i] < hit.first or part.first[i] > hit.last for hit in hits)

        if not free(row):
            return None
        ends = []
        for step in (-1, 1):
            i = row
            while 0 <= i + step < len(part) and part.track[i + step] == track and free(
                    i + step) and scores[i + step] >= _KEPT * scores[row] and (
                    part.first[max(i, i + step)] <= part.last[min(i, i + step)]):
                i += step
            ends.append(i)
        fps = float(part.fps[track])
        return Hit(str(part.name[track]), int(part.person[track]), int(part.first[ends[0]]),
                   int(part.last[ends[1]]), None if np.isnan(fps) else fps,
                   float(np.clip(scores[row], -1, 1)), (number, track))

    # ------------------------------------------------------------------------------ pictures
    def poses(self, hit: Hit) -> dict:
        """Return the poses of a hit as an annotation, every third frame, for pictures."""
        number, track = hit.place
        keypoint, frames = self._parts[number].poses(
            track, get_layout(self.header.layout).num_joints)
        rows = (frames >= hit.first) & (frames <= hit.last)
        rows = rows if rows.any() else np.abs(frames - hit.first) == np.abs(
            frames - hit.first).min()
        points = keypoint[rows].astype(np.float32)
        return dict(frame_dir=hit.recording, label=0, total_frames=len(points),
                    frame_inds=frames[rows], keypoint=points[None],
                    keypoint_score=points.any(-1)[None].astype(np.float32))

    def draw(self, hits: Sequence[Hit]) -> dict[str, Any]:
        """Draw hits.

        Returns:
            dict[str, Any]: A contact sheet by ``.png``, and an animation by ``.gif``.
        """
        from mofm.visualization import animate_contact_sheet, draw_contact_sheet  # heavy

        clips = [dict(self.poses(hit), label=i) for i, hit in enumerate(hits)]
        texts = [f'{hit.similarity:.2f}, person {hit.person}, ' + (
            '{:.1f} to {:.1f} s'.format(*hit.seconds) if hit.seconds else
            f'frames {hit.first} to {hit.last}') for hit in hits]
        layout = self.header.layout
        return {'.png': draw_contact_sheet(clips, texts, layout),
                '.gif': animate_contact_sheet(clips, texts, layout)}


def write_hits(hits: Sequence[Hit], path: str | Path):
    """Write hits to a CSV file, see :meth:`Hit.row`."""
    columns = ('recording', 'person', 'start', 'end', 'first', 'last', 'similarity')
    write_csv(path, columns, (list(hit.row().values()) for hit in hits))


def _cut(ann: dict, recording: Recording, frames: tuple[int, int]) -> dict | None:
    """Return the rows of a track in frames of the input, None if nobody is visible in them."""
    inds = recording.to_input(ann['frame_inds'])
    rows = np.flatnonzero((inds >= frames[0]) & (inds <= frames[1]))
    if not len(rows) or not visible(ann)[0, rows].any():
        return None
    part = slice(rows[0], rows[-1] + 1)
    return dict(ann, keypoint=ann['keypoint'][:, part], total_frames=len(inds[part]),
                keypoint_score=ann['keypoint_score'][:, part], frame_inds=ann['frame_inds'][part])
