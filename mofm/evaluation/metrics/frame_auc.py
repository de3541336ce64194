"""Frame-level AUC of anomaly detection from scores of per-person windows."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mofm.datasets.frame_labels import CLIPS_LEFT_OUT, read_frame_labels
from mofm.evaluation.functional import (
    auc_statistic,
    lowest_per_frame,
    mean_statistic,
    roc_auc,
    smooth,
)
from mofm.evaluation.measures import Reference, group_views, make_references
from mofm.registry import METRICS
from mofm.utils.files import atomic_write
from mofm.utils.names import file_stem

_NUM_THUMBNAILS = 5


@METRICS.register_module()
class FrameAUC(BaseMetric):
    """Frame-level AUC by the protocol of STG-NF (Hirschorn and Avidan, ICCV 2023).

    The score of a frame is the lowest normality of its windows over all persons. Frames without a
    window have the highest finite score of the data set. The scores of a clip are smoothed by a
    sequence of Gaussians (the default is nearly one of sigma sqrt(91) = 9.5).

    ``micro_auc`` concatenates the frames of all clips; ``raw_micro_auc`` is without smoothing.
    ``macro_auc`` is the mean over clips. To each clip an abnormal frame of the lowest and a normal
    frame of the highest score are added (0 and 1 if all scores are within), so that it is defined
    for clips with a single label (Georgescu et al., TPAMI 2021).

    Duplicate windows of a distributed test do not change the minimum.

    Args:
        gt (dict): Ground truth: ``type``, ``'shanghaitech'``, ``'ubnormal'``, ``'chad'``,
            ``'pheva'``, ``'poselift'`` or ``'annotations'``; ``path``; and options, see
            :mod:`mofm.datasets.frame_labels`.
        smoothing (Sequence[float]): Sigmas in frames; () for none.
        clips_left_out (Sequence[str] or str): Clips to exclude, or the name of a list of them:
            ``'hr_shanghaitech'``.
        out_dir (str, optional): Folder for ``scores.npz`` with the arrays ``<clip>/score`` (before
            smoothing), ``<clip>/smoothed`` and ``<clip>/label`` (True = abnormal). Invalid
            characters in the name of a clip become ``_``.
        collect_device, prefix: See :class:`mmengine.evaluator.BaseMetric`.

    Attributes:
        scores (dict): Clip -> arrays ``score``, ``smoothed`` and ``label``, (T,) each, after
            :meth:`compute_metrics`.
        file_names (dict): Clip -> its name in ``out_dir``.
        thumbnails (dict): Clip -> frame -> keypoints (J, 3) of the least normal person near the
            lowest minima; only with ``out_dir``.

    Raises:
        AnnotationError: If the ground truth cannot be read.
        ValueError: If an excluded clip or list is unknown; in :meth:`compute_metrics` if a window
            is outside the ground truth.
    """

    default_prefix = 'anomaly'

    def __init__(self,
                 gt: dict,
                 smoothing: Sequence[float] = (1, 2, 3, 4, 5, 6),
                 clips_left_out: Sequence[str] | str = (),
                 out_dir: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device, prefix)
        if isinstance(clips_left_out, str):
            if clips_left_out not in CLIPS_LEFT_OUT:
                raise ValueError(f'clips_left_out: found {clips_left_out!r}, expected a list of '
                                 f'clips or one of {sorted(CLIPS_LEFT_OUT)}')
            clips_left_out = CLIPS_LEFT_OUT[clips_left_out]
        labels = read_frame_labels(**gt)
        unknown = sorted(set(clips_left_out) - labels.keys())
        if unknown:
            raise ValueError(f'clips_left_out: {unknown[:5]} are not among the {len(labels)} clips'
                             f' of {gt["path"]}, e.g. {sorted(labels)[:3]}')
        self.path = gt['path']
        self.clips_left_out = set(clips_left_out)
        self.labels = {clip: labels[clip] for clip in sorted(labels.keys() - self.clips_left_out)}
        self.smoothing = tuple(smoothing)
        self.out_dir = out_dir and Path(out_dir)

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        """Store clip, frame and normality of every window, and keypoints (J, 3) for figures."""
        missing = {'clip', 'frame', 'normality'} - data_samples[0].keys()
        if missing:
            raise ValueError(f'data sample without {sorted(missing)}: expected windows of '
                             'TrackWindowDataset, PackMotionInputs with meta_keys clip and frame, '
                             'and a model that sets normality')
        normality = torch.stack([s['normality'] for s in data_samples]).double().cpu().tolist()
        for i, (sample, score) in enumerate(zip(data_samples, normality, strict=True)):
            points = None
            if self.out_dir:
                points = data_batch['inputs']['keypoints'][i]  # (..., M, J, F, 3)
                points = points[..., points.shape[-2] // 2, :].flatten(0, -3)[0].half().numpy()
            self.results.append((sample['clip'], int(sample['frame']), score, points))

    def compute_metrics(self, results: list) -> dict:
        """Compute the AUC over frames and write the scores to ``out_dir``."""
        names = self._names({r[0] for r in results})
        results = [(names[r[0]], *r[1:]) for r in results]
        results = [r for r in results if r[0] not in self.clips_left_out]
        start, index = self._locate(results)
        normality = np.array([r[2] for r in results], np.float64)
        raw = lowest_per_frame(index, normality, start[-1])
        seen = np.split(raw < np.inf, start[1:-1])
        without = [clip for clip, frames in zip(self.labels, seen, strict=True)
                   if not frames.any()]
        if without:
            print_log(f'{len(without)} of {len(seen)} clips have no window, so all their frames '
                      f'have the highest score, e.g. {without[:5]}', 'current', logging.WARNING)
        finite = raw[np.isfinite(raw)]
        if not len(finite):
            raise ValueError(f'{len(results)} windows without a finite score, expected at least '
                             'one')
        raw = np.clip(raw, finite.min(), finite.max())

        parts = np.split(raw, start[1:-1])
        self.scores = scores = {
            clip: dict(score=part, smoothed=smooth(part, self.smoothing), label=label)
            for (clip, label), part in zip(self.labels.items(), parts, strict=True)}
        smoothed = np.concatenate([s['smoothed'] for s in scores.values()])
        normal = ~np.concatenate(list(self.labels.values()))
        low, high = min(0, smoothed.min()), max(1, smoothed.max())
        self._macro = [
            roc_auc(np.r_[False, True, ~s['label']], np.r_[low, high, s['smoothed']])
            for s in scores.values()]
        print_log(f'{len(results)} windows on {sum(f.sum() for f in seen)} of {len(raw)} frames '
                  f'in {len(scores)} clips, {(~normal).sum()} frames abnormal', 'current')
        if self.out_dir:
            self._write(scores, results)
        return dict(micro_auc=roc_auc(normal, smoothed), macro_auc=float(np.mean(self._macro)),
                    raw_micro_auc=roc_auc(normal, raw))

    def references(self) -> dict[str, Reference]:
        """Compute the intervals over recordings, whose frames and views belong together.

        Chance of ``macro_auc`` is above 0.5, as two frames of each clip are ranked by definition.
        """
        arrays = list(self.scores.values())
        group = group_views(list(self.scores))
        frames = np.repeat(group, [len(a['label']) for a in arrays])
        normal = ~np.concatenate([a['label'] for a in arrays])
        statistics = {
            name: auc_statistic(normal, np.concatenate([a[kind] for a in arrays]), frames)
            for name, kind in (('micro_auc', 'smoothed'), ('raw_micro_auc', 'score'))}
        pairs = np.array([[a['label'].sum(), (~a['label']).sum()] for a in arrays])
        drawn = pairs.prod(1) / (pairs + 1).prod(1)  # share of pairs not ranked by definition
        chance = dict(micro_auc=.5, raw_micro_auc=.5, macro_auc=float(np.mean(1 - drawn / 2)))
        return make_references(
            dict(statistics, macro_auc=mean_statistic(self._macro, group=group)),
            group.max() + 1, 'recordings', chance)

    def _names(self, clips: set[str]) -> dict[str, str]:
        """Return the clip of the ground truth for each clip, whose name may have more folders.

        ``tools/data/prepare.py`` writes ``test/01`` if there is ``train/01``, too.
        """
        names, known = {}, self.labels.keys() | self.clips_left_out
        for clip in sorted(clips):
            parts = clip.split('/')
            ends = ('/'.join(parts[i:]) for i in range(len(parts)))
            names[clip] = next((end for end in ends if end in known), clip)
        count = Counter(names.values())
        twice = [clip for clip, name in names.items() if count[name] > 1]
        if twice:
            raise ValueError(f'{self.path}: found windows of the clips {twice[:5]}, expected one '
                             f'clip {names[twice[0]]!r}; select one split of the poses')
        return names

    def _locate(self, results):
        """Return the offsets of the clips (C + 1,) and the frame of every window."""
        length = np.array([len(label) for label in self.labels.values()])
        start = np.concatenate([[0], np.cumsum(length)])
        number = {clip: i for i, clip in enumerate(self.labels)}
        unknown = sorted({r[0] for r in results} - number.keys())
        if unknown:
            raise ValueError(f'{self.path}: no ground truth of {len(unknown)} clips with windows, '
                             f'e.g. {unknown[:5]}; it has e.g. {list(number)[:3]}')
        clip = np.array([number[r[0]] for r in results], np.int64)
        frame = np.array([r[1] for r in results], np.int64)
        beyond = (frame < 0) | (frame >= length[clip])
        if beyond.any():
            i = int(np.argmax(beyond))
            raise ValueError(
                f'{self.path}: clip {results[i][0]!r} has {length[clip[i]]} frames, but a window '
                f'is at frame {frame[i]} ({beyond.sum()} such windows in total); poses and ground '
                'truth must be of the same video, with frames from 0')
        return start, start[clip] + frame

    def _write(self, scores: dict[str, dict], results: list):
        """Write the scores of all clips and select the poses of their figures."""
        self.out_dir.mkdir(parents=True, exist_ok=True)
        used: dict[str, int] = {}
        self.file_names = names = {clip: file_stem(clip, used) for clip in scores}
        with atomic_write(self.out_dir / 'scores.npz') as file:
            np.savez_compressed(file, **{
                f'{names[clip]}/{kind}': array for clip, arrays in scores.items()
                for kind, array in arrays.items()})
        windows = {clip: [] for clip in scores}
        for clip, frame, score, points in results:
            windows[clip].append((score, frame, points))
        self.thumbnails = {clip: _thumbnails(arrays['smoothed'], windows[clip])
                           for clip, arrays in scores.items()}


def _thumbnails(smoothed: np.ndarray, windows: list) -> dict[int, np.ndarray]:
    """Return keypoints (J, 3) of the least normal person near the lowest minima by frame."""
    from scipy.signal import find_peaks

    minima, _ = find_peaks(np.pad(-smoothed, 1, constant_values=-np.inf),
                           distance=max(len(smoothed) / (2 * _NUM_THUMBNAILS), 1))
    minima = minima - 1
    minima = minima[np.argsort(smoothed[minima], kind='stable')][:_NUM_THUMBNAILS]
    frame = np.array([w[1] for w in windows], np.int64)
    score = np.array([w[0] for w in windows])
    out = {}
    for minimum in minima:
        near = np.flatnonzero(np.abs(frame - minimum) <= 10)  # about the width of the smoothing
        if len(near):
            lowest = near[np.argmin(score[near])]
            out[int(frame[lowest])] = np.asarray(windows[lowest][2], np.float32)
    return out
