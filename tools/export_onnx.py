"""The command ``mofm export``, see :mod:`mofm.cli.export`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('export')
