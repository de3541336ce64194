"""Train a config: ``mofm train mofm/dved_tiny``."""

import argparse
from contextlib import ExitStack

from mmengine.config import Config

from mofm.launch import (
    add_arguments,
    config_from_args,
    join_processes,
    launch,
    path_argument,
    require_checkpoint,
)
from mofm.utils.files import named

HINT = 'the same command with --resume continues'


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        type=path_argument,
                        help='resume from a checkpoint [newest intact one in the work dir]')
    parser.add_argument('--overwrite', action='store_true',
                        help='delete the checkpoints and logs of another training in the work dir')
    parser.add_argument('--amp', action='store_true', help='mixed precision, bfloat16')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by the total batch size over '
                        'auto_scale_lr.base_batch_size of the config')
    parser.add_argument('--seed', type=int, help='random seed')
    return parser.parse_args(argv)


def check_lr_scaling(cfg: Config):
    """Exit if the learning rate cannot be scaled correctly by the batch size."""
    if 'base_batch_size' not in cfg.auto_scale_lr:
        raise SystemExit('auto_scale_lr: found no base_batch_size in the config, expected the '
                         'batch size that its learning rate is for')
    if cfg.optim_wrapper.get('accumulative_counts', 1) > 1:
        raise SystemExit('auto_scale_lr: accumulated batches are not counted; disable it and set '
                         'optim_wrapper.optimizer.lr')
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        if 'eta_max' in scheduler:
            raise SystemExit(f'auto_scale_lr: {scheduler.type} sets the learning rate itself; '
                             f'disable it and set its eta_max, now {scheduler.eta_max}')


def resume_newest(runner, run: dict):
    """Resume from the newest intact checkpoint of the run, or from where the run started."""
    from mofm.engine.runner.access import resume_from
    from mofm.engine.runner.work_dir import on_main_process
    from mofm.hub.resumable import find_resumable

    try:
        checkpoint = on_main_process(find_resumable, runner.work_dir, run['id'])
    except ValueError as error:
        raise SystemExit(str(error)) from error
    if checkpoint or run['resumed_from']:
        resume_from(runner, checkpoint or run['resumed_from'])


def train(args: argparse.Namespace):
    """Train."""
    from mofm.engine.hooks import DataCheckHook, RunIdHook
    from mofm.engine.runner.runners import build_train_runner
    from mofm.engine.runner.work_dir import own_work_dir

    cfg = config_from_args(args)
    if args.amp:
        cfg.optim_wrapper.type = 'BFloat16OptimWrapper'
    if args.auto_scale_lr:
        cfg.setdefault('auto_scale_lr', {})['enable'] = True
    if cfg.get('auto_scale_lr', {}).get('enable'):
        check_lr_scaling(cfg)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness', {}), seed=args.seed)
    if cfg.get('resume') and not args.resume:
        args.resume = cfg.get('load_from') or 'auto'
    cfg.resume = False
    if args.resume and args.resume != 'auto':
        require_checkpoint(args.resume)
        cfg.resume = True
        cfg.load_from = args.resume
    join_processes(cfg)
    with ExitStack() as stack:
        try:
            run = stack.enter_context(own_work_dir(cfg.work_dir, args.resume, args.overwrite))
        except ValueError as error:
            raise SystemExit(str(error)) from error
        runner = build_train_runner(cfg)
        runner.register_hook(DataCheckHook())
        runner.register_hook(RunIdHook(run))
        if args.resume == 'auto':
            resume_newest(runner, run)
        with named(cfg.work_dir):
            runner.train()


def main(argv=None):
    """Parse the command line and train."""
    launch(train, parse_args(argv))
