"""JSON files of joints by name, as people save them from TensorFlow.js and Apple Vision."""
import re
from collections.abc import Iterator

import numpy as np

from mofm.registry import SOURCES
from mofm.structures import convert
from mofm.utils.checks import describe, is_number, show

from ..joint_order import named_order
from ..per_frame_poses import FramePoses
from ..posture import find_posture
from ..recognition import Sample
from .landmark_tables import joint_index
from .landmarks import is_point, told
from .named_joints import PERSONS, NamedJoints
from .parsed_frames import file_numbers, frame_number, json_lines, numbered

_FRAMES = ('frames', 'results', 'data', 'poses')
_NAMES = ('name', 'part', 'joint', 'jointName', 'bodyPart', 'body_part', 'label', 'key')
_PLACES = ('position', 'location', 'point')
_SCORES = ('score', 'confidence', 'visibility', 'likelihood', 'conf', 'probability', 'c')
_LEAST, _DEEPEST, _SHOWN, _LARGEST = 3, 6, 50, 1e6
_SPARSE = 50  # names are at most as many times those of a person
# Keys of persons by number, which are no frames, and of positions in 3D beside those in pixels.
_PERSON = re.compile(r'(person|people|subject|player|body|track|id)s?[ _-]*\d+', re.IGNORECASE)
_3D = re.compile('3d|world', re.IGNORECASE)
# Joints of Apple Vision that have other names, without the side and '_joint'.
_VISION = dict(head='nose', neck_1='neck', shoulder_1='shoulder', forearm='elbow', hand='wrist',
               upLeg='hip', leg='knee', foot='ankle')


@SOURCES.register_module('named_json')
class NamedJSON(NamedJoints):
    """Reader of JSON files in which joints have names, with frames in a list, dict or file each.

    A person is a dict ``{joint: point}`` or a list of points with ``name``, ``part`` or the like.
    A point is ``[x, y]``, ``[x, y, score]``, or a dict with ``x``, ``y`` and maybe ``score`` or
    ``confidence``. Persons and points may be inside of other lists and dicts.

    Files of Apple Vision, whose y points up, are known by names such as ``left_upLeg_joint``.
    """

    suffix = ('.json', '.jsonl', '.ndjson')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        try:
            names = next((list(person) for frame in _frames_or_one(sample.json)[:_SHOWN]
                          for person in _persons(frame)), [])
        except _Unclear as unclear:  # the reader says so
            names = unclear.names
        is_mediapipe = {*map(joint_index, names)} == {*range(33)}
        fits = named_order([_plain(name) for name in names]) and not is_mediapipe
        return f'joints by name, {show(names[:3])}' if fits else None

    def one_frame(self, sample: Sample) -> bool:
        """See :meth:`FramePoseSource.one_frame`."""
        return sample.suffix == '.json' and _frames(sample.json) is None

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        files = self.members[name]
        frames, facts = [], {}
        for file, (_, text) in zip(files, content, strict=True):
            data = json_lines(self, file, text)
            frames += [data] if len(files) > 1 else _frames_or_one(data)
            facts = facts or told(data)
        try:
            persons = [_persons(frame) for frame in frames]
            points = [{joint: _values(point) for joint, point in person.items()}
                      for frame in persons for person in frame]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.error(name, 'joints', error if isinstance(error, _Unclear) else describe(
                error), 'x, y and maybe score by name, in a list or dict a person and frame; '
                'rows of a table as CSV are for the source table') from None
        joints = list(dict.fromkeys(joint for person in points for joint in person))
        if not joints or len(joints) > 1000 or max(map(len, persons)) > PERSONS or (
                len(joints) * len(points) > _SPARSE * sum(map(len, points))):
            raise self.error(name, 'joints', f'{len(joints)} names', 'joints by name')
        numbers = file_numbers(self, files) if len(files) > 1 else numbered(
            self, name, [frame_number(frame) if isinstance(frame, dict) else None
                         for frame in frames])
        values = np.full((len(points), len(joints), 3), np.nan)
        places = {joint: place for place, joint in enumerate(joints)}
        for row, person in zip(values, points, strict=True):
            row[[places[joint] for joint in person]] = [*person.values()]
        if (np.abs(values) > _LARGEST).any():
            raise self.error(name, 'joints', np.nanmax(np.abs(values)), f'at most {_LARGEST:g}')
        names = [_plain(joint) for joint in joints]
        keypoint = self._y_down(name, values[..., :2], names if names != joints else None)
        keypoint, score = self.named(name, names, keypoint, values[..., 2])
        yield FramePoses(self.stem(name), np.sort(numbers),
                         np.repeat(numbers, [len(frame) for frame in persons]), keypoint, score,
                         **facts)

    def _y_down(self, name, keypoint, names) -> np.ndarray:
        """Turn y of Apple Vision, if there are its names, unless heads are above feet."""
        order = names and named_order(names)
        if not order or np.nanmax(np.abs(keypoint)) > 2:
            return keypoint
        points = np.nan_to_num(keypoint)
        whole = np.zeros((len(points), 17, 2))
        whole[:, [*order]] = points[:, [place for place, in order.values()]]
        posture = find_posture(*convert(whole, whole.any(-1) * 1., 'coco17'))
        if posture and not posture[1]:
            return keypoint
        self.note(name, 'y of Apple Vision points up and is turned')
        return keypoint * [1, -1] + [0, 1]


