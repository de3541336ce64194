"""Receivers of events: JSON lines, a table, a webhook."""

import base64
import csv
import json
import queue
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mofm.utils.files import named
from mofm.utils.urls import mask
from mofm.version import __version__

from .events import Event

_TIMEOUT, _PAUSES = 5, (1, 4, 16)  # seconds of a request, and before each further attempt
_MOST = 1000  # events that wait for a receiver
_FLUSH = 10  # seconds for the last events when the stream ends


class JsonLines:
    """Appends each event to a file as one line of JSON.

    Args:
        path (str or Path): The file; '-' for the standard output.
    """

    def __init__(self, path: str | Path):
        self.path = path
        with named(path):
            self._file = sys.stdout if path == '-' else \
                Path(path).open('a', encoding='utf-8')  # noqa: SIM115

    def write(self, event: Event):
        """Write an event; it is in the file at once."""
        with named(self.path):
            self._file.write(json.dumps(event.to_dict(), ensure_ascii=False) + '\n')
            self._file.flush()

    def close(self):
        """Close the file."""
        if self._file is not sys.stdout:
            self._file.close()


class EventTable:
    """Appends each event that has ended to a CSV file, with a header if the file is new.

    Args:
        path (str or Path): The file.
        score (str): Name of the score.
    """

    def __init__(self, path: str | Path, score: str):
        self.path = path
        columns = [field.name for field in fields(Event)]
        columns = [dict(score=score, label='class').get(name, name) for name in columns
                   if name not in ('event', 'score_name')]
        with named(path):
            new = not Path(path).exists() or not Path(path).stat().st_size
            self._file = Path(path).open('a', encoding='utf-8', newline='')  # noqa: SIM115
            self._table = csv.DictWriter(self._file, columns, extrasaction='ignore')
            if new:
                self._table.writeheader()

    def write(self, event: Event):
        """Write an event if it has ended; it is in the file at once."""
        if event.event == 'end':
            with named(self.path):
                self._table.writerow(event.to_dict())
                self._file.flush()

    def close(self):
        """Close the file."""
        self._file.close()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an error, which would lose the content of a POST."""

    def redirect_request(self, *args):
        """Follow none."""


class Webhook:
    """Posts each event as JSON to a URL, in the background.

    A request that fails is repeated three times, unless the receiver refuses it (status 400 to
    499, but for 408 and 429). An event that cannot be delivered is reported and left out.

    Args:
        url (str): ``http://`` or ``https://``, also with ``user:password@``.
        notify (Callable): Called with a line about each event that is not delivered.

    Raises:
        ValueError: If it is no such URL.
    """

    def __init__(self, url: str, notify: Callable[[str], None]):
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'webhook: found {mask(url)!r}, expected an http:// or https:// URL')
        self.name, self.notify = mask(url), notify
        self._url = parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()
        self._headers = {'Content-Type': 'application/json', 'User-Agent': f'mofm/{__version__}'}
        if parts.username is not None:
            pair = f'{unquote(parts.username)}:{unquote(parts.password or "")}'
            self._headers['Authorization'] = 'Basic ' + base64.b64encode(pair.encode()).decode()
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._events: queue.Queue[Event | None] = queue.Queue(_MOST)
        self._late = threading.Event()  # no time for further attempts
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, event: Event):
        """Post an event soon."""
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self.notify(f'{self.name}: {_MOST} events wait, {event.event} of {event.id} is lost')

    def close(self):
        """Wait for the last events to be posted, at most ten seconds."""
        end = time.monotonic() + _FLUSH
        with suppress(queue.Full):
            self._events.put(None, timeout=_FLUSH)
        self._thread.join(max(end - time.monotonic(), 0))
        self._late.set()
        if self._thread.is_alive():
            self._thread.join(_TIMEOUT)
            self.notify(f'{self.name}: ended before all events were delivered')

    def _run(self):
        while (event := self._events.get()) is not None and not self._late.is_set():
            reason = ''
            for pause in (0, *_PAUSES):
                if self._late.wait(pause):
                    break
                reason, again = self._post(event)
                if not again:
                    break
            if reason:
                self.notify(f'{self.name}: {event.event} of {event.id} not delivered: {reason}')

    def _post(self, event: Event) -> tuple[str, bool]:
        """Post once; returns why it failed, empty if not, and whether to try again."""
        request = urllib.request.Request(self._url, json.dumps(event.to_dict()).encode(),
                                         self._headers)
        try:
            self._opener.open(request, timeout=_TIMEOUT).close()
        except urllib.error.HTTPError as error:
            error.close()
            return f'status {error.code}', error.code >= 500 or error.code in (408, 429)
        except Exception as error:  # no connection, or a reply that is no HTTP
            reason = getattr(error, 'reason', error)
            return str(getattr(reason, 'strerror', None) or reason).lower(), True
        return '', False
