"""Markers in C3D files, the format of Vicon, Qualisys and others (https://www.c3d.org).

Read by the package ``c3d``, which is written in Python; ``ezc3d`` runs C++ code on the bytes of
the file. Labels are decoded here, because the package makes arrays as large as the file says.
"""
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import describe

from ..base import Item
from ..motion_capture import UNITS, NamedMotionCapture
from ..recognition import Sample


@SOURCES.register_module('c3d')
class C3D(NamedMotionCapture):
    """Reader of ``.c3d`` files, one recording each, or one for each person.

    Of files of Theia3D, which have segments as 4 x 4 matrices instead of markers, joints are the
    origins of the segments.

    Persons have the same labels after different prefixes, ``A:LASI`` and ``B:LASI``. Markers with
    a residual of -1, NaN or at the origin are missing. Unit, frame rate and vertical axis are
    those of ``POINT:UNITS``, ``POINT:RATE`` and ``POINT:Y_SCREEN``, if the file has them.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        **kwargs: Passed to :class:`NamedMotionCapture`; by default millimeters, z up.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
        ImportError: If ``c3d`` is not installed.
    """

    suffix = '.c3d'
    max_size = 2**28
    default_unit = .001
    default_up = 'z'

    def __init__(self, path: str | Path, **kwargs):
        _import_c3d()
        super().__init__(path, **kwargs)

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return 'a C3D header' if sample.suffix == '.c3d' and sample.head[1:2] == b'P' else None

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        try:
            with warnings.catch_warnings(), np.errstate(all='ignore'):
                warnings.simplefilter('ignore')  # those of the package about damaged files
                labels, unit, screen, rate, stated, points = _read(content)
        except Exception as error:  # the package raises many kinds for damaged bytes
            raise self.error(name, 'file', describe(error), 'a readable C3D file') from None
        if not len(points) or len(labels) < points.shape[1]:
            raise self.error(name, 'POINT', f'{len(points)} frames of {points.shape[1]} markers '
                             f'with {len(labels)} labels', 'at least one frame, and a label each')
        if len(points) < stated:
            self.note(name, 'the file ends before its last frame; the frames before are read')
        joints = points[..., :3].astype(np.float64)  # (T, J, 3)
        lost = (points[..., 3] < 0) | ~np.isfinite(joints).all(-1) | (joints == 0).all(-1)
        joints[lost] = np.nan
        axis = screen.lower().removeprefix('+')
        told = dict(unit=UNITS.get(unit.lower()),
                    up=axis if axis.lstrip('-') in tuple('xyz') else None)
        persons = self.persons(name, 'POINT:LABELS', joints, labels[:joints.shape[1]])
        for title, person in persons:
            yield from self.person(name, 'POINT', title, person, rate, **told)


def _import_c3d():
    try:
        import c3d
    except ImportError as error:
        raise ImportError('C3D files need the package c3d; install it with pip install '
                          '"mofm[sources]"') from error
    return c3d


def _open(content):
    class Reader(_import_c3d().Reader):
        """Rates of analog data do not matter where there are segments only."""

        def _check_metadata(self):
            if self.point_used or self.get('ROTATION:USED') is None:
                super()._check_metadata()

    return Reader(io.BytesIO(content))


def _read(content) -> tuple[list[str], str, str, float, int, np.ndarray]:
    """Return labels, unit, vertical axis, frame rate, number of frames, points (T, J, 5)."""
    reader = _open(content)
    told = (*(next(iter(_texts(reader, f'POINT:{key}')), '') for key in ('UNITS', 'Y_SCREEN')),
            float(reader.point_rate), reader.frame_count)
    if not reader.point_used:  # frames without bytes could be as many as the file says
        return _segments(reader, content, told)
    labels = _texts(reader, 'POINT:LABELS')
    while more := _texts(reader, f'POINT:LABELS{len(labels) // 255 + 1}'):  # 255 in each
        labels += more
    frames = [points for _, points, _ in reader.read_frames()]
    return labels, *told, np.stack(frames) if frames else np.zeros((0, 0, 5))


def _segments(reader, content, told):
    """Return the same of the origins of segments, the last columns of their matrices."""
    if reader.get('ROTATION:USED') is None:
        raise ValueError('no markers')
    found = (reader.get(f'ROTATION:{key}') for key in ('USED', 'DATA_START', 'RATIO'))
    count, start, ratio = (1 if param is None else param.int16_value for param in found)
    content = content[512 * (start - 1):]
    values = np.frombuffer(content[:len(content) // 4 * 4], '<f4')
    step = 17 * count * ratio  # 16 of a matrix by columns, and its residual
    if min(count, start, ratio) < 1 or len(values) < step or reader.proc_type != 'INTEL':
        raise ValueError(f'{count} segments in {len(values)} numbers of {reader.proc_type}')
    frames = min(reader.frame_count, len(values) // step)
    values = values[:frames * step].reshape(frames, ratio, count, 17)[:, 0]
    points = np.concatenate([values[..., 12:15], values[..., 16:], values[..., 16:]], -1)
    labels = [label.removesuffix('_4X4') for label in _texts(reader, 'ROTATION:LABELS')]
    return labels, *told, points


def _texts(reader, key) -> list[str]:
    """Return the texts of a parameter, empty if there are none."""
    param = reader.get(key)
    if param is None or not param.dimensions or not param.dimensions[0]:
        return []
    width, raw = param.dimensions[0], param.bytes
    return [raw[i:i + width].decode('latin-1').strip('\0 ') for i in range(0, len(raw), width)]
