"""Quickstart: all stages of MoFM at a small size on synthetic motion, with pictures."""

import os
import platform
import shlex
import shutil
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint
from sklearn.metrics import confusion_matrix

import mofm
from mofm.engine.hooks import ProgressHook
from mofm.evaluation.metrics.score_table import read_predictions
from mofm.utils.config import load_config
from mofm.utils.files import atomic_write
from mofm.utils.locks import hold_lock
from mofm.visualization import (
    draw_confusion,
    draw_curves,
    draw_heat,
    draw_pose_clip,
    draw_tokens,
    read_scalars,
    save_figure,
    stack_pictures,
)

_MARKER = '.mofm_quickstart'
_SHOWN_ACTION = 'throw'
_SMOKE = {
    'train_dataloader.dataset.num_clips': 60, 'val_dataloader.dataset.num_clips': 30,
    'test_dataloader.dataset.num_clips': 30, 'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1, 'schedule.warmup': .5, 'default_hooks.logger.interval': 1
}
_CURVES = {
    'dVED: reconstruction loss': ('dved', 'loss_rec'),
    'dVED: loss of the guide': ('dved', 'loss_guide'),
    'pre-training: loss at masked cubes': ('pretrain', 'loss_mask'),
    'pre-training: held-out accuracy': ('pretrain', 'masked/acc'),
    'fine-tuning: loss': ('dt1', 'loss_cls'),
    'fine-tuning: held-out top-1': ('dt1', 'acc/top1'),
    'from scratch: loss': ('scratch', 'loss_cls'),
    'from scratch: held-out top-1': ('scratch', 'acc/top1'),
}


class Stage(NamedTuple):
    """Run of a config: its setting `setting` is the checkpoint of stage `needs`, None without."""

    name: str
    title: str
    config: str
    needs: str = ''
    setting: str = ''


STAGES = (
    Stage('kmeans', 'k-means guide', 'kmeans'),
    Stage('dved', 'dVED tokenizer', 'dved', 'kmeans', 'model.loss.guide.init_cfg.checkpoint'),
    Stage('pretrain', 'masked pre-training', 'pretrain', 'dved',
          'model.tokenizer.init_cfg.checkpoint'),
    Stage('dt1', 'fine-tuning (DT1)', 'dt1', 'pretrain', 'model.backbone.init_cfg.checkpoint'),
    Stage('scratch', 'from scratch (DT1)', 'dt1', setting='model.backbone.init_cfg'),
    Stage('test', 'test (DT1)', 'dt1', 'dt1', 'load_from'),
)


class Run(NamedTuple):
    """A finished stage."""

    runner: Runner
    seconds: float
    command: str


def _run_stage(index: int, configs: Path, out: Path, smoke: bool) -> Run:
    """Train or test one stage; its output goes to a log file.

    Args:
        index (int): Position in STAGES.
        configs (Path): ``configs/quickstart`` of the repository.
        out (Path): Folder of the quickstart.
        smoke (bool): A few steps only.

    Returns:
        Run: Runner, wall time and equivalent command.
    """
    stage, testing = STAGES[index], STAGES[index].name == 'test'
    path = configs / f'{stage.config}_synthetic.py'
    work_dir = out / 'work_dirs' / stage.name
    work_dir.mkdir(parents=True)
    default = load_config(path)
    options: dict[str, Any] = {name: value for name, value in _SMOKE.items()
                               if smoke and name.partition('.')[0] in default}
    if stage.setting:
        options[stage.setting] = None
    if stage.needs:
        source = out / 'work_dirs' / stage.needs
        options[stage.setting] = str(source / Path(find_latest_checkpoint(str(source))).name)

    checkpoint = options.pop('load_from', None)
    cfg = load_config(path, options)
    scores = out / 'scores.csv'
    if testing:
        words = ['python', 'tools/test.py', path, checkpoint, '--out', scores]
        cfg.load_from = checkpoint
        cfg.test_evaluator = [cfg.test_evaluator, dict(type='ScoreTable', out_file=str(scores))]
    else:
        words = ['python', 'tools/train.py', path, '--overwrite']
    if str(work_dir) != default.get('work_dir'):
        words += ['--work-dir', work_dir]
    changed = [f'{key}={value}' for key, value in options.items()
               if _lookup(default, key) != value]
    words += ['--cfg-options', *changed] if changed else []
    cfg.work_dir = str(work_dir)

    start, terminal, log = time.time(), sys.stderr, work_dir / 'terminal.log'
    try:
        with log.open('w', encoding='utf-8') as file, redirect_stdout(file), \
                redirect_stderr(file):
            runner = Runner.from_cfg(cfg)
            title = f'{index + 1}/{len(STAGES)} {stage.title:20}'
            runner.register_hook(ProgressHook(title, terminal))
            runner.test() if testing else runner.train()
    except BaseException:
        print(f'\n{stage.title} stopped; its log is {log}', file=sys.stderr)
        raise
    root = configs.parents[1]
    command = shlex.join(str(w.relative_to(root) if w == path else w) for w in words)
    return Run(runner, time.time() - start, command)


