"""Find the moments of indexed recordings that are like an example.

mofm search index example.npy --top 20 --out hits
mofm search index walk.mp4 --seconds 2.5 4 --out hits

Prints a table and, with ``--out``, writes it as a CSV file, and a contact sheet and an animation
of the hits. See docs/search.md.
"""

import argparse
from pathlib import Path

from mofm.sources.plugins import add_plugin_option, load_plugins

from .demo import add_network_options, add_recording_options, recording_options
from .index import MODEL

ERRORS = ImportError, OSError, TypeError, ValueError
_DRAWN = 24  # hits in pictures


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('index', type=Path, help='folder of mofm index')
    parser.add_argument('query', help='video, poses or joint array with the example')
    parser.add_argument('--top', type=int, default=20, metavar='N', help='hits [%(default)s]')
    span = parser.add_mutually_exclusive_group()
    span.add_argument('--seconds', type=float, nargs=2, metavar=('START', 'END'),
                      help='part of the query that is the example [all of it]')
    span.add_argument('--frames', type=int, nargs=2, metavar=('FIRST', 'LAST'),
                      help='the same in frames, counted from 0')
    parser.add_argument('--person', type=int, metavar='ID', help='track ID of the person in the '
                        'query [the one with the most visible joints]')
    parser.add_argument('--no-mirror', dest='mirror', action='store_false',
                        help='the mirrored example does not count')
    parser.add_argument('--out', type=Path, help='folder of table and pictures')
    add_recording_options(parser)
    add_network_options(parser)
    add_plugin_option(parser)
    return parser.parse_args(load_plugins(argv))


def main(argv=None):
    """Parse the command line and run."""
    args = parse_args(argv)
    from mofm.apis import MotionIndex, MotionInferencer, write_hits  # heavy

    if not (args.index / 'index.json').is_file():
        raise FileNotFoundError(f'{args.index}: found no index, expected a folder of mofm index')
    inferencer = MotionInferencer(args.index / MODEL, device=args.device,
                                  batch_size=args.batch_size)
    index = MotionIndex(args.index, inferencer)
    hits = index.search(args.query, args.top, args.frames, args.seconds, args.person,
                        args.mirror, **recording_options(args))
    for number, hit in enumerate(hits, 1):
        when = f'frames {hit.first} to {hit.last}'
        if hit.fps:
            when = '{:.2f} to {:.2f} s, '.format(*hit.seconds) + when
        print(f'{number:3} {hit.similarity:.3f} {hit.recording}, person {hit.person}: {when}')
    if args.out is None:
        return
    from mofm.visualization import save_animation, save_figure

    args.out.mkdir(parents=True, exist_ok=True)
    write_hits(hits, args.out / 'hits.csv')
    pictures = index.draw(hits[:_DRAWN])
    save_figure(pictures['.png'], args.out / 'hits.png')
    save_animation(pictures['.gif'], args.out / 'hits.gif')
    print(f'\nhits.csv, hits.png and hits.gif in {args.out}')
