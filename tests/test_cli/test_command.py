"""The ``mofm`` command: its list, errors in one line, and entrances in ``tools/``."""

import pkgutil
import re
import subprocess
import sys
from importlib import import_module

import pytest

import mofm.cli
from mofm.cli import COMMANDS
from tests.test_tools.tool_runner import ROOT, environment, run

#: Packages that no list may wait for.
HEAVY = ('mmengine', 'numpy', 'torch')


@pytest.fixture
def mofm_command(monkeypatch, capsys):
    """Run the command in this process; returns what it exits with, output and errors."""
    def call(*words):
        monkeypatch.setattr(sys, 'argv', ['mofm', *map(str, words)])
        code = 0
        try:
            mofm.cli.main()
        except SystemExit as stop:
            code = stop.code
        return (code, *capsys.readouterr())

    return call


def test_every_module_is_a_listed_command():
    modules = {module.name for module in pkgutil.iter_modules(mofm.cli.__path__)}
    assert modules == set(COMMANDS)
    for name in COMMANDS:
        assert callable(import_module(f'mofm.cli.{name}').main), name


@pytest.mark.parametrize('name', COMMANDS)
def test_hint_goes_on_after_a_semicolon(name):
    hint = getattr(import_module(f'mofm.cli.{name}'), 'HINT', '')
    assert not hint or hint[0].isalpha()


def test_every_entrance_runs_a_listed_command():
    names = [match for path in (ROOT / 'tools').rglob('*.py')
             for match in re.findall(r"^    run_command\('(.+)'\)$", path.read_text(), re.M)]
    assert sorted(names) == sorted({*COMMANDS} - {'app', 'models', 'index', 'search', 'stream'})


def test_help_lists_commands_and_loads_no_heavy_package():
    code = ("import atexit, sys; from mofm.cli import main; sys.argv[1:] = ['--help']; "
            "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()")
    done = run(sys.executable, '-c', code)
    assert re.findall(r'^  (\w+) +\w', done.stdout.partition('commands:')[2], re.M) == [*COMMANDS]
    assert not set(HEAVY) & set(done.stderr.split())


def test_module_runs_as_a_command_with_its_name_in_messages():
    done = subprocess.run([sys.executable, '-m', 'mofm', 'publish'], capture_output=True,
                          text=True, env=environment(), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith('usage: mofm publish ')


def test_unknown_command_names_a_near_one(mofm_command):
    code, _, err = mofm_command('trian')
    assert code == 2
    assert err.endswith("mofm: error: found 'trian', expected train\n")


@pytest.mark.parametrize(('error', 'line'), [
    (ValueError('a.pkl: found 1'), 'error: a.pkl: found 1'),
    (RuntimeError('size 2\nof 3'), 'error: RuntimeError: size 2 (--debug shows the traceback)')])
def test_error_is_one_line_and_debug_shows_the_traceback(mofm_command, monkeypatch, error, line):
    def fail():
        raise error

    command = import_module('mofm.cli.publish')
    monkeypatch.setattr(command, 'main', fail)
    assert mofm_command('publish', 'a', 'b') == (line, '', '')
    for words in (('--debug', 'publish', 'a'), ('publish', 'a', '--debug')):
        with pytest.raises(type(error)):
            mofm_command(*words)
        assert sys.argv == ['mofm publish', 'a']


def test_debug_shows_the_cause_of_a_message(mofm_command, tmp_path):
    code, _, err = mofm_command('train', tmp_path / 'none.py')
    assert code.startswith(f'{tmp_path}/none.py: no such config')
    assert not err
    code, _, err = mofm_command('train', tmp_path / 'none.py', '--debug')
    assert code.startswith(f'{tmp_path}/none.py: no such config')
    assert 'FileNotFoundError' in err
    assert 'Traceback' in err
