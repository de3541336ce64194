"""Floor for a detection config: the actions of the nearest training windows.

python projects/tmor/tools/nearest_neighbor.py projects/tmor/configs/localize_utkinect_mofm_tiny.py

The key points of a test window, centered and scaled, are compared with those of the training
windows. The annotated actions of the nearest ones, frame by frame, are the scores; where test
windows overlap they are averaged. Nothing is trained; the metrics are those of the config.
"""

import argparse

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from rich.progress import track
from sklearn.neighbors import NearestNeighbors

from mofm.launch import add_arguments, config_from_args
from mofm.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('--neighbors', type=int, default=1,
                        help='how many training windows are averaged, 1 by default')
    return parser.parse_args()


@torch.no_grad()
def features(loader, title: str):
    """Data samples and features (N, D) of all windows of a loader."""
    preprocessor = MODELS.build(dict(type='SkeletonDataPreprocessor'))
    samples, rows = [], []
    for batch in track(loader, title):
        data = preprocessor(batch)
        samples += data['data_samples']
        rows.append(normalized(data['inputs']).flatten(1))
    return samples, torch.cat(rows).numpy()


def normalized(points: torch.Tensor) -> torch.Tensor:
    """Key points (B, M, T, J, 2 or 3) of the first person (B, T, J, 2), without place and size."""
    xy = points[:, 0, ..., :2]
    visible = xy.any(-1, keepdim=True)  # (B, T, J, 1)
    count = visible.sum((1, 2), keepdim=True).clamp(min=1)
    xy = (xy - xy.sum((1, 2), keepdim=True) / count) * visible
    size = (xy.square().sum((1, 2, 3), keepdim=True) / count).sqrt()
    return xy / size.clamp(min=1e-6)


def main():
    """Fit on the training windows, score the test windows."""
    args = parse_args()
    cfg = config_from_args(args)
    init_default_scope(cfg.default_scope)
    cfg.train_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline
    train, test = (Runner.build_dataloader(loader)
                   for loader in (cfg.train_dataloader, cfg.test_dataloader))
    known, rows = features(train, 'Training windows')
    neighbors = NearestNeighbors(n_neighbors=args.neighbors, algorithm='brute').fit(rows)
    targets = np.stack([s.frame_targets for s in known])  # (N, S, K)
    samples, rows = features(test, 'Test windows')
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = test.dataset.metainfo
    nearest = neighbors.kneighbors(rows, return_distance=False)  # (N', neighbors)
    for sample, index in zip(samples, nearest, strict=True):
        sample.frame_scores = torch.from_numpy(targets[index].mean(0))
    evaluator.process(samples)
    for name, value in evaluator.evaluate(len(test.dataset)).items():
        print(f'{name}: {value:.4f}')


if __name__ == '__main__':
    main()
