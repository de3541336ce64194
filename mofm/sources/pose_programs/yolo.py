"""Results of YOLO pose models of ultralytics: text files, JSON, and results objects."""
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import show
from mofm.utils.files import atomic_write
from mofm.utils.untrusted import parse_json

from ..base import Sample
from ..per_frame_poses import FramePoses, FramePoseSource
from .coco import PERSON_LAYOUTS, dicts
from .parsed_frames import (
    Frames,
    file_numbers,
    frame_number,
    json_lines,
    read_each,
    track_ids,
)

# Values of a line before the keypoints: class, center and size of the box.
_BOX = 5
_PERSON = 0
# Frames without a file that are frames without a person, per file.
_MAX_MISSING = 100


@SOURCES.register_module('yolo')
class YOLO(FramePoseSource):
    """Reader of ``labels/<video>_<frame>.txt`` and of JSON of ultralytics.

    A line of a text file is ``class x y width height``, x, y and, of most models, the score of
    each joint, then the score of the box (``save_conf``) and the track ID, in sizes of the image:
    ``img_shape`` is required. Frames without a file are frames without a person. Of another
    number of joints than 17 ``layout`` is required where the values do not tell.

    JSON is the list of persons of ``to_json``, one file per frame, or a list or dict of frames of
    them, one file per video, e.g. of :func:`save_results`.

    Other classes than the first are passed over.
    """

    suffix = ('.txt', '.json', '.jsonl', '.ndjson')
    max_size = 2**29

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.suffix == '.txt':
            rows = np.array([line.split() for line in sample.head.splitlines()[:20]], np.float64)
            fits = (rows.shape[1] >= _BOX + 10 and (rows[:, 0] % 1 == 0).all()
                    and ((rows[:, 1:_BOX] >= 0) & (rows[:, 1:_BOX] <= 1)).all())
            return 'lines with class, box and keypoints in sizes of the image' if fits else None
        data = sample.json  # None for .jsonl
        persons = _persons(parse_json(sample.head.splitlines()[0]) if data is None else data)
        first = next(person for frame in persons for person in frame)
        if {'x', 'y'} <= first['keypoints'].keys() and 'confidence' in first:
            return "persons with 'confidence', 'box' and 'keypoints' as 'x' and 'y'"
        return None

    def is_native(self, filename: str) -> bool:
        """Leave out the names of the classes."""
        return super().is_native(filename) and filename.lower() != 'classes.txt'

    def one_frame(self, sample: Sample) -> bool:
        """See :class:`FrameFiles`."""
        return sample.suffix == '.txt' or sample.suffix == '.json' and (
            _numbers_of(sample.json) is None)

    def stem(self, name: str) -> str:
        """Return the name of the video without the folder ``labels``."""
        path = PurePosixPath(super().stem(name))
        parts = [part for part in path.parts if part != 'labels']
        if parts:
            return PurePosixPath(*parts).as_posix()
        return self.path.absolute().parent.name or path.name

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        if self.tree.filename(self.members[name][0]).lower().endswith('.txt'):
            numbers, frame, frames = self._text(name, content)
        else:
            frames, numbers = read_each(self, name, content, self._json)
            frame = np.repeat(numbers, frames.counts)
        keypoint, score = self.to_layout_joints(
            name, 'keypoints', frames.keypoint, frames.score, PERSON_LAYOUTS)
        yield FramePoses(
            name=self.stem(name), frames=np.sort(numbers), frame=frame, keypoint=keypoint,
            score=score, track_id=track_ids(self, name, frames.track_id, frame), box=frames.box,
            coordinates=frames.coordinates, img_shape=frames.img_shape)

    def _text(self, name, content):
        """Return the numbers of the frames, the frame of each pose, and the poses."""
        files = self.members[name]
        lines = [self._lines(file, text) for file, (_, text) in zip(files, content, strict=True)]
        length = max(rows.shape[1] for rows in lines)
        # frames before the tracker has a track lack the ID at the end
        rows = np.concatenate([np.pad(rows, ((0, 0), (0, length - rows.shape[1])),
                                      constant_values=np.nan) for rows in lines])
        numbers = file_numbers(self, files)
        frame = np.repeat(numbers, [len(rows) for rows in lines])
        persons = rows[:, 0] == _PERSON
        if not persons.all():
            self.note(name, 'persons of other classes than 0 are passed over')
        if len(numbers) > 1:  # frames without a person have no file
            step = np.gcd.reduce(np.diff(np.sort(numbers)))
            every = np.arange(numbers.min(), numbers.max() + 1, step)
            numbers = every if len(every) <= _MAX_MISSING * len(numbers) else numbers
        return numbers, frame[persons], self._split(name, rows[persons])

    def _lines(self, file, content) -> np.ndarray:
        """Read the lines of a frame, (N, values)."""
        if not content.strip():
            return np.zeros((0, 1))
        try:
            rows = np.loadtxt(content.decode().splitlines(), ndmin=2, comments=None)
        except ValueError as error:
            raise self.error(file, 'lines', show(error), 'equally many numbers per line') from None
        if not np.isfinite(rows[:, 0]).all() or np.isinf(rows).any() or rows.shape[1] <= _BOX:
            raise self.error(file, 'lines', f'{rows.shape[1]} values or infinite ones',
                             'class, box and keypoints, finite numbers')
        return rows

    def _split(self, name, rows) -> Frames:
        """Split lines (N, values) of persons into keypoints, track IDs and boxes."""
        if not len(rows):
            return Frames([], [], np.zeros((0, 17, 2)), np.zeros((0, 17)), [])
        joints, values, extra = self._form(name, rows)
        keypoint = rows[:, _BOX:_BOX + joints * values].reshape(len(rows), joints, values)
        ends = rows[:, _BOX + joints * values:]
        last = ends[:, -1] if extra else np.zeros(0)
        told = last[~np.isnan(last)]
        tracked = extra == 2 or extra == 1 and (told % 1 == 0).all() and (told >= 1).all()
        score = keypoint[..., 2] if values == 3 else (keypoint != 0).any(-1).astype(np.float64)
        if values == 3 and np.isin(score, (0, 1, 2)).all():  # visibility of annotations
            score = (score > 0).astype(np.float64)
        center, size = rows[:, 1:3], rows[:, 3:5]
        return Frames([], [], keypoint[..., :2], score,
                      [None if np.isnan(v) else v for v in last.tolist()] if tracked
                      else [None] * len(rows),
                      np.concatenate([center - size / 2, center + size / 2], 1), 'unit')

    def _form(self, name, rows) -> tuple[int, int, int]:
        """Return the number of joints, of values per joint and of values after them."""
        length = rows.shape[1] - _BOX
        known = {LAYOUTS[self.layout].num_joints} if self.layout else {
            LAYOUTS[name].num_joints for name in PERSON_LAYOUTS}
        forms = [(joints, values, length - joints * values) for joints in known
                 for values in (3, 2) if 0 <= length - joints * values <= 2]
        forms = [form for form in forms if form[0] == 17] or forms
        least = [form for form in forms if form[2] == min(form[2] for form in forms)]
        if len(least) != 1:
            raise self.error(name, 'lines', f'{rows.shape[1]} values', 'class, box, 2 or 3 values '
                             'per joint, score and track ID; --layout tells the joints')
        return least[0]

    def _json(self, file, content):
        """Return the frames of a JSON file."""
        data = json_lines(self, file, content)
        try:
            numbers, frames = _numbers_of(data), _persons(data)
        except (AttributeError, TypeError, ValueError):
            raise self.error(file, 'file', show(data), 'lists of persons') from None
        counts, persons = [], []
        for frame in frames:
            mine = [p for p in dicts(self, file, 'persons', frame) if p.get('class', 0) == _PERSON]
            counts.append(len(mine))
            persons += mine
        if sum(map(len, frames)) > len(persons):
            self.note(file, 'persons of other classes than 0 are passed over')
        numbers = [None] if numbers is None else numbers
        if not persons:
            return Frames(numbers, counts, np.zeros((0, 17, 2)), np.zeros((0, 17)), [])
        points = [p.get('keypoints') if isinstance(p.get('keypoints'), dict) else {}
                  for p in persons]
        x, y = (self.numbers(file, f'keypoints.{axis}', [p.get(axis) for p in points],
                       (len(points), None)) for axis in 'xy')
        if x.shape != y.shape:
            raise self.error(file, 'keypoints.y', y.shape, x.shape)
        keypoint = np.stack([x, y], -1)
        score = (keypoint != 0).any(-1).astype(np.float64)
        if all('visible' in p for p in points):
            score = self.numbers(file, 'keypoints.visible', [p['visible'] for p in points],
                           x.shape)
        corners = [[p['box'].get(c) for c in ('x1', 'y1', 'x2', 'y2')] if isinstance(
            p.get('box'), dict) else [None] * 4 for p in persons]
        box = None if any(None in box for box in corners) else self.numbers(
            file, 'box', corners, (len(persons), 4))
        return Frames(numbers, counts, keypoint, score, [p.get('track_id') for p in persons], box,
                      img_shape=_size(data))


