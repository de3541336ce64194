"""Results of AlphaPose (Fang et al., TPAMI 2022) in all of its output formats.

``alphapose-results.json`` has a list of persons (formats ``default`` and ``coco``) or a dict of
persons by image (``cmu``, ``open``), which the folder ``sep-json`` repeats as one file per image.
PoseFlow (Xiu et al., BMVC 2018) writes a dict of lists of persons by image.
"""
import re
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import first_other, show, typed

from ..frame_numbers import frame_numbers
from ..per_frame_poses import FramePoses, FramePoseSource
from ..recognition import Sample

# Results, a file per image, and those of PoseFlow without and with track IDs.
_RESULTS, _SEPARATE = 'alphapose-results.json', 'sep-json'
_FLOW = 'alphapose-results-forvis.json'
_TRACKED = 'alphapose-results-forvis-tracked.json'
_NAMES = (_RESULTS, _SEPARATE, _FLOW, _TRACKED)
_LAYOUTS = ('coco17', 'halpe26', 'halpe136', 'wholebody133', 'coco18', 'body25')
# Field of the persons of an image -> field of the joints of a person, per format.
_FORMS = dict(bodies='joints', people='pose_keypoints_2d')


@SOURCES.register_module('alphapose')
class AlphaPose(FramePoseSource):
    """Reader of ``alphapose-results.json`` or files of another name, one per video.

    The video has the name of the file, or of its folder if AlphaPose named the file. The number of
    values determines the layout: COCO, Halpe (26 or 136 joints), or the 18 joints of OpenPose in
    ``cmu`` and ``open``.

    The number at the end of an image's name is its frame; otherwise images are in natural order of
    their names. Images of several folders are several videos, ``<video>/<folder>``.

    ``idx`` is the track ID if it is a number for all persons of the video. Without tracking
    AlphaPose writes lists of zeros.
    """

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        data = sample.json
        first = data[0] if isinstance(data, list) and data else None
        if isinstance(first, dict) and {'image_id', 'keypoints'} <= first.keys() and (
                first.keys() & {'box', 'idx'} or isinstance(first['image_id'], str)):
            return "a list of persons with 'image_id' and 'keypoints'"
        if not isinstance(data, dict) or not data:
            return None
        persons = data.get('bodies') or [{}]
        if 'joints' in persons[0] or 'AlphaPose' in str(data.get('version')):
            return "persons of an image as 'bodies' or 'people' of AlphaPose"
        first = next(iter(data.values()))
        if isinstance(first, dict) and first.keys() & _FORMS.keys():
            return "a dict of images with 'bodies' or 'people'"
        person = next(persons for persons in data.values() if persons)[0]
        if 'keypoints' in person and person.keys() & {'idx', 'scores', 'score'}:
            return "a dict of images with persons as PoseFlow writes it"
        return None

    def find(self) -> list[str]:
        """List files and videos, without those that a file beside them repeats."""
        super().find()
        for name in [*self.members]:
            path = PurePosixPath(name)
            better = {_SEPARATE: [_RESULTS], _RESULTS: [_TRACKED], _FLOW: [_TRACKED, _RESULTS]}
            for other in better.get(path.name.lower(), ()):
                if self.tree.find(path.with_name(other).as_posix()) in self.members:
                    self.members.pop(name, None)
                    if path.name != _SEPARATE:
                        self.note(name, f'passed over for {other} beside it')
                    break
        return sorted(self.members)

    def one_frame(self, sample: Sample) -> bool | None:
        """See :meth:`FramePoseSource.one_frame`."""
        data = sample.json
        if isinstance(data, list):
            images = {person['image_id'] for person in data}
            return len(images) == 1 if images else None
        return bool(data.keys() & _FORMS.keys()) or len(data) == 1

    def around(self, files: list[str]) -> list[tuple[str, str] | None]:
        """Put all files of the folder ``sep-json`` into one video."""
        parent = PurePosixPath(files[0]).parent.name or self._root()
        return [('', '')] * len(files) if parent == _SEPARATE else super().around(files)

    def stem(self, name: str) -> str:
        """Return the name of the video: its file's, or the folder's of files named by the tool."""
        root = self.path.absolute()
        path = root / name
        path = path.parent if path.name.lower() in _NAMES else root / super().stem(name)
        if root in path.parents:
            return path.relative_to(root).as_posix()
        return path.stem if path.is_file() else path.name

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        images: dict[str, dict[str, list]] = {}  # folder -> image -> persons
        for file, (_, text) in zip(self.members[name], content, strict=True):
            found = self._images(file, self.json(file, text))
            if len(self.members[name]) > 1:  # a file per image
                if len({image for image, _ in found}) > 1:
                    raise self.error(file, 'images', 'several', 'one, as in the files beside it')
                label = self.label(self.tree.filename(file))
                found = [(label, [person for _, persons in found for person in persons])]
            for image, persons in found:
                path = PurePosixPath(image)
                if not path.name or path.is_absolute() or '..' in path.parts or (
                        re.search(r'[\ud800-\udfff]', image)):  # cannot be written
                    raise self.error(file, 'image_id', show(image), 'an image name')
                folder = images.setdefault(path.parent.as_posix(), {})
                folder.setdefault(path.name, []).extend(persons)
        if not images:
            raise self.error(name, 'images', 'none', 'at least one')
        for folder in sorted(images):
            video = self.stem(name) if folder == '.' else f'{self.stem(name)}/{folder}'
            yield self._video(name, video, images[folder])

    def _images(self, file, data):
        """Return names and persons ``(values, idx, box)`` of images; names may repeat."""
        if isinstance(data, list):
            return self._persons(file, data)
        if isinstance(data, dict) and not data.keys() & _FORMS.keys():
            return [(image, self._bodies(file, image, item)) for image, item in data.items()]
        label = self.label(self.tree.filename(file))
        return [(label, self._bodies(file, label, data))]

    def _persons(self, file, data):
        """Read the poses of a list of persons."""
        if not all(isinstance(person, dict) for person in data):
            raise self.error(file, 'persons', first_other(data, dict), 'a list of dicts')
        ids = [person.get('image_id') for person in data]
        kinds = set(map(type, ids))
        if kinds not in (set(), {str}, {int}) or kinds == {int} and min(ids) < 0:
            found = {kind: next(i for i in ids if type(i) is kind) for kind in kinds}
            raise self.error(file, 'image_id', ' and '.join(sorted(map(typed, (
                min(ids), ) if kinds == {int} else found.values()))), 'names or numbers from 0')
        others = [p['category_id'] for p in data if 'category_id' in p and not (
            type(p['category_id']) is int and p['category_id'] == 1)]
        if others:
            raise self.error(file, 'category_id', typed(others[0]), '1, a person')
        kept = {*map(id, self.with_joints(file, 'keypoints', data))}
        return [(str(image), [self._person(file, person)] if id(person) in kept else [])
                for image, person in zip(ids, data, strict=True)]

    def _person(self, file, person, field='keypoints'):
        return person.get(field), self._idx(file, person.get('idx')), person.get('box')

    def _bodies(self, file, image, item):
        """Read the poses of an image, those of PoseFlow in a list."""
        if isinstance(item, list) and all(isinstance(person, dict) for person in item):
            return [self._person(file, person)
                    for person in self.with_joints(file, 'keypoints', item)]
        for field, joints in _FORMS.items():
            persons = item.get(field) if isinstance(item, dict) else None
            if isinstance(persons, list) and all(isinstance(p, dict) for p in persons):
                return [self._person(file, person, joints)
                        for person in self.with_joints(file, joints, persons)]
        raise self.error(file, f'image {image[:80]!r}', typed(item),
                         f'a dict with a list of persons, one of {list(_FORMS)}')

    def _idx(self, file, idx) -> int | None:
        """Return the track ID, None without tracking."""
        listed = isinstance(idx, list)
        values = [v for part in idx for v in (part if isinstance(part, list) else [part])] \
            if listed else [idx]
        if idx is None:
            return None
        if not all(type(v) in (int, float) and 0 <= v < 2**31 and v == int(v) for v in values):
            raise self.error(file, 'idx', show(idx), 'a whole number from 0, or a list')
        # Without tracking all are 0; several numbers are merged poses.
        return None if listed and (len(set(values)) != 1 or values[0] == 0) else int(values[0])

    def _video(self, name, video, images):
        names = sorted(images)
        numbers = frame_numbers([re.sub(r'\.[A-Za-z]\w*$', '', image) for image in names],
                                partial(self.note, name))
        persons = [person for image in names for person in images[image]]
        keypoint, score = self.to_layout_joints(name, 'keypoints', *self.poses(
            name, 'keypoints', [values for values, _, _ in persons]), _LAYOUTS)
        ids = [idx for _, idx, _ in persons]
        box = [box for _, _, box in persons]
        if all(value is None for value in box):
            box = None
        else:  # x, y, width, height
            box = self.numbers(name, 'box', [[np.nan] * 4 if value is None else value
                                             for value in box], (None, 4))
            box = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], 1)
        return FramePoses(
            name=video,
            frames=np.sort(numbers),
            frame=np.repeat(numbers, [len(images[image]) for image in names]),
            keypoint=keypoint,
            score=score,
            track_id=None if None in ids or not ids else np.array(ids, np.int64),
            box=box)
