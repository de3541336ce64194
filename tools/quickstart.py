"""Run all stages of MoFM at a small size on synthetic motion: ``bash tools/quickstart.sh``.

Runs the configs of ``configs/quickstart/`` in order, like ``tools/train.py`` and
``tools/test.py``, and writes one folder with a picture of each stage and a report.
"""

from mofm.utils.tool import run_tool

import argparse
import os
import time
from pathlib import Path

BUDGET = 8  # CPU minutes


def main(argv=None):
    """Run all stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default='quickstart', metavar='FOLDER',
                        help='folder of pictures, report and checkpoints [%(default)s]')
    parser.add_argument('--smoke', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    from mofm.apis.quickstart import run_quickstart

    start = time.time()
    configs = Path(__file__).resolve().parents[1] / 'configs/quickstart'
    files = run_quickstart(configs, args.out, args.smoke)
    cpu = sum(os.times()[:4]) / 60  # of the process and its workers
    print(f'\nDone in {(time.time() - start) / 60:.1f} min, {cpu:.1f} CPU minutes of at most '
          f'{BUDGET}. Open:')
    for name, text in files.items():
        print(f'  {args.out / name}: {text}')


if __name__ == '__main__':
    run_tool(main, OSError)
