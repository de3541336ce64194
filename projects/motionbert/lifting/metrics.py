"""Error metrics of 3D poses and the Human3.6M protocol.

MPJPE and its aligned and temporal variants, in the unit of the poses, usually mm (MotionBERT,
arXiv 2210.06551, Sec. 4.3; N-MPJPE: arXiv 1804.01110, Sec. 3.3; MPJVE: VideoPose3D, arXiv
1811.11742, Sec. 5; acceleration error: arXiv 1812.01601, Sec. 4).
"""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mofm.evaluation.functional import Statistic, mean_statistic
from mofm.evaluation.measures import (
    MEASURES,
    Measure,
    Reference,
    format_interval,
    group_views,
    make_references,
)
from mofm.registry import METRICS

MEASURES.update({
    'pose3d/mpjpe': Measure('Joint error (MPJPE)', 'mm', 'lower'),
    'pose3d/p_mpjpe': Measure('Joint error after alignment (P-MPJPE)', 'mm', 'lower'),
    'pose3d/n_mpjpe': Measure('Joint error at the best scale (N-MPJPE)', 'mm', 'lower'),
    'pose3d/mpjve': Measure('Velocity error (MPJVE)', 'mm/frame', 'lower'),
    'pose3d/acceleration': Measure('Acceleration error', 'mm/frame²', 'lower')})

#: Clips of Human3.6M with wrong labels; video names add ``_ca_<camera>``.
H36M_BLOCKED = ('s_09_act_05_subact_02', 's_09_act_10_subact_02', 's_09_act_13_subact_01')


