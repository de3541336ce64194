"""Run the tools, on a few seconds of work."""

import io
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer

ROOT = Path(__file__).resolve().parents[2]


def environment(**variables) -> dict:
    """Environment of a tool: the Python of the tests, one thread a process."""
    return {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', **variables}


def run(*command, check=True, cwd=None, **variables) -> subprocess.CompletedProcess:
    """Run a command to its end; with ``check`` a failure shows what it printed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300,
                          cwd=cwd, env=environment(**variables))
    assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done


def python(tool, *arguments, **kwargs) -> subprocess.CompletedProcess:
    """Run one of ``tools/*.py`` in a process of its own."""
    return run(sys.executable, ROOT / 'tools' / tool, *arguments, **kwargs)


def here(tool, *arguments, check=True, **variables) -> subprocess.CompletedProcess:
    """Run one of ``tools/*.py`` in this process, where everything is imported."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    path = ROOT / 'tools' / tool
    for manager in (MMLogger, MessageHub, Visualizer):
        manager._instance_dict.clear()  # names hold the second, and two runs may share it
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.syspath_prepend(str(path.parent))
        patch.setattr(sys, 'argv', [str(path), *map(str, arguments)])
        for name, value in dict(variables, LOCAL_RANK='0').items():
            patch.setenv(name, value)
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int | None) else 1
            err.write(f'{stop.code}\n' if isinstance(stop.code, str) else '')
    done = subprocess.CompletedProcess([tool, *arguments], code or 0, out.getvalue(),
                                       err.getvalue())
    assert not check or not done.returncode, done.stdout[-2000:] + done.stderr[-4000:]
    return done


@contextmanager
def as_module(path) -> Iterator[ModuleType]:
    """A script as a module, which finds those beside it as if it were run."""
    path = ROOT / path
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path.parent))
        spec = spec_from_file_location(path.stem, path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


def bash(tool, *arguments, **kwargs) -> subprocess.CompletedProcess:
    """Run one of ``tools/*.sh``."""
    return run('bash', ROOT / 'tools' / tool, *arguments, **kwargs)


def metrics(work_dir: Path) -> dict:
    """Metrics that the last test in a work dir has written, without its times."""
    table = json.loads(max(work_dir.glob('*/*.json')).read_text())
    return {name: value for name, value in table.items() if name.startswith('acc/')}
