"""Readers of the 2D data in MotionBERT's pre-training (arXiv 2210.06551, Sec. 4.1).

Unlike other readers they yield layout ``h36m17``, because PoseTrack has a neck and a top of the
head, which COCO-17 lacks.
"""

import io
from collections.abc import Iterator

import numpy as np

from mofm.registry import SOURCES
from mofm.sources import Source
from mofm.sources.base import Item
from mofm.structures import convert
from mofm.utils.checks import describe
from mofm.utils.untrusted import read_npy

_CANVAS = 1000  # pixels, image size of normalized keypoints


@SOURCES.register_module('posetrack18')
class PoseTrack18(Source):
    """Reader of PoseTrack 2018, a COCO-like JSON file per video (arXiv 1710.10000).

    ``images`` have ``id``, in the order of the video, and optionally ``height`` and ``width``, by
    default the largest coordinates of joints. ``annotations`` have ``image_id``, ``track_id`` and
    51 ``keypoints``: x, y and whether the joint is annotated. Every track becomes an annotation
    of its labeled frames.
    """

    suffix = '.json'

    def annotations(self, name: str, content: bytes) -> Iterator[Item]:
        """Yield the tracks of one video."""
        data = self.json(name, content)
        images, poses = (self._dicts(name, data, field) for field in ('images', 'annotations'))
        ids, image, track = (self._integers(name, field, [v.get(field) for v in values])
                             for field, values in (('id', images), ('image_id', poses),
                                                   ('track_id', poses)))
        by_id = np.argsort(ids, kind='stable')
        frame = by_id[np.searchsorted(ids, image, sorter=by_id) % len(ids)]
        if (ids[frame] != image).any():
            raise self.error(name, 'image_id', image[ids[frame] != image][0], 'id of an image')
        keypoint = self.array(name, 'keypoints', [pose.get('keypoints') for pose in poses] or
                              np.zeros((0, 51)), (None, 51)).reshape(-1, 17, 3)
        order = np.lexsort((frame, track))
        keypoint, track, frame = keypoint[order], track[order], frame[order]
        if ((np.diff(frame) == 0) & (np.diff(track) == 0)).any():
            raise self.error(name, 'track_id', 'a track twice in one image', 'once')
        ends = np.ceil(keypoint[..., 1::-1].max((0, 1), initial=1)).astype(int).tolist()
        img_shape = tuple(images[0].get(side, end)
                          for side, end in zip(('height', 'width'), ends, strict=True))
        for rows in np.split(np.arange(len(track)), np.flatnonzero(np.diff(track)) + 1):
            if not len(rows):
                continue
            joints, score = convert(keypoint[rows, :, :2], keypoint[rows, :, 2], 'posetrack17',
                                    'h36m17')
            joints[score == 0] = 0
            stem, who = self.stem(name), int(track[rows[0]])
            yield dict(
                frame_dir=f'{stem}_{who}', clip=stem, track_id=who, label=0,
                img_shape=img_shape, total_frames=len(rows), frame_inds=frame[rows],
                keypoint=joints[None].astype(np.float32),
                keypoint_score=score[None].astype(np.float32)), ()

    def _integers(self, name, field, values):
        array = self.array(name, field, values, (len(values), ))
        if (array % 1).any() or (np.abs(array) >= 2**53).any():
            raise self.error(name, field, array, 'whole numbers')
        return array.astype(np.int64)

    def _dicts(self, name, data, field):
        values = data.get(field) if isinstance(data, dict) else None
        if not isinstance(values, list) or not all(isinstance(v, dict) for v in values) or (
                field == 'images' and not values):
            raise self.error(name, field, type(values).__name__, 'a list of dicts')
        return values


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
