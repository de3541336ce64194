"""Readers of the 2D data in MotionBERT's pre-training (arXiv 2210.06551, Sec. 4.2).

Unlike other readers they yield layout ``h36m17``, because PoseTrack has a neck and a top of the
head, which COCO-17 lacks.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mofm.registry import SOURCES
from mofm.sources import PoseTrack, Source
from mofm.sources.base import Item
from mofm.utils.checks import describe
from mofm.utils.untrusted import read_npy

_CANVAS = 1000  # pixels, image size of normalized keypoints


@SOURCES.register_module('posetrack18')
class PoseTrack18(PoseTrack):
    """Reader of PoseTrack 2018 that yields the labeled frames of every track.

    Images without a size end at the largest coordinates of joints.
    """

    def __init__(self, path: str | Path, **kwargs):
        super().__init__(path, to_layout='h36m17', **kwargs)

    @classmethod
    def recognize(cls, sample) -> None:
        """Leave the files to :class:`PoseTrack`, whose they are."""

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """Yield the tracks of one video."""
        for video in self.videos(name, content):
            if not len(video.frame):
                continue
            if video.track_id is None:
                raise self.error(name, 'track_id', 'poses without one', 'whole numbers')
            order = np.lexsort((video.frame, video.track_id))
            track, frame = video.track_id[order], video.frame[order]
            if ((np.diff(frame) == 0) & (np.diff(track) == 0)).any():
                raise self.error(name, 'track_id', 'a track twice in one image', 'once')
            keypoint, score = video.keypoint[order], video.score[order]
            keypoint[score == 0] = 0
            ends = np.ceil(keypoint.max((0, 1), initial=1))[::-1].astype(int).tolist()
            for rows in np.split(np.arange(len(track)), np.flatnonzero(np.diff(track)) + 1):
                who = int(track[rows[0]])
                yield dict(
                    frame_dir=f'{video.name}_{who}', clip=video.name, track_id=who, label=0,
                    img_shape=video.img_shape or tuple(ends), total_frames=len(rows),
                    frame_inds=frame[rows], keypoint=keypoint[None, rows].astype(np.float32),
                    keypoint_score=score[None, rows].astype(np.float32)), ()


@SOURCES.register_module('instavariety')
class InstaVariety(Source):
    """Reader of InstaVariety as prepared by the authors of MotionBERT: two arrays.

    ``motion_all.npy`` (N, 17, 3) contains x, y and confidence in layout ``h36m17``, scaled to
    about [-1, 1], and ``id_all.npy`` (N,) in the same folder the video of each frame. [-1, 1]
    becomes an image of 1000 x 1000 pixels.
    """

    prefix = 'motion_all'
    suffix = '.npy'
    max_size = 2**31

    def annotations(self, name: str, content: bytes) -> Iterator[Item]:
        """Yield every video."""
        motion = self._load(name, content)
        ids = self._load('id_all.npy', self.companion('id_all.npy'))
        if motion.dtype.kind != 'f' or motion.shape != (len(ids), 17, 3) or not len(ids):
            raise self.error(name, 'array', f'{motion.dtype} of shape {motion.shape}',
                             f'numbers of shape ({len(ids)}, 17, 3), as in id_all.npy')
        if not np.isfinite(motion).all():
            raise self.error(name, 'array', 'NaN or infinite values', 'finite numbers')
        first = np.flatnonzero(ids[1:] != ids[:-1]) + 1
        for number, part in enumerate(np.split(motion, first)):
            score = part[..., 2].clip(0, 1).astype(np.float32)
            keypoint = ((part[..., :2] + 1) * (_CANVAS / 2)).astype(np.float32)
            keypoint[score == 0] = 0
            yield dict(
                frame_dir=f'video{number:06}', track_id=0, label=0, img_shape=(_CANVAS, _CANVAS),
                total_frames=len(part), keypoint=keypoint[None], keypoint_score=score[None]), ()

    def _load(self, name, content):
        try:
            array = read_npy(io.BytesIO(content))
            if not array.ndim:
                raise ValueError('not an array with axes')
            return array
        except Exception as error:  # damaged bytes make the parser raise nearly anything
            raise self.error(name, 'file', describe(error),
                             'a readable .npy file') from None
