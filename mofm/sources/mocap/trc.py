"""Markers in TRC files, see :mod:`mofm.sources.trc_files`."""
from collections.abc import Iterator

from mofm.registry import SOURCES

from ..base import Item
from ..motion_capture import UNITS, NamedMotionCapture
from ..recognition import Sample
from ..trc_files import read_trc, recognize_trc


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
        return recognize_trc(sample, flat=False)

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        if self.listed(self.stem(name)) is None:
            return
        markers = read_trc(self, name, content)
        if markers.is_flat:
            raise self.error(name, 'rows', f'positions in 2D, in {markers.unit}',
                             'positions in 3D; the source trc_2d reads poses in 2D')
        joints = self.to_coco(name, 'markers', markers.positions, markers.names, self.joint_map)
        yield from self.person(name, 'rows', self.stem(name), joints, markers.fps,
                               unit=UNITS.get(markers.unit))
