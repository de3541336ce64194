"""TRC files of OpenSim, Pose2Sim, Sports2D, OpenCap and Motion Analysis.

Five or six lines of head, with the names of the markers in the fourth one, then rows: number,
seconds, and x, y, z of each marker. Cells are separated by tabs, in files that went through a
spreadsheet by commas or semicolons. A marker that was not seen has blank cells.
"""
import re
from typing import NamedTuple

import numpy as np

from .base import Source
from .motion_capture import frame_rate
from .recognition import Sample

_ROW = re.compile(r'\s*\d{1,9}(\.0*)?(\t|[ ]+)')
_MAX_MARKERS, _HEAD = 1000, 20
_PIXELS = 'px', 'pixels'


class Markers(NamedTuple):
    """Markers of a file.

    Args:
        names (list[str]): Of the J markers.
        unit (str): As the head has it, in lower case.
        fps (float or None): Frames per second of the head, or else of the column of seconds.
        positions (np.ndarray): (T, J, 3) float64, NaN where a marker was not seen.
    """

    names: list[str]
    unit: str
    fps: float | None
    positions: np.ndarray

    @property
    def is_flat(self) -> bool:
        """Whether these are 2D poses, see :func:`are_flat`."""
        return self.unit in _PIXELS or are_flat(self.positions)


def are_flat(positions: np.ndarray) -> bool:
    """Return whether all z are 0, or those of no marker change while markers move.

    Sports2D gives markers in meters the z of an average person who is seen from the side.

    Args:
        positions (np.ndarray): (T, J, 3), NaN where a marker was not seen.
    """
    known = np.nan_to_num(positions)
    moves = (np.fmax.reduce(positions) > np.fmin.reduce(positions)).any(0)  # x, y, z
    return bool(known.any() and (not known[..., 2].any() or (moves == (True, True, False)).all()))


def recognize_trc(sample: Sample, flat: bool) -> str | None:
    """Say why a file is a TRC file of 2D poses, or of others. It may raise for other content."""
    if not sample.head.lstrip(b'\xef\xbb\xbf \t\r\n').startswith(b'PathFileType'):
        return None
    rows = [line.split('\t') for line in sample.head.decode(errors='replace').splitlines()[:-1]
            if _ROW.match(line) and line.count('\t') > _HEAD][1:]  # the first may be of the head
    size = 2 + (min(map(len, rows), default=2) - 2) // 3 * 3
    cells = [[float(cell) if cell.strip() else np.nan for cell in row[2:size]] for row in rows]
    units = sample.head.lower().split(b'\n', 3)[2:3]  # a person may come into view later
    is_flat = any(unit.encode() in cell.split() for cell in units for unit in _PIXELS) or (
        bool(rows) and are_flat(np.reshape(cells, (len(rows), -1, 3))))
    return 'text that begins with PathFileType' + ', of poses in 2D' * flat if (
        is_flat == flat) else None


def read_trc(source: Source, name: str, content: bytes) -> Markers:
    """Read a TRC file.

    Args:
        source (Source): For errors, notes and the decoding of text.
        name (str): The native file.
        content (bytes): Its content.

    Raises:
        AnnotationError: If it is none.
    """
    lines = _tabs(source, name, source.text(name, content)).split('\n')
    first = next((i for i, line in enumerate(lines[:_HEAD]) if _ROW.match(line) and i > 3), 0)
    names, fields = _head(source, name, lines[:first])
    rows = _rows(source, name, [line for line in lines[first:] if line.strip()], len(names))
    return Markers(names, fields.get('Units', '').lower(),
                   _rate(fields.get('DataRate', ''), rows[:, 1]),
                   rows[:, 2:].reshape(len(rows), -1, 3))


def _tabs(source, name, text) -> str:
    """Return text with tabs between cells and decimal points, as spreadsheets may not."""
    separator = re.search(r'PathFileType[ ]*([,;]?)', text)
    if separator and separator[1]:
        source.note(name, f'cells are separated by {separator[1]!r}')
    if separator and separator[1] == ',':
        return text.replace(',', '\t')
    if re.search(r'\n[ ]*\d+[ ]*[\t;][ ]*\d+,\d', text):
        source.note(name, 'commas are read as decimal points')
        text = text.replace(',', '.')
    return text.replace(separator[1], '\t') if separator and separator[1] else text


def _head(source, name, lines) -> tuple[list[str], dict[str, str]]:
    """Return the names of the markers and the fields of the head."""
    lines = [line for line in lines if line.strip()]
    at = next((i for i, line in enumerate(lines)
               if line.lstrip().lower().startswith('frame#')), None)
    if at is None or at < 2:
        raise source.error(name, 'head', f'{len(lines)} lines before the first row',
                         'lines PathFileType, DataRate, their values, Frame# and X1')
    cells = [_cells(line) for line in lines[:at + 1]]
    names = [cell for cell in cells[at][2:] if cell]
    if not 0 < len(names) <= _MAX_MARKERS:
        raise source.error(name, 'Frame#', f'{len(names)} markers', f'1 to {_MAX_MARKERS}')
    return names, dict(zip(cells[at - 2], cells[at - 1], strict=False))


def _rows(source, name, lines, num_markers) -> np.ndarray:
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
        raise source.error(name, 'rows', str(error)[:200], f'rows of {columns} numbers or blank '
                         f'cells: number, seconds, {num_markers} markers') from None
    return values


def _cells(line) -> list[str]:
    return [cell.strip() for cell in (line.split('\t') if '\t' in line else line.split())]


def _rate(stated, seconds) -> float | None:
    """Return the frames per second of the head, or else of the column of seconds."""
    steps = np.diff(seconds)
    step = np.median(steps) if len(steps) and np.isfinite(steps).all() else 0
    return frame_rate(stated) or (round(float(1 / step), 3) if step > 1e-6 else None)
