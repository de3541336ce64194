"""Writers of COCO keypoint JSON and of AlphaPose's results."""

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mofm.annotations import AnnotationError
from mofm.annotations.video_poses import VideoPoses, Videos, image_name
from mofm.structures import Layout
from mofm.utils.files import atomic_write

# Layouts of AlphaPose's files, which have no names of joints: a reader goes by their number.
_ALPHAPOSE = ('coco17', 'halpe26')


def write_coco(path: str | PathLike, videos: Videos):
    """Write COCO keypoint annotations atomically, one video in memory at a time.

    Images are named ``<video>/frame_<number>.jpg``; ``videos``, ``video_id``, ``frame_id`` and
    ``track_id`` are those of the video version of COCO (Yang et al., ICCV 2019). An annotation
    also has the ``score`` of the pose, ``keypoint_scores`` and the columns of the poses, e.g.
    ``label``. Missing joints are ``0, 0, 0``.

    Args:
        path (str or Path): The file.
        videos (Videos): 2D poses.

    Raises:
        AnnotationError: If the joints are 3D.
    """
    require_2d(path, videos)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as f:
        f.write(b'{"info": {"description": "poses by MoFM"},\n"licenses": [],\n"categories": ')
        f.write(_dump([category(videos.layout)]))
        for field, items in (('videos', _videos), ('images', _images), ('annotations', _poses)):
            f.write(f',\n"{field}": '.encode())
            write_list(f, items(videos))
        f.write(b'}\n')


def category(layout: Layout) -> dict:
    """Return the category of persons with the names of joints and bones, counted from 1."""
    return dict(id=1, name='person', supercategory='person', keypoints=list(layout.joints),
                skeleton=[[a + 1, b + 1] for a, b in layout.edges])


def _videos(videos) -> Iterator[dict]:
    for number, video in enumerate(videos, 1):
        height, width = video.img_shape
        yield dict(id=number, name=video.name, file_name=video.stem, width=width, height=height,
                   **({} if video.fps is None else dict(fps=video.fps)))


def _images(videos) -> Iterator[dict]:
    count = 0
    for number, video in enumerate(videos, 1):
        yield from images(video, count, video_id=number)
        count += len(video.frames)


def images(video: VideoPoses, count: int = 0, **fields) -> Iterator[dict]:
    """Yield the images of a video in the format of COCO.

    Args:
        video (VideoPoses): The video.
        count (int): Images of earlier videos.
        **fields: Other fields.
    """
    height, width = video.img_shape
    for number, frame in enumerate(video.frames.tolist(), count + 1):
        yield dict(id=number, file_name=image_name(video.stem, frame), width=width, height=height,
                   frame_id=frame, **fields)


def _poses(videos) -> Iterator[dict]:
    image, count = 0, 0
    for number, video in enumerate(videos, 1):
        columns = {name: values.tolist() for name, values in video.columns.items()}
        for i, pose in enumerate(poses(video, image, count)):
            others = {name: _finite(values[i]) for name, values in columns.items()}
            yield dict(pose, video_id=number, track_id=int(video.person[i]),
                       score=float(np.nanmean(video.score[i])),
                       keypoint_scores=np.nan_to_num(video.score[i]).tolist(), **others)
        image, count = image + len(video.frames), count + len(video.frame)


def poses(video: VideoPoses, image: int = 0, count: int = 0,
          missing: np.ndarray | None = None) -> Iterator[dict]:
    """Yield the poses of a video in the format of COCO.

    Args:
        video (VideoPoses): The video.
        image (int): Images of earlier videos.
        count (int): Poses of earlier videos.
        missing (np.ndarray, optional): (N, 2) coordinates of missing joints, by default 0.
    """
    known = np.isfinite(video.keypoint).all(-1)
    fill = 0 if missing is None else missing[:, None]
    points = np.where(known[..., None], video.keypoint, fill)
    keypoints = np.concatenate([points, 2. * known[..., None]], -1)
    keypoints = keypoints.reshape(len(known), 3 * known.shape[1])
    rows = zip(np.searchsorted(video.frames, video.frame).tolist(), keypoints.tolist(),
               known.sum(1).tolist(), video.box_xywh.tolist(), strict=True)
    for number, (row, values, visible, box) in enumerate(rows, count + 1):
        yield dict(id=number, image_id=image + row + 1, category_id=1,
                   keypoints=[int(v) if v == int(v) else v for v in values],
                   num_keypoints=visible, bbox=box, area=box[2] * box[3], iscrowd=0,
                   segmentation=[])


def write_alphapose(folder: str | PathLike, videos: Videos) -> list[Path]:
    """Write AlphaPose's results (format ``default``), a file ``<video>.json`` per video.

    ``image_id`` is the frame, ``12.jpg``, and ``idx`` the person. Missing joints are ``0, 0, 0``.

    Args:
        folder (str or Path): Folder of the files.
        videos (Videos): 2D poses.

    Returns:
        list[Path]: Files written.

    Raises:
        AnnotationError: If the joints are 3D or of a layout that AlphaPose does not have, or a
            track ID is negative.
    """
    require_2d(folder, videos)
    if videos.layout.name not in _ALPHAPOSE:
        raise AnnotationError(f'layout: found {videos.layout.name!r}, expected one of '
                              f'{_ALPHAPOSE} for AlphaPose, whose files do not name the joints; '
                              'COCO and tables do')
    written = []
    for video in videos:
        if (video.person < 0).any():
            raise AnnotationError(f'track_id: found {video.person.min()} in {video.name!r}, '
                                  'expected at least 0 for AlphaPose')
        path = Path(folder) / f'{video.stem}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as f:
            write_list(f, _alphapose(video))
        written.append(path)
    return written


def _alphapose(video) -> Iterator[dict]:
    values = np.nan_to_num(np.concatenate([video.keypoint, video.score[..., None]], -1))
    values = values.reshape(len(values), 3 * values.shape[1])
    for frame, person, joints, box, score in zip(
            video.frame.tolist(), video.person.tolist(), values.tolist(),
            video.box_xywh.tolist(), np.nanmean(video.score, 1).tolist() if len(values) else (),
            strict=True):
        yield dict(image_id=f'{frame}.jpg', category_id=1, keypoints=joints, score=score, box=box,
                   idx=person)


def require_2d(path: object, videos: Videos):
    """Raise ``AnnotationError`` unless poses are 2D."""
    if videos.dims != 2:
        raise AnnotationError(f'{path}: found 3D joints in meters, expected 2D joints in pixels; '
                              'BVH, TRC, CSV and Parquet hold 3D joints')


def write_list(file: BinaryIO, items: Iterator[dict]):
    """Write a JSON list, one item a line, without having all of them in memory."""
    file.write(b'[')
    for number, item in enumerate(items):
        file.write(b',\n' * bool(number) + _dump(item))
    file.write(b']')


def _dump(value) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _finite(value):
    """Return null instead of NaN, which JSON lacks."""
    return None if value != value else value
