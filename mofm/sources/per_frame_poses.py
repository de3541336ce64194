"""Base class of readers of per-frame poses: tracking, gap filling, selection of persons."""
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mofm.keypoints import fill_gaps, track_poses
from mofm.structures import LAYOUTS, convert, get_layout, visible_joints

from .base import FolderSource, Item

#: Largest valid score. AlphaPose's reach 6 on COCO, MMPose's with SimCC 10.
MAX_SCORE = 20
# Tracking compares all persons of a frame with all lost ones. OpenPose stops at 127.
_MAX_PERSONS = 250
# Persons times frames of a dense annotation, about 100 MB.
_MAX_DENSE = 10**6


class FramePoses(NamedTuple):
    """N poses of one video in any order.

    Args:
        name (str): Unique name of the recording.
        frames (np.ndarray): (T,) int, number of every processed frame, ascending.
        frame (np.ndarray): (N,) int, the frame of each pose.
        keypoint (np.ndarray): (N, J, 2) pixels in the layout of the annotations.
        score (np.ndarray): (N, J), clipped to [0, 1] later.
        track_id (np.ndarray, optional): (N,) int; None without tracking.
        img_shape (tuple[int, int], optional): Height and width; None if unknown.
    """

    name: str
    frames: np.ndarray
    frame: np.ndarray
    keypoint: np.ndarray
    score: np.ndarray
    track_id: np.ndarray | None = None
    img_shape: tuple[int, int] | None = None