def is_result(item: object) -> bool:
    """Return whether an object is one of the results of ultralytics."""
    return all(hasattr(item, name) for name in ('keypoints', 'boxes', 'orig_shape'))


def save_results(results: Iterable, path: str | Path):
    """Save results objects of ultralytics, one per frame, as JSON that :class:`YOLO` reads.

    Args:
        results (Iterable): What ``model.predict`` and ``model.track`` return, or yield with
            ``stream=True``.
        path (str or Path): The ``.json`` file.
    """
    frames: list[list[dict]] = []
    size = None
    for result in results:
        frames.append([])
        size = size or [int(side) for side in result.orig_shape]
        if result.keypoints is None or not len(result.keypoints):
            continue
        keypoint, conf = _list(result.keypoints.xy), _list(result.keypoints.conf)
        boxes, ids = _list(result.boxes.xyxy), _list(result.boxes.id)
        classes = _list(getattr(result.boxes, 'cls', None))
        for i, points in enumerate(keypoint):
            x, y = zip(*points, strict=True)
            person = {'class': int(classes[i]) if classes else _PERSON,
                      'box': dict(zip(('x1', 'y1', 'x2', 'y2'), boxes[i], strict=True)),
                      'keypoints': dict(x=x, y=y, **(dict(visible=conf[i]) if conf else {}))}
            frames[-1].append(dict(person, track_id=int(ids[i])) if ids else person)
    height, width = size or (1, 1)
    with atomic_write(path, 'w') as f:
        json.dump(dict(height=height, width=width, frames=frames), f)


