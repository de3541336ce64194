"""Evaluate frozen features on data sets, beside raw keypoints: one table.

python tools/analysis/frozen_features.py configs/dt1_penn_tiny.py CHECKPOINT --out frozen.json

Linear classifier, nearest neighbor, and linear classifiers with 1 % and 10 % of the labels; all
settings are chosen on ``val`` after training on ``fit`` (docs/dt1.md). ``--split val`` stops
there, for choices of models; by default the test clips are evaluated, once, after training on
``train``.
"""

from mofm.utils.tool import run_tool

import argparse
import json
import shlex
import statistics
import sys
import time
from datetime import date
from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import put_text
from mmengine.registry import init_default_scope

from mofm.annotations import AnnotationError, load_annotations
from mofm.launch import add_arguments, config_from_args, require_checkpoint
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
_BASELINE = ROOT / 'configs/dt2_penn_baseline.py'
_DATA = ROOT / 'configs/_base_/datasets/transfer.py'


def build(cfg: Config, checkpoint: str | None, seed: int):
    """Build data preprocessor and backbone in evaluation mode, without a checkpoint random."""
    import torch

    from mofm.registry import MODELS

    torch.manual_seed(seed)
    init_cfg = checkpoint and dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
    backbone = MODELS.build(dict(cfg.model.backbone, init_cfg=init_cfg))
    backbone.init_weights()
    return MODELS.build(cfg.model.data_preprocessor).eval(), backbone.eval()


def validation_clips(data: Config, test: bool) -> list[str]:
    """Return the names of the clips for validation, and check that all splits are there."""
    parts = [(data.ann_file, [data.get('train', 'train'), data.get('val', 'val')])]
    if test:
        parts.append((data.get('test_file', data.ann_file), [data.get('test', 'test')]))
    found = {file: load_annotations(file)['split'] for file, _ in parts}
    for file, names in parts:
        if missing := [name for name in names if name not in found[file]]:
            raise SystemExit(f'{file}: found the splits {", ".join(found[file])}, expected '
                             f'{", ".join(missing)}, too; prepare the file again with '
                             'tools/data/prepare.py')
    return list(found[data.ann_file][data.get('val', 'val')])


def load_clips(cfg: Config, model: tuple, data: Config, val_names: list[str],
               test: bool) -> dict:
    """Extract the features of a data set.

    Returns:
        dict: ``fit``, ``val`` and, if ``test``, ``train`` and ``test``.
    """
    import numpy as np

    from mofm.evaluation.functional.frozen_features import extract_features

    def extract(file, split, test_mode):
        return extract_features(cfg.test_dataloader, *model, file, split, test_mode)

    train = extract(data.ann_file, data.get('train', 'train'), False)
    val = np.isin(train.names, val_names)
    out = dict(fit=train.take(~val), val=train.take(val))
    if test:
        file = data.get('test_file', data.ann_file)
        out.update(train=train, test=extract(file, data.get('test', 'test'), True))
    for known, queries in (('fit', 'val'), ('train', 'test')):
        if queries in out:
            alone = np.setdiff1d(out[queries].labels, out[known].labels)
            if len(alone):
                print(f'{data.ann_file}: {queries}: found clips of the labels '
                      f'{", ".join(map(str, alone))}, of which {known} has none; they count as '
                      'wrong', file=sys.stderr)
    return out


def mean(entry: dict) -> float:
    """Return an accuracy, or the mean of those of several draws."""
    return statistics.mean(entry.get('accuracies') or [entry['accuracy']])


def percent(entry: dict) -> str:
    """Format an accuracy, or mean and standard deviation of those of several draws."""
    draws = entry.get('accuracies', ())
    spread = f' ± {100 * statistics.stdev(draws):.1f}' if len(draws) > 1 else ''
    return f'{100 * mean(entry):.1f}{spread}'


def describe(entry: dict) -> str:
    """Format what was chosen on the validation clips."""
    words = [f'C {entry["C"]:.1g}'] if 'C' in entry else []
    words += [f'{key.replace("_", " ")}' for key in ('mirrored_training', 'mirrored_test')
              if entry.get(key)]
    return ', '.join(words) or '–'


