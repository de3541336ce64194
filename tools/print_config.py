"""Print the whole config that train.py would run: ``python tools/print_config.py CONFIG``.

The output is a config without bases:

python tools/print_config.py configs/dt1_penn_tiny.py > mine.py
"""

from mofm.utils.tool import run_tool

import argparse

from mofm.launch import add_arguments, config_from_args


def main():
    """Print the config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    print(config_from_args(parser.parse_args()).pretty_text)


if __name__ == '__main__':
    run_tool(main)
