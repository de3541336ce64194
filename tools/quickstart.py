"""The whole of MoFM at a small size on synthetic motion: ``bash tools/quickstart.sh``.

Runs the configs of ``configs/quickstart/`` one after the other, as ``tools/train.py`` and
``tools/test.py`` would, and writes one folder with a picture of each stage and a report.
"""

import argparse
import csv
import os
import platform
import shlex
import shutil
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple


def parse_args(argv=None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default='quickstart', metavar='FOLDER',
                        help='where pictures, report and checkpoints go [%(default)s]')
    parser.add_argument('--smoke', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args()  # --help needs none of the imports below

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner, find_latest_checkpoint
from PIL import Image
from sklearn.metrics import confusion_matrix
from tqdm import tqdm

import mofm
from mofm.utils.config import load_config
from mofm.visualization import (
    draw_confusion,
    draw_curves,
    draw_heat,
    draw_pose_clip,
    draw_tokens,
    read_scalars,
)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs/quickstart'
MARKER = '.mofm_quickstart'
SHOWN_ACTION = 'throw'
SMOKE = {
    'train_dataloader.dataset.num_clips': 60, 'val_dataloader.dataset.num_clips': 30,
    'test_dataloader.dataset.num_clips': 30, 'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1, 'default_hooks.logger.interval': 1
}
CURVES = {
    'dVED: reconstruction loss': ('dved', 'loss_rec'),
    'dVED: loss of the guide': ('dved', 'loss_guide'),
    'pre-training: loss at masked cubes': ('pretrain', 'loss_mask'),
    'pre-training: held-out accuracy': ('pretrain', 'masked/acc'),
    'fine-tuning: loss': ('dt1', 'loss_cls'),
    'fine-tuning: held-out top-1': ('dt1', 'acc/top1'),
}


class Stage(NamedTuple):
    """One run of a config: its name, what it is, and where it takes a checkpoint from."""

    name: str
    title: str
    needs: str = ''
    setting: str = ''


STAGES = (
    Stage('kmeans', 'k-means guide'),
    Stage('dved', 'dVED tokenizer', 'kmeans', 'model.loss.guide.init_cfg.checkpoint'),
    Stage('pretrain', 'masked pre-training', 'dved', 'model.tokenizer.init_cfg.checkpoint'),
    Stage('dt1', 'fine-tuning (DT1)', 'pretrain', 'model.backbone.init_cfg.checkpoint'),
    Stage('test', 'test (DT1)', 'dt1', 'load_from'),
)


class ProgressHook(Hook):
    """A bar on the terminal, while MMEngine writes its log to files."""

    priority = 'VERY_LOW'

    def __init__(self, title: str, terminal):
        self.title = title
        self.terminal = terminal
        self.bar = None

    def _open(self, total: int):
        self.bar = tqdm(total=total, desc=self.title, file=self.terminal, unit='it',
                        dynamic_ncols=True, mininterval=0.5)

    def before_train(self, runner):
        """Open the bar."""
        self._open(runner.max_iters)

    def before_test(self, runner):
        """Open the bar."""
        self._open(len(runner.test_dataloader))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """One step."""
        loss = (outputs or {}).get('loss')
        if loss is not None:
            self.bar.set_postfix_str(f'loss {float(loss):.3f}', refresh=False)
        self.bar.update()

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """One step."""
        self.bar.update()

    def before_val(self, runner):
        """Say that something goes on between two epochs."""
        self.bar.set_postfix_str('held-out clips')

    def after_val(self, runner):
        """Back to training."""
        self.bar.set_postfix_str('')

    def after_train(self, runner):
        """Close the bar."""
        self.bar.close()

    after_test = after_train


class Run(NamedTuple):
    """What is left of a stage."""

    runner: Runner
    seconds: float
    command: str


def run_stage(index: int, out: Path, smoke: bool) -> Run:
    """Train or test one stage; its output goes to a log file.

    Args:
        index (int): Position in STAGES.
        out (Path): Folder of the quickstart.
        smoke (bool): A few steps only.

    Returns:
        Run: The runner with its model, the wall time and the equal command.
    """
    stage, testing = STAGES[index], STAGES[index].name == 'test'
    path = CONFIGS / f'{"dt1" if testing else stage.name}_synthetic.py'
    work_dir = out / 'work_dirs' / stage.name
    work_dir.mkdir(parents=True)
    options = dict(SMOKE) if smoke else {}
    if stage.needs:
        source = out / 'work_dirs' / stage.needs
        options[stage.setting] = str(source / Path(find_latest_checkpoint(str(source))).name)

    checkpoint = options.pop('load_from', None)
    default, cfg = load_config(path), load_config(path, options)
    scores = out / 'scores.csv'
    if testing:
        words = ['python', 'tools/test.py', path, checkpoint, '--out', scores]
        cfg.load_from = checkpoint
        cfg.test_evaluator = [cfg.test_evaluator, dict(type='ScoreTable', out_file=str(scores))]
    else:
        words = ['python', 'tools/train.py', path]
    if str(work_dir) != default.get('work_dir'):
        words += ['--work-dir', work_dir]
    changed = [f'{key}={value}' for key, value in options.items() if lookup(default, key) != value]
    words += ['--cfg-options', *changed] if changed else []
    cfg.work_dir = str(work_dir)

    start, terminal, log = time.time(), sys.stderr, work_dir / 'terminal.log'
    try:
        with log.open('w') as file, redirect_stdout(file), redirect_stderr(file):
            runner = Runner.from_cfg(cfg)
            title = f'{index + 1}/{len(STAGES)} {stage.title:20}'
            runner.register_hook(ProgressHook(title, terminal))
            runner.test() if testing else runner.train()
    except BaseException:
        print(f'\n{stage.title} stopped; its log is {log}', file=sys.stderr)
        raise
    root = CONFIGS.parents[1]
    command = shlex.join(str(w.relative_to(root) if w == path else w) for w in words)
    return Run(runner, time.time() - start, command)


def lookup(cfg: Config, key: str):
    """Value of a dotted key, None if there is none."""
    for part in key.split('.'):
        cfg = cfg.get(part) if cfg is not None else None
    return cfg


def shown_clip(run: Run) -> tuple:
    """The clip that every picture shows: annotation and predicted data sample."""
    dataset = run.runner.val_dataloader.dataset
    index = dataset.metainfo['classes'].index(SHOWN_ACTION)
    model = run.runner.model.eval()
    data = model.data_preprocessor(run.runner.val_dataloader.collate_fn([dataset[index]]))
    return dataset.get_data_info(index), model(**data, mode='predict')[0].cpu()


def draw(runs: dict, out: Path) -> dict:
    """Save the pictures.

    Args:
        runs (dict): Stage name to Run.
        out (Path): Where to.

    Returns:
        dict: File name to what it shows.
    """
    clip, sample = shown_clip(runs['dved'])
    grid = runs['dved'].runner.model.grid
    heat = sample.heat.numpy()
    names = runs['dt1'].runner.val_dataloader.dataset.metainfo['classes']
    labels, predictions = read_scores(out)
    matrix = confusion_matrix(labels, predictions, labels=range(len(names)))
    scalars = {stage.name: read_scalars(out / 'work_dirs' / stage.name) for stage in STAGES[:-1]}
    curves = {title: scalars[stage][key] for title, (stage, key) in CURVES.items()
              if key in scalars[stage]}
    figures = {
        'pose.png': (draw_pose_clip(clip['keypoint'][0], clip['keypoint_score'][0]),
                     f'key points of a held-out clip ({SHOWN_ACTION}), with the errors of a '
                     'detector'),
        'heat.png': (draw_heat(heat, sample.reconstruction.numpy()),
                     'its heat over all joints, and what the tokenizer rebuilds from the tokens'),
        'tokens.png': (draw_tokens(sample.tokens.numpy(), grid.rows, grid.cols, heat,
                                   runs['dved'].runner.model.vocab_size),
                       'its motion tokens, one per thermal cube'),
        'curves.png': (draw_curves(curves, columns=2),
                       'learning curves; a step is an iteration, or an epoch for held-out clips'),
        'confusion.png': (draw_confusion(matrix, names), 'actions of the held-out clips'),
    }
    for name, (figure, _) in figures.items():
        figure.savefig(out / name)
    stack([out / name for name in ('pose.png', 'heat.png', 'tokens.png')], out / 'overview.png')
    return {'overview.png': 'one clip from key points to tokens',
            **{name: text for name, (_, text) in figures.items()}}


def stack(paths: list, path: Path, width: int = 1000):
    """Save strips below each other, and below them the last picture, less wide."""
    images = [Image.open(p).convert('RGB') for p in paths]
    widths = [width] * (len(images) - 1) + [3 * width // 4]
    images = [im.resize((w, round(im.height * w / im.width)), Image.Resampling.LANCZOS)
              for im, w in zip(images, widths, strict=True)]
    sheet = Image.new('RGB', (width, sum(im.height for im in images)), 'white')
    top = 0
    for im in images:
        sheet.paste(im, ((width - im.width) // 2, top))
        top += im.height
    sheet.save(path, optimize=True)


def read_scores(out: Path) -> tuple:
    """Labels and predictions of the test, (N,) each."""
    with (out / 'scores.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    return tuple(np.array([int(r[key]) for r in rows]) for key in ('label', 'prediction'))


def last(curves: dict, key: str) -> float:
    """Last logged value."""
    return float(curves[key][1][-1])


def report(runs: dict, pictures: dict, out: Path, seconds: float) -> str:
    """Text of report.md: figures of the logs, and how to get them again."""
    logs = {stage.name: read_scalars(out / 'work_dirs' / stage.name) for stage in STAGES[:-1]}
    labels, predictions = read_scores(out)
    top1 = (labels == predictions).mean()
    dt1 = runs['dt1'].runner
    train, test = dt1.train_dataloader.dataset, dt1.val_dataloader.dataset
    classes = len(test.metainfo['classes'])
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else \
        f'{os.cpu_count()} CPU cores, {torch.get_num_threads()} threads'
    lines = [
        '# MoFM quickstart', '',
        f'MoFM {mofm.__version__}, Python {platform.python_version()}, PyTorch '
        f'{torch.__version__}, {device}. Total time {seconds / 60:.1f} min.', '',
        f'Synthetic motion, {classes} actions: {len(train)} training clips (seed {train.seed}), '
        f'{len(test)} held-out clips (seed {test.seed}). All figures below are from held-out '
        'clips.', '',
        '## Tokens', '',
        '| tokenizer | smooth-L1 | IoU at 0.3 | tokens used | perplexity |',
        '|---|---|---|---|---|',
        f'| blank output | {last(logs["dved"], "tokenizer/blank_smooth_l1"):.5f} | 0 | – | – |']
    for name, title in (('kmeans', 'k-means'), ('dved', 'dVED')):
        values = [last(logs[name], f'tokenizer/{key}')
                  for key in ('smooth_l1', 'iou', 'tokens_used', 'perplexity')]
        lines.append('| {} | {:.5f} | {:.3f} | {:.0f} | {:.1f} |'.format(title, *values))
    vocab_size = runs['dved'].runner.model.vocab_size
    masked = {key: last(logs['pretrain'], f'masked/{key}') for key in ('acc', 'majority_acc')}
    lines += [
        '', f'{vocab_size} tokens; use and perplexity count occupied cubes. k-means is the floor '
        'for a learned tokenizer.', '',
        '## Masked pre-training', '',
        '| answer at masked cubes | accuracy |', '|---|---|',
        f'| always the most frequent token | {masked["majority_acc"]:.4f} |',
        f'| MoFM | {masked["acc"]:.4f} |', '',
        '## Action classification (DT1)', '',
        '| | top-1 |', '|---|---|', f'| chance | {1 / classes:.4f} |',
        f'| fine-tuned | {top1:.4f} |', '',
        '## How', '', '| stage | config | seed | epochs | time |', '|---|---|---|---|---|']
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


def prepare(out: Path):
    """Make the folder, or clear what an earlier quickstart left in it."""
    if out.exists() and not (out / MARKER).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise SystemExit(f'--out: {out} holds something else than a quickstart; choose a new or '
                         'an empty folder')
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
    shutil.rmtree(out / 'work_dirs', ignore_errors=True)
    for pattern in ('*.png', 'report.md', 'scores.csv'):
        for path in out.glob(pattern):
            path.unlink()


def main(argv=None):
    """Run all stages."""
    args = parse_args(argv)
    start = time.time()
    prepare(args.out)
    runs = {stage.name: run_stage(i, args.out, args.smoke) for i, stage in enumerate(STAGES)}
    pictures = draw(runs, args.out)
    text = report(runs, pictures, args.out, time.time() - start)
    (args.out / 'report.md').write_text(text, encoding='utf-8')
    print(f'\nDone in {(time.time() - start) / 60:.1f} min. Open:')
    for name, text in {'report.md': 'all figures', **pictures}.items():
        print(f'  {args.out / name}: {text}')


if __name__ == '__main__':
    main()
