"""Metrics of motion tokens: reconstruction, usage and prediction."""

import numpy as np
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric

from mofm.evaluation.functional import mean_statistic
from mofm.evaluation.measures import Reference, make_references
from mofm.registry import METRICS

_FOREGROUND = 0.3  # heat of a pixel near a joint


@METRICS.register_module()
class TokenizerMetric(BaseMetric):
    """Reconstruction quality and usage of the MotionBook.

    ``smooth_l1``: mean over all elements; ``iou``: pixels above 0.3 in both over those in either,
    summed over clips; ``tokens_used`` and ``perplexity`` of the tokens of occupied cubes;
    ``blank_smooth_l1``: smooth_l1 of an empty reconstruction, as a baseline.

    Args:
        vocab_size (int): V.
        collect_device, prefix: See :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'tokenizer'

    def __init__(self, vocab_size: int, collect_device: str = 'cpu',
                 prefix: str | None = None):
        super().__init__(collect_device, prefix)
        self.vocab_size = vocab_size

    def process(self, data_batch, data_samples):
        """Store errors, overlap and tokens of every clip."""
        for sample in data_samples:
            heat, rec = sample['heat'], sample['reconstruction']
            a, b = heat > _FOREGROUND, rec > _FOREGROUND
            ids = sample['tokens'][sample['occupied']].cpu().numpy()
            numbers = (F.smooth_l1_loss(rec, heat), F.smooth_l1_loss(rec * 0, heat), (a & b).sum(),
                       (a | b).sum())
            self.results.append((np.array([float(n) for n in numbers]), ids))

    def compute_metrics(self, results: list) -> dict:
        """Average over clips."""
        numbers = np.array([r[0] for r in results])
        counts = np.bincount(np.concatenate([r[1] for r in results]), minlength=self.vocab_size)
        share = counts[counts > 0] / max(counts.sum(), 1)
        both, either = numbers[:, 2:].sum(0)
        self._numbers = numbers
        return dict(
            smooth_l1=float(numbers[:, 0].mean()),
            blank_smooth_l1=float(numbers[:, 1].mean()),
            iou=float(both / max(either, 1)),
            tokens_used=int((counts > 0).sum()),
            perplexity=float(np.exp(-(share * np.log(share)).sum())))

    def references(self) -> dict[str, Reference]:
        """Compute the intervals over clips."""
        error, blank, both, either = self._numbers.T
        return make_references(
            dict(smooth_l1=mean_statistic(error), blank_smooth_l1=mean_statistic(blank),
                 iou=mean_statistic(both / np.maximum(either, 1), weight=either)),
            len(error), 'clips', dict(smooth_l1=float(blank.mean()), iou=0.))


@METRICS.register_module()
class MaskedTokenMetric(BaseMetric):
    """Accuracy at masked cubes, and of their most frequent token as a baseline."""

    default_prefix = 'masked'

    def process(self, data_batch, data_samples):
        """Store predicted and true tokens of every clip."""
        for sample in data_samples:
            self.results.append((sample['pred_tokens'].cpu().numpy(),
                                 sample['gt_tokens'].cpu().numpy()))

    def compute_metrics(self, results: list) -> dict:
        """Average over masked cubes."""
        self._right = np.array([((pred == gt).sum(), len(gt)) for pred, gt in results])
        pred, gt = (np.concatenate(part) for part in zip(*results, strict=True))
        self._majority = float(np.bincount(gt).max() / len(gt))
        return dict(acc=float((pred == gt).mean()), majority_acc=self._majority)

    def references(self) -> dict[str, Reference]:
        """Compute the interval over clips; chance is the most frequent token."""
        right, total = self._right.T
        return make_references(
            dict(acc=mean_statistic(right / np.maximum(total, 1), weight=total)), len(total),
            'clips', dict(acc=self._majority))
