"""Data set and transforms of 2D keypoints with SMPL parameters."""

from pathlib import Path

import numpy as np
import torch

from mofm.annotations import AnnotationError
from mofm.registry import DATASETS, TRANSFORMS

from ..lifting.datasets import ArrayWindowDataset
from ..lifting.files import KeypointSplit
from ..lifting.transforms import LiftingFlip, PackLiftingInputs
from .rotations import flip_axis_angle


@DATASETS.register_module()
class MeshDataset(ArrayWindowDataset):
    """Windows of videos or images with the SMPL parameters of the one person.

    The file, e.g. ``mesh_det_h36m.pkl`` of MotionBERT, is a pickle with one dict per split of
    concatenated videos: ``joint_2d`` (N, 17, 2) px, ``confidence`` (N, 17[, 1]) (1 if absent),
    ``smpl_pose`` (N, 72) axis-angle, ``smpl_shape`` (N, 10) and ``source`` (N), the video.

    The pipeline gets ``keypoint`` (T, 17, 2), ``keypoint_score`` (T, 17) in [0, 1], ``smpl_pose``
    (T, 24, 3), ``smpl_shape`` (T, 10), ``img_shape`` (h, w), ``source``, ``frame_inds`` (T,)
    within the split and ``sample_idx``.

    Args:
        ann_file (str): Pickle file; only arrays and plain containers are unpickled.
        split (str): Key of the split, ``'train'`` or ``'test'``.
        img_shape (tuple[int, int], optional): Height and width of all images. Defaults to those of
            the cameras in ``camera_name`` (N), see :class:`Human36MDataset`.
        **kwargs: Arguments of :class:`ArrayWindowDataset`.

    Raises:
        AnnotationError: If the file or a field is invalid.
    """

    def __init__(self, ann_file: str, split: str = 'train',
                 img_shape: tuple[int, int] | None = None, **kwargs):
        self.split = split
        self.img_shape = img_shape
        super().__init__(ann_file, **kwargs)

    def load_arrays(self) -> np.ndarray:
        """See the base class."""
        if not Path(self.ann_file).is_file():
            raise AnnotationError(
                f'{self.ann_file}: no such file; ann_file expects the mesh data of MotionBERT, '
                'https://github.com/Walter0807/MotionBERT/blob/main/docs/mesh.md')
        split = KeypointSplit(self.ann_file, self.split)
        self.arrays = dict(
            split.keypoints(), smpl_pose=split.numbers('smpl_pose', (72, )).reshape(-1, 24, 3),
            smpl_shape=split.numbers('smpl_shape', (10, )))
        self.arrays['keypoint_score'] = self.arrays['keypoint_score'].clip(0, 1)
        self.recordings = dict(
            source=split.sources, img_shape=split.img_shapes() if self.img_shape is None else
            [self.img_shape] * len(split.lengths))
        return split.lengths


@TRANSFORMS.register_module()
class MeshFlip(LiftingFlip):
    """Mirror normalized keypoints and SMPL poses.

    Modified keys: those of :class:`LiftingFlip` and ``smpl_pose`` (..., 24, 3). Shapes are
    symmetric.
    """

    def transform(self, results: dict) -> dict:
        """Flip all frames or none."""
        results = super().transform(results)
        if results['flip']:
            results['smpl_pose'] = flip_axis_angle(torch.from_numpy(results['smpl_pose'])).numpy()
        return results


@TRANSFORMS.register_module()
class PackMeshInputs(PackLiftingInputs):
    """Pack normalized keypoints and SMPL parameters.

    Required keys: those of :class:`PackLiftingInputs`, ``smpl_pose`` (T, 24, 3) and
    ``smpl_shape`` (T, 10).
    """

    def transform(self, results: dict) -> dict:
        """Pack a sample.

        Returns:
            dict: As in :class:`PackLiftingInputs`; ``inputs`` also with ``theta`` (1, T, 82).
        """
        packed = super().transform(results)
        pose = results['smpl_pose'].reshape(-1, 72)
        theta = np.concatenate([pose, results['smpl_shape']], 1, dtype=np.float32)
        packed['inputs']['theta'] = torch.from_numpy(theta[None])
        return packed
