"""Trainings that are killed and resumed end as unbroken ones; kill_training.py has more kills."""

import sys

import pytest
import torch

from tests.test_tools.conftest import CONFIG
from tests.test_tools.kill_training import differences, kill_trainings, write_config

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(sys.platform != 'linux', reason='finds processes in /proc')]


def test_killed_trainings_end_as_the_unbroken_one(tmp_path):
    result = kill_trainings(write_config(tmp_path, CONFIG), tmp_path, kills=3, processes=1, seed=1)
    assert sum(result['kills'].values()) == 3
    assert result['trainings'] >= 1


def test_differences_are_found():
    """So that the comparison could fail."""
    one = dict(a=[1, dict(b=2)], c=(3, ))
    assert differences(one, one) == []
    assert differences(one, dict(a=[1, dict(b=4)], c=(3, ))) == ['.a.1.b']
    assert differences(one, dict(a=[1], c=(3, ))) == ['.a']
    assert differences(dict(a=.1), dict(a=.1 + 1e-7)) == []
    assert differences(dict(a=.1), dict(a=.101)) == ['.a']
    tensor = torch.linspace(-1, 1, 5)
    assert differences([tensor], [tensor + 1e-5]) == []
    assert differences([tensor], [tensor + 1e-2]) == differences([tensor], [tensor[1:]]) == ['.0']