def _lookup(cfg: Config, key: str):
    """Look up a dotted key, None if missing."""
    for part in key.split('.'):
        cfg = cfg.get(part) if cfg is not None else None
    return cfg


def _shown_clip(run: Run) -> tuple:
    """Return annotation and predicted data sample of the clip in all pictures."""
    dataset = run.runner.val_dataloader.dataset
    index = dataset.metainfo['classes'].index(_SHOWN_ACTION)
    model = run.runner.model.eval()
    data = model.data_preprocessor(run.runner.val_dataloader.collate_fn([dataset[index]]))
    return dataset.get_data_info(index), model(**data, mode='predict')[0].cpu()


def _draw(runs: dict, out: Path) -> dict:
    """Save the pictures.

    Args:
        runs (dict): Stage name to Run.
        out (Path): Folder of the pictures.

    Returns:
        dict: Captions by file name.
    """
    clip, sample = _shown_clip(runs['dved'])
    grid = runs['dved'].runner.model.grid
    heat = sample.heat.numpy()
    names = runs['dt1'].runner.val_dataloader.dataset.metainfo['classes']
    labels, predictions = read_predictions(out / 'scores.csv')
    matrix = confusion_matrix(labels, predictions, labels=range(len(names)))
    scalars = {stage.name: read_scalars(out / 'work_dirs' / stage.name) for stage in STAGES[:-1]}
    curves = {title: scalars[stage][key] for title, (stage, key) in _CURVES.items()
              if key in scalars[stage]}
    figures = {
        'pose.png': (draw_pose_clip(clip['keypoint'][0], clip['keypoint_score'][0]),
                     f'keypoints of a held-out clip ({_SHOWN_ACTION}), with pose noise'),
        'heat.png': (draw_heat(heat, sample.reconstruction.numpy()),
                     'its heat over all joints, and the reconstruction from its tokens'),
        'tokens.png': (draw_tokens(sample.tokens.numpy(), grid.rows, grid.cols, heat,
                                   runs['dved'].runner.model.vocab_size),
                       'its motion tokens, one per thermal cube'),
        'curves.png': (draw_curves(curves, columns=2),
                       'learning curves; a step is an iteration, or an epoch for held-out clips'),
        'confusion.png': (draw_confusion(matrix, names), 'actions of the held-out clips'),
    }
    for name, (figure, _) in figures.items():
        save_figure(figure, out / name)
    stack_pictures([out / name for name in ('pose.png', 'heat.png', 'tokens.png')],
                   out / 'overview.png')
    return {'overview.png': 'one clip from keypoints to tokens',
            **{name: text for name, (_, text) in figures.items()}}


def _last(curves: dict, key: str) -> float:
    """Return the last logged value."""
    return float(curves[key][1][-1])


