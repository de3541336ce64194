"""Archives of VideoPose3D (Pavllo et al., CVPR 2019): ``data_3d_*.npz`` and ``data_2d_*.npz``.

Both hold a pickled dict {subject: {action: joints}}, with a list of cameras in 2D.
"""
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from mofm.annotations.object_arrays import read_object_npz
from mofm.registry import SOURCES
from mofm.utils.checks import describe, show

from ..base import Item, Source
from ..motion_capture import MotionCapture
from ..per_frame_poses import FramePoses, FramePoseSource
from ..recognition import Sample

_SPLITS = dict.fromkeys(('S1', 'S5', 'S6', 'S7', 'S8'), ('train', )) | dict.fromkeys(
    ('S9', 'S11'), ('test', ))
_LAYOUTS = {32: 'h36m32', 17: 'h36m17', 15: 'humaneva15'}
_NAMES = dict(coco='coco17', h36m='h36m17', humaneva15='humaneva15')
# Height and width of the four cameras of Human3.6M, and the frame rates.
_H36M = ((1002, 1000), (1000, 1000), (1000, 1000), (1002, 1000))
_RATES = {'h36m': 50, 'humaneva15': 60, 'humaneva20': 60}


def _actions(source: Source, name: str, content: bytes, key: str
             ) -> tuple[list[tuple[str, str, Any]], dict]:
    """Read subject, action and value of every recording, and the metadata."""
    try:
        arrays = read_object_npz(io.BytesIO(content))
    except Exception as error:  # the parsers raise many kinds for damaged bytes
        raise source.error(name, 'file', describe(error), 'a readable .npz file of VideoPose3D'
                           ) from None
    data, metadata = arrays.get(key), arrays.get('metadata')
    actions = [(subject, action, value) for subject, actions in data.items()
               if isinstance(actions, dict) for action, value in actions.items()
               ] if isinstance(data, dict) else []
    if not actions or not all(isinstance(text, str) for *texts, _ in actions for text in texts):
        raise source.error(name, key, show(data) if key in arrays else show(sorted(arrays)),
                           '{subject: {action: joints}}')
    return actions, metadata if isinstance(metadata, dict) else {}


def _mentions(sample, key) -> bool:
    shape, dtype = (sample.arrays or {}).get(key, (None, None))
    return shape == () and dtype.kind == 'O'


@SOURCES.register_module('videopose3d')
class VideoPose3D(MotionCapture):
    """Reader of ``data_3d_h36m.npz`` and ``data_3d_humaneva15.npz``, a recording per action.

    Joints are in meters, z up: 32 or 17 of Human3.6M, or 15 of HumanEva. Splits are the usual
    ones: S9 and S11 test, and the parts of HumanEva ``train`` and ``test``.

    Args:
        path (str or Path): A folder, or one file.
        **kwargs: Passed to :class:`MotionCapture`.

    Raises:
        AnnotationError: If the path has no such files.
    """

    suffix = '.npz'
    max_size = 2**31
    default_up = 'z'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return 'positions_3d of VideoPose3D' if _mentions(sample, 'positions_3d') else None

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        for subject, action, value in _actions(self, name, content, 'positions_3d')[0]:
            field = f'positions_3d {subject} {action}'[:200]
            joints = value if isinstance(value, np.ndarray) else np.zeros(0)
            layout = _LAYOUTS.get(joints.shape[1]) if joints.ndim == 3 else None
            if layout is None or joints.shape[2] != 3 or joints.dtype.kind != 'f' or (
                    not len(joints)):
                raise self.error(name, field, show(value) if joints is not value else
                                 f'{joints.dtype} of shape {joints.shape}',
                                 f'numbers of shape (T, {" or ".join(map(str, _LAYOUTS))}, 3)')
            split = _SPLITS.get(subject, dict(Train=('train', ), Validate=('test', )).get(
                subject.split('/')[0], ()))
            yield from self.person(
                name, field, f'{self.stem(name)}/{subject}/{action}',
                self.from_layout(joints, layout), 60 if layout == 'humaneva15' else 50, split)


@SOURCES.register_module('videopose3d_2d')
class VideoPose2D(FramePoseSource):
    """Reader of ``data_2d_*.npz``, a recording per subject, action and camera.

    Their layout is the one of the metadata, image sizes are those of the metadata or of
    Human3.6M.

    Args:
        path (str or Path): A folder, or one file.
        **kwargs: Passed to :class:`FramePoseSource`.

    Raises:
        AnnotationError: If the path has no such files.
    """

    suffix = '.npz'
    max_size = 2**31

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return 'positions_2d of VideoPose3D' if _mentions(sample, 'positions_2d') else None

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        (filename, raw), = content
        actions, metadata = _actions(self, name, raw, 'positions_2d')
        layout = metadata.get('layout_name')
        layout = layout if isinstance(layout, str) else None
        stem = PurePosixPath(name).with_suffix('').as_posix() if name else self.stem(name)
        of_h36m = filename.lower().startswith('data_2d_h36m')
        for subject, action, value in actions:
            field = f'positions_2d {subject} {action}'[:200]
            cameras = [value] if isinstance(value, np.ndarray) else value
            if not isinstance(cameras, list) or not cameras:
                raise self.error(name, field, show(value), 'a list of arrays, one per camera')
            for camera, poses in enumerate(cameras):
                joints = poses if isinstance(poses, np.ndarray) else np.zeros(0)
                if joints.dtype.kind != 'f' or not joints.size or joints.ndim != 3 or (
                        joints.shape[2] not in (2, 3)):
                    raise self.error(name, field, show(poses), 'numbers of shape (T, J, 2)')
                score = joints[..., 2] if joints.shape[2] == 3 else np.ones(joints.shape[:2])
                keypoint, score = self.to_layout_joints(
                    name, field, self.numbers(name, field, joints[..., :2], (None, None, 2)),
                    score.astype(np.float64), _NAMES.get(layout, ('h36m17', 'humaneva15')))
                frames = np.arange(len(joints))
                yield FramePoses(
                    f'{stem}/{subject}/{action}/{camera}', frames, frames, keypoint,
                    score, np.zeros_like(frames),
                    _H36M[camera] if of_h36m and len(cameras) == 4 else _size(metadata, subject),
                    fps=_RATES.get('h36m' if of_h36m else layout))


def _size(metadata, subject) -> tuple[int, int] | None:
    """Return height and width of a video in the metadata."""
    videos = metadata.get('video_metadata')
    video = videos.get(subject) if isinstance(videos, dict) else None
    size = (video.get('h'), video.get('w')) if isinstance(video, dict) else ()
    return size if size and all(type(n) is int and 0 < n < 2**16 for n in size) else None
