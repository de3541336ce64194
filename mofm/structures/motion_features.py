"""Output of a backbone."""

from typing import NamedTuple

from torch import Tensor


class MotionFeatures(NamedTuple):
    """Features of a batch of clips.

    Attributes:
        tokens (Tensor): (B, K, D) after the final norm, zero where ``encoded`` is False.
        pooled (Tensor): (B, D), mean over the encoded tokens, or the class token.
        encoded (Tensor): (B, K) bool, cubes that took part in attention.
        frames (Tensor, optional): (B, T, D), evenly spaced over the clip. None if the features
            have no time axis, as those of thermal cubes.
    """

    tokens: Tensor
    pooled: Tensor
    encoded: Tensor
    frames: Tensor | None = None
