"""Poses that people corrected in CVAT or Label Studio, back into the annotations.

Read are what these programs export of the tasks by :mod:`mofm.writers`: "COCO Keypoints 1.0" of
CVAT (JSON or zip), and "JSON" of Label Studio. A corrected frame replaces that of the annotation:
joints that moved by more than :data:`TOLERANCE` have score 1, the others keep coordinates and
score bit by bit, and joints and poses that are gone become missing. Frames that are not in the
export, or that nobody has looked at, stay.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from mofm.structures import visible_joints
from mofm.utils.checks import describe, is_int, is_number, show
from mofm.utils.limits import get_limits
from mofm.utils.untrusted import open_zip, parse_json, unique

from .schema import AnnotationError, file_error
from .values import MAX_SIZES
from .video_poses import Videos, frame_numbers, number_persons

#: Pixels by which a joint has not moved; CVAT rounds to hundredths.
TOLERANCE = .02
_LARGEST = 2**29  # bytes of a file, times the limit ``scale``
_PERSON = re.compile(r'person[ _](-?\d{1,18})')
_IMAGE = re.compile(r'frame_(\d{1,9})(?:\.\w+)?')


class Pose(NamedTuple):
    """A corrected pose: joints (V, 2) in pixels, NaN where missing, and box (4,) if it has one."""

    keypoint: np.ndarray
    box: np.ndarray | None = None


#: Poses by person, by frame, by video.
Poses = dict[str, dict[int, dict[int, Pose]]]


@dataclass
class Report:
    """What corrections changed.

    Args:
        frames (int): Frames in the export.
        others (int): Frames of the same videos that are not in it.
        joints (Counter): Numbers of joints that ``moved``, were ``added`` or ``deleted``.
        poses (Counter): Numbers of poses that ``changed``, were ``added`` or ``deleted``.
        persons (list[str]): New persons, ``video/number``.
        left_out (Counter): What could not be used, with its number.
    """

    frames: int = 0
    others: int = 0
    joints: Counter = field(default_factory=Counter)
    poses: Counter = field(default_factory=Counter)
    persons: list[str] = field(default_factory=list)
    left_out: Counter = field(default_factory=Counter)

    def __str__(self):
        lines = [f'{self.frames} frames in the export'
                 + f'; {self.others} others of these videos stay' * bool(self.others),
                 f'poses: {_counts(self.poses, "changed", "added", "deleted")}',
                 f'joints: {_counts(self.joints, "moved", "added", "deleted")}']
        if self.persons:
            lines.append(f'new persons: {", ".join(self.persons[:20])}'
                         + ', ...' * (len(self.persons) > 20))
        lines += [f'not used: {number} {what}' for what, number in self.left_out.most_common()]
        return '\n'.join(lines)


def _counts(counter, *names):
    return ', '.join(f'{counter[name]} {name}' for name in names)


# --------------------------------------------------------------------------------------- reading
def read_corrections(path: str | Path, videos: Videos, recording: str | None = None,
                     report: Report | None = None) -> tuple[Poses, Report]:
    """Read the export of a program in which poses were corrected.

    Args:
        path (str or Path): ``.json`` or ``.zip``.
        videos (Videos): The annotations that were exported as tasks.
        recording (str, optional): Video of all images. By default it is the folder of an image;
            images without one, as in a CVAT task that was made of a video, are those of the only
            video, or of the one in the name of the file.
        report (Report, optional): Of earlier files.

    Returns:
        tuple[Poses, Report]: The poses, and the report without changes.

    Raises:
        AnnotationError: If the file is invalid.
    """
    path, report = Path(path), report or Report()
    reader = _Reader(path, videos, recording, report)
    for name, content in _files(path):
        try:
            data = parse_json(content, unique)
        except Exception as error:  # malformed text: also recursion and encoding errors
            raise file_error(name, 'file', describe(error), 'a readable JSON file') from None
        if isinstance(data, list):
            reader.label_studio(name, data)
        elif isinstance(data, dict) and isinstance(data.get('annotations'), list):
            reader.cvat(name, data)
        else:
            raise file_error(name, 'file', data, 'the "JSON" export of Label Studio or "COCO '
                             'Keypoints 1.0" of CVAT')
    report.frames += sum(map(len, reader.poses.values()))
    return reader.poses, report


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of the JSON files of an export."""
    largest = _LARGEST * get_limits().scale
    try:
        if path.stat().st_size > largest:
            raise file_error(path, 'file', f'{path.stat().st_size} bytes',
                             f'at most {largest} (MOFM_LIMITS=scale=N)')
        content = path.read_bytes()
    except OSError as error:
        raise file_error(path, 'file', describe(error), 'a readable file') from None
    if not content.startswith(b'PK'):
        yield str(path), content
        return
    try:
        with open_zip(io.BytesIO(content)) as archive:
            members = [(f'{path}/{member.filename}', archive.read(member))
                       for member in archive.infolist()
                       if re.search(r'(^|/)person_keypoints[^/]*\.json$', member.filename)]
    except Exception as error:  # damaged archives raise many kinds
        raise file_error(path, 'file', describe(error), 'a readable zip file') from None
    if not members:
        raise file_error(path, 'file', 'no person_keypoints*.json',
                         'an export "COCO Keypoints 1.0" of CVAT')
    yield from members


