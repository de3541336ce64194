"""A model for live streams whose answers are known."""

import cv2
import pytest

from mofm.apis import MotionInferencer
from mofm.live import source
from tests.test_live.people import FPS, SIZE, judge, picture


@pytest.fixture(scope='session')
def trained():
    return MotionInferencer('mofm-tiny-penn', device='cpu')


@pytest.fixture
def inferencer(trained, monkeypatch):
    """The model of the zoo, which answers by a rule."""
    monkeypatch.setattr(trained.task(), 'predict_clips', judge)
    return trained


@pytest.fixture
def options(inferencer):
    return dict(model=inferencer, estimator='gray_people', window=.5, stride=.1, min_length=.2)


@pytest.fixture
def quick(monkeypatch):
    """Reconnect after short pauses."""
    monkeypatch.setattr(source, '_BACK_OFF', (.1, .4))


@pytest.fixture
def video(tmp_path):
    """Write a video of pictures with these grays."""
    def write(grays, name='people.avi', fps=FPS):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), fps, SIZE[::-1])
        for gray in grays:
            writer.write(picture(gray))
        writer.release()
        return path

    return write
