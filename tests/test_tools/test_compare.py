"""Comparison table of models and tasks, with fake trainings."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from mmengine.config import DictAction

from mofm.utils.config import load_config
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

    monkeypatch.setattr(compare, 'subprocess', SimpleNamespace(run=run))
    return commands


@pytest.fixture
def free(compare, monkeypatch):
    """Parameters and FLOPs are not counted."""
    monkeypatch.setattr(compare, 'cost', lambda *_: dict(parameters=1, flops=1))


def rows(text):
    """Cells of the rows of both tables by their first cell, or two of the second table."""
    found = {}
    for part, keys in zip(text.split('\n\n')[1:], (1, 2), strict=True):
        for line in part.splitlines():
            cells = line.strip('| ').split(' | ')
            found[cells[0] if keys == 1 else tuple(cells[:2])] = cells[keys:]
    return found


@pytest.fixture
def main(compare, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['compare.py', *map(str, arguments)])
        compare.main()
    return run


@pytest.fixture
def spec(tmp_path, config):
    """Two models on one task; that of the second fails."""
    bad, path = tmp_path / 'bad.py', tmp_path / 'spec.py'
    bad.write_text(config.read_text())
    path.write_text(f"""
pretraining = dict(ours=[], theirs=[])
checkpoints = dict(ours='a.pth')
options = dict(theirs={{'optim_wrapper.optimizer.lr': 2e-3}})
tasks = {{'actions': dict(metric='acc/top1', scale=100,
                        configs=dict(ours={str(config)!r}, theirs={str(bad)!r}))}}
