"""PKU-MMD: untrimmed recordings of actions with a Kinect v2 (Liu et al., ACM MM Workshop 2017).

A text file of joints has one line per frame: x, y and z of 25 joints of two persons in meters, 0
for absent persons. A file of labels has lines ``label,first,last,confidence``, labels from 1.
"""
import re
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.keypoints import join_tracks
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import show

from ..base import Item
from ..recognition import Sample
from ..source_3d import Source3D

_RECORDING = re.compile(r'\d{4}-[LMR]')
_SPLITS = 'cross-subject.txt'
_COLUMNS = 2 * 3 * LAYOUTS['kinect25'].num_joints


@SOURCES.register_module('pku_mmd')
class PKUMMD(Source3D):
    """Reader of skeletons ``XXXX-V.skeleton`` or ``.txt`` with labels ``XXXX-V.txt``.

    Files of labels are in a folder with ``label`` in its name, or next to ``.skeleton`` files.
    Splits: ``cs_train`` and ``cs_test`` as listed in ``cross-subject.txt``, inside the path or
    next to it; ``cv_train`` (cameras M and R) and ``cv_test`` (camera L). An annotation is a whole
    recording with ``label`` 0 and the annotated actions as ``segments``, labels from 0.
    """

    suffix = '.skeleton', '.txt'
    max_size = 2**26
    classes = LABEL_NAMES['pku_mmd']
    companions = _SPLITS,
    layout = 'kinect25'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        #: Recording -> split of the cross-subject protocol.
        self.cross_subject = self._read_splits(self.companion(_SPLITS).decode(errors='replace'))

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        line = sample.head.split(b'\n', 1)[0]
        if _RECORDING.fullmatch(PurePosixPath(sample.filename).stem) and (
                len(line.split()) == _COLUMNS):
            return f'{_COLUMNS} numbers a line in a file XXXX-V'
        return None

    def find(self) -> list[str]:
        """List files of joints; set ``labels`` to those of labels."""
        if self.tree.is_file:
            raise self.error('', 'path', 'a single file', 'the folder of joints and labels')
        found = [f for f in super().find() if _RECORDING.fullmatch(PurePosixPath(f).stem)]
        files = {suffix: [f for f in found if f.lower().endswith(suffix)]
                 for suffix in self.suffix}
        labels = [f for f in files['.txt'] if files['.skeleton']
                  or 'label' in PurePosixPath(f).parent.as_posix().lower()]
        self.labels = {PurePosixPath(f).stem: f for f in labels}
        return files['.skeleton'] or sorted(set(files['.txt']) - set(labels))

    def used(self) -> list[str]:
        """See :meth:`Source.used`."""
        return [*self.files, *self.labels.values()]

    def _read_splits(self, text: str) -> dict:
        """Parse the split of each recording from two lists with headings."""
        splits = {}
        for heading, names in re.findall(r'(\w+) videos:([^:]*)(?=\n|$)', text):
            split = 'cs_train' if heading.lower().startswith('train') else 'cs_test'
            splits.update(dict.fromkeys(_RECORDING.findall(names), split))
        if set(splits.values()) != {'cs_train', 'cs_test'}:
            raise self.error(_SPLITS, 'file', sorted(set(splits.values())),
                             "names such as 0291-L below 'Training videos:' and 'Validation "
                             "videos:'")
        return splits

    def load(self, name: str) -> tuple[bytes, bytes]:
        """Load the files of joints and of labels."""
        stem = PurePosixPath(name).stem
        if stem not in self.labels:
            raise self.error(name, 'labels', 'no file', f'{stem}.txt in a folder of labels')
        return self.file_content(name), self.file_content(self.labels[stem])

    def read(self, name: str, content: tuple[bytes, bytes]) -> Item:
        """See :class:`Source3D`."""
        stem = PurePosixPath(name).stem
        if stem not in self.cross_subject:
            raise self.error(name, _SPLITS, f'no recording {stem}', 'its split')
        rows = self.table(name, content[0], _COLUMNS, missing=True)
        self.check_meters(name, 'rows', rows)
        joints = rows.reshape(len(rows), 2, -1, 3).swapaxes(0, 1)  # (2, T, 25, 3)
        joints = np.where(joints.any((2, 3), keepdims=True), joints, np.nan)  # absent
        place, frame = np.nonzero(np.isfinite(joints).any((2, 3)))
        person = join_tracks(place, frame, joints[place, frame])
        if (person != place).any():
            self.note(name, 'a person who goes on at the other place is joined to one')
            joined = np.full_like(joints, np.nan)
            joined[person, frame] = joints[place, frame]
            joints = joined
        persons = np.isfinite(joints).any((1, 2, 3))
        persons[0] |= not persons.any()
        actions = self.table(self.labels[stem], content[1], 4, ',')
        label, first, last = actions.T[:3]
        wrong = (actions[:, :3] % 1).any(1) | (label < 1) | (label > len(self.classes)) | (
            first < 0) | (first > last) | (last >= 2**31)
        if wrong.any():
            raise self.error(self.labels[stem], 'rows', show(actions[wrong][0].tolist()),
                             f'a label in [1, {len(self.classes)}], the first and the last frame')
        segments = np.stack([label - 1, first, last], 1).astype(np.int64)
        camera = 'cv_test' if stem.endswith('L') else 'cv_train'
        return dict(frame_dir=stem, label=0, joints=joints[persons], segments=segments), (
            self.cross_subject[stem], camera)
