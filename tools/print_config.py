"""Print the whole config that train.py would run: ``python tools/print_config.py CONFIG``.

What it prints is a config itself, without bases:

python tools/print_config.py configs/dt1_penn_tiny.py > mine.py
"""

import argparse

from mofm.launch import add_arguments, config_from_args


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    return parser.parse_args()


def main():
    """Print the config."""
    print(config_from_args(parse_args()).pretty_text)


if __name__ == '__main__':
    main()
