"""Poses of programs of behavior research, whose joints are known by their names only.

DeepLabCut (Mathis et al., Nature Neuroscience 2018; Lauer et al., Nature Methods 2022) and
Lightning Pose (Biderman et al., Nature Methods 2024) write tables with a column per coordinate,
SLEAP (Pereira et al., Nature Methods 2022) HDF5 files.
"""
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations.unpickling import RestrictedUnpickler
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe, show
from mofm.utils.hdf5 import HDF5File, require_h5py
from mofm.utils.untrusted import parse_json

from ..base import Source
from ..frame_numbers import frame_numbers
from ..joint_order import named_order
from ..per_frame_poses import FramePoses, FramePoseSource
from ..recognition import Sample

_HDF5 = b'\x89HDF'
# Largest number of columns, of persons, and of a frame.
_COLUMNS, _PERSONS, _FRAMES = 2**14, 250, 2**31 - 1
# What DeepLabCut and SLEAP add to the name of a video.
_ADDED = re.compile(r'(DLC_\w+?shuffle\d\w*|DLC_\w+?_snapshot_?\w+)?(_filtered)?$'
                    r'|(\.(mp4|avi|mov|mkv))?\.(predictions|analysis)$', re.IGNORECASE)
_LIGHTNING = re.compile(rb'^scorer,(heatmap|regression|ensemble|mhcrnn)', re.IGNORECASE)


class NamedJoints(FramePoseSource):
    """Base class of the readers: joints of COCO-17 are found by their names, or by ``--map``.

    Raises:
        ImportError: If there are HDF5 files and h5py is not installed.
    """

    def find(self) -> list[str]:
        """List the files."""
        files = super().find()
        if not all(self.tree.filename(file).lower().endswith('.csv') for file in files):
            require_h5py()
        return files

    def stem(self, name: str) -> str:
        """Return the name of the video, without what the programs add."""
        path = PurePosixPath(name or self.tree.filename('')).with_suffix('')
        return (path.parent / (_ADDED.sub('', path.name) or path.name)).as_posix()

    def named(self, name: str, joints: Sequence[str], keypoint: np.ndarray, score: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray]:
        """Convert poses (N, J, 2) and scores (N, J) to :attr:`to_layout` by names of joints.

        Raises:
            AnnotationError: If the names are not those of humans and there is no map.
        """
        if not (self.joint_map or self.layout):
            order = named_order(joints)
            if order is None:
                raise self.error(name, 'names of joints', ' '.join(joints)[:500],
                                 'names like left_shoulder, --map with names of joints, or '
                                 '--layout if their order is one')
            used = {place for places in order.values() for place in places}
            left = [joint for i, joint in enumerate(joints) if i not in used]
            lacks = [joint for i, joint in enumerate(LAYOUTS['coco17'].joints) if i not in order]
            if left or lacks:
                self.note(name, f'joints of the file that are not used: {show(left)}; joints of '
                          f'COCO-17 that it lacks: {show(lacks)}')
        return self.to_layout_joints(name, 'joints', keypoint, score, (), joints)

    def video(self, name: str, title: str, joints: Sequence[str], number: np.ndarray,
              keypoint: np.ndarray, score: np.ndarray, img_shape=None) -> FramePoses:
        """Return a video of persons that are known by their place.

        Args:
            name (str): The native file.
            title (str): Name of the recording.
            joints (Sequence[str]): Names of the J joints.
            number (np.ndarray): (T,) frames, in any order.
            keypoint (np.ndarray): (T, P, J, 2) of P persons, NaN where missing.
            score (np.ndarray): (T, P, J).
            img_shape (tuple[int, int], optional): Height and width.
        """
        frames, first = np.unique(number, return_index=True)
        if len(frames) < len(number):
            raise self.error(name, 'frames', 'a number twice', 'different numbers')
        keypoint, score = keypoint[first], score[first]
        row, person = np.nonzero(np.isfinite(keypoint).all(-1).any(-1))
        points, scores = self.named(name, joints, keypoint[row, person], score[row, person])
        return FramePoses(title, frames, frames[row], points, scores, person, img_shape)


