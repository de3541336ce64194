"""Poses of annotations by video and frame, for writers of other formats and for corrections."""

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from mofm.structures import LAYOUTS, Layout, get_layout, visible_joints
from mofm.utils.names import file_stem

from .schema import AnnotationError

#: Values by name, each (N,), of the poses of the given annotations, frames and persons, each (N,).
Columns = Callable[[Sequence[dict], np.ndarray, np.ndarray], dict[str, np.ndarray]]


class VideoPoses(NamedTuple):
    """N poses of a video, sorted by frame, of persons with at least one visible joint.

    Args:
        name (str): The video: ``clip`` of its annotations, or ``frame_dir``.
        stem (str): Its unique file name.
        img_shape (tuple[int, int]): Height and width, the largest of the annotations.
        fps (float, optional): Frames per second, if an annotation has them.
        frames (np.ndarray): (T,) int, ascending numbers of all frames, also without poses.
        frame (np.ndarray): (N,) int, the frame of each pose.
        person (np.ndarray): (N,) int, ``track_id``, or the number of the person in the video.
        keypoint (np.ndarray): (N, V, C) float64, NaN for missing joints.
        score (np.ndarray): (N, V) float64, NaN for missing joints.
        box (np.ndarray): (N, 4), ``x1, y1, x2, y2``: that of the annotation, or around the joints.
        tracked (bool): Whether the annotations have track IDs.
        columns (dict[str, np.ndarray]): Other values (N,): ``label``, and those of ``columns``.
    """

    name: str
    stem: str
    img_shape: tuple[int, int]
    fps: float | None
    frames: np.ndarray
    frame: np.ndarray
    person: np.ndarray
    keypoint: np.ndarray
    score: np.ndarray
    box: np.ndarray
    tracked: bool
    columns: dict[str, np.ndarray]

    @property
    def box_xywh(self) -> np.ndarray:
        """(N, 4) boxes as ``x, y, width, height``, as COCO has them."""
        return np.concatenate([self.box[:, :2], self.box[:, 2:] - self.box[:, :2]], 1)


class Videos:
    """The poses of annotations, one video at a time.

    Annotations that share a ``clip`` are the persons of one video. Iterating reads every
    annotation once more, so a file that stays on the disk is never in memory as a whole.

    Args:
        annotations (Sequence[dict]): Valid annotations.
        layout (str): Their joints.
        only (Set[str], optional): Names of the annotations to take, by default all.
        columns (Callable, optional): Adds to :attr:`VideoPoses.columns`.

    Attributes:
        dims (int): Coordinates of a joint, 2 or 3.
        has_boxes (bool): Whether annotations have boxes.
        rows (dict[str, list[int]]): Indices of the annotations of each video.
        stems (dict[str, str]): File name of each video; the same for all choices of ``only``.

    Raises:
        AnnotationError: If the joints are not those of the layout, or some are 2D and some 3D.
    """

    def __init__(self, annotations: Sequence[dict[str, Any]], layout: str = 'coco17',
                 only: Set[str] | None = None, columns: Columns | None = None):
        self.annotations, self.columns = annotations, columns
        self.layout: Layout = get_layout(layout)
        self.rows: dict[str, list[int]] = {}
        dims, used = set(), {}
        self.has_boxes = False
        self.stems: dict[str, str] = {}
        for row in range(len(annotations)):
            ann = annotations[row]
            video = ann.get('clip', ann['frame_dir'])
            if video not in self.stems:
                self.stems[video] = file_stem(video, used)
            if only is None or ann['frame_dir'] in only:
                self.rows.setdefault(video, []).append(row)
                self.has_boxes |= 'box' in ann
                if len(ann['keypoint']):
                    dims.add(self._dims(ann))
        if len(dims) > 1:
            raise AnnotationError('keypoint: found 2D and 3D joints, expected one of them')
        self.dims: int = dims.pop() if dims else 2

    def _dims(self, ann):
        joints, dims = ann['keypoint'].shape[2:]
        if joints != self.layout.num_joints:
            others = sorted(name for name, other in LAYOUTS.items() if other.num_joints == joints)
            raise AnnotationError(
                f'annotation {ann["frame_dir"]!r}: keypoint: found {joints} joints, expected the '
                f'{self.layout.num_joints} of layout {self.layout.name!r}; set the layout to one '
                f'of {others or sorted(LAYOUTS)}')
        return dims

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[VideoPoses]:
        for name, rows in self.rows.items():
            yield self._video(name, [self.annotations[row] for row in rows])

    def _video(self, name, annotations):
        persons = number_persons(annotations)
        parts = [_poses(ann, ids, self.layout.num_joints, self.dims)
                 for ann, ids in zip(annotations, persons, strict=True)]
        frame, person, keypoint, score, box, label = map(np.concatenate, zip(*parts, strict=True))
        pairs, counts = np.unique(np.stack([frame, person]), axis=1, return_counts=True)
        if (counts > 1).any():
            twice = pairs[:, counts > 1][:, 0]
            raise AnnotationError(f'video {name!r}: found person {twice[1]} twice in frame '
                                  f'{twice[0]}, expected each once; give its annotations track_id')
        order = np.argsort(frame, kind='stable')
        frame, person = frame[order], person[order]
        extra = self.columns(annotations, frame, person) if self.columns else {}
        height, width = np.max([ann['img_shape'] for ann in annotations], 0).tolist()
        return VideoPoses(
            name, self.stems[name], (height, width),
            next((float(ann['fps']) for ann in annotations if ann.get('fps')), None),
            np.unique(np.concatenate(list(map(frame_numbers, annotations)))), frame, person,
            keypoint[order], score[order], box[order],
            any('track_id' in ann for ann in annotations), dict(label=label[order], **extra))


