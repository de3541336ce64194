"""Small clips and models."""

import pytest
import torch

from mofm.structures import CubeGrid, ThermalCubes

TINY = dict(num_frames=8, canvas=24, patch=4)


@pytest.fixture
def clips():
    """Function (batch, seed) to ThermalCubes of walking-point clips on the tiny grid."""

    def make(batch=2, seed=0, **kwargs):
        generator = torch.Generator().manual_seed(seed)
        start = torch.rand(batch, 1, 17, 1, 2, generator=generator) * 12 + 4
        step = torch.randn(batch, 1, 17, 8, 2, generator=generator) * 0.4
        points = torch.cat((start + step.cumsum(3), torch.ones(batch, 1, 17, 8, 1)), -1)
        return ThermalCubes(points, CubeGrid(**TINY), **kwargs)

    return make
