"""Nearest-neighbor baseline of temporal localization.

python projects/tmor/tools/nearest_neighbor.py projects/tmor/configs/localize_utkinect_mofm_tiny.py

The keypoints of a test window, centered and scaled, are compared with those of the training
windows. The scores are the annotated actions of the nearest training windows, frame by frame,
averaged over overlapping test windows. Nothing is trained; the metrics are those of the config.
"""

from mofm.utils.tool import run_tool

import argparse

from mmengine.registry import init_default_scope

from mofm.launch import add_arguments, config_from_args
from mofm.registry import MODELS


def normalized(points):
    """Center and scale the first person of (B, M, T, J, 2 or 3), (B, T, J, 2)."""
    xy = points[:, 0, ..., :2]
    visible = xy.any(-1, keepdim=True)  # (B, T, J, 1)
    count = visible.sum((1, 2), keepdim=True).clamp(min=1)
    xy = (xy - xy.sum((1, 2), keepdim=True) / count) * visible
    size = (xy.square().sum((1, 2, 3), keepdim=True) / count).sqrt()
    return xy / size.clamp(min=1e-6)


def predict(cfg, neighbors):
    """Score the test windows by the nearest training windows and return the metrics."""
    import numpy as np
    import torch
    from mmengine.evaluator import Evaluator
    from mmengine.runner import Runner
    from sklearn.neighbors import NearestNeighbors
    from tqdm import tqdm

    cfg.train_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline
    train, test = (Runner.build_dataloader(loader)
                   for loader in (cfg.train_dataloader, cfg.test_dataloader))
    preprocessor = MODELS.build(dict(type='SkeletonDataPreprocessor'))

    def batches(loader, title):
        for batch in tqdm(loader, title):
            data = preprocessor(dict(batch))
            yield batch, data['data_samples'], normalized(data['inputs']).flatten(1).numpy()

    targets, rows = [], []
    for _, samples, part in batches(train, 'Training windows'):
        targets += [sample.frame_targets for sample in samples]  # (S, K)
        rows.append(part)
    search = NearestNeighbors(n_neighbors=neighbors, algorithm='brute').fit(np.concatenate(rows))
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = test.dataset.metainfo
    for batch, samples, part in batches(test, 'Test windows'):
        for sample, index in zip(samples, search.kneighbors(part)[1], strict=True):
            nearest = np.stack([targets[i] for i in index])  # (k, S, K)
            sample.frame_scores = torch.from_numpy(nearest.mean(0))
        evaluator.process(samples, batch)
    return evaluator.evaluate(len(test.dataset))


def main():
    """Fit on the training windows, score the test windows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('--neighbors', type=int, default=1,
                        help='number of training windows to average [%(default)s]')
    args = parser.parse_args()
    cfg = config_from_args(args)
    init_default_scope(cfg.default_scope)
    metrics = predict(cfg, args.neighbors)
    for name, value in metrics.items():
        print(f'{name}: {value:.4f}')


if __name__ == '__main__':
    run_tool(main)
