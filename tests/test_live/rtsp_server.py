"""A tiny RTSP server: JPEG (RFC 2435) over TCP (RFC 2326 §10.12), for one viewer at a time."""

import socket
import struct
import threading
import time
from contextlib import suppress

import cv2
import numpy as np

_SDP = ('v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n'
        'm=video 0 RTP/AVP 26\r\nc=IN IP4 127.0.0.1\r\na=control:track0\r\n')
_MOST = 1400  # bytes of a packet


def segments(jpeg: bytes) -> tuple[bytes, bytes]:
    """Return the quantization tables and the scan of a baseline JPEG."""
    tables, place = b'', 2
    while True:
        marker, size = struct.unpack('>HH', jpeg[place:place + 4])
        body = jpeg[place + 4:place + 2 + size]
        if marker == 0xFFDB:
            tables += b''.join(body[i + 1:i + 65] for i in range(0, len(body), 65))
        place += 2 + size
        if marker == 0xFFDA:
            return tables, jpeg[place:-2]


def packets(image: np.ndarray, number: int, fps: float, sequence: int) -> list[bytes]:
    """Return the RTP packets of a frame; sides are multiples of 16."""
    tables, scan = segments(cv2.imencode('.jpg', image)[1].tobytes())
    if len(tables) == 64:
        tables *= 2
    out = []
    for offset in range(0, len(scan), _MOST):
        part = scan[offset:offset + _MOST]
        last = offset + _MOST >= len(scan)
        head = struct.pack('>BBHII', 0x80, 26 | last << 7, (sequence + len(out)) % 2**16,
                           round(number * 90000 / fps) % 2**32, 1)
        jpeg = struct.pack('>IBBBB', offset, 1, 255, image.shape[1] // 8, image.shape[0] // 8)
        if offset == 0:
            jpeg += struct.pack('>BBH', 0, 0, len(tables)) + tables
        packet = head + jpeg + part
        out.append(b'$\0' + struct.pack('>H', len(packet)) + packet)
    return out


class RtspServer:
    """Sends ``picture(n)``, (H, W, 3) uint8, as frame n until it is killed.

    Args:
        picture (Callable): Returns a frame, or None at the end of what there is.
        port (int): Port; 0 for a free one.
        fps (float): Frames per second.
        start (int): First frame.
    """

    def __init__(self, picture, port=0, fps=30., start=0):
        self.picture, self.fps, self.number = picture, fps, start
        self.ended = threading.Event()
        self._server = socket.create_server(('127.0.0.1', port))
        self.port = self._server.getsockname()[1]
        self.url = f'rtsp://127.0.0.1:{self.port}/stream'
        self.requests = []
        self._client = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def kill(self):
        """Break the connection and close the port."""
        self.ended.set()
        for one in (self._server, self._client):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._thread.join(5)

    def _run(self):
        while not self.ended.is_set():
            with suppress(OSError):
                self._client, _ = self._server.accept()
                with self._client:
                    self._serve(self._client)

    def _serve(self, client):
        file = client.makefile('rb')
        while True:
            lines = [file.readline().decode().strip()]
            while lines[-1]:
                lines.append(file.readline().decode().strip())
            if not lines[0]:
                return
            method = lines[0].split()[0]
            self.requests.append(lines[0])
            fields = dict(line.split(': ', 1) for line in lines[1:] if ': ' in line)
            reply = ['RTSP/1.0 200 OK', f'CSeq: {fields["CSeq"]}']
            body = ''
            if method == 'OPTIONS':
                reply.append('Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN')
            elif method == 'DESCRIBE':
                body = _SDP + f'a=framerate:{self.fps:g}\r\n'
                reply += ['Content-Type: application/sdp', f'Content-Base: {self.url}/',
                          f'Content-Length: {len(body)}']
            elif method == 'SETUP':
                reply += ['Transport: RTP/AVP/TCP;unicast;interleaved=0-1', 'Session: 1']
            else:
                reply.append('Session: 1')
            client.sendall(('\r\n'.join(reply) + '\r\n\r\n' + body).encode())
            if method == 'PLAY':
                self._play(client)
                return

    def _play(self, client):
        began, first, sequence = time.monotonic(), self.number, 0
        while not self.ended.wait(max(
                began + (self.number - first) / self.fps - time.monotonic(), 0)):
            image = self.picture(self.number)
            if image is None:
                return
            found = packets(image, self.number, self.fps, sequence)
            client.sendall(b''.join(found))
            sequence += len(found)
            self.number += 1
