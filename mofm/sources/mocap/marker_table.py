"""Markers in the text exports of Vicon Nexus, Qualisys, OptiTrack Motive and Visual3D.

Some rows of head, in which names of markers are above their ``X``, ``Y``, ``Z`` (Qualisys: after
``MARKER_NAMES``), then a row a frame. Nexus writes several tables into a file, one of which is
called ``Trajectories``. A marker that was not seen has blank cells, or is at the origin.
"""
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import describe

from ..base import Item
from ..motion_capture import UNITS, NamedMotionCapture
from ..pose_programs.named_joints import read_rows
from ..recognition import Sample

_TRAJECTORIES = re.compile(r'^Trajectories[\s,;]*$', re.MULTILINE)
_HEAD, _LEAST, _MAX_MARKERS = 30, 4, 1000
_NUMBER = re.compile(r'-?(\d[\d.]*(e[-+]?\d+)?|nan|inf)', re.IGNORECASE)


class _Head(NamedTuple):
    names: list[str]
    columns: list[int]  # of the x of each marker
    rows: int


@SOURCES.register_module('marker_table')
class MarkerTable(NamedMotionCapture):
    """Reader of markers in ``.csv``, ``.tsv`` and ``.txt`` exports, one recording each.

    Rate and unit are those of the file, millimeters by default; z points up, in Motive y.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        **kwargs: Passed to :class:`NamedMotionCapture`.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
    """

    suffix = ('.csv', '.tsv', '.txt')
    max_size = 2**29
    default_unit = .001
    default_up = 'z'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        head = sample.head.removeprefix(b'\xef\xbb\xbf').lstrip()
        if head.startswith((b'FILE_VERSION', b'NO_OF_FRAMES')) and b'MARKER_NAMES' in head:
            return 'a table of Qualisys with MARKER_NAMES'
        if head.startswith((b'Trajectories', b'Devices', b'Model Outputs', b'Joints',
                            b'Segments')):
            return 'tables of Vicon Nexus' if b'Sub Frame' in head else None
        if head.startswith(b'Format Version') and b'Take Name' in head[:2**12]:
            return 'a table of OptiTrack Motive'
        lines = head.decode(errors='replace').splitlines()[:_HEAD]
        if any(line.startswith('ITEM\t') and _triples(line.split('\t')) for line in lines):
            return 'a table of Visual3D'
        return None

    def find(self) -> list[str]:
        """List the files, without tables and texts of other kinds."""
        files = super().find()
        return [file for file in files if self.recognize(Sample(self.tree, file))] or files

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        if self.listed(self.stem(name)) is None:
            return
        text = self.text(name, content).replace('"', '').lstrip('\n')
        text, rate = self._trajectories(name, text)
        start = text[:2**16]
        delimiter = next((mark for mark in '\t;' if 2 * start.count(mark) > start.count(',')), ',')
        if delimiter != ',':  # maybe with a decimal comma in every cell
            text = text.replace(',', '.').replace(delimiter, ',')
        lines = text.split('\n')
        cells = [[cell.strip() for cell in line.split(',')] for line in lines[:_HEAD]]
        head = _qualisys(cells) or _above(cells)
        if head is None or not 0 < len(head.names) <= _MAX_MARKERS:
            raise self.error(name, 'head', f'{len(head.names) if head else "no"} markers',
                             f'names of 1 to {_MAX_MARKERS} markers above X, Y, Z')
        told = {row[0].upper(): row[1] for row in cells if len(row) > 1}
        told |= dict(zip([c.upper() for c in cells[0][::2]], cells[0][1::2], strict=False))
        unit = told.get('LENGTH UNITS', '') or next(
            (cell for row in cells[:head.rows] for cell in row if cell in UNITS), '')
        rate = rate or told.get('FREQUENCY') or told.get('EXPORT FRAME RATE')
        up = 'y' if 'EXPORT FRAME RATE' in told else None
        if up is None:  # Motive repeats the markers of rigid bodies
            self._check_names(name, head.names)
        first = {marker: head.columns[head.names.index(marker)] for marker in head.names}
        joints = self._positions(name, lines[head.rows:], [*first.values()])
        for title, person in self.persons(name, 'markers', joints, [*first]):
            yield from self.person(name, 'rows', title, person, rate, up=up,
                                   unit=UNITS.get(unit.lower()))

    def _trajectories(self, name, text) -> tuple[str, str | None]:
        """Return the table of markers in a file of Nexus, and its rate; else all and None."""
        if 'Sub Frame' not in text[:2**16]:
            return text, None
        found = _TRAJECTORIES.search(text)
        if not found:
            title = text.partition('\n')[0].strip(',;\t')
            raise self.error(name, 'tables', f'{title!r} and no Trajectories', 'a table called '
                             'Trajectories: export it with the others, or markers as C3D')
        rate, _, table = text[found.end():].lstrip('\n').partition('\n')
        return re.split(r'\n[\s,;]*\n', table)[0], rate.strip(' ,;\t')

    def _check_names(self, name, names):
        twice = next((marker for i, marker in enumerate(names) if marker in names[:i]), None)
        if twice is not None:
            raise self.error(name, 'markers', f'{twice!r} twice',
                             'each marker once: one recording in a file')

    def _positions(self, name, lines, places) -> np.ndarray:
        """Return positions (T, J, 3) of markers by the columns of x, NaN where missing."""
        lines = [line for line in lines if line.strip()]  # blank cells are a frame without markers
        while lines and not lines[-1].strip(' ,'):
            lines.pop()
        width = max(places) + 3
        lines = [line + ',' * (width - 1 - line.count(',')) for line in lines]
        columns = [place + axis for place in places for axis in range(3)]
        try:
            if not lines:
                raise ValueError('no row')
            values = read_rows(lines, columns).reshape(len(lines), -1, 3)
        except ValueError as error:
            raise self.error(name, 'rows', describe(error)[:300],
                             f'rows of numbers or blank cells, {width} or more') from None
        values[(values == 0).all(-1)] = np.nan
        return values


