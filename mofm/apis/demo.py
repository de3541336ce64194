"""Parts that ``mofm demo`` and ``mofm app`` share: what a model is, videos, pictures, the page.

:mod:`mofm.visualization` and its matplotlib are imported where something is drawn, after the
answer of the model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mofm.hub.card import trained_on
from mofm.pose_estimation.video import IMAGES, VIDEOS, Video, find_videos

from .inferencers import ActionResult, BaseInferencer, Result
from .inferencers.result import at_input
from .windows import visible

_SIDE = 720  # of a video of skeletons in pixels
_SMALL = 240  # of a clip
_WHITE = np.full((1, 3), 255)
_GROUND = 40  # gray value behind skeletons
FPS = 30.  # of a recording without frame rate


@dataclass
class View:
    """Answer of one task of a model about one recording.

    Attributes:
        title (str): Heading.
        about (dict[str, str]): See :func:`about`.
        result (Result): The result.
        table (Path): Table of the results of the task about all recordings.
        pictures (list[Path]): Images.
        animations (list[Path]): Videos and GIFs.
    """

    title: str
    about: dict[str, str]
    result: Result
    table: Path
    pictures: list[Path] = field(default_factory=list)
    animations: list[Path] = field(default_factory=list)


def title_of(task: BaseInferencer) -> str:
    """Return the heading of the answers of a task."""
    return task.title or task.task.replace('_', ' ').capitalize()


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


def ask_again(task: BaseInferencer, result: Result, **options) -> Result:
    """Let another task answer about the poses of a result, at its frames of the input.

    Args:
        task (BaseInferencer): The other task.
        result (Result): The result.
        **options: Options of windows.

    Raises:
        AnnotationError: If the task cannot use the poses.
    """
    poses = [at_input(ann, result.pose_ratio, result.fps) for ann in result.poses]
    answer, = task.iter(poses, False, layout=result.pose_layout, coordinates='pixels', **options)
    return answer


def write_page(path: Path, title: str, views: Mapping[str, Sequence[View]],
               models: Mapping[str, Mapping[str, str]], tables: Mapping[Path, int],
               notes: Sequence[str] = (), skeletons: Mapping[str, Path] | None = None):
    """Write an HTML page of answers, which links to their files beside it.

    Args:
        path (Path): The page.
        title (str): Heading.
        views (Mapping[str, Sequence[View]]): Answers to show by recording.
        models (Mapping[str, Mapping[str, str]]): :func:`about` of each heading of answers.
        tables (Mapping[Path, int]): Tables of all answers, and the number of their recordings.
        notes (Sequence[str]): What the inputs were taken for, and what was skipped.
        skeletons (Mapping[str, Path], optional): Video of a recording by name.
    """
    from mofm.visualization import Report  # heavy

    page = Report(title, (), {f'{heading}: {name}': text.replace('`', '')
                              for heading, known in models.items()
                              for name, text in known.items()})
    total = max(tables.values())
    page.add('All results', f'Recordings in the tables: {total}, on this page: {len(views)}.',
             [table.name for table in tables])
    for name, answers in views.items():
        shown = [skeletons[name]] if skeletons and name in skeletons else []
        for view in answers:
            heading = f'{name}: {view.title}'
            shown += [*view.animations, *view.pictures]
            if isinstance(view.result, ActionResult):
                several = len(view.result.frames) > 1
                columns = ('class', *['best in windows'] * several, 'score')
                found = view.result.best_classes() if several else view.result.top()
                page.add_table(heading, columns, [(*row, f'{score:.3f}') for *row, score in found],
                               files=[file.name for file in shown])
            else:
                page.add(heading, view.result.summary(), [file.name for file in shown])
            shown = []
    if notes:
        page.add_table('Notes', ('note', ), [(note, ) for note in notes])
    page.save(path)


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
    from mofm.visualization import save_animation, save_figure, write_video  # heavy

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
            write_video(tqdm(images, written[-1].name, source.expected_frames or None, leave=False,
                             unit=' frames'), written[-1], source.fps)
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
    from mofm.visualization import overlay_poses, write_video  # heavy

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
    from PIL import Image

    from mofm.visualization import draw_poses  # heavy

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
