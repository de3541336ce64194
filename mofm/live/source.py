"""Sources of live frames: cameras, network streams, video files and folders that grow.

A source yields :class:`Frame` objects, and None while it waits, so that its reader can go on with
other work.
"""

import atexit
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from mofm.pose_estimation.video import by_number
from mofm.utils.files import IMAGES, VIDEOS
from mofm.utils.urls import is_url, mask

SCHEMES = ('rtsp', 'rtsps', 'http', 'https')
_DEFAULT_FPS, _MAX_FPS = 30., 240.
_TIMEOUT = 10  # seconds to open a network stream and to wait for its next frame
_BACK_OFF = 1., 30.  # seconds before the first attempt to reconnect, and at most
_JUMP = 5.  # seconds by which the clock of a stream may differ from ours
_TICK = .25  # seconds between two None
# Seconds without a change after which a file is complete, and age of one that is for sure.
_SETTLED, _OLD = dict.fromkeys(IMAGES, .5) | dict.fromkeys(VIDEOS, 2.), 60
# RTP over TCP loses nothing; a server may not send the reader to files
_OPTIONS = ('rtsp_transport;tcp|fflags;nobuffer|protocol_whitelist;'
            'rtsp,rtsps,http,https,tcp,tls,rtp,srtp,udp,crypto,httpproxy')


@dataclass(frozen=True)
class Frame:
    """Frame of a source.

    Attributes:
        image (np.ndarray): (H, W, 3) uint8 BGR.
        time (float): Seconds since the first frame, by the clock of the source if it has one.
        captured (float): When it was read, by ``time.monotonic()``.
        source (str): Name of the source without credentials; in a folder that of the file.
        fps (float): Nominal frames per second of the source.
    """

    image: np.ndarray
    time: float
    captured: float
    source: str
    fps: float


def _print(line: str):
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _quiet():
    """Silence OpenCV and ffmpeg, which report failures in many lines, and in full URLs."""
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # read once, by the first capture
    level = cv2.getLogLevel()
    cv2.setLogLevel(0)
    try:
        yield
    finally:
        cv2.setLogLevel(level)


def _sane_fps(fps: float) -> float:
    return fps if 0 < fps <= _MAX_FPS else _DEFAULT_FPS


class Source:
    """Base class of sources.

    Args:
        source (int or str or Path): What to read.
        fps (float, optional): Frames per second; sets the time stamps of files and images.
        notify (Callable): Called with each line about the state of the source.

    Attributes:
        name (str): Name without credentials.
        live (bool): Whether frames come at their own pace, so that a late reader drops some.
        stop (threading.Event): Ends the frames.
    """

    live = False
    stop: threading.Event

    def __init__(self, source: int | str | Path, fps: float | None = None,
                 notify: Callable[[str], None] = _print):
        self.source, self.fps, self.notify = str(source), fps, notify
        self.name = f'camera {source}' if isinstance(source, int) else mask(self.source)
        self.stop = threading.Event()

    def frames(self) -> Iterator[Frame | None]:
        """Iterate over the frames, None while there is none.

        Raises:
            OSError: If the source cannot be opened.
        """
        raise NotImplementedError

    def _wait(self, seconds: float) -> Iterator[None]:
        end = time.monotonic() + seconds
        while not self.stop.is_set() and (left := end - time.monotonic()) > 0:
            self.stop.wait(min(left, _TICK))
            yield None


class FileSource(Source):
    """A video file, every frame of it, at any speed."""

    def frames(self) -> Iterator[Frame]:
        """See :meth:`Source.frames`."""
        with _quiet():
            capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG)
        fps, found = self.fps or _sane_fps(capture.get(cv2.CAP_PROP_FPS)), 0
        first, last = 0., -1.
        try:
            while not self.stop.is_set():
                good, image = capture.read()
                if not good:
                    break
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                first = first if found else stamp
                stamp = found / fps if self.fps else stamp - first
                last = stamp if stamp > last else last + 1 / fps
                found += 1
                yield Frame(image, last, time.monotonic(), self.name, fps)
        finally:
            capture.release()
        if not found and not self.stop.is_set():
            raise OSError(f'{self.name}: found no frame that can be decoded, expected a video')