def mpjpe(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Compute the mean per-joint position error of each frame, ``mean_j |p_j - t_j|``.

    Args:
        pred (np.ndarray): (..., J, 3), usually relative to the root.
        target (np.ndarray): Ground truth of the same shape.

    Returns:
        np.ndarray: (...). Published numbers are means over all frames, here and below.
    """
    return np.linalg.norm(pred - target, axis=-1).mean(-1)


def p_mpjpe(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Compute MPJPE after Procrustes alignment of each frame, without reflection.

    Args:
        pred (np.ndarray): (..., J, 3).
        target (np.ndarray): Ground truth of the same shape.

    Returns:
        np.ndarray: (...).
    """
    x = target - target.mean(-2, keepdims=True)
    y = pred - pred.mean(-2, keepdims=True)
    u, s, vt = np.linalg.svd(np.swapaxes(y, -1, -2) @ x)  # (..., 3, 3)
    mirrored = np.linalg.det(u @ vt) < 0
    s[mirrored, -1] *= -1  # the best rotation instead of a reflection
    vt[mirrored, -1] *= -1
    norm = (y**2).sum((-1, -2))
    scale = s.sum(-1) / np.where(norm > 0, norm, 1)
    return mpjpe(scale[..., None, None] * (y @ u @ vt), x)


def n_mpjpe(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Compute MPJPE at the best scale of each frame, ``sum <p, t> / sum |p|^2``.

    Args:
        pred (np.ndarray): (..., J, 3), relative to the root.
        target (np.ndarray): Ground truth of the same shape.

    Returns:
        np.ndarray: (...).
    """
    norm = (pred**2).sum((-1, -2))
    scale = (pred * target).sum((-1, -2)) / np.where(norm > 0, norm, 1)
    return mpjpe(scale[..., None, None] * pred, target)


@METRICS.register_module()
class PoseAccuracy3D(BaseMetric):
    """Errors of root-relative poses in mm by the Human3.6M protocol.

    Errors of frames in several clips are averaged. Values are means over actions of the means over
    their frames: ``mpjpe`` (protocol 1), ``p_mpjpe`` (protocol 2) and ``n_mpjpe`` in mm, and, over
    neighboring frames of a video, ``mpjve`` in mm/frame and ``acceleration`` in mm/frame^2.
    ``mpjpe_<action>`` and ``p_mpjpe_<action>`` are per action.

    Samples need ``pred_keypoints_3d`` (1, T, J, 3) in normalized units, ``norm_scale``, pixels per
    such unit, ``factor`` (T,), mm per pixel, ``target_3d`` (T, J, 3) mm, ``frame_inds`` (T,),
    unique over all videos, ``source`` and ``action``.

    Args:
        collect_device, prefix: As in MMEngine.

    Raises:
        ValueError: In a test, if a sample has no labels, a prediction is not finite or all clips
            are blocked.
    """

    default_prefix = 'pose3d'

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        """Collect the errors of every clip."""
        for sample in data_samples:
            source = sample['source']
            if 'target_3d' not in sample:
                raise ValueError(f'target_3d of {source!r}: found nothing, expected labels in mm; '
                                 'set test_mode=True of the data set')
            scale = sample['norm_scale'] * np.asarray(sample['factor'], float)[:, None, None]
            pred = sample['pred_keypoints_3d'][0].double().cpu().numpy() * scale  # (T, J, 3)
            if not np.isfinite(pred).all():
                raise ValueError(f'pred_keypoints_3d of {source!r}: found NaN or infinite values, '
                                 'expected finite numbers')
            pred = pred - pred[:, :1]
            target = np.asarray(sample['target_3d'], float)
            target = target - target[:, :1]
            errors = np.stack([metric(pred, target) for metric in (mpjpe, p_mpjpe, n_mpjpe)], 1)
            self.results.append((source, sample['action'], np.asarray(sample['frame_inds']),
                                 errors.astype(np.float32), (pred - target).astype(np.float32)))

    def compute_metrics(self, results: list) -> dict:
        """Compute the errors in mm."""
        results = [clip for clip in results if clip[0][:-6] not in H36M_BLOCKED]
        if not results:
            raise ValueError('samples: found none but those of blocked sources, expected others')
        source, action, frames, errors, difference = zip(*results, strict=True)
        actions, action = np.unique(action, return_inverse=True)
        video, action = (np.repeat(index, list(map(len, frames)))
                         for index in (np.unique(source, return_inverse=True)[1], action))
        order = np.argsort(np.concatenate(frames), kind='stable')
        frames, first, seen = np.unique(np.concatenate(frames)[order], return_index=True,
                                        return_counts=True)
        video, action = video[order][first], action[order][first]  # (F,)

        def mean_of_clips(values) -> np.ndarray:
            total = np.add.reduceat(np.concatenate(values)[order], first, dtype=float)
            return total / seen.reshape(-1, *[1] * (total.ndim - 1))

        errors = mean_of_clips(errors)
        every = np.arange(len(frames))
        parts = {name: (column, every)
                 for name, column in zip(('mpjpe', 'p_mpjpe', 'n_mpjpe'), errors.T, strict=True)}
        difference = mean_of_clips(difference)  # (F, J, 3); velocities are linear
        joined = (np.diff(frames) == 1) & (video[1:] == video[:-1])
        twice = joined[1:] & joined[:-1]
        zero = np.zeros(3)
        parts['mpjve'] = (mpjpe(np.diff(difference, axis=0)[joined], zero),
                          np.flatnonzero(joined) + 1)
        parts['acceleration'] = (mpjpe(np.diff(difference, 2, axis=0)[twice], zero),
                                 np.flatnonzero(twice) + 1)
        table = {}
        for name, (values, index) in parts.items():
            with np.errstate(invalid='ignore'):  # no neighboring frames
                table[name] = np.bincount(action[index], values, len(actions)) / np.bincount(
                    action[index], minlength=len(actions))
        self._parts, self._table, self._actions = parts, table, actions.tolist()
        self._video, self._action = group_views(np.unique(source))[video], action
        out = {name: float(np.nanmean(values)) for name, values in table.items()}
        out.update((f'{name}_{act}', value) for name in ('mpjpe', 'p_mpjpe')
                   for act, value in zip(self._actions, table[name].tolist(), strict=True))
        return out

    def _statistic(self, name: str, action: int | None = None) -> Statistic:
        """Make the statistic of an error, of all actions or of one."""
        values, index = self._parts[name]
        value, weight = np.zeros((2, len(self._video)))
        value[index], weight[index] = values, 1
        if action is not None:
            weight = weight * (self._action == action)
        return mean_statistic(value, self._action, self._video, weight)

    def _references(self, statistics: dict) -> dict[str, Reference]:
        return make_references(statistics, self._video.max() + 1, 'recordings')

    def references(self) -> dict[str, Reference]:
        """Compute the intervals over recordings, whose frames and views belong together."""
        return self._references({name: self._statistic(name) for name in self._parts})

    def tables(self) -> dict[str, tuple[list, list]]:
        """Return the errors per action: title -> head and rows, the worst first.

        Actions in one or two recordings have no intervals.
        """
        names = ('mpjpe', 'p_mpjpe')
        found = self._references({(name, i): self._statistic(name, i) for name in names
                                  for i in range(len(self._actions))})
        rows = []
        for i in np.argsort(-self._table['mpjpe']):
            here = self._action == i
            count = len(np.unique(self._video[here]))
            errors = (f'{self._table[name][i]:.1f} '
                      f'{format_interval(*found[name, i][:2], "mm") if count > 2 else ""}'.strip()
                      for name in names)
            rows.append([self._actions[i], here.sum(), count, *errors])
        return {'Actions': (['action', 'frames', 'recordings', 'MPJPE, mm', 'P-MPJPE, mm'], rows)}