class _Reader:
    """Reader of one export, see :func:`read_corrections`."""

    def __init__(self, path, videos, recording, report):
        self.path, self.videos, self.report = path, videos, report
        self.poses: Poses = {}
        self.joints = {name: i for i, name in enumerate(videos.layout.joints)}
        self.names = {stem: name for name, stem in videos.stems.items()}
        if recording is not None and recording not in videos.rows:
            raise AnnotationError(f'recording: found {recording!r}, expected one of '
                                  f'{show(sorted(videos.rows))}')
        only = next(iter(videos.rows)) if len(videos.rows) == 1 else None
        self.recording, self.default = recording, only or self.names.get(path.stem)

    def frame(self, where: str, image: object) -> tuple[str, int]:
        """Return video and frame of an image."""
        *folders, name = re.split('[/=]', unquote(image)) if isinstance(image, str) else ['']
        match = _IMAGE.fullmatch(name)
        if match is None:
            raise file_error(where, 'image', image, 'a name such as walk/frame_000012.jpg')
        video = self.recording or (self.names.get(folders[-1]) if folders else self.default)
        if video is None:
            raise file_error(where, 'image', image, 'the folder of an exported recording, one of '
                             f'{show(sorted(self.names))}, or --recording')
        return video, int(match[1])

    def new(self, where: str, video: str, frame: int) -> dict[int, Pose]:
        """Return the dict for the poses of a frame."""
        frames = self.poses.setdefault(video, {})
        if frame in frames:
            raise file_error(where, 'image', f'frame {frame} of {video!r} twice', 'it once')
        return frames.setdefault(frame, {})

    def size(self, video: str) -> np.ndarray:
        """Return width and height of a video."""
        return np.max([self.videos.annotations[row]['img_shape']
                       for row in self.videos.rows[video]], 0)[::-1]

    def add(self, poses: dict[int, Pose], person: int, pose: Pose):
        """Add a pose to those of a frame."""
        if person in poses:
            self.report.left_out['poses of a person who is in the frame already'] += 1
        else:
            poses[person] = pose

    # ---------------------------------------------------------------------------------- CVAT
    def cvat(self, name: str, data: dict):
        """Read the annotations of a COCO file."""
        index = self._categories(name, data.get('categories'))
        frames: dict[int, tuple] = {}
        for i, image in enumerate(_dicts(name, 'images', data.get('images'))):
            where = f'{name}: image {i}'
            if not is_int(image.get('id'), 0) or image['id'] in frames:
                raise file_error(where, 'id', image.get('id'), 'a number of its own')
            video, frame = self.frame(where, image.get('file_name'))
            frames[image['id']] = video, self.new(where, video, frame)
        for i, item in enumerate(_dicts(name, 'annotations', data['annotations'])):
            where = f'{name}: annotation {i}'
            image, attributes = item.get('image_id'), item.get('attributes', {})
            if not is_int(image, 0) or image not in frames:
                raise file_error(where, 'image_id', image, 'the id of an image')
            category = item.get('category_id')
            if not is_int(category, 0) or category not in index:
                raise file_error(where, 'category_id', category, f'one of {show(list(index))}')
            video, poses = frames[image]
            values = _numbers(where, 'keypoints', item.get('keypoints'), 3 * len(self.joints),
                              MAX_SIZES * max(self.size(video)))
            person = _person(attributes.get('person') if isinstance(attributes, dict) else None)
            if person is None:
                self.report.left_out['skeletons without a number in the attribute person'] += 1
                continue
            keypoint = np.full((len(self.joints), 2), np.nan)
            x, y, visible = values.reshape(-1, 3).T
            keypoint[index[category]] = np.where(visible[:, None] > 0, np.stack([x, y], 1), np.nan)
            self.add(poses, person, Pose(keypoint))

    def _categories(self, name, items) -> dict[int, np.ndarray]:
        """Return the joints of the layout by category."""
        out = {}
        for i, category in enumerate(_dicts(name, 'categories', items)):
            names = category.get('keypoints')
            if not names:
                continue  # of other labels of the task
            if not isinstance(names, list) or sorted(map(str, names)) != sorted(self.joints):
                raise file_error(f'{name}: category {i}', 'keypoints', names,
                                 f'the joints of layout {self.videos.layout.name!r}')
            if not is_int(category.get('id'), 0):
                raise file_error(f'{name}: category {i}', 'id', category.get('id'), 'a number')
            out[category['id']] = np.array([self.joints[joint] for joint in names])
        return out

    # -------------------------------------------------------------------------- Label Studio
    def label_studio(self, name: str, tasks: list):
        """Read the latest annotation of every task."""
        for i, task in enumerate(_dicts(name, 'tasks', tasks)):
            where = f'{name}: task {i}'
            if 'annotations' not in task:
                raise file_error(where, 'annotations', 'nothing', 'the export "JSON", not '
                                 '"JSON-MIN" or another one')
            done = [a for a in _dicts(where, 'annotations', task['annotations'])
                    if not a.get('was_cancelled')]
            if not done:
                continue
            if len(done) > 1:
                self.report.left_out['older annotations of a task'] += len(done) - 1
            latest = max(done, key=lambda a: str(a.get('updated_at', '')))
            data = task.get('data')
            if not isinstance(data, dict):
                raise file_error(where, 'data', data, 'a dict')
            video, frame = data.get('recording'), data.get('frame')
            if not (isinstance(video, str) and video in self.videos.rows and is_int(frame, 0)):
                video, frame = self.frame(where, data.get('image'))
            self._regions(where, _dicts(where, 'result', latest.get('result')),
                          self.new(where, video, frame), self.size(video))

    def _regions(self, where, regions, poses, size):
        """Read the persons and their joints of a task."""
        boxes, points = {}, []
        for region in regions:
            kind, value = region.get('type'), region.get('value')
            if kind in ('rectangle', 'keypoint'):
                self.report.left_out['regions without a label'] += 1
            if kind not in ('rectanglelabels', 'keypointlabels'):
                continue
            if region.get('image_rotation', 0) != 0:
                self.report.left_out['regions of a rotated image'] += 1
                continue
            if not isinstance(value, dict):
                raise file_error(where, 'value', value, 'a dict')
            names = ('x', 'y') if kind == 'keypointlabels' else ('x', 'y', 'width', 'height')
            percent = _numbers(where, 'value', [value.get(key) for key in names], len(names),
                               100 * MAX_SIZES)
            place = percent * np.tile(size, len(names) // 2) / 100
            if kind == 'rectanglelabels':
                if (place[2:] < 0).any():
                    raise file_error(where, 'value', value, 'a width and height of at least 0')
                if not isinstance(region.get('id'), str):
                    raise file_error(where, 'id', region.get('id'), 'the text of a region')
                boxes[region['id']] = region, np.r_[place[:2], place[:2] + place[2:]]
                continue
            label, *more = value.get('keypointlabels') or [None]
            if more or not isinstance(label, str) or label not in self.joints:
                raise file_error(where, 'keypointlabels', value.get('keypointlabels'),
                                 f'a joint of layout {self.videos.layout.name!r}')
            points.append((region.get('parentID'), self.joints[label], place))
        joints = self._of_persons(boxes, points)
        # rectangles that are the exported ones first, before their copies
        for id_ in sorted(boxes, key=lambda id_: _PERSON.fullmatch(id_) is None):
            person = _region_person(boxes[id_][0])
            if person is None:
                self.report.left_out['rectangles without a number, e.g. the meta text person 7'] \
                    += 1
            else:
                self.add(poses, person, Pose(joints[id_], boxes[id_][1]))

    def _of_persons(self, boxes, points) -> dict[str, np.ndarray]:
        """Return the joints of each rectangle."""
        out = {id_: np.full((len(self.joints), 2), np.nan) for id_ in boxes}
        loose = []
        for parent, joint, place in points:
            if not isinstance(parent, str) or parent not in out:
                loose.append((joint, place))
            elif np.isnan(out[parent][joint, 0]):
                out[parent][joint] = place
            else:
                self.report.left_out['joints of a person who has them already'] += 1
        for joint, (x, y) in loose:  # new joints, in the only rectangle that lacks them
            fits = [id_ for id_, (_, (x1, y1, x2, y2)) in boxes.items()
                    if np.isnan(out[id_][joint, 0]) and x1 <= x <= x2 and y1 <= y <= y2]
            if len(fits) == 1:
                out[fits[0]][joint] = x, y
            else:
                self.report.left_out['joints in no rectangle, or in several ones'] += 1
        return out


def _dicts(where, name, items) -> list[dict]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise file_error(where, name, items, 'a list of dicts')
    return items


def _numbers(where, name, values, count, most) -> np.ndarray:
    if not isinstance(values, list) or len(values) != count or not all(
            type(v) in (int, float) and is_number(v, -most, most) for v in values):
        raise file_error(where, name, values, f'{count} numbers within {most:g}')
    return np.array(values, np.float64)


def _person(value: object) -> int | None:
    """Return the number of a person that somebody typed, or None."""
    if is_int(value, -10**18):
        return int(value)
    match = re.fullmatch(r'\s*(?:person[ _])?(-?\d{1,18})\s*', value) if isinstance(
        value, str) else None
    return match and int(match[1])


def _region_person(region) -> int | None:
    """Return the number in the meta text of a rectangle, or in its ID."""
    meta = region.get('meta')
    texts = meta.get('text') if isinstance(meta, dict) else None
    texts = texts if isinstance(texts, list) else [texts]
    for text in (*texts, region['id']):
        match = _PERSON.fullmatch(text.strip()) if isinstance(text, str) else None
        if match:
            return int(match[1])
    return None


# ------------------------------------------------------------------------------------ correcting
def correct(videos: Videos, poses: Poses, report: Report) -> list[dict[str, Any]]:
    """Correct annotations.

    Args:
        videos (Videos): The annotations that were exported.
        poses (Poses): Their corrected poses.
        report (Report): Gets the changes.

    Returns:
        list[dict]: All annotations in their order, the same objects if nothing changed; in a video
        of tracks, new persons are annotations at the end, ``<video>/<number>``.
    """
    out = [videos.annotations[row] for row in range(len(videos.annotations))]
    for video, frames in poses.items():
        rows = videos.rows[video]
        persons = number_persons([out[row] for row in rows])
        report.others += len(set().union(*(frame_numbers(out[row]).tolist() for row in rows))
                             - frames.keys())
        for row, ids in zip(rows, persons, strict=True):
            out[row] = _corrected(out[row], ids, frames, report)
        known = set(np.concatenate(persons).tolist())
        new = sorted({person for found in frames.values() for person in found} - known)
        for person in new:
            ann = _new_person(out[rows[0]], person, frames, videos.layout.num_joints)
            if ann is None:
                report.left_out['poses in frames that the recording does not have'] += 1
                continue
            report.persons.append(f'{video}/{person}')
            report.poses['added'] += int(ann['keypoint'].any((2, 3)).sum())
            report.joints['added'] += int(ann['keypoint'].any(3).sum())
            if len(rows) == 1:
                out[rows[0]] = _joined(out[rows[0]], ann, person)
            else:
                out.append(dict(ann, frame_dir=f'{video}/{person}', clip=video, track_id=person))
        _count_unused(out, rows, frames, report)
    return out


def _stacked(frames, inds, person, joints):
    """Return rows of ``inds`` in the export, and keypoint (t, V, 2) and boxes of a person."""
    rows = np.flatnonzero([frame in frames for frame in inds.tolist()])
    keypoint = np.full((len(rows), joints, 2), np.nan)
    boxes = np.zeros((len(rows), 4))
    for i, frame in enumerate(inds[rows].tolist()):
        pose = frames[frame].get(person)
        if pose is not None:
            keypoint[i] = pose.keypoint
            boxes[i] = (*np.nanmin(keypoint[i], 0), *np.nanmax(keypoint[i], 0)) \
                if pose.box is None and np.isfinite(keypoint[i]).any() else \
                0 if pose.box is None else pose.box
    return rows, keypoint, boxes


def _corrected(ann, ids, frames, report) -> dict[str, Any]:
    """Return an annotation with corrected poses, itself if nothing changed."""
    keypoint, score = ann['keypoint'], ann['keypoint_score']
    if not len(keypoint):
        return ann
    box = ann.get('box')
    inds, changed = frame_numbers(ann), False
    for m, person in enumerate(ids.tolist()):
        rows, new, boxes = _stacked(frames, inds, person, keypoint.shape[2])
        old = keypoint[m, rows].astype(np.float64)
        before = visible_joints(keypoint[m, rows], score[m, rows])
        after = ~np.isnan(new[..., 0])
        moved = before & after & (np.abs(np.nan_to_num(new) - old).max(-1) > TOLERANCE)
        differs = moved | (before != after)
        if not differs.any():
            continue
        if not changed:  # float16 would round corrections to whole pixels
            keypoint, score = keypoint.astype(np.float32), score.copy()
            box, changed = None if box is None else box.copy(), True
        where = np.nonzero(differs)
        keypoint[m, rows[where[0]], where[1]] = np.nan_to_num(new)[where]
        score[m, rows[where[0]], where[1]] = after[where]
        if box is not None:
            touched = differs.any(1)
            box[m, rows[touched]] = boxes[touched]
        report.joints.update(moved=int(moved.sum()), added=int((after & ~before).sum()),
                             deleted=int((before & ~after).sum()))
        was, is_ = before.any(1), after.any(1)
        report.poses.update(changed=int((was & is_ & differs.any(1)).sum()),
                            added=int((is_ & ~was).sum()), deleted=int((was & ~is_).sum()))
    return dict(ann, keypoint=keypoint, keypoint_score=score,
                **({} if box is None else dict(box=box))) if changed else ann


def _new_person(like, person, frames, joints) -> dict[str, Any] | None:
    """Return an annotation of a new person in the frames of another one, None if in none."""
    rows, found, boxes = _stacked(frames, frame_numbers(like), person, joints)
    keypoint = np.zeros((1, like['total_frames'], joints, 2), np.float32)
    keypoint[0, rows] = np.nan_to_num(found)
    if not keypoint.any():
        return None
    ann = {name: value for name, value in like.items() if name not in ('track_id', 'box')}
    if ann.get('frame_label', np.zeros(0)).ndim == 2:
        del ann['frame_label']
    if 'box' in like:
        ann['box'] = np.zeros((1, like['total_frames'], 4), like['box'].dtype)
        ann['box'][0, rows] = boxes
    score = keypoint.any(-1).astype(like['keypoint_score'].dtype)
    return dict(ann, keypoint=keypoint, keypoint_score=score)


def _joined(ann, new, person) -> dict[str, Any]:
    """Return an annotation with one more person."""
    out = dict(ann)
    for name in ('keypoint', 'keypoint_score', 'box'):
        if name in ann:
            first = ann[name] if len(ann[name]) else new[name][:0]
            out[name] = np.concatenate([first, new[name]])
    if 'track_id' in ann:
        out['track_id'] = np.append(ann['track_id'], person)
    label = ann.get('frame_label')
    if label is not None and label.ndim == 2:
        out['frame_label'] = np.concatenate([label, label[:1] if len(label) else np.full(
            (1, ann['total_frames']), ann['label'])])
    return out


def _count_unused(annotations, rows, frames, report):
    """Count poses in frames that the annotations of their persons do not have."""
    used: dict[int, set[int]] = {}
    mine = [annotations[row] for row in rows]
    for ann, ids in zip(mine, number_persons(mine), strict=True):
        for person in ids.tolist():
            used.setdefault(person, set()).update(frame_numbers(ann).tolist())
    for frame, found in frames.items():
        for person in found:
            if person in used and frame not in used[person]:
                report.left_out['poses in frames that the recording does not have'] += 1
