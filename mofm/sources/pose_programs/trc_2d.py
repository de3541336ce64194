"""Poses in 2D in TRC files of Sports2D (Pagnon and Kim, JOSS 2024), in pixels or meters."""
import re
from collections.abc import Iterator

import numpy as np

from mofm.registry import SOURCES

from ..motion_capture import UNITS
from ..per_frame_poses import FramePoses
from ..recognition import Sample
from ..trc_files import read_trc, recognize_trc
from .named_joints import NamedJoints

_SCALE = 400  # pixels a meter: that of a person who is half as high as an HD image


@SOURCES.register_module('trc_2d')
class TRC2D(NamedJoints):
    """Reader of ``.trc`` files whose z is 0 or never changes, one person each.

    Pixels have y down. Positions in meters, or another unit of length, have y up and become pixels
    of 1/400 m; beside a file in pixels of its name, as Sports2D writes both, they are passed over.
    """

    suffix = '.trc'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return recognize_trc(sample, flat=True)

    def find(self) -> list[str]:
        """List the files, without those in meters beside one in pixels."""
        files = super().find()
        copies = {file for file in files if (other := re.sub(r'_m(?=_person\d+\.)', '_px', file))
                  != file and other in files}
        if copies:
            self.note(min(copies), 'files in meters are passed over beside those in pixels')
        self.members = {name: files for name, files in self.members.items() if name not in copies}
        return sorted(self.members)

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        (_, data), = content
        markers = read_trc(self, name, data)
        if not markers.is_flat:
            raise self.error(name, 'rows', 'positions in 3D', 'z of 0; the source trc reads 3D')
        points = markers.positions[..., :2]
        if markers.unit in UNITS:
            self.note(name, f'positions become pixels, {_SCALE} a meter, y down')
            low, high = (limit(points, (0, 1)) for limit in (np.nanmin, np.nanmax))
            points = np.stack([points[..., 0] - low[0], high[1] - points[..., 1]], -1)
            points *= _SCALE * UNITS[markers.unit]
        frames = np.arange(len(points))
        video = self.video(name, self.stem(name), markers.names, frames, points[:, None],
                           np.ones((len(points), 1, len(markers.names))))
        yield video._replace(fps=markers.fps)
