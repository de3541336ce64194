"""Pose extraction from videos to files in the format of MMPose's demo.

The reader ``mmpose`` converts them to annotations with track IDs. Frames are written immediately,
so that an interrupted extraction resumes.
"""
import itertools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mofm.annotations import file_error
from mofm.utils.checks import describe, show
from mofm.utils.files import atomic_write, named, remove_unfinished
from mofm.utils.locks import hold_output
from mofm.utils.untrusted import parse_json

from .estimator import PoseEstimator
from .sampling import estimate_sampled, frame_step
from .video import Video


def read_boxes(path: str | Path) -> dict[int, np.ndarray]:
    """Read person boxes from a file ``{"FRAME": [[x1, y1, x2, y2, score], ...], ...}``.

    Args:
        path (str or Path): A JSON file. Frames count from 0; those without persons may be omitted;
            coordinates are in pixels; the score is optional.

    Returns:
        dict[int, np.ndarray]: (N, 5) float32 by frame; scores in [0, 1], by default 1.

    Raises:
        AnnotationError: If the file is invalid.
    """
    try:
        data = parse_json(Path(path).read_bytes())
    except Exception as error:  # malformed text: also recursion and encoding errors
        raise file_error(path, 'file', describe(error),
                         'a readable JSON file') from None
    if not isinstance(data, dict):
        raise file_error(path, 'file', type(data).__name__,
                         '{"FRAME": [[x1, y1, x2, y2], ...], ...}')
    out = {}
    for key, rows in data.items():
        field = f'frame {key[:40]!r}'
        if not re.fullmatch(r'\d{1,9}', key) or int(key) in out:
            raise file_error(path, field, 'this key', 'a unique frame number')
        if not isinstance(rows, list) or not all(
                isinstance(row, list) and len(row) in (4, 5)
                and all(type(v) in (int, float) for v in row) for row in rows):
            raise file_error(path, field, str(rows)[:100], 'lists of 4 or 5 numbers')
        try:
            boxes = np.array([row + [1] * (5 - len(row)) for row in rows], np.float32)
        except OverflowError:
            raise file_error(path, field, str(rows)[:100], 'numbers of usual size') from None
        boxes = boxes.reshape(-1, 5)
        if not (np.isfinite(boxes).all() and (boxes[:, 2:4] > boxes[:, :2]).all()
                and ((boxes[:, 4] >= 0) & (boxes[:, 4] <= 1)).all()):
            raise file_error(path, field, str(rows)[:100],
                             'x1 < x2, y1 < y2 and a score in [0, 1]')
        out[int(key)] = boxes
    return out


def _instances(poses: Mapping[str, np.ndarray]) -> list[dict]:
    """Convert poses of a frame to the file format, rounding pixels to 2, scores to 4 decimals."""
    columns = [poses['keypoints'].astype(float).round(2).tolist(),
               poses['keypoint_scores'].astype(float).round(4).tolist(),
               poses['bboxes'].astype(float).round(2).tolist(),
               poses['bbox_scores'].astype(float).round(4).tolist()]
    names = ('keypoints', 'keypoint_scores', 'bbox', 'bbox_score')
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _line(value: dict) -> bytes:
    return json.dumps(value, separators=(',', ':')).encode() + b'\n'


def _check_settings(file: Path, meta: object, settings: dict):
    """Check that a file was written with the same settings."""
    meta = meta if isinstance(meta, dict) else {}
    for name, expected in settings.items():
        if meta.get(name) != expected:
            raise file_error(file, f'meta_info.{name}', show(meta.get(name)),
                             f'{expected!r}; delete the file or choose another output')


def _done_frames(part, file: Path, settings: dict, step: int = 1) -> int:
    """Count the frames of a part file and truncate its end; -1 without a header.

    A damaged end, and frames that do not belong to a whole step, are estimated again.
    """
    end, frames, ends = 0, -1, []
    part.seek(0)
    for line in part:
        try:
            item = json.loads(line) if line.endswith(b'\n') else None
        except ValueError:
            item = None
        if not isinstance(item, dict) or (frames >= 0 and item.get('frame_id') != frames):
            break
        if frames < 0:
            _check_settings(file, item.get('meta_info'), settings)
        frames += 1
        end += len(line)
        ends.append(end)
    if frames > 0:
        frames -= frames % step
        end = ends[frames]
    part.truncate(end)
    part.seek(end)
    return frames


