"""The command ``mofm publish``, see :mod:`mofm.cli.publish`."""

from mofm.cli import run_command

if __name__ == '__main__':
    run_command('publish')
