"""MSRC-12: 594 recordings of 12 gestures by 30 people with a Kinect (Fothergill et al., CHI 2012).

A text file ``P1_1_1_p06.csv`` has a line per frame: the time and x, y, z, w of 20 joints in
meters, along the axes of the sensor. ``P1_1_1_p06.tagstream`` has a heading and lines
``tick;gesture;`` of the moments at which a gesture can be told.
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

# Instruction, its number, gesture (A: given in two ways), person.
_NAME = re.compile(r'P\d_\d_(\d{1,2})A?_p(\d\d)', re.IGNORECASE)
_TICK = re.compile(r'^[^\d\n]{0,4}(\d{1,18});', re.MULTILINE)
_COLUMNS = 1 + 4 * LAYOUTS['kinect20'].num_joints
_PEOPLE = 30


@SOURCES.register_module('msrc12')
class MSRC12(Source3D):
    """Reader of ``*.csv`` with ``*.tagstream``, splits ``p01_train``, ``p01_test``, ...

    A recording repeats one gesture, its ``label``. ``segments`` are its moments, each of one
    frame. The split ``p06_test`` has the recordings of person 6, ``p06_train`` all others.
    """

    prefix = 'p'
    suffix = '.csv'
    companions = ('*.tagstream', )
    max_size = 2**26
    classes = LABEL_NAMES['msrc12']
    layout = 'kinect20'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        line = sample.head.split(b'\n', 1)[0]
        if _NAME.fullmatch(PurePosixPath(sample.filename).stem) and len(line.split()) == _COLUMNS:
            return f'{_COLUMNS} numbers a line in a file P1_1_1_p06.csv'
        return None

    def find(self) -> list[str]:
        """List the files of joints; set ``tags`` to those of moments."""
        self.tags = {self.stem(file): file for file in self.tree.names
                     if file.lower().endswith('.tagstream')}
        return super().find()

    def load(self, name: str) -> tuple[bytes, bytes | None]:
        """Load the files of joints and of moments, which lie beside each other."""
        if not name and (beside := self.path.with_suffix('.tagstream')).is_file():
            return self.file_content(name), self.companion(beside.name)
        tags = self.tags.get(self.stem(name))
        return self.file_content(name), tags and self.file_content(tags)

    def read(self, name: str, content: tuple[bytes, bytes | None]) -> Item:
        """See :class:`Source3D`."""
        stem = PurePosixPath(self.tree.filename(name)).stem
        match = _NAME.fullmatch(stem)
        if match is None or not (1 <= int(match[1]) <= len(self.classes)
                                 and 1 <= int(match[2]) <= _PEOPLE):
            raise self.error(name, 'name', stem, 'PX_X_gesture_pXX')
        rows = self.table(name, content[0], _COLUMNS, missing=True)
        joints = rows[:, 1:].reshape(len(rows), -1, 4)[..., :3]
        joints[~joints.any(-1)] = np.nan  # nobody is seen, at the beginning
        self.check_meters(name, 'rows', joints)
        label, person = int(match[1]) - 1, int(match[2])
        annotation = dict(frame_dir=stem, label=label, joints=joints)
        frames = self._moments(name, content[1], rows[:, 0])
        if len(frames):
            annotation['segments'] = np.stack([np.full(len(frames), label), frames, frames], 1)
        return annotation, leave_one_out(person, _PEOPLE, 'p')

    def _moments(self, name, content, times) -> np.ndarray:
        """Return the frames (N,) of the moments of a recording."""
        if content is None:
            self.note(name, 'no .tagstream: no moments of gestures')
            return np.zeros(0, np.int64)
        if not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise self.error(name, 'rows', 'other times', 'ascending ones')
        text = content.replace(b'\0', b'').decode('latin-1')  # some are UTF-16
        ticks = [int(tick) for tick in _TICK.findall(text)]
        if not ticks:
            raise self.error(self.tags.get(self.stem(name), name), 'lines', repr(text[:40]),
                             "lines 'tick;gesture;'")
        # as in the tools of the data set
        moments = np.array([(1000 * tick + 49875 // 2) // 49875 for tick in ticks], np.float64)
        inside = (moments >= times[0]) & (moments <= times[-1])
        if not inside.all():
            self.note(name, 'moments of gestures outside of the recording are dropped')
        return np.unique(np.searchsorted(times, moments[inside]))


def leave_one_out(person: int, people: int, prefix: str) -> tuple[str, ...]:
    """Return the splits of a recording where every person is the test set once.

    Args:
        person (int): The person, from 1.
        people (int): Number of persons.
        prefix (str): What the names of the splits begin with.
    """
    return tuple(f'{prefix}{i:02d}_{"test" if i == person else "train"}'
                 for i in range(1, people + 1))
