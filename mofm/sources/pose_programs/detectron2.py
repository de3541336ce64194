"""Predictions of Detectron2's keypoint models (Wu et al., 2019)."""
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import show

from ..base import Sample
from ..frame_numbers import frame_numbers
from ..per_frame_poses import FramePoses
from .coco import COCO, dicts
from .parsed_frames import Frames, frame_number, read_each, track_ids

_PERSON = 0
# Where fields of instances may be.
_FIELDS = ('instances', 'fields', '_fields')


@SOURCES.register_module('detectron2')
class Detectron2(COCO):
    """Reader of ``coco_instances_results.json``, and of instances as JSON.

    The evaluator's ``coco_instances_results.json`` is a list of COCO results, its predictions a
    list of images with ``image_id`` and such a list as ``instances``: both are read as by
    :class:`COCO`.

    ``Instances.get_fields()`` as JSON is a dict with ``pred_keypoints`` (N, J, 3) of x, y and
    score, and maybe ``pred_boxes`` (N, 4), ``pred_classes`` and ``track_ids`` or ``ID``: one file
    per frame, or a list or dict of frames, where ``image_size`` is height and width.
    """

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        data = sample.json
        frames = _frames_of(data) or [data]
        if any('pred_keypoints' in (_fields(frame) or {}) for frame in frames[:1000]):
            return "instances with 'pred_keypoints'"
        if isinstance(data, list) and any(
                'image_id' in pose for image in data[:1000]
                if image.keys() == {'image_id', 'instances'} for pose in image['instances']):
            return "a list of images with 'instances' as COCO results"
        return None

    def one_frame(self, sample: Sample) -> bool:
        """See :class:`FrameFiles`."""
        return isinstance(sample.json, dict) and _frames_of(sample.json) is None

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        files = self.members[name]
        texts = [text for _, text in content]
        if len(files) == 1:
            data = self.json(name, texts[0])
            listed = isinstance(data, list) and all(isinstance(item, dict) for item in data)
            if listed and data and all('image_id' in i for i in data) and all(
                    'keypoints' in i or isinstance(i.get('instances'), list) for i in data):
                poses = [pose for item in data
                         for pose in ([item] if 'keypoints' in item else item['instances'])]
                yield from self.videos_of(name, dicts(self, name, 'instances', poses),
                                          self.images_of_results)
                return
        frames, numbers = read_each(self, name, zip(files, texts, strict=True), self._parse)
        frame = np.repeat(numbers, frames.counts)
        keypoint, score = self.to_layout_joints(name, 'pred_keypoints', frames.keypoint,
                                                frames.score, self.layouts)
        yield FramePoses(
            name=self.stem(name), frames=np.sort(numbers), frame=frame, keypoint=keypoint,
            score=score, track_id=track_ids(self, name, frames.track_id, frame),
            img_shape=frames.img_shape, box=frames.box)

    def _parse(self, file, content) -> Frames:
        data = self.json(file, content)
        frames = _frames_of(data)
        frames = [data] if frames is None else frames
        fields = [_fields(frame) for frame in frames]
        if not frames or None in fields:
            raise self.error(file, 'instances', show(data),
                             "frames with 'pred_keypoints' of instances")
        parts = [self._instances(file, value) for value in fields]
        keypoint, score = self.joined(file, 'pred_keypoints', [part[:2] for part in parts])
        boxes = [part[2] for part in parts if len(part[0])]
        sizes = {tuple(size) for value, frame in zip(fields, frames, strict=True)
                 for size in [value.get('image_size') or frame.get('image_size') or [
                     frame.get('height'), frame.get('width')]]
                 if isinstance(size, list) and len(size) == 2
                 and all(type(v) is int and 0 < v < 2**16 for v in size)}
        if len(sizes) > 1:
            raise self.error(file, 'image_size', sorted(sizes), 'one in a video')
        return Frames(
            _numbers(frames), [len(part[0]) for part in parts], keypoint, score,
            [track for part in parts for track in part[3]],
            None if not boxes or any(b is None for b in boxes) else np.concatenate(boxes),
            img_shape=next(iter(sizes), None))

    def _instances(self, file, fields):
        """Return keypoint, score, box and track IDs of the persons of a frame."""
        points = fields.get('pred_keypoints')
        if not isinstance(points, list) or not points:
            return np.zeros((0, 0, 2)), np.zeros((0, 0)), None, []
        array = self.numbers(file, 'pred_keypoints', points, (None, None, 3))
        count, box = len(array), fields.get('pred_boxes')
        box = box.get('tensor') if isinstance(box, dict) else box
        if box is not None:
            box = self.numbers(file, 'pred_boxes', box, (count, 4))
        tracks = next((fields[key] for key in ('track_ids', 'track_id', 'ID', 'ids')
                       if isinstance(fields.get(key), list)), [None] * count)
        classes = fields.get('pred_classes', [_PERSON] * count)
        if any(not isinstance(v, list) or len(v) != count for v in (tracks, classes)):
            raise self.error(file, 'pred_classes', show(classes), f'{count} numbers')
        mine = [i for i, kind in enumerate(classes) if kind == _PERSON]
        if len(mine) < count:
            self.note(file, 'instances of other classes than 0 are passed over')
        return (array[mine, :, :2], array[mine, :, 2], None if box is None else box[mine],
                [tracks[i] for i in mine])


def _fields(frame) -> dict | None:
    """Return the fields of the instances of a frame."""
    if not isinstance(frame, dict):
        return None
    if 'pred_keypoints' in frame:
        return frame
    inner = [frame[key] for key in _FIELDS if isinstance(frame.get(key), dict)]
    if inner:
        return _fields(inner[0])
    empty = any(key in frame for key in ('pred_boxes', 'scores', 'pred_classes'))
    return frame if empty and not any(frame.get(key) for key in ('pred_boxes', 'scores')) else None


def _frames_of(data) -> list | None:
    """Return the frames of a video; None if it is one frame."""
    if isinstance(data, list):
        return data
    if not isinstance(data, dict) or _fields(data) is not None:
        return None
    if isinstance(data.get('frames'), list):
        return data['frames']
    return [dict(frame=key, instances=value) if isinstance(value, dict) else value
            for key, value in data.items()] if data else None


def _numbers(frames) -> list:
    """Return the number of each frame, from its number or the name of its image."""
    numbers = [frame_number(frame) for frame in frames]
    if None not in numbers:
        return numbers
    ids = [frame.get('image_id') for frame in frames]
    if all(type(i) is int and 0 <= i < 2**31 for i in ids):
        return ids
    names = [PurePosixPath(str(frame.get('file_name', ''))).stem for frame in frames]
    if len(set(names)) == len(names) and all(names):
        return frame_numbers(names).tolist()
    return [None] * len(frames)