def read_rows(lines: Sequence[str], columns: Sequence[int]) -> np.ndarray:
    """Read numbers (T, N) of N columns of a table, NaN where a cell is empty.

    Raises:
        ValueError: If a line has fewer cells or other values.
    """
    text = re.sub(r'(?:(?<=,)|^)[ \t]*(?=,|$)', 'nan', '\n'.join(lines), flags=re.MULTILINE)
    return np.loadtxt(io.StringIO(text), delimiter=',', comments=None, ndmin=2, usecols=columns,
                      quotechar='"')


def read_csv(source: Source, name: str, content: bytes
             ) -> tuple[list[tuple[str, ...]], list[str], np.ndarray]:
    """Read a table in the form of DeepLabCut.

    Args:
        source (Source): The reader.
        name (str): The native file.
        content (bytes): Its content.

    Returns:
        tuple: Columns as (individual, joint, coordinate), T names of rows and values (T, columns),
        NaN where empty.

    Raises:
        AnnotationError: If it has another form.
    """
    try:
        text = content.decode('utf-8-sig')
        if text[6:7] in (';', '\t'):  # as spreadsheets write it, maybe with decimal commas
            text = text.replace(',', '.').replace(text[6], ',')
        lines = text.splitlines()
        header = {row[0].strip().lower(): row for row in csv.reader(lines[:4]) if row}
        count = list(header).index('coords') + 1
        coords, parts = header['coords'], header['bodyparts']
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError) as error:
        raise source.error(name, 'header', describe(error),
                         "rows 'scorer', 'bodyparts' and 'coords'") from None
    first = next((i for i, coord in enumerate(coords) if i and coord.strip()), len(coords))
    persons = header.get('individuals', [''] * len(coords))
    if not len(coords) == len(parts) == len(persons) <= _COLUMNS:
        raise source.error(name, 'header', f'rows of {len(parts)} and {len(coords)} cells',
                         f'the same number, at most {_COLUMNS}')
    columns = [tuple(cell.strip() for cell in column) for column in zip(
        persons[first:], parts[first:], coords[first:], strict=True)]
    body = [line for line in lines[count:] if line.strip()]
    if not body:
        raise source.error(name, 'rows', 'none', f'{len(columns)} numbers per row')
    try:
        rows = ['/'.join(cell.strip() for cell in row[:first])
                for row in csv.reader(line[:2000] for line in body)]
        values = read_rows(body, range(first, len(coords)))
        if len(values) != len(rows):
            raise ValueError(f'{len(values)} rows')
    except (ValueError, csv.Error) as error:
        raise source.error(name, 'rows', describe(error)[:300],
                         f'{len(columns)} numbers per row') from None
    return columns, rows, values


def read_hdf5(source: Source, name: str, content: bytes
              ) -> tuple[list[tuple[str, ...]], list[str], np.ndarray]:
    """Read a table in the form of DeepLabCut that pandas wrote, see :func:`read_csv`."""
    try:
        with HDF5File(content) as file:
            key = next((key for key in file.groups()
                        if file.attribute(key, 'pandas_type') is not None), None)
            if key is None:
                raise ValueError('no table of pandas')
            columns, rows, values = (_table if file.find(f'{key}/table') else _fixed)(
                file, key)
        columns = [tuple(str(part) for part in column) for column in columns]
        if not len(columns) == values.shape[1] <= _COLUMNS or not len(values) or any(
                len(column) not in (3, 4) for column in columns):
            raise ValueError(f'{len(columns)} columns of values {values.shape}')
    except Exception as error:  # the parsers raise many kinds for damaged bytes
        raise source.error(name, 'file', describe(error),
                         'an .h5 file as DeepLabCut writes it, or its .csv') from None
    columns = [column[1:] if len(column) == 4 else ('', *column[1:]) for column in columns]
    return columns, [str(row) for row in rows], values.astype(np.float64)


def read_table(source: Source, name: str, content: bytes
               ) -> tuple[list[tuple[str, ...]], list[str], np.ndarray]:
    """Read a table in the form of DeepLabCut, see :func:`read_csv`."""
    return (read_hdf5 if content.startswith(_HDF5) else read_csv)(source, name, content)


