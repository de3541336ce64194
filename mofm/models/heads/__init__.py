"""Heads on backbone features: one file a head."""

from .cls_head import ActionClsHead
from .masked_token_head import MaskedTokenHead

__all__ = ['ActionClsHead', 'MaskedTokenHead']
