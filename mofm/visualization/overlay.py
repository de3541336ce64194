"""Overlay of skeletons on video frames."""
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from imageio_ffmpeg import write_frames
from matplotlib import colormaps

from mofm.structures import get_layout
from mofm.utils.files import atomic_path

from .animation import not_encoded
from .pose import bone_distances, bridges

_TEXT = cv2.FONT_HERSHEY_SIMPLEX


def score_colors(values: np.ndarray, low: float = 0., high: float = 1.) -> np.ndarray:
    """Map scores to colors from red (low) over gray to blue (high).

    Args:
        values (np.ndarray): (N,); NaN is white.
        low (float): Value of the red end.
        high (float): Value of the blue end.

    Returns:
        np.ndarray: (N, 3) uint8 BGR.
    """
    share = (np.asarray(values, float) - low) / max(high - low, 1e-9)
    colors = colormaps['coolwarm_r'].with_extremes(bad='white')(np.ma.masked_invalid(share))
    return (255 * colors[:, 2::-1]).astype(np.uint8)


def draw_poses(image: np.ndarray, keypoint: np.ndarray, score: np.ndarray, colors: np.ndarray,
               texts: Sequence[str] = (), title: str = '', layout: str = 'coco17',
               clock: str = '') -> np.ndarray:
    """Draw the persons of a frame.

    Args:
        image (np.ndarray): (H, W, 3) uint8 BGR, not modified.
        keypoint (np.ndarray): (N, V, 2) pixels.
        score (np.ndarray): (N, V); joints with score 0 are not drawn.
        colors (np.ndarray): (N, 3) uint8 BGR.
        texts (Sequence[str]): Text above each person.
        title (str): Text in the upper left corner.
        layout (str): Joint layout.
        clock (str): Text in the lower left corner.

    Returns:
        np.ndarray: (H, W, 3) uint8.
    """
    image = image.copy()
    edges, distances = np.array(get_layout(layout).edges), bone_distances(get_layout(layout))
    width = max(round(max(image.shape) / 400), 1)
    size = max(image.shape) / 1600
    # OpenCV has 16-bit coordinates
    points = np.clip(np.nan_to_num(keypoint), -2**14, 2**14).round().astype(np.int32)
    visible = np.asarray(score) > 0
    for i, (person, seen, color) in enumerate(zip(points, visible, colors, strict=True)):
        color = tuple(map(int, color))
        shown = edges[seen[edges].all(1)]
        cv2.polylines(image, list(person[bridges(seen, distances)]), False, (180, 180, 180), 1,
                      cv2.LINE_AA)
        cv2.polylines(image, list(person[shown]), False, (0, 0, 0), 2 * width + 2, cv2.LINE_AA)
        cv2.polylines(image, list(person[shown]), False, color, 2 * width, cv2.LINE_AA)
        if i < len(texts) and seen.any():
            left, top = person[seen].min(0)
            _write(image, texts[i], (left, top - 6 * width), size, color)
    if title:
        _write(image, title, (10, round(34 * size) + 6), size, (255, 255, 255))
    if clock:
        _write(image, clock, (10, len(image) - 8), .7 * size, (255, 255, 255))
    return image


def overlay_poses(images: Iterable[np.ndarray], persons: Iterable[tuple],
                  title: Callable[[int], str], scores: dict[int, np.ndarray] | None = None,
                  limits: tuple[float, float] = (0, 1), layout: str = 'coco17',
                  fps: float | None = None) -> Iterator[np.ndarray]:
    """Draw persons, frame number and time onto the frames of their video.

    Args:
        images (Iterable[np.ndarray]): (H, W, 3) uint8 BGR, from frame 0.
        persons (Iterable[tuple]): Track ID, frames (T,), keypoints (T, V, 2) and scores (T, V) of
            each person.
        title (Callable[[int], str]): Returns the title of a frame.
        scores (dict[int, np.ndarray], optional): Values per frame by track ID, which determine the
            color; the last value is repeated.
        limits (tuple[float, float]): Values of the ends of the color scale.
        layout (str): Joint layout.
        fps (float, optional): Frames per second of the video, for the time.

    Yields:
        np.ndarray: (H, W, 3) uint8.
    """
    persons, scores = list(persons), scores or {}
    joints = get_layout(layout).num_joints
    for frame, image in enumerate(images):
        points, seen, values, texts = [], [], [], []
        for person, inds, keypoint, score in persons:
            row = np.searchsorted(inds, frame)
            if row == len(inds) or inds[row] != frame or not score[row].any():
                continue
            known = scores.get(person, [np.nan])
            values.append(known[min(frame, len(known) - 1)])
            texts.append(f'{person}' if np.isnan(values[-1]) else f'{person}: {values[-1]:.2f}')
            points.append(keypoint[row])
            seen.append(score[row])
        yield draw_poses(image, np.reshape(points, (-1, joints, 2)),
                         np.reshape(seen, (-1, joints)), score_colors(values, *limits), texts,
                         title(frame), layout,
                         (f'{frame / fps:.2f} s, ' if fps else '') + f'frame {frame}')


def _write(image, text, corner, size, color):
    """Draw text with a dark outline; OpenCV supports ASCII only."""
    text = text.encode('ascii', 'replace').decode()
    corner = tuple(
        int(np.clip(c, 2, limit - 2)) for c, limit in zip(corner, image.shape[1::-1], strict=True))
    width = max(round(1.6 * size), 1)
    cv2.putText(image, text, corner, _TEXT, size, (0, 0, 0), width + 3, cv2.LINE_AA)
    cv2.putText(image, text, corner, _TEXT, size, color, width, cv2.LINE_AA)


def write_video(frames: Iterable[np.ndarray], path: str | PathLike,
                fps: float | None = None):
    """Write an MP4 with the ffmpeg of imageio-ffmpeg.

    Args:
        frames (Iterable[np.ndarray]): (H, W, 3) uint8 BGR, all of one size.
        path (str or Path): The file.
        fps (float, optional): Frames per second. Defaults to 25.

    Raises:
        OSError: If the disk is full.
    """
    frames = iter(frames)
    for frame in frames:  # none, no file
        with atomic_path(path) as temporary:
            try:
                _encode(itertools.chain([frame], frames), temporary, fps or 25)
            except OSError:
                raise not_encoded(path) from None
            if not _has_index(temporary):  # which ffmpeg writes last
                raise not_encoded(path)


def _encode(frames: Iterable[np.ndarray], path: Path, fps: float):
    writer = None
    try:
        for frame in frames:
            height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2  # even for the codec
            if writer is None:
                writer = write_frames(str(path), (width, height), pix_fmt_in='bgr24', fps=fps,
                                      macro_block_size=2, ffmpeg_log_level='quiet',
                                      output_params=['-preset', 'veryfast'])
                writer.send(None)
            writer.send(np.ascontiguousarray(frame[:height, :width]))
    finally:
        if writer is not None:
            writer.close()


def _has_index(path: Path) -> bool:
    """Return whether an MP4 file has the box ``moov``."""
    with path.open('rb') as file:
        while len(head := file.read(16)) >= 8:
            size, kind = int.from_bytes(head[:4], 'big'), head[4:8]
            if kind == b'moov':
                return True
            if size == 1:  # 64 bits
                size = int.from_bytes(head[8:], 'big')
            if size < 8:
                break
            file.seek(size - len(head), 1)
    return False
