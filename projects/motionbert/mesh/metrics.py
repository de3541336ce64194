"""Error metrics of meshes and their joints in mm (MotionBERT, arXiv 2210.06551, Sec. 4.5)."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mofm.evaluation.functional import mean_statistic
from mofm.evaluation.measures import (
    MEASURES,
    Measure,
    Reference,
    group_views,
    make_references,
)
from mofm.registry import METRICS

from ..lifting.metrics import mpjpe, p_mpjpe

_NAMES = dict(
    mpve='Vertex error (MPVE)', mpjpe='Joint error (MPJPE, 14 joints)',
    pa_mpjpe='Joint error after alignment (PA-MPJPE, 14 joints)',
    mpjpe_17='Joint error (MPJPE, 17 joints)',
    pa_mpjpe_17='Joint error after alignment (PA-MPJPE, 17 joints)')
MEASURES.update({f'mesh/{key}': Measure(name, 'mm', 'lower') for key, name in _NAMES.items()})

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
            self.results.append((name, errors))

    def compute_metrics(self, results: list) -> dict:
        """Compute the mean errors in mm."""
        sources, errors = zip(*results, strict=True)
        self._source = np.repeat(sources, list(map(len, errors)))
        self._errors = np.concatenate(errors)
        return dict(zip(_NAMES, self._errors.mean(0).tolist(), strict=True))

    def references(self) -> dict[str, Reference]:
        """Compute the intervals over recordings, whose frames and views belong together."""
        videos, index = np.unique(self._source, return_inverse=True)
        group = group_views(videos)[index]
        return make_references(
            {name: mean_statistic(column, group=group)
             for name, column in zip(_NAMES, self._errors.T, strict=True)},
            group.max() + 1, 'recordings')
