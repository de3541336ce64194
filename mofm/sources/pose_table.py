"""Poses in tables of which :mod:`mofm.sources.table_files` reads the columns."""
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mofm.structures import LAYOUTS
from mofm.utils.tables import BOX_COLUMNS

from .frame_numbers import find_step
from .joint_maps import short_names
from .joint_order import named_layout, unknown_joints
from .table_files import TableFile, unknown_names

# More joints are hardly those of persons; rows are at least a share of poses times joints.
_MOST_JOINTS, _SPARSE = 1000, 50
_FPS = .5, 1000  # frame rates of videos


class TableVideo(NamedTuple):
    """N poses of a video.

    Args:
        name (str): The video.
        names (list[str]): Names of the J joints, in the order of ``layout`` if there is one.
        layout (str or None): The layout with these names.
        frame (np.ndarray): (N,) int64.
        person (np.ndarray): (N,) int64, number of the person.
        has_persons (bool): Whether the table tells persons apart.
        values (np.ndarray): (N, J, C) float64, coordinates, NaN where missing.
        score (np.ndarray): (N, J).
        labels (np.ndarray or None): (T,) label of each of ``np.unique(frame)``.
        img_shape (tuple[int, int] or None): Height and width of the image.
        box (np.ndarray or None): (N, 4) x1, y1, x2, y2, NaN where the table has none.
        fps (float or None): Frames per second, if a wide table has times.
    """

    name: str
    names: list[str]
    layout: str | None
    frame: np.ndarray
    person: np.ndarray
    has_persons: bool
    values: np.ndarray
    score: np.ndarray
    labels: np.ndarray | None
    img_shape: tuple[int, int] | None
    box: np.ndarray | None
    fps: float | None = None


