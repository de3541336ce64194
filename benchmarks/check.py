"""Compare the ratios of new results with the stored ones.

python benchmarks/check.py benchmarks/results/2027-01-31_base_cpu.json
python benchmarks/check.py NEW.json --stored OLD.json

Prints the ratios that fell by more than 15 %, and exits with 1 if there are any. Ratios are within
one run, in columns named 'A / B' or 'of B'; absolute times are not compared.
"""

import argparse
import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / 'results'
LIMIT = 0.15


def read_results(path: Path) -> dict:
    """Read a results file.

    Raises:
        ValueError: If it is not one of `run.py` or `gpu.py`.
    """
    try:
        report = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise ValueError(f'{path}: {error}; expected a results file of benchmarks/run.py or '
                         'benchmarks/gpu.py') from error
    missing = {'size', 'device', 'tables'} - set(report if isinstance(report, dict) else ())
    if missing or not isinstance(report['tables'], dict):
        raise ValueError(f'{path}: found no {", ".join(sorted(missing)) or "dict of tables"}, '
                         'expected a results file of benchmarks/run.py or benchmarks/gpu.py')
    return report


def ratios(report: dict) -> dict:
    """Collect the ratios of a report by table, names in the row, and column."""
    found = {}
    for table, rows in report['tables'].items():
        for row in rows:
            names = tuple(str(value) for column, value in row.items()
                          if isinstance(value, str) or column in ('batch', 'workers'))
            for column, value in row.items():
                is_ratio = ' / ' in column or column.startswith('of ')
                if is_ratio and isinstance(value, (int, float)):
                    found[(table, *names, column)] = value
    return found


def stored_like(report: dict, new: Path) -> Path:
    """Find the newest stored results of the same size and device.

    Raises:
        ValueError: If there are none.
    """
    for path in sorted(RESULTS.glob('*.json'), reverse=True):  # names begin with the date
        if path.resolve() == new.resolve():
            continue
        old = json.loads(path.read_text(encoding='utf-8'))
        same = all(old.get(key) == report[key] for key in ('size', 'device'))
        if same and ratios(report).keys() & ratios(old).keys():
            return path
    raise ValueError(f'{RESULTS}: found no results of size {report["size"]} on '
                     f'{report["device"]}, expected at least one; name it by --stored')


def fallen(new: dict, old: dict) -> list[tuple]:
    """List the ratios that fell by more than 15 %: name, old and new value."""
    before, now = ratios(old), ratios(new)
    return [(', '.join(name), before[name], now[name]) for name in before
            if name in now and now[name] < (1 - LIMIT) * before[name]]


def main():
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('new', type=Path, help='.json of run.py or gpu.py')
    parser.add_argument('--stored', type=Path,
                        help='.json to compare with [newest of the same size and device]')
    args = parser.parse_args()
    try:
        new = read_results(args.new)
        stored = args.stored or stored_like(new, args.new)
        old = read_results(stored)
    except ValueError as error:
        sys.exit(str(error))
    rows, compared = fallen(new, old), len(ratios(old).keys() & ratios(new).keys())
    print(f'{args.new} against {stored}: {compared} ratios compared, {len(rows)} fell by more '
          f'than {LIMIT:.0%}')
    if rows:
        print('\n| ratio | stored | new | change |\n|---|---|---|---|')
    for name, before, now in rows:
        print(f'| {name} | {before:.3g} | {now:.3g} | {now / before - 1:.0%} |')
    sys.exit(bool(rows))


if __name__ == '__main__':
    main()
