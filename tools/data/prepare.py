"""The command ``mofm prepare``, see :mod:`mofm.cli.prepare`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('prepare')
