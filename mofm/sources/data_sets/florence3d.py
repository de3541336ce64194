"""Florence 3D Actions: 215 sequences of 9 actions by 10 people with a Kinect.

Seidenari et al., CVPR workshops 2013. A text file has all frames: a line has the numbers of
video, actor and action, and x, y, z of 15 joints in millimeters, y up.
"""
from collections.abc import Iterator

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import show

from ..base import Item
from ..recognition import Sample
from ..source_3d import Source3D
from .msr_action3d import facing_sensor
from .msrc12 import leave_one_out

_COLUMNS = 3 + 3 * LAYOUTS['openni15'].num_joints
_ACTORS = 10


@SOURCES.register_module('florence3d')
class Florence3D(Source3D):
    """Reader of ``Florence_dataset_WorldCoordinates.txt``, splits ``a01_train``, ``a01_test``, ...

    The split ``a01_test`` has the sequences of actor 1, ``a01_train`` all others. x is negated
    where people would turn their back to the sensor, which they face.
    """

    suffix = '.txt'
    classes = LABEL_NAMES['florence3d']
    layout = 'openni15'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if 'worldcoordinates' in sample.filename.lower().replace('_', '') and (
                len(sample.head.split(b'\n', 1)[0].split()) == _COLUMNS):
            return f'{_COLUMNS} numbers a line in a file *WorldCoordinates.txt'
        return None

    def find(self) -> list[str]:
        """List the files of world coordinates; others have features."""
        files = super().find()
        return files if files == [''] else [
            file for file in files if 'worldcoordinates' in file.lower().replace('_', '')]

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """Yield the sequences of a file."""
        rows = self.table(name, content, _COLUMNS, missing=True)
        numbers = rows[:, :3]
        most = 10**6, _ACTORS, len(self.classes)
        wrong = ~((numbers % 1 == 0) & (numbers >= 1) & (numbers <= most)).all(1)
        if wrong.any():
            raise self.error(name, 'rows', show(numbers[wrong][0].tolist()), f'video, actor up to '
                             f'{_ACTORS} and action up to {len(self.classes)}')
        joints = rows[:, 3:].reshape(len(rows), -1, 3) / 1000
        joints[~joints.any(-1)] = np.nan
        self.check_meters(name, 'rows', joints)
        joints, negated = facing_sensor(joints, self.layout)
        if negated:
            self.note(name, 'x is negated, so that people face the sensor')
        numbers = numbers.astype(int)
        for video in np.unique(numbers[:, 0]):
            chosen = numbers[:, 0] == video
            (_, actor, action), *others = np.unique(numbers[chosen], axis=0).tolist()
            if others:
                raise self.error(name, f'video {video}', f'{len(others) + 1} actors or actions',
                                 'one')
            yield dict(frame_dir=f'{video:03d}_a{actor:02d}_{self.classes[action - 1]}',
                       label=action - 1, joints=joints[chosen]), leave_one_out(actor, _ACTORS, 'a')
