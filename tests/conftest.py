"""Shared fixtures."""

import os
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

pytest_plugins = ['tests.tiny_models']
ROOT = Path(__file__).resolve().parents[1]
WORKERS: list[float] = []  # their CPU minutes
# The same examples every time: a failure comes from the change. A busy machine is none.
settings.register_profile('repeatable', derandomize=True, deadline=None)
settings.load_profile('repeatable')
torch.set_num_threads(1)  # small tensors; threads only get in each others way
# A shell's `&` ignores Ctrl-C, also in the tools that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """MMPose needs xtcocotools, whose wheel is built for NumPy 1."""
    for item in items:
        if 'mmpose' in getattr(item, 'fixturenames', ()):
            item.add_marker('numpy1')
            if np.lib.NumpyVersion(np.__version__) >= '2.0.0':
                item.add_marker(pytest.mark.skip(reason='xtcocotools is built for NumPy 1'))


def _cpu_minutes() -> float:
    """Processor time of this process and of what it has run."""
    return sum(os.times()[:4]) / 60


def pytest_sessionfinish(session):
    """Tell the main process what a worker has used."""
    if hasattr(session.config, 'workeroutput'):
        session.config.workeroutput['cpu_minutes'] = _cpu_minutes()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Collect what the workers have used; a crashed one does not tell."""
    WORKERS.append(getattr(node, 'workeroutput', {}).get('cpu_minutes', 0.))


def pytest_terminal_summary(terminalreporter):
    """Where the time went, by folder, and processor time."""
    seconds = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.split('::')[0].rsplit('/', 1)[0]] += report.duration
    if len(seconds) > 1:
        terminalreporter.section('minutes by folder')
        for folder, spent in seconds.most_common():
            terminalreporter.write_line(f'{spent / 60:6.2f} {folder}')
        terminalreporter.write_line(f'{sum(WORKERS) or _cpu_minutes():6.2f} CPU minutes of at '
                                    'most 16')


@pytest.fixture(scope='session')
def real_data():
    """Path of a file of the real data, or a skip that says where it was looked for."""
    folder = Path(os.environ.get('MOFM_DATA', ROOT.parent / 'shared/data'))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f'{name} is not in {folder}; set MOFM_DATA to a folder with it')
        return path

    return find
