"""Predictions of MMPose 0.x and 1.x: of its inferencers and demos, test results and dumps."""
import io
from collections.abc import Iterator
from functools import partial
from os.path import commonpath
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from mofm.annotations.schema import MAX_FPS
from mofm.annotations.unpickling import RestrictedUnpickler
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe, first_other, show, typed

from ..base import Sample, Source
from ..frame_files import FrameFiles
from ..frame_numbers import frame_numbers
from ..per_frame_poses import FramePoses, FramePoseSource

_LAYOUTS = ('coco17', 'halpe26', 'wholebody133', 'halpe136', 'h36m17', 'coco18', 'body25')
# Layouts by the names of MMPose's data sets.
_DATA_SETS = dict(
    coco='coco17', coco_wholebody='wholebody133', halpe26='halpe26', halpe='halpe136',
    h36m='h36m17', posetrack18='posetrack17', jhmdb='jhmdb15', mpii='mpii16',
    crowdpose='crowdpose14', aic='aic14')
# Field of the instances of a frame, and of its image.
_INSTANCES = ('instances', 'predictions', 'pred_instances', 'pose_results')
_IMAGES = ('img_path', 'image_path', 'image_name')
_PICKLES = ('.pkl', '.pickle')
# Sides of a box over `scale`, which are 200 pixels and a margin.
_SCALE = 200 / 1.25


class Frames(NamedTuple):
    """Instances of the frames of one file.

    Args:
        numbers (np.ndarray or list[str]): (T,) number of each frame, or the path of its image.
        instances (list[list[dict]]): Of each frame.
        info (dict): ``meta_info``.
    """

    numbers: Any
    instances: list[list[dict]]
    info: dict = {}


def load_predictions(source: Source, file: str, content: bytes) -> Any:
    """Parse a JSON file, or a pickle of arrays and plain containers.

    Raises:
        AnnotationError: If the content is another one.
    """
    if not source.tree.filename(file).lower().endswith(_PICKLES):
        return source.json(file, content)
    try:
        return RestrictedUnpickler(io.BytesIO(content)).load()
    except Exception as error:  # damaged pickles raise nearly anything
        raise source.error(file, 'file', describe(error), 'a pickle of arrays and plain '
                           'containers') from None


def frames_of(source: Source, file: str, data: Any) -> Frames:
    """Find the frames in any of the formats.

    Raises:
        AnnotationError: If the content is another one.
    """
    data, info, first = _unwrap(source, file, data)
    if not isinstance(data, (list, tuple)):
        raise source.error(file, 'frames', typed(data), 'a list')
    if data and all(isinstance(frame, (list, tuple)) for frame in data):  # a video of 0.x
        return Frames(np.arange(len(data)), list(data))
    if not all(isinstance(item, dict) for item in data):
        raise source.error(file, 'frames', first_other(data, dict), 'a list of dicts')
    if not data or 'keypoints' in data[0]:
        return Frames(np.zeros(1, np.int64), [list(data)], info)
    try:
        instances = [_expand(item) for item in data]
    except Exception as error:  # hostile values
        raise source.error(file, 'instances', describe(error), 'those of MMPose') from None
    if any('frame_id' in item for item in data):
        ids = [item.get('frame_id') for item in data]
        if not all(type(i) is int and first <= i < 2**31 for i in ids) or (
                len(set(ids)) < len(ids)):
            raise source.error(file, 'frame_id', 'other, duplicate or too large values',
                               f'the number of each frame, from {first}')
        return Frames(np.array(ids) - first, instances, info)
    images = [item.get('image_paths') or next(map(item.get, filter(item.get, _IMAGES)), None)
              for item in data]
    if None in images:
        return Frames(np.arange(len(data)), instances, info)
    return _by_image(source, file, images, instances, info)


def _unwrap(source, file, data) -> tuple[Any, dict, int]:
    """Return the frames, ``meta_info`` and the number of the first frame."""
    info, first = {}, 0
    if isinstance(data, dict) and ('meta_info' in data or 'instance_info' in data):
        info, data = data.get('meta_info'), data.get('instance_info')
        if not isinstance(info, dict):
            raise source.error(file, 'meta_info', typed(info), 'a dict')
        first = info.get('frame_offset', 1)
        if type(first) is not int or not 0 <= first < 2**31:
            raise source.error(file, 'meta_info.frame_offset', show(first), 'a number')
        if data == []:
            raise source.error(file, 'frames', 'none', 'at least one')
    elif isinstance(data, dict):
        data = [data]
    return data, info, first


