"""A page with the live video and the latest events, for browsers."""

import ipaddress
import json
import socket
import threading
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import cv2
import numpy as np

from .events import Event

_VIEWERS, _TIMEOUT = 16, 10  # at once; seconds without a frame, or to send one
_EVENTS = 50  # on the page
_QUALITY = 80  # of JPEG
_PAGE = '''<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>MoFM live</title>
<style>
body {margin: 0; background: #15171c; color: #e8e8ea; font: 15px/1.5 system-ui, sans-serif}
main {display: flex; flex-wrap: wrap; gap: 16px; padding: 16px}
img {max-width: 100%; max-height: calc(100vh - 32px); border-radius: 6px; background: #000}
section {flex: 1 1 320px} h1 {font-size: 16px; margin: 0 0 8px}
table {border-collapse: collapse; width: 100%} td, th {text-align: left; padding: 3px 12px 3px 0}
th {color: #9a9ca5; font-weight: 500} tr + tr {border-top: 1px solid #2a2d36}
</style>
<main><img src="stream.mjpg" alt="live video"><section><h1></h1><table></table></section></main>
<script>
const cell = (row, text, kind = 'td') => row.appendChild(document.createElement(kind))
  .textContent = text;
async function update() {
  try {
    const {source, score, events} = await (await fetch('events.json')).json();
    document.querySelector('h1').textContent = source;
    const table = document.createElement('table'), head = table.insertRow();
    for (const name of ['class', 'person', 'start', 'end', score]) cell(head, name, 'th');
    for (const event of events) {
      const row = table.insertRow(), seconds = value => value === null ? '...' : value.toFixed(1);
      for (const text of [event.class, event.person, seconds(event.start), seconds(event.end),
                          event[score].toFixed(2)]) cell(row, text);
    }
    document.querySelector('table').replaceWith(table);
  } catch (error) { document.querySelector('h1').textContent = 'the stream has ended'; }
  setTimeout(update, 1000);
}
update();
</script></html>'''


def _is_local(host: str) -> bool:
    """Return whether a Host header is an address or a name of this machine.

    A page of another site, whose name was made to lead here, has its own name.
    """
    name = (urlsplit(f'//{host}').hostname or '').lower()
    with suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return name in ('localhost', socket.gethostname().lower(), socket.getfqdn().lower())


class _Handler(BaseHTTPRequestHandler):
    """Answers of the page, read only."""

    server: '_Server'
    timeout = _TIMEOUT

    def do_GET(self):  # noqa: N802
        """Answer a request."""
        page, path = self.server.page, urlsplit(self.path).path
        try:
            local = _is_local(self.headers.get('Host', ''))
        except ValueError:
            local = False
        if not local:
            self.send_error(403)
        elif path == '/':
            self._send(_PAGE.encode(), 'text/html; charset=utf-8')
        elif path == '/events.json':
            self._send(json.dumps(page.state()).encode(), 'application/json')
        elif path == '/stream.mjpg':
            self._stream(page)
        else:
            self.send_error(404)

    def _head(self, kind: str):
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Cache-Control', 'no-store')
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('Content-Security-Policy', "default-src 'self' 'unsafe-inline'; "
                         "frame-ancestors 'none'")

    def _send(self, content: bytes, kind: str):
        self._head(kind)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, page):
        if not page.enter(1):
            self.send_error(503)
            return
        try:
            self._head('multipart/x-mixed-replace; boundary=frame')
            self.end_headers()
            number = -1
            while (found := page.wait(number)) is not None:
                number, picture = found
                self.wfile.write(b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: '
                                 b'%d\r\n\r\n%s\r\n' % (len(picture), picture))
        finally:
            page.enter(-1)

    def log_message(self, *args):
        """Print nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    page: 'PageServer'

    def handle_error(self, request, client_address):
        """Ignore viewers who leave."""


class PageServer:
    """Serves a page with the newest picture as MJPEG and the latest events.

    Viewers who are slow miss pictures; without viewers none is encoded.

    Args:
        source (str): Name of the source.
        score (str): Name of the score of events.
        port (int): Port; 0 takes a free one.
        host (str): Address. Defaults to '127.0.0.1', this machine only.

    Attributes:
        url (str): Address of the page.
        viewers (int): Number of open videos.

    Raises:
        OSError: If the port is taken.
    """

    def __init__(self, source: str, score: str, port: int, host: str = '127.0.0.1'):
        self._source, self._score = source, score
        self._events: deque[dict] = deque(maxlen=_EVENTS)
        self._picture, self._number, self._open = b'', -1, True
        self._changed = threading.Condition()
        self.viewers = 0
        try:
            self._server = _Server((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, 'strerror', None) or error
            raise OSError(f'{host}:{port}: cannot serve the page there: {reason}') from None
        self._server.page = self
        self.url = 'http://{}:{}/'.format(*self._server.server_address[:2])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def show(self, image: np.ndarray):
        """Send a picture (H, W, 3) uint8 BGR to the viewers."""
        good, picture = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if good:
            with self._changed:
                self._picture, self._number = picture.tobytes(), self._number + 1
                self._changed.notify_all()

    def write(self, event: Event):
        """List an event on the page; its end replaces its start."""
        with self._changed:
            if event.event == 'end':
                for known in [e for e in self._events if e['id'] == event.id]:
                    self._events.remove(known)
            self._events.appendleft(event.to_dict())

    def state(self) -> dict:
        """Return what the page shows beside the pictures."""
        with self._changed:
            return dict(source=self._source, score=self._score, events=list(self._events))

    def wait(self, number: int) -> tuple[int, bytes] | None:
        """Wait for a picture after one of this number; returns it, None at the end."""
        with self._changed:
            while self._open:
                self._changed.wait_for(lambda: self._number > number or not self._open, _TIMEOUT)
                if self._picture and self._open:  # an old one finds out who has left
                    return self._number, self._picture
        return None

    def enter(self, viewers: int) -> bool:
        """Count a viewer in (1) or out (-1); returns whether there is room."""
        with self._changed:
            if viewers > 0 and self.viewers >= _VIEWERS:
                return False
            self.viewers += viewers
            return True

    def close(self):
        """End the page."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