def _triples(axes: list[str]) -> list[int]:
    """Return the columns of X that Y and Z follow, and no W of a quaternion."""
    axes = [axis.strip().upper() for axis in axes]
    return [i for i in range(len(axes) - 2) if axes[i:i + 3] == ['X', 'Y', 'Z']
            and axes[i + 3:i + 4] != ['W']]


def _above(cells: list[list[str]]) -> _Head | None:
    """Find the names of markers above rows of X, Y, Z."""
    at = next((i for i, row in enumerate(cells) if len(_triples(row)) >= _LEAST), None)
    if not at:
        return None
    columns = _triples(cells[at])
    columns = [i for i in columns if not any(row[i:i + 1] == ['Rotation'] for row in cells[:at])]
    names = max(([*row, *[''] * len(cells[at])] for row in cells[:at]),
                key=lambda row: len({row[i] for i in columns} - {''}))
    columns = [i for i in columns if names[i]]
    rows = next((i for i in range(at + 1, len(cells)) if _NUMBER.fullmatch(cells[i][0])), at + 1)
    return _Head([names[i] for i in columns], columns, rows)


def _qualisys(cells: list[list[str]]) -> _Head | None:
    """Find the names of markers after MARKER_NAMES."""
    at = next((i for i, row in enumerate(cells) if row[0] == 'MARKER_NAMES'), len(cells))
    rows = next((i for i in range(at + 1, len(cells)) if len(cells[i]) > 1
                 and (not cells[i][0] or _NUMBER.fullmatch(cells[i][0]))), None)
    if rows is None:
        return None
    names = cells[at][1:]
    while names and not names[-1]:
        names.pop()
    # frame and time, each row of which has them without a row of titles, too
    before = 2 * (len(cells[rows]) - 3 * len(names) >= 2)
    columns = [i for i, name in enumerate(names) if name]
    return _Head([names[i] for i in columns], [before + 3 * i for i in columns], rows)
