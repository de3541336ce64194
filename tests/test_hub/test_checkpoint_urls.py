"""Checkpoints of URLs, from a server of this process."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save

from mofm.hub.checkpoint import find_checkpoint, load_local, load_state
from tests.test_hub.hostile_checkpoints import real_checkpoint


class Handler(BaseHTTPRequestHandler):
    """Server of the files in ``files``: content, or where to."""

    files: dict = {}
    asked: list = []

    def do_GET(self):
        """Answer with a file, half of it, or another place."""
        self.asked.append(self.path)
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 302 if isinstance(content, str) else 200)
        if isinstance(content, str):
            self.send_header('Location', content)
            content = b''
        content = content or b''
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content[:len(content) // 2] if 'half' in self.path else content)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """URL of the server; the cache of torch is empty."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    Handler.asked.clear()
    Handler.files.clear()
    found = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{found.server_port}'
    found.shutdown()
    found.server_close()


def checkpoint_of(value):
    """Return a checkpoint of one weight in the old format."""
    return save(dict(weight=torch.full((1, ), float(value))))


def test_urls_of_one_last_part_are_different_files(server):
    """By host, path and query; the part after # is not sent."""
    Handler.files.update({'/a/m.safetensors': checkpoint_of(1), '/b/m.safetensors':
                          checkpoint_of(2), '/a/m.safetensors?v=2': checkpoint_of(3)})
    urls = [f'{server}/a/m.safetensors', f'{server}/b/m.safetensors',
            f'{server}/a/m.safetensors?v=2', f'{server}/a/m.safetensors#part',
            f'{server.replace("http", "HTTP")}/a/m.safetensors']
    assert [load_state(url)['weight'].item() for url in urls] == [1, 2, 3, 1, 1]
    assert Handler.asked == ['/a/m.safetensors', '/b/m.safetensors', '/a/m.safetensors?v=2']


def test_url_redirects_and_is_found_by_mmengine(server):
    Handler.files.update({'/old.pth': '/new/file', '/new/file': real_checkpoint()})
    found = CheckpointLoader.load_checkpoint(f'{server}/old.pth', 'cpu')
    assert found['state_dict'].keys() == {'weight', 'bias'}


def test_partial_download_is_not_kept(server, tmp_path):
    Handler.files.update({'/half.pth': real_checkpoint(), '/flipped.pth': real_checkpoint()[:-1]})
    with pytest.raises(ValueError, match=r'half.pth: cannot be downloaded \(found \d+ of \d+ byt'):
        load_local(f'{server}/half.pth')
    with pytest.raises(ValueError, match=r'none.pth: cannot be downloaded \(HTTP Error 404'):
        load_local(f'{server}/none.pth')
    with pytest.raises(ValueError, match=r'flipped.pth: cannot be downloaded \(damaged'):
        load_local(f'{server}/flipped.pth')
    assert not [path for path in (tmp_path / 'hub').rglob('*') if path.is_file()]
    with pytest.raises(ValueError, match='cannot be downloaded'):
        load_local('http://127.0.0.1:1/a.pth')


@pytest.mark.parametrize('path', ['/', '/..', '/a%2Fb/..%2f..%2fm.pth', '/%00', '/' + 'a' * 3000,
                                  '/.hidden', '/a.pth;b', '/ü.pth'])
def test_url_of_any_path_stays_in_the_cache(server, tmp_path, path):
    try:
        found = find_checkpoint(server + path)
    except ValueError as error:
        found = error
    files = [file for file in tmp_path.rglob('*') if file.is_file()]
    assert not files or files == [found]
    assert all(file.is_relative_to(tmp_path / 'hub/checkpoints') for file in files)
