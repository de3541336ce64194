"""Base class of readers of per-frame poses: tracking, gap filling, selection of persons."""
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mofm.annotations.values import COORDINATES, find_coordinates, find_size_fault, to_pixels
from mofm.keypoints import fill_gaps, join_tracks, track_poses
from mofm.structures import LAYOUTS, convert, get_layout, visible_joints

from .base import Item
from .frame_files import FrameFiles
from .frame_numbers import find_step
from .joint_maps import MAP_OPTION, find_joints, load_map
from .joint_order import BEGINS, alike_layouts, named_order, other_layouts
from .posture import find_posture

#: Largest valid score. AlphaPose's reach 6 on COCO, MMPose's with SimCC 10.
MAX_SCORE = 20
# Tracking compares all persons of a frame with all lost ones. OpenPose stops at 127.
_MAX_PERSONS = 250
# Persons times frames of a dense annotation, about 100 MB.
_MAX_DENSE = 10**6
# Pixels over which people extend whose pose can be estimated.
_TINY = 12
_NO_POSES = np.zeros((0, 0, 2)), np.zeros((0, 0))


class FramePoses(NamedTuple):
    """N poses of one video in any order.

    Args:
        name (str): Unique name of the recording.
        frames (np.ndarray): (T,) int, number of every processed frame, ascending.
        frame (np.ndarray): (N,) int, the frame of each pose.
        keypoint (np.ndarray): (N, J, 2) in the layout of the annotations, NaN for missing joints.
        score (np.ndarray): (N, J), clipped to [0, 1] later.
        track_id (np.ndarray, optional): (N,) int; None without tracking.
        img_shape (tuple[int, int], optional): Height and width; None if unknown.
        box (np.ndarray, optional): (N, 4) x1, y1, x2, y2 in the unit of the joints, NaN for none.
        coordinates (str, optional): What the file says of the unit, one of
            :data:`mofm.annotations.values.COORDINATES`; None to tell it from the values.
        fps (float, optional): Frames per second in which ``frames`` count, if the file says so.
    """

    name: str
    frames: np.ndarray
    frame: np.ndarray
    keypoint: np.ndarray
    score: np.ndarray
    track_id: np.ndarray | None = None
    img_shape: tuple[int, int] | None = None
    box: np.ndarray | None = None
    coordinates: str | None = None
    fps: float | None = None