def _by_image(source, file, images, instances, info) -> Frames:
    """Collect instances by the paths of their images, one for each entry or for each instance."""
    frames: dict[str, list] = {}
    for paths, group in zip(images, instances, strict=True):
        listed = isinstance(paths, (list, tuple))
        paths = paths if listed else [paths]
        if not all(isinstance(path, str) for path in paths) or listed and (
                not isinstance(group, list) or len(group) != len(paths)):
            raise source.error(file, 'image paths', show(paths), 'a text for each instance')
        for i, path in enumerate(paths):
            found = group[i:i + 1] if listed else group
            if not isinstance(found, list):
                raise source.error(file, 'instances', typed(found), 'a list of dicts')
            frames.setdefault(path, []).extend(found)
    return Frames(list(frames), list(frames.values()), info)


def _expand(item) -> Any:
    """Return the instances of a frame as a list of dicts, other values as they are."""
    if 'preds' in item:  # test results of 0.x: x, y, score; center, scale, area, score
        poses, boxes = item['preds'], item.get('boxes')
        center = [] if boxes is None else [
            [b[0] - b[2] * _SCALE / 2, b[1] - b[3] * _SCALE / 2, b[0] + b[2] * _SCALE / 2,
             b[1] + b[3] * _SCALE / 2] for b in boxes]
        return [dict(keypoints=pose, **({'bbox': center[i]} if center else {}))
                for i, pose in enumerate(poses)]
    value = next((item[name] for name in _INSTANCES if name in item), None)
    if isinstance(value, dict):  # arrays of all instances
        names = dict(keypoints='keypoints', keypoint_scores='keypoint_scores', bboxes='bbox',
                     bbox_scores='bbox_score', track_ids='track_id')
        return [{names[name]: value[name][i] for name in names if value.get(name) is not None}
                for i in range(len(value.get('keypoints', ())))]
    # a batch of one image
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(
        value[0], (list, tuple)) else value


def said_layout(info: dict, count: int) -> str | None:
    """Return the layout of the data set in ``meta_info``, None if it has another size."""
    layout = _DATA_SETS.get(str(info.get('dataset_name')).lower())
    return layout if layout and LAYOUTS[layout].num_joints == count else None


def said_names(info: dict, count: int) -> list[str] | None:
    """Return the names of the joints in ``meta_info``."""
    names = info.get('keypoint_id2name')
    names = list(names.values()) if isinstance(names, dict) else names
    fits = isinstance(names, list) and len(names) == count
    return names if fits and all(isinstance(name, str) for name in names) else None


