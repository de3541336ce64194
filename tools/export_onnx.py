"""Export a model to ONNX: ``python tools/export_onnx.py CONFIG CHECKPOINT --out model.onnx``.

The model maps keypoints in pixels to results, see docs/deployment.md. It is compared with PyTorch
before it is written.
"""

from mofm.utils.tool import run_tool

import argparse
from pathlib import Path

from mmengine.config import DictAction


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, or published model: folder or hub ID')
    parser.add_argument('checkpoint', nargs='?', help='weights for a config file')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.onnx')
    parser.add_argument('--tolerance', type=float, default=1e-4,
                        help='largest allowed difference from torch [%(default)s]')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of a config file')
    args = parser.parse_args()
    if args.out.suffix != '.onnx':
        parser.error(f'--out: found {args.out}, expected a file that ends in .onnx')
    if Path(args.config).suffix == '.py' and args.checkpoint is None:
        parser.error(f'checkpoint: found none, {args.config} has no weights of its own')
    return args


def main():
    """Export, and describe the file."""
    args = parse_args()
    from mofm.apis.export import describe_onnx, export_onnx  # heavy
    from mofm.apis.model import init_model

    model = init_model(args.config, args.checkpoint, 'cpu', args.cfg_options)
    difference = export_onnx(model, args.out, args.tolerance)
    print('\n'.join(describe_onnx(args.out)))
    print('difference from torch: ' + ', '.join(f'{k} {v:.1e}' for k, v in difference.items()))


if __name__ == '__main__':
    run_tool(main, ImportError, OSError, RuntimeError, ValueError)
