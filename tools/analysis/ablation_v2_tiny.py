"""Pre-train recipe v2 without one of its parts each, and compare frozen features: one table.

python tools/analysis/ablation_v2_tiny.py --seeds 0 1 2 --out work_dirs/ablation_v2

A third of the recipe's iterations, without NW-UCLA, which is new to the models like UTKinect.
Everything is measured on validation clips (tools/analysis/frozen_features.py). Finished trainings
are skipped and interrupted ones resumed, so the same command completes a table or adds seeds.
"""

from mofm.utils.tool import run_tool

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from compare import ROOT, cell, table, train
from rich.progress import track

KMEANS, PRETRAIN, FEATURES = (
    'mofm/kmeans_v2_without_ucla_tiny', 'mofm/pretrain_v2_without_ucla_tiny', 'dt1_penn_v2_tiny')
SETS = dict(penn_action='Penn Action', nw_ucla='NW-UCLA', utkinect='UTKinect')
_VIEWS = {f'train_dataloader.dataset.datasets.{i}.pipeline.0.{view}.3.{name}': 0.
          for i in range(2) for view in ('query', 'key') for name in ('stretch', 'shear')}
#: Part that is left out -> settings of the pre-training, and of the features
VARIANTS: dict[str, tuple[dict, dict]] = {
    'none': ({}, {}),
    'keypoint-aligned features in the evaluation': ({}, {'model.backbone.align': None}),
    'contrast': ({'model.contrast.weight': 0.}, {}),  # its momentum encoder still takes its time
    'cameras as views, stretch and shear': (
        {'train_dataloader.dataset.datasets.1.type': 'MotionDataset', **_VIEWS}, {}),
    'the second segment': ({'grid.segments': 1}, {'grid.segments': 1}),
}


def evaluate(folder: Path, checkpoint: str, name: str, options: dict) -> dict:
    """Evaluate frozen features on validation clips; returns accuracies by data set."""
    path = folder / f'frozen_{name}.json'

    def read():
        return json.loads(path.read_text(encoding='utf-8'))['data_sets'] if path.is_file() else {}

    if len(read()) < len(SETS):  # an interrupted evaluation has written some
        command = [sys.executable, str(ROOT / 'tools/analysis/frozen_features.py'), FEATURES,
                   checkpoint, '--split', 'val', '--sets', *SETS, '--out', str(path)]
        if options:
            command += ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return read()


def main():
    """Train what is not done, evaluate it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], metavar='SEED',
                        help='of pre-training and tokenizer [%(default)s]')
    parser.add_argument('--out', type=Path, default='work_dirs/ablation_v2', metavar='FOLDER',
                        help='trainings and figures [%(default)s]')
    args = parser.parse_args()
    found: dict = {}
    for seed, name in track([(s, n) for s in args.seeds for n in VARIANTS], 'Trainings'):
        options, of_features = VARIANTS[name]
        variant = 'none' if not options else name
        folder = args.out / f'{variant.replace(" ", "_").replace(",", "")}_seed{seed}'
        segments = {key: value for key, value in options.items() if key == 'grid.segments'}
        guide = args.out / f'kmeans_{segments.get("grid.segments", 2)}_seed{seed}'
        record = train(KMEANS, seed, guide, segments)
        if record['done']:
            record = train(PRETRAIN, seed, folder, {
                'train_cfg.max_epochs': 25, **options,
                'model.tokenizer.init_cfg.checkpoint': guide / 'epoch_1.pth'})
        if not record['done']:
            raise SystemExit(f'{folder}: the training stopped; the reason is in train.log of it '
                             f'or of {guide}')
        data_sets = evaluate(folder, str(folder / 'epoch_25.pth'),
                             'mean' if 'model.backbone.align' in of_features else 'aligned',
                             of_features)
        row = found.setdefault(name, dict(minutes=[]))
        row['minutes'].append(record['seconds'] / 60)
        for title, models in data_sets.items():
            for features, entry in zip(('raw', 'model'), models.values(), strict=True):
                into = found.setdefault('all of it: raw keypoints', {}) if (
                    features == 'raw') else row
                for kind in ('linear', 'knn'):
                    into.setdefault((title, kind), []).append(100 * entry[kind]['accuracy'])
    rows = [[name, f'{statistics.mean(row["minutes"]):.1f}' if 'minutes' in row else '–',
             *(' / '.join(cell(row[title, kind]) for kind in ('linear', 'knn'))
               for title in SETS.values())] for name, row in found.items()]
    print(table(['left out', 'CPU minutes', *SETS.values()], rows))


if __name__ == '__main__':
    run_tool(main)
