"""Heads on backbone features, one per file."""

from .anomaly_cls_head import AnomalyClsHead
from .cls_head import ActionClsHead
from .contrast_head import ContrastHead
from .jigsaw_head import JigsawHead
from .masked_token_head import MaskedTokenHead
from .one_shot_head import OneShotHead

__all__ = [
    'ActionClsHead', 'AnomalyClsHead', 'ContrastHead', 'JigsawHead', 'MaskedTokenHead',
    'OneShotHead'
]