class MMPoseFiles(FrameFiles):
    """What the readers of MMPose's 2D and 3D poses have in common."""

    suffix = ('.json', *_PICKLES)

    def one_frame(self, sample: Sample) -> bool | None:
        """See :meth:`FrameFiles.one_frame`."""
        data = sample.pickle if sample.suffix in _PICKLES else sample.json
        if data == []:
            return None
        return len(frames_of(self, sample.name, data).instances) == 1

    def label(self, filename: str) -> str:
        """Return the name without suffix and the prefix of the demo."""
        stem = super().label(filename)
        return stem.removeprefix('results_') or stem

    def read_frames(self, name: str, content: Iterator[tuple[str, bytes]]
                    ) -> Iterator[tuple[str, Frames]]:
        """Yield the videos of a recording and their frames.

        Raises:
            AnnotationError: If a file is invalid.
        """
        files, parts = self.members[name], []
        for file, (_, text) in zip(files, content, strict=True):
            frames = frames_of(self, file, load_predictions(self, file, text))
            if any(frames.instances) and None in frames.instances:
                self.note(file, 'frames without instances have nobody')
                frames = frames._replace(instances=[
                    [] if instances is None else instances for instances in frames.instances])
            for instances in frames.instances:
                if not isinstance(instances, (list, tuple)) or not all(
                        isinstance(instance, dict) for instance in instances):
                    raise self.error(file, 'instances', typed(instances),
                                     'a list of dicts per frame')
            if len(files) > 1 and len(frames.instances) != 1:
                raise self.error(file, 'keypoints', f'{len(frames.instances)} frames',
                                 'one, as in the other files of the folder')
            parts.append(frames)
        if len(files) > 1:
            numbers = frame_numbers([self.label(self.tree.filename(file)) for file in files],
                                    partial(self.note, name))
            yield self.stem(name), Frames(numbers, [part.instances[0] for part in parts],
                                          parts[0].info)
        elif isinstance(parts[0].numbers, list):
            yield from self._of_images(name, parts[0])
        else:
            yield self.stem(name), parts[0]

    def _of_images(self, name, frames) -> Iterator[tuple[str, Frames]]:
        """Yield a video for every folder of images."""
        paths = [PurePosixPath(path.replace('\\', '/')) for path in frames.numbers]
        folders: dict[str, list[int]] = {}
        for i, path in enumerate(paths):
            folders.setdefault(path.parent.as_posix(), []).append(i)
        try:
            above = commonpath(folders)
        except ValueError as error:
            raise self.error(name, 'image paths', describe(error), 'paths of one kind') from None
        for folder, rows in sorted(folders.items()):
            below = PurePosixPath(folder).relative_to(above or '.').as_posix()
            numbers = frame_numbers([paths[i].stem for i in rows], partial(self.note, name))
            yield (f'{self.stem(name)}/{below}' if len(folders) > 1 else self.stem(name),
                   Frames(numbers, [frames.instances[i] for i in rows], frames.info))

    def column(self, file: str, field: str, instances: list[dict], missing: object,
               shape: tuple[int | None, ...]) -> np.ndarray | None:
        """Return a field of instances as an array, None if no instance has it."""
        values = [instance.get(field) for instance in instances]
        if all(value is None for value in values):
            return None
        # boxes are nested in a list in nearly all versions
        values = [value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value
                  for value in values]
        return self.numbers(file, field, [missing if value is None else value
                                          for value in values], shape)

    def track_ids(self, file: str, instances: list[dict]) -> np.ndarray | None:
        """Return the track IDs (N,), None if an instance has none."""
        ids = [instance.get('track_id') for instance in instances]
        ids = [value.item() if isinstance(value, np.generic) else value for value in ids]
        if not ids or None in ids or -1 in ids:
            return None
        if not all(type(value) in (int, float) and 0 <= value < 2**31 and value == int(value)
                   for value in ids):
            raise self.error(file, 'track_id', show(ids[:10]), 'whole numbers from 0')
        return np.array(ids, np.int64)

    def points(self, name: str, instances: list[dict]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return ``keypoints`` (N, J, C) and ``keypoint_scores`` (N, J), None if there are none.

        Raises:
            AnnotationError: If the instances have different joints or other values.
        """
        keypoint = [instance.get('keypoints') for instance in instances]
        keypoint = [[value] if value is None else value for value in keypoint]
        keypoint = self.numbers(name, 'keypoints', keypoint, (None, None, None))
        if keypoint.shape[2] not in (2, 3):
            raise self.error(name, 'keypoints', f'shape {keypoint.shape}',
                             '2 or 3 numbers for each joint')
        if all('keypoint_scores' not in instance for instance in instances):
            return keypoint, None
        score = [instance.get('keypoint_scores') for instance in instances]
        return keypoint, self.numbers(name, 'keypoint_scores', score, keypoint.shape[:2])


@SOURCES.register_module('mmpose')
class MMPoseJSON(MMPoseFiles, FramePoseSource):
    """Reader of MMPose's 2D poses in JSON and pickles of plain containers.

    For a video, the inferencer of 1.x writes a list of frames with ``frame_id`` from 0 and
    ``instances``; the demo writes ``results_<video>.json``, a dict with ``meta_info`` and the same
    list as ``instance_info``, from 1 unless ``meta_info`` has ``frame_offset``. For images, both
    write one list of instances per image: files that differ in the number of the frame are a
    video. Dumps of tests have ``pred_instances`` and ``img_path``.

    Of 0.x, ``pose_results`` are read: a list of instances with ``keypoints`` (V, 3), x, y and
    score, for each frame; and test results with ``preds`` and ``image_paths``.

    The layout is that of the data set or the names in ``meta_info``; ``track_id`` is kept.

    Without a detected person, the inferencer uses the whole image as a box with ``bbox_score`` 1.
    Such an instance is dropped if it is alone in its frame and a lower ``bbox_score`` elsewhere in
    the video shows that a person detector was used.
    """

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return recognize(sample, 2)

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        for video, frames in self.read_frames(name, content):
            yield self._video(name, video, frames)

    def _video(self, name, video, frames) -> FramePoses:
        counts = np.array([len(group) for group in frames.instances], np.int64)
        instances = [instance for group in frames.instances for instance in group]
        frame = np.repeat(frames.numbers, counts)
        common = dict(name=video, frames=np.sort(frames.numbers),
                      img_shape=self._img_shape(name, frames.info))
        fps = frames.info.get('fps')
        if type(fps) in (int, float) and 0 < fps < MAX_FPS:
            common['fps'] = float(fps)
        if not instances:
            keypoint, score = self.no_poses()
            return FramePoses(frame=frame, keypoint=keypoint, score=score, **common)
        keypoint, score = self.points(name, instances)
        if score is None:  # of 0.x
            if keypoint.shape[2] != 3:
                raise self.error(name, 'keypoint_scores', 'nothing', 'a score for each joint')
            keypoint, score = keypoint[..., :2], keypoint[..., 2]
        elif keypoint.shape[2] == 3:
            raise self.error(name, 'keypoints', '3D joints', '2D ones; source mmpose_3d reads 3D')
        joints = keypoint.shape[1]
        keypoint, score = self.to_layout_joints(
            name, 'keypoints', keypoint, score,
            said_layout(frames.info, joints) or _LAYOUTS, said_names(frames.info, joints))
        box, keep = self._boxes(name, instances, counts)
        ids = self.track_ids(name, instances)
        return FramePoses(frame=frame[keep], keypoint=keypoint[keep], score=score[keep],
                          track_id=ids if ids is None else ids[keep],
                          box=box if box is None else box[keep], **common)

    def _boxes(self, name, instances, counts):
        """Return boxes (N, 4) and which instances are no whole images (N,)."""
        box_score = self.column(name, 'bbox_score', instances, np.nan, (None, ))
        box = self.column(name, 'bbox', instances, [np.nan] * 4, (None, None))
        if box is not None and box.shape[1] not in (4, 5):
            raise self.error(name, 'bbox', f'{box.shape[1]} numbers', '4, or 5 with the score')
        keep = np.ones(len(instances), bool)
        if box is not None and box_score is not None and (box_score < 1).any():
            alone = np.repeat(counts, counts) == 1
            keep = ~((box_score == 1) & (box[:, :2] == 0).all(-1) & alone)
        return box if box is None else box[:, :4], keep

    def _img_shape(self, name, info):
        size = info.get('height'), info.get('width')
        if size == (None, None):
            return None
        if not all(type(s) is int and 0 < s < 2**31 for s in size):
            raise self.error(name, 'meta_info.height and width', show(size), 'pixels')
        return size


def recognize(sample: Sample, dims: int) -> str | None:
    """Recognize files with 2D or 3D poses, see :meth:`Source.recognize`."""
    data = sample.pickle if sample.suffix in _PICKLES else sample.json
    kind = 'a list of frames'
    if isinstance(data, dict):
        if 'instance_info' not in data:
            return None
        data, kind = data['instance_info'], "frames as 'instance_info'"
    first = next((item for item in data if len(item)), None)
    names = [*_INSTANCES, 'preds']
    if isinstance(first, dict) and 'keypoints' not in first:
        name = next(name for name in names if name in first)
        if not ({'frame_id', 'image_paths', *_IMAGES} & first.keys() or kind[0] == 'f'):
            return None
        kind += f" with '{name}'"
        item = next(_expand(item) for item in data if len(_expand(item)))[0]
    else:
        item = first[0] if isinstance(first, (list, tuple)) else first
        kind = kind if isinstance(first, (list, tuple)) else 'a list of instances of an image'
    if 'keypoints_3d' in item:
        return f"{kind} and 'keypoints_3d'" if dims == 3 else None
    points = np.shape(item['keypoints'])
    scored = 'keypoint_scores' in item
    if len(points) != 2 or not scored and not {'bbox', 'track_id'} & item.keys():
        return None
    fits = points[1] == dims if scored else points[1] == 3 and dims == 2
    return f"{kind} and 'keypoints' of {points[1]} numbers" if fits else None
