"""PoseTrack 2017 and 2018 (Andriluka et al., CVPR 2018)."""
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import show

from ..base import Sample
from ..frame_numbers import frame_numbers
from ..per_frame_poses import FramePoses
from ..pose_programs.coco import COCO, dicts
from ..pose_programs.parsed_frames import track_ids

_JOINTS = 15


@SOURCES.register_module('posetrack')
class PoseTrack(COCO):
    """Reader of the JSON files of PoseTrack, a file per video.

    Those of 2018 are COCO annotations of 17 joints, of which the first three are nose, neck
    (``head_bottom``) and head (``head_top``). Those of 2017 have ``annolist``, images with
    ``annorect`` of persons with up to 15 points, by ``id``. Only labeled images are read.
    """

    layouts = 'posetrack17'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if 'annorect' in sample.json['annolist'][0]:
            return "images with 'annorect' in 'annolist' (PoseTrack 2017)"
        return None

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        (file, text), = content
        data = self.json(name, text)
        if not isinstance(data, dict) or 'annolist' not in data:
            yield from super().videos(name, iter([(file, text)]))
            return
        images = [image for image in dicts(self, name, 'annolist', data['annolist'])
                  if _first(image.get('is_labeled', 1)) != 0]
        stems = [PurePosixPath(str(_dict(image.get('image')).get('name', ''))).stem
                 for image in images]
        if not stems or len(set(stems)) < len(stems) or not all(stems):
            raise self.error(name, 'annolist', show(stems[:5]), 'the name of each image, once')
        numbers = frame_numbers(stems)
        people = [dicts(self, name, 'annorect', image.get('annorect') or []) for image in images]
        frame = np.repeat(numbers, [len(group) for group in people])
        persons = [person for group in people for person in group]
        values = np.full((len(persons), _JOINTS, 3), np.nan)
        for place, person in enumerate(persons):
            points = _dict(person.get('annopoints')).get('point') or []
            rows = self.numbers(name, 'point', [
                [_first(point.get(key, default)) for key, default in (
                    ('id', None), ('x', None), ('y', None), ('score', 1))]
                for point in dicts(self, name, 'point', points)], (None, 4)) if points else []
            for joint, x, y, score in rows:
                if not 0 <= joint < _JOINTS or joint % 1:
                    raise self.error(name, 'point.id', joint, f'0 to {_JOINTS - 1}')
                values[place, int(joint)] = x, y, score
        keypoint, score = self.to_layout_joints(name, 'annopoints', values[..., :2],
                                                values[..., 2], 'posetrack15')
        corners = [[_first(person.get(key)) for key in ('x1', 'y1', 'x2', 'y2')]
                   for person in persons]
        box = None if not persons or any(None in box for box in corners) else self.numbers(
            name, 'x1', corners, (None, 4))
        ids = track_ids(self, name, [_first(p.get('track_id')) for p in persons], frame)
        yield FramePoses(self.stem(name), np.sort(numbers), frame, keypoint, score, ids, box=box,
                         coordinates='pixels')


def _first(value):
    """Return the number in a list of one, as the files were converted from MATLAB."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _dict(value) -> dict:
    """Return the dict in a list of one; an empty one for other values."""
    value = _first(value)
    return value if isinstance(value, dict) else {}
