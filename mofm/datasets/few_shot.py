"""Training with a share of the labels."""

from collections.abc import Iterable, Sequence

import numpy as np

from mofm.registry import DATASETS
from mofm.utils.checks import is_number, require

from .motion_dataset import MotionDataset


def draw_labels(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw the indices of a share of the clips of each class, of at least one."""
    rng = np.random.default_rng(seed)
    parts = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        parts.append(rng.permutation(members)[:max(1, round(share * len(members)))])
    return np.concatenate(parts)


@DATASETS.register_module()
class FewShotDataset(MotionDataset):
    """Share of the clips of each class of a :class:`MotionDataset`, at least one.

    Args:
        ann_file (str): See :class:`MotionDataset`.
        share (float): Share of the clips, above 0 and at most 1.
        seed (int): Seed of the draw. Defaults to 0.
        **kwargs: Other arguments of :class:`MotionDataset`.

    Raises:
        ValueError: If the share is out of range.
    """

    def __init__(self, ann_file: str, share: float, seed: int = 0, **kwargs):
        require(is_number(share, 1e-9, 1), self, 'share', share, 'a number above 0, at most 1')
        self.share = share
        self.seed = seed
        super().__init__(ann_file, **kwargs)

    def load_data_list(self) -> list[dict] | np.ndarray:
        """Read the annotations and draw among them."""
        data = super().load_data_list()
        return data[self._drawn] if isinstance(data, np.ndarray) else [
            data[i] for i in self._drawn]

    def count(self, labels: Sequence[int], names: Iterable[str]):
        """Draw the clips, and count these."""
        names = list(names)
        self._drawn = np.sort(draw_labels(np.array(labels), self.share, self.seed))
        super().count([labels[i] for i in self._drawn], [names[i] for i in self._drawn])
