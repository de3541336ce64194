"""Views of a sample for contrastive learning."""

import copy
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform, Compose

from mofm.registry import TRANSFORMS
from mofm.utils.checks import require


@TRANSFORMS.register_module()
class TwoViews(BaseTransform):
    """Create two views of a sample, which become its two clips.

    Both pipelines start from the same sample, or the second from ``other``, the sample of another
    camera (:class:`CameraPairDataset`). The entries ``keys`` of both are stacked to
    (2, ...), other entries are those of the query. Added key: ``num_clips``, 2.

    Args:
        query (Sequence[dict]): Transforms of the first view.
        key (Sequence[dict]): Transforms of the second view.
        keys (Sequence[str]): Entries to stack, if present. Defaults to ('keypoints', ), the
            result of :class:`ThermalCubeFormat`.

    Raises:
        ValueError: If the views have different shapes.
    """

    def __init__(self, query: Sequence[dict], key: Sequence[dict],
                 keys: Sequence[str] = ('keypoints', )):
        self.query, self.key = (Compose([TRANSFORMS.build(cfg) for cfg in pipeline])
                                for pipeline in (query, key))
        self.keys = tuple(keys)

    def transform(self, results: dict) -> dict:
        """Run both pipelines."""
        key = self.key(copy.copy(results.pop('other', results)))
        results = self.query(results)
        for name in self.keys:
            if name in results:
                shapes = results[name].shape, key[name].shape
                require(shapes[0] == shapes[1], self, name, shapes,
                        'two equal shapes; end both pipelines with the same persons and frames')
                results[name] = np.stack([results[name], key[name]])
        return dict(results, num_clips=2)
