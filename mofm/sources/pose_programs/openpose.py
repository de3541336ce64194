"""Results of OpenPose (Cao et al., TPAMI 2021), one JSON file per frame."""
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import show, typed

from ..base import Sample
from ..frame_numbers import frame_numbers, split_number
from ..per_frame_poses import FramePoses, FramePoseSource

_ENDING = '_keypoints'
_FIELD, _OLD_FIELD = 'pose_keypoints_2d', 'pose_keypoints'
# Also of programs that write the same files, e.g. rtmlib and Pose2Sim.
_LAYOUTS = ('body25', 'coco18', 'coco17', 'halpe26', 'wholebody133', 'halpe136', 'mediapipe33')


@SOURCES.register_module('openpose')
class OpenPose(FramePoseSource):
    """Reader of ``<video>_<frame>_keypoints.json`` with the joints of BODY_25 or COCO.

    The ending may miss, as in the files of rtmlib and Pose2Sim, whose joints are those of COCO or
    Halpe. Files in one folder that differ in the frame only are a video. Hands, faces and 3D
    points are ignored. Missing joints are 0, 0, 0 in the files. ``person_id`` is the track ID
    unless it is -1.
    """

    suffix = '.json'
    max_size = 2**26

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        people = sample.json['people']
        if isinstance(people, list) and (_has_ending(sample.filename) or people and (
                _FIELD in people[0] or _OLD_FIELD in people[0])) and (
                'AlphaPose' not in str(sample.json.get('version'))):
            return "persons of a frame as 'people'"
        return None

    def find(self) -> list[str]:
        """List videos, without JSON files of other kinds."""
        found = super().find()
        self.members = {name: files for name, files in self.members.items()
                        if found == [''] or any(_has_ending(self.tree.filename(file))
                                                for file in files) or self._are_frames(files)}
        return sorted(self.members)

    def one_frame(self, sample: Sample) -> bool:
        """See :meth:`FramePoseSource.one_frame`."""
        return _has_ending(sample.filename) or isinstance(sample.json.get('people'), list)

    def label(self, filename: str) -> str:
        """Return the name of the video and the frame."""
        stem = super().label(filename)
        return stem[:-len(_ENDING)] if _has_ending(filename) else stem

    def stem(self, name: str) -> str:
        """Return the name of the video, that of a single file without the frame."""
        if self.members.get(name) != [name]:
            return super().stem(name)
        path = PurePosixPath(super().stem(name))
        around = split_number(path.name)
        return path.with_name(''.join(around or ()).strip(' ._-') or path.name).as_posix()

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        files = self.members[name]
        numbers = frame_numbers([self.label(self.tree.filename(file)) for file in files])
        parts, ids, counts = [], [], []
        for file, (_, text) in zip(files, content, strict=True):
            persons = self._people(file, self.json(file, text))
            parts.append(self.poses(file, _FIELD, [
                person.get(_FIELD, person.get(_OLD_FIELD)) for person in persons]))
            ids += [self._person_id(file, person) for person in persons]
            counts.append(len(persons))
        keypoint, score = self.to_layout_joints(
            name, _FIELD, *self.joined(name, _FIELD, parts), _LAYOUTS)
        yield FramePoses(
            name=self.stem(name),
            frames=np.sort(numbers),
            frame=np.repeat(numbers, counts),
            keypoint=keypoint,
            score=score,
            track_id=None if -1 in ids or not ids else np.array(ids, np.int64))

    def _people(self, file, data):
        people = data.get('people') if isinstance(data, dict) else None
        if not isinstance(people, list) or not all(isinstance(p, dict) for p in people):
            raise self.error(file, 'people', typed(people), 'a list of dicts')
        return self.with_joints(file, _FIELD, people)

    def _person_id(self, file, person):
        value = person.get('person_id', -1)
        number = value[0] if isinstance(value, list) and len(value) == 1 else value
        if type(number) is not int or not -1 <= number < 2**31:
            raise self.error(file, 'person_id', show(value), 'a number from -1, or a list of one')
        return number


def _has_ending(filename: str) -> bool:
    return filename.lower().endswith(f'{_ENDING}.json')
