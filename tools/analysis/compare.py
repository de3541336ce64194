"""Train models on tasks with several seeds and compare them in one table.

python tools/analysis/compare.py projects/comparison_tiny.py --out work_dirs/comparison

The file has ``pretraining``, ``{model: [config, ...]}``, configs trained once in this order, each
in its default work directory; ``checkpoints``, ``{model: path}``, from which the backbones of all
tasks start; and ``tasks``, ``{title: dict(metric=..., scale=..., configs={model: config})}``.
Finished trainings are skipped and interrupted ones resumed, so the same command completes an
interrupted table, or adds seeds to it.
"""

from mofm.utils.tool import run_tool

import argparse
import json
import os
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.fileio import put_text
from mmengine.registry import init_default_scope
from rich.progress import track

from mofm.utils.config import default_work_dir, load_config

ROOT = Path(__file__).resolve().parents[2]
_RECORD = 'comparison.json'


def train(config: str, seed: int, folder: Path, checkpoint: str | None = None) -> dict:
    """Train or resume a training.

    Args:
        config (str): Config file.
        seed (int): Random seed.
        folder (Path): Work directory; the output goes to its ``train.log``.
        checkpoint (str, optional): Checkpoint of the backbone.

    Returns:
        dict: ``done``; ``seconds`` of CPU time so far; ``metrics``, the last logged values.
    """
    from mofm.visualization import read_scalars

    record = dict(config=config, seed=seed, done=False, seconds=0, metrics={})
    path = folder / _RECORD
    if path.is_file():
        record = json.loads(path.read_text(encoding='utf-8'))
        if record['config'] != config:
            raise SystemExit(f'{path}: config: found {record["config"]}, expected {config}; '
                             'remove the folder or use another --out')
    if record['done']:
        return record
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / 'tools/train.py'), config, '--seed', str(seed),
               '--work-dir', str(folder), '--resume']
    if checkpoint:
        command += ['--cfg-options', f'model.backbone.init_cfg.checkpoint={checkpoint}']
    before = _children_seconds()
    with open(folder / 'train.log', 'a', encoding='utf-8') as log:
        record['done'] = not subprocess.run(  # the training ends with this process
            command, stdout=log, stderr=log,
            env={**os.environ, 'MOFM_LAUNCHER': str(os.getpid())}).returncode
    record['seconds'] += _children_seconds() - before
    if record['done']:
        record['metrics'] = {name: float(values[-1])
                             for name, (_, values) in read_scalars(folder).items()}
    put_text(json.dumps(record, indent=1), path)
    return record


def _children_seconds() -> float:
    """Return the CPU seconds of finished child processes."""
    times = os.times()
    return times.children_user + times.children_system


def cost(config: str) -> dict:
    """Count parameters, and FLOPs per clip of a prediction, see :func:`count_flops`."""
    from mofm.apis.model import init_model
    from mofm.apis.profiling import count_flops, make_batch

    cfg = load_config(config)
    init_default_scope(cfg.default_scope)
    np.random.seed(0)
    model = init_model(cfg, device='cpu')
    _, flops = count_flops(model, make_batch(cfg, 1))
    return dict(parameters=sum(p.numel() for p in model.parameters()), flops=flops['total'])


def cell(records: list, metric: str, scale: float) -> str:
    """Format mean and standard deviation over the seeds of finished trainings."""
    values = [scale * r['metrics'][metric] for r in records if metric in r['metrics']]
    if not values:
        return 'failed'
    spread = f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.1f}{spread}'


def minutes(records: list) -> float:
    """Average the CPU time of trainings."""
    return statistics.mean(r['seconds'] for r in records) / 60


def table(head: list, rows: list) -> str:
    """Format a Markdown table."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def report(cfg: Config, results: dict, seeds: list) -> str:
    """Format the tables of metrics and costs."""
    models = list(cfg.pretraining)
    rows, costs = [], []
    for title, task in cfg.tasks.items():
        cells = {m: results[title][m] for m in models if m in task.configs}
        rows.append([title, task.metric, *(
            cell(cells[m]['records'], task.metric, task.scale) if m in cells else ''
            for m in models)])
        costs += [[title, m, f'{c["parameters"] / 1e6:.2f}', f'{c["flops"] / 1e9:.2f}',
                   f'{minutes(c["records"]):.1f}', task.configs[m]] for m, c in cells.items()]
    costs += [['pre-training', m, '', '', f'{minutes([r]):.1f}', r['config']]
              for m in models for r in results['pretraining'][m]]
    return '\n\n'.join([
        f'Seeds {", ".join(map(str, seeds))}, {date.today()}. Mean ± standard deviation of the '
        'last validation.', table(['task', 'metric', *models], rows),
        table(['task', 'model', 'M parameters', 'GFLOP per clip', 'CPU minutes', 'config'],
              costs)]) + '\n'


def main():
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='pre-training and tasks')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/comparison'),
                        help='folder of trainings, table.md and table.json [%(default)s]')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)

    results = dict(pretraining={})
    for model, configs in cfg.pretraining.items():
        results['pretraining'][model] = [
            train(c, 0, Path(load_config(c).get('work_dir') or default_work_dir(c)))
            for c in track(configs, f'Pre-training of {model}')]
    jobs = [(title, model, config, seed) for seed in args.seeds
            for title, task in cfg.tasks.items() for model, config in task.configs.items()]
    for title, model, config, seed in track(jobs, 'Tasks'):
        folder = args.out / model / f'{Path(config).stem}_seed{seed}'
        entry = results.setdefault(title, {}).setdefault(model, dict(records=[]))
        entry['records'].append(train(config, seed, folder, cfg.checkpoints[model]))
        print(f'{title}, {model}, seed {seed}: '
              f'{cell(entry["records"][-1:], cfg.tasks[title].metric, cfg.tasks[title].scale)}')
    for title, task in cfg.tasks.items():
        for model, config in task.configs.items():
            results[title][model].update(cost(config))

    text = report(cfg, results, args.seeds)
    put_text(text, args.out / 'table.md')
    put_text(json.dumps(results, indent=1), args.out / 'table.json')
    print(text)
    failed = [str(path.parent) for path in sorted(args.out.rglob(_RECORD))
              if not json.loads(path.read_text(encoding='utf-8'))['done']]
    if failed:
        sys.exit(f'error: unfinished trainings, see train.log in {", ".join(failed)}')


if __name__ == '__main__':
    run_tool(main, hint='the same command resumes')