def extracted(output: str | Path, settings: dict) -> dict | None:
    """Read the metadata of a complete pose file.

    Args:
        output (str or Path): ``NAME.json`` as written by :func:`extract_video`.
        settings (dict): The settings passed to it.

    Returns:
        dict or None: Its ``meta_info``; None if there is no such file.

    Raises:
        AnnotationError: If the settings are different.
    """
    output = Path(output)
    if not output.exists():
        return None
    with open(output, 'rb') as f:
        head = f.readline(2**16)
    try:
        meta = json.loads(head.rstrip().rstrip(b',') + b'}')['meta_info']
    except (ValueError, KeyError, TypeError):
        meta = None
    _check_settings(output, meta, settings)
    _partial(output).unlink(missing_ok=True)  # of a process that was killed at its end
    return meta


def _partial(output: Path) -> Path:
    return output.with_name(output.name + 'l.part')


def extract_video(extractor: PoseEstimator, video: Video, output: str | Path,
                  settings: dict, boxes: Mapping[int, np.ndarray] | None = None,
                  pose_fps: float | None = None,
                  progress: Callable[[int], None] = lambda frames: None) -> dict:
    """Extract the poses of a video to a file.

    Until the file is complete, ``NAME.jsonl.part`` next to it has one line per frame; the same
    call resumes after the last complete line.

    Args:
        extractor (PoseEstimator): The pose estimator.
        video (Video): The video.
        output (str or Path): ``NAME.json`` in the format of MMPose's demo, with frames from 0.
        settings (dict): Settings that determine the poses, stored in ``meta_info``. They must be
            the same when an interrupted extraction is resumed.
        boxes (Mapping[int, np.ndarray], optional): (N, 5) by frame, see :func:`read_boxes`. By
            default those of the extractor.
        pose_fps (float, optional): Frames per second to estimate, the others are interpolated;
            see :func:`frame_step`. Defaults to all.
        progress (Callable): Called with the total number of extracted frames.

    Returns:
        dict: The ``meta_info`` of the file with ``num_frames`` and ``frames_with_persons``.

    Raises:
        AnnotationError: If the video cannot be read, or the boxes do not match it.
        LockedError: If another process writes the file.
        OSError: If the disk is full or not writable; complete frames are kept.
    """
    output = Path(output)
    video.open()
    if boxes is not None:
        _check_boxes(boxes, video)
    step = frame_step(video.fps, pose_fps)
    partial = _partial(output)
    with hold_output(output), named(partial), open(partial, 'a+b') as part:
        remove_unfinished(output)
        start = _done_frames(part, partial, settings, step)
        if start < 0:
            part.write(_line(dict(meta_info=dict(
                settings, width=video.width, height=video.height, fps=video.fps,
                dataset=extractor.meta.get('dataset_name'), frame_offset=0, pose_step=step))))
            start = 0
        progress(start)
        given = None if boxes is None else (
            boxes.get(i, np.zeros((0, 5), np.float32)) for i in itertools.count(start))
        frames = start
        for poses in estimate_sampled(extractor, video.frames(start), step, given):
            part.write(_line(dict(frame_id=frames, instances=_instances(poses))))
            part.flush()
            frames += 1
            progress(frames)
        if boxes and max(boxes) >= frames:
            raise file_error(video.path, 'boxes', f'frame {max(boxes)}',
                             f'frames 0 to {frames - 1} of the video')
        meta = _complete(part, output, frames)
    partial.unlink(missing_ok=True)
    return meta


def _check_boxes(boxes, video):
    """Check that no box is outside the image, as boxes of another video or size may be."""
    for frame, found in boxes.items():
        if ((found[:, 2:4] <= 0) | (found[:, :2] >= (video.width, video.height))).any():
            raise file_error(video.path, 'boxes', f'one outside the image in frame {frame}',
                             f'pixels of an image of {video.width} x {video.height}')


def _complete(part, output, frames):
    """Merge the lines of a part file into one JSON file with the header as its first line."""
    part.seek(0)
    meta = json.loads(part.readline())['meta_info']
    start = part.tell()
    empty = sum(line.endswith(b'"instances":[]}\n') for line in part)
    meta.update(num_frames=frames, frames_with_persons=frames - empty)
    part.seek(start)
    with atomic_write(output) as f:
        f.write(_line(dict(meta_info=meta))[:-2] + b',\n"instance_info":[\n')
        for i, line in enumerate(part):
            f.write(b',\n' * (i > 0) + line[:-1])
        f.write(b'\n]}\n')
    return meta
