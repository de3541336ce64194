"""Export a model to ONNX: ``python tools/export_onnx.py CONFIG CHECKPOINT --out model.onnx``.

The file takes key points in pixels, see docs/deployment.md. It is compared with the ordinary path
before it is written.
"""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from mofm.apis.export import export_onnx
from mofm.apis.model import init_model


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, or what tools/publish.py wrote: folder or '
                        'hub id')
    parser.add_argument('checkpoint', nargs='?', help='weights for a config file')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.onnx')
    parser.add_argument('--tolerance', type=float, default=1e-4,
                        help='largest difference from torch that is allowed [%(default)s]')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of a config file')
    args = parser.parse_args()
    if args.out.suffix != '.onnx':
        parser.error(f'--out: found {args.out}, expected a file that ends in .onnx')
    if Path(args.config).suffix == '.py' and args.checkpoint is None:
        parser.error(f'checkpoint: found none, {args.config} has no weights of its own')
    return args


def main():
    """Export, and say what was written."""
    args = parse_args()
    try:
        model = init_model(args.config, args.checkpoint, 'cpu', args.cfg_options)
        difference = export_onnx(model, args.out, args.tolerance)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise SystemExit(str(error)) from error
    describe(args.out)
    print('difference from torch: ' + ', '.join(f'{k} {v:.1e}' for k, v in difference.items()))


def describe(path: Path):
    """Print inputs, outputs, metadata and size of an ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    for kind, tensors in (('input', session.get_inputs()), ('output', session.get_outputs())):
        for tensor in tensors:
            print(f'{kind}: {tensor.name} ({", ".join(map(str, tensor.shape))}) {tensor.type}')
    for name, value in sorted(session.get_modelmeta().custom_metadata_map.items()):
        print(f'{name}: {value}')
    size = sum(f.stat().st_size for f in (path, Path(f'{path}.data')) if f.exists())
    print(f'{path}: {size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