def _report(runs: dict, pictures: dict, out: Path, seconds: float) -> str:
    """Write the text of report.md: figures of the logs, and how to reproduce them."""
    logs = {stage.name: read_scalars(out / 'work_dirs' / stage.name) for stage in STAGES[:-1]}
    labels, predictions = read_predictions(out / 'scores.csv')
    top1 = (labels == predictions).mean()
    dt1 = runs['dt1'].runner
    train, test = dt1.train_dataloader.dataset, dt1.val_dataloader.dataset
    clips = runs['pretrain'].runner.train_dataloader.dataset
    classes = len(test.metainfo['classes'])
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else \
        f'{os.cpu_count()} CPU cores, {torch.get_num_threads()} threads'
    lines = [
        '# MoFM quickstart', '',
        f'MoFM {mofm.__version__}, Python {platform.python_version()}, PyTorch '
        f'{torch.__version__}, {device}. Total time {seconds / 60:.1f} min.', '',
        f'Synthetic motion, {classes} actions: {len(clips)} training clips (seed {clips.seed}), '
        f'{len(train)} of them with labels for DT1, {len(test)} held-out clips (seed '
        f'{test.seed}). All figures below are from held-out clips.', '',
        '## Tokens', '',
        '| tokenizer | smooth-L1 | IoU at 0.3 | tokens used | perplexity |',
        '|---|---|---|---|---|',
        f'| blank output | {_last(logs["dved"], "tokenizer/blank_smooth_l1"):.5f} | 0 | – | – |']
    for name, title in (('kmeans', 'k-means'), ('dved', 'dVED')):
        values = [_last(logs[name], f'tokenizer/{key}')
                  for key in ('smooth_l1', 'iou', 'tokens_used', 'perplexity')]
        lines.append('| {} | {:.5f} | {:.3f} | {:.0f} | {:.1f} |'.format(title, *values))
    vocab_size = runs['dved'].runner.model.vocab_size
    masked = {key: _last(logs['pretrain'], f'masked/{key}') for key in ('acc', 'majority_acc')}
    lines += [
        '', f'{vocab_size} tokens; usage and perplexity count occupied cubes. k-means is the '
        'baseline for a learned tokenizer.', '',
        '## Masked pre-training', '',
        '| prediction at masked cubes | accuracy |', '|---|---|',
        f'| always the most frequent token | {masked["majority_acc"]:.4f} |',
        f'| MoFM | {masked["acc"]:.4f} |', '',
        '## Action classification (DT1)', '',
        '| | top-1 |', '|---|---|', f'| chance | {1 / classes:.4f} |',
        f'| from scratch, the same epochs | {_last(logs["scratch"], "acc/top1"):.4f} |',
        f'| fine-tuned from the pre-training | {top1:.4f} |', '',
        '## Commands', '', '| stage | config | seed | epochs | time |', '|---|---|---|---|---|']
    for stage in STAGES:
        cfg = runs[stage.name].runner.cfg
        epochs = cfg.train_cfg.max_epochs if stage.name != 'test' else '–'
        name = Path(cfg.filename).name
        lines.append(f'| {stage.title} | configs/quickstart/{name} | {cfg.randomness.seed} | '
                     f'{epochs} | {runs[stage.name].seconds:.0f} s |')
    lines += ['', 'Single stages, from the root of the repository:', '', '```bash',
              *(run.command for run in runs.values()), '```', '', '## Pictures', '']
    for name, text in pictures.items():
        lines += [f'**{name}**: {text}', '', f'![{text}]({name})', '']
    return '\n'.join(lines)


def _check(out: Path):
    """Raise a FileExistsError if a folder contains other files than those of a quickstart."""
    if out.exists() and not (out / _MARKER).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f'{out}: found other files than those of a quickstart, expected a '
                              'new or empty folder')


def _clear(out: Path):
    """Delete the results of an earlier quickstart."""
    shutil.rmtree(out / 'work_dirs', ignore_errors=True)
    for pattern in ('*.png', 'report.md', 'scores.csv'):
        for path in out.glob(pattern):
            path.unlink()


def run_quickstart(configs: Path, out: Path, smoke: bool = False) -> dict[str, str]:
    """Train and test all stages, draw the pictures, and write the report.

    Args:
        configs (Path): ``configs/quickstart`` of the repository.
        out (Path): Folder of the results.
        smoke (bool): A few steps only. Defaults to False.

    Returns:
        dict: Captions of the files in the folder.

    Raises:
        FileExistsError: If the folder contains anything but an earlier quickstart.
        LockedError: If another quickstart writes to the folder.
    """
    start = time.time()
    _check(out)
    with hold_lock(out / _MARKER):
        _clear(out)
        runs = {stage.name: _run_stage(i, configs, out, smoke) for i, stage in enumerate(STAGES)}
        pictures = _draw(runs, out)
        text = _report(runs, pictures, out, time.time() - start)
        with atomic_write(out / 'report.md', 'w') as file:
            file.write(text)
    return {'report.md': 'all figures', **pictures}