def report(results: dict) -> str:
    """Format the table of all data sets, and the means of those that are splits of one."""
    kinds = ['linear', 'knn', '1%', '10%']
    lines = [['data set', 'features', 'dimensions', 'linear', 'kNN-1', '1 % of labels',
              '10 % of labels', 'chosen on val, for linear'], ['---'] * 8]
    for title, rows in results['data_sets'].items():
        for name, row in rows.items():
            lines.append([title, name, row['dimensions'], *(percent(row[kind]) for kind in kinds),
                          describe(row['linear'])])
    of_splits: dict[str, list] = {}
    for title, rows in results['data_sets'].items():
        data_set, is_split, _ = title.rpartition(', split ')
        if is_split:
            of_splits.setdefault(data_set, []).append(rows)
    for data_set, splits in of_splits.items():
        for name, row in splits[0].items():
            means = [statistics.mean(mean(rows[name][kind]) for rows in splits) for kind in kinds]
            lines.append([f'{data_set}, mean of {len(splits)} splits', name, row['dimensions'],
                          *(f'{100 * value:.1f}' for value in means), ''])
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def main():
    """Extract features, evaluate them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('checkpoint', help="checkpoint with the backbone, 'none' for random "
                        'weights')
    parser.add_argument('--data', default=_DATA, metavar='FILE',
                        help='config with the data sets [configs/_base_/datasets/transfer.py]')
    parser.add_argument('--sets', nargs='+', metavar='NAME', help='some of them [all]')
    parser.add_argument('--split', choices=['val', 'test'], default='test',
                        help='val: nothing is evaluated on test clips [%(default)s]')
    parser.add_argument('--seed', type=int, default=0, help='of random weights [%(default)s]')
    parser.add_argument('--out', metavar='FILE.json', help='file of all figures')
    args = parser.parse_args()
    cfg = config_from_args(args)
    data_sets = Config.fromfile(args.data).data_sets
    unknown = set(args.sets or ()) - set(data_sets)
    if unknown:
        raise SystemExit(f'--sets: found {", ".join(sorted(unknown))}, expected some of '
                         f'{", ".join(data_sets)}')
    if args.checkpoint != 'none':
        require_checkpoint(args.checkpoint)
    from mofm.evaluation.functional.frozen_features import evaluate_frozen

    names = args.sets or [*data_sets]
    val_names = {name: validation_clips(data_sets[name], args.split == 'test') for name in names}
    init_default_scope('mofm')
    checkpoint = None if args.checkpoint == 'none' else args.checkpoint
    baseline, title = load_config(_BASELINE), checkpoint or 'random weights'
    models = {'raw keypoints': (baseline, build(baseline, None, args.seed)),
              title: (cfg, build(cfg, checkpoint, args.seed))}
    start = time.process_time()
    results = dict(
        command=shlex.join(['python', *sys.argv]), date=str(date.today()), seed=args.seed,
        split=args.split,
        parameters=sum(p.numel() for p in models[title][1][1].parameters()),
        data_sets={})
    for name in names:
        rows = results['data_sets'][data_sets[name].title] = {}
        for title, (config, model) in models.items():
            began = time.process_time()
            clips = load_clips(config, model, data_sets[name], val_names[name],
                               args.split == 'test')
            rows[title] = dict(dimensions=clips['fit'].clips.shape[1],
                               clips={key: len(part.names) for key, part in clips.items()},
                               **evaluate_frozen(**clips))
            rows[title]['minutes'] = (time.process_time() - began) / 60
        results['minutes'] = (time.process_time() - start) / 60
        if args.out:
            put_text(json.dumps(results, indent=1), args.out)
    print(f'{report(results)}\n\nTop-1 accuracy in %, {args.split} clips, {results["date"]}, seed '
          f'{args.seed}, {results["parameters"] / 1e6:.2f} M parameters, '
          f'{results["minutes"]:.1f} CPU minutes\n{results["command"]}')


if __name__ == '__main__':
    run_tool(main, AnnotationError)
