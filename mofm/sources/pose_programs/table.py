"""Tables of 2D poses, a row per joint or per frame, in CSV and Parquet files."""

from collections.abc import Iterator

import numpy as np

from mofm.annotations.values import without_nan
from mofm.registry import SOURCES
from mofm.structures import convert

from ..base import Item
from ..per_frame_poses import FramePoses, FramePoseSource
from ..pose_table import PoseTable, label_fields
from ..recognition import Sample
from ..table_files import SUFFIXES, recognize_table


@SOURCES.register_module('table')
class Table(FramePoseSource):
    """Reader of tables, ``*.csv`` and ``*.parquet``: long, as MoFM writes them, or wide.

    Columns are ``frame``, ``joint`` (its name), ``x`` and ``y``; and if there are such, ``clip``
    (the video, by default the name of the file), ``track`` or ``person``, ``score`` (default: 1),
    ``label`` of the recording or of its frames, ``height`` and ``width`` of the image, and
    ``box_x1``, ``box_y1``, ``box_x2`` and ``box_y2``. Others are passed over. Empty cells and rows
    that are not there are missing joints. CSV files are separated by commas, semicolons (with
    decimal points or commas) or tabs.

    Wide tables have a row a frame and person, with columns like ``nose_x``, ``nose_y`` and maybe
    ``nose_score`` for each joint, see :mod:`mofm.sources.wide_columns`; also ``time``.
    """

    suffix = SUFFIXES

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return recognize_table(sample, 'xy')

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """See :meth:`FolderSource.annotations`; labels are those of the lists or of the table."""
        for item, splits in super().annotations(name, content):
            labels = None if self.lists else self._labels.get(item.get('clip', item['frame_dir']))
            inds = item.get('frame_inds', np.arange(item['total_frames']))
            yield {**item, **label_fields(*(labels or (None, inds)), inds)}, splits

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        (_, data), = content
        self._labels: dict[str, tuple] = {}  # of the frames of each recording
        for video in PoseTable(self, name, 'xy').videos(data, self.stem(name)):
            if video.layout is None or self.layout or self.joint_map:
                keypoint, score = self.to_layout_joints(name, 'joint', video.values, video.score,
                                                        (), video.names)
            else:  # the names say it
                keypoint, score = convert(*without_nan(video.values, video.score), video.layout,
                                          self.to_layout.name)
            frames = np.unique(video.frame)
            self._labels[video.name] = video.labels, frames
            yield FramePoses(video.name, frames, video.frame, keypoint, score,
                             video.person if video.has_persons else None, video.img_shape,
                             video.box, fps=video.fps)
