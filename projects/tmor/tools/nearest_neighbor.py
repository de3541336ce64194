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


def set_scores(sample, distance, neighbors):
    """Set the mean of the annotated actions of the nearest training windows, per frame."""
    import numpy as np
    import torch

    targets = np.stack([neighbor.frame_targets for neighbor in neighbors])  # (k, S, K)
    sample.frame_scores = torch.from_numpy(targets.mean(0))


def main():
    """Fit on the training windows, score the test windows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('--neighbors', type=int, default=1,
                        help='number of training windows to average [%(default)s]')
    args = parser.parse_args()
    cfg = config_from_args(args)
    from mofm.evaluation.functional.nearest_neighbor import evaluate_nearest_neighbors

    init_default_scope(cfg.default_scope)
    metrics = evaluate_nearest_neighbors(
        cfg, MODELS.build(dict(type='SkeletonDataPreprocessor')),
        lambda inputs: normalized(inputs).flatten(1), set_scores, args.neighbors)
    for name, value in metrics.items():
        print(f'{name}: {value:.4f}')


if __name__ == '__main__':
    run_tool(main)
