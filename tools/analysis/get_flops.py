"""Count parameters, FLOPs and memory: ``python tools/analysis/get_flops.py CONFIG``.

See :mod:`mofm.apis.profiling` for the counting rules. The typical clip is synthetic motion of
median occupancy in the test pipeline. Memory is the peak above that before the model is built.
"""

from mofm.utils.tool import run_tool

import argparse

from rich.console import Console
from rich.table import Table

from mofm.launch import add_arguments, config_from_args


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('--batch-size', type=int, default=1, help='clips per batch [1]')
    parser.add_argument('--occupied', type=float, metavar='SHARE',
                        help='also measure a clip with this share of occupied cubes')
    args = parser.parse_args()
    if args.batch_size < 1:
        parser.error(f'--batch-size: found {args.batch_size}, expected at least 1')
    if args.occupied is not None and not 0 <= args.occupied <= 1:
        parser.error(f'--occupied: found {args.occupied}, expected a share in [0, 1]')
    return args


def main():
    """Print parameters, FLOPs and memory."""
    args = parse_args()
    import torch

    from mofm.apis.profiling import parts, profile_config

    cfg = config_from_args(args)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    profile = profile_config(cfg, args.batch_size, args.occupied, device)
    model, rows = profile.model, profile.flops

    console = Console()
    table = Table('part', 'parameters', 'trained', *rows,
                  title=f'{type(model).__name__}; GFLOPs of clips: {", ".join(rows)}')
    for column in table.columns[1:]:
        column.justify = 'right'
    modules = dict(parts(model), total=model)
    for name, module in modules.items():
        trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
        table.add_row(name, f'{sum(p.numel() for p in module.parameters()):,}', f'{trained:,}',
                      *(f'{flops[name] / 1e9:.4g}' for _, flops in rows.values()),
                      style='bold' if name == 'total' else None)
    if profile.reads_cubes:
        table.add_row('occupied cubes', '', '', *(f'{share:.1%}' for share, _ in rows.values()))
    console.print(table)
    for name, peak in profile.peaks.items():
        print(f'memory, {name} of {args.batch_size} on {device}: {peak / 2**20:.0f} MiB')


if __name__ == '__main__':
    run_tool(main)
