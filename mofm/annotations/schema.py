"""Schema of annotations and its validation.

The schema is that of PYSKL and mmaction2: ``{'split': {name: [id, ...]}, 'annotations': [{...},
...]}`` with ``frame_dir`` (ID), ``label``, ``img_shape`` (h, w), ``total_frames`` T, ``keypoint``
(M, T, V, 2) in pixels and ``keypoint_score`` (M, T, V) per annotation, and optional class names in
``metainfo``. A missing joint has coordinates 0 or a score below 1e-4. 3D joints have ``keypoint``
(M, T, V, 3) in meters; their image size and scores are optional.

Untrimmed recordings and tracks have optional fields: ``clip``, the video, which annotations may
share (default: ``frame_dir``); ``track_id`` of the single person, or (M,) of all; ``frame_inds``
(T,), the frame of the video of each row, ascending, with gaps allowed (default: 0, 1, ...);
``frame_label`` (T,) or (M, T), the label of each row, 0 or -1 for background; and ``segments``
(N, 3), possibly overlapping actions: label, first and last frame of the video.

What pose estimators know in addition is optional, too: ``box`` (M, T, 4), x1, y1, x2 and y2 in
pixels, 0 where there is none; and ``fps``, the frames per second in which ``frame_inds`` count.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mofm.structures import visible_joints
from mofm.utils.checks import found_expected, is_int, is_number, show, typed
from mofm.utils.limits import get_limits
from mofm.utils.names import NAME, is_name

from .values import MAX_COORDINATE, find_fault, within

#: Optional fields with an array of integers.
TRACK_ARRAYS = ('frame_inds', 'frame_label', 'segments')
#: Frames per second of any camera.
MAX_FPS = 10**6
_FIELDS = ('frame_dir', 'label', 'img_shape', 'total_frames', 'keypoint', 'keypoint_score')


@dataclass(frozen=True)
class Problem:
    """Fault of one annotation.

    Args:
        file (str): Annotation file.
        index (int, optional): Index of the annotation; None for the file as a whole.
        field (str): The invalid field.
        found (str): Value found.
        expected (str): Value expected.
    """

    file: str
    index: int | None
    field: str
    found: str
    expected: str

    def __str__(self):
        where = self.file if self.index is None else f'{self.file}: annotation {self.index}'
        return found_expected(where, self.field, self.found, self.expected)


class AnnotationError(ValueError):
    """Error about an invalid annotation or file."""


class UnreadableError(AnnotationError):
    """Error about a file of which nothing can be used: missing, damaged or without a clip."""


def file_error(file: object, field: str, found: object, expected: object,
               index: int | None = None) -> AnnotationError:
    """Build an error about a field of a file or of one of its annotations.

    Args:
        file (object): Path of the file.
        field (str): The invalid field.
        found (object): Value found.
        expected (object): Value expected.
        index (int, optional): Index of the annotation.
    """
    found = found if isinstance(found, str) else show(found)
    return AnnotationError(Problem(str(file), index, field, found, str(expected)))


# Generators of field, found and expected value of problems. Only the first one is used, so that
# each check may rely on the previous ones.
Wrong = Iterator[tuple[str, object, object]]


def _check_scalars(ann: dict[str, Any], num_classes: int | None) -> Wrong:
    label, total_frames, img_shape = ann['label'], ann['total_frames'], ann['img_shape']
    if not is_int(label, 0) or (num_classes is not None and label >= num_classes):
        yield 'label', show(label), 'an integer >= 0' if num_classes is None else \
            f'an integer in [0, {num_classes - 1}]'
    if not (isinstance(img_shape, (tuple, list, np.ndarray)) and len(img_shape) == 2
            and all(is_int(s, 1) for s in img_shape)):
        yield 'img_shape', show(img_shape), 'two positive integers (h, w)'
    most = get_limits().recording
    if not is_int(total_frames, 1, most):
        yield 'total_frames', show(total_frames), (
            f'at least one frame and at most {most} (MOFM_LIMITS=recording=N)')
    for name in ('keypoint', 'keypoint_score'):
        value = ann[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in 'fiu':
            yield name, typed(value), 'an array of numbers'


def _is_array(value: object, kinds: str, shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds and value.shape == shape


def _check_track_fields(ann: dict[str, Any]) -> Wrong:
    persons, total_frames = ann['keypoint'].shape[:1], ann['total_frames']
    for name in ('frame_dir', 'clip'):
        if not is_name(ann.get(name, '')):
            yield name, show(ann[name]), NAME
    for name, shapes in (('frame_inds', [(total_frames,)]),
                         ('frame_label', [(total_frames,), (*persons, total_frames)]),
                         ('segments', [(getattr(ann.get('segments'), 'size', 0) // 3, 3)])):
        if name not in ann:
            continue
        value = ann[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in 'iu':
            yield name, typed(value), 'an array of integers'
        if value.shape not in shapes:
            yield name, f'shape {value.shape}', ' or '.join(map(str, shapes))
        if name == 'frame_inds' and (value[0] < 0 or value[-1] >= get_limits().recording
                                     or (value[1:] <= value[:-1]).any()):
            yield (name, 'negative, too large or unsorted numbers',
                   'ascending frame numbers of the video')
        if not within(value, 2**31 - 1):
            yield name, 'numbers of more than 32 bits', 'integers of 32 bits'
        if name == 'segments' and ((value < 0).any() or (value[:, 1] > value[:, 2]).any()):
            yield (name, 'negative numbers or an end before the start',
                   'label, first and last frame of each action')


def _check_person_fields(ann: dict[str, Any]) -> Wrong:
    persons, total_frames = ann['keypoint'].shape[:1], ann['total_frames']
    if 'track_id' in ann and not (is_int(ann['track_id'], -2**63) and persons in ((0,), (1,))
                                  or _is_array(ann['track_id'], 'iu', persons)):
        yield ('track_id', f'{show(ann["track_id"])} for {persons} persons',
               'an integer for one person, or an array of one for each')
    fps = ann.get('fps', 1)
    if not is_number(fps, 0) or not 0 < fps < MAX_FPS:
        yield 'fps', show(fps), f'frames per second, above 0 and below {MAX_FPS}'
    if 'box' in ann:
        box = ann['box']
        if not _is_array(box, 'fiu', (*persons, total_frames, 4)):
            yield ('box', f'{box.dtype} of shape {box.shape}' if isinstance(box, np.ndarray)
                   else type(box).__name__, f'numbers of shape {(*persons, total_frames, 4)}')
        if not within(box, MAX_COORDINATE) or (box[..., 2:] < box[..., :2]).any():
            yield ('box', 'other numbers', f'x1, y1, x2 and y2 within {MAX_COORDINATE:g}, the '
                   'second corner right of and below the first')


def _check_poses(ann: dict[str, Any], num_joints: int, dims: int, allow_empty: bool) -> Wrong:
    keypoint, score, total_frames = ann['keypoint'], ann['keypoint_score'], ann['total_frames']
    if keypoint.ndim and not len(keypoint):
        if not allow_empty:
            yield 'keypoint', 'no person', 'at least one person'
        return
    if keypoint.ndim != 4 or keypoint.shape[1:] != (total_frames, num_joints, dims):
        yield ('keypoint', f'shape {keypoint.shape}',
               f'(persons, {total_frames} frames, {num_joints} joints, {dims})')
    if score.shape != keypoint.shape[:3]:
        yield 'keypoint_score', f'shape {score.shape}', keypoint.shape[:3]
    fault = find_fault(keypoint, score, ann['img_shape'])
    if fault is not None:
        yield fault
    # The first frame is nearly always sufficient.
    if not (allow_empty or visible_joints(keypoint[:, :1], score[:, :1]).any()
            or visible_joints(keypoint, score).any()):
        yield 'keypoint', 'all joints missing in all frames', 'at least one joint'


def _check(ann, num_joints, num_classes, allow_empty, dims) -> Wrong:
    if not isinstance(ann, dict):
        yield 'annotation', typed(ann), 'a dict'
    for name in _FIELDS:
        if name not in ann:
            yield name, 'nothing', 'this field'
    yield from _check_scalars(ann, num_classes)
    yield from _check_track_fields(ann)
    yield from _check_person_fields(ann)
    yield from _check_poses(ann, num_joints, dims, allow_empty)


def validate(ann: dict[str, Any], num_joints: int = 17, num_classes: int | None = None,
             allow_empty: bool = False, file: str = '',
             index: int | None = None, dims: int = 2) -> Problem | None:
    """Validate one annotation and return its first problem.

    Any number of persons and frames is valid, and so are joints outside the image, up to
    :data:`mofm.annotations.values.MAX_SIZES` image sizes.

    Args:
        ann (dict): The annotation, see the docstring of this module.
        num_joints (int): V.
        num_classes (int, optional): Upper bound of labels, None for no bound.
        allow_empty (bool): Accept a clip without visible joints, which cannot be trained on but
            counts in a test.
        file (str): File for the message.
        index (int, optional): Index for the message.
        dims (int): C, coordinates per joint: 2 in pixels, or 3 in meters.

    Returns:
        Problem or None: None if the annotation is valid.
    """
    wrong = next(_check(ann, num_joints, num_classes, allow_empty, dims), None)
    return wrong and Problem(file, index, *map(str, wrong))


def person_ids(ann: dict[str, Any]) -> list[int]:
    """Return the track ID of each person of a valid annotation, by default its place."""
    if 'track_id' not in ann:
        return list(range(len(ann['keypoint'])))
    return np.ravel(ann['track_id']).tolist()


def complete_3d(ann: dict[str, Any]) -> dict[str, Any]:
    """Add the fields that published annotations of 3D joints lack.

    Args:
        ann (dict): Annotation with ``keypoint`` (M, T, V, 3) in meters.

    Returns:
        dict: Annotation with ``keypoint_score``, 1 for joints that are not at the origin, and
        ``img_shape`` (1, 1).
    """
    keypoint = ann.get('keypoint')
    if isinstance(keypoint, np.ndarray) and keypoint.ndim:
        ann = {'keypoint_score': keypoint.any(-1).astype(np.float16), **ann}
    return {'img_shape': (1, 1), **ann}


def find_twice(names: Iterable[str], limit: int = 10) -> str:
    """Describe names of several annotations, e.g. ``'a' (2 clips)``; empty if there are none."""
    twice = [f'{name!r} ({count} clips)' for name, count in Counter(names).items() if count > 1]
    more = f' and {len(twice) - limit} more' if len(twice) > limit else ''
    return ', '.join(twice[:limit]) + more


def summarize(problems: Sequence, limit: int = 5) -> str:
    """Format the first ``limit`` problems, one per line, and the number of others."""
    lines = [f'  {problem}' for problem in problems[:limit]]
    if len(problems) > limit:
        lines.append(f'  ... and {len(problems) - limit} more')
    return '\n'.join(lines)