def frame_numbers(ann: dict[str, Any]) -> np.ndarray:
    """Return the frame of the video of each row, (T,) int64."""
    inds = ann.get('frame_inds')
    return np.arange(ann['total_frames']) if inds is None else np.asarray(inds, np.int64)


def number_persons(annotations: Sequence[dict[str, Any]]) -> list[np.ndarray]:
    """Return the numbers of the persons of each annotation of one video.

    They are the track IDs; others count through the annotations.
    """
    out, count = [], 0
    for ann in annotations:
        persons = len(ann['keypoint'])
        ids = ann.get('track_id')
        numbers = np.arange(count, count + persons) if ids is None else \
            np.broadcast_to(np.asarray(ids, np.int64).reshape(-1), persons)
        out.append(numbers)
        count += persons
    return out


def _poses(ann, ids, joints, dims):
    """Return frame, person, keypoint, score, box and label of the poses of an annotation."""
    if not len(ann['keypoint']):
        return (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, joints, dims)),
                np.zeros((0, joints)), np.zeros((0, 4)), np.zeros(0, np.int64))
    visible = visible_joints(ann['keypoint'], ann['keypoint_score'])  # (M, T, V)
    person, row = np.nonzero(visible.any(-1))
    visible = visible[person, row]
    keypoint = ann['keypoint'][person, row].astype(np.float64)
    keypoint[~visible] = np.nan
    score = np.where(visible, ann['keypoint_score'][person, row].astype(np.float64), np.nan)
    label = np.broadcast_to(ann.get('frame_label', ann['label']),
                            ann['keypoint'].shape[:2])[person, row]
    return (frame_numbers(ann)[row], ids[person], keypoint, score,
            _boxes(ann.get('box'), person, row, keypoint), label.astype(np.int64))


def _boxes(box, person, row, keypoint):
    """Return the boxes (N, 4) of an annotation, around the joints where it has none."""
    around = np.concatenate([np.fmin.reduce(keypoint[..., :2], 1, initial=np.inf),
                             np.fmax.reduce(keypoint[..., :2], 1, initial=-np.inf)], 1)
    if box is None:
        return around
    box = box[person, row].astype(np.float64)
    return np.where(box.any(-1, keepdims=True), box, around)


def image_name(stem: str, frame: int) -> str:
    """Return the name of the image of a frame, in a folder of its video."""
    return f'{stem}/frame_{frame:06d}.jpg'
