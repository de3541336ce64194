"""Error metrics of meshes and their joints in mm (MotionBERT, arXiv 2210.06551, Sec. 4.5)."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mofm.registry import METRICS

from ..lifting.metrics import mpjpe, p_mpjpe

#: Indices of the 14 common joints in mesh recovery, layout ``h36m17``.
COMMON_JOINTS = (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)


@METRICS.register_module()
class MeshAccuracy(BaseMetric):
    """Root-aligned errors, averaged over frames.

    ``mpve`` of all vertices; ``mpjpe`` and, after Procrustes alignment of each frame,
    ``pa_mpjpe`` of the 14 common joints; ``mpjpe_17`` and ``pa_mpjpe_17`` of all joints.

    Samples need ``pred_vertices`` and ``gt_vertices`` (..., V, 3), ``pred_keypoints_3d`` and
    ``gt_keypoints_3d`` (..., 17, 3), in mm.

    Args:
        collect_device, prefix: As in MMEngine.

    Raises:
        ValueError: In a test, if a sample has no labels or a prediction is not finite.
    """

    default_prefix = 'mesh'

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        """Collect the errors (frames, 5) of every sample."""
        for sample in data_samples:
            name = sample.get('source', 'a sample')
            if 'gt_vertices' not in sample:
                raise ValueError(f'gt_vertices of {name!r}: found nothing, expected the true '
                                 'mesh; use a data set with smpl_pose and smpl_shape')
            roots = [sample[f'{kind}_keypoints_3d'][..., :1, :] for kind in ('pred', 'gt')]
            vertices = ((sample['pred_vertices'] - roots[0])
                        - (sample['gt_vertices'] - roots[1])).norm(dim=-1).mean(-1)
            errors = [vertices.flatten().double().cpu().numpy()]  # on the device: many vertices
            pred, target = (
                (sample[f'{kind}_keypoints_3d'] - root).flatten(0, -3).double().cpu().numpy()
                for kind, root in zip(('pred', 'gt'), roots, strict=True))  # (frames, 17, 3)
            for joints in (COMMON_JOINTS, range(17)):
                points = pred[:, joints], target[:, joints]
                errors += [mpjpe(*points), p_mpjpe(*points)]
            errors = np.stack(errors, -1)
            if not np.isfinite(errors).all():
                raise ValueError(f'pred_vertices of {name!r}: found NaN or infinite values, '
                                 'expected finite numbers')
            self.results.append(errors)

    def compute_metrics(self, results: list) -> dict:
        """Compute the mean errors in mm."""
        names = 'mpve', 'mpjpe', 'pa_mpjpe', 'mpjpe_17', 'pa_mpjpe_17'
        return dict(zip(names, np.concatenate(results).mean(0).tolist(), strict=True))
