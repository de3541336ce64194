"""Layers that backbones and tokenizers share."""

import pytest
import torch

from mofm.apis.profiling import flop_counter
from mofm.models.layers import linear as linear_layer
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


def test_conv3d_without_gradient_is_in_bfloat16():
    torch.manual_seed(0)
    conv, x = Conv3d(16, 16, (2, 4, 4), (2, 2, 2), (0, 1, 1)), torch.randn(3, 16, 4, 8, 8)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        y = conv(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), conv(x).detach(), rtol=.02, atol=.02)


@pytest.mark.parametrize('shape', [(40, 64), (4, 10, 64)])
def test_linear_by_onednn_equals_pytorch(monkeypatch, shape):
    monkeypatch.setattr(linear_layer, '_MIN_PRODUCTS', 1)
    torch.manual_seed(0)
    layer, x = linear_layer.Linear(64, 48), torch.randn(shape, requires_grad=True)
    results = []
    for faster in (True, False):
        monkeypatch.setattr(linear_layer, '_onednn_is_faster', lambda value=faster: value)
        with flop_counter() as counter:
            out = layer(x)
            out.square().sum().backward()
        results.append((out, x.grad, layer.weight.grad, layer.bias.grad))
        x.grad = layer.weight.grad = layer.bias.grad = None
        assert counter.get_total_flops() == 3 * 2 * 40 * 64 * 48
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
