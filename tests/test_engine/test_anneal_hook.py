"""Schedule of the anneal hook."""

import math

import pytest

from mofm.engine import AnnealHook
from mofm.registry import MODELS


def test_anneal_hook_follows_the_cosine():

    class Runner:
        iter, max_iters = 0, 11
        model = MODELS.build(dict(type='DVEDTokenizer', num_frames=8, canvas=24, hidden=8,
                                  vocab_size=8, temporal_strides=(4, 2)))

    tau = AnnealHook('tau', 1.0, 1 / 16)
    beta = AnnealHook('criterion.beta', 0., 1e-5, iters=6)
    for step in range(11):
        Runner.iter = step
        tau.before_train_iter(Runner, step)
        beta.before_train_iter(Runner, step)
        assert Runner.model.tau == pytest.approx(
            1 / 16 + (1 - 1 / 16) * (1 + math.cos(math.pi * step / 10)) / 2)
        if step >= 5:
            assert Runner.model.criterion.beta == pytest.approx(1e-5)
    with pytest.raises(AttributeError, match='temperature'):
        AnnealHook('temperature', 1, 0).before_train_iter(Runner, 0)
