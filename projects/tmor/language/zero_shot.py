"""Zero-shot recognition of classes by their texts (arXiv 2606.21607, Sec. II-B and III-C)."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModule
from torch import Tensor

from mofm.evaluation.functional import Statistic, mean_statistic
from mofm.evaluation.measures import (
    MEASURES,
    Measure,
    Reference,
    count_unit,
    group_views,
    make_references,
)
from mofm.models.init_cfg import load_init_cfg
from mofm.registry import METRICS, MODELS
from mofm.structures import MotionFeatures

from ..contrast import losses, model  # noqa: F401
from .tables import FeatureTable

MEASURES.update({f'zero_shot/{key}': Measure(name) for key, name in dict(
    top1='Zero-shot accuracy', mean_class='Zero-shot mean class accuracy',
    unseen_top1='Accuracy of unseen classes among themselves',
    unseen_mean_class='Mean class accuracy of unseen classes among themselves',
    seen='Mean class accuracy of seen classes', unseen='Mean class accuracy of unseen classes',
    harmonic='Harmonic mean of seen and unseen').items()})
_TEMPERATURE = 0.07  # of the loss and of the softmax over cosines for ``pred_score``


@MODELS.register_module()
class ZeroShotHead(BaseModule):
    """Zero-shot head with the class scores ``cos(phi_m(motion), phi_t(text of the class))``.

    With video features ("Motion + Visual") the motion is the normalized mean of the normalized
    ``phi_m(motion)`` and ``phi_v(video)``.

    The projections are those of stage 2, ``init_cfg=dict(type='Pretrained', checkpoint=...,
    prefix='heads.')`` of a :class:`MotionContrast` with texts; or they are trained on the labels
    of seen classes, by L_mt (eq. 6 to 8) with the texts of the seen classes as keys.

    Args:
        class_table (str): Feature table of the texts of the classes.
        classes (Sequence[str], optional): Ids in the table, in the order of the labels. Defaults
            to all in the order of the table.
        num_seen (int): S; labels below S are seen classes, used in the loss. Defaults to 0, no
            training.
        visual_table (str, optional): Feature table of the videos of the samples, by
            ``frame_dir``.
        in_channels (int): Width of the motion features. Defaults to 256.
        out_channels (int): Width of the common space. Defaults to 128.
        hidden_channels (int, optional): Width of the first layer of the projections, see
            :class:`ProjectionHead`.
        init_cfg (dict, optional): Weights to start from.

    Attributes:
        classes (tuple[str]): Ids of the classes by label.

    Raises:
        AnnotationError: If a table cannot be read, or has no row for a class.
        ValueError: If there are fewer classes than ``num_seen``.
    """

    def __init__(self,
                 class_table: str,
                 classes: Sequence[str] | None = None,
                 num_seen: int = 0,
                 visual_table: str | None = None,
                 in_channels: int = 256,
                 out_channels: int = 128,
                 hidden_channels: int | None = None,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        table = FeatureTable.load(class_table)
        self.classes = tuple(classes or table.ids)
        texts = torch.from_numpy(table.lookup(self.classes)).float()  # (C, D)
        if not 0 <= num_seen <= len(texts):
            raise ValueError(f'num_seen: found {num_seen}, expected 0 to {len(texts)}, the number '
                             'of classes')
        self.register_buffer('texts', texts, persistent=False)
        self.num_seen = num_seen
        self.videos = visual_table and FeatureTable.load(visual_table)
        self.criterion = MODELS.build(dict(type='ClusterContrastLoss', temperature=_TEMPERATURE))

        def projection(channels):
            return MODELS.build(dict(type='ProjectionHead', in_channels=channels,
                                     out_channels=out_channels,
                                     hidden_channels=hidden_channels))

        self.motion = projection(in_channels)
        self.text = projection(texts.shape[1])
        if self.videos:
            self.visual = projection(self.videos.features.shape[1])

    def init_weights(self):
        """Load the weights of ``init_cfg``, if any, for all projections.

        Raises:
            ValueError: If the checkpoint lacks a projection, or its width differs.
        """
        if self.init_cfg:
            load_init_cfg(self)

    def forward(self, features: MotionFeatures, videos: Tensor | None = None) -> Tensor:
        """Compute the cosines of clips and classes.

        Args:
            features (MotionFeatures): Features of B clips.
            videos (Tensor, optional): (B, D) features of their videos.

        Returns:
            Tensor: (B, C) in [-1, 1].
        """
        motion = self.motion(features.pooled)
        if videos is not None:
            motion = F.normalize(motion + self.visual(videos), dim=1)
        return motion @ self.text(self.texts).T

    def loss(self, features: MotionFeatures, labels: Tensor) -> dict:
        """Compute L_mt for labels (B,) of seen classes.

        Raises:
            ValueError: If a label is not a seen class.
        """
        if int(labels.min()) < 0 or int(labels.max()) >= self.num_seen:
            raise ValueError(f'label: found {int(labels.min())}...{int(labels.max())}, expected '
                             f'0...{self.num_seen - 1}, those of seen classes; set num_seen of '
                             'the head and classes of the data set')
        keys = self.text(self.texts[:self.num_seen])
        others = labels[:, None] != torch.arange(self.num_seen, device=labels.device)
        return dict(loss_mt=self.criterion(self.motion(features.pooled), keys[labels], keys,
                                           others))

    def predict(self, features: MotionFeatures, data_samples: list) -> list:
        """Set ``pred_score`` (C,), which sums to 1, and ``pred_label``.

        The clips of a sample are averaged.

        Raises:
            AnnotationError: If a sample has no row in the table of videos.
        """
        videos = None
        if self.videos:
            rows = torch.from_numpy(self.videos.lookup([s.frame_dir for s in data_samples]))
            clips = len(features.pooled) // len(data_samples)
            videos = rows.to(features.pooled).repeat_interleave(clips, 0)
        cosine = self(features, videos)
        cosine = cosine.view(len(data_samples), -1, cosine.shape[1]).mean(1)
        for sample, score in zip(data_samples, (cosine / _TEMPERATURE).softmax(1),
                                 strict=True):
            sample.set_pred_score(score).set_pred_label(score.argmax())
        return data_samples


@METRICS.register_module()
class ZeroShotAccuracy(BaseMetric):
    """Accuracies with seen and unseen classes (Xian et al., arXiv 1707.00600, Sec. 4.2).

    ``top1`` and ``mean_class``, the mean over classes, include all samples and classes. With seen
    classes there are also zero-shot accuracies, ``unseen_top1`` and ``unseen_mean_class``, of the
    samples of unseen classes among these classes only; and generalized zero-shot accuracies among
    all classes, ``seen`` and ``unseen`` as means over classes, and their harmonic mean
    ``harmonic``.

    Args:
        num_seen (int): S; labels below S are seen classes. Defaults to 0.
        collect_device, prefix: See MMEngine.

    Raises:
        ValueError: In evaluation, if a label is out of range, or samples of seen or unseen classes
            are missing.
    """

    default_prefix = 'zero_shot'

    def __init__(self, num_seen: int = 0, collect_device: str = 'cpu', prefix: str | None = None):
        super().__init__(collect_device, prefix)
        self.num_seen = num_seen

    def process(self, data_batch, data_samples):
        """Store label and scores of every sample."""
        for sample in data_samples:
            self.results.append((int(sample['gt_label']),
                                 sample['pred_score'].float().cpu().numpy(),
                                 sample.get('frame_dir', '')))

    def compute_metrics(self, results: list) -> dict:
        """Compute the accuracies, in [0, 1]."""
        labels, scores, names = zip(*results, strict=True)
        self._labels, self._scores = np.array(labels), np.stack(scores)
        self._group = group_views(names)
        return accuracies(self._scores, self._labels, self.num_seen)

    def references(self) -> dict[str, Reference]:
        """Compute the intervals over clips, or over recordings if these have several views.

        Chance is one over the number of classes.
        """
        scores, labels, num_seen = self._scores, self._labels, self.num_seen
        num_classes = scores.shape[1]
        right = scores.argmax(1) == labels
        mean = partial(mean_statistic, group=self._group)
        statistics = dict(top1=mean(right), mean_class=mean(right, labels))
        chance = dict.fromkeys(('top1', 'mean_class', 'seen', 'unseen', 'harmonic'),
                               1 / num_classes)
        if num_seen:
            unseen = labels >= num_seen
            alone = num_seen + scores[:, num_seen:].argmax(1) == labels
            statistics |= dict(
                unseen_top1=mean(alone, weight=unseen),
                unseen_mean_class=mean(alone, labels, weight=unseen),
                seen=mean(right, labels, weight=~unseen),
                unseen=mean(right, labels, weight=unseen))
            statistics['harmonic'] = partial(_harmonic, statistics['seen'], statistics['unseen'])
            chance |= dict.fromkeys(('unseen_top1', 'unseen_mean_class'),
                                    1 / (num_classes - num_seen))
        num = self._group.max() + 1
        return make_references(statistics, num, count_unit(num, len(labels)), chance)


def accuracies(scores: np.ndarray, labels: np.ndarray, num_seen: int = 0) -> dict:
    """Compute the accuracies of :class:`ZeroShotAccuracy`.

    Args:
        scores (np.ndarray): (N, C), seen classes first.
        labels (np.ndarray): (N,).
        num_seen (int): S, the number of seen classes. Defaults to 0.

    Returns:
        dict: Value in [0, 1] by name.

    Raises:
        ValueError: See :class:`ZeroShotAccuracy`.
    """
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f'label: found {labels.min()}...{labels.max()}, expected '
                         f'0...{scores.shape[1] - 1}; set classes of the head')
    right = scores.argmax(1) == labels
    out = dict(top1=float(right.mean()), mean_class=_mean_class(right, labels))
    if num_seen:
        unseen = labels >= num_seen
        if unseen.all() or not unseen.any():
            raise ValueError(f'label: found {unseen.sum()} samples of unseen classes and '
                             f'{(~unseen).sum()} of seen ones, expected both; set num_seen')
        alone = num_seen + scores[unseen, num_seen:].argmax(1) == labels[unseen]
        out.update(unseen_top1=float(alone.mean()),
                   unseen_mean_class=_mean_class(alone, labels[unseen]),
                   seen=_mean_class(right[~unseen], labels[~unseen]),
                   unseen=_mean_class(right[unseen], labels[unseen]))
        total = out['seen'] + out['unseen']
        out['harmonic'] = 2 * out['seen'] * out['unseen'] / total if total else 0.
    return out


def _harmonic(seen: Statistic, unseen: Statistic, count: np.ndarray) -> np.ndarray:
    a, b = seen(count), unseen(count)
    return 2 * a * b / np.maximum(a + b, 1e-12)


def _mean_class(right: np.ndarray, labels: np.ndarray) -> float:
    """Average the accuracies of the classes that occur."""
    count = np.bincount(labels)
    return float((np.bincount(labels, right)[count > 0] / count[count > 0]).mean())
