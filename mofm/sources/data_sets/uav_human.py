"""UAV-Human: 23,031 sequences of 155 actions by 119 people seen from a drone.

Li et al., CVPR 2021. A text file ``P000S00G10B10H10UC022000LC021000A000R0_08241716.txt`` has the
form of NTU RGB+D's (:mod:`.ntu`) with the 17 joints of COCO, which AlphaPose found: x and y in
pixels of the videos.
"""
import re
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations.values import find_coordinates, find_size_fault
from mofm.registry import SOURCES

from ..base import Item, Source
from ..recognition import Sample
from .ntu import SkeletonText

_NAME = re.compile(r'P(\d{3})S\d\dG\d\dB\d\dH\d\dUC\d{6}LC\d{6}A(\d{3})R\d{1,2}_\d{8}',
                   re.IGNORECASE)
_PEOPLE = 119
_IMG_SHAPE = (1080, 1920)
# People of the test sets, all others are for training.
_TEST = dict(
    csv1=(1, 3, 4, 9, 22, 23, 24, 31, 41, 54, 58, 60, 66, 72, 74, 75, 91, 92, 93, 94, 95, 96, 97,
          99, 101, 104, 107, 108, 109, 113),
    csv2=(1, 2, 7, 9, 13, 15, 17, 23, 25, 27, 28, 33, 34, 41, 42, 48, 50, 51, 53, 55, 58, 65, 68,
          76, 82, 85, 90, 98, 105, 116))


@SOURCES.register_module('uav_human')
class UAVHuman(SkeletonText, Source):
    """Reader of ``Skeleton/*.txt``, splits ``csv1_train``, ``csv1_test``, ``csv2_*``.

    The two persons that move most are kept. Joints at 0, 0 are missing, others have score 1. The
    labels are those of the names; the classes are called ``A000`` to ``A154`` as there.
    """

    prefix = 'P'
    suffix = '.txt'
    classes = tuple(f'A{i:03d}' for i in range(155))
    num_joints, num_values = 17, (None, None)

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if _NAME.fullmatch(PurePosixPath(sample.filename).stem) and (
                re.match(rb'\s*\d+\s+\d+\s', sample.head)):
            return 'a text of bodies in a file PxxxSxx...AxxxRx_xxxxxxxx'
        return None

    def read(self, name: str, content: bytes) -> Item:
        """See :meth:`Source.read`."""
        stem = PurePosixPath(self.tree.filename(name)).stem
        match = _NAME.fullmatch(stem)
        if match is None or int(match[1]) >= _PEOPLE or int(match[2]) >= len(self.classes):
            raise self.error(name, 'name', stem, 'PxxxSxxGxxBxxHxxUCxxxxxxLCxxxxxxAxxxRx_xxxxxxxx '
                             f'with numbers up to P{_PEOPLE - 1} and {self.classes[-1]}')
        total_frames, person, frame, rows = self.rows(name, content)
        if rows.shape[2] < 2:
            raise self.error(name, 'joints', 'one number per line', 'x and y')
        points = rows[..., :2]
        points[~points.any(-1) | np.isnan(points).any(-1)] = np.nan
        seen = np.isfinite(points).all(-1).any(-1)
        if not seen.any():
            raise self.error(name, 'joints', 'none', 'at least one')
        points, person, frame = points[seen], person[seen], frame[seen]
        joined, kept = self.two_persons(name, person, frame, points)
        keypoint = np.zeros((len(kept), total_frames, self.num_joints, 2))
        for i, number in enumerate(kept):
            keypoint[i, frame[joined == number]] = np.nan_to_num(points[joined == number])
        score = keypoint.any(-1).astype(np.float16)
        fault = find_size_fault(keypoint, score, _IMG_SHAPE)
        if find_coordinates(keypoint, score) != 'pixels' or fault:
            raise self.error(name, 'joints', fault[0] if fault else 'coordinates of about 1',
                             'pixels of 1920 x 1080 images')
        splits = tuple(f'{protocol}_{"test" if int(match[1]) in people else "train"}'
                       for protocol, people in _TEST.items())
        with np.errstate(over='ignore'):  # infinite values raise later
            keypoint = keypoint.astype(np.float16)
        return dict(frame_dir=stem, label=int(match[2]), img_shape=_IMG_SHAPE,
                    total_frames=total_frames, keypoint=keypoint, keypoint_score=score), splits
