"""MSR Action3D: 567 sequences of 20 actions by 10 subjects (Li et al., CVPR workshops 2010).

A text file has a line ``x y z confidence`` per joint, 20 per frame: in meters in files
``a01_s01_e01_skeleton3D.txt``, in pixels of the depth images in ``a01_s01_e01_skeleton.txt``.
"""
import re
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.annotations.values import find_size_fault
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, convert

from ..base import Item, Source
from ..recognition import Sample
from ..source_3d import Source3D

_NAME = re.compile(r'(a(\d\d)_s(\d\d)_e(\d\d))_skeleton(3d)?', re.IGNORECASE)
_KINECT = LAYOUTS['kinect20'].joints
# Joints of the files.
_JOINTS = ('left_shoulder', 'right_shoulder', 'neck', 'spine', 'left_hip', 'right_hip', 'pelvis',
           'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hand', 'right_hand',
           'left_knee', 'right_knee', 'left_ankle', 'right_ankle', 'left_foot', 'right_foot',
           'head')
_ORDER = [_JOINTS.index(joint) for joint in _KINECT]
_IMG_SHAPE = (240, 320)
# Numbers of the actions of the three subsets.
_SUBSETS = dict(as1=(2, 3, 5, 6, 10, 13, 18, 20), as2=(1, 4, 7, 8, 9, 11, 12, 14),
                as3=(6, 14, 15, 16, 17, 18, 19, 20))


def facing_sensor(joints: np.ndarray, layout: str) -> tuple[np.ndarray, bool]:
    """Choose the direction of the x axis so that people face the sensor, most of the time.

    Args:
        joints (np.ndarray): (..., J, 3) meters, y up, z away from the sensor, x to either side.
        layout (str): Layout of the joints.

    Returns:
        tuple[np.ndarray, bool]: Joints with x to the left of the sensor, and whether x was
        negated.
    """
    left, right = (LAYOUTS[layout].joints.index(f'{side}_shoulder') for side in ('left', 'right'))
    to_left = joints[..., left, 0] - joints[..., right, 0]
    to_left = to_left[np.isfinite(to_left)]
    negated = bool(len(to_left)) and float(np.median(to_left)) > 0
    return joints * [-1, 1, 1] if negated else joints, negated


class _Sequences:
    """Mixin of names, labels, splits and rows of the files."""

    prefix = 'a'
    suffix = '.txt'
    max_size = 2**22
    classes = LABEL_NAMES['msr_action3d']
    #: What the names of the files end with.
    ending: str = ''

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        match = _NAME.fullmatch(PurePosixPath(sample.filename).stem)
        if match and (match[5] or '').lower() == cls.ending and (
                len(sample.head.split(b'\n', 1)[0].split()) == 4):
            return f'4 numbers a line in a file aXX_sXX_eXX_skeleton{cls.ending.upper()}.txt'
        return None

    def find(self) -> list[str]:
        """List the files of these coordinates."""
        files = super().find()
        return files if files == [''] else [
            file for file in files if self.stem(file).lower().endswith(f'skeleton{self.ending}')]

    def header(self, name: str) -> Item:
        """Return name, label and splits: odd subjects are for training, also in the subsets."""
        stem = PurePosixPath(self.tree.filename(name)).stem
        match = _NAME.fullmatch(stem)
        if match is None or not 1 <= int(match[2]) <= len(self.classes):
            raise self.error(name, 'name', stem, f'aXX_sXX_eXX_skeleton{self.ending.upper()} with '
                             f'an action up to {len(self.classes)}')
        split = 'train' if int(match[3]) % 2 else 'test'
        subsets = [subset for subset, actions in _SUBSETS.items() if int(match[2]) in actions]
        return dict(frame_dir=match[1].lower(), label=int(match[2]) - 1), (
            split, *(f'{subset}_{split}' for subset in subsets))

    def joints(self, name: str, content: bytes) -> np.ndarray:
        """Parse x, y, z and confidence (T, 20, 4) in the order of Kinect, NaN where missing."""
        rows = self.table(name, content, 4, missing=True)
        if len(rows) % len(_JOINTS):
            raise self.error(name, 'rows', len(rows), f'{len(_JOINTS)} per frame')
        joints = rows.reshape(-1, len(_JOINTS), 4)[:, _ORDER]
        joints[~joints[..., :3].any(-1)] = np.nan
        if not np.isfinite(joints).all(-1).any():
            raise self.error(name, 'rows', 'no joint', 'joints that are not all 0')
        return joints


@SOURCES.register_module('msr_action3d')
class MSRAction3D(_Sequences, Source3D):
    """Reader of ``aXX_sXX_eXX_skeleton3D.txt``, splits ``train`` and ``test``.

    Splits of the subsets of 8 actions: ``as1_train`` ... ``as3_test``. Which of the two sides of
    the files is left is published in both ways; here it is the first one, and x is negated where
    people would turn their back to the sensor, which they face.
    """

    layout = 'kinect20'
    ending = '3d'

    def read(self, name: str, content: bytes) -> Item:
        """See :class:`Source3D`."""
        annotation, splits = self.header(name)
        joints = self.joints(name, content)[..., :3]
        self.check_meters(name, 'rows', joints)
        joints, negated = facing_sensor(joints, self.layout)
        if negated:
            self.note(name, 'x is negated, so that people face the sensor')
        return dict(annotation, joints=joints), splits


@SOURCES.register_module('msr_action3d_2d')
class MSRAction3DPixels(_Sequences, Source):
    """Reader of ``aXX_sXX_eXX_skeleton.txt``, pixels of the depth images (320 x 240).

    Splits as :class:`MSRAction3D`. The head becomes the nose; eyes and ears are missing.
    """

    def read(self, name: str, content: bytes) -> Item:
        """See :meth:`Source.read`."""
        annotation, splits = self.header(name)
        joints = self.joints(name, content)
        known = np.isfinite(joints).all(-1)  # (T, 20)
        joints = np.where(known[..., None], joints, 0)
        keypoint, score = convert(joints[None, ..., :2], known[None].astype(np.float16),
                                  'kinect20')
        fault = find_size_fault(keypoint, score, _IMG_SHAPE)
        if fault:
            raise self.error(name, 'rows', fault[0], 'pixels of 320 x 240 images')
        with np.errstate(over='ignore'):  # infinite values raise later
            keypoint = keypoint.astype(np.float16)
        return dict(annotation, img_shape=_IMG_SHAPE, total_frames=len(joints), keypoint=keypoint,
                    keypoint_score=score), splits