def is_hdf5_table(sample: Sample, dims: int) -> bool:
    """Return whether a file is a table in HDF5 with joints in 2D or 3D."""
    return sample.head.startswith(_HDF5) and sample.contains(b'pandas_type', b'bodyparts') and (
        sample.contains(b'\nVz\n') == (dims == 3))


def without_copies(source: Source, files: list[str]) -> list[str]:
    """Leave out ``.h5`` files beside a ``.csv`` of their name, which is noted."""
    stems = {re.sub(r'(?i)\.csv$', '', file) for file in files}
    keep = [file for file in files if not file.lower().endswith('.h5') or file[:-3] not in stems]
    if len(keep) < len(files):
        source.note(min(set(files) - set(keep)), '.h5 files are passed over beside a .csv, '
                    f'{len(files) - len(keep)} in total')
    return keep


@SOURCES.register_module('deeplabcut')
class DeepLabCut(NamedJoints):
    """Reader of DeepLabCut's tables, ``.csv`` or ``.h5``, of one or several individuals.

    The header has ``scorer``, ``individuals`` if there are several, ``bodyparts`` and ``coords``:
    x, y and likelihood, which is missing in labels by hand; others are passed over. Rows are
    frames, or images. An ``.h5`` is passed over beside a ``.csv`` of its name, and a table beside
    its filtered one. The name of a recording is that of the video, without the model's.
    """

    suffix = '.csv', '.h5'
    max_size = 2**29

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.head.startswith(_HDF5):
            return 'an HDF5 table of pandas with bodyparts' if is_hdf5_table(sample, 2) else None
        lines = sample.head.removeprefix(b'\xef\xbb\xbf').lower().splitlines()[:4]
        coords = next((line for line in lines if line.startswith(b'coords,')), b'z')
        if lines[0].startswith(b'scorer,') and not (
                _LIGHTNING.match(lines[0]) or b'z' in coords.split(b',')):
            return "a table with a header 'scorer', 'bodyparts' and 'coords'"
        return None

    def find(self) -> list[str]:
        """List the tables, of a video once."""
        files = super().find()
        if files == ['']:
            return files
        keep = without_copies(self, files)
        filtered = {re.sub(r'(?i)_filtered(?=\.\w+$)', '', file) for file in keep
                    if re.search(r'(?i)_filtered\.\w+$', file)}
        out = [file for file in keep if file not in filtered]
        if len(out) < len(keep):
            self.note(min(set(keep) - set(out)), 'tables are passed over beside filtered, '
                      f'{len(keep) - len(out)} in total')
        return out

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        _, table = next(iter(content))
        columns, rows, values = read_table(self, name, table)
        places = self._places(name, columns)
        persons = self._persons(name, places)
        joints = list(places[persons[0]])
        shape = len(values), len(persons), len(joints)
        keypoint, score = np.full((*shape, 2), np.nan), np.ones(shape)
        for i, person in enumerate(persons):
            for j, joint in enumerate(joints):
                coords = places[person][joint]
                keypoint[:, i, j] = values[:, [coords['x'], coords['y']]]
                if 'likelihood' in coords:
                    score[:, i, j] = values[:, coords['likelihood']]
        yield self.video(name, self.stem(name), joints, self._numbers(name, rows), keypoint, score)

    def _places(self, name, columns) -> dict[str, dict[str, dict[str, int]]]:
        """Return the column by individual, joint and coordinate."""
        places: dict[str, dict[str, dict[str, int]]] = {}
        for i, (person, joint, coord) in enumerate(columns):
            coords = places.setdefault(person, {}).setdefault(joint, {})
            if coords.setdefault(coord.lower(), i) != i:
                raise self.error(name, 'columns', f'{show(joint)} {show(coord)} twice', 'one')
        wrong = [joint for joints in places.values() for joint, coords in joints.items()
                 if not {'x', 'y'} <= coords.keys() or 'z' in coords]
        if wrong or not places:
            raise self.error(name, 'columns', f'{show(wrong[0]) if wrong else "none"}',
                             'x and y of every joint, and no z: the source anipose reads 3D')
        return places

    def _persons(self, name, places) -> list[str]:
        """Return the individuals with the joints of a body; 'single' has those of none."""
        most = max(places.values(), key=len).keys()
        persons = [person for person, joints in places.items() if joints.keys() == most]
        others = places.keys() - set(persons)
        if others - {'single'} or len(persons) > _PERSONS:
            raise self.error(name, 'individuals', show(sorted(places)),
                             f'at most {_PERSONS} with the same joints')
        if others:
            self.note(name, "joints of 'single', no individual, are passed over")
        return persons

    def _numbers(self, name, rows) -> np.ndarray:
        """Return the frames of rows, which are numbers or paths of images."""
        if not all(rows):
            raise self.error(name, 'rows', 'one without a name', 'a frame or an image')
        if not all(re.fullmatch(r'\d{1,9}(\.0*)?', row) for row in rows):
            return frame_numbers([re.sub(r'\.\w+$', '', row.replace('\\', '/')) for row in rows])
        return np.array([int(float(row)) for row in rows], np.int64)


