"""Print the whole config of a training, without bases: ``mofm config NAME > mine.py``."""

import argparse

from mofm.launch import add_arguments, config_from_args


def main(argv=None):
    """Print the config."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    print(config_from_args(parser.parse_args(argv)).pretty_text)