class FramePoseSource(FolderSource):
    """Base class of readers of 2D poses per frame; a recording is one file or a folder.

    A subclass implements :meth:`videos`, and :meth:`folder` if recordings are not single files.

    Track IDs of the files are kept; of duplicates in a frame the best scored pose stays. Others
    are assigned by :func:`mofm.keypoints.track_poses`. Scores are clipped to [0, 1]: AlphaPose's
    may be above, those of heatmaps slightly below.

    A recording is one annotation, with persons ordered by their summed score. Its rows are the
    frames of the file, ``frame_inds`` their numbers unless these are 0, 1, ...; a person lost for
    longer than ``max_gap`` has no joints there. With ``tracks`` every track is an annotation,
    named ``<video>/<track ID>``; its parts after longer gaps are ``<video>/<track ID>_1`` ... with
    the same ``track_id``.

    Args:
        path (str or Path): A folder, a zip file, or one native file.
        max_gap (int): Longest gap in frames that is interpolated, 0 for none.
        min_frames (int): Minimum length of a track after interpolation.
        min_score (float): Minimum mean score of a pose over its joints.
        tracks (bool): Write one annotation per track.
        max_person (int): Maximum number of persons, those with the highest summed scores.
        img_shape (tuple[int, int], optional): Height and width of videos if the files lack them.
            By default they end at the last joint, rounded up.
        to_layout (str): Layout of the annotations, converted to directly. Defaults to 'coco17'.
        **kwargs: ``strict`` and ``lists`` of :class:`Source`.

    Raises:
        AnnotationError: If the path has no such files.
        ValueError: If a number is out of range or the layout is unknown.
    """

    suffix = '.json'
    max_size = 2**29

    def __init__(self, path: str | Path, max_gap: int = 5, min_frames: int = 1,
                 min_score: float = 0, tracks: bool = False, max_person: int = 10,
                 img_shape: tuple[int, int] | None = None, to_layout: str = 'coco17',
                 **kwargs):
        if min(max_gap, min_score) < 0 or min(min_frames, max_person, *(img_shape or (1,))) < 1:
            raise ValueError(
                f'found max_gap={max_gap}, min_score={min_score}, min_frames={min_frames}, '
                f'max_person={max_person} and img_shape={img_shape}, expected at least 0 for the '
                'first two and 1 for the others')
        super().__init__(path, **kwargs)
        self.max_gap = max_gap
        self.min_frames = min_frames
        self.min_score = min_score
        self.tracks = tracks
        self.max_person = max_person
        self.img_shape = img_shape and tuple(img_shape)
        self.to_layout = get_layout(to_layout)

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--max-gap', type=int, default=5, metavar='FRAMES',
                            help='longest gap of a track that is interpolated, 0 for none')
        parser.add_argument('--min-frames', type=int, default=1, metavar='FRAMES',
                            help='minimum length of a track')
        parser.add_argument('--min-score', type=float, default=0, metavar='SCORE',
                            help='minimum mean score of a pose')
        parser.add_argument('--tracks', action='store_true',
                            help='one annotation per track instead of per video')
        parser.add_argument('--max-person', type=int, default=10, metavar='PERSONS',
                            help='persons of a video, those with the highest summed scores')
        parser.add_argument('--img-shape', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                            help='size of videos if the files lack it (default: the last joint)')

    def folder(self, file: str) -> str:
        """Return the recording that a native file belongs to, by default the file itself."""
        return file

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterable[FramePoses]:
        """Yield the videos of one recording, nearly always one.

        Raises:
            AnnotationError: If a file is invalid.
        """
        raise NotImplementedError

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """See :meth:`FolderSource.annotations`."""
        for video in self.videos(name, content):
            listed = self.listed(video.name)
            if listed is not None:
                for ann in self._annotations(name, video):
                    yield dict(ann, label=listed[0]), listed[1]

    def poses(self, name: str, field: str, values: Sequence,
              layouts: Mapping[int, str]) -> tuple[np.ndarray, np.ndarray]:
        """Convert flat lists of ``x, y, score`` per joint to poses.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            values (Sequence): N lists of equal length.
            layouts (Mapping[int, str]): Layout by number of joints; additional joints are dropped.

        Returns:
            tuple: keypoint (N, J, 2) and score (N, J) in ``to_layout``.

        Raises:
            AnnotationError: If the lists are different.
        """
        lengths = {len(v) if isinstance(v, list) else type(v).__name__ for v in values}
        known = {3 * count: layout for count, layout in layouts.items()}
        if not lengths:
            return self.no_poses()
        if len(lengths) > 1 or not lengths <= known.keys():
            raise self.error(name, field, f'lists of {sorted(map(str, lengths))} values',
                             f'equal lengths, one of {sorted(known)}')
        length, = lengths
        array = self.array(name, field, values, (None, length)).reshape(len(values), -1, 3)
        array = array[:, :LAYOUTS[known[length]].num_joints]
        return convert(array[..., :2], array[..., 2], known[length], self.to_layout.name)

    def no_poses(self) -> tuple[np.ndarray, np.ndarray]:
        """Return an empty result of :meth:`poses`."""
        joints = self.to_layout.num_joints
        return np.zeros((0, joints, 2)), np.zeros((0, joints))

    def _annotations(self, name, video):
        number, rows, keypoint, score = self._tracked(name, video)
        pieces = []  # (person, index, keypoint (t, J, 2), score (t, J), frame_inds (t,))
        for person in np.split(rows, np.flatnonzero(np.diff(number[rows])) + 1):
            if len(person):
                parts = fill_gaps(keypoint[person], score[person], video.frame[person],
                                  self.max_gap)
                pieces += [(int(number[person[0]]), i, *part) for i, part in enumerate(parts)
                           if len(part[2]) >= self.min_frames]
        height, width = np.ceil(keypoint[rows].max((0, 1), initial=1))[::-1].tolist()
        common = dict(img_shape=video.img_shape or self.img_shape or (int(height), int(width)))
        if not self.tracks:
            return [dict(common, frame_dir=video.name, **self._dense(name, video, pieces))]
        if not pieces:
            raise self.error(name, 'persons', f'none of at least {self.min_frames} frames',
                             'at least one for --tracks')
        return [dict(common, frame_dir=f'{video.name}/{person}' + (f'_{i}' if i else ''),
                     clip=video.name, track_id=person, total_frames=len(inds), frame_inds=inds,
                     keypoint=points[None].astype(np.float16),
                     keypoint_score=scores[None].astype(np.float16))
                for person, i, points, scores, inds in pieces]

    def _tracked(self, name, video):
        """Return the track ID of every row, valid rows by ID and frame, and cleaned poses."""
        for field, largest, usual in (('keypoint', np.finfo(np.float16).max, 'pixels'),
                                      ('score', MAX_SCORE, 'about 0 to 1')):
            found = np.abs(getattr(video, field)).max(initial=0)
            if found > largest:
                raise self.error(name, field, found, f'{usual}, at most {largest}')
        score = video.score.clip(0, 1)
        visible = visible_joints(video.keypoint, score)
        keypoint, score = video.keypoint * visible[..., None], score * visible
        keep = visible.any(-1) & (score.mean(-1) >= self.min_score)
        rows = np.lexsort((-score.sum(-1), video.frame))  # the best of a frame first
        rows = rows[keep[rows]]
        if video.track_id is None:
            frames = np.split(rows, np.searchsorted(video.frame[rows], video.frames[1:]))
            most = max(map(len, frames))
            if most > _MAX_PERSONS:
                raise self.error(name, 'persons', f'{most} in one frame',
                                 f'at most {_MAX_PERSONS}; a higher --min-score may help')
            number = np.zeros(len(score), np.int64)
            coco = convert(keypoint, score, self.to_layout.name)  # OKS is defined for COCO
            number[rows] = np.concatenate(track_poses(
                [(coco[0][frame], coco[1][frame]) for frame in frames], video.frames))
        else:
            number = video.track_id
            pairs = np.stack([video.frame, number], 1)[rows]
            rows = rows[np.unique(pairs, axis=0, return_index=True)[1]]
        return number, rows[np.lexsort((video.frame[rows], number[rows]))], keypoint, score

    def _dense(self, name, video, pieces):
        """Return the fields of a dense annotation, persons x frames."""
        inds = np.unique(np.concatenate([video.frames, *(piece[-1] for piece in pieces)]))
        total: dict[int, float] = {}
        for person, _, _, scores, _ in pieces:
            total[person] = total.get(person, 0) + scores.sum()
        best = sorted(total, key=lambda person: (-total[person], person))[:self.max_person]
        if len(best) * len(inds) > _MAX_DENSE:
            raise self.error(name, 'persons', f'{len(best)} in {len(inds)} frames',
                             f'at most {_MAX_DENSE} poses in one annotation; use --tracks')
        keypoint = np.zeros((len(best), len(inds), *video.keypoint.shape[1:]), np.float16)
        score = np.zeros(keypoint.shape[:3], np.float16)
        for person, _, points, scores, frames in pieces:
            if person in best:
                where = best.index(person), np.searchsorted(inds, frames)
                keypoint[where], score[where] = points, scores
        numbered = {} if (inds == np.arange(len(inds))).all() else dict(frame_inds=inds)
        return dict(total_frames=len(inds), keypoint=keypoint, keypoint_score=score, **numbered)


def frame_numbers(names: Sequence[str]) -> np.ndarray:
    """Parse frame numbers from names of images.

    Args:
        names (Sequence[str]): N names without suffix.

    Returns:
        np.ndarray: (N,) int. The number at the end of each name if names differ only in it;
        otherwise, e.g. for time stamps, the index in natural order.
    """
    # Digits after a decimal point are a fraction.
    matches = [re.fullmatch(r'(|.*[^0-9.])([0-9]{1,18})', name, re.DOTALL) for name in names]
    if all(matches) and len({match[1] for match in matches}) == 1:
        numbers = np.array([int(match[2]) for match in matches])
        if len(np.unique(numbers)) == len(names) and numbers.max() < 2**31:
            return numbers
    order = sorted(range(len(names)), key=lambda i: _natural(names[i]))
    return np.argsort(order)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sorting key in which 10 comes after 9 and digits before letters."""
    parts = re.split('([0-9]+)', name)
    return [(len(part.lstrip('0')), part.lstrip('0')) if i % 2 else (-1, part)
            for i, part in enumerate(parts)] + [(-1, name)]