def _table(file, key):
    """Read a table of pandas in the format 'table'."""
    data = file.array(f'{key}/table')
    values = [field for field in data.dtype.names if field.startswith('values_block_')]
    if len(values) != 1:
        raise ValueError(f'{len(values)} blocks of values')
    columns = RestrictedUnpickler(io.BytesIO(_as_bytes(
        file.attribute(f'{key}/table', f'{values[0]}_kind')))).load()
    if not isinstance(columns, list) or not all(isinstance(c, tuple) for c in columns):
        raise ValueError('no names of columns')
    index = data['index']
    rows = [row.decode() for row in index.tolist()] if index.dtype.kind == 'S' else index.tolist()
    return columns, rows, data[values[0]]


def _fixed(file, key):
    """Read a table of pandas in the format 'fixed'."""

    def labels(axis):
        levels = []
        while file.find(f'{key}/{axis}_level{len(levels)}') is not None:
            level = file.array(f'{key}/{axis}_level{len(levels)}')
            label = file.array(f'{key}/{axis}_label{len(levels)}')
            if level.ndim != 1 or label.ndim != 1 or label.dtype.kind not in 'iu' or (
                    (label < 0) | (label >= len(level))).any():
                raise ValueError(f'labels of {axis}')
            texts = [t.decode() if isinstance(t, bytes) else str(t) for t in level.tolist()]
            levels.append([texts[i] for i in label.tolist()])
        return list(zip(*levels, strict=True))

    columns, rows = labels('block0_items'), ['/'.join(row) for row in labels('axis1')]
    values = file.array(f'{key}/block0_values')
    rows = rows or file.array(f'{key}/axis1').tolist()
    if values.ndim != 2 or len(rows) != len(values) or file.find(f'{key}/block1_values'):
        raise ValueError(f'values of shape {values.shape}')
    return columns, [row.decode() if isinstance(row, bytes) else row for row in rows], values


def _as_bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text)


@SOURCES.register_module('lightning_pose')
class LightningPose(DeepLabCut):
    """Reader of the ``.csv`` files of Lightning Pose, which have the form of DeepLabCut's."""

    suffix = '.csv'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        head = sample.head.removeprefix(b'\xef\xbb\xbf')
        return "a table whose 'scorer' is of Lightning Pose" if _LIGHTNING.match(head) else None


