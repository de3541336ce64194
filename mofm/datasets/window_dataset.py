"""Base class of data sets whose samples are windows of annotations."""

import numpy as np

from .motion_dataset import MotionDataset


class WindowDataset(MotionDataset):
    """Windows of annotations, two integers each.

    A subclass cuts the annotations in :meth:`cut`, keeps what it needs of them, and makes the
    sample of a window in :meth:`get_window`.

    Args:
        ann_file (str): Annotations, see :mod:`mofm.annotations.files`.
        **kwargs: Arguments of :class:`MotionDataset`. ``serialize_data`` has no effect.
    """

    def __init__(self, ann_file: str, **kwargs):
        super().__init__(ann_file, **{**kwargs, 'serialize_data': False})

    def cut(self, annotations: list[dict]) -> np.ndarray:
        """Cut the valid annotations of the split, which may be emptied on the way.

        Returns:
            np.ndarray: (N, 2) int32, number of a track or recording and where the window starts.
        """
        raise NotImplementedError

    def get_window(self, number: int, start: int) -> dict:
        """Sample of one window, a copy.

        Args:
            number (int): Number of the track or recording.
            start (int): Where the window starts.
        """
        raise NotImplementedError

    def load_data_list(self) -> np.ndarray:
        """Read and cut the annotations; returns the windows (N, 2)."""
        return self.cut(self.read_annotations())

    def _get_unserialized_subset(self, indices) -> np.ndarray:
        """Windows (N, 2) of ``indices``, see mmengine."""
        return np.array(super()._get_unserialized_subset(indices), np.int32).reshape(-1, 2)

    def get_data_info(self, idx: int) -> dict:
        """One window, a copy.

        Args:
            idx (int): Index in [0, len(self)).

        Returns:
            dict: See the head of the class.
        """
        if not -len(self) <= idx < len(self):
            raise IndexError(f'index {idx} is out of range for {len(self)} windows')
        idx %= len(self.data_list)
        return dict(self.get_window(*self.data_list[idx].tolist()), sample_idx=idx)
