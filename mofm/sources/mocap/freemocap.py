"""3D bodies that FreeMoCap writes: the 33 joints of MediaPipe in millimeters."""
import io
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe
from mofm.utils.untrusted import read_npy

from ..base import Item
from ..motion_capture import MotionCapture
from ..recognition import Sample

_COCO = LAYOUTS['coco17'].joints
_FILE = re.compile(r'.*(body_3d_xyz|skeleton_body|skel_3d_body|skeleton_3d).*\.(csv|npy)')
# The body alone, with hands, and with the face; the body comes first.
_COUNTS = (33, 75, 543, 553)
_COLUMN = re.compile(r'(?:body_)?(\w+)_([xyz])')
_MAX_COLUMNS = 4000


@SOURCES.register_module('freemocap')
class FreeMoCap(MotionCapture):
    """Reader of ``*_body_3d_xyz.csv``, ``*skeleton_body*.npy`` and ``mediaPipeSkel_3d_*.npy``.

    A folder has one recording, named as the folder: ``output_data`` and files of one recording
    belong to the folder around them. Of several files with the same joints the first is read.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        **kwargs: Passed to :class:`MotionCapture`; millimeters, z up.

    Raises:
        AnnotationError: If the path has no such files.
    """

    suffix = ('.csv', '.npy')
    max_size = 2**29
    default_unit = .001
    default_up = 'z'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        named = bool(_FILE.fullmatch(sample.filename.lower()))
        if sample.suffix == '.csv' and _is_table(sample.head, named):
            return 'a table of nose_x, nose_y, ...'
        if sample.suffix == '.npy' and named:
            shape, _ = (sample.arrays or {}).get('', ((), None))
            if len(shape) == 3 and shape[1] in _COUNTS and shape[2] == 3:
                return f'an array of {shape[1]} joints of MediaPipe'
        return None

    def find(self) -> list[str]:
        """List one file of each folder."""
        chosen: dict[str, str] = {}
        for name in super().find():
            chosen.setdefault(PurePosixPath(name).parent.as_posix(), name)
        return sorted(chosen.values())

    def is_native(self, filename: str) -> bool:
        """See :meth:`Source.is_native`."""
        return super().is_native(filename) and (
            self.tree.is_file or bool(_FILE.fullmatch(filename.lower())))

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        recording = self.stem(name)
        if self.listed(recording) is None:
            return
        joints = (self._table if self.tree.filename(name).lower().endswith('.csv') else
                  self._array)(name, content)
        yield from self.person(name, 'file', recording, joints)

    def stem(self, name: str) -> str:
        """Return the folder of a recording, without ``output_data``."""
        parts = [part for part in PurePosixPath(name).parent.parts if part != 'output_data']
        return '/'.join(parts) or super().stem(name)

    def _array(self, name, content) -> np.ndarray:
        try:
            joints = read_npy(io.BytesIO(content))
        except Exception as error:  # the parser raises many kinds for damaged bytes
            raise self.error(name, 'file', describe(error), 'a readable .npy file of numbers'
                             ) from None
        if joints.dtype.kind not in 'fiu' or joints.ndim != 3 or not len(joints) or (
                joints.shape[1] not in _COUNTS or joints.shape[2] != 3):
            raise self.error(name, 'file', f'{joints.dtype} of shape {joints.shape}',
                             f'numbers of shape (at least 1 frame, {_COUNTS}, 3)')
        return self.from_layout(joints[:, :33], 'mediapipe33')

    def _table(self, name, content) -> np.ndarray:
        head, _, rows = self.text(name, content).partition('\n')
        columns = [_COLUMN.fullmatch(cell.strip(' \r"')) for cell in head.split(',')]
        places = {match.groups(): i for i, match in enumerate(columns) if match}
        lost = [f'{joint}_{axis}' for joint in _COCO for axis in 'xyz'
                if (joint, axis) not in places]
        if lost or len(columns) > _MAX_COLUMNS:
            raise self.error(name, 'columns', f'{len(columns)}, none of them '
                             f'{lost[0] if lost else ""}', 'those of a body, nose_x, nose_y, ...')
        index = [places[joint, axis] for joint in _COCO for axis in 'xyz']
        blank = re.compile(r'(?<![^,])[ \r]*(?![^,])')
        lines = [blank.sub('nan', row) for row in rows.split('\n') if row.strip()]
        try:
            if not lines:
                raise ValueError('no row')
            values = np.loadtxt(lines, delimiter=',', comments=None, ndmin=2)
            if values.shape[1] != len(columns):
                raise ValueError(f'{values.shape[1]} columns')
        except ValueError as error:
            raise self.error(name, 'rows', str(error)[:200],
                             f'{len(columns)} numbers or blank cells per row') from None
        return values[:, index].reshape(len(values), 17, 3)


def _is_table(content: bytes, named: bool) -> bool:
    """Return whether a table has columns of FreeMoCap, and millimeters or its name."""
    head, *rows = content.splitlines()[:2]
    columns = set(head.replace(b'body_', b'').split(b','))
    other = b'nose_ncams' in columns or b'visib' in head  # Anipose, MediaPipe
    return {b'nose_y', b'left_eye_inner_z'} <= columns and not other and (named or any(
        abs(float(cell or 0)) > 10 for cell in b''.join(rows).split(b',')))
