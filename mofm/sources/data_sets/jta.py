"""JTA, pedestrians of a video game (Fabbri et al., ECCV 2018)."""
from collections.abc import Iterator

import numpy as np

from mofm.registry import SOURCES
from mofm.structures import LAYOUTS

from ..base import Sample, Source
from ..per_frame_poses import FramePoses, FramePoseSource

_JOINTS = LAYOUTS['jta22'].num_joints
_SIZE, _FPS = (1080, 1920), 30


@SOURCES.register_module('jta')
class JTA(FramePoseSource):
    """Reader of ``annotations/*/seq_*.json``, the keypoints of a video of 1920 x 1080 pixels.

    A row has frame from 1, person, joint, x and y in pixels, x, y and z in meters, and whether the
    joint is occluded by others or by the person itself. Occluded joints have the score 1, too.
    """

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        rows = np.array([row for row in sample.json if len(row) == 10][:22], np.float64)
        if (rows[:, 2] == np.arange(22)).all() and np.isin(rows[:, 8:], (0, 1)).all():
            return 'rows of frame, person, joint, 2D and 3D position and occlusion'
        return None

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        (_, text), = content
        rows = self.numbers(name, 'rows', self.json(name, text), (None, 10))
        key = rows[:, :3]
        if not len(rows) or not ((key % 1 == 0) & (key >= 0) & (key < 2**31)).all() or (
                key[:, 2] >= _JOINTS).any():
            raise self.error(name, 'rows', 'none, or others than whole numbers',
                             f'frame, person and joint from 0 to {_JOINTS - 1}')
        frame, person, joint = key.T.astype(np.int64)
        poses, index = np.unique(np.stack([frame, person], 1), axis=0, return_inverse=True)
        if len(np.unique(index * _JOINTS + joint)) < len(rows):
            raise self.error(name, 'rows', 'a joint of a person twice in a frame', 'once')
        keypoint = np.full((len(poses), _JOINTS, 2), np.nan)
        keypoint[index, joint] = rows[:, 3:5]
        keypoint, score = self.to_layout_joints(name, 'rows', keypoint,
                                                np.ones(keypoint.shape[:2]), 'jta22')
        yield FramePoses(
            Source.stem(self, name), np.arange(frame.min(), frame.max() + 1), poses[:, 0],
            keypoint, score, poses[:, 1], _SIZE, coordinates='pixels', fps=_FPS)
