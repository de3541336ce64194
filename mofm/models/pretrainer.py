"""MotionPretrainer: BERT on motion tokens (MoFM, Sec. 3.3; BEiT, arXiv 2106.08254)."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

from .precision import full_precision


@MODELS.register_module()
class MotionPretrainer(BaseModel):
    """Predict the motion tokens of masked cubes; a frozen tokenizer is the teacher.

    The teacher is not a submodule: it is in no optimizer, no checkpoint and no DDP bucket.

    Args:
        backbone (dict): Encoder of thermal cubes.
        tokenizer (dict): Teacher, with ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        head (dict): T-Head.
        data_preprocessor (dict, optional): Renders the clips.

    Raises:
        ValueError: If teacher and head have different vocabularies, or teacher and backbone
            different cubes.
    """

    def __init__(self,
                 backbone: dict,
                 tokenizer: dict,
                 head: dict,
                 data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        teacher = MODELS.build(tokenizer).requires_grad_(False).eval()
        self._teacher = [teacher]  # a list hides it from nn.Module
        self._teacher_ready = not teacher.init_cfg
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)
        if teacher.vocab_size != self.head.vocab_size:
            raise ValueError(f'vocab_size: found {teacher.vocab_size} in the tokenizer and '
                             f'{self.head.vocab_size} in the head, expected the same number')
        if teacher.grid != self.backbone.grid:
            raise ValueError(f'cubes: found {teacher.grid} in the tokenizer and '
                             f'{self.backbone.grid} in the backbone, expected the same')

    @property
    def tokenizer(self):
        """The frozen teacher."""
        return self._teacher[0]

    def _apply(self, fn, *args, **kwargs):
        self.tokenizer._apply(fn, *args, **kwargs)  # follows .to(device)
        return super()._apply(fn, *args, **kwargs)

    def init_weights(self):
        """Initialize backbone and head, load the teacher."""
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
        """Losses ('loss'), data samples ('predict') or :class:`MotionFeatures` ('tensor').

        Args:
            inputs (ThermalCubes): B clips.
            mask (Tensor): (B, K) bool, from :class:`KeypointMaskGenerator`.
            data_samples (list, optional): One per clip.
            mode (str): 'loss', 'predict' or 'tensor'.
        """
        if mode == 'tensor':
            return self.backbone(inputs, mask)
        if mask is None:
            raise ValueError('mask: found none, expected (B, K); put KeypointMaskGenerator in the '
                             'pipeline, between ThermalCubeFormat and PackMotionInputs')
        self._load_teacher()  # a test does not call init_weights
        ids = self.tokenizer.encode(inputs, mask)  # (N,)
        tokens = self.backbone(inputs, mask).tokens[mask]  # (N, D)
        if mode == 'loss':
            with full_precision(tokens):
                return self.head.loss(tokens, ids)
        counts = mask.sum(1).tolist()
        predicted = self.head(tokens).argmax(1)
        for sample, pred, gt in zip(data_samples,
                                    predicted.split(counts),
                                    ids.split(counts),
                                    strict=True):
            sample.set_field(pred, 'pred_tokens')
            sample.set_field(gt, 'gt_tokens')
        return data_samples

    @torch.no_grad()
    def extract_features(self, inputs: ThermalCubes):
        """:class:`MotionFeatures` without masking and gradient."""
        return self.backbone(inputs)
