"""Tables with a column per coordinate, of programs of behavior research.

DeepLabCut (Mathis et al., Nature Neuroscience 2018; Lauer et al., Nature Methods 2022) and
Lightning Pose (Biderman et al., Nature Methods 2024).
"""
import re
from collections.abc import Iterator

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import show

from ..frame_numbers import frame_numbers
from ..per_frame_poses import FramePoses
from ..recognition import Sample
from .named_joints import HDF5, PERSONS, NamedJoints, is_hdf5_table, read_table, without_copies

_LIGHTNING = re.compile(rb'^scorer,(heatmap|regression|ensemble|mhcrnn)', re.IGNORECASE)


@SOURCES.register_module('deeplabcut')
class DeepLabCut(NamedJoints):
    """Reader of DeepLabCut's tables, ``.csv`` or ``.h5``, of one or several individuals.

    The header has ``scorer``, ``individuals`` if there are several, ``bodyparts`` and ``coords``:
    x, y and likelihood, which is missing in labels by hand; others are passed over. Rows are
    frames, or images. An ``.h5`` is passed over beside a ``.csv`` of its name, and a table beside
    its filtered one. The name of a recording is that of the video, without the model's.
    """

    suffix = '.csv', '.h5'
    max_size = 2**29

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.head.startswith(HDF5):
            return 'an HDF5 table of pandas with bodyparts' if is_hdf5_table(sample, 2) else None
        lines = sample.head.removeprefix(b'\xef\xbb\xbf').lower().splitlines()[:4]
        coords = next((line for line in lines if line.startswith(b'coords,')), b'z')
        if lines[0].startswith(b'scorer,') and not (
                _LIGHTNING.match(lines[0]) or b'z' in coords.split(b',')):
            return "a table with a header 'scorer', 'bodyparts' and 'coords'"
        return None

    def find(self) -> list[str]:
        """List the tables, of a video once."""
        files = super().find()
        if files == ['']:
            return files
        keep = without_copies(self, files)
        filtered = {re.sub(r'(?i)_filtered(?=\.\w+$)', '', file) for file in keep
                    if re.search(r'(?i)_filtered\.\w+$', file)}
        out = [file for file in keep if file not in filtered]
        if len(out) < len(keep):
            self.note(min(set(keep) - set(out)), 'tables are passed over beside filtered, '
                      f'{len(keep) - len(out)} in total')
        return out

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        _, table = next(iter(content))
        columns, rows, values = read_table(self, name, table)
        places = self._places(name, columns)
        persons = self._persons(name, places)
        joints = list(places[persons[0]])
        shape = len(values), len(persons), len(joints)
        keypoint, score = np.full((*shape, 2), np.nan), np.ones(shape)
        for i, person in enumerate(persons):
            for j, joint in enumerate(joints):
                coords = places[person][joint]
                keypoint[:, i, j] = values[:, [coords['x'], coords['y']]]
                if 'likelihood' in coords:
                    score[:, i, j] = values[:, coords['likelihood']]
        yield self.video(name, self.stem(name), joints, self._numbers(name, rows), keypoint, score)

    def _places(self, name, columns) -> dict[str, dict[str, dict[str, int]]]:
        """Return the column by individual, joint and coordinate."""
        places: dict[str, dict[str, dict[str, int]]] = {}
        for i, (person, joint, coord) in enumerate(columns):
            coords = places.setdefault(person, {}).setdefault(joint, {})
            if coords.setdefault(coord.lower(), i) != i:
                raise self.error(name, 'columns', f'{show(joint)} {show(coord)} twice', 'one')
        wrong = [joint for joints in places.values() for joint, coords in joints.items()
                 if not {'x', 'y'} <= coords.keys() or 'z' in coords]
        if wrong or not places:
            raise self.error(name, 'columns', f'{show(wrong[0]) if wrong else "none"}',
                             'x and y of every joint, and no z: the source anipose reads 3D')
        return places

    def _persons(self, name, places) -> list[str]:
        """Return the individuals with the joints of a body; 'single' has those of none."""
        most = max(places.values(), key=len).keys()
        persons = [person for person, joints in places.items() if joints.keys() == most]
        others = places.keys() - set(persons)
        if others - {'single'} or len(persons) > PERSONS:
            raise self.error(name, 'individuals', show(sorted(places)),
                             f'at most {PERSONS} with the same joints')
        if others:
            self.note(name, "joints of 'single', no individual, are passed over")
        return persons

    def _numbers(self, name, rows) -> np.ndarray:
        """Return the frames of rows, which are numbers or paths of images."""
        if not all(rows):
            raise self.error(name, 'rows', 'one without a name', 'a frame or an image')
        if not all(re.fullmatch(r'\d{1,9}(\.0*)?', row) for row in rows):
            return frame_numbers([re.sub(r'\.\w+$', '', row.replace('\\', '/')) for row in rows])
        return np.array([int(float(row)) for row in rows], np.int64)


@SOURCES.register_module('lightning_pose')
class LightningPose(DeepLabCut):
    """Reader of the ``.csv`` files of Lightning Pose, which have the form of DeepLabCut's."""

    suffix = '.csv'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        head = sample.head.removeprefix(b'\xef\xbb\xbf')
        return "a table whose 'scorer' is of Lightning Pose" if _LIGHTNING.match(head) else None
