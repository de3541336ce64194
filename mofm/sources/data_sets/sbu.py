"""SBU Kinect Interaction: 282 sequences of 8 interactions of two people.

Yun et al., CVPR workshops 2012. ``s01s02/01/001/skeleton_pos.txt`` has a line per frame,
separated by commas: its number and x, y, z of 15 joints of two people, normalized. As published,
they are 1280 - 2560 x, 960 - 1920 y and 10000 / 7.8125 z in millimeters, which is x to the left
of the sensor, y up and z away from it.
"""
import re
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS

from ..base import Item
from ..recognition import Sample
from ..source_3d import Source3D

_PLACE = re.compile(r'(?:^|.*/)(s\d\ds\d\d)/(\d\d)/(\d\d\d)/skeleton_pos\.txt', re.IGNORECASE)
_COLUMNS = 1 + 2 * 3 * LAYOUTS['openni15'].num_joints
_OFFSET, _SCALE = np.array([1.28, .96, 0]), np.array([-2.56, -1.92, 1.28])
# Pairs of people whose sequences are the test set of each fold.
_FOLDS = (('s01s02', 's03s04', 's05s02', 's06s04'), ('s02s03', 's02s07', 's03s05', 's05s03'),
          ('s01s03', 's01s07', 's07s01', 's07s03'), ('s02s01', 's02s06', 's03s02', 's03s06'),
          ('s04s02', 's04s03', 's04s06', 's06s02', 's06s03'))


@SOURCES.register_module('sbu')
class SBU(Source3D):
    """Reader of ``skeleton_pos.txt``, splits ``fold1_train``, ``fold1_test``, ...

    An annotation has two persons. Hands count as wrists, feet as ankles.
    """

    suffix = '.txt'
    max_size = 2**22
    classes = LABEL_NAMES['sbu']
    layout = 'openni15'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.filename.lower() == 'skeleton_pos.txt' and (
                len(sample.head.split(b'\n', 1)[0].split(b',')) == _COLUMNS):
            return f'{_COLUMNS} numbers a line in a file skeleton_pos.txt'
        return None

    def find(self) -> list[str]:
        """List the files ``skeleton_pos.txt``."""
        files = super().find()
        return files if files == [''] else [
            file for file in files if PurePosixPath(file).name.lower() == 'skeleton_pos.txt']

    def read(self, name: str, content: bytes) -> Item:
        """See :class:`Source3D`."""
        place = (self.path.absolute() / name).as_posix()
        match = _PLACE.fullmatch(place)
        fold = next((i for i, pairs in enumerate(_FOLDS, 1)
                     if match and match[1].lower() in pairs), None)
        if fold is None or not 1 <= int(match[2]) <= len(self.classes):
            raise self.error(name, 'name', '/'.join(place.split('/')[-4:]), 'a path '
                             'PAIR/ACTION/SEQUENCE/skeleton_pos.txt such as s01s02/01/001/...')
        rows = self.table(name, content, _COLUMNS, ',', missing=True)
        joints = rows[:, 1:].reshape(len(rows), 2, -1, 3).swapaxes(0, 1)  # (2, T, 15, 3)
        joints = np.where(joints.any(-1, keepdims=True), _OFFSET + _SCALE * joints, np.nan)
        self.check_meters(name, 'rows', joints)
        splits = tuple(f'fold{i}_{"test" if i == fold else "train"}'
                       for i in range(1, len(_FOLDS) + 1))
        return dict(frame_dir='_'.join(match.groups()).lower(), label=int(match[2]) - 1,
                    joints=joints), splits
