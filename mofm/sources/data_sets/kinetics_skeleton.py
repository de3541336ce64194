"""Kinetics-skeleton of ST-GCN: poses of OpenPose in Kinetics-400 (Yan et al., AAAI 2018).

A JSON file per video, in ``kinetics_train`` and ``kinetics_val``, has ``label``, ``label_index``
and ``data``, frames ``{'frame_index': 1, 'skeleton': [{'pose': [x0, y0, ...], 'score': [...]}]}``
with 18 joints in 0 to 1 of images of 340 x 256 pixels. ``kinetics_train_label.json`` has the label
of every video.
"""
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import show

from ..base import Item
from ..per_frame_poses import FramePoses, FramePoseSource
from ..recognition import Sample

_IMG_SHAPE = (256, 340)
_LAYOUTS = ('coco18', 'coco17', 'body25')
_LABELS = '_label.json'
_SPLITS = ('train', 'val', 'test')
_MAX_LABELS = 10**4


@SOURCES.register_module('kinetics_skeleton')
class KineticsSkeleton(FramePoseSource):
    """Reader of one JSON file per video, splits ``train`` and ``val`` by its folder.

    Names of the classes are those of ``*_label.json`` inside the path or next to it, if these name
    all labels. The persons of a frame have no identity; they are tracked.
    """

    max_size = 2**26
    companions = (f'*{_LABELS}', )

    def __init__(self, path, **kwargs):
        super().__init__(path, **kwargs)
        self.classes = self._class_names()

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if 'label_index' in sample.json and 'skeleton' in sample.json['data'][0]:
            return "'data' of frames with 'skeleton', and 'label_index'"
        return None

    def is_native(self, filename: str) -> bool:
        """Return whether a file is that of a video, not of labels."""
        return super().is_native(filename) and not filename.lower().endswith(_LABELS)

    def _class_names(self) -> tuple[str, ...]:
        """Read the names of all labels, empty without files of labels or if some lack."""
        contents = [self.file_content(name) for name in self.tree.names
                    if name.lower().endswith(_LABELS)]
        beside = self.path.absolute().parent / f'{self.path.name}{_LABELS}'
        if not contents and beside.is_file():
            contents.append(self.companion(beside.name))
        names: dict[int, str] = {}
        for content in contents:
            entries = self.json(_LABELS, content)
            if not isinstance(entries, dict):
                raise self.error(f'*{_LABELS}', 'file', show(entries), 'a dict of videos')
            for video, entry in entries.items():
                try:
                    label, title = entry['label_index'], entry['label']
                    if type(label) is not int or not 0 <= label < _MAX_LABELS or (
                            names.setdefault(label, title) != title):
                        raise ValueError
                except (KeyError, TypeError, ValueError):
                    raise self.error(f'*{_LABELS}', video[:80], show(entry),
                                     "'label' and 'label_index', one name of a label") from None
        complete = sorted(names) == list(range(len(names)))
        return tuple(map(str, dict(sorted(names.items())).values())) if complete else ()

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """See :meth:`FolderSource.annotations`."""
        (_, text), = content
        data = self.json(name, text)
        frames = data.get('data') if isinstance(data, dict) else None
        if not isinstance(frames, list) or not frames:
            raise self.error(name, 'data', show(frames), 'a list of frames, at least one')
        title = self.stem(name)
        found = self.listed(title)
        if found is None:
            return
        label, splits = found
        if not self.lists:
            label, splits = self._label(name, data), self._splits(name)
        for ann in self._annotations(name, self._video(name, title, frames)):
            yield dict(ann, label=label), splits

    def stem(self, name: str) -> str:
        """Return the path of a file without suffix."""
        return PurePosixPath(name or self.tree.filename(name)).with_suffix('').as_posix()

    def _label(self, name, data) -> int:
        label = data.get('label_index')
        if type(label) is not int or not 0 <= label < (len(self.classes) or _MAX_LABELS) or (
                self.classes and data.get('label') not in (None, self.classes[label])):
            raise self.error(name, 'label_index', f'{show(label)} ({show(data.get("label"))})',
                             f'the label of this name in *{_LABELS}' if self.classes else
                             'a number from 0')
        return label

    def _splits(self, name) -> tuple[str, ...]:
        folder = (self.path.absolute() / name).parent.name.lower() if name else (
            self.path.absolute().parent.name.lower())
        return tuple(split for split in _SPLITS if folder.split('_')[-1] == split)

    def _video(self, name, title, frames) -> FramePoses:
        """Convert the frames of a file."""
        try:
            numbers = [frame['frame_index'] for frame in frames]
            counts = [len(frame['skeleton']) for frame in frames]
            people = [person for frame in frames for person in frame['skeleton']]
            pose, score = ([person[field] for person in people] for field in ('pose', 'score'))
        except (KeyError, TypeError):
            raise self.error(name, 'data', show(frames[0]), "frames with 'frame_index' and "
                             "'skeleton', persons with 'pose' and 'score'") from None
        if not all(type(number) is int and 0 <= number < 2**31 for number in numbers) or (
                len(set(numbers)) < len(numbers)):
            raise self.error(name, 'frame_index', show(numbers), 'different numbers from 0')
        frame = np.repeat(numbers, counts)
        first = min(1, min(numbers))
        keypoint, score = (self._joints(name, pose, score) if people else self.no_poses())
        return FramePoses(title, np.sort(numbers) - first, frame - first, keypoint, score,
                          img_shape=self.img_shape or _IMG_SHAPE, coordinates='unit')

    def _joints(self, name, pose, score) -> tuple[np.ndarray, np.ndarray]:
        score = self.numbers(name, 'score', score, (None, None))
        keypoint = self.numbers(name, 'pose', pose, (None, 2 * score.shape[1]))
        return self.to_layout_joints(name, 'pose', keypoint.reshape(*score.shape, 2), score,
                                     _LAYOUTS)
