"""Tables of 3D poses, a row per joint or per frame, in CSV and Parquet files."""
from collections.abc import Iterator

import numpy as np

from mofm.registry import SOURCES

from ..base import Item
from ..motion_capture import NamedMotionCapture
from ..pose_table import PoseTable, label_fields
from ..recognition import Sample
from ..table_files import SUFFIXES, recognize_table


@SOURCES.register_module('table_3d')
class Table3D(NamedMotionCapture):
    """Reader of tables with the columns of ``table`` and ``z``, or ``nose_z``, in meters, y up.

    The persons of a recording are together, with a row for each frame of the table.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        **kwargs: Passed to :class:`NamedMotionCapture`.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
    """

    suffix = SUFFIXES
    max_size = 2**29

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return recognize_table(sample, 'xyz')

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        for video in PoseTable(self, name, 'xyz').videos(content, self.stem(name)):
            listed = self.listed(video.name)
            if listed is None:
                continue
            if video.layout is None or self.joint_map:
                joints = self.to_coco(name, 'joint', video.values, video.names, self.joint_map)
            else:
                joints = self.from_layout(video.values, video.layout)
            frames, row = np.unique(video.frame, return_inverse=True)
            persons = np.unique(video.person)
            together = np.full((len(persons), len(frames), *joints.shape[1:]), np.nan)
            together[np.searchsorted(persons, video.person), row.ravel()] = joints
            ann = dict(frame_dir=video.name, label=listed[0], joints=np.stack([
                self.meters(name, 'x, y and z', person, self.unit, self.up or self.default_up)
                for person in together]))
            if (frames != np.arange(len(frames))).any():
                ann['frame_inds'] = frames
            if video.has_persons:
                ann['track_id'] = persons
            if self.fps or video.fps:
                ann['fps'] = float(self.fps or video.fps)
            labels = {} if self.lists else label_fields(video.labels, frames, frames)
            yield {**ann, **labels}, listed[1]
