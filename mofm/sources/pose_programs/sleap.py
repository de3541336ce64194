"""SLEAP (Pereira et al., Nature Methods 2022), which writes HDF5 files and tables."""
import csv
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import describe, show
from mofm.utils.hdf5 import HDF5File
from mofm.utils.untrusted import parse_json

from ..per_frame_poses import FramePoses
from ..recognition import Sample
from .named_joints import HDF5, PERSONS, NamedJoints, as_bytes, read_rows

_FRAMES = 2**31 - 1  # the largest number of one
_OF_PERSON = {'track', 'score', 'instance.score'}  # columns of a row a person


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
        if not sample.head.startswith(HDF5):
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
        """Return the video of a table with a row a frame and person, or a row a frame."""
        try:
            lines = [line for line in content.decode('utf-8-sig').splitlines() if line.strip()]
            columns, *rows = ([cell.strip() for cell in row] for row in csv.reader(lines))
            joints = [column[:-2] for column in columns if column.endswith('.x')]
            if not joints or not rows:
                raise ValueError(f'{len(joints)} joints in {len(rows)} rows')
            of_frames = all('.' in joint for joint in joints) and not _OF_PERSON & {*columns}
            before = dict.fromkeys(joint.partition('.')[0] + '.' for joint in joints
                                   ) if of_frames else ['']
            joints = list(dict.fromkeys(joint.partition('.')[2] for joint in joints
                                        )) if of_frames else joints
            parts = [_csv_persons(lines, rows, columns, joints, person) for person in before]
            frame, values, tracks = (np.concatenate(part) for part in zip(*parts, strict=True))
            if not ((frame >= 0) & (frame <= _FRAMES) & (frame % 1 == 0)).all():
                raise ValueError('other numbers of frames')
        except (UnicodeDecodeError, ValueError, IndexError, csv.Error) as error:
            raise self.error(name, 'columns', describe(error)[:300],
                             'track, frame_idx, and x, y and score of joints') from None
        frame, every = frame.astype(np.int64), np.unique(frame).astype(np.int64)
        if of_frames:  # a person may be in few of them
            seen = ~np.isnan(values[:, :2]).any(1).all(1)
            frame, values, tracks = frame[seen], values[seen], tracks[seen]
        score = values[:, 2]
        score[np.isnan(score).all(1)] = 1  # labels by hand have none
        names, number = np.unique(tracks, return_inverse=True)
        if '' in names and len(names) > 1:
            self.note(name, 'some persons have no track: all are tracked anew')
        keypoint, score = self.named(name, joints, values[:, :2].transpose(0, 2, 1), score)
        return FramePoses(self.stem(name), every, frame, keypoint, score,
                          None if '' in names else number)


def _csv_persons(lines, rows, columns, joints, person):
    """Return frames (T,), x, y and score (T, 3, J) and tracks (T,) of columns of a person."""
    parts = ['x', 'y', *['score'] * any(f'{person}{joint}.score' in columns for joint in joints)]
    values = read_rows(lines[1:], [columns.index(column) for column in (
        'frame_idx', *(f'{person}{joint}.{part}' for part in parts for joint in joints))])
    title = f'{person}track'
    if title in columns:
        tracks = [row[columns.index(title)] for row in rows]
    else:  # the persons of a table with a row a frame are called as their tracks, or inst0
        tracks = ['' if re.fullmatch(r'(inst\d+\.)?', person) else person] * len(rows)
    if len(tracks) != len(values):
        raise ValueError(f'{len(tracks)} rows of {len(values)} lines')
    out = np.full((len(values), 3, len(joints)), np.nan)
    out[:, :len(parts)] = values[:, 1:].reshape(len(values), len(parts), -1)
    return values[:, 0], out, tracks


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
            keypoint.dtype.kind not in 'iuf' or keypoint.shape[1] > PERSONS):
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
    meta = parse_json(as_bytes(file.attribute('metadata', 'json')))
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
