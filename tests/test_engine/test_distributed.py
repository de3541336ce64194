"""Two processes equal one: gradients and metrics."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.test_engine import two_processes
from tests.test_engine.two_processes import CASES

SCRIPT = Path(two_processes.__file__)
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two')
    (folder / 'masks').mkdir()
    np.save(folder / 'masks/a.npy', np.array([0, 1, 0, 0, 1, 1, 0], np.uint8))
    return folder


@pytest.fixture(scope='module')
def two(folder):
    """Results of both processes."""
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2',
         str(SCRIPT), str(folder)],
        capture_output=True, text=True, timeout=300, cwd=folder,
        env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stderr[-4000:]
    return [torch.load(folder / f'rank{i}.pth', weights_only=True) for i in range(2)]


def same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-6, atol=1e-6,
                                   msg=f'{name}: {{}}'.format)


@pytest.mark.parametrize('case', CASES)
def test_two_processes_have_gradients_of_one(two, case):
    """No parameter is left out, and none has a gradient of one process's own."""
    expected = two_processes.gradients(case)
    for process in two:
        same(process['gradients'][case], expected)
    grads = [expected[name] for name, p in CASES[case]()[0].named_parameters() if p.requires_grad]
    assert all(grad.isfinite().all() for grad in grads)
    assert any(grad.abs().max() > 1e-3 for grad in grads) == (case != 'nothing masked at all')


def test_two_processes_accumulation_synchronizes_once(two):
    """The gradient is that of the whole batch; the first of two backwards is not communicated."""
    alone, _ = two_processes.accumulated()
    whole = two_processes.gradients('classes')
    same(alone, {name: whole[name] for name in alone})
    for process in two:
        gradient, (first, second) = process['accumulated']
        same(gradient, alone)
        assert first == 0 < second


def test_two_processes_metrics_count_every_sample_once(two, folder):
    """7 samples: the sampler gives one of them twice."""
    alone = two_processes.metrics(folder)
    for process in two:
        assert process['metrics'].keys() == alone.keys()
        assert process['metrics'] == pytest.approx(alone)
    assert (folder / 'table2.csv').read_text() == (folder / 'table1.csv').read_text()
    twice = two_processes.metrics(folder, extra=(0, ))
    changed = {name.split()[0] for name in alone if twice[name] != alone[name]}
    assert changed == set('012345')  # the others are a table, and the lowest score of a frame
