"""Train a config: ``python tools/train.py configs/mofm/dved_tiny.py``."""

import argparse

import torch
from _launch import add_arguments, load_config, require_checkpoint
from mmengine.runner import Runner
from torch.distributed.elastic.multiprocessing.errors import record


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from a checkpoint, the last one in the work dir by default')
    parser.add_argument('--amp', action='store_true', help='mixed precision (needs a GPU)')
    parser.add_argument('--seed', type=int, help='random seed')
    return parser.parse_args()


@record  # dist_train.sh ends with the error of the process that failed first
def main():
    """Train."""
    args = parse_args()
    cfg = load_config(args)
    if args.amp:
        if not torch.cuda.is_available():
            raise SystemExit('--amp: found no GPU; mixed precision needs one, leave it out here')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('dtype', 'bfloat16')
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness', {}), seed=args.seed)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None
        if args.resume != 'auto':
            require_checkpoint(args.resume)
            cfg.load_from = args.resume
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
