"""Evaluate the baseline of an anomaly config: distance to the nearest training window.

python tools/analysis/nearest_neighbor.py configs/dt3_utkinect_tiny.py

Normality is minus the distance between the centered and scaled keypoints of a test window and the
nearest training window, without augmentation; it is evaluated by the metric of the config.
"""

from mofm.utils.tool import run_tool

import argparse

from mmengine.registry import init_default_scope

from mofm.launch import add_arguments, config_from_args
from mofm.registry import MODELS


def set_normality(sample, distance, neighbors):
    """Set normality to minus the distance to the nearest training window."""
    import torch

    sample.normality = -torch.tensor(distance[0])


def main():
    """Fit on the training windows and score the test windows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    cfg = config_from_args(parser.parse_args())
    from mofm.evaluation.functional.nearest_neighbor import evaluate_nearest_neighbors

    init_default_scope(cfg.default_scope)
    backbone = MODELS.build(dict(type='KeypointFeatures'))
    metrics = evaluate_nearest_neighbors(
        cfg, MODELS.build(cfg.model.data_preprocessor), lambda inputs: backbone(inputs).pooled,
        set_normality)
    for name, value in metrics.items():
        print(f'{name}: {value:.4f}')


if __name__ == '__main__':
    run_tool(main)
