"""The command ``mofm inspect``, see :mod:`mofm.cli.inspect`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('inspect')
