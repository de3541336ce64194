"""Watch a camera, a network stream, a video or a folder that grows: poses, actions, events.

mofm stream 0 --show
mofm stream rtsp://USER:PASSWORD@CAMERA/PATH --serve 8000 --events events.jsonl
mofm stream walk.mp4 --webhook http://127.0.0.1:9000/
mofm stream incoming --csv events.csv

Events are printed as JSON lines unless another receiver is named. See docs/live.md.
"""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager

from mofm.hub.zoo import DEFAULT
from mofm.sources.plugins import add_plugin_option, load_plugins

from .demo import add_network_options, pose_estimator

ERRORS = ImportError, OSError, TypeError, ValueError
_KEYS = (27, ord('q'))  # Escape
_SIDE = 1280  # pixels of the longer side of the picture
_WINDOW = 'MoFM'
_HEIGHT = 800  # of the window at first, in pixels: screens of laptops are low


def address(text: str) -> tuple[str, int]:
    """Parse PORT or HOST:PORT."""
    host, _, port = text.rpartition(':')
    if not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f'found {text!r}, expected PORT or HOST:PORT')
    return host.strip('[]') or '127.0.0.1', int(port)


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', help='number of a camera, rtsp:// or http:// URL, video file, '
                        'or folder to which images and videos are added')
    parser.add_argument('--model', '--config', dest='config', default=DEFAULT,
                        help='name of `mofm models`, published folder or hub ID, or config '
                        '[%(default)s]')
    parser.add_argument('--checkpoint', help='weights for a config')
    parser.add_argument('--task', help='action or anomaly [that of the training]')
    view = parser.add_argument_group('pictures')
    view.add_argument('--show', action='store_true', help='in a window; q ends, closing it, too')
    view.add_argument('--serve', type=address, metavar='[HOST:]PORT',
                      help='on a page; HOST is 127.0.0.1, so for this machine only, if not given')
    events = parser.add_argument_group('events')
    events.add_argument('--events', metavar='FILE', help='append JSON lines to a file; - prints '
                        'them [printed if there is no --webhook and no --csv]')
    events.add_argument('--webhook', metavar='URL', help='post each event as JSON')
    events.add_argument('--csv', metavar='FILE', help='append each ended event to a table')
    events.add_argument('--threshold', type=float, nargs='+', metavar='SCORE',
                        help='scores at which an event starts and ends: probability above, '
                        'normality below them [0.6 0.4 for actions, none for anomalies]')
    events.add_argument('--min-length', type=float, default=.5, metavar='SECONDS',
                        help='of the shortest event [%(default)s]')
    time = parser.add_argument_group('time')
    time.add_argument('--window', type=float, metavar='SECONDS',
                      help='that the model sees at once [as trained, else 2]')
    time.add_argument('--stride', type=float, default=.5, metavar='SECONDS',
                      help='between two windows of a person [%(default)s]')
    time.add_argument('--realtime', action='store_true',
                      help='play files at their own speed and drop frames, as a camera')
    time.add_argument('--fps', type=float, help='frame rate of images, or of a source that says '
                      'a wrong one')
    time.add_argument('--retries', type=int, metavar='N', help='failed attempts to reconnect '
                      'after which the stream ends [endless]')
    add_network_options(parser)
    add_plugin_option(parser)
    args = parser.parse_args(load_plugins(argv))
    if args.threshold is not None and len(args.threshold) > 2:
        parser.error('--threshold: expected one or two numbers')
    return args


