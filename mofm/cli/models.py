"""List the models that travel with the package: ``mofm models 'mofm-tiny*' --task action``.

They are used by name: ``mofm demo walk.npz --model NAME``, ``MotionInferencer('NAME')``.
"""

import argparse

from mofm.hub.zoo import list_models, read_index

_COLUMNS = 'name', 'task', 'data', 'license of the data', 'metric', 'MB', 'SHA-256'


def main(argv=None):
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('pattern', nargs='?', default='*',
                        help='wildcards that the name matches [%(default)s]')
    parser.add_argument('--task', help='only models for this task')
    args = parser.parse_args(argv)
    models, rows, commands = read_index(), [_COLUMNS], []
    for name in list_models(args.pattern, args.task):
        model = models[name]
        metric = next((f'{key} {value:.4f}' for key, value in model.metrics.items()), '-')
        rows.append((name, model.task, model.data, model.data_license, metric,
                     f'{model.size / 1e6:.1f}', model.sha256[:8]))
        commands.append(f'{name}: {model.command}')
    if not commands:
        raise SystemExit(f'no model matches {args.pattern!r}'
                         + (f' and task {args.task!r}' if args.task else '')
                         + f'; the zoo has {", ".join(models) or "no models yet"}')
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print('  '.join(f'{cell:{width}}' for cell, width in zip(row, widths, strict=True)
                        ).rstrip())
    print('\nThe metrics are of\n' + '\n'.join(f'  {command}' for command in commands))
