"""UTD-MHAD: 861 sequences of 27 actions by 8 subjects with a Kinect (Chen et al., ICIP 2015).

A MATLAB file ``a1_s1_t1_skeleton.mat`` has ``d_skel`` (20, 3, T): meters, x to the left of the
sensor, y up, z away from it. A person who faces the sensor has the right hand at a larger x.
"""
import re
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS

from ..base import Item
from ..matlab import has_variables, read_mat
from ..recognition import Sample
from ..source_3d import Source3D

_NAME = re.compile(r'(a(\d{1,2})_s(\d)_t\d)_skeleton', re.IGNORECASE)
# The files begin with the head and end the trunk with the pelvis.
_ORDER = [3, 2, 1, 0, *range(4, 20)]


@SOURCES.register_module('utd_mhad')
class UTDMHAD(Source3D):
    """Reader of ``Skeleton/*.mat``, splits ``train`` (odd subjects) and ``test``."""

    prefix = 'a'
    suffix = '.mat'
    max_size = 2**22
    classes = LABEL_NAMES['utd_mhad']
    layout = 'kinect20'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return 'a MATLAB file with d_skel' if has_variables(sample.head, ('d_skel', )) else None

    def read(self, name: str, content: bytes) -> Item:
        """See :class:`Source3D`."""
        stem = PurePosixPath(self.tree.filename(name)).stem
        match = _NAME.fullmatch(stem)
        if match is None or not 1 <= int(match[2]) <= len(self.classes):
            raise self.error(name, 'name', stem, f'aX_sX_tX_skeleton with an action up to '
                             f'{len(self.classes)}')
        joints = self.array(name, 'd_skel', read_mat(self, name, content, ('d_skel', ))['d_skel'],
                            (LAYOUTS[self.layout].num_joints, 3, None), missing=True)
        if not joints.shape[2]:
            raise self.error(name, 'd_skel', 'no frame', 'at least one')
        joints = joints.transpose(2, 0, 1)[:, _ORDER]  # (T, 20, 3)
        joints[~joints.any(-1)] = np.nan
        self.check_meters(name, 'd_skel', joints)
        return dict(frame_dir=match[1].lower(), label=int(match[2]) - 1, joints=joints), (
            'train' if int(match[3]) % 2 else 'test', )
