"""Keypoints in the format of COCO: annotations, results, and COCO-WholeBody (Jin et al., 2020).

An annotation file has ``images``, ``annotations`` and ``categories``, with x, y and visibility (0
not labeled, 1 hidden, 2 visible) per joint; MoFM adds scores as ``keypoint_scores``. Results are a
list of poses with ``image_id``, ``category_id``, ``keypoints`` (x, y, score) and ``score``.
"""
import re
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import show

from ..base import Sample
from ..frame_numbers import frame_numbers, split_number, split_numbers
from ..per_frame_poses import FramePoses, FramePoseSource
from .parsed_frames import track_ids

#: Layouts of keypoints of people, usual ones first.
PERSON_LAYOUTS = ('coco17', 'wholebody133', 'halpe26', 'halpe136', 'crowdpose14', 'aic14',
                  'mpii16', 'posetrack15', 'jhmdb15', 'posetrack17', 'h36m17', 'body25b',
                  'body25', 'coco18', 'penn13', 'mediapipe33')
# Parts of COCO-WholeBody beside the 17 keypoints, and their joints.
_PARTS = dict(foot_kpts=6, face_kpts=68, lefthand_kpts=21, righthand_kpts=21)
# Names of joints in files of these layouts.
_ALIASES = dict(head_top='head', top_head='head', head_bottom='neck', thorax='neck', hip='pelvis',
                belly='spine', root='pelvis', face='head')
_TRACK_KEYS = ('track_id', 'instance_id', 'person_id', 'tracking_id')
_FRAME_KEYS = ('frame_id', 'frame_index', 'frame_idx', 'mot_frame_id', 'frame', 'frame_number')
_VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
_MAX_IMAGES = 2 * 10**6


