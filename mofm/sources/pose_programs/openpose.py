"""Results of OpenPose (Cao et al., TPAMI 2021), one JSON file per frame."""
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import show, typed

from ..frame_numbers import frame_numbers
from ..per_frame_poses import FramePoses, FramePoseSource
from ..recognition import Sample

_FIELD, _ENDING = 'pose_keypoints_2d', '_keypoints.json'
_LAYOUTS = ('body25', 'coco18', 'body25b', 'coco17', 'halpe26')


@SOURCES.register_module('openpose')
class OpenPose(FramePoseSource):
    """Reader of ``<video>_<frame>_keypoints.json`` with the joints of BODY_25 or COCO.

    Files in one folder that differ in the frame only are a video, named ``<folder>/<video>``, or
    ``<folder>`` if the two are equal. Hands, faces and 3D points are ignored. Missing joints are
    0, 0, 0 in the files. ``person_id`` is the track ID unless it is -1.
    """

    max_size = 2**26

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.filename.lower().endswith(_ENDING) and isinstance(
                sample.json.get('people'), list):
            return f"'people' in a file *{_ENDING}"
        return None

    def find(self) -> list[str]:
        """List videos with files ``*_keypoints.json``."""
        videos = super().find()
        if videos == ['']:
            return videos
        return [video for video in videos if self.members[video][0].endswith(_ENDING)]

    def folder(self, file: str) -> str:
        """Return the video: path of the file without frame number and ending."""
        if not file.endswith(_ENDING):
            return file
        path = PurePosixPath(file.removesuffix(_ENDING))
        video = path.name.rstrip('0123456789')
        video = video.removesuffix('_') if video != path.name else video
        return (path.parent if video == path.parent.name else path.parent / video).as_posix()

    def stem(self, name: str) -> str:
        """Return the name of the video."""
        root = self.path.absolute()
        if name == '':
            return PurePosixPath(self.folder(root.name)).name
        return name if name != '.' else root.stem if root.is_file() else root.name

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        files = self.members[name]
        numbers = frame_numbers([Path(file or self.path.name).name.removesuffix(_ENDING)
                                 for file in files])
        parts, ids, counts = [], [], []
        for file, (_, text) in zip(files, content, strict=True):
            persons = self._people(file, self.json(file, text))
            parts.append(self.poses(file, _FIELD, [person.get(_FIELD) for person in persons]))
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
            track_id=None if -1 in ids else np.array(ids, np.int64))

    def _people(self, file, data):
        people = data.get('people') if isinstance(data, dict) else None
        if not isinstance(people, list) or not all(isinstance(p, dict) for p in people):
            raise self.error(file, 'people', typed(people), 'a list of dicts')
        return people

    def _person_id(self, file, person):
        value = person.get('person_id', [-1])
        if not (isinstance(value, list) and len(value) == 1 and type(value[0]) is int
                and -1 <= value[0] < 2**31):
            raise self.error(file, 'person_id', show(value), 'a list of one number from -1')
        return value[0]
