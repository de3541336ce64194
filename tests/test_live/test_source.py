"""Sources by their names; errors in one line, without credentials."""

import pytest

from mofm.live import LiveStream, open_source
from tests.test_live.rtsp_server import RtspServer


@pytest.mark.parametrize(('source', 'error', 'text'), [
    ('none.mp4', FileNotFoundError, 'none.mp4: no such file or folder'),
    ('file:///etc/passwd', ValueError, "source: found a URL of 'file', expected one of rtsp"),
    ('concat://a', ValueError, "source: found a URL of 'concat'"),
    (77, OSError, 'camera 77: cannot be opened: no camera of this number'),
    ('77', OSError, 'camera 77: cannot be opened: no camera of this number'),
    ('rtsp://a:secret@127.0.0.1:9/x', OSError,
     r'rtsp://\*\*\*@127.0.0.1:9/x: cannot be opened: connection refused')])
def test_source_that_cannot_be_opened(source, error, text):
    with pytest.raises(error, match=f'^{text}'):
        open_source(source)


def test_server_without_a_video_says_what_to_check():
    server = RtspServer(lambda n: None)
    with pytest.raises(OSError, match='it sends no video; check path, user and password'):
        open_source(server.url)
    server.kill()


def test_file_without_frames_is_one_line(tmp_path, options):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'no video')
    with pytest.raises(OSError, match=f'^{path}: found no frame that can be decoded'):
        next(iter(LiveStream(path, **options)))
