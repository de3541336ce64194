"""The command ``mofm extract``, see :mod:`mofm.cli.extract`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('extract')
