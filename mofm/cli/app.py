"""Open a page in the browser: upload a video or poses, see the answers, search an index.

mofm app
mofm app --model CONFIG CHECKPOINT --model PUBLISHED_FOLDER --index index
mofm app --host 0.0.0.0 --port 8000

Needs the extra app: pip install 'mofm[app,video]'. See docs/app.md.
"""

import argparse
from pathlib import Path

from mofm.sources.plugins import add_plugin_option, load_plugins

from .demo import add_network_options, pose_estimator

ERRORS = ImportError, OSError, TypeError, ValueError


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--model', nargs='+', action='append', default=[], dest='models',
                        metavar=('CONFIG', 'CHECKPOINT'), help='model to add to those of the '
                        'zoo: config and checkpoint, published folder or hub ID; repeat it for '
                        'several')
    parser.add_argument('--index', nargs='+', type=Path, default=(), dest='indexes',
                        metavar='DIR', help='folders of `mofm index`, for the tab Search')
    server = parser.add_argument_group('server')
    server.add_argument('--host', default='127.0.0.1', help='address; 0.0.0.0 lets other '
                        'computers in, without a password [%(default)s]')
    server.add_argument('--port', type=int, help='[first free one from 7860]')
    server.add_argument('--upload-mb', type=int, default=500, metavar='MB',
                        help='largest upload [%(default)s]')
    add_network_options(parser)
    add_plugin_option(parser)
    args = parser.parse_args(load_plugins(argv))
    for model in args.models:
        if len(model) > 2:
            parser.error(f'--model: found {len(model)} words, expected CONFIG and CHECKPOINT, or '
                         'a published model')
    return args


def main(argv=None):
    """Parse the command line and run."""
    args = parse_args(argv)
    from mofm.app.page import gradio, serve

    gradio()  # says what is missing before a model is loaded
    from mofm.apis.recordings import RecordingOptions
    from mofm.app.answers import Models, open_index

    models = Models(args.models, args.device, args.batch_size)
    indexes = {folder.resolve().name: open_index(folder, args.device, args.batch_size)
               for folder in args.indexes}
    reading = RecordingOptions(pose_extractor=pose_estimator(args), pose_fps=args.pose_fps)
    serve(models, indexes, reading, args.host, args.port, args.upload_mb)
