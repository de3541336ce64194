"""Options, config and processes of tools that run a config."""

import argparse
import ast
import gc
import json
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mmengine.config import Config, ConfigDict, DictAction

from mofm.utils.config import default_work_dir, load_config
from mofm.utils.config_errors import explain_config_error
from mofm.utils.processes import end_with_parent


class _OverrideAction(DictAction):
    """``KEY=VALUE``, where a value may be a dict, or a list of dicts, as Python writes it."""

    @staticmethod
    def _parse_iterable(text: str):
        is_dict = re.match(r'[\s(\[]*{', text)
        return ast.literal_eval(text) if is_dict else \
            DictAction._parse_iterable(text)  # noqa: SLF001  what is overridden

    def __call__(self, parser, namespace, values, option_string=None):
        for value in values:
            try:
                super().__call__(parser, namespace, [value], option_string)
            except (AssertionError, SyntaxError, TypeError, ValueError):
                parser.error(f'{option_string}: found {value}, expected KEY=VALUE, e.g. '
                             'train_cfg.max_epochs=8, or a dict as Python writes it')


def path_argument(text: str) -> str:
    """Read an argument that is a path; one of an unset variable of the shell is empty."""
    if not text:
        raise argparse.ArgumentTypeError('found an empty text, expected a path')
    return text


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of tools that run a config."""
    parser.add_argument('config', type=path_argument,
                        help='config file, or the name of one of MoFM, e.g. mofm/pretrain_tiny')
    parser.add_argument('--work-dir', type=path_argument, help='folder for logs and checkpoints '
                        '[work_dirs/<path of the config below configs>]')
    parser.add_argument('--cfg-options', nargs='+', action=_OverrideAction,
                        metavar='KEY=VALUE',
                        help='override settings, e.g. train_dataloader.batch_size=8')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='set by dist_train.sh, slurm_train.sh')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)


def config_from_args(args: argparse.Namespace) -> Config:
    """Load the config with the overrides of the command line, ready for a Runner."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    try:
        cfg = load_config(args.config, args.cfg_options)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or default_work_dir(cfg.filename)
    for loader in (cfg.get(f'{name}_dataloader') for name in ('train', 'val', 'test')):
        if loader and not loader.get('num_workers'):
            loader.persistent_workers = False  # invalid with num_workers=0
    if args.launcher == 'pytorch' or 'MOFM_LAUNCHER' in os.environ:
        end_with_parent(int(os.environ.get('MOFM_LAUNCHER', os.getppid())))
    if args.launcher != 'none':
        use_gloo_on_cpu(cfg)
    return cfg


def require_checkpoint(path: str):
    """Exit early if a checkpoint does not exist."""
    from mofm.hub.checkpoint import find_checkpoint

    try:
        if '://' not in path:
            find_checkpoint(path)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error


def launch(main: Callable[[argparse.Namespace], None], args: argparse.Namespace):
    """Run a tool and record the error of a failed process for dist_train.sh.

    A mistake in the config ends it in one line, for all processes of dist_train.sh together; a
    full disk too, not in a traceback for each line of the log.
    Gloo threads that outlive the interpreter sometimes abort it, so the process group is
    destroyed, and before that the model wrapper that keeps it alive.
    """
    import torch
    from torch.distributed.elastic.multiprocessing.errors import record

    logging.raiseExceptions = False
    try:
        record(main)(args)
    except SystemExit as end:
        _leave(end.code, end)
    except (AssertionError, FileNotFoundError, KeyError, TypeError, ValueError) as error:
        message = explain_config_error(
            error, load_config(args.config, args.cfg_options).to_dict())
        if message is None:
            raise
        _leave(message, error)
    if torch.distributed.is_initialized():
        gc.collect()
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _leave(code: str | int | None, cause: BaseException) -> NoReturn:
    """Exit; :mod:`mofm.torchrun` prints the message of its processes."""
    file = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if isinstance(code, str) and file and 'MOFM_LAUNCHER' in os.environ:
        told = dict(message=code, timestamp=int(time.time()))
        Path(file).write_text(json.dumps(told), encoding='utf-8')
        code = 1
    raise SystemExit(code) from cause


def join_processes(cfg: Config):
    """Initialize the process group, as a Runner does, which makes the work dir before it."""
    from mmengine.dist import init_dist, is_distributed
    from mmengine.utils.dl_utils import set_multi_processing

    if cfg.launcher != 'none' and not is_distributed():
        set_multi_processing(**cfg.env_cfg.get('mp_cfg', {}), distributed=True)
        init_dist(cfg.launcher, **cfg.env_cfg.get('dist_cfg', {}))


def use_gloo_on_cpu(cfg: Config):
    """Use Gloo for several processes without a GPU, which MMEngine's launcher lacks."""
    import torch  # not for --help and print_config.py

    if torch.cuda.is_available():
        return
    if cfg.launcher == 'pytorch':
        torch.distributed.init_process_group('gloo')
    cfg.env_cfg.dist_cfg = ConfigDict(backend='gloo')
    cfg.model_wrapper_cfg = ConfigDict(
        type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
