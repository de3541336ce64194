"""Export a model to ONNX: ``mofm export CONFIG CHECKPOINT --out model.onnx``.

The model maps keypoints in pixels to results, see docs/deployment.md. It is compared with PyTorch
before it is written. ``--int8`` also writes ``model.int8.onnx``, and compares both on the test
data of the config.
"""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from mofm.sources.plugins import add_plugin_option, load_plugins

ERRORS = ImportError, OSError, RuntimeError, ValueError


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config, or published model: name of '
                        '`mofm models`, folder or hub ID')
    parser.add_argument('checkpoint', nargs='?', help='weights for a config')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.onnx')
    parser.add_argument('--tolerance', type=float, default=1e-4,
                        help='largest allowed difference from torch [%(default)s]')
    parser.add_argument('--int8', action='store_true',
                        help='also write FILE.int8.onnx, with 8 bits, and test both')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of a config file')
    add_plugin_option(parser)
    args = parser.parse_args(load_plugins(argv))
    if args.out.suffix != '.onnx':
        parser.error(f'--out: found {args.out}, expected a file that ends in .onnx')
    if Path(args.config).suffix == '.py' and args.checkpoint is None:
        parser.error(f'checkpoint: found none, {args.config} has no weights of its own')
    return args


def main(argv=None):
    """Export, and describe the file."""
    args = parse_args(argv)
    from mofm.apis.export import (  # heavy
        describe_onnx,
        evaluate_onnx,
        export_onnx,
        quantize_onnx,
    )
    from mofm.apis.model import init_model

    model = init_model(args.config, args.checkpoint, 'cpu', args.cfg_options)
    difference = export_onnx(model, args.out, args.tolerance)
    print('\n'.join(describe_onnx(args.out)))
    print('difference from torch: ' + ', '.join(f'{k} {v:.1e}' for k, v in difference.items()))
    if args.int8:
        paths = [args.out, args.out.with_suffix('.int8.onnx')]
        quantize_onnx(*paths)
        if Path(args.config).suffix == '.py':
            print_comparison(paths, evaluate_onnx(model, *paths))
        else:
            print(f'{paths[1]}: not tested, as a published model has no test data')


def print_comparison(paths: list[Path], results: list[dict]):
    """Print accuracy, latency and size of the float file and of the one with 8 bits."""
    for path, result in zip(paths, results, strict=True):
        metrics = [f'{name} {value:.4f}' for name, value in result['metrics'].items()]
        print(', '.join([f'{path}: {result["size"] / 1e6:.2f} MB',
                         f'{1e3 * result["latency"]:.1f} ms per clip on one thread', *metrics]))
    wide, small = results
    line = (f'int8 / float: size {small["size"] / wide["size"]:.2f}, '
            f'latency {small["latency"] / wide["latency"]:.2f}')
    if small['equal'] is not None:
        line += f', {small["equal"]:.1%} of the classes or tokens are equal'
    print(line)
