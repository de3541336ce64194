"""Draw the learning curves of a training.

python tools/analysis/learning_curves.py work_dirs/dt1_penn_tiny
"""

from mofm.utils.tool import run_tool

import argparse

from pictures import add_out, check_folder, save

_MACHINE = ('time', 'data_time', 'memory', 'val/time', 'val/data_time')


def main():
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('work_dir', help='folder of a run of tools/train.py')
    add_out(parser)
    args = parser.parse_args()
    from mofm.visualization import draw_curves, read_scalars

    check_folder(args.out)
    try:
        curves = read_scalars(args.work_dir)
    except FileNotFoundError as error:
        raise SystemExit(f'error: {error}') from error
    save({'learning_curves': draw_curves({name: curve for name, curve in curves.items()
                                          if name not in _MACHINE})}, args.out)


if __name__ == '__main__':
    run_tool(main)
