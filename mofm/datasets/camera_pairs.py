"""Clips of one recording in two cameras, for contrastive learning."""

import re

import numpy as np

from mofm.registry import DATASETS

from .motion_dataset import MotionDataset


@DATASETS.register_module()
class CameraPairDataset(MotionDataset):
    """Clips with the clip of a random camera of the same recording, the first one included.

    Cameras are those of 3D data (``--views`` of ``tools/data/prepare.py``), whose clips are named
    ``NAME_v0``, ``NAME_v1``, ... A clip without another camera is paired with itself.

    The pipeline gets the second clip in ``other``, see :class:`TwoViews`.

    Args:
        *args, **kwargs: See :class:`MotionDataset`.
    """

    def full_init(self):
        """Load the annotations and find the cameras of each recording."""
        if self._fully_initialized:
            return
        super().full_init()
        names = [super(CameraPairDataset, self).get_data_info(i)['frame_dir']
                 for i in range(len(self) // self.repeat)]
        recordings = [re.sub(r'_v\d+$', '', name) for name in names]
        _, recording, count = np.unique(recordings, return_inverse=True, return_counts=True)
        # clips in the order of the recordings; each recording is a slice
        self._clips, self._recording = recording.argsort(kind='stable'), recording
        self._ends = count.cumsum()

    def get_data_info(self, idx: int) -> dict:
        """See :meth:`MotionDataset.get_data_info`; with ``other``."""
        info = super().get_data_info(idx)
        number = self._recording[idx % len(self._recording)]
        first = self._ends[number - 1] if number else 0
        cameras = self._clips[first:self._ends[number]]
        return dict(info, other=super().get_data_info(int(np.random.choice(cameras))))
