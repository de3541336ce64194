"""The command ``mofm train``, see :mod:`mofm.cli.train`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('train')
