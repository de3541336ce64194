"""Train models on tasks with several seeds and compare them in one table and a plot.

python tools/analysis/compare.py projects/comparison_tiny.py --out work_dirs/comparison

The file has ``tasks``, ``{title: dict(metric=..., scale=..., configs={model: config})}``, and may
have ``pretraining``, ``{model: [config, ...]}``, configs trained once in this order, each in its
default work directory; ``checkpoints``, ``{model: path}``, from which the backbones of all tasks
start; and ``options``, ``{model: {setting: value}}``, overrides in all tasks.
Finished trainings are skipped and interrupted ones resumed, so the same command completes an
interrupted table, or adds seeds to it. ``results.json``, written after each training, has all
figures: ``--from`` draws table and plot of one or several such files and trains nothing.
"""

from mofm.utils.tool import run_tool

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.fileio import put_text
from mmengine.registry import init_default_scope
from rich.progress import track

from mofm.utils.config import default_work_dir, load_config

ROOT = Path(__file__).resolve().parents[2]


def train(config: str, seed: int, folder: Path, options: dict | None = None) -> dict:
    """Train or resume a training.

    Args:
        config (str): Config file.
        seed (int): Random seed.
        folder (Path): Work directory; the output goes to its ``train.log``.
        options (dict, optional): Settings to override.

    Returns:
        dict: ``done``, and ``seconds`` of CPU time so far; of a training that was begun without
        this tool, or with it when it was killed, the wall time of the log.
    """
    overrides = [f'{key}={value}' for key, value in (options or {}).items()]
    record = dict(config=config, options=overrides, seed=seed, done=False, seconds=0)
    path = folder / 'comparison.json'
    if path.is_file():
        found = json.loads(path.read_text(encoding='utf-8'))
        for key in ('config', 'options'):
            if found.get(key, []) != record[key]:
                raise SystemExit(f'{path}: {key}: found {found.get(key)}, expected {record[key]}; '
                                 'remove the folder or use another --out')
        record = found
    elif folder.is_dir():
        record['seconds'] = _logged_seconds(folder)
    if record['done']:
        return record
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / 'tools/train.py'), config, '--seed', str(seed),
               '--work-dir', str(folder), '--resume']
    if overrides:
        command += ['--cfg-options', *overrides]
    before = _children_seconds()
    with open(folder / 'train.log', 'a', encoding='utf-8') as log:
        record['done'] = not subprocess.run(  # the training ends with this process
            command, stdout=log, stderr=log,
            env={**os.environ, 'MOFM_LAUNCHER': str(os.getpid())}).returncode
    record['seconds'] += _children_seconds() - before
    put_text(json.dumps(record, indent=1), path)
    return record


def _logged_seconds(folder: Path) -> float:
    """Return the wall time of the iterations in the log, 0 without one."""
    from mofm.visualization import read_scalars

    try:
        steps, times = read_scalars(folder)['time']
    except (FileNotFoundError, KeyError):
        return 0.
    return float((np.diff(steps, prepend=0) * times).sum())


def _children_seconds() -> float:
    """Return the CPU seconds of finished child processes."""
    times = os.times()
    return times.children_user + times.children_system


