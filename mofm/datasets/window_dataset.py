"""Base class of data sets of windows of annotations."""

import numpy as np

from .motion_dataset import MotionDataset


class WindowDataset(MotionDataset):
    """Base class of data sets of windows, stored as two integers each.

    A subclass implements :meth:`cut`, which also stores the required data of annotations, and
    :meth:`get_window`.

    Args:
        ann_file (str): Annotations, see :mod:`mofm.annotations.files`.
        **kwargs: Arguments of :class:`MotionDataset`. ``serialize_data`` has no effect.
    """

    def __init__(self, ann_file: str, **kwargs):
        super().__init__(ann_file, **{**kwargs, 'serialize_data': False})

    def cut(self, annotations: list[dict]) -> np.ndarray:
        """Cut the valid annotations of the split; the list may be emptied to save memory.

        Returns:
            np.ndarray: (N, 2) int32, index of a track or recording and start of the window.
        """
        raise NotImplementedError

    def get_window(self, number: int, start: int) -> dict:
        """Return a copy of the sample of one window.

        Args:
            number (int): Index of the track or recording.
            start (int): Start of the window.
        """
        raise NotImplementedError

    def load_data_list(self) -> np.ndarray:
        """Read and cut the annotations and return the windows (N, 2)."""
        return self.cut(self.read_annotations())

    def _get_unserialized_subset(self, indices) -> np.ndarray:
        """Return windows (N, 2) of ``indices``, see ``BaseDataset``."""
        return np.array(super()._get_unserialized_subset(indices), np.int32).reshape(-1, 2)

    def get_data_info(self, idx: int) -> dict:
        """Return a copy of one window.

        Args:
            idx (int): Index in [0, len(self)).

        Returns:
            dict: Sample of the window, see the class.
        """
        if not -len(self) <= idx < len(self):
            raise IndexError(f'index {idx} is out of range for {len(self)} windows')
        idx %= len(self.data_list)
        return dict(self.get_window(*self.data_list[idx].tolist()), sample_idx=idx)