@SOURCES.register_module('sleap')
class SLEAP(NamedJoints):
    """Reader of SLEAP's projects ``.slp`` and analysis files ``.h5`` and ``.csv``.

    Tracks are the persons; without them persons are tracked. In a project a label by hand replaces
    the prediction that it was made from, and several videos are several recordings,
    ``<file>/<video>``.
    """

    suffix = '.slp', '.h5', '.hdf5', '.csv'
    max_size = 2**29

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.suffix == '.csv':
            head = sample.head.splitlines()[0].replace(b'"', b'').split(b',')
            fits = b'frame_idx' in head and any(column.endswith(b'.x') for column in head)
            return "a table with 'frame_idx' and x of joints" if fits else None
        if not sample.head.startswith(_HDF5):
            return None
        if sample.contains(b'track_occupancy', b'node_names'):
            return 'an HDF5 file with track_occupancy and node_names'
        if sample.contains(b'pred_points', b'instances', b'tracks_json'):
            return 'an HDF5 file with instances, pred_points and tracks_json'
        return None

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        _, data = next(iter(content))
        if self.tree.filename(name).lower().endswith('.csv'):
            yield self._read_csv(name, data)
            return
        try:
            with HDF5File(data) as file:
                is_analysis = file.find('tracks') is not None
                parts = (_analysis if is_analysis else _project)(file)
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise self.error(name, 'file', describe(error),
                             'a project or an analysis file of SLEAP') from None
        if is_analysis:
            joints, keypoint, score = parts
            yield self.video(name, self.stem(name), joints, np.arange(len(keypoint)), keypoint,
                             score)
            return
        joints, videos, rows = parts
        for i in np.unique(rows['video']):
            title = self.stem(name)
            shape, path = videos[i] if i < len(videos) else (None, str(i))
            if len(np.unique(rows['video'])) > 1:
                title += f'/{i}_{PurePosixPath(path).stem}'
            own = {key: value[rows['video'] == i] for key, value in rows.items()}
            keypoint, score = self.named(name, joints, own['keypoint'], own['score'])
            track = own['track']
            if (track < 0).any() and (track >= 0).any():
                self.note(name, 'some persons have no track: all are tracked anew')
            yield FramePoses(title, np.unique(own['frame']), own['frame'], keypoint, score,
                             None if (track < 0).any() else track, shape)

    def _read_csv(self, name, content) -> FramePoses:
        """Return the video of a table with a row a frame and person."""
        try:
            lines = [line for line in content.decode('utf-8-sig').splitlines() if line.strip()]
            columns, *rows = ([cell.strip() for cell in row] for row in csv.reader(lines))
            joints = [column[:-2] for column in columns if column.endswith('.x')]
            if not joints or not rows:
                raise ValueError(f'{len(joints)} joints in {len(rows)} rows')
            parts = ['x', 'y', *['score'] * any(f'{joint}.score' in columns for joint in joints)]
            values = read_rows(lines[1:], [columns.index(column) for column in (
                'frame_idx', *(f'{joint}.{part}' for part in parts for joint in joints))])
            at = columns.index('track') if 'track' in columns else None
            tracks = ['' if at is None else row[at] for row in rows]
            frame = values[:, 0]
            if not ((frame >= 0) & (frame <= _FRAMES) & (frame % 1 == 0)).all():
                raise ValueError('other numbers of frames')
            if len(tracks) != len(values):
                raise ValueError(f'{len(tracks)} rows of {len(values)} lines')
        except (UnicodeDecodeError, ValueError, IndexError, csv.Error) as error:
            raise self.error(name, 'columns', describe(error)[:300],
                             'track, frame_idx, and x, y and score of joints') from None
        frame, values = frame.astype(np.int64), values[:, 1:].reshape(len(values), len(parts), -1)
        score = values[:, 2] if len(parts) > 2 else np.full(values[:, 0].shape, np.nan)
        score[np.isnan(score).all(1)] = 1  # labels by hand have none
        names, number = np.unique(tracks, return_inverse=True)
        if '' in names and len(names) > 1:
            self.note(name, 'some persons have no track: all are tracked anew')
        keypoint, score = self.named(name, joints, values[:, :2].transpose(0, 2, 1), score)
        return FramePoses(self.stem(name), np.unique(frame), frame, keypoint, score,
                          None if '' in names else number)


def _analysis(file):
    """Return names (J), keypoints (T, P, J, 2) and scores (T, P, J) of an analysis file."""
    tracks, joints = file.array('tracks'), file.texts('node_names')
    dims = file.attribute('tracks', 'dims')
    if dims:
        order = parse_json(dims)
    elif file.attribute('', 'transpose') in (None, True, 1):
        order = ['track', 'xy', 'node', 'frame']
    else:
        order = ['frame', 'node', 'xy', 'track']
    if sorted(order) != ['frame', 'node', 'track', 'xy'] or tracks.ndim != 4:
        raise ValueError(f'axes {show(order)} of tracks of shape {tracks.shape}')
    keypoint = tracks.transpose([order.index(axis) for axis in ('frame', 'track', 'node', 'xy')])
    if keypoint.shape[2:] != (len(joints), 2) or not keypoint.size or (
            keypoint.dtype.kind not in 'iuf' or keypoint.shape[1] > _PERSONS):
        raise ValueError(f'{keypoint.dtype} of shape {keypoint.shape} and {len(joints)} names')
    score = np.ones(keypoint.shape[:3])
    if file.find('point_scores') is not None:
        axes = [axis for axis in order if axis != 'xy']
        score = file.array('point_scores').transpose(
            [axes.index(axis) for axis in ('frame', 'track', 'node')]).astype(np.float64)
        if score.shape != keypoint.shape[:3]:
            raise ValueError(f'point_scores of shape {score.shape}')
        score[np.isnan(score)] = 0
        score[~score.any(-1)] = 1  # labels by hand have none
    return joints, keypoint.astype(np.float64), score