def split_options(config: str, options: dict, split: str) -> dict:
    """Return the settings that validate on ``val`` four times, or test once, at the end."""
    cfg = load_config(config, options)
    epochs = cfg.train_cfg.max_epochs
    if split == 'test':
        return {'train_cfg.val_interval': epochs}
    settings = {'train_cfg.val_interval': max(1, epochs // 4)}
    for loader, old, new in (('train_dataloader', 'train', 'fit'),
                             ('val_dataloader', 'test', 'val')):
        paths = list(_splits(cfg[loader].to_dict(), old, loader))
        if not paths:
            raise SystemExit(f'{config}: {loader}: found no split={old!r}, expected it for '
                             f'--split {split}; choose other tasks with --tasks')
        settings.update(dict.fromkeys(paths, new))
    return settings


def _splits(node: object, split: str, path: str):
    """Yield the paths of the settings ``split`` with a value."""
    items = enumerate(node) if isinstance(node, (list, tuple)) else getattr(node, 'items', tuple)()
    for name, item in items:
        if name == 'split' and item == split:
            yield f'{path}.{name}'
        yield from _splits(item, split, f'{path}.{name}')


def choose(known: Sequence[str], wanted: Sequence[str] | None, option: str) -> list[str]:
    """Return the names that an option asks for, in full or by their beginning."""
    chosen = set(known if wanted is None else ())
    for name in wanted or ():
        found = {name} & {*known} or {one for one in known if one.startswith(name)}
        if not found:
            raise SystemExit(f'{option}: found {name!r}, expected some of {", ".join(known)}')
        chosen |= found
    return [name for name in known if name in chosen]


def cost(config: str, options: dict) -> dict:
    """Count parameters, and FLOPs per clip when eight test clips are predicted."""
    from mmengine.runner import Runner

    from mofm.apis.model import init_model
    from mofm.apis.profiling import count_flops

    cfg = load_config(config, options)
    init_default_scope(cfg.default_scope)
    model = init_model(cfg, device='cpu')
    loader = Runner.build_dataloader(dict(cfg.test_dataloader, batch_size=8, num_workers=0,
                                          persistent_workers=False))
    _, flops = count_flops(model, next(iter(loader)))
    return dict(parameters=sum(p.numel() for p in model.parameters()), flops=flops['total'])


def run(cfg: Config, args: argparse.Namespace) -> tuple[dict, list[str]]:
    """Train everything that is not done; return the results and the unfinished folders."""
    from mofm.visualization import read_scalars

    tasks = {title: cfg.tasks[title] for title in choose([*cfg.tasks], args.tasks, '--tasks')}
    models = choose([*dict.fromkeys(m for task in tasks.values() for m in task.configs)],
                    args.models, '--models')
    results = dict(date=str(date.today()), split=args.split, pretraining={}, tasks={})
    failed = []
    pairs = [(m, config) for m in models for config in cfg.get('pretraining', {}).get(m, ())]
    for model, config in track(pairs, 'Pre-training'):
        folder = Path(load_config(config).get('work_dir') or default_work_dir(config))
        record = train(config, 0, folder)
        results['pretraining'].setdefault(model, []).append(
            dict(config=config, seconds=round(record['seconds'], 1)))
        failed += [str(folder)] * (not record['done'])
    jobs = [(seed, title, model) for seed in args.seeds for title, task in tasks.items()
            for model in models if model in task.configs]
    for seed, title, model in track(jobs, 'Tasks'):
        task = tasks[title]
        config, options = task.configs[model], dict(cfg.get('options', {}).get(model, {}))
        settings = split_options(config, options, args.split) | options
        if model in cfg.get('checkpoints', {}):
            settings['model.backbone.init_cfg.checkpoint'] = cfg.checkpoints[model]
        found = results['tasks'].setdefault(title, dict(
            metric=task.metric, scale=task.scale, models={}))['models']
        if model not in found:
            found[model] = dict(config=config, options=options, **cost(config, options),
                                records=[])
        name = Path(config).stem + '_val' * (args.split == 'val')
        folder = args.out / model / f'{name}_seed{seed}'
        record = train(config, seed, folder, settings)
        scalars = read_scalars(folder) if record['done'] else {}
        if scalars and task.metric not in scalars:  # so it is for all seeds
            raise SystemExit(f'{args.config}: tasks[{title!r}].metric: found {task.metric!r}, '
                             f'expected one of {", ".join(sorted(scalars))}, as in {folder}')
        curve = scalars.get(task.metric)
        failed += [str(folder)] * (curve is None)
        epochs, values = ([], []) if curve is None else (column.tolist() for column in curve)
        found[model]['records'].append(dict(
            seed=seed, seconds=round(record['seconds'], 1), epochs=epochs, values=values))
        put_text(json.dumps(results, indent=1), args.out / 'results.json')
        print(f'{title}, {model}, seed {seed}: '
              f'{cell(last_values(found[model]["records"][-1:], task.scale))}')
    return results, failed


def read_results(path: Path) -> dict:
    """Read a ``results.json``."""
    try:
        results = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:  # of the encoding, too
        raise SystemExit(f'--from: {path}: {error}') from None
    keys = 'date', 'split', 'pretraining', 'tasks'
    if not isinstance(results, dict) or not set(keys) <= results.keys():
        raise SystemExit(f'--from: {path}: found {", ".join(results) or "no key"}, expected '
                         f'{", ".join(keys)}, a results.json of this tool')
    return results


def merge(parts: Sequence[dict]) -> dict:
    """Join results of several runs; of a training in two of them the last one counts."""
    results = parts[0]

    def require_equal(where, names, ours, theirs):
        for name in names:
            if ours[name] != theirs[name]:
                raise SystemExit(f'--from: {where}{name}: found {ours[name]} and {theirs[name]}, '
                                 'expected the same in all files')

    for part in parts[1:]:
        require_equal('', ['split'], results, part)
        results['date'] = max(results['date'], part['date'])
        results['pretraining'].update(part['pretraining'])
        for title, task in part['tasks'].items():
            require_equal(f'{title}: ', ['metric', 'scale'],
                          results['tasks'].setdefault(title, task), task)
            ours = results['tasks'][title]['models']
            for model, entry in task['models'].items():
                require_equal(f'{title}, {model}: ', ['config', 'options'],
                              ours.get(model, entry), entry)
                records = {r['seed']: r for old in (ours.get(model, entry), entry)
                           for r in old['records']}
                ours[model] = dict(entry, records=[records[seed] for seed in sorted(records)])
    return results


def select(results: dict, args: argparse.Namespace) -> dict:
    """Return the results of the tasks and models that are asked for."""
    tasks = {title: results['tasks'][title]
             for title in choose([*results['tasks']], args.tasks, '--tasks')}
    models = choose([*dict.fromkeys(m for task in tasks.values() for m in task['models'])],
                    args.models, '--models')
    return dict(results, tasks={title: dict(task, models={
        m: task['models'][m] for m in models if m in task['models']})
        for title, task in tasks.items()})


def last_values(records: list[dict], scale: float) -> list[float]:
    """Return the metric at the end of each finished training."""
    return [scale * r['values'][-1] for r in records if r['values']]


def cell(values: list[float]) -> str:
    """Format mean and standard deviation over the seeds."""
    if not values:
        return 'failed'
    spread = f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.1f}{spread}'


def level(values: dict[str, list[float]]) -> set[str]:
    """Return the models within one standard deviation, the larger of both, of the best one.

    None is if the best one has a single seed, which has no spread.
    """
    means = {model: statistics.mean(v) for model, v in values.items() if v}
    spread = {model: statistics.stdev(v) if len(v) > 1 else 0 for model, v in values.items()}
    best = max(means, key=means.get, default=None)
    if best is None or len(values[best]) < 2:
        return set()
    return {model for model in means
            if means[best] - means[model] <= max(spread[best], spread[model])}


def table(head: list, rows: list) -> str:
    """Format a Markdown table."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def pretraining_minutes(results: dict, model: str) -> float:
    """Sum the CPU time of the pre-trainings of a model."""
    return sum(r['seconds'] for r in results['pretraining'].get(model, ())) / 60


def training_minutes(records: list[dict]) -> float:
    """Return the CPU time of the fastest seed: all do the same, other work on a machine adds.

    Failed trainings count if there are no others.
    """
    finished = [r for r in records if r['values']] or records
    return min(r['seconds'] for r in finished) / 60


def report(results: dict) -> str:
    """Format the tables of metrics and costs."""
    tasks = results['tasks']
    models = list(dict.fromkeys(m for task in tasks.values() for m in task['models']))
    columns, costs = [], []
    for title, task in tasks.items():
        values = {m: last_values(entry['records'], task['scale'])
                  for m, entry in task['models'].items()}
        bold = level(values)
        columns.append([f'**{cell(values[m])}**' if m in bold else cell(values[m])
                        if m in values else '' for m in models])
        for m, entry in task['models'].items():
            minutes = training_minutes(entry['records'])
            costs.append([title, m, f'{entry["parameters"] / 1e6:.2f}',
                          f'{entry["flops"] / 1e9:.2f}', f'{minutes:.1f}',
                          f'{minutes + pretraining_minutes(results, m):.1f}', entry['config']])
    costs += [['pre-training', m, '', '', f'{r["seconds"] / 60:.1f}', '', r['config']]
              for m in models for r in results['pretraining'].get(m, ())]
    seeds = sorted({r['seed'] for task in tasks.values() for entry in task['models'].values()
                    for r in entry['records']})
    return '\n\n'.join([
        f'Seeds {", ".join(map(str, seeds))}, {results["date"]}. Mean ± standard deviation at the '
        f'end of the training, split {results["split"]}; one pre-training. Bold: within one '
        'standard deviation of the best. CPU minutes of the fastest seed.',
        table(['model', *(f'{title}, {task["metric"]}' for title, task in tasks.items())],
              [[m, *cells] for m, *cells in zip(models, *columns, strict=True)]),
        table(['task', 'model', 'M parameters', 'GFLOP per clip', 'CPU minutes',
               'with pre-training', 'config'], costs)]) + '\n'


def curves(results: dict) -> dict[str, dict[str, list]]:
    """Return minutes and metrics (N,) of every training, by task and model.

    Minutes are those of all pre-trainings of the model and the share of the epochs so far of
    :func:`training_minutes`.
    """
    return {f'{title}\n{task["metric"]}': {model: [
        (pretraining_minutes(results, model) + np.divide(r['epochs'], r['epochs'][-1])
         * training_minutes(entry['records']), task['scale'] * np.array(r['values']))
        for r in entry['records'] if r['values']] for model, entry in task['models'].items()}
        for title, task in results['tasks'].items()}


def main():
    """Train, or read results, and write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('config', nargs='?', help='pre-training and tasks')
    source.add_argument('--from', nargs='+', type=Path, dest='files', metavar='RESULTS',
                        help='results.json of one or several runs, to train nothing')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/comparison'),
                        help='folder of trainings, results.json, table.md, budget.png '
                        '[%(default)s]')
    parser.add_argument('--seeds', type=int, nargs='+', help='[0 1 2]')
    parser.add_argument('--models', nargs='+', help='some of the models')
    parser.add_argument('--tasks', nargs='+', help='some of the tasks, by the begin of the title')
    parser.add_argument('--split', choices=('test', 'val'),
                        help='test: train on `train`, test once, at the end; val: train on `fit`, '
                        'validate four times, for choices [test]')
    args = parser.parse_args()
    if args.files and (args.seeds or args.split):
        parser.error('--from: seeds and split are those of the results, without --seeds, --split')
    args.seeds, args.split = args.seeds or [0, 1, 2], args.split or 'test'

    from mofm.visualization import draw_budget, save_figure

    failed: list[str] = []
    if args.files:
        results = select(merge([read_results(path) for path in args.files]), args)
    else:
        results, failed = run(Config.fromfile(args.config), args)
    text = report(results)
    put_text(text, args.out / 'table.md')
    save_figure(draw_budget(curves(results)), args.out / 'budget.png')
    print(text)
    if failed:
        sys.exit(f'error: unfinished trainings, see train.log in {", ".join(failed)}')


if __name__ == '__main__':
    run_tool(main, hint='the same command resumes')
