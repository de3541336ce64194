"""Layers that backbones and tokenizers share."""

import pytest
import torch

from mofm.models.layers.conv3d import Conv3d


@pytest.mark.parametrize('shape', [(2, 2, 2), (2, 4, 4), (4, 2, 2)])
def test_conv3d_in_bfloat16_has_gradient_of_float32(shape):
    torch.manual_seed(0)
    conv, x = Conv3d(16, 16, 3, padding=1), torch.randn(300, 16, *shape)
    expected, = torch.autograd.grad(conv(x).square().mean(), conv.weight)
    for _ in range(3):
        with torch.autocast('cpu', torch.bfloat16):
            y = conv(x)
        found, = torch.autograd.grad(y.square().mean(), conv.weight)
        torch.testing.assert_close(found, expected, rtol=.1, atol=1e-3)