def _project(file):
    """Return names of joints, image size and path by video, and arrays by row of a project."""
    meta = parse_json(_as_bytes(file.attribute('metadata', 'json')))
    frames, instances = file.array('frames'), file.array('instances')
    points, predicted = file.array('points'), file.array('pred_points')
    videos = [_video(json.loads(text)) for text in file.texts('videos_json')]
    start, end = (frames[f'instance_id_{side}'].astype(np.int64) for side in ('start', 'end'))
    if (start < 0).any() or (end < start).any() or (end > len(instances)).any() or (
            (end - start).sum() > len(instances)):
        raise ValueError('frames with other instances')
    if (frames['frame_idx'] > _FRAMES).any() or (frames['video'] > _FRAMES).any():
        raise ValueError('numbers of frames or videos that are too large')
    length = end - start
    row = np.repeat(start - np.cumsum(length) + length, length) + np.arange(length.sum())
    frame = np.repeat(np.arange(len(frames)), length)
    # a label by hand replaces the prediction that it was made from
    by_hand = instances['instance_type'] == 0
    origin = instances['from_predicted'].astype(np.int64)[by_hand]
    keep = ~np.isin(row, origin[origin >= 0]) | by_hand[row]
    row, frame = row[keep], frame[keep]
    if not len(row):
        raise ValueError('no instances')
    skeleton = np.unique(instances['skeleton'][row])
    if len(skeleton) > 1:
        raise ValueError(f'{len(skeleton)} skeletons in one file')
    nodes = meta['skeletons'][int(skeleton[0])]
    nodes = nodes.get('nx_graph', nodes)['nodes']
    joints = [str(meta['nodes'][node['id']]['name']) for node in nodes]
    first = instances['point_id_start'].astype(np.int64)[row]
    hand = by_hand[row]
    counts = np.where(hand, len(points), len(predicted))
    if (instances['point_id_end'].astype(np.int64)[row] - first != len(joints)).any() or (
            (first < 0) | (first + len(joints) > counts)).any() or not joints:
        raise ValueError(f'instances with other points than the {len(joints)} of the skeleton')
    place = first[:, None] + np.arange(len(joints))  # (N, J)
    keypoint, score = np.empty((*place.shape, 2)), np.ones(place.shape)
    for rows, source in ((hand, points), (~hand, predicted)):
        seen = source['visible'].view(np.uint8) if source['visible'].dtype == bool else (
            source['visible'])
        for i, axis in enumerate('xy'):
            keypoint[rows, :, i] = np.where(seen != 0, source[axis], np.nan)[place[rows]]
        if 'score' in source.dtype.names:
            score[rows] = source['score'][place[rows]]
    version = file.attribute('metadata', 'format_id')
    if version is None or version < 1.1:  # the corner of a pixel was 0, now it is its center
        keypoint -= .5
    return joints, videos, dict(
        video=frames['video'][frame].astype(np.int64), keypoint=keypoint, score=score,
        frame=frames['frame_idx'][frame].astype(np.int64),
        track=instances['track'][row].astype(np.int64))


def _video(entry):
    """Return image size, if it is known, and path of a video."""
    backend = entry.get('backend', entry)
    path = backend.get('filename') or (backend.get('image_filenames') or ['video'])[0]
    shape = backend.get('shape') or [None, backend.get('height_'), backend.get('width_')]
    size = tuple(shape[1:3])
    is_size = len(size) == 2 and all(type(n) is int and 0 < n < 2**16 for n in size)
    return size if is_size else None, str(path)