@SOURCES.register_module('coco')
class COCO(FramePoseSource):
    """Reader of COCO keypoint annotations and results, ``*.json``.

    Images belong to the video of their ``video_id`` (or ``vid_id``), else to that of their folder
    in ``file_name``, and of the name around the number if several are numbered in one folder. The
    frame is the number in the file name, else ``frame_id``, else the place in ``images``. Images
    with ``is_labeled`` false are left out. One video has the name of the file, several are named
    ``<file>/<video>``.

    Results name their images by ``image_id`` only: ``annotations`` is the annotation file they
    belong to. Without it image IDs are the frames of one video, which is noted.

    Names of joints come from ``categories``; only poses of the category ``person`` are read if
    there are several. A track ID is ``track_id``, also in the ``attributes`` of CVAT.

    Args:
        path (str or Path): A folder, an archive, or one native file.
        annotations (str or Path, optional): Annotation file of results.
        **kwargs: Passed to :class:`FramePoseSource`.

    Raises:
        AnnotationError: If the path has no such files, or the annotation file is invalid.
    """

    max_size = 2**30
    #: Layouts that the files may have, usual ones first.
    layouts: Sequence[str] | str = PERSON_LAYOUTS

    def __init__(self, path: str | Path, annotations: str | Path | None = None, **kwargs):
        self._images_file = annotations and Path(annotations).absolute()
        super().__init__(path, **kwargs)
        self.images_of_results = None
        if annotations:
            file = Path(annotations)
            name = file.name
            data = self.json(name, file.read_bytes() if file.is_file() else self.companion(name))
            self.images_of_results = data if isinstance(data, dict) else {}

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--annotations', metavar='FILE',
                            help='annotation file with the images of results')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        data = sample.json
        if isinstance(data, dict):
            poses = data['annotations']
            if isinstance(data['images'], list) and any('keypoints' in p for p in poses[:1000]):
                return "'images' and 'annotations' with 'keypoints'"
            return None
        if is_results(data):
            return "a list of poses with 'image_id', 'category_id' and 'keypoints'"
        return None

    def find(self) -> list[str]:
        """List files but the annotation file of results."""
        return [file for file in super().find()
                if (self.path.absolute() / file if file else self.path.absolute())
                != self._images_file]

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        (_, text), = content
        data = self.json(name, text)
        if isinstance(data, list):
            poses, tables = data, self.images_of_results
        elif isinstance(data, dict):
            poses, tables = data.get('annotations'), data
        else:
            raise self.error(name, 'file', type(data).__name__, 'annotations or a list of poses')
        yield from self.videos_of(name, dicts(self, name, 'annotations', poses), tables)

    def videos_of(self, name: str, poses: list[dict],
                  tables: dict | None) -> Iterator[FramePoses]:
        """Yield the videos of poses.

        Args:
            name (str): The native file.
            poses (list[dict]): With ``image_id`` and ``keypoints``.
            tables (dict, optional): ``images``, ``categories`` and ``videos``.
        """
        poses, names = self._persons(name, poses, tables or {})
        if tables is None:
            ids, groups = self._frames_of_results(name, poses)
        else:
            images = dicts(self, name, 'images', tables.get('images'))
            if not images or len(images) > _MAX_IMAGES:
                raise self.error(name, 'images', len(images), f'1 to {_MAX_IMAGES} images')
            ids = [image.get('id') for image in images]
            groups = self._group(name, images, tables.get('videos'))
        index = {str(image): i for i, image in enumerate(ids) if isinstance(image, (int, str))}
        if len(index) < len(ids):
            raise self.error(name, 'images', 'images without an id, or an id twice',
                             'a number for each image')
        wanted = [pose.get('image_id') for pose in poses]
        lost = [image for image in wanted
                if not isinstance(image, (int, str)) or str(image) not in index]
        if lost:
            raise self.error(name, 'image_id', f'{show(lost[0])} in {len(lost)} poses',
                             'the id of an image')
        image = np.array([index[str(i)] for i in wanted], np.int64)
        keypoint, score = self._joints(name, poses, names)
        box = self._boxes(name, poses)
        ids = [_track(pose) for pose in poses]
        for video, (rows, numbers, img_shape) in groups.items():
            place = np.full(len(index), -1)
            place[rows] = numbers
            mine = np.flatnonzero(place[image] >= 0)
            yield FramePoses(
                name=self.stem(name) if len(groups) == 1 else f'{self.stem(name)}/{video}',
                frames=np.sort(numbers), frame=place[image[mine]], keypoint=keypoint[mine],
                score=score[mine], img_shape=img_shape, box=None if box is None else box[mine],
                track_id=track_ids(self, name, [ids[i] for i in mine], image[mine]))

    def _persons(self, name, poses, tables):
        """Return poses with keypoints of the category of persons, and its names of joints."""
        known = _by_id(tables.get('categories'))
        with_joints = [pose for pose in poses if pose.get('keypoints')]
        found = {pose.get('category_id') for pose in with_joints
                 if isinstance(pose.get('category_id', 0), (int, str))}
        if len(found) > 1:
            person = [i for i in found if known.get(i, {}).get('name') == 'person'] or (
                [1] if not known and 1 in found else [])
            if not person:
                raise self.error(name, 'category_id', sorted(map(str, found)),
                                 'one category with keypoints, or one called person')
            with_joints = [p for p in with_joints if p.get('category_id') == person[0]]
            found = set(person)
        if len(with_joints) < len(poses):
            self.note(name, 'annotations without keypoints, or of other categories than person, '
                      'are passed over')
        names = known.get(next(iter(found), None), {}).get('keypoints')
        texts = isinstance(names, list) and names and all(isinstance(n, str) for n in names)
        return with_joints, names if texts else None

    def _frames_of_results(self, name, poses):
        """Return image IDs and the video of results without an annotation file."""
        found = {i for pose in poses if type(i := pose.get('image_id')) in (int, str)}
        ids = sorted(found, key=lambda i: (type(i) is str, i))
        if not ids:
            raise self.error(name, 'image_id', 'none', 'at least one pose with a number')
        if all(isinstance(i, int) for i in ids):
            if min(ids) < 0 or max(ids) >= 2**53:
                raise self.error(name, 'image_id', f'{min(ids)} to {max(ids)}', 'numbers from 0')
            numbers = np.array(ids) if max(ids) < 2**31 else np.arange(len(ids))
        else:
            numbers = frame_numbers([PurePosixPath(str(i)).stem for i in ids])
        self.note(name, 'image IDs are taken for the frames of one video; --annotations names the '
                  'annotation file with the images')
        return ids, {'': (np.arange(len(ids)), numbers, None)}

    def _group(self, name, images, videos):
        """Return rows of ``images``, frames and image size by the name of the video."""
        titles = {key: str(video.get('name') or video.get('file_name') or key)
                  for key, video in _by_id(videos).items()}
        groups: dict[str, list[int]] = {}
        paths = [PurePosixPath(str(image.get('file_name', '')).replace('\\', '/'))
                 for image in images]
        titled = self._titles(paths)
        for row, (image, path) in enumerate(zip(images, paths, strict=True)):
            if image.get('is_labeled') is False:
                continue
            video = image.get('video_id', image.get('vid_id'))
            if isinstance(video, (int, str)):
                video = titles.get(video, str(video))
            else:
                video = (path.parent / titled[row]).as_posix()
            groups.setdefault(video, []).append(row)
        if not groups:
            raise self.error(name, 'images', 'none that is labeled', 'at least one')
        return {self._clean(name, video): self._video(name, [images[i] for i in rows],
                                                      [paths[i] for i in rows], rows)
                for video, rows in groups.items()}

    def _titles(self, paths: Sequence[PurePosixPath]) -> list[str]:
        """Return the name around the number of each image, '' if all of a folder differ."""
        around = split_numbers([path.stem for path in paths])
        if None in around:
            return [''] * len(paths)
        titles = [''.join(parts or ()).strip(' ._-') for parts in around]
        images = Counter(zip([path.parent for path in paths], titles, strict=True))
        most: dict[PurePosixPath, int] = {}
        for (folder, _), count in images.items():
            most[folder] = max(count, most.get(folder, 0))
        return [title if most[path.parent] > 1 else ''
                for path, title in zip(paths, titles, strict=True)]

    def _clean(self, name, video):
        """Return the name of a video without suffix, as a path inside of a folder."""
        parts = PureWindowsPath(video).parts  # accepts both separators
        anchor = PureWindowsPath(video).anchor
        path = PurePosixPath(*(part for part in parts if part not in ('..', anchor)))
        text = (path.with_suffix('') if path.suffix.lower() in _VIDEOS else path).as_posix()
        self.check_path(name, 'file_name', text)
        return text

    def _video(self, name, images, paths, rows):
        """Return rows, their frames and the image size of a video."""
        told = next((values for key in _FRAME_KEYS if len(
            values := {image[key] for image in images if type(image.get(key)) is int
                       and 0 <= image[key] < 2**31}) == len(images)), None)
        stems = [path.stem for path in paths]
        by_name = len(set(stems)) == len(stems) and None not in map(split_number, stems)
        if by_name or told is None:
            unique = len(set(stems)) == len(stems) and all(stems)
            numbers = frame_numbers(stems, partial(self.note, name)) if unique else (
                np.arange(len(stems)))
        else:
            key = next(key for key in _FRAME_KEYS
                       if {image.get(key) for image in images} == told)
            numbers = np.array([image[key] for image in images], np.int64)
        sizes = [(image.get('height'), image.get('width')) for image in images]
        sizes = [size for size in sizes if size != (None, None)]
        if not all(type(v) in (int, float) and 0 < v < 2**16 for size in sizes for v in size):
            raise self.error(name, 'images', f'height and width {show(sizes[:3])}', 'pixels')
        valid = {tuple(map(int, size)) for size in sizes}
        if len(valid) > 1:
            self.note(name, 'images of a video have several sizes, of which the largest is taken')
        size = tuple(max(v) for v in zip(*valid, strict=True)) if valid else None
        return np.array(rows), numbers, size

    def _joints(self, name, poses, names):
        """Return keypoint and score of N poses in ``to_layout``."""
        values = [_flat(pose['keypoints']) for pose in poses]
        whole = [part for part in _PARTS if any(pose.get(part) for pose in poses)]
        if whole:
            values = [sum((list(pose.get(part) or [0] * 3 * joints)
                           for part, joints in _PARTS.items()), list(value))
                      if all(isinstance(pose.get(part) or [], list) for part in (
                          'keypoints', *_PARTS)) else None
                      for pose, value in zip(poses, values, strict=True)]
            names = None
        if not values:
            return self.no_poses()
        lengths = {len(v) if isinstance(v, list) else type(v).__name__ for v in values}
        if len(lengths) > 1 or not all(type(n) is int and n % 3 == 0 for n in lengths):
            raise self.error(name, 'keypoints', f'lists of {sorted(map(str, lengths))} values',
                             'x, y and visibility or score of equally many joints')
        array = self.numbers(name, 'keypoints', values, (None, *lengths))
        array = array.reshape(len(values), -1, 3)
        score = array[..., 2]
        if not score.any() and array.any():
            self.note(name, 'joints are all marked as not labeled, which is taken for no mark')
            score = (array[..., :2] != 0).any(-1).astype(np.float64)
        if np.isin(score, (0, 1, 2)).all():  # visibility
            score = (score > 0).astype(np.float64)
            given = [pose.get('keypoint_scores') for pose in poses]
            if all(isinstance(values, list) for values in given):
                score *= self.numbers(name, 'keypoint_scores', given, score.shape)
        if names is not None and len(names) != array.shape[1]:
            names = None
        layouts = 'wholebody133' if whole else self.layouts
        said = names and not self.joint_map and layout_of(names)
        if said:
            layouts, names = said, None
        return self.to_layout_joints(name, 'keypoints', array[..., :2], score, layouts, names)

    def _boxes(self, name, poses):
        """Return boxes (N, 4) as x1, y1, x2, y2; None if poses lack them."""
        boxes = [pose.get('bbox') for pose in poses]
        if not boxes or not all(isinstance(box, list) and len(box) == 4 for box in boxes):
            return None
        array = self.numbers(name, 'bbox', boxes, (None, 4))
        return np.concatenate([array[:, :2], array[:, :2] + array[:, 2:]], 1)


