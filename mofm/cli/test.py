"""Test a checkpoint: ``mofm test dt1_penn_tiny CHECKPOINT``.

Writes ``WORK_DIR/<time>/report.html``, a self-contained report of metrics, figures, tables and
the worst mistakes as animations. Metrics with result files write to ``WORK_DIR/results`` unless
``out_dir`` is set.
"""

import argparse
import inspect
from pathlib import Path

from mmengine.config import Config

from mofm.launch import (
    add_arguments,
    config_from_args,
    launch,
    path_argument,
    require_checkpoint,
)
from mofm.registry import METRICS
from mofm.utils.files import check_space, named


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('checkpoint', type=path_argument,
                        help="checkpoint file, or 'none' for initial weights")
    parser.add_argument('--dump', metavar='FILE.pkl',
                        help="write all predictions, by MMEngine's DumpResults")
    parser.add_argument('--out', metavar='FILE.csv',
                        help='write name, label, prediction and class scores per sample')
    parser.add_argument('--no-report', action='store_true', help='skip report.html')
    return parser.parse_args(argv)


def test(args: argparse.Namespace):
    """Check the arguments and test."""
    for name, suffix in (('dump', '.pkl'), ('out', '.csv')):
        path = getattr(args, name)
        if path and Path(path).suffix != suffix:
            raise SystemExit(f'--{name}: found {path}, expected a file that ends in {suffix}')
        if path:
            check_space(Path(path).parent, 0)
    if args.checkpoint != 'none':
        require_checkpoint(args.checkpoint)
    cfg = config_from_args(args)
    cfg.load_from = args.checkpoint if args.checkpoint != 'none' else None
    cfg.test_evaluator = [cfg.test_evaluator] if isinstance(cfg.test_evaluator, dict) \
        else list(cfg.test_evaluator)
    for metric in cfg.test_evaluator:
        if 'out_dir' in inspect.signature(METRICS.get(metric['type'])).parameters:
            metric.setdefault('out_dir', str(Path(cfg.work_dir) / 'results'))
    if args.dump:
        cfg.test_evaluator.append(dict(type='DumpResults', out_file_path=args.dump))
    if args.out:
        cfg.test_evaluator.append(dict(type='ScoreTable', out_file=args.out))
    run_test(cfg, args)


def run_test(cfg: Config, args: argparse.Namespace):
    """Run the test and its report."""
    from mofm.engine.hooks import DataCheckHook, ReportHook
    from mofm.engine.runner.access import get_model
    from mofm.engine.runner.runners import TestRunner

    runner = TestRunner.from_cfg(cfg)
    runner.register_hook(ReportHook(page=not args.no_report))
    runner.register_hook(DataCheckHook())
    if args.checkpoint == 'none':
        get_model(runner).init_weights()
    with named(cfg.work_dir):
        runner.test()


def main(argv=None):
    """Parse the command line and test."""
    launch(test, parse_args(argv))