class FolderSource(Source):
    """Images and videos of a folder, in the order of their names, and those that are added.

    A file is read once it does not change any more. Images have the time of their last change
    unless ``fps`` is given; videos follow each other without a gap.
    """

    def frames(self) -> Iterator[Frame | None]:
        """See :meth:`Source.frames`; they end with :attr:`stop` only."""
        done: set[Path] = set()
        seen: dict[Path, tuple] = {}
        last, changed, there = -1., None, True
        while not self.stop.is_set():
            try:
                files = [f for f in Path(self.source).iterdir()
                         if f.suffix.lower() in _SETTLED and not f.name.startswith('.')]
                there = True
            except OSError as error:  # a network drive
                if there:
                    self.notify(f'{self.name}: {error.strerror}; waiting for it')
                there = False
                yield from self._wait(1)
                continue
            done &= set(files)
            for path in sorted(set(files) - done, key=by_number):
                if self.stop.is_set() or not self._settled(path, seen):
                    break
                seen.pop(path)
                done.add(path)
                try:
                    if path.suffix.lower() in IMAGES:
                        fps = self.fps or _DEFAULT_FPS
                        image, now = self._image(path), path.stat().st_mtime
                        step = now - changed if changed and not self.fps else 1 / fps
                        last = max(last + step, last + 1e-3) if last >= 0 else 0.
                        changed = now
                        yield Frame(image, last, time.monotonic(), str(path), fps)
                    else:
                        video, start = FileSource(path, self.fps), last
                        video.stop = self.stop
                        for frame in video.frames():
                            last = frame.time + (start + 1 / frame.fps if start >= 0 else 0)
                            yield replace(frame, time=last)
                        changed = path.stat().st_mtime
                except OSError as error:
                    self.notify(f'{error}; skipped')
            yield from self._wait(_TICK)

    @staticmethod
    def _settled(path: Path, seen: dict) -> bool:
        """Return whether a file is complete."""
        try:
            stat = path.stat()
        except OSError:  # removed
            return False
        state, now = (stat.st_size, stat.st_mtime), time.monotonic()
        if path not in seen or seen[path][0] != state:
            seen[path] = state, now
        return stat.st_size > 0 and (now - seen[path][1] >= _SETTLED[path.suffix.lower()]
                                     or time.time() - stat.st_mtime > _OLD)

    @staticmethod
    def _image(path: Path) -> np.ndarray:
        try:
            image = cv2.imread(str(path))
        except cv2.error:  # too large
            image = None
        if image is None:
            raise OSError(f'{path}: found bytes that cannot be decoded, expected an image')
        return image


class CaptureSource(Source):
    """A camera or a network stream, which is opened again when it breaks.

    Attempts to reconnect are reported in one line each, with growing pauses. Streams of RTSP have
    the time stamps of the server, other live ones the time of arrival. A video file of a web
    server is read to its end like a local one.

    Args:
        source (int or str): Number of a camera or URL.
        fps (float, optional): See :class:`Source`.
        notify (Callable): See :class:`Source`.
        retries (int, optional): Failed attempts after which it ends. Defaults to None, endless.
    """

    live = True

    def __init__(self, source: int | str, fps: float | None = None,
                 notify: Callable[[str], None] = _print, retries: int | None = None):
        super().__init__(source, fps, notify)
        self.camera = source if isinstance(source, int) else None
        self.retries = retries
        self._last, self._arrived = -1., 0.  # time and arrival of the newest frame

    def open(self):
        """Open the source for the first time, and find out whether it is a file.

        Raises:
            OSError: If that fails.
        """
        self._capture = self._connect()
        if self._capture is None:
            raise OSError(f'{self.name}: cannot be opened: {self._reason()}')
        self._total = 0
        if self.camera is None and self.source.lower().startswith('http'):
            self._total = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self.live = not self._total

    def frames(self) -> Iterator[Frame | None]:
        """See :meth:`Source.frames`."""
        attempts = count = 0
        while not self.stop.is_set():
            if self._capture is not None:
                read = 0
                for frame in self._read(self._capture, count):
                    if attempts:
                        self.notify(f'{self.name}: connected again')
                    attempts, read, count = 0, read + 1, count + 1
                    yield frame
                self._capture = None
                if self.stop.is_set() or not self.live and (count >= self._total or not read):
                    return
                self.notify(f'{self.name}: broken after {count} frames')
            if attempts == self.retries:
                self.notify(f'{self.name}: given up after {attempts} attempts')
                return
            first, most = _BACK_OFF
            yield from self._wait(min(first * 2**min(attempts, 10), most))
            if self.stop.is_set():
                return
            attempts += 1
            self._capture = self._connect()
            if self._capture is None:
                self.notify(f'{self.name}: attempt {attempts} to reconnect failed: '
                            f'{self._reason()}')

    def _connect(self):
        """Return a capture with a grabbed frame, None if that fails."""
        with _quiet():
            if self.camera is not None:
                capture = cv2.VideoCapture(self.camera)
            else:
                before = os.environ.get('OPENCV_FFMPEG_CAPTURE_OPTIONS')
                os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS'] = before or _OPTIONS
                try:
                    capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG, [
                        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 1000 * _TIMEOUT,
                        cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000 * _TIMEOUT])
                finally:
                    if before is None:
                        del os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS']
            if capture.grab():
                return capture
        capture.release()
        return None

    def _read(self, capture, skip: int) -> Iterator[Frame]:
        """Read frames until the source breaks; of a file those after the first ``skip``."""
        fps, offset = self.fps or _sane_fps(capture.get(cv2.CAP_PROP_FPS)), None
        ahead = 0 if self.live else skip
        stamped = not self.live or self.source.lower().startswith('rtsp')
        try:
            while not self.stop.is_set():
                with _quiet():  # a line when the connection breaks
                    # the first frame is grabbed
                    if not all(capture.grab() for _ in range(ahead)):
                        return
                    good, image = capture.retrieve()
                if not good:
                    return
                ahead = 1
                now = time.monotonic()
                # by arrival
                expected = self._last + now - self._arrived if self._last >= 0 else 0.
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if offset is None:
                    offset = (expected if self.live else 0) - stamp
                if self.live and abs(stamp + offset - expected) > _JUMP:
                    offset = expected - stamp  # the clock was set
                moment = stamp + offset if stamped else expected
                if not self.live and self.fps:
                    moment = skip / fps
                if moment <= self._last:
                    moment = max(expected, self._last + 1e-3) if self.live \
                        else self._last + 1 / fps
                self._last, self._arrived, skip = moment, now, skip + 1
                yield Frame(image, moment, now, self.name, fps)
        finally:
            capture.release()

    def _reason(self) -> str:
        """Return why a source cannot be opened."""
        if self.camera is not None:
            return 'no camera of this number, or another program has it'
        try:
            parts = urlsplit(self.source)
            port = parts.port or {'http': 80, 'https': 443, 'rtsps': 322}.get(parts.scheme, 554)
            socket.create_connection((parts.hostname, port), 3).close()
        except (OSError, ValueError) as error:
            return str(getattr(error, 'strerror', None) or error).lower()
        return 'it sends no video; check path, user and password'