""")
    return path


def test_compare_resumes_and_extends_its_table(tmp_path, main, trainings, spec):
    """Mean and standard deviation; what is done is not trained again; a failure is no figure."""
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match='theirs/bad_seed0'):
        main(spec, '--out', out, '--seeds', 0)
    found = rows((out / 'table.md').read_text())
    assert found['model'] == ['actions, acc/top1']
    assert (found['ours'], found['theirs']) == (['50.0'], ['failed'])
    assert len(trainings) == 2

    with pytest.raises(SystemExit, match='theirs/bad_seed1'):
        main(spec, '--out', out, '--seeds', 0, 1)
    assert len(trainings) == 5  # ours with seed 0 was done
    assert [command[7:] for command in trainings[:2]] == [
        ['train_cfg.val_interval=2', 'model.backbone.init_cfg.checkpoint=a.pth'],
        ['train_cfg.val_interval=2', 'optim_wrapper.optimizer.lr=0.002']]
    found = rows((out / 'table.md').read_text())
    assert found['ours'] == ['**55.0 ± 7.1**']
    parameters = float(found['actions', 'ours'][0]) * 1e6
    assert 1e4 < parameters < 1e6
    results = json.loads((out / 'results.json').read_text())
    record = results['tasks']['actions']['models']['ours']['records'][1]
    assert (record['seed'], record['epochs'], record['values']) == (1, [1, 2], [.1, .6])
    assert record['seconds'] >= 0


def test_results_of_several_runs_give_the_table_of_one(tmp_path, main, trainings, spec, free):
    """Parts by seed, and no training; the plot is drawn from the same file."""
    for seed in (0, 1):
        main(spec, '--out', tmp_path / f'part{seed}', '--seeds', seed, '--models', 'ours')
    main(spec, '--out', tmp_path / 'whole', '--seeds', 0, 1, '--tasks', 'act', '--models', 'ours')
    count = len(trainings)
    assert count == 4
    main('--out', tmp_path / 'joined', '--from', *(tmp_path / f'part{seed}/results.json'
                                                   for seed in (0, 1)))
    assert len(trainings) == count
    found, expected = (rows((tmp_path / name / 'table.md').read_text())
                       for name in ('joined', 'whole'))
    assert found['ours'] == expected['ours'] == ['**55.0 ± 7.1**']
    assert 'theirs' not in found
    assert (tmp_path / 'joined/budget.png').stat().st_size > 1000
    with pytest.raises(SystemExit, match="--models: found 'out', expected some of ours, theirs"):
        main(spec, '--out', tmp_path, '--models', 'out')


def test_results_are_drawn_for_some_tasks_and_models(tmp_path, main, trainings, spec, free):
    main(spec, '--out', tmp_path, '--seeds', 0, '--models', 'ours')
    results = json.loads((tmp_path / 'results.json').read_text())
    task = results['tasks']['actions']
    task['models']['theirs'] = dict(task['models']['ours'])
    results['tasks']['falls'] = task
    (tmp_path / 'all.json').write_text(json.dumps(results))
    source = ('--out', tmp_path / 'part', '--from', tmp_path / 'all.json')
    main(*source)
    assert rows((tmp_path / 'part/table.md').read_text())['ours'] == ['50.0', '50.0']
    main(*source, '--models', 'theirs', '--tasks', 'fal')
    text = (tmp_path / 'part/table.md').read_text()
    assert rows(text)['theirs'] == ['50.0']
    assert 'ours' not in rows(text)
    assert 'actions' not in text
    with pytest.raises(SystemExit, match="--tasks: found 'run', expected some of actions, falls"):
        main(*source, '--tasks', 'run')


def test_seeds_and_split_of_results_cannot_be_changed(main, capsys):
    with pytest.raises(SystemExit):
        main('--from', 'results.json', '--split', 'val')
    assert 'seeds and split are those of the results' in capsys.readouterr().err


@pytest.mark.parametrize(('path', 'value', 'message'), [
    (['split'], 'val', 'split: found test and val'),
    (['tasks', 'actions', 'metric'], 'acc/mean1', 'actions: metric: found acc/top1 and acc/mean1'),
    (['tasks', 'actions', 'models', 'ours', 'options'], {'a': 1},
     'actions, ours: options: found {} and .*a.*, expected the same')])
def test_results_of_other_trainings_are_not_joined(tmp_path, main, trainings, spec, free, path,
                                                   value, message):
    main(spec, '--out', tmp_path, '--seeds', 0, '--models', 'ours')
    results = json.loads((tmp_path / 'results.json').read_text())
    *parents, last = path
    part = results
    for name in parents:
        part = part[name]
    part[last] = value
    (tmp_path / 'other.json').write_text(json.dumps(results))
    with pytest.raises(SystemExit, match=message):
        main('--out', tmp_path / 'out', '--from', tmp_path / 'results.json',
             tmp_path / 'other.json')


@pytest.mark.parametrize(('text', 'message'), [
    ('{', 'r.json: Expecting'), ('{"a": 1}', 'r.json: found a, expected date, split'),
    ('[]', 'r.json: found no key')])
def test_results_of_another_program_are_named(tmp_path, main, text, message):
    (tmp_path / 'r.json').write_text(text)
    with pytest.raises(SystemExit, match=message):
        main('--out', tmp_path / 'out', '--from', tmp_path / 'r.json')


def test_metric_that_no_training_has_ends_the_comparison_at_the_first(tmp_path, main, trainings,
                                                                      spec, free):
    spec.write_text(spec.read_text().replace('acc/top1', 'acc/top_1'))
    with pytest.raises(SystemExit, match="metric: found 'acc/top_1', expected one of acc/top1"):
        main(spec, '--out', tmp_path, '--seeds', 0, 1, '--models', 'ours')
    assert len(trainings) == 1
    spec.write_text(spec.read_text().replace('acc/top_1', 'acc/top1'))
    main(spec, '--out', tmp_path, '--seeds', 0, '--models', 'ours')
    assert len(trainings) == 1
    assert rows((tmp_path / 'table.md').read_text())['ours'] == ['50.0']


def test_failed_trainings_alone_still_give_a_table(tmp_path, main, trainings, spec, free):
    with pytest.raises(SystemExit, match='theirs/bad_seed0'):
        main(spec, '--out', tmp_path, '--seeds', 0, '--models', 'theirs')
    assert rows((tmp_path / 'table.md').read_text())['theirs'] == ['failed']
    main('--out', tmp_path, '--from', tmp_path / 'results.json')


def test_results_are_kept_after_every_training(tmp_path, compare, main, trainings, spec, free,
                                               monkeypatch):
    """The machine is lost in the second training."""
    ours = compare.train

    def train(config, seed, *args):
        if seed:
            raise KeyboardInterrupt
        return ours(config, seed, *args)

    monkeypatch.setattr(compare, 'train', train)
    with pytest.raises(KeyboardInterrupt):
        main(spec, '--out', tmp_path, '--models', 'ours')
    main('--out', tmp_path, '--from', tmp_path / 'results.json')
    assert rows((tmp_path / 'table.md').read_text())['ours'] == ['50.0']


def test_minutes_of_a_training_begun_without_the_tool_are_those_of_its_log(
        tmp_path, compare, trainings, config):
    """Ten iterations of 0.5 s and ten of 2 s; a folder without a log has none."""
    lines = [dict(lr=1., time=.5, step=10), {'acc/top1': .1, 'time': 9., 'step': 1},
             dict(lr=1., time=2., step=20)]
    for name in ('begun', 'empty'):
        (tmp_path / name).mkdir()
    compare.put_text('\n'.join(map(json.dumps, lines)), tmp_path / 'begun/a/vis_data/scalars.json')
    seconds = {name: compare.train(str(config), 0, tmp_path / name)['seconds']
               for name in ('begun', 'empty')}
    assert seconds == pytest.approx({'begun': 25, 'empty': 0}, abs=.1)


@pytest.mark.parametrize(('values', 'expected'), [
    ({'a': [90, 92], 'b': [89.2, 89.4], 'c': [80, 81]}, {'a'}),
    ({'a': [90, 92], 'b': [89.2, 89.4], 'c': [80, 100]}, {'a', 'c'}),  # the larger deviation
    ({'a': [90, 92], 'b': [90], 'c': []}, {'a', 'b'}),
    ({'a': [90], 'b': [80, 81]}, set()), ({'a': []}, set())])
def test_models_within_the_spread_of_the_best_are_level(compare, values, expected):
    """Standard deviations are 1.4 for a, 14.1 for c; one seed has no spread to claim a rank."""
    assert compare.level(values) == expected


def test_split_test_is_seen_once_and_val_replaces_it(compare):
    penn = 'configs/dt1_penn_tiny.py'
    assert compare.split_options(penn, {}, 'test') == {'train_cfg.val_interval': 16}
    assert compare.split_options(penn, {'train_cfg.max_epochs': 5}, 'test') == {
        'train_cfg.val_interval': 5}
    assert compare.split_options(penn, {}, 'val') == {
        'train_cfg.val_interval': 4, 'train_dataloader.dataset.split': 'fit',
        'val_dataloader.dataset.split': 'val'}
    with pytest.raises(SystemExit, match="found no split='train'.*--tasks"):
        compare.split_options('configs/dt2_penn_tiny.py', {}, 'val')


def test_scratch_grid_is_chosen_on_validation_clips(main, trainings, tmp_path, free):
    """Every command of the grid trains on `fit`; augmentations and rates reach the config."""
    main('projects/scratch_grid_tiny.py', '--split', 'val', '--seeds', 0, '--out', tmp_path,
         '--models', 'lr0.002')
    assert len(trainings) == 4  # of 12
    pairs = [[option.split('=', 1) for option in command[7:]] for command in trainings]
    cfgs = [load_config(trainings[0][0], {k: DictAction._parse_iterable(v) for k, v in pair})
            for pair in pairs]
    assert {(cfg.train_dataloader.dataset.split, cfg.val_dataloader.dataset.split)
            for cfg in cfgs} == {('fit', 'val')}
    settings = {(cfg.optim_wrapper.optimizer.lr, cfg.train_cfg.max_epochs, affine.type,
                 affine.scale) for cfg in cfgs
                for affine in [cfg.train_dataloader.dataset.pipeline[3]]}
    assert settings == {(.002, epochs, 'PoseAffine', scale) for epochs in (32, 96)
                        for scale in ((.9, 1.1), (.7, 1.3))}
    assert all(cfg.model.backbone.init_cfg is None for cfg in cfgs)
    assert rows((tmp_path / 'table.md').read_text())['lr0.002_epochs96_strong'] == ['50.0']


def test_curves_are_over_the_minutes_of_all_trainings(compare):
    """Two pre-trainings of one and two minutes, then four epochs in eight; one failed early."""
    record = dict(seed=0, seconds=480, epochs=[1, 4], values=[.5, .75])
    results = dict(pretraining=dict(a=[dict(seconds=60), dict(seconds=120)]),
                   tasks=dict(walk=dict(metric='m', scale=100, models=dict(
                       a=dict(records=[record, dict(record, seconds=6, values=[], epochs=[])]),
                       b=dict(records=[record, dict(record, seconds=999)])))))
    found = compare.curves(results)['walk\nm']
    (minutes, values), = found['a']
    assert minutes.tolist() == [3 + 2, 3 + 8]
    assert values.tolist() == [50, 75]
    assert [minutes.tolist() for minutes, _ in found['b']] == [[2, 8], [2, 8]]  # the fastest seed


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