class PoseTable(TableFile):
    """Reader of one table, see :class:`TableFile`."""

    def videos(self, data: bytes, default: str) -> Iterator[TableVideo]:
        """Yield the videos of a table.

        Args:
            data (bytes): Content of the file.
            default (str): Name of the video of a table without ``clip``.

        Raises:
            AnnotationError: If the table is invalid.
        """
        columns = self.columns(data)
        del data
        clips, clip = columns['clip'] if 'clip' in columns else (
            [default], np.zeros(len(next(iter(columns.values()))), np.int64))
        order = np.argsort(clip, kind='stable')
        ends = np.searchsorted(clip[order], np.arange(len(clips)), 'right')
        for video, rows in zip(clips, np.split(order, ends[:-1]), strict=True):
            yield self._video(video, {
                key: (value[0], value[1][rows]) if isinstance(value, tuple) else value[rows]
                for key, value in columns.items()})

    def _video(self, video, part) -> TableVideo:
        frame, fps = self._frames(video, part) if self.wide else (
            self._whole('frame', part['frame']), None)
        # a table may have tracks of some recordings, and no persons
        key = next((part[column] for column in ('track', 'person') if column in part
                    and (part[column][1] >= 0).any()), None)
        person = np.zeros(len(frame), np.int64) if key is None else key[1]
        if self.wide:  # rows without a joint need no person
            person = np.where(np.isnan(part['points']).any(2).all(1), person.clip(0), person)
        if (person < 0).any():
            raise self.error('track or person', f'empty cells in {video!r}',
                             'one in every row of a recording, or none')
        keys = np.stack([frame, person])
        if self.wide:
            several = key is not None or 'z' in self.axes
            if several and len(np.unique(keys, axis=1).T) < len(frame):
                raise self.error('rows', f'a person twice in a frame of {video!r}',
                                 'one row a frame and person, with a column track or person')
            pose = np.arange(len(frame))
            names, layout, values, score = self._by_layout(part['points'], part['scores'])
        else:
            keys, pose = np.unique(keys, axis=1, return_inverse=True)
            pose = pose.ravel()
            names, layout, values, score = self._pivoted(video, part, keys.shape[1], pose)
        box = None
        if set(BOX_COLUMNS) <= part.keys():
            box = np.full((keys.shape[1], 4), np.nan)
            box[pose] = np.stack([part[column] for column in BOX_COLUMNS], 1)
        if any(np.isinf(numbers).any() for numbers in (values, score, box) if numbers is not None):
            raise self.error('coordinates, score and box', 'infinite numbers', 'finite numbers')
        return TableVideo(
            video, names, layout, keys[0],
            np.zeros(keys.shape[1], np.int64) if key is None else _ids(key[0])[keys[1]],
            key is not None, values, score,
            self._labels(frame, part['label']) if 'label' in part else None,
            self._img_shape(part), box, fps)

    def _pivoted(self, video, part, poses, pose) -> tuple:
        """Return names of joints, layout, values (N, J, C) and scores (N, J) of a long table."""
        names, joint = part['joint']
        used, joint = np.unique(joint, return_inverse=True)
        names = [names[i] for i in used]
        if len(names) > _MOST_JOINTS or poses * len(names) > _SPARSE * len(pose):
            raise self.error('joint', f'{len(names)} names in {len(pose)} rows',
                             'the names of joints, the same in all frames')
        place = pose * len(names) + joint
        if len(np.unique(place)) < len(place):
            raise self.error('rows', f'a joint twice in a frame of {video!r}',
                             'one row a frame, person and joint, with track or person')
        values = np.full((poses, len(names), len(self.axes)), np.nan)
        score = np.full(values.shape[:2], np.nan)
        values[pose, joint] = np.stack([part[axis] for axis in self.axes], 1)
        score[pose, joint] = part.get('score', np.ones(len(pose)))
        layout = next((other for other in LAYOUTS.values()
                       if sorted(other.joints) == sorted(names)), None)
        if layout is None:
            return names, None, values, score
        order = [names.index(other) for other in layout.joints]
        return list(layout.joints), layout.name, values[:, order], score[:, order]

    def _by_layout(self, values, score) -> tuple:
        """Return the same of a wide table, by the names of its joints in any spelling."""
        names = list(self.wide.joints)
        if self.source.joint_map or getattr(self.source, 'layout', None):
            return names, None, values, score
        unknown = unknown_names(names)
        if unknown and 'z' in self.axes:  # bones of motion capture
            return names, None, values, score
        if unknown:
            raise self.error('joints', f'unknown names {", ".join(unknown)[:500]}',
                             f'names as of coco17 ({", ".join(LAYOUTS["coco17"].joints)}) or '
                             'another layout; --map for other names, or --layout if the order of '
                             'the columns is one')
        try:
            title, places = named_layout(short_names(names) if unknown_joints(names) else names)
        except ValueError as error:
            raise self.error('joints', error, 'every joint once') from None
        joints = LAYOUTS[title].joints
        used = [i for i, place in enumerate(places) if place is not None]
        places = [place for place in places if place is not None]
        out = np.full((len(values), len(joints), values.shape[2]), np.nan)
        scores = np.full(out.shape[:2], np.nan)
        out[:, places], scores[:, places] = values[:, used], score[:, used]
        lacks = [joint for i, joint in enumerate(joints) if i not in places]
        left = [name for i, name in enumerate(names) if i not in used]
        self.source.note(
            self.name, f'the joints are those of {title}, by the names of the columns'
            + f'; joints that are not used: {", ".join(left)[:500]}' * bool(left)
            + f'; joints without columns are missing: {", ".join(lacks)[:500]}' * bool(lacks))
        return list(joints), title, out, scores

    def _frames(self, video, part) -> tuple[np.ndarray, float | None]:
        """Return the frame of each row of a wide table, and frames per second."""
        time = part.get('time')
        if time is not None and not np.isfinite(time).all():
            self.source.note(self.name, 'some times are missing: times are not used')
            time = None
        numbered = 'frame' in part
        if numbered:
            frame = self._whole('frame', part['frame'])
        elif time is not None:
            frame = np.unique(time, return_inverse=True)[1].ravel()
        elif 'track' in part or 'person' in part:
            raise self.error('columns', f'persons in {video!r} and no frame or time',
                             'a column frame')
        else:
            self.source.note(self.name, 'there is no column frame: rows are the frames')
            return np.arange(len(part['points'])), None
        frames, first = np.unique(frame, return_index=True)
        if time is None or len(frames) < 2:
            return frame, None
        gaps = np.diff(time[first])
        unit, scale = ('seconds', 1) if np.median(gaps) < 1 else ('milliseconds', 1000)
        if not numbered:
            stamps = np.rint((time[first] - time.min()) * 1000 / scale).astype(np.int64)
            step = find_step(stamps) if stamps[-1] < 2**31 else None
            if step is not None:
                frames = step[0]
                frame = frames[frame]
        gap = np.median(gaps / np.diff(frames))
        fps = float(scale / gap) if gap > 0 else 0
        if not _FPS[0] <= fps <= _FPS[1]:
            self.source.note(self.name, 'times are no seconds or milliseconds: not used')
            return frame, None
        self.source.note(self.name, f'times are read as {unit}: {fps:.4g} frames per second')
        return frame, fps

    def _whole(self, column, values) -> np.ndarray:
        """Return whole numbers of a column from 0, as int64."""
        if not ((values >= 0) & (values < 2**31) & (values == np.floor(values))).all():
            raise self.error(column, 'other numbers or empty cells',
                             'whole numbers from 0 in every row')
        return values.astype(np.int64)

    def _labels(self, frame, label) -> np.ndarray:
        """Return the label of each frame."""
        label = self._whole('label', label)
        frames, first = np.unique(frame, return_index=True)
        if (label != label[first][np.searchsorted(frames, frame)]).any():
            raise self.error('label', 'several in a frame', 'one label for all persons')
        return label[first]

    def _img_shape(self, part) -> tuple[int, int] | None:
        """Return height and width of the image, None if the table does not have both."""
        if not {'height', 'width'} <= part.keys() or np.isnan(part['height']).all():
            return None
        size = []
        for column in ('height', 'width'):
            values = np.unique(self._whole(column, part[column]))
            if len(values) > 1 or values[0] < 1:
                raise self.error(column, values[:10], 'one size for a recording')
            size.append(int(values[0]))
        return size[0], size[1]


def label_fields(labels: np.ndarray | None, frames: np.ndarray,
                 inds: np.ndarray) -> dict[str, int | np.ndarray]:
    """Return the label of a recording, or of each of its rows.

    Args:
        labels (np.ndarray, optional): (T,) of ``frames``.
        frames (np.ndarray): (T,) ascending.
        inds (np.ndarray): Frames of the rows; those between have the label of the one before.
    """
    if labels is None:
        return {}
    if (labels == labels[0]).all():
        return dict(label=int(labels[0]))
    rows = np.searchsorted(frames, inds, 'right') - 1
    return dict(frame_label=labels[rows.clip(0)].astype(np.int32))


def _ids(names: list[str]) -> np.ndarray:
    """Return the numbers of persons, or their places if some are no numbers."""
    matches = [re.fullmatch(r'(-?\d{1,18})(\.0*)?', name) for name in names]
    numbers = [int(match[1]) for match in matches if match]
    return np.array(numbers) if len(set(numbers)) == len(names) else np.arange(len(names))
