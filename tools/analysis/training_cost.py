"""Estimate training costs: ``python tools/analysis/training_cost.py CONFIG --clips 1e8``.

See :mod:`mofm.apis.training_cost` for the counting rules. Speed, price and bandwidths of the
machine are arguments, printed as assumptions.
"""

from mofm.utils.tool import run_tool

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mofm.launch import add_arguments, config_from_args

GIB = 2**30
WAYS = ('DDP', 'ZeRO-1', 'FSDP')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('--clips', type=float, default=1e6, help='clips in the corpus [1e6]')
    parser.add_argument('--epochs', type=float, help='number of epochs [that of the config]')
    parser.add_argument('--devices', type=int, default=8, help='number of devices [8]')
    parser.add_argument('--batch-size', type=int, help='clips per device [that of the config]')
    parser.add_argument('--amp', action='store_true', help='activations in bfloat16')
    machine = parser.add_argument_group('assumptions about the machine')
    machine.add_argument('--tflops', default='300', metavar='NUMBER|FILE',
                         help='TFLOP/s that a device achieves, or a JSON file of '
                         'benchmarks/run.py, for its fastest step [300]')
    machine.add_argument('--price', type=float, default=3., help='price per device hour [3]')
    machine.add_argument('--memory', type=float, default=80., help='GiB per device [80]')
    machine.add_argument('--loader', type=float, default=900.,
                         help='samples/s per core, see benchmarks/loader.py [900]')
    machine.add_argument('--cores', type=int, default=12, help='CPU cores per device [12]')
    machine.add_argument('--store', type=float, default=1.,
                         help='GB/s of the store for all devices together [1]')
    machine.add_argument('--link', type=float, default=50.,
                         help='GB/s between devices in each direction [50]')
    args = parser.parse_args()
    for name in ('clips', 'epochs', 'devices', 'batch_size', 'price', 'memory', 'loader', 'cores',
                 'store', 'link'):
        value = getattr(args, name)
        if value is not None and value <= 0:
            parser.error(f'--{name.replace("_", "-")}: found {value}, expected more than 0')
    return args


def achieved(text: str) -> float:
    """Parse TFLOP/s from a number or a result of benchmarks/run.py."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        rows = json.loads(Path(text).read_text(encoding='utf-8'))['tables']['stages']
        return max(row['GFLOP/s'] for row in rows if row['stage'] == 'step') / 1e3
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(
            f'--tflops: found {text!r} ({type(error).__name__}: {error}), expected a number or a '
            'JSON file of benchmarks/run.py with the section stages') from None


def make_table(*columns, title: str) -> Table:
    """Make a table of numbers with names in the first column."""
    table = Table(*columns, title=title, title_justify='left')
    for column in table.columns[1:]:
        column.justify = 'right'
    return table


def main():
    """Count and print."""
    args = parse_args()
    from mofm.apis.training_cost import (
        bytes_per_clip,
        device_hours,
        device_memory,
        needed_and_available,
        traffic,
        training_cost,
    )

    cfg, tflops = config_from_args(args), achieved(args.tflops)
    console = Console()
    with console.status('counting'):
        cost = training_cost(cfg, args.amp)
        clip_bytes, measured_on = bytes_per_clip(cfg)
    epochs = args.epochs or cfg.train_cfg.max_epochs
    batch_size = args.batch_size or cfg.train_dataloader.batch_size
    sharded = 'strategy' in cfg
    checkpointing = cfg.model.get('backbone', {}).get('with_cp', False)
    step = cost['step'] + checkpointing * cost.get('again', 0)

    table = make_table('part', 'parameters', 'forward, GFLOP per clip', title=str(args.config))
    for name, flops in cost['flops'].items():
        table.add_row(name, f'{cost["parameters"].get(name, 0):,}', f'{flops / 1e9:.4g}')
    table.add_row('forward pass', '', f'{sum(cost["flops"].values()) / 1e9:.4g}')
    table.add_row('training step', '', f'{cost["step"] / 1e9:.4g}')
    if 'again' in cost:
        table.add_row('  with checkpointing', '', f'{(cost["step"] + cost["again"]) / 1e9:.4g}')
    console.print(table)

    ema = any(hook.type == 'EMAHook' for hook in cfg.get('custom_hooks', ()))
    rows = device_memory(cost, args.devices, ema)
    table = make_table('GiB', *WAYS, title=f'Memory of each of {args.devices} devices, '
                  f'{batch_size} clips' + ', bfloat16' * args.amp)
    for name, sizes in rows.items():
        table.add_row(name, *(f'{size / GIB:.2f}' for size in sizes))
    held = [sum(sizes) / GIB for sizes in zip(*rows.values(), strict=True)]
    for name, key in (('', 'clip'), (' with checkpointing', 'checkpointed')):
        if key in cost:
            kept_here = (cost['fixed'] + batch_size * cost[key]) / GIB
            table.add_row('activations' + name, *[f'{kept_here:.2f}'] * len(WAYS))
            table.add_row('total' + name, *(
                f'{h + kept_here:.2f}' + ' too much' * (h + kept_here > args.memory)
                for h in held), style='bold')
    console.print(table)

    sent = traffic(cost, args.devices)
    needs = needed_and_available(step, sent[2 * sharded], clip_bytes, batch_size, args.devices,
                                 tflops, args.loader, args.cores, args.store, args.link)
    rate = needs.pop('clips')[0]
    table = make_table('at full speed', 'needed', 'available', 'share',
                  title=f'{rate:,.0f} clips/s on {args.devices} devices, '
                  f'{batch_size * args.devices / rate * 1e3:,.1f} ms per step')
    for name, (needed, available, unit) in needs.items():
        table.add_row(name, f'{needed:,.3g} {unit}', f'{available:,.3g} {unit}',
                      f'{needed / available:.1%}')
    console.print(table)
    worst = max(needs, key=lambda name: needs[name][0] / needs[name][1])
    slower = needs[worst][0] / needs[worst][1]
    print('limit: ' + (f'{worst}, {slower:.1f} times too little' if slower > 1 else 'arithmetic'))

    hours, total = device_hours(step * max(slower, 1), args.clips, epochs, tflops, args.price)
    table = make_table('', '', title=f'{args.clips:,.0f} clips, {epochs:g} epochs')
    for name, value in (
            ('steps', f'{args.clips * epochs / (batch_size * args.devices):,.0f}'),
            ('FLOPs', f'{args.clips * epochs * step:.3g}'),
            ('bytes per clip', f'{clip_bytes:,.0f}'),
            ('storage', f'{args.clips * clip_bytes / 1e9:,.1f} GB'),
            ('device hours', f'{hours:,.1f}'),
            ('days', f'{hours / args.devices / 24:,.2f}'),
            ('price', f'{total:,.0f}'),
            *((f'{way}: sent per device', f'{size / 1e9:.3f} GB per step, '
               f'{size / 1e6 / args.link:.1f} ms') for way, size in zip(WAYS, sent, strict=True))):
        table.add_row(name, value)
    console.print(table)
    print(f'bytes measured on {measured_on}\nassumed: {tflops:g} TFLOP/s and {args.memory:g} GiB '
          f'per device, {args.price:g} per device hour, {args.loader:g} samples/s per core, '
          f'{args.cores} cores per device, store {args.store:g} GB/s, link {args.link:g} GB/s; '
          + ('FSDP' if sharded else 'DDP') + ', with checkpointing' * checkpointing)


if __name__ == '__main__':
    run_tool(main, NotImplementedError, ValueError)
