"""Comparison table of models and tasks, with fake trainings."""

import json
import os
import subprocess
import sys

import pytest

from tests.test_tools.tool_runner import as_module


@pytest.fixture
def compare():
    """compare.py as a module."""
    with as_module('tools/analysis/compare.py') as module:
        yield module


@pytest.fixture
def trainings(compare, monkeypatch):
    """Commands so far; accuracy is 0.5 + seed / 10, and ``bad.py`` fails."""
    commands = []

    def run(command, stdout, stderr, env):
        assert env['MOFM_LAUNCHER'] == str(os.getpid())
        command = command[2:]
        commands.append(command)
        config, _, seed, _, folder, *_ = command
        log = f'{folder}/a/vis_data/scalars.json'
        lines = [dict(loss=1., lr=1., time=.1, step=1), {'acc/top1': .1, 'step': 1},
                 {'acc/top1': .5 + int(seed) / 10, 'step': 2}]
        compare.put_text('\n'.join(map(json.dumps, lines)), log)
        return subprocess.CompletedProcess(command, int('bad' in config))

    monkeypatch.setattr(compare.subprocess, 'run', run)
    return commands


def table(text):
    """Cells by their row's first two columns."""
    rows = (line.strip('| ').split(' | ') for line in text.splitlines() if line.startswith('|'))
    return {tuple(row[:2]): row[2:] for row in rows}


@pytest.fixture
def main(compare, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['compare.py', *map(str, arguments)])
        compare.main()
    return run


def test_compare_resumes_and_extends_its_table(tmp_path, main, trainings, config):
    """Mean and standard deviation; what is done is not trained again; a failure is no figure."""
    bad, spec, out = tmp_path / 'bad.py', tmp_path / 'spec.py', tmp_path / 'out'
    bad.write_text(config.read_text())
    spec.write_text(f"""
pretraining = dict(ours=[], theirs=[])
checkpoints = dict(ours='a.pth', theirs='b.pth')
tasks = {{'actions': dict(metric='acc/top1', scale=100,
                        configs=dict(ours={str(config)!r}, theirs={str(bad)!r}))}}
""")
    with pytest.raises(SystemExit, match='theirs/bad_seed0'):
        main(spec, '--out', out, '--seeds', 0)
    assert table((out / 'table.md').read_text())['actions', 'acc/top1'] == ['50.0', 'failed']
    assert len(trainings) == 2

    with pytest.raises(SystemExit, match='theirs/bad_seed1'):
        main(spec, '--out', out, '--seeds', 0, 1)
    assert len(trainings) == 5  # ours with seed 0 was done
    assert [command[-1][-5:] for command in trainings[:2]] == ['a.pth', 'b.pth']
    rows = table((out / 'table.md').read_text())
    assert rows['actions', 'acc/top1'][0] == '55.0 ± 7.1'
    parameters = float(rows['actions', 'ours'][0]) * 1e6
    assert 1e4 < parameters < 1e6
    record = json.loads((out / 'ours/dt1_seed1/comparison.json').read_text())
    assert record['metrics']['acc/top1'] == .6
    assert record['seconds'] >= 0


def test_training_ends_with_a_killed_comparison(config):
    training = ('import argparse, time; from mofm.launch import add_arguments, config_from_args;'
                'parser = argparse.ArgumentParser(); add_arguments(parser);'
                f'config_from_args(parser.parse_args([{str(config)!r}]));'
                'print("ready", flush=True); time.sleep(20); print("outlived")')
    comparison = ('import os, subprocess, sys;'
                  f'subprocess.run([sys.executable, "-c", {training!r}],'
                  ' env={**os.environ, "MOFM_LAUNCHER": str(os.getpid())})')
    with subprocess.Popen([sys.executable, '-c', comparison], stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout.readline() == 'ready\n'
        process.kill()
        assert not process.stdout.read()  # the end of the last process with this pipe
