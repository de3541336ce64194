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
        data = sample.json
        frames = _frames(data)
        for frame in ([data] if frames is None else frames)[:_SHOWN]:
            for person in _persons(frame):
                is_mediapipe = {*map(joint_index, person)} == {*range(33)}
                fits = named_order([_plain(name) for name in person]) and not is_mediapipe
                return f'joints by name, {show([*person][:3])}' if fits else None
        return None

    def one_frame(self, sample: Sample) -> bool:
        """See :meth:`FramePoseSource.one_frame`."""
        return sample.suffix == '.json' and _frames(sample.json) is None

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        files = self.members[name]
        frames, facts = [], {}
        for file, (_, text) in zip(files, content, strict=True):
            data = json_lines(self, file, text)
            found = _frames(data)
            frames += [data] if found is None or len(files) > 1 else found
            facts = facts or told(data)
        try:
            persons = [_persons(frame) for frame in frames]
            points = [{joint: _values(point) for joint, point in person.items()}
                      for frame in persons for person in frame]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.error(name, 'joints', describe(error), 'x, y and maybe score by name'
                             ) from None
        joints = list(dict.fromkeys(joint for person in points for joint in person))
        if not joints or len(joints) > 1000 or max(map(len, persons)) > PERSONS:
            raise self.error(name, 'joints', f'{len(joints)} names', 'joints by name')
        numbers = file_numbers(self, files) if len(files) > 1 else numbered(
            self, name, [frame_number(frame) if isinstance(frame, dict) else None
                         for frame in frames])
        values = np.full((len(points), len(joints), 3), np.nan)
        for row, person in zip(values, points, strict=True):
            for joint, point in person.items():
                row[joints.index(joint)] = point
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


def _plain(name: str) -> str:
    """Return the usual name of a joint of Apple Vision, other names as they are."""
    match = re.fullmatch(r'(left_|right_|)(\w+)_joint', name)
    return match[1] + _VISION.get(match[2], match[2]) if match else name


def _frames(data) -> list | None:
    """Return the frames of a video, None if it is one frame."""
    if isinstance(data, list):
        return None if _named(data) else data
    if not isinstance(data, dict):
        return None
    inner = next((data[key] for key in _FRAMES if isinstance(data.get(key), (list, dict))), None)
    if inner is not None:
        return _frames(inner)
    if len(data) > 1 and all(re.fullmatch(r'\D*\d{1,9}(\.\w+)?', key) for key in data):
        return [dict(frame=re.sub(r'\..*|\D', '', key), joints=value)
                for key, value in data.items()]
    return None


def _persons(value, depth=0) -> list[dict]:
    """Return the points by name of each person of a frame."""
    if depth > _DEEPEST:
        return []
    if isinstance(value, list) and (named := _named(value)):
        return [named]
    if isinstance(value, dict):
        points = {key: point for key, point in value.items() if _is_point(point)}
        if len(points) >= _LEAST:
            return [points]
        value = [*value.values()]
    return [person for item in value if isinstance(item, (list, dict))
            for person in _persons(item, depth + 1)] if isinstance(value, list) else []


def _named(points: list) -> dict:
    """Return points by their names, empty if they have none."""
    if not points or not all(isinstance(point, dict) and _is_point(point) for point in points):
        return {}
    key = next((key for key in _NAMES if isinstance(points[0].get(key), str)), None)
    return {} if key is None else {str(point.get(key)): point for point in points}


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
        score if is_number(score, 0) else 1.]
