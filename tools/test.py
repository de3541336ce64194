"""The command ``mofm test``, see :mod:`mofm.cli.test`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('test')