class _Unclear(ValueError):
    """Points with these names of several persons or frames, which cannot be told apart."""

    def __init__(self, message: str, names):
        super().__init__(message)
        self.names = names


def _plain(name: str) -> str:
    """Return the usual name of a joint of Apple Vision, other names as they are."""
    match = re.fullmatch(r'(left_|right_|)(\w+)_joint', name)
    return match[1] + _VISION.get(match[2], match[2]) if match else name


def _frames(data) -> list | None:
    """Return the frames of a video, None if it is one frame."""
    if isinstance(data, list):
        return data if _name_key(data) is None else None
    if not isinstance(data, dict):
        return None
    inner = next((data[key] for key in _FRAMES if isinstance(data.get(key), (list, dict))), None)
    if inner is not None:
        return _frames(inner)
    if len(data) > 1 and all(re.fullmatch(r'\D*\d{1,9}(\.\w+)?', key)
                             and not _PERSON.fullmatch(key) for key in data):
        return [dict(frame=re.sub(r'\..*|\D', '', key), joints=value)
                for key, value in data.items()]
    return None


def _frames_or_one(data) -> list:
    frames = _frames(data)
    return [data] if frames is None else frames


def _persons(value, depth=0, number=None) -> list[dict]:
    """Return the points by name of each person of a frame of this number.

    Raises:
        _Unclear: If they are of several frames.
    """
    if depth > _DEEPEST:
        return []
    if isinstance(value, list) and (named := _named(value)):
        return [named]
    found: list[dict] = []
    own = frame_number(value) if isinstance(value, dict) else None
    if isinstance(value, dict):
        points = {key: point for key, point in value.items() if _is_point(point)}
        if len(points) >= _LEAST:
            found, value = [points], []
        else:
            value = [item for key, item in value.items() if not _3D.search(key)]
    for item in value if isinstance(value, list) else ():
        if isinstance(item, (list, dict)):
            found += _persons(item, depth + 1, number if own is None else own)
    if found and depth and own not in (None, number):
        raise _Unclear(f'frame {own} inside of ' + (
            'one frame' if number is None else f'frame {number}'), [*found[0]])
    return found


def _name_key(points: list) -> str | None:
    """Return the key of the names in a list of points, None if it is none."""
    if not points or not all(isinstance(point, dict) and _is_point(point) for point in points):
        return None
    return next((key for key in _NAMES if isinstance(points[0].get(key), str)), None)


def _named(points: list) -> dict:
    """Return points by their names, empty if they have none.

    Raises:
        _Unclear: If they have a name twice.
    """
    key = _name_key(points)
    named = {} if key is None else {str(point.get(key)): point for point in points}
    if named and len(named) < len(points):
        raise _Unclear(f'{len(points)} points with {len(named)} names in a list', [*named])
    return named


def _place(point):
    inner = (point.get(key) for key in _PLACES) if isinstance(point, dict) else ()
    return next((place for place in inner if is_point(place)), point)


def _is_point(point) -> bool:
    return is_point(_place(point))


def _values(point) -> list[float]:
    """Return x, y and score of a point."""
    place = _place(point)
    x, y, *more = place if isinstance(place, list) else (place['x'], place['y'])
    score = next((point[key] for key in _SCORES if key in point), None) if isinstance(
        point, dict) else more[-1] if more else None
    if more and not is_number(more[-1], 0, 1) and more[-1] is not None:
        raise ValueError(f'a point {show(place)} whose last value is no score of 0 to 1')
    return [np.nan if value is None else float(value) for value in (x, y)] + [
        1. if score is None else max(0., float(score))]
