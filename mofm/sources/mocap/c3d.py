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
from ..motion_capture import NamedMotionCapture
from ..recognition import Sample

_UNITS = {'mm': .001, 'cm': .01, 'dm': .1, 'm': 1, 'in': .0254, 'inch': .0254, 'inches': .0254}


@SOURCES.register_module('c3d')
class C3D(NamedMotionCapture):
    """Reader of ``.c3d`` files, one recording each, or one for each person.

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
        told = dict(unit=_UNITS.get(unit.lower()),
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


def _read(content) -> tuple[list[str], str, str, float, int, np.ndarray]:
    """Return labels, unit, vertical axis, frame rate, number of frames, points (T, J, 5)."""
    reader = _import_c3d().Reader(io.BytesIO(content))
    labels = _texts(reader, 'LABELS')
    while more := _texts(reader, f'LABELS{len(labels) // 255 + 1}'):  # 255 in each
        labels += more
    if not reader.point_used:  # frames without bytes could be as many as the file says
        raise ValueError('no markers')
    frames = [points for _, points, _ in reader.read_frames()]
    return (labels, *(next(iter(_texts(reader, key)), '') for key in ('UNITS', 'Y_SCREEN')),
            float(reader.point_rate), reader.frame_count,
            np.stack(frames) if frames else np.zeros((0, 0, 5)))


def _texts(reader, key) -> list[str]:
    """Return the texts of a parameter of the group POINT, empty if there are none."""
    param = reader.get(f'POINT:{key}')
    if param is None or not param.dimensions or not param.dimensions[0]:
        return []
    width, raw = param.dimensions[0], param.bytes
    return [raw[i:i + width].decode('latin-1').strip('\0 ') for i in range(0, len(raw), width)]
