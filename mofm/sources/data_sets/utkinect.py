"""UTKinect-Action3D: 20 recordings of 10 actions with a Kinect (Xia et al., CVPRW 2012)."""
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.keypoints import level
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS

from ..base import Item
from ..recognition import Sample
from ..source_3d import Source3D
from .validation import with_validation

_LABELS = 'actionLabel.txt'
_RECORDING = re.compile(r's(\d\d)_e\d\d')
# Downward tilt of the sensor in degrees: median lean of standing people.
_TILT = 8


@SOURCES.register_module('utkinect_untrimmed')
class UTKinectUntrimmed(Source3D):
    """Reader of whole recordings ``joints_sXX_eYY.txt`` with ``actionLabel.txt``.

    Splits: ``train`` for odd subjects, ``test`` for even ones; ``fit`` and ``val`` divide
    ``train``, where one subject is for validation. ``frame_label`` (T,) are the actions, -1
    between them; ``label`` is 0. The first row of each frame number is kept. Where two actions
    overlap, e.g. push and pull, the later one counts.
    """

    prefix = 'joints_'
    suffix = '.txt'
    companions = _LABELS.lower(),
    max_size = 2**24
    classes = LABEL_NAMES['utkinect']
    layout = 'kinect20'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        #: Recording -> {label: (first, last) frame number}.
        self.intervals = self._read_labels(self.companion(_LABELS))

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        stem = PurePosixPath(sample.filename).stem.removeprefix(cls.prefix)
        line = sample.head.split(b'\n', 1)[0]
        if _RECORDING.fullmatch(stem) and len(line.split()) == 61:
            return '20 joints a line in a file joints_sXX_eYY'
        return None

    def _read_labels(self, content: bytes) -> dict[str, dict[int, tuple[float, float]]]:
        intervals, current = {}, None
        for number, line in enumerate(content.decode(errors='replace').split('\n'), 1):
            words = line.replace(':', ' ').split()
            if len(words) == 1 and _RECORDING.fullmatch(words[0]):
                current = intervals.setdefault(words[0], {})
            elif words:
                try:
                    action, first, last = words
                    label, first, last = self.classes.index(action), float(first), float(last)
                    known = np.isfinite([first, last]).all() and first <= last
                    if not known and not np.isnan([first, last]).all() or (
                            current is None or label in current):
                        raise ValueError
                except ValueError:
                    raise self.error(_LABELS, f'line {number}', repr(line[:60]),
                                     "a recording 's01_e01' or 'action: first last', once"
                                     ) from None
                if known:  # NaN for carry in s10_e02
                    current[label] = first, last
        return intervals

    def _read(self, name: str, content: bytes) -> tuple[str, np.ndarray, np.ndarray]:
        """Parse recording, frame numbers (T,) and joints (T, 20, 3)."""
        stem = PurePosixPath(self.tree.filename(name)).stem[len(self.prefix):]
        if not _RECORDING.fullmatch(stem):
            raise self.error(name, 'name', stem, 'joints_sXX_eYY')
        if stem not in self.intervals:
            raise self.error(name, _LABELS, f'no recording {stem}', 'its actions')
        rows = self.table(name, content, 1 + 3 * LAYOUTS[self.layout].num_joints, missing=True)
        if (rows[:, 0] % 1).any():
            raise self.error(name, 'rows', 'fractional frame numbers', 'integers')
        self.check_meters(name, 'rows', rows[:, 1:])
        frames, first = np.unique(rows[:, 0], return_index=True)
        return stem, frames, level(rows[first, 1:].reshape(len(frames), -1, 3), _TILT)

    def _splits(self, recording: str) -> tuple[str, ...]:
        split = 'train' if int(recording[1:3]) % 2 else 'test'
        return with_validation(split, recording[:3], 'utkinect')

    def read(self, name: str, content: bytes) -> Item:
        """See :class:`Source3D`."""
        recording, frames, joints = self._read(name, content)
        frame_label = np.full(len(frames), -1)  # (T,)
        for label, (first, last) in sorted(self.intervals[recording].items(),
                                           key=lambda item: item[1]):
            frame_label[(frames >= first) & (frames <= last)] = label
        annotation = dict(frame_dir=recording, label=0, joints=joints, frame_label=frame_label)
        return annotation, self._splits(recording)


@SOURCES.register_module('utkinect')
class UTKinect(UTKinectUntrimmed):
    """Reader of trimmed UTKinect, one clip ``s01_e01_walk`` per action of a recording."""

    def recordings(self, name: str, content: bytes) -> Iterable[Item]:
        """Yield one recording per action with frames."""
        recording, frames, joints = self._read(name, content)
        for label, (first, last) in self.intervals[recording].items():
            chosen = (frames >= first) & (frames <= last)
            if chosen.any():
                yield dict(frame_dir=f'{recording}_{self.classes[label]}', label=label,
                           joints=joints[chosen]), self._splits(recording)

    def __len__(self) -> int:
        """Return the number of annotations if all files are valid."""
        names = (PurePosixPath(self.tree.filename(file)).stem[len(self.prefix):]
                 for file in self.files)
        return self.views * sum(len(self.intervals.get(name, ())) for name in names)
