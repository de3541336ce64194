"""Charades: untrimmed videos of 157 actions at home (Sigurdsson et al., ECCV 2016).

``Charades_v1_train.csv`` and ``Charades_v1_test.csv`` have a line per video, among whose columns
are ``id``, ``actions`` (``c092 11.90 21.20;c147 0.00 12.60``, seconds) and ``length`` (seconds).
"""
import csv
import io
import re
from argparse import ArgumentParser
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.registry import SOURCES

from ..base import Item, image_size
from .tsu import UntrimmedVideos

_FILES = dict(train='Charades_v1_train.csv', test='Charades_v1_test.csv')
_ACTION = re.compile(r'c(\d{3}) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)')


@SOURCES.register_module('charades')
class Charades(UntrimmedVideos):
    """Reader of poses of Charades, splits ``train`` and ``test``.

    An annotation is a whole video with ``label`` 0 and ``segments``. Frame f of T is at second
    f * length / T, and belongs to an action if that is strictly between its start and its end.

    Args:
        path (str or Path): Folder or zip file with files whose names start with that of the
            video, e.g. ``YSKX3.json``: LCR-Net's JSON, or ``.npz`` with ``kpts`` (T, 17, 2) or
            (M, T, 17, 2) in the order of COCO. ``Charades_v1_train.csv`` and
            ``Charades_v1_test.csv`` are inside the path or next to it.
        img_shape (tuple[int, int]): Height and width of the frames that poses were estimated in.
            Defaults to (480, 640).
        **kwargs: ``strict`` of :class:`Source`.

    Raises:
        AnnotationError: If the path has no such files or a table is invalid.
    """

    classes = LABEL_NAMES['charades']
    companions = tuple(file.lower() for file in _FILES.values())
    video_name = re.compile(r'^[A-Z0-9]{5}')

    def __init__(self, path: str | Path, img_shape: tuple[int, int] = (480, 640),
                 **kwargs):
        super().__init__(path, **kwargs)
        self.img_shape = tuple(img_shape)
        #: Video -> split, seconds, and actions (N, 3): label, start and end in seconds.
        self.videos: dict[str, tuple[str, float, np.ndarray]] = {}
        for split, file in _FILES.items():
            self._read_table(split, file, self.companion(file))

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--image-size', dest='img_shape', type=image_size, default=(480, 640),
                            metavar='WIDTHxHEIGHT',
                            help='size of the frames that poses were estimated in')

    def _read_table(self, split: str, file: str, content: bytes):
        """Add the videos of a table."""
        csv.field_size_limit(self.largest)
        rows = csv.DictReader(io.StringIO(content.decode(errors='replace'), newline=''))
        try:
            missing = {'id', 'actions', 'length'} - set(rows.fieldnames or ())
            if missing:
                raise ValueError(f'no column {sorted(missing)[0]}')
            for row in rows:
                actions = _ACTION.findall(row['actions'])
                length = float(row['length'])
                if ';'.join(map('c{0[0]} {0[1]} {0[2]}'.format, actions)) != row['actions'] or (
                        not 0 < length < 1e6) or not self.video_name.fullmatch(row['id']):
                    raise ValueError(f'{row["id"]!r}, length {length}, actions '
                                     f'{row["actions"][:80]!r}')
                actions = np.array(actions, np.float64).reshape(-1, 3)
                if (actions[:, 0] >= len(self.classes)).any() or (actions[:, 1:] > 1e6).any():
                    raise ValueError(f'{row["id"]}: {row["actions"][:80]!r}')
                self.videos[row['id']] = split, length, actions
        except (ValueError, TypeError, csv.Error) as error:  # TypeError: too few fields
            raise self.error(file, f'line {rows.line_num}', error,
                             "columns id, length in seconds and actions 'c092 11.90 21.20;...' "
                             f'below c{len(self.classes)}') from None

    def read(self, name: str, content: bytes) -> Item:
        """See :meth:`Source.read`."""
        file = PurePosixPath(name or self.path.name)
        video = self.video_name.match(file.name)
        if video is None or video[0] not in self.videos:
            raise self.error(name, 'name', file.stem, 'a video of the tables as its prefix')
        split, length, actions = self.videos[video[0]]
        pose = dict(self.video_pose(name, content), img_shape=self.img_shape)
        rate = pose['total_frames'] / length
        first = np.floor(actions[:, 1] * rate) + 1
        last = np.minimum(np.ceil(actions[:, 2] * rate), pose['total_frames']) - 1
        segments = np.stack([actions[:, 0], first, last], 1).astype(np.int64)
        annotation = dict(frame_dir=video[0], label=0, **pose)
        segments = segments[first <= last]  # some are within a frame or after the end
        if len(segments):
            annotation['segments'] = segments
        return annotation, (split, )
