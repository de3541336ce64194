"""Poses that a network found frame by frame, as annotations: track IDs, gaps, persons."""
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mofm.keypoints import fill_gaps, track_poses
from mofm.structures import LAYOUTS, convert, get_layout, visible_joints

from .base import FolderSource, Item

#: AlphaPose goes up to 6 on COCO, MMPose with SimCC up to 10; what is far above is no score.
MAX_SCORE = 20
# The tracker compares all persons of a frame with all lost ones. OpenPose stops at 127.
_MAX_PERSONS = 250
# Persons times frames of a dense annotation: 100 MB.
_MAX_DENSE = 10**6


class FramePoses(NamedTuple):
    """The N poses of one video, in any order.

    Args:
        name (str): The recording, unique.
        frames (np.ndarray): (T,) int, number of every frame that was looked at, ascending.
        frame (np.ndarray): (N,) int, the frame of each pose.
        keypoint (np.ndarray): (N, J, 2) pixels, in the order that the reader was asked for.
        score (np.ndarray): (N, J), clipped to [0, 1] later.
        track_id (np.ndarray, optional): (N,) int, who it is; None if the file does not tell.
        img_shape (tuple[int, int], optional): Height and width, likewise.
    """

    name: str
    frames: np.ndarray
    frame: np.ndarray
    keypoint: np.ndarray
    score: np.ndarray
    track_id: np.ndarray | None = None
    img_shape: tuple[int, int] | None = None


class FramePoseSource(FolderSource):
    """Base class of readers of 2D poses per frame; a recording is a file, or a folder of them.

    A reader writes :meth:`videos`, and :meth:`folder` where recordings are not single files.

    Persons whose files tell who they are keep that number; the best scored stays where a number
    comes twice in a frame. Others get one by :func:`mofm.keypoints.track_poses`. Scores are
    clipped to [0, 1]: AlphaPose's joints may be above, heat maps slightly below.

    There is one annotation per recording, its persons ordered by their summed score. Its rows are
    the frames of the file, ``frame_inds`` their numbers unless these are 0, 1, ...; the rows of a
    person who is lost for longer than ``max_gap`` have no joints. With ``tracks`` every person is
    an annotation of its own, called ``<video>/<number>``, and of several if lost for longer:
    ``<video>/<number>_1`` ... with the same ``track_id``.

    Args:
        path (str or Path): A folder, a zip file, or one native file.
        max_gap (int): Frames in a row without the person that are interpolated; 0 for none.
        min_frames (int): Shorter tracks are left out, after interpolation.
        min_score (float): Poses with a lower mean score over the joints are left out.
        tracks (bool): One annotation per person.
        max_person (int): Persons of an annotation, those with the highest summed scores.
        img_shape (tuple[int, int], optional): Height and width of videos whose files do not tell.
            By default they end at the last joint, rounded up.
        to_layout (str): Layout of the annotations, into which joints are converted directly.
            Defaults to 'coco17'.
        **kwargs: ``strict`` and ``lists`` of :class:`Source`.

    Raises:
        AnnotationError: If the path holds no such files.
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
                            help='longest gap of a person that is interpolated, 0 for none')
        parser.add_argument('--min-frames', type=int, default=1, metavar='FRAMES',
                            help='leave out shorter tracks')
        parser.add_argument('--min-score', type=float, default=0, metavar='SCORE',
                            help='leave out poses with a lower mean score')
        parser.add_argument('--tracks', action='store_true',
                            help='an annotation for every person, not for every video')
        parser.add_argument('--max-person', type=int, default=10, metavar='PERSONS',
                            help='persons of a video, those with the highest summed scores')
        parser.add_argument('--img-shape', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                            help='of videos whose files do not tell; else the last joint counts')

    def folder(self, file: str) -> str:
        """Recording that a native file belongs to: the file itself, unless overridden."""
        return file

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterable[FramePoses]:
        """The videos of one recording, nearly always one.

        Raises:
            AnnotationError: If a file is not as expected.
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
        """Poses from flat lists ``x, y, score`` of each joint.

        Args:
            name (str): The native file.
            field (str): Named in the error.
            values (Sequence): N lists, all of one length.
            layouts (Mapping[int, str]): Layout by number of joints; joints after its last are
                left out.

        Returns:
            tuple: keypoint (N, J, 2) and score (N, J) in ``to_layout``.

        Raises:
            AnnotationError: If the lists are anything else.
        """
        lengths = {len(v) if isinstance(v, list) else type(v).__name__ for v in values}
        known = {3 * count: layout for count, layout in layouts.items()}
        if not lengths:
            return self.nobody()
        if len(lengths) > 1 or not lengths <= known.keys():
            raise self.error(name, field, f'lists of {sorted(map(str, lengths))} values',
                             f'the same length for all, one of {sorted(known)}')
        length, = lengths
        array = self.array(name, field, values, (None, length)).reshape(len(values), -1, 3)
        array = array[:, :LAYOUTS[known[length]].num_joints]
        return convert(array[..., :2], array[..., 2], known[length], self.to_layout.name)

    def nobody(self) -> tuple[np.ndarray, np.ndarray]:
        """Empty result of :meth:`poses`."""
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
                             'at least one; --tracks leaves nothing of this video')
        return [dict(common, frame_dir=f'{video.name}/{person}' + (f'_{i}' if i else ''),
                     clip=video.name, track_id=person, total_frames=len(inds), frame_inds=inds,
                     keypoint=points[None].astype(np.float16),
                     keypoint_score=scores[None].astype(np.float16))
                for person, i, points, scores, inds in pieces]

    def _tracked(self, name, video):
        """Number of the person in every row, usable rows by number and frame, and clean poses."""
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
            coco = convert(keypoint, score, self.to_layout.name)  # OKS is about COCO's joints
            number[rows] = np.concatenate(track_poses(
                [(coco[0][frame], coco[1][frame]) for frame in frames], video.frames))
        else:
            number = video.track_id
            pairs = np.stack([video.frame, number], 1)[rows]
            rows = rows[np.unique(pairs, axis=0, return_index=True)[1]]
        return number, rows[np.lexsort((video.frame[rows], number[rows]))], keypoint, score

    def _dense(self, name, video, pieces):
        """The fields of persons x frames."""
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
    """Frame numbers of images.

    Args:
        names (Sequence[str]): N names without suffix.

    Returns:
        np.ndarray: (N,) int. The number at the end of each name, if names differ in nothing else;
        otherwise, e.g. for time stamps, the place of each in natural order.
    """
    # The digits after a point are a fraction.
    matches = [re.fullmatch(r'(|.*[^0-9.])([0-9]{1,18})', name, re.DOTALL) for name in names]
    if all(matches) and len({match[1] for match in matches}) == 1:
        numbers = np.array([int(match[2]) for match in matches])
        if len(np.unique(numbers)) == len(names) and numbers.max() < 2**31:
            return numbers
    order = sorted(range(len(names)), key=lambda i: _natural(names[i]))
    return np.argsort(order)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorting key in which 10 comes after 9 and digits before letters."""
    parts = re.split('([0-9]+)', name)
    return [(len(part.lstrip('0')), part.lstrip('0')) if i % 2 else (-1, part)
            for i, part in enumerate(parts)] + [(-1, name)]
