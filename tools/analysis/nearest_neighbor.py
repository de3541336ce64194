"""Floor for an anomaly config: distance to the nearest training window in key point space.

python tools/analysis/nearest_neighbor.py configs/dt3_utkinect_tiny.py

Normality is minus the distance between the centered and scaled key points of a test window and the
nearest window of the training set, without augmentation; the metric of the config does the rest.
"""

import argparse

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
    return parser.parse_args()


@torch.no_grad()
def features(loader, preprocessor, backbone, title: str):
    """Yield the batches of a loader with their features (B, D)."""
    for batch in track(loader, title):
        data = preprocessor(dict(batch))
        yield batch, data['data_samples'], backbone(data['inputs']).pooled.numpy()


def main():
    """Fit on the training windows, score the test windows."""
    args = parse_args()
    cfg = config_from_args(args)
    init_default_scope(cfg.default_scope)
    cfg.train_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline
    train, test = (Runner.build_dataloader(loader)
                   for loader in (cfg.train_dataloader, cfg.test_dataloader))
    preprocessor = MODELS.build(cfg.data_preprocessor)
    backbone = MODELS.build(dict(type='KeypointFeatures'))
    neighbors = NearestNeighbors(n_neighbors=1, algorithm='brute').fit(
        [row for *_, rows in features(train, preprocessor, backbone, 'Training windows')
         for row in rows])
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = test.dataset.metainfo
    for batch, samples, rows in features(test, preprocessor, backbone, 'Test windows'):
        distance = neighbors.kneighbors(rows)[0][:, 0]
        for sample, value in zip(samples, torch.from_numpy(distance), strict=True):
            sample.normality = -value
        evaluator.process(samples, batch)
    for name, value in evaluator.evaluate(len(test.dataset)).items():
        print(f'{name}: {value:.4f}')


if __name__ == '__main__':
    main()
