"""Zero-shot accuracy of a backbone over random splits into seen and unseen classes.

python projects/tmor/tools/zero_shot_splits.py projects/tmor/configs/zero_shot_penn.py CHECKPOINT

The backbone must be trained without labels. Its features, the mean and the standard deviation over
time, are computed once; for each split, projections of motion and text are trained on the training
clips of the seen classes, and a bilinear map (ESZSL) is solved. The table has the mean and
standard deviation over the splits: zero-shot (clips of unseen classes, among these) and
generalized zero-shot (among all classes).
"""

from mofm.utils.tool import run_tool

import argparse
from pathlib import Path

from mofm.launch import add_arguments, config_from_args, require_checkpoint


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('checkpoint', help="pre-trained backbone, or 'none' for random weights")
    parser.add_argument('--num-seen', type=int, default=10,
                        help='seen classes; default: %(default)s')
    parser.add_argument('--splits', default='50', help="number of splits, or 'all'; default: "
                        '%(default)s')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of splits and projections; default: %(default)s')
    parser.add_argument('--epochs', type=int, default=20,
                        help='epochs of the projections; default: %(default)s')
    parser.add_argument('--out', type=Path, metavar='FILE.csv', help='values of each split')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args()  # --help needs none of the imports below

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tqdm import tqdm

from mofm.registry import MODELS
from mofm.utils.tables import write_csv
from projects.tmor.language.splits import SplitTrainer, draw_splits, evaluate_splits

_COLUMNS = ('unseen_top1', 'unseen_mean_class', 'seen', 'unseen', 'harmonic')


@torch.no_grad()
def features(cfg, preprocessor, backbone, name: str) -> tuple:
    """Compute features (N, D) and labels (N,) of all classes of the training or test set."""
    loader = cfg.test_dataloader.copy()
    loader.update(num_workers=0, persistent_workers=False)
    loader.dataset = cfg[f'{name}_dataloader'].dataset.copy()
    loader.dataset.update(pipeline=cfg.test_dataloader.dataset.pipeline, classes=None)
    loader = Runner.build_dataloader(loader)
    rows, labels = [], []
    for batch in tqdm(loader, f'{name} clips'):
        data = preprocessor(dict(batch))
        samples = data['data_samples']
        features = backbone(data['inputs'])
        if features.frames is None:
            found = features.pooled
        else:  # (B, T, D)
            found = torch.cat([features.frames.mean(1), features.frames.std(1, correction=0)], 1)
        found = found.float().view(len(samples), -1, found.shape[1]).mean(1)
        rows.append(found.cpu().numpy())
        labels += [int(sample.gt_label) for sample in samples]
    return (np.concatenate(rows), np.array(labels)), loader.dataset.metainfo.get('classes')


def show(rows: dict, num_splits: int):
    """Print the table in percent."""
    titles = ('zero-shot top-1', 'mean class', 'generalized: seen', 'unseen', 'harmonic mean')
    print(f'\n| {num_splits} splits |', ' | '.join(titles), '|\n|' + '---|' * (len(titles) + 1))
    for name in ('chance', 'nearest seen class', 'phi_m, phi_t', 'bilinear'):
        cells = (f'{100 * values.mean():.1f} ± {100 * values.std():.1f}' if values is not None
                 else '–' for values in map(rows[name].get, _COLUMNS))
        print(f'| {name} |', ' | '.join(cells), '|')


def main(argv=None):
    """Compute features, train on each split, print."""
    args = parse_args(argv)
    cfg = config_from_args(args)
    init_default_scope(cfg.default_scope)
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    init_cfg = None
    if args.checkpoint != 'none':
        require_checkpoint(args.checkpoint)
        init_cfg = dict(cfg.model.backbone.get('init_cfg') or
                        dict(type='Pretrained', prefix='backbone.'), checkpoint=args.checkpoint)
    torch.manual_seed(args.seed)
    backbone = MODELS.build(dict(cfg.model.backbone, init_cfg=init_cfg))
    backbone.init_weights()
    backbone.eval()
    train, classes = features(cfg, preprocessor, backbone, 'train')
    test, _ = features(cfg, preprocessor, backbone, 'test')
    if not classes:
        raise ValueError(f'{cfg.train_dataloader.dataset.ann_file}: found no names of classes, '
                         'expected metainfo.classes; set class_names of the data set')
    names = ('class_table', 'out_channels', 'hidden_channels')
    head = {key: cfg.model.cls_head[key] for key in names if key in cfg.model.cls_head}
    splits = draw_splits(len(classes), args.num_seen,
                         None if args.splits == 'all' else int(args.splits), args.seed)
    rows = evaluate_splits(splits, train, test,
                           SplitTrainer(head, classes, args.epochs, seed=args.seed),
                           lambda splits: tqdm(splits, 'splits'))
    show(rows, len(splits))
    if args.out:
        write_csv(args.out, ['seen_classes', 'row', *_COLUMNS], (
            [' '.join(map(str, seen)), name, *(f'{rows[name][c][i]:.4f}' for c in _COLUMNS)]
            for name in ('nearest seen class', 'phi_m, phi_t', 'bilinear')
            for i, seen in enumerate(splits)))


if __name__ == '__main__':
    run_tool(main, OSError, ValueError)
