"""Parts that ``mofm demo`` and ``mofm app`` share: what a model is, videos of inputs, pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mofm.hub.card import trained_on
from mofm.pose_estimation.video import IMAGES, VIDEOS, Video, find_videos
from mofm.visualization import draw_poses, overlay_poses, save_animation, save_figure, write_video

from .inferencers import BaseInferencer, Result
from .windows import visible

_SIDE = 720  # of a video of skeletons in pixels
_SMALL = 240  # of a clip
_WHITE = np.full((1, 3), 255)
_GROUND = 40  # gray value behind skeletons
FPS = 30.  # of a recording without frame rate


def about(task: BaseInferencer, config: str, checkpoint: str | None = None) -> dict[str, str]:
    """Describe a model: what it is, on what it was trained and, if known, what it cannot know.

    Args:
        task (BaseInferencer): Task of the model.
        config (str): Name in the zoo, published folder or hub ID, or config.
        checkpoint (str, optional): Weights, if ``config`` is a config.
    """
    known = {'model': f'{checkpoint or config}, {task.describe()}',
             'trained on': trained_on(config, checkpoint, task.model.cfg)}
    return {**known, 'cannot know': limits} if (limits := task.limits()) else known


def files_of(path: Path) -> list[Path]:
    """Return the files of an input."""
    return [*path.rglob('*')] if path.is_dir() else [path]


def videos_of(inputs: Sequence[str | Path]) -> dict[str, Path]:
    """Find videos among the inputs, by the names of their results."""
    found: dict[str, Path] = {}
    for path in map(Path, inputs):
        if any(file.suffix.lower() in VIDEOS | IMAGES for file in files_of(path)):
            found.update(find_videos(path))
    return found


def draw(task: BaseInferencer, result: Result, stem: Path, video: Path | None = None,
         animation: str = '.gif') -> list[Path]:
    """Write the pictures of a result, and the video with skeletons.

    Args:
        task (BaseInferencer): Task of the result.
        result (Result): The result.
        stem (Path): Path of the files without suffix.
        video (Path, optional): Video of the recording.
        animation (str): Format of animations, ``.gif`` or ``.mp4``.

    Returns:
        list[Path]: Written files.
    """
    written = []
    for suffix, picture in task.draw(result).items():
        animated = suffix == '.gif'
        written.append(stem.with_name(stem.name + (animation if animated else suffix)))
        (save_animation if animated else save_figure)(picture, written[-1])
    if video is not None:
        source = Video(video)
        source.open()
        images = task.overlay(result, source.frames())
        if images is not None:
            written.append(stem.with_name(f'{stem.name}.mp4'))
            write_video(images, written[-1], source.fps)
    return written


def write_skeletons(task: BaseInferencer, result: Result, path: Path, video: Path | None = None):
    """Write a small video of the skeletons of any result, with what the task says of each frame.

    Frame i of the recording is frame i of the video.

    Args:
        task (BaseInferencer): Task of the result.
        result (Result): The result.
        path (Path): An ``.mp4`` file.
        video (Path, optional): Video of the recording; by default the background is dark.
    """
    fps = result.fps or FPS
    images: Iterable[np.ndarray]
    if video is None:
        poses, (height, width) = _fit(result.poses, _SIDE)
        count = 1 + max(int(inds[-1]) for _, inds, *_ in result.persons())
        images = repeat(np.full((height, width, 3), _GROUND, np.uint8), count)
    else:
        source = Video(video)
        source.open()
        fps = source.fps or fps
        scale = min(_SIDE / max(source.width, source.height), 1)
        poses = _moved(result.poses, np.zeros(2), scale)
        size = round(source.width * scale), round(source.height * scale)
        images = (cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                  for image in source.frames())
    result = replace(result, poses=poses)
    drawn = task.overlay(result, images)
    if drawn is None:
        drawn = overlay_poses(images, result.persons(), lambda _: '', layout=result.pose_layout,
                              fps=result.fps)
    write_video(drawn, path, fps)


def write_clip(clip: dict, layout: str, path: Path):
    """Write a small looping image of the first person of a clip.

    Args:
        clip (dict): Annotation.
        layout (str): Its joints.
        path (Path): A ``.webp`` or ``.gif`` file.
    """
    (clip,), (height, width) = _fit([clip], _SMALL)
    image = np.full((height, width, 3), _GROUND, np.uint8)
    frames = [Image.fromarray(draw_poses(image, points[None], score[None], _WHITE,
                                         layout=layout)[..., ::-1])
              for points, score in zip(clip['keypoint'][0], clip['keypoint_score'][0],
                                       strict=True)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)


def _moved(anns: Sequence[dict], origin: np.ndarray, scale: float) -> list[dict]:
    """Move and scale poses; missing joints have score 0."""
    return [dict(ann, keypoint=((ann['keypoint'] - origin) * scale).astype(np.float32),
                 keypoint_score=np.where(visible(ann), ann['keypoint_score'], 0))
            for ann in anns]


def _fit(anns: Sequence[dict], side: int) -> tuple[list[dict], tuple[int, int]]:
    """Fit poses into a small image; returns them and its height and width."""
    points = np.concatenate([ann['keypoint'][visible(ann)] for ann in anns])  # (N, 2)
    low, high = points.min(0), points.max(0)
    margin = side // 12
    scale = (side - 2 * margin) / max(*(high - low), 1)
    width, height = (np.ceil((high - low) * scale).astype(int) + 2 * margin).tolist()
    width = max(width, side * 3 // 4)  # room for texts
    left = (width / scale - (high - low)[0]) / 2
    return _moved(anns, low - (left, margin / scale), scale), (height, width)
