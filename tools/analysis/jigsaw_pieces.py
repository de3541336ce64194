"""Analyze the token jigsaw: deciding pieces, and dependence on motion.

python tools/analysis/jigsaw_pieces.py configs/dt3_utkinect_tiny.py CHECKPOINT

AUC over single test windows (or clips, with ClipAUC) and their labels, without smoothing.
"""

from mofm.utils.tool import run_tool

import argparse
from itertools import pairwise

import numpy as np

from mofm.launch import add_arguments, config_from_args, require_checkpoint


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint of a JigsawDetector')
    return parser.parse_args()


def collect(model, loader) -> tuple:
    """Run the test.

    Returns:
        tuple: (N, P) probabilities of the correct piece, (N, P) whether it counts, (N,) labels,
        (N,) motion: mean distance of a joint between frames, in canvas pixels.
    """
    import torch
    from rich.progress import track

    parts = []
    for batch in track(loader, 'Test windows'):
        data = model.data_preprocessor(batch)
        inputs, samples = data['inputs'], data['data_samples']
        model(inputs, samples, mode='predict')
        right = torch.stack([s.jigsaw.diagonal() for s in samples])
        points, seen = inputs.keypoints[..., :2], inputs.keypoints[..., 2] > 0  # (B, M, J, F)
        pair = seen[..., 1:] & seen[..., :-1]
        step = points.diff(dim=3).norm(dim=-1) * pair
        motion = step.sum((1, 2, 3)) / pair.sum((1, 2, 3)).clamp(min=1)
        label = torch.cat([s.gt_label for s in samples])
        parts.append([x.cpu().numpy()
                      for x in (right, model.head.occupied(inputs.peaks()), label, motion)])
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def main():
    """Print two tables."""
    args = parse_args()
    import torch
    from mmengine.registry import init_default_scope
    from mmengine.runner import Runner
    from rich.console import Console
    from rich.table import Table

    from mofm.evaluation.functional import roc_auc
    from mofm.hub.checkpoint import load_weights
    from mofm.registry import MODELS

    require_checkpoint(args.checkpoint)
    cfg = config_from_args(args)
    init_default_scope(cfg.default_scope)
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model).eval()
    load_weights(model, args.checkpoint)
    with torch.no_grad():
        right, counts, label, motion = collect(
            model, Runner.build_dataloader(cfg.test_dataloader))
    right = np.where(counts, right, np.inf)
    normal = np.isin(label, cfg.test_evaluator.get('normal_labels', [0]))
    decides = right.argmin(1)
    score = np.minimum(right.min(1), 1)

    console = Console()
    table = Table('piece', 'occupied', 'decides', 'AUC alone',
                  title=f'{len(label)} windows, AUC {roc_auc(normal, score):.3f}')
    for p in range(right.shape[1]):
        alone = roc_auc(normal[counts[:, p]], right[counts[:, p], p]) if counts[:, p].any() else 0
        table.add_row(f'{p}', f'{counts[:, p].mean():.2f}', f'{(decides == p).mean():.2f}',
                      f'{alone:.3f}')
    console.print(table)

    table = Table('motion, px per frame', 'windows', 'abnormal', 'pieces', 'median score', 'AUC',
                  title='Quarters of the windows by motion')
    edges = np.quantile(motion, [0, .25, .5, .75, 1])
    for low, high in pairwise(edges):
        part = (motion >= low) & (motion <= high)
        table.add_row(f'{low:.2f} to {high:.2f}', f'{part.sum()}', f'{(~normal[part]).mean():.3f}',
                      f'{counts[part].sum(1).mean():.1f}', f'{np.median(score[part]):.3f}',
                      f'{roc_auc(normal[part], score[part]):.3f}')
    console.print(table)


if __name__ == '__main__':
    run_tool(main)
