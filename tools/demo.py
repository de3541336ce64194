"""The command ``mofm demo``, see :mod:`mofm.cli.demo`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('demo')
