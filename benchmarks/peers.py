"""Peers of the benchmarks: a reference implementation of pre-training, models of mmaction2.

The reference implementation follows the formulas of the paper, with the weights of our model.
"""

import math
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.dataset import Compose
from mmengine.hub import get_config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn

import mofm.compat  # noqa: F401  mmaction.models becomes importable
from mofm.models import MotionPretrainer
from mofm.models.layers.conv3d import Conv3d
from mofm.models.layers.linear import Linear

if not hasattr(np, 'Inf'):  # gone in NumPy 2, but read by mmaction2's PoseCompact
    np.Inf = np.inf


def to_pose_sample(annotation: dict) -> dict:
    """Add the fields of mmaction2's PoseDataset, with copies of the arrays."""
    return dict(
        annotation, modality='Pose', start_index=0,
        keypoint=annotation['keypoint'].astype(np.float32),
        keypoint_score=annotation['keypoint_score'].astype(np.float32))


@contextmanager
def layers_of_pytorch():
    """Compute convolutions and linear layers as PyTorch does."""
    with ExitStack() as patches:
        for ours in (Conv3d, Linear):
            patches.enter_context(patch.object(ours, 'forward', ours.__base__.forward))
        yield


class ReferencePretrainer(nn.Module):
    """Reference pre-training step on dense heat maps from the loader, in fp32.

    All cubes are embedded, attention is a softmax between two products, logits are computed at
    all positions, and AdamW updates the parameters one by one.

    Args:
        model (MotionPretrainer): Our model; the weights are shared.
        optimizer (dict): Arguments of AdamW.
    """

    def __init__(self, model: MotionPretrainer, **optimizer):
        super().__init__()
        self.teacher, self.backbone, self.head = model.tokenizer, model.backbone, model.head
        self.optimizer = torch.optim.AdamW(
            [*self.backbone.parameters(), *self.head.parameters()], foreach=False, **optimizer)

    def copy(self, batch: dict) -> tuple:
        """Copy heat (B, J, F, H, W) and mask (B, K) to the device."""
        device = self.head.fc.weight.device
        return batch['inputs']['heatmap'].to(device), batch['inputs']['mask'].to(device)

    @torch.no_grad()
    @layers_of_pytorch()
    def tokenize(self, volume: Tensor) -> Tensor:
        """Compute the token ids (B, K) of the teacher."""
        logits = self.teacher.to_logits(self.teacher.encoder(volume))  # (B, V, 1, rows, cols)
        return logits.argmax(1).flatten(1)

    @layers_of_pytorch()
    def embed(self, volume: Tensor) -> Tensor:
        """Embed all cubes, (B, K, D)."""
        b, j, f, h, w = volume.shape
        p = self.backbone.grid.patch
        cubes = volume.view(b, j, f, h // p, p, w // p, p).permute(0, 3, 5, 1, 2, 4, 6)
        cubes = cubes.reshape(-1, j, f, p, p)  # (B * K, J, F, p, p)
        return self.backbone.embed(cubes).view(b, -1, self.backbone.embed_dims)

    @layers_of_pytorch()
    def encode(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute tokens (B, K, D) after the final norm."""
        x = torch.where(mask[..., None], self.backbone.mask_token, x)
        x = x + self.backbone.pos_embed[:, :x.shape[1]]
        b, n, d = x.shape
        for block in self.backbone.blocks:
            qkv = block.qkv(block.norm1(x)).view(b, n, 3, block.num_heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, N, d)
            attention = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)
            x = x + block.proj((attention @ v).transpose(1, 2).reshape(b, n, d))
            x = x + block.fc2(F.gelu(block.fc1(block.norm2(x))))
        return self.backbone.norm(x)

    @layers_of_pytorch()
    def loss(self, tokens: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Compute the cross entropy of the masked positions."""
        logits = self.head.fc(tokens)  # (B, K, V)
        return F.cross_entropy(logits[mask], ids[mask])

    def forward(self, volume: Tensor, mask: Tensor) -> Tensor:
        """Compute the loss of a batch."""
        ids = self.tokenize(volume)
        tokens = self.encode(self.embed(volume), mask)
        return self.loss(tokens, ids, mask)

    def backward(self, loss: Tensor):
        """Compute gradients."""
        loss.backward()

    def update(self):
        """Update the weights."""
        self.optimizer.step()
        self.optimizer.zero_grad()

    def train_step(self, batch: dict):
        """Train on a collated batch."""
        self.backward(self(*self.copy(batch)))
        self.update()


class SkeletonModel:
    """Model of mmaction2 with its own config: pipeline, model and optimizer.

    Args:
        config (str): Path below ``configs/skeleton`` of mmaction2.
        num_classes (int): C.
        size (str): 'tiny' reduces clip and model like ours: 16 frames, 36x36 pixels, an eighth of
            the channels.
    """

    def __init__(self, config: str, num_classes: int, size: str):
        cfg = get_config(f'mmaction::skeleton/{config}')
        cfg.model.cls_head.num_classes = num_classes
        if size == 'tiny':
            self._reduce(cfg)
        with DefaultScope.overwrite_default_scope('mmaction'):
            self.transforms = Compose([TRANSFORMS.build(t) for t in cfg.train_pipeline])
            self.model = MODELS.build(cfg.model)
        self.optim_wrapper = dict(type='OptimWrapper', **cfg.optim_wrapper)

    @staticmethod
    def _reduce(cfg):
        for transform in cfg.train_pipeline:
            if transform.type == 'UniformSampleFrames':
                transform.clip_len = 16
            elif transform.get('scale') == (56, 56):
                transform.scale = (36, 36)
        backbone = cfg.model.backbone
        backbone.base_channels = backbone.get('base_channels', 64) // 8
        cfg.model.cls_head.in_channels //= 8

    def to(self, device: torch.device):
        """Move the model to the device and build the optimizer."""
        self.model.to(device).train()
        self.optim_wrapper = build_optim_wrapper(self.model, self.optim_wrapper)
        return self

    def pipeline(self, annotation: dict) -> dict:
        """Transform an annotation to a sample."""
        return self.transforms(to_pose_sample(annotation))


def posec3d(num_classes: int, size: str) -> SkeletonModel:
    """Build PoseConv3D (arXiv 2104.13586), SlowOnly-R50 on 48 frames of 56x56 pixels."""
    return SkeletonModel('posec3d/slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint.py',
                         num_classes, size)


def stgcn(num_classes: int, size: str) -> SkeletonModel:
    """Build ST-GCN (arXiv 1801.07455), joints of 100 frames and two persons."""
    return SkeletonModel('stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py',
                         num_classes, size)
