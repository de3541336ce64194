"""Poses of frames that readers of pose programs have parsed, and their numbers and track IDs."""
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mofm.utils.checks import show

from ..base import FolderSource, Source
from ..frame_numbers import frame_numbers

#: Keys of the number of a frame.
NUMBER_KEYS = ('frame', 'frame_id', 'frame_idx', 'frame_index', 'frame_number', 'frame_num',
               'frameId', 'frameIndex', 'frameNumber', 'frame_no')


class Frames(NamedTuple):
    """Poses of frames, which a reader has parsed.

    Args:
        numbers (list[int or None]): Number of each of the T frames, None if the file lacks it.
        counts (list[int]): Poses of each frame.
        keypoint (np.ndarray): (N, J, C) coordinates, NaN for missing joints.
        score (np.ndarray): (N, J).
        track_id (list[int or None]): Track ID of each pose.
        box (np.ndarray, optional): (N, 4) x1, y1, x2, y2.
        coordinates (str, optional): See :class:`FramePoses`.
        img_shape (tuple[int, int], optional): Height and width.
    """

    numbers: list
    counts: list
    keypoint: np.ndarray
    score: np.ndarray
    track_id: list
    box: np.ndarray | None = None
    coordinates: str | None = None
    img_shape: tuple[int, int] | None = None


def file_numbers(source: Source, files: Sequence[str]) -> np.ndarray:
    """Return the numbers of frames from the names of their files."""
    names = [source.tree.filename(file) for file in files]
    return frame_numbers([name[:name.rindex('.')] for name in names])


def frame_number(item: dict) -> int | None:
    """Return the number of a frame that a dict tells, None if it has none."""
    for key in NUMBER_KEYS:
        value = item.get(key)
        if isinstance(value, str) and value.isdecimal() and len(value) < 10:
            value = int(value)
        if type(value) in (int, float) and value == value // 1 and 0 <= value < 2**31:
            return int(value)
    return None


def numbered(source: Source, name: str, numbers: Sequence[int | None]) -> np.ndarray:
    """Return the numbers of the frames of a file, counted from 0 if it has none.

    Raises:
        AnnotationError: If only some have one, or they repeat.
    """
    if all(number is None for number in numbers):
        return np.arange(len(numbers))
    if None in numbers or len(set(numbers)) < len(numbers):
        raise source.error(name, 'frames', 'frames without a number, or a number twice',
                           'the number of each frame')
    return np.array(numbers, np.int64)


def track_ids(source: Source, name: str, values: Sequence,
              frame: np.ndarray) -> np.ndarray | None:
    """Convert the track IDs of N poses.

    Args:
        source (Source): The reader.
        name (str): The native file.
        values (Sequence): N numbers or names; None or -1 for poses that are not tracked.
        frame (np.ndarray): (N,) frame of each pose.

    Returns:
        np.ndarray or None: (N,) int. None without tracking: if any pose has no ID, which is noted
        unless all have none, or all have the same one and some are in the same frame.

    Raises:
        AnnotationError: If they are other values.
    """
    values = [None if value == -1 else value for value in values]
    none = sum(value is None for value in values)
    if none or not values:
        if none < len(values):
            source.note(name, 'poses without a track ID: persons are tracked anew')
        return None
    if all(isinstance(value, str) and value for value in values):
        ids = np.unique(values, return_inverse=True)[1]
    elif all(type(value) in (int, float) and 0 <= value < 2**31 and value == value // 1
             for value in values):
        ids = np.array(values, np.int64)
    else:
        raise source.error(name, 'track_id', show(values[:10]), 'whole numbers from 0')
    return None if (ids == ids[0]).all() and len(np.unique(frame)) < len(ids) else ids


def json_lines(source: Source, name: str, content: bytes) -> list | dict:
    """Parse JSON, or a list of the lines of ``.jsonl`` and ``.ndjson`` files.

    Raises:
        AnnotationError: If the content is no JSON.
    """
    if not source.tree.filename(name).lower().endswith(('.jsonl', '.ndjson')):
        return source.json(name, content)
    return [source.json(name, line) for line in content.splitlines() if line.strip()]


def read_each(source: FolderSource, name: str, content: Iterator[tuple[str, bytes]], parse
              ) -> tuple[Frames, np.ndarray]:
    """Parse all files of a video.

    Args:
        source (FolderSource): The reader.
        name (str): The video.
        content (Iterator): Names and contents of its files.
        parse (Callable): Returns the :class:`Frames` of a file and its content.

    Returns:
        tuple: :class:`Frames` of the video and (T,) their numbers: those of the names of files
        with a frame each, else those of the file.

    Raises:
        AnnotationError: If a file is invalid, has several frames or another number of joints.
    """
    files = source.members[name]
    parts = [parse(file, text) for file, (_, text) in zip(files, content, strict=True)]
    if not any(part.counts for part in parts):
        raise source.error(name, 'frames', 'none', 'at least one')
    if len(files) == 1:
        return parts[0], numbered(source, name, parts[0].numbers)
    for file, part in zip(files, parts, strict=True):
        if len(part.counts) != 1:
            raise source.error(file, 'frames', len(part.counts), 'one, as in the files beside it')
    found = {part.keypoint.shape[1:] for part in parts if len(part.keypoint)}
    if len(found) > 1:
        raise source.error(name, 'keypoints', f'{sorted(found)} joints and values in its files',
                           'the same in all')
    parts_with = [part for part in parts if len(part.keypoint)] or parts[:1]
    boxes = [part.box for part in parts_with]
    numbers = file_numbers(source, files)
    return Frames(
        numbers.tolist(), [part.counts[0] for part in parts],
        np.concatenate([part.keypoint for part in parts_with]),
        np.concatenate([part.score for part in parts_with]),
        [track for part in parts for track in part.track_id],
        None if any(box is None for box in boxes) else np.concatenate(boxes),
        parts[0].coordinates, parts[0].img_shape), numbers
