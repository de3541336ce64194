"""Predictions of MMPose's inferencer and demo for videos and images."""
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import show, typed

from ..base import Source
from ..frame_numbers import frame_numbers
from ..per_frame_poses import FramePoses, FramePoseSource
from ..recognition import Sample

# Bytes of a file that determine its kind.
_HEAD = 4096
_LAYOUTS = ('coco17', 'halpe26', 'wholebody133', 'halpe136', 'h36m17')


@SOURCES.register_module('mmpose')
class MMPoseJSON(FramePoseSource):
    """Reader of the JSON files of MMPose 1.x.

    For a video, the inferencer writes a list of frames with ``frame_id`` from 0 and ``instances``;
    the demo writes ``results_<video>.json``, a dict with ``meta_info`` and the same list as
    ``instance_info``, from 1 unless ``meta_info`` has ``frame_offset``. For images, the inferencer
    writes one list of instances per image: such a folder is a video, with frames as in
    :class:`AlphaPose`. The first file of a folder determines its kind.

    Without a detected person, the inferencer uses the whole image as a box with ``bbox_score`` 1.
    Such an instance is dropped if it is alone in its frame and a lower ``bbox_score`` elsewhere in
    the video shows that a person detector was used.
    """

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        data = sample.json
        if isinstance(data, dict) and 'instance_info' in data:
            return "frames as 'instance_info'"
        if data[0].keys() >= {'frame_id', 'instances'}:
            return "a list of frames with 'frame_id' and 'instances'"
        if data[0].keys() >= {'keypoints', 'keypoint_scores'}:
            return "a list of instances of an image with 'keypoints' and 'keypoint_scores'"
        return None

    def find(self) -> list[str]:
        """List videos, and folders with images."""
        files = Source.find(self)
        self.members = {}
        folders = {}
        for file in files:
            folders.setdefault(PurePosixPath(file).parent.as_posix(), []).append(file)
        for folder, group in folders.items():
            if files != [''] and self._has_images(group):
                self.members[folder] = group
            else:
                self.members.update((file, [file]) for file in group)
        return sorted(self.members)

    def _has_images(self, group):
        """Return whether the first conclusive file starts like the instances of an image."""
        empty = True
        for file in group:
            try:
                head = self.tree.head(file, _HEAD)
            except Exception:  # archives raise many kinds; reported when the file is read
                return False
            if re.search(rb'"(frame_id|instances|meta_info|instance_info)"', head):
                return False
            if re.match(rb'\s*\[\s*\{', head):
                return True
            empty = empty and head.split() in ([b'[]'], [b'[', b']'])
        return empty

    def stem(self, name: str) -> str:
        """Return the name of the video without the demo's prefix."""
        root = self.path.absolute()
        if name == '.':
            return root.stem if root.is_file() else root.name
        if name not in self.members or self.members[name] != [name]:
            return name
        path = PurePosixPath(name or root.name)
        return path.with_name(path.stem.removeprefix('results_') or path.stem).as_posix()

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        files, info, parts = self.members[name], {}, []
        numbers = frame_numbers([PurePosixPath(file).stem for file in files])
        for file, (_, text) in zip(files, content, strict=True):
            data = self.json(file, text)
            if files == [name]:
                numbers, frames, info = self._frames(name, data)
            else:
                frames = [data]
            parts.append(self._instances(file, frames))
        keypoint, score = self.to_layout_joints(name, 'keypoints', *self.joined(
            name, 'keypoints', [part[:2] for part in parts]), _LAYOUTS)
        box_score, whole, counts = map(np.concatenate, zip(*(p[2:] for p in parts), strict=True))
        frame = np.repeat(numbers, counts)
        if (box_score < 1).any():
            keypoint, score, frame = keypoint[~whole], score[~whole], frame[~whole]
        yield FramePoses(self.stem(name), np.sort(numbers), frame, keypoint, score,
                         img_shape=self._img_shape(name, info))

    def _frames(self, name, data):
        """Return frame numbers (T,), instances per frame and ``meta_info`` of one file."""
        info, first = {}, 0
        if isinstance(data, dict):
            info, data = data.get('meta_info'), data.get('instance_info')
            if not isinstance(info, dict):
                raise self.error(name, 'meta_info', typed(info), 'a dict')
            first = info.get('frame_offset', 1)
            if type(first) is not int or not 0 <= first < 2**31:
                raise self.error(name, 'meta_info.frame_offset', show(first), 'a number')
        if not isinstance(data, list) or not data or not all(isinstance(d, dict) for d in data):
            raise self.error(name, 'frames', 'none or other values', 'a list of dicts')
        if not any('frame_id' in item for item in data):
            return np.zeros(1, np.int64), [data], info
        ids = [item.get('frame_id') for item in data]
        if not all(type(i) is int and first <= i < 2**31 for i in ids) or (
                len(set(ids)) < len(ids)):
            raise self.error(name, 'frame_id', 'other, duplicate or too large values',
                             f'the number of each frame, from {first}')
        return np.array(ids) - first, [item.get('instances') for item in data], info

    def _instances(self, file, frames):
        """Return poses, score and whole-image flag of each box, and counts per frame."""
        if not all(isinstance(f, list) and all(isinstance(i, dict) for i in f) for f in frames):
            raise self.error(file, 'instances', 'other values', 'a list of dicts per frame')
        counts = np.array([len(frame) for frame in frames])
        instances = [instance for frame in frames for instance in frame]
        if not instances:
            return np.zeros((0, 0, 2)), np.zeros((0, 0)), np.zeros(0), np.zeros(0, bool), counts
        keypoint, score = ([instance.get(field) for instance in instances]
                           for field in ('keypoints', 'keypoint_scores'))
        keypoint = self.numbers(file, 'keypoints', keypoint, (None, None, 2))
        score = self.numbers(file, 'keypoint_scores', score, (None, keypoint.shape[1]))
        box_score, whole = np.full(len(instances), np.nan), np.zeros(len(instances), bool)
        if 'bbox_score' in instances[0]:
            box = [instance.get('bbox') for instance in instances]
            # Nested in a list in nearly all versions.
            box = [b[0] if isinstance(b, list) and len(b) == 1 else b for b in box]
            box = self.array(file, 'bbox', box, (None, 4))
            box_score = self.array(file, 'bbox_score', [i.get('bbox_score') for i in instances],
                                   (None,))
            alone = np.repeat(counts, counts) == 1
            whole = (box_score == 1) & (box[:, :2] == 0).all(-1) & alone
        return keypoint, score, box_score, whole, counts

    def _img_shape(self, name, info):
        size = info.get('height'), info.get('width')
        if size == (None, None):
            return None
        if not all(type(s) is int and 0 < s < 2**31 for s in size):
            raise self.error(name, 'meta_info.height and width', show(size), 'pixels')
        return size
