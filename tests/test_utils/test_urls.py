"""URLs: credentials stay hidden, errors name the command for live sources."""

import pytest

from mofm.apis import MotionInferencer
from mofm.utils.urls import mask


@pytest.mark.parametrize(('url', 'masked'), [
    ('rtsp://user:pa:ss@host:554/a?b=1', 'rtsp://***@host:554/a?b=1'),
    ('rtsp://user:pa/s@s?#@host/a', 'rtsp://***@host/a'),
    ('http://user@host/', 'http://***@host/'),
    ('http://host/video?user=me&pwd=a%20b&size=2', 'http://host/video?user=***&pwd=***&size=2'),
    ('http://host/v?access_token=abc#x', 'http://host/v?access_token=***#x'),
    ('http://host/a', 'http://host/a'), ('a@b.mp4', 'a@b.mp4')])
def test_mask_hides_credentials(url, masked):
    assert mask(url) == masked


@pytest.mark.parametrize('source', [0, '0', 'rtsp://user:secret@host/a', 'http://host/a.mp4'])
def test_inferencer_names_the_command_for_live_sources(source):
    for call in (MotionInferencer('mofm-tiny-penn', device='cpu'), MotionInferencer):
        with pytest.raises(ValueError, match='`mofm stream`') as error:
            call(source)
        assert 'secret' not in str(error.value)
        assert '\n' not in str(error.value)