def note(line: str):
    """Print a line that is no event."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def ended_by_signals(stop):
    """Call a function at the first Ctrl-C or SIGTERM; a second one ends the command."""
    before = {}

    def handle(signum, frame):
        stop()
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_display():
    """Open a window in another process: where none opens, OpenCV may end the process."""
    tried = subprocess.run([sys.executable, '-c', f'import cv2; cv2.namedWindow({_WINDOW!r})'],
                           cwd=sys.prefix, capture_output=True)
    if tried.returncode:
        display = os.environ.get('DISPLAY')
        found = f'DISPLAY={display}' if display else 'DISPLAY is not set'
        raise OSError(f'--show: found no display on which a window opens ({found}); '
                      '--serve PORT shows the stream in a browser')


def small(image):
    """Shrink a picture for window and page."""
    import cv2

    ratio = _SIDE / max(image.shape)
    return image if ratio >= 1 else cv2.resize(image, None, fx=ratio, fy=ratio,
                                               interpolation=cv2.INTER_AREA)


def ended_by_user() -> bool:
    """Return whether the user ends the window, by a key or by closing it."""
    import cv2

    return (cv2.waitKey(1) in _KEYS
            or cv2.getWindowProperty(_WINDOW, cv2.WND_PROP_VISIBLE) == 0)  # -1: not known


def show(picture, first: bool) -> bool:
    """Show a picture in the window; returns whether the user ends."""
    import cv2

    if first:
        cv2.namedWindow(_WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        ratio = min(_HEIGHT / picture.shape[0], 1)
        cv2.resizeWindow(_WINDOW, *(round(ratio * side) for side in picture.shape[1::-1]))
    cv2.imshow(_WINDOW, picture)
    return ended_by_user()


def open_receivers(args, stream, stack: ExitStack) -> tuple[list, object]:
    """Open the receivers of events, and the page if there is one, which a stack closes."""
    from mofm.live import EventTable, JsonLines, PageServer, Webhook

    receivers, page = [], None
    if args.events or not (args.webhook or args.csv):
        receivers.append(JsonLines(args.events or '-'))
    if args.webhook:
        receivers.append(Webhook(args.webhook, note))
    if args.csv:
        receivers.append(EventTable(args.csv, stream.rule.score))
    if args.serve:
        host, port = args.serve
        page = PageServer(stream.name, stream.rule.score, port, host)
        receivers.append(page)
        note(f'page: {page.url}')
    for receiver in receivers:
        stack.callback(receiver.close)
    return receivers, page


def watch(stream, args) -> tuple[int, float]:
    """Show the results and pass the events on; returns the frames and the time of the last."""
    import cv2

    from mofm.live import Overlay

    frames, seconds, overlay, shown = 0, 0., Overlay(stream.rule), args.show

    def idle():
        if shown and frames and ended_by_user():
            stream.stop()

    stream.idle = idle
    with ExitStack() as stack:
        receivers, page = open_receivers(args, stream, stack)
        if args.show:
            stack.callback(cv2.destroyAllWindows)
        note(f'{stream.name}: running, Ctrl-C ends')
        stack.enter_context(ended_by_signals(stream.stop))
        for result in stream:
            frames, seconds = frames + 1, result.time
            for event in result.events:
                for receiver in receivers:
                    receiver.write(event)
            if shown or page:
                picture = small(overlay.draw(result))
                if page and page.viewers:
                    page.show(picture)
                if shown and show(picture, frames == 1):
                    shown = False  # events that end may come with one more picture
                    stream.stop()
    return frames, seconds


def main(argv=None):
    """Parse the command line and run."""
    args = parse_args(argv)
    if args.show:
        check_display()
    from mofm.apis import MotionInferencer  # heavy
    from mofm.hub.card import trained_on
    from mofm.live import LiveStream

    inferencer = MotionInferencer(args.config, args.checkpoint, args.device, args.batch_size)
    task = inferencer.task(args.task)
    start, end = (*(args.threshold or ()), None, None)[:2]
    stream = LiveStream(
        args.source, inferencer, args.task, pose_estimator(args) or 'auto', args.window,
        args.stride, start, end, args.min_length, args.realtime, args.fps, args.retries, note)
    note(f'model: {args.checkpoint or args.config}, {task.describe()}')
    note(f'trained on: {trained_on(args.config, args.checkpoint, inferencer.model.cfg)}')
    if limits := task.limits():
        note(f'cannot know: {limits}')
    if stream.rule.start is None:
        note(f'no events: the {stream.rule.score} at which one starts depends on model and '
             'camera, see --threshold')
    frames, seconds = watch(stream, args)
    note(f'{stream.name}: ended after {frames} frames, {stream.dropped} dropped, {seconds:.1f} s')
    if stream.reading:  # from a server that sends nothing; Python would wait for its time limit
        sys.stdout.flush()
        os._exit(0)
