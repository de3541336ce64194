"""Data set and transforms of 2D keypoints with SMPL parameters."""

from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import force_full_init

from mofm.annotations import AnnotationError, file_error
from mofm.registry import DATASETS, TRANSFORMS

from ..lifting.datasets import ArrayWindowDataset
from ..lifting.files import count_frames, load_split, read_numbers, read_texts
from ..lifting.transforms import LiftingFlip, PackLiftingInputs
from .rotations import flip_axis_angle


@DATASETS.register_module()
class MeshDataset(ArrayWindowDataset):
    """Windows of videos or images with the SMPL parameters of the one person.

    The file, e.g. ``mesh_det_h36m.pkl`` of MotionBERT, is a pickle with one dict per split of
    concatenated videos: ``joint_2d`` (N, 17, 2) px, ``confidence`` (N, 17[, 1]),
    ``smpl_pose`` (N, 72) axis-angle, ``smpl_shape`` (N, 10) and ``source`` (N), the video.

    The pipeline gets ``keypoint`` (T, 17, 2), ``keypoint_score`` (T, 17) in [0, 1], ``smpl_pose``
    (T, 24, 3), ``smpl_shape`` (T, 10), ``img_shape`` (h, w), ``source``, ``frame_inds`` (T,)
    within the split and ``sample_idx``.

    Args:
        ann_file (str): Pickle file; only arrays and plain containers are unpickled.
        split (str): Key of the split, ``'train'`` or ``'test'``.
        img_shape (tuple[int, int], optional): Height and width of all images. Defaults to those of
            the Human3.6M cameras in ``camera_name`` (N).
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
        data, cameras = load_split(self.ann_file, self.split)
        file = f'{self.ann_file}: split {self.split!r}'
        count = count_frames(data, file)
        keypoint = read_numbers(data, 'joint_2d', file, [(count, 17, 2), (count, 17, 3)])
        self.keypoint = keypoint[..., :2]
        score = read_numbers(data, 'confidence', file, [(count, 17), (count, 17, 1)])
        self.score = score.reshape(count, 17).clip(0, 1)
        self.pose = read_numbers(data, 'smpl_pose', file, [(count, 72)]).reshape(count, 24, 3)
        self.shape = read_numbers(data, 'smpl_shape', file, [(count, 10)])
        source = read_texts(data, 'source', file, count)
        first = np.flatnonzero(np.r_[True, source[1:] != source[:-1]])
        lengths = np.diff(np.r_[first, count])
        self.video = np.repeat(np.arange(len(first), dtype=np.int32), lengths)
        self.sources = source[first]
        self.img_shapes = [self.img_shape] * len(first)
        if self.img_shape is None:
            names = read_texts(data, 'camera_name', file, count)[first].tolist()
            unknown = sorted(set(names) - set(cameras))
            if unknown:
                raise file_error(file, 'camera_name', repr(unknown[0]),
                             f'one of {sorted(cameras)}; or set img_shape')
            self.img_shapes = [cameras[name][::-1] for name in names]  # (h, w)
        return lengths

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Return a copy of one window."""
        frames = self.data_list[idx]
        video = self.video[frames[0]]
        return dict(
            keypoint=self.keypoint[frames], keypoint_score=self.score[frames],
            smpl_pose=self.pose[frames], smpl_shape=self.shape[frames],
            img_shape=self.img_shapes[video], source=str(self.sources[video]),
            frame_inds=frames.copy(), sample_idx=idx)


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
