"""NW-UCLA: 1484 sequences of 10 actions seen by three Kinects (Wang et al., CVPR 2014)."""
import re
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.keypoints import level
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe
from mofm.utils.untrusted import parse_json, to_array, unique

from ..base import Item
from ..recognition import Sample
from ..source_3d import Source3D
from .validation import with_validation

_NAME = re.compile(r'(a(\d\d)_s\d\d_e\d\d)_v0([123])')
_ACTIONS = ('01', '02', '03', '04', '05', '06', '08', '09', '11', '12')
# Joints nearer than this, in meters, are lost: the sensors' range starts at 0.8 m.
_NEAREST = .7
# Downward tilt of the sensors in degrees: median lean of standing people, slope of the floor.
_TILT = {'1': 13, '2': 14, '3': 17}


@SOURCES.register_module('nw_ucla')
class NWUCLA(Source3D):
    """Reader of ``all_sqe/*.json``, with the official splits ``train`` and ``test``.

    Views 1 and 2 are for training, view 3 for testing. A file's name, ``a01_s01_e00_v01.json``,
    has its action and view. ``fit`` and ``val`` divide ``train``: 15 % of the recordings of each
    class, in both views, are for validation. Joints at or near the origin, the sensor, are
    missing.
    """

    prefix = 'a'
    suffix = '.json'
    max_size = 2**22
    classes = LABEL_NAMES['nw_ucla']
    layout = 'kinect20'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if _NAME.fullmatch(PurePosixPath(sample.filename).stem) and 'skeletons' in sample.json:
            return "'skeletons' in a file aXX_sXX_eXX_vXX.json"
        return None

    def read(self, name: str, content: bytes) -> Item:
        """See :class:`Source3D`."""
        stem = PurePosixPath(self.tree.filename(name)).stem
        match = _NAME.fullmatch(stem)
        if match is None or match[2] not in _ACTIONS:
            raise self.error(name, 'name', stem,
                             f'aXX_sXX_eXX_v0X with an action of {_ACTIONS} and view 1, 2 or 3')
        recording, action, view = match.groups()
        try:
            skeletons = parse_json(content, unique)['skeletons']
        except Exception as error:  # the parser raises many kinds for damaged bytes
            raise self.error(name, 'skeletons', describe(error),
                             'a JSON file with this field') from None
        try:
            joints = to_array(skeletons)
        except (TypeError, ValueError) as error:
            raise self.error(name, 'skeletons', describe(error), 'frames of 20 joints') from None
        shape = (LAYOUTS[self.layout].num_joints, 3)
        if joints.dtype.kind not in 'fi' or joints.shape[1:] != shape or not len(joints):
            raise self.error(name, 'skeletons', f'{joints.dtype} of shape {joints.shape}',
                             f'numbers of shape (at least 1 frame, {shape[0]}, {shape[1]})')
        self.check_meters(name, 'skeletons', joints)
        if np.isnan(joints).any():
            self.note(name, 'NaN is a missing joint')
        joints = joints.astype(np.float64)
        joints[joints[..., 2] < _NEAREST] = np.nan
        annotation = dict(
            frame_dir=stem,
            label=_ACTIONS.index(action),
            joints=level(joints, _TILT[view]))
        return annotation, with_validation(
            'test' if view == '3' else 'train', recording, 'nw_ucla')
