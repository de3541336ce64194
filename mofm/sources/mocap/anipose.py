"""Joints in 3D that Anipose (Karashchuk et al., Cell Reports 2021) or DeepLabCut triangulate."""
import re
from collections.abc import Iterable

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import describe
from mofm.utils.hdf5 import require_h5py

from ..base import Item
from ..motion_capture import NamedMotionCapture
from ..pose_programs.named_joints import (
    is_hdf5_table,
    read_rows,
    read_table,
    without_copies,
)
from ..recognition import Sample

# Most frames without a row in it, per row.
_MISSING = 10


@SOURCES.register_module('anipose')
class Anipose(NamedMotionCapture):
    """Reader of ``.csv`` files with columns ``JOINT_x``, ``JOINT_y`` and ``JOINT_z``.

    3D tables of DeepLabCut are read, too, also ``.h5``. A file is a recording of one person.
    Joints of COCO-17 are found by their names. Anipose's ``JOINT_error``, ``JOINT_ncams``,
    ``JOINT_score``, ``M_00`` ... and ``center_0`` ... are passed over, and ``fnum`` is the frame:
    those without a row have no joints.

    Args:
        path (str or Path): A folder, an archive, or one file.
        **kwargs: Passed to :class:`NamedMotionCapture`; ``unit`` defaults to a millimeter, as
            usual for the calibration board, and ``up`` to z.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
    """

    suffix = '.csv', '.h5'
    max_size = 2**29
    default_unit = .001
    default_up = 'z'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if is_hdf5_table(sample, 3):
            return 'an HDF5 table of pandas with bodyparts and z'
        lines = sample.head.removeprefix(b'\xef\xbb\xbf').splitlines()[:4]
        cells = lines[0].split(b',')
        if {b'fnum', b'center_0', b'M_00'} <= set(cells):
            return "a table with columns 'fnum', 'M_00' and 'center_0'"
        coords = [line.lower().split(b',') for line in lines if line[:7].lower() == b'coords,']
        if cells[0].lower() == b'scorer' and coords and b'z' in coords[0]:
            return "a table with a header 'scorer', 'bodyparts' and 'coords' with z"
        return None

    def find(self) -> list[str]:
        """List the tables, of a recording once."""
        files = without_copies(self, super().find())
        if any(self.tree.filename(file).lower().endswith('.h5') for file in files):
            require_h5py()
        return files

    def recordings(self, name: str, content: bytes) -> Iterable[Item]:
        """See :meth:`Source3D.recordings`."""
        is_dlc = content.startswith(b'\x89HDF') or (
            content.removeprefix(b'\xef\xbb\xbf')[:6].lower() == b'scorer')
        names, frame, joints = (self._read_dlc if is_dlc else self._read)(name, content)
        joints = self.to_coco(name, 'columns', joints, names, self.joint_map)
        yield from self.person(name, 'columns', self.stem(name),
                               self._every_frame(name, frame, joints))

    def _read(self, name, content) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Return names of joints, frames (T,) and joints (T, J, 3) of a file of Anipose."""
        try:
            head, *body = content.decode('utf-8-sig').splitlines()
            columns = [cell.strip(' "') for cell in head.split(',')]
            if len(set(columns)) < len(columns):
                raise ValueError('a column twice')
            names = [column[:-2] for column in columns if column.endswith('_x')
                     and {f'{column[:-2]}_y', f'{column[:-2]}_z'} <= set(columns)]
            used = [f'{joint}_{axis}' for joint in names for axis in 'xyz']
            used += ['fnum'] * ('fnum' in columns)
            body = [line for line in body if line.strip()]
            if not names or not body:
                raise ValueError(f'{len(names)} joints in {len(body)} rows')
            values = read_rows(body, [columns.index(column) for column in used])
        except (UnicodeDecodeError, ValueError) as error:
            raise self.error(name, 'columns', describe(error)[:300],
                             'numbers in columns JOINT_x, JOINT_y and JOINT_z') from None
        frame = values[:, -1] if 'fnum' in columns else np.arange(len(values))
        return names, frame, values[:, :3 * len(names)].reshape(len(values), -1, 3)

    def _read_dlc(self, name, content):
        """Return names of joints, frames (T,) and joints (T, J, 3) of a table of DeepLabCut."""
        columns, rows, values = read_table(self, name, content)
        places = {(joint, coord.lower()): i for i, (_, joint, coord) in enumerate(columns)}
        names = list(dict.fromkeys(joint for _, joint, _ in columns))
        if len(places) < len(columns) or not all(
                (joint, axis) in places for joint in names for axis in 'xyz'):
            raise self.error(name, 'columns', f'{len(columns)} of {len(names)} joints',
                             'x, y and z of every joint once, of one person')
        index = [[places[joint, axis] for axis in 'xyz'] for joint in names]
        frame = [float(row) if re.fullmatch(r'\d{1,9}(\.0*)?', row) else i
                 for i, row in enumerate(rows)]
        return names, np.array(frame), values[:, index]

    def _every_frame(self, name, frame, joints) -> np.ndarray:
        """Return joints (T, 17, 3) of all frames, NaN in those without a row."""
        steps = np.diff(frame)
        if not (np.isfinite(frame).all() and (frame == frame.round()).all()
                and (steps > 0).all() and frame[-1] - frame[0] < _MISSING * len(frame) + 1):
            raise self.error(name, 'frames', 'numbers that do not ascend or are far apart',
                             'the number of each frame')
        if (steps > 1).any():
            self.note(name, 'frames without a row have no joints')
        out = np.full((int(frame[-1] - frame[0]) + 1, *joints.shape[1:]), np.nan)
        out[(frame - frame[0]).astype(np.int64)] = joints
        return out
