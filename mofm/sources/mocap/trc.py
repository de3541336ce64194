"""Markers in TRC files of OpenSim, Pose2Sim, OpenCap and Motion Analysis.

Five or six lines of head, with the names of the markers in the fourth one, then rows: number,
seconds, and x, y, z of each marker. Cells are separated by tabs, in files that went through a
spreadsheet by commas or semicolons. A marker that was not seen has blank cells.
"""
import re
from collections.abc import Iterator

import numpy as np

from mofm.registry import SOURCES

from ..base import Item
from ..motion_capture import NamedMotionCapture, frame_rate
from ..recognition import Sample

_UNITS = {'mm': .001, 'millimeters': .001, 'cm': .01, 'centimeters': .01, 'm': 1, 'meters': 1,
          'in': .0254, 'inches': .0254}
_ROW = re.compile(r'\s*\d{1,9}(\.0*)?(\t|[ ]+)')
_MAX_MARKERS, _HEAD = 1000, 20


@SOURCES.register_module('trc')
class TRC(NamedMotionCapture):
    """Reader of ``.trc`` files, one recording each.

    Blank cells and NaN are missing markers. Unit and frame rate are those of the head.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        **kwargs: Passed to :class:`NamedMotionCapture`; by default meters, y up.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
    """

    suffix = '.trc'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.head.lstrip(b'\xef\xbb\xbf \t\r\n').startswith(b'PathFileType'):
            return 'text that begins with PathFileType'
        return None

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        if self.listed(self.stem(name)) is None:
            return
        lines = self._tabs(name, self.text(name, content)).split('\n')
        first = next((i for i, line in enumerate(lines[:_HEAD]) if _ROW.match(line) and i > 3), 0)
        names, fields = self._head(name, lines[:first])
        rows = self._rows(name, [line for line in lines[first:] if line.strip()], len(names))
        joints = rows[:, 2:].reshape(len(rows), -1, 3)
        joints = self.to_coco(name, 'markers', joints, names, self.joint_map)
        yield from self.person(name, 'rows', self.stem(name), joints,
                               _rate(fields.get('DataRate', ''), rows[:, 1]),
                               unit=_UNITS.get(fields.get('Units', '').lower()))

    def _tabs(self, name, text) -> str:
        """Return text with tabs between cells and decimal points, as spreadsheets may not."""
        separator = re.search(r'PathFileType[ ]*([,;]?)', text)
        if separator and separator[1]:
            self.note(name, f'cells are separated by {separator[1]!r}')
        if separator and separator[1] == ',':
            return text.replace(',', '\t')
        if re.search(r'\n[ ]*\d+[ ]*[\t;][ ]*\d+,\d', text):
            self.note(name, 'commas are read as decimal points')
            text = text.replace(',', '.')
        return text.replace(separator[1], '\t') if separator and separator[1] else text

    def _head(self, name, lines) -> tuple[list[str], dict[str, str]]:
        """Return the names of the markers and the fields of the head."""
        lines = [line for line in lines if line.strip()]
        at = next((i for i, line in enumerate(lines)
                   if line.lstrip().lower().startswith('frame#')), None)
        if at is None or at < 2:
            raise self.error(name, 'head', f'{len(lines)} lines before the first row',
                             'lines PathFileType, DataRate, their values, Frame# and X1')
        cells = [_cells(line) for line in lines[:at + 1]]
        names = [cell for cell in cells[at][2:] if cell]
        if not 0 < len(names) <= _MAX_MARKERS:
            raise self.error(name, 'Frame#', f'{len(names)} markers', f'1 to {_MAX_MARKERS}')
        return names, dict(zip(cells[at - 2], cells[at - 1], strict=False))

    def _rows(self, name, lines, num_markers) -> np.ndarray:
        """Parse rows (T, 2 + 3 J); missing cells are NaN."""
        columns = 2 + 3 * num_markers
        rows = []
        for line in lines:
            row = line if '\t' in line else '\t'.join(line.split())
            extra = row.count('\t') + 1 - columns
            if extra > 0 and not row.rsplit('\t', extra)[-1].strip():
                row = row.rstrip()
            row += '\t' * max(0, columns - 1 - row.count('\t'))
            rows.append(re.sub(r'(?<=\t)[ ]*(?=\t|$)', 'nan', row))
        try:
            if not rows:
                raise ValueError('no row')
            values = np.loadtxt(rows, delimiter='\t', comments=None, ndmin=2)
            if values.shape[1] != columns or np.isinf(values).any():
                raise ValueError(f'{values.shape[1]} columns, or infinite values')
        except ValueError as error:
            raise self.error(name, 'rows', str(error)[:200], f'rows of {columns} numbers or blank '
                             f'cells: number, seconds, {num_markers} markers') from None
        return values


def _cells(line) -> list[str]:
    return [cell.strip() for cell in (line.split('\t') if '\t' in line else line.split())]


def _rate(stated, seconds) -> float | None:
    """Return the frames per second of the head, or else of the column of seconds."""
    steps = np.diff(seconds)
    step = np.median(steps) if len(steps) and np.isfinite(steps).all() else 0
    return frame_rate(stated) or (round(float(1 / step), 3) if step > 1e-6 else None)
