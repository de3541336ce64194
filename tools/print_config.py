"""The command ``mofm config``, see :mod:`mofm.cli.config`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('config')
