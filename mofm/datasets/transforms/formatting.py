"""Packing of samples for the data preprocessor."""

import numpy as np
import torch
from mmaction.structures import ActionDataSample
from mmcv.transforms import BaseTransform

from mofm.registry import TRANSFORMS
from mofm.utils.checks import require


@TRANSFORMS.register_module()
class PackMotionInputs(BaseTransform):
    """Pack a sample for MMEngine's collate functions.

    Required key: ``keypoints``. Optional keys: ``mask``, ``heatmap``, ``label``.

    Args:
        meta_keys (Sequence[str]): Keys of the meta information of the data sample, if present.
            Defaults to ('frame_dir', 'sample_idx', 'img_shape', 'total_frames',
            'num_clips', 'flip', 'clip', 'track_id', 'frame', 'exemplar').

    Raises:
        ValueError: If ``keypoints`` is absent.
    """

    def __init__(self,
                 meta_keys: tuple = ('frame_dir', 'sample_idx', 'img_shape', 'total_frames',
                                     'num_clips', 'flip', 'clip', 'track_id', 'frame',
                                     'exemplar')):
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Return the packed sample.

        Returns:
            dict: ``inputs``, a dict of tensors: ``keypoints`` (M, J, F, 3) float32 and, if
            present, ``mask`` (K,) bool and ``heatmap`` (J, F, H, W) float32; ``data_samples``, an
            ``ActionDataSample`` with ``gt_label`` and the meta information.
        """
        require('keypoints' in results, self, 'keypoints', None,
                'keypoints on the canvas; add ThermalCubeFormat before it')
        inputs = {
            key: torch.from_numpy(np.ascontiguousarray(results[key]))
            for key in ('keypoints', 'mask', 'heatmap') if key in results
        }
        sample = ActionDataSample()
        for key in self.meta_keys:  # ``metainfo=...`` would copy every value
            if key in results:
                sample.set_field(results[key], key, field_type='metainfo')
        if 'label' in results:
            sample.gt_label = torch.tensor([results['label']])
        return dict(inputs=inputs, data_samples=sample)