class FramePoseSource(FrameFiles):
    """Base class of readers of 2D poses per frame; a recording is a file, or a file per frame.

    A subclass implements :meth:`videos`, and :meth:`one_frame` if there are files with one frame.

    Track IDs of the files are kept; of duplicates in a frame the best scored pose stays. Others
    are assigned by :func:`mofm.keypoints.track_poses`. Scores are clipped to [0, 1]: AlphaPose's
    may be above, those of heatmaps slightly below.

    A recording is one annotation, with persons ordered by their summed score. Its rows are the
    frames of the file, ``frame_inds`` their numbers unless these are 0, 1, ...; a person lost for
    longer than ``max_gap`` has no joints there. With ``tracks`` every track is an annotation,
    named ``<video>/<track ID>``; its parts after longer gaps are ``<video>/<track ID>_1`` ... with
    the same ``track_id``. Numbers of sampled images, e.g. 0, 6, 12, are counted in their step
    from the first image on.

    Nothing is guessed in silence: the layout taken, coordinates that are no pixels, missing
    numbers and steps become notes.

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
        layout (str, optional): Order of the joints in the files. By default what the files say,
            or the usual layout of that number of joints unless another one fits better.
        joint_map (str or Path, optional): The joints of COCO-17 in the files instead, see
            :func:`mofm.sources.joint_maps.load_map`.
        coordinates (str, optional): One of :data:`mofm.annotations.values.COORDINATES`. By
            default what the files say, or what their values tell.
        **kwargs: ``strict`` and ``lists`` of :class:`Source`.

    Raises:
        AnnotationError: If the path has no such files, or there is no such map.
        ValueError: If a number is out of range, the layout is unknown or there is a map, too.
    """

    suffix = '.json'
    max_size = 2**29

    def __init__(self, path: str | Path, max_gap: int = 5, min_frames: int = 1,
                 min_score: float = 0, tracks: bool = False, max_person: int = 10,
                 img_shape: tuple[int, int] | None = None, to_layout: str = 'coco17',
                 layout: str | None = None, joint_map: str | Path | None = None,
                 coordinates: str | None = None, **kwargs):
        if min(max_gap, min_score) < 0 or min(min_frames, max_person, *(img_shape or (1,))) < 1:
            raise ValueError(
                f'found max_gap={max_gap}, min_score={min_score}, min_frames={min_frames}, '
                f'max_person={max_person} and img_shape={img_shape}, expected at least 0 for the '
                'first two and 1 for the others')
        if layout and joint_map or coordinates not in (None, *COORDINATES):
            raise ValueError(
                f'found layout={layout!r}, joint_map={joint_map!r} and coordinates='
                f'{coordinates!r}, expected one of the first two and one of {COORDINATES}')
        self.layout = layout and get_layout(layout).name
        self.joint_map = joint_map and load_map(joint_map)
        self.coordinates = coordinates
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
        order = parser.add_mutually_exclusive_group()
        order.add_argument('--layout', choices=sorted(LAYOUTS),
                           help='order of the joints (default: the usual one of their number)')
        order.add_argument('--map', **MAP_OPTION)
        parser.add_argument('--coordinates', choices=COORDINATES,
                            help='unit: 0 to 1 (unit) or -1 to 1 (signed) of the image, or pixels '
                            '(default: by the values)')

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

    def poses(self, name: str, field: str, values: Sequence) -> tuple[np.ndarray, np.ndarray]:
        """Convert lists of ``x, y, score`` per joint, flat or with a list for each joint.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            values (Sequence): N lists of equal length.

        Returns:
            tuple: keypoint (N, J, 2), NaN for missing joints, and score (N, J) of the file.

        Raises:
            AnnotationError: If the lists are different.
        """
        lengths = {len(v) if isinstance(v, list) else type(v).__name__ for v in values}
        if not lengths:
            return _NO_POSES
        if all(isinstance(pose, list) and pose and isinstance(pose[0], list) for pose in values):
            array = self.numbers(name, field, values, (None, None, 3))
            return array[..., :2], array[..., 2]
        length = lengths.pop()
        if lengths or not isinstance(length, int) or length % 3 or not length:
            raise self.error(name, field, f'lists of {sorted(map(str, {length, *lengths}))} '
                             'values', 'equal lengths, x, y and score of each joint')
        array = self.numbers(name, field, values, (None, length)).reshape(len(values), -1, 3)
        return array[..., :2], array[..., 2]

    def with_joints(self, name: str, field: str, persons: Sequence[dict]) -> list[dict]:
        """Leave out persons whose joints are an empty list or null, with a note, but not all.

        Args:
            name (str): The native file.
            field (str): Field of the joints of a person.
            persons (Sequence[dict]): Persons of any frames.
        """
        kept = [person for person in persons if person.get(field, True) not in ([], None)]
        if not kept or len(kept) == len(persons):
            return list(persons)
        self.note(name, f'persons without {field} are left out')
        return kept

    def joined(self, name: str, field: str, parts: Sequence[tuple[np.ndarray, np.ndarray]]
               ) -> tuple[np.ndarray, np.ndarray]:
        """Concatenate poses of the files or frames of a video.

        Args:
            name (str): The video.
            field (str): Field for error messages.
            parts (Sequence[tuple]): keypoint (N, J, 2) and score (N, J); any J if N is 0.

        Raises:
            AnnotationError: If the numbers of joints are different.
        """
        parts = [part for part in parts if len(part[0])] or [_NO_POSES]
        counts = sorted({keypoint.shape[1] for keypoint, _ in parts})
        if len(counts) > 1:
            raise self.error(name, field, f'{counts} joints', 'the same number in all files')
        keypoint, score = zip(*parts, strict=True)
        return np.concatenate(keypoint), np.concatenate(score)

    def to_layout_joints(self, name: str, field: str, keypoint: np.ndarray, score: np.ndarray,
                         layouts: Sequence[str] | str, names: Sequence[str] | None = None
                         ) -> tuple[np.ndarray, np.ndarray]:
        """Convert all poses of a video to :attr:`to_layout`, from the layout that the user says.

        Without ``--layout`` and ``--map`` it is the one that the file says, by a layout or by
        names; or the first one with this number of joints, unless the proportions of the bones are
        clearly better in another layout, which is refused. What was taken is noted.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            keypoint (np.ndarray): (N, J, 2) in any unit, NaN for missing joints.
            score (np.ndarray): (N, J).
            layouts (Sequence[str] or str): Layouts that the format may have, the usual one of a
                number of joints first; or the one that the file says.
            names (Sequence[str], optional): Names of the J joints in the file.

        Returns:
            tuple: keypoint (N, V, 2), 0 for missing joints, and score (N, V).

        Raises:
            AnnotationError: If the joints are of no layout, or which one is not clear.
        """
        if not len(keypoint):
            return self.no_poses()
        known = ~(np.isnan(keypoint).any(-1) | np.isnan(score))
        keypoint, score = np.where(known[..., None], keypoint, 0), np.where(known, score, 0)
        order = names and not self.layout and named_order(names)
        if self.joint_map:
            try:
                places = find_joints(self.joint_map, names, keypoint.shape[1])
            except ValueError as error:
                raise self.error(name, field, f'{keypoint.shape[1]} joints', error) from None
            keypoint, score, layout = *_mean_joints(keypoint, score, places), 'coco17'
        elif order:
            self.note(name, 'the order of the joints is that of their names in the file')
            keypoint, score, layout = *_mean_joints(keypoint, score, order), 'coco17'
        else:
            layout = self._layout_of(name, field, keypoint, score, layouts)
            joints = LAYOUTS[layout].num_joints
            keypoint, score = keypoint[:, :joints], score[:, :joints]
        return convert(keypoint, score, layout, self.to_layout.name)

    def _layout_of(self, name, field, keypoint, score, layouts) -> str:
        """Return the layout that the user or the file says, or the usual one if it fits."""
        count = keypoint.shape[1]
        said = self.layout or (layouts if isinstance(layouts, str) else None)
        known = [said] if said else [*layouts, *filter(None, [BEGINS.get(count)])]
        fitting = [layout for layout in known if count in (
            LAYOUTS[layout].num_joints, not said and BEGINS.get(count) == layout and count)]
        if not fitting:
            numbers = sorted({LAYOUTS[layout].num_joints for layout in known})
            alike = alike_layouts(keypoint, score)
            raise self.error(name, field, f'{count} joints', f'those of {said}' if said else
                             f'{numbers}; or --layout, which may be {" or ".join(alike)}, or --map'
                             if alike else f'{numbers}, or --map')
        layout = fitting[0]
        keypoint, score = (part[:, :LAYOUTS[layout].num_joints] for part in (keypoint, score))
        kind, others = other_layouts(keypoint, score, layout)
        if kind == 'better' and not said:
            raise self.error(
                name, field, f'{count} joints whose bones have the proportions of humans in the '
                f'order of {" or ".join(others)}, not of {layout}',
                f'--layout {others[0]}, or --layout {layout} if that is their order')
        if kind == 'better':
            self.note(name, f'the joints are read as {layout}, but their bones have the '
                      f'proportions of humans in the order of {" or ".join(others)}')
        elif said and not self.layout:
            self.note(name, f'the {count} joints are those of {layout}, as the file says')
        elif not said:
            others = f'; they could be those of {" or ".join(others)}' if others else ''
            self.note(name, f'the {count} joints are read as those of {layout}{others} '
                      '(--layout or --map for another order)')
        return layout

    def no_poses(self) -> tuple[np.ndarray, np.ndarray]:
        """Return an empty result of :meth:`poses`."""
        joints = self.to_layout.num_joints
        return np.zeros((0, joints, 2)), np.zeros((0, joints))

    def _annotations(self, name, video):
        video = self._identified(name, self._counted(name, self._in_pixels(name, video)))
        number, rows, keypoint, score = self._tracked(name, video)
        height, width = np.ceil(keypoint[rows].max((0, 1), initial=1))[::-1].tolist()
        if video.box is not None:  # its corners are two more joints
            known = np.isfinite(video.box).all(1) & video.box.any(1)
            corners = np.where(known[:, None], video.box, 0).reshape(-1, 2, 2)
            corners = np.stack([corners.min(1), corners.max(1)], 1)
            keypoint = np.concatenate([keypoint, corners], 1)
            score = np.concatenate([score, np.repeat(known[:, None], 2, 1)], 1)
        pieces = []  # (person, index, keypoint (t, J, 2), score (t, J), frame_inds (t,))
        for person in np.split(rows, np.flatnonzero(np.diff(number[rows])) + 1):
            if len(person):
                parts = fill_gaps(keypoint[person], score[person], video.frame[person],
                                  self.max_gap)
                pieces += [(int(number[person[0]]), i, *part) for i, part in enumerate(parts)
                           if len(part[2]) >= self.min_frames]
        common = dict(img_shape=video.img_shape or (int(height), int(width)))
        if video.fps is not None:
            common['fps'] = video.fps
        if not self.tracks:
            return [dict(common, frame_dir=video.name, **self._dense(name, video, pieces))]
        if not pieces:
            raise self.error(name, 'persons', f'none of at least {self.min_frames} frames',
                             'at least one for --tracks')
        return [dict(common, frame_dir=f'{video.name}/{person}' + (f'_{i}' if i else ''),
                     clip=video.name, track_id=person, total_frames=len(inds), frame_inds=inds,
                     **self._arrays(points[None].astype(np.float16),
                                    scores[None].astype(np.float16)))
                for person, i, points, scores, inds in pieces]

    def _in_pixels(self, name, video) -> FramePoses:
        """Scale coordinates to pixels and check the size of the image."""
        known = ~(np.isnan(video.keypoint).any(-1) | np.isnan(video.score))
        keypoint = np.where(known[..., None], video.keypoint, 0)
        score = np.where(known, video.score, 0)
        size = video.img_shape or self.img_shape
        coordinates = self.coordinates or video.coordinates or find_coordinates(keypoint, score)
        if coordinates == 'unclear':
            raise self.error(name, 'keypoint', 'coordinates of 0 to 1 or of -1 to 1',
                             'pixels, or --coordinates unit or signed')
        if coordinates != 'pixels':
            low = dict(unit=0, signed=-1)[coordinates]
            if size is None:
                raise self.error(name, 'keypoint', f'coordinates of {low} to 1',
                                 'pixels, or the size of the image: --img-shape HEIGHT WIDTH')
            self.note(name, f'coordinates of {low} to 1 are scaled with the size of the image')
            visible = visible_joints(keypoint, score)[..., None]
            keypoint = to_pixels(keypoint, coordinates, size) * visible
            if video.box is not None:
                corners = to_pixels(video.box.reshape(-1, 2, 2), coordinates, size)
                video = video._replace(box=corners.reshape(-1, 4))
        fault = size and find_size_fault(keypoint, score, size)
        if fault and fault[1]:
            raise self.error(name, 'img_shape', fault[0], 'height and width, which are swapped')
        if fault:
            self.note(name, 'poses or joints are far outside of the image; is its size right?')
        if _are_tiny(keypoint, score):
            self.note(name, f'most bodies are smaller than {_TINY} pixels; is the unit pixels?')
        posture = find_posture(*convert(keypoint, score, self.to_layout.name))
        if posture and posture[1]:
            self.note(name, 'heads are below feet in most poses; y is expected to point down')
        return video._replace(keypoint=keypoint, score=score, img_shape=size)

    def _counted(self, name, video) -> FramePoses:
        """Count frames in the step of sampled images."""
        found = find_step(video.frames)
        if found is None:
            if len(video.frames) > 2 and np.diff(video.frames).min() > 1:
                self.note(name, 'numbers of frames have gaps everywhere, of no common step; '
                          'number images from 0 if there is nothing between them')
            return video
        places, step = found
        self.note(name, f'images are numbered in steps of {step:.4g}: a row each')
        return video._replace(frames=places, fps=video.fps and video.fps / step,
                              frame=places[np.searchsorted(video.frames, video.frame)])

    def _identified(self, name, video) -> FramePoses:
        """Take one track ID of all persons, some in the same frame, for none."""
        ids = video.track_id
        if ids is not None and len(ids) > len(np.unique(video.frame)) and (ids == ids[0]).all():
            self.note(name, 'all persons have the same track ID: they are tracked anew')
            return video._replace(track_id=None)
        return video

    def _tracked(self, name, video):
        """Return the track ID of every row, valid rows by ID and frame, and cleaned poses."""
        pixels = np.finfo(np.float16).max, 'pixels'
        for field, (largest, usual) in dict(keypoint=pixels, score=(MAX_SCORE, 'about 0 to 1'),
                                            **(dict(box=pixels) if video.box is not None else {})
                                            ).items():
            found = np.abs(np.nan_to_num(getattr(video, field))).max(initial=0)
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
            if not self.tracks and len(np.unique(number[rows])) > self.max_person:
                points = np.where(visible[rows, :, None], keypoint[rows], np.nan)
                joined = join_tracks(number[rows], video.frame[rows], points)
                if (joined != number[rows]).any():
                    self.note(name, 'tracks of one person who goes on under another number are '
                              'joined before persons are left out (--max-person)')
                    number = number.copy()
                    number[rows] = joined
        return number, rows[np.lexsort((video.frame[rows], number[rows]))], keypoint, score

    def _dense(self, name, video, pieces):
        """Return the fields of a dense annotation, persons x frames."""
        inds = np.unique(np.concatenate([video.frames, *(piece[-1] for piece in pieces)]))
        joints, total = self.to_layout.num_joints, dict[int, float]()
        for person, _, _, scores, _ in pieces:
            total[person] = total.get(person, 0) + scores[:, :joints].sum()
        best = sorted(total, key=lambda person: (-total[person], person))[:self.max_person]
        if len(best) * len(inds) > _MAX_DENSE:
            raise self.error(name, 'persons', f'{len(best)} in {len(inds)} frames',
                             f'at most {_MAX_DENSE} poses in one annotation; use --tracks')
        joints += 2 * (video.box is not None)
        keypoint = np.zeros((len(best), len(inds), joints, 2), np.float16)
        score = np.zeros(keypoint.shape[:3], np.float16)
        for person, _, points, scores, frames in pieces:
            if person in best:
                where = best.index(person), np.searchsorted(inds, frames)
                keypoint[where], score[where] = points, scores
        numbered = {} if (inds == np.arange(len(inds))).all() else dict(frame_inds=inds)
        if video.track_id is not None:
            numbered['track_id'] = np.array(best, np.int64)
        return dict(total_frames=len(inds), **self._arrays(keypoint, score), **numbered)

    def _arrays(self, keypoint, score):
        """Return (M, T, V, 2) and (M, T, V), and the corners of boxes after the joints."""
        joints = self.to_layout.num_joints
        arrays = dict(keypoint=keypoint[:, :, :joints], keypoint_score=score[..., :joints])
        if keypoint.shape[2] > joints:
            arrays['box'] = keypoint[:, :, joints:].reshape(*keypoint.shape[:2], 4)
        return arrays


def _are_tiny(keypoint, score) -> bool:
    """Return whether the median extent of poses (N, J, 2) of several joints is no usual one."""
    known = visible_joints(keypoint, score)[..., None]
    known = known[several := known.sum((1, 2)) > 3]
    low, high = (np.where(known, keypoint[several], far) for far in (np.inf, -np.inf))
    extent = (high.max(1, initial=-np.inf) - low.min(1, initial=np.inf)).max(-1)
    return bool(len(extent) and np.median(extent) < _TINY)


def _mean_joints(keypoint, score, places) -> tuple[np.ndarray, np.ndarray]:
    """Average joints (N, J, 2) to those of COCO-17, with the lowest score."""
    out = np.zeros((len(keypoint), LAYOUTS['coco17'].num_joints, 2))
    scores = np.zeros(out.shape[:2])
    for joint, index in places.items():
        out[:, joint] = keypoint[:, index].mean(1)
        scores[:, joint] = score[:, index].min(1)
    return out, scores
