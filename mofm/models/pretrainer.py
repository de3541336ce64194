"""MotionPretrainer: BERT on motion tokens (MoFM, Sec. 4.3; BEiT, arXiv 2106.08254)."""

from mmengine.model import BaseModel
from torch import Tensor

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

from .layers.teacher import TeacherMixin
from .precision import full_precision


@MODELS.register_module()
class MotionPretrainer(TeacherMixin, BaseModel):
    """Pre-training by prediction of the motion tokens of masked cubes from a frozen tokenizer.

    Args:
        backbone (dict): Encoder of thermal cubes.
        tokenizer (dict): Teacher, with ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        head (dict): T-Head.
        contrast (dict, optional): :class:`ContrastHead` in addition; the training clips have
            two views, see :class:`TwoViews`, of which the first is masked.
        data_preprocessor (dict, optional): Renderer of the clips.

    Raises:
        ValueError: If teacher and head differ in vocabulary, or teacher and backbone in cubes.

    Attributes:
        needs_mask (bool): Whether predictions need a mask of the pipeline.
    """

    needs_mask = True

    def __init__(self,
                 backbone: dict,
                 tokenizer: dict,
                 head: dict,
                 contrast: dict | None = None,
                 data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.build_teacher(tokenizer)
        self._teacher_ready = not self.tokenizer.init_cfg
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)
        self.contrast = contrast and MODELS.build(dict(contrast, backbone=self.backbone))
        if self.tokenizer.vocab_size != self.head.vocab_size:
            raise ValueError(f'vocab_size: found {self.tokenizer.vocab_size} in the tokenizer and '
                             f'{self.head.vocab_size} in the head, expected the same number')
        cubes = [(part.grid, part.segments) for part in (self.tokenizer, self.backbone)]
        if cubes[0] != cubes[1]:
            raise ValueError(f'cubes: found {cubes[0][0]} in {cubes[0][1]} segments in the '
                             f'tokenizer and {cubes[1][0]} in {cubes[1][1]} in the backbone, '
                             'expected the same')

    @property
    def tokenizer(self):
        """The teacher."""
        return self.teacher

    def init_weights(self):
        """Initialize backbone and head, and load the teacher."""
        super().init_weights()
        if not self.tokenizer.init_cfg:
            raise ValueError("tokenizer: found no init_cfg, expected init_cfg=dict(type="
                             "'Pretrained', checkpoint=PATH) of a trained tokenizer; train one "
                             'with tools/train.py configs/mofm/dved.py')
        self._load_teacher()

    def _load_teacher(self):
        if not self._teacher_ready:
            self.tokenizer.init_weights()
            self._teacher_ready = True

    def forward(self, inputs: ThermalCubes, mask: Tensor | None = None,
                data_samples: list | None = None, mode: str = 'tensor'):
        """Return losses ('loss'), samples ('predict') or :class:`MotionFeatures` ('tensor').

        Args:
            inputs (ThermalCubes): B clips; 2 B for 'loss' with contrast, two views in a row.
            mask (Tensor): (B, K) bool, from :class:`KeypointMaskGenerator`.
            data_samples (list, optional): One per clip.
            mode (str): 'loss', 'predict' or 'tensor'.
        """
        if mode == 'tensor':
            return self.backbone(inputs, mask)
        if mask is None:
            raise ValueError('mask: found none, expected (B, K); put KeypointMaskGenerator in the '
                             'pipeline between ThermalCubeFormat and PackMotionInputs')
        self._load_teacher()  # a test does not call init_weights
        contrast = self.contrast if mode == 'loss' else None
        if len(inputs) != len(mask) * (2 if contrast else 1):
            raise ValueError(f'inputs: found {len(inputs)} clips with {len(mask)} masks, expected '
                             + ('two views of each; add TwoViews to the pipeline' if contrast else
                                'one mask for each clip; TwoViews needs model.contrast'))
        views = None
        if contrast:
            inputs, views = inputs[0::2], inputs[1::2]
        ids = self.tokenizer.encode(inputs, mask)  # (N,)
        features = self.backbone(inputs, mask)
        tokens = features.tokens[mask]  # (N, D)
        if mode == 'loss':
            with full_precision(tokens):
                losses = self.head.loss(tokens, ids)
            if views is not None:
                losses.update(contrast(self.backbone, features.pooled, views))
            return losses
        counts = mask.sum(1).tolist()
        predicted = self.head(tokens).argmax(1)
        for sample, pred, gt in zip(data_samples,
                                    predicted.split(counts),
                                    ids.split(counts),
                                    strict=True):
            sample.set_field(pred, 'pred_tokens')
            sample.set_field(gt, 'gt_tokens')
        return data_samples