def _list(values) -> list | None:
    """Convert an array, or a tensor on any device, to lists."""
    return None if values is None else values.tolist()


def _numbers_of(data) -> list | None:
    """Return the number of each frame of a video, None for those without; None for one frame."""
    frames = _frames(data)
    if frames is None:
        return None
    return [frame_number(frame) if isinstance(frame, dict) else None for frame in frames]


def _size(data) -> tuple[int, int] | None:
    """Return height and width in a dict with frames."""
    size = tuple(data.get(side) for side in ('height', 'width')) if isinstance(data, dict) else ()
    return size if size and all(type(v) is int and 1 < v < 2**16 for v in size) else None


def _frames(data) -> list | None:
    """Return the frames of a video; None if it is one frame."""
    if isinstance(data, dict):
        listed = [data[key] for key in ('frames', 'results') if isinstance(data.get(key), list)]
        if listed:
            return listed[0]
        if any(frame_number(dict(frame=key)) is None for key in data):
            return None
        return [dict(frame=key, persons=value) for key, value in data.items()]
    persons = all(isinstance(item, dict) and 'keypoints' in item for item in data)
    if not persons:
        return data
    if not data or any(frame_number(person) is None for person in data):
        return None
    frames: dict = {}
    for person in data:
        frames.setdefault(frame_number(person), []).append(person)
    return [dict(frame=number, persons=frame) for number, frame in frames.items()]


def _persons(data) -> list[list[dict]]:
    """Return the persons of each frame."""
    frames = _frames(data)
    return [_persons_of(data)] if frames is None else [_persons_of(item) for item in frames]


def _persons_of(frame) -> list[dict]:
    """Return the persons of a frame, a list, a dict that has them, or either as a text."""
    if isinstance(frame, str):
        frame = parse_json(frame)
    if isinstance(frame, dict):
        if 'keypoints' in frame:
            return [frame]
        lists = [value for value in frame.values() if isinstance(value, list) and all(
            isinstance(item, dict) for item in value)]
        return lists[0] if lists else []
    return frame or []