def layout_of(names: list[str]) -> str | None:
    """Return the layout whose joints have these names in this order, None if there is none."""
    plain = (re.sub(r'\W', '_', name).lower() for name in names)
    joints = tuple(_ALIASES.get(name, name) for name in plain)
    return next((layout for layout in PERSON_LAYOUTS if LAYOUTS[layout].joints == joints), None)


def is_results(data) -> bool:
    """Return whether JSON is a list of results, other than of AlphaPose."""
    return isinstance(data, list) and data[0].keys() >= {
        'image_id', 'category_id', 'keypoints'} and not data[0].keys() & {'idx', 'box'} and (
        isinstance(data[0]['image_id'], int))


def dicts(source: FramePoseSource, name: str, field: str, values) -> list[dict]:
    """Check that a value of a file is a list of dicts.

    Raises:
        AnnotationError: If not.
    """
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise source.error(name, field, show(values), 'a list of dicts')
    return values


def _flat(values):
    """Return x, y, score, x, ... of joints that are lists of three values each."""
    nested = isinstance(values, list) and all(isinstance(joint, list) and len(joint) == 3
                                              for joint in values)
    return [value for joint in values for value in joint] if nested else values


def _by_id(values) -> dict[int | str, dict]:
    """Return the dicts of a list by their ID."""
    values = values if isinstance(values, list) else []
    return {value['id']: value for value in values if isinstance(value, dict)
            and isinstance(value.get('id'), (int, str))}


def _track(pose):
    """Return the track ID of a pose, None if it has none."""
    attributes = pose.get('attributes')
    for values in (pose, attributes if isinstance(attributes, dict) else {}):
        for key in _TRACK_KEYS:
            if values.get(key) is not None:
                return values[key]
    return None