def open_source(source: int | str | Path, fps: float | None = None,
                notify: Callable[[str], None] = _print, retries: int | None = None) -> Source:
    """Open a source.

    Args:
        source (int, str or Path): Number of a camera, an ``rtsp://`` or ``http://`` URL, a video
            file, or a folder to which images and videos are added.
        fps (float, optional): Frames per second, where the source lacks them or is wrong.
        notify (Callable): Called with each line about the state of the source.
        retries (int, optional): See :class:`CaptureSource`.

    Raises:
        OSError: If there is none, or it cannot be opened.
        ValueError: If the scheme of the URL is none of :data:`SCHEMES`.
    """
    live: int | str
    if isinstance(source, int):
        live = source
    elif is_url(source):
        live = str(source)
        scheme = live.split('://', maxsplit=1)[0].lower()
        if scheme not in SCHEMES:
            raise ValueError(f'source: found a URL of {scheme!r}, expected one of '
                             f'{", ".join(SCHEMES)}')
    else:
        path = Path(source)
        if path.is_dir():
            return FolderSource(path, fps, notify)
        if path.is_file():
            return FileSource(path, fps, notify)
        if not str(source).isdecimal():
            raise FileNotFoundError(f'{path}: no such file or folder, expected one, the number of '
                                    'a camera or a URL')
        live = int(str(source))
    capture = CaptureSource(live, fps, notify, retries)
    capture.open()
    return capture


def in_real_time(source: Source) -> Iterator[Frame | None]:
    """Iterate over the frames of a file at its own speed."""
    began = None
    for frame in source.frames():
        if frame is not None:
            began = time.monotonic() - frame.time if began is None else began
            source.stop.wait(max(began + frame.time - time.monotonic(), 0))
            frame = replace(frame, captured=time.monotonic())
        yield frame


class NewestFrames:
    """Frames of a thread that reads all of them and keeps the newest.

    Args:
        source (Source): Source whose :attr:`Source.stop` ends the thread.
        frames (Iterator): Its frames at their own pace.

    Attributes:
        dropped (int): Frames that were replaced before they were taken.
    """

    def __init__(self, source: Source, frames: Iterator[Frame | None]):
        self.dropped, self._source = 0, source
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(frames, ), daemon=True)
        self._thread.start()
        atexit.register(self.end, _TIMEOUT + 1)  # Python aborts if OpenCV still waits then

    @property
    def reading(self) -> bool:
        """Whether the thread runs; it may wait for a server that sends nothing."""
        return self._thread.is_alive()

    def end(self, seconds: float):
        """End the thread, and wait for it at most for some seconds."""
        self._source.stop.set()
        self._thread.join(seconds)
        if not self.reading:
            atexit.unregister(self.end)

    def _run(self, frames):
        try:
            for frame in frames:
                if frame is not None:
                    with self._changed:
                        self.dropped += self._frame is not None
                        self._frame = frame
                        self._changed.notify()
        except Exception as error:  # for the thread that takes the frames
            self._error = error

    def __iter__(self) -> Iterator[Frame | None]:
        """Iterate over the newest frames, None while there is none."""
        while True:
            ended = not self.reading
            with self._changed:
                if self._frame is None and not ended:
                    self._changed.wait(_TICK)
                frame, self._frame = self._frame, None
            if frame is None and ended:
                break
            yield frame
        if self._error is not None:
            raise self._error
