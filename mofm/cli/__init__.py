"""The ``mofm`` command.

A command is a line of :data:`COMMANDS` and a module of this package, imported when it is
run, with a function ``main(argv=None)`` and, if needed,

- ``ERRORS``: exceptions of which only the message is shown,
- ``HINT``: what to do after an interruption, see :func:`mofm.utils.tool.run_tool`.
"""

from mofm.utils.tool import run_tool

import argparse
import sys
from difflib import get_close_matches
from importlib import import_module

from mofm.version import __version__

#: Commands with a line of help.
COMMANDS = {
    'demo': 'run a model on recordings and draw the results',
    'prepare': 'convert poses, motion capture or a data set to an annotation file',
    'inspect': 'report on annotations or poses: counts, units, problems, pictures',
    'extract': 'extract poses from videos',
    'stream': 'watch a camera, a network stream, a video or a folder: actions, events',
    'index': 'index the motion in recordings, to search it',
    'search': 'find the moments of an index that are like an example',
    'app': 'open a page that does what demo and search do',
    'train': 'train a config',
    'test': 'test a checkpoint: metrics and an HTML report',
    'config': 'print a whole config, to copy and change it',
    'models': 'list the models that travel with the package',
    'publish': 'publish a checkpoint as a folder of weights and model card',
    'export': 'export a model to ONNX',
}


def run_command(name: str, debug: bool | None = None):
    """Run a command with the arguments of the process, and exit unless it succeeds.

    Args:
        name (str): Key of :data:`COMMANDS`.
        debug (bool, optional): See :func:`mofm.utils.tool.run_tool`.
    """
    command = import_module(f'mofm.cli.{name}')
    run_tool(command.main, *getattr(command, 'ERRORS', ()), hint=getattr(command, 'HINT', ''),
             debug=debug)


def main():
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(
        prog='mofm', description='A foundation model of human motion.',
        formatter_class=argparse.RawDescriptionHelpFormatter, epilog='commands:\n' + '\n'.join(
            f'  {name:9} {text}' for name, text in COMMANDS.items())
        + '\n\nmofm COMMAND --help lists the options of a command')
    parser.add_argument('--version', action='version', version=__version__)
    parser.add_argument('--debug', action='store_true',
                        help='show the traceback of an error; anywhere on the command line')
    parser.add_argument('command', metavar='COMMAND', help='one of the list below')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help='of the command')
    args = parser.parse_args([word for word in sys.argv[1:] if word != '--debug'])
    if args.command not in COMMANDS:
        near = get_close_matches(args.command, COMMANDS) or COMMANDS
        parser.error(f'found {args.command!r}, expected {" or ".join(near)}')
    debug = '--debug' in sys.argv
    sys.argv = [f'mofm {args.command}', *args.arguments]  # the program in messages of argparse
    run_command(args.command, debug)
