"""Live streams: files, folders, RTSP, HTTP, events, ends."""

import http.server
import threading
import time
import zipfile
from functools import partial

import cv2
import numpy as np
import pytest

from mofm.apis import MotionInferencer
from mofm.live import LiveStream, PageServer, source
from mofm.live import stream as live_stream
from mofm.pose_estimation import build_estimator
from tests.test_live.people import DOWN, FPS, NOBODY, UP, judge, picture
from tests.test_live.rtsp_server import RtspServer

NAMES = ('baseball_pitch', 'baseball_swing')


def run(stream, at=lambda result: None):
    """Return the events of a stream; ``at`` is called with each result."""
    events = []
    for result in stream:
        events += result.events
        at(result)
    return events


def spans(events):
    """Return label, start and end of events that have started and ended once."""
    starts = {event.id: event for event in events if event.event == 'start'}
    ends = {event.id: event for event in events if event.event == 'end'}
    assert len(starts) + len(ends) == len(events)
    assert list(starts) == list(ends)
    assert all(ends[i].start == starts[i].start and starts[i].end is None for i in starts)
    return [(e.label, e.start, e.end) for e in sorted(ends.values(), key=lambda e: e.start)]


def test_file_is_processed_frame_by_frame_with_events_at_its_times(video, options):
    results = []
    found = spans(run(LiveStream(video([DOWN] * 60 + [UP] * 60 + [DOWN] * 30), **options),
                      results.append))
    assert len(results) == 151  # the last once more, with the last end
    assert [name for name, *_ in found] == [NAMES[0], NAMES[1], NAMES[0]]
    times = np.array([span for _, *span in found]).ravel()
    assert times == pytest.approx([0, 2, 2, 4, 4, 149 / FPS], abs=.15)
    assert np.allclose([r.time for r in results[:150]], np.arange(150) / FPS, atol=1e-3)
    assert {r.dropped for r in results} == {0}
    assert results[100].active == {0: NAMES[1]}
    assert results[100].scores[0][NAMES[1]] == pytest.approx(.9)


def test_short_pause_and_short_action_make_no_events_and_leaving_ends_one(video, options):
    grays = [DOWN] * 45 + [UP] * 5 + [DOWN] * 40 + [NOBODY] * 90
    ends = []
    (span, ) = spans(run(LiveStream(video(grays), **options | dict(min_length=.3)), lambda r: (
        ends.extend(r.time for event in r.events if event.event == 'end'))))
    assert span == (NAMES[0], 0, pytest.approx(3, abs=.15))
    assert ends == pytest.approx([5], abs=.15)  # after two seconds without the person


def test_score_between_both_levels_keeps_an_event(video, options, inferencer, monkeypatch):
    def wavering(clips):
        value = .7 - .2 * (next(count) // 2 % 2)
        return [dict(scores=np.array([value, 1 - value] + [0.] * 13, np.float32)) for _ in clips]

    count = iter(range(1000))
    monkeypatch.setattr(inferencer.task(), 'predict_clips', wavering)
    path = video([DOWN] * 90)
    options |= dict(min_length=.05)
    assert len(spans(run(LiveStream(path, **options)))) == 1
    count = iter(range(1000))
    assert len(spans(run(LiveStream(path, **options, start=.6, end=.6)))) > 4


def test_anomaly_is_an_event_below_its_threshold(video, tiny, monkeypatch):
    inferencer = MotionInferencer(*tiny('jigsaw'), device='cpu')
    monkeypatch.setattr(inferencer.task(), 'predict_clips', lambda clips: [
        dict(normality=np.float32(-2 - output['scores'][1])) for output in judge(clips)])
    path = video([DOWN] * 60 + [UP] * 60 + [DOWN] * 60)
    options = dict(estimator='gray_people', stride=.1, min_length=.2)
    stream = LiveStream(path, inferencer, **options, start=-2.5, end=-2.2)
    (span, ) = spans(run(stream))
    assert span == ('anomaly', pytest.approx(2, abs=.2), pytest.approx(4, abs=.2))
    assert not run(LiveStream(path, inferencer, **options))  # no threshold, no events
    with pytest.raises(ValueError, match='end: found -3, expected at least start=-2'):
        LiveStream(path, inferencer, **options, start=-2, end=-3)


def test_model_without_events_is_refused(video):
    with pytest.raises(ValueError, match="^task: found 'features', which has no events, expected "
                                         'a model of actions or anomalies'):
        LiveStream(video([DOWN]), 'mofm-tiny', estimator='gray_people')


def test_video_with_the_default_estimator(real_data, trained, tmp_path):
    pytest.importorskip('mediapipe', reason="needs pip install 'mofm[video]'")
    with zipfile.ZipFile(real_data('videos_sample.zip')) as archive:
        path = archive.extract('pose2sim_single_cam01.mp4', tmp_path)
    stream = LiveStream(path, trained, window=.3, estimator=build_estimator(
        'mediapipe', tiles=False))
    results = list(zip(range(40), stream, strict=False))
    _, last = results[-1]
    assert sum(len(r.person) for _, r in results) > 35
    assert sum(last.scores[last.person[0]].values()) == pytest.approx(1, abs=1e-4)


def test_real_time_drops_frames_and_keeps_the_times(video, options):
    def slow(result):
        time.sleep(.1)
        dropped.append(result.dropped)

    dropped, began = [], time.monotonic()
    found = spans(run(LiveStream(video([DOWN] * 45 + [UP] * 45), **options, realtime=True), slow))
    assert 2.5 < time.monotonic() - began < 8  # frame by frame 9
    assert dropped[-1] > 30
    assert [name for name, *_ in found] == [*NAMES]
    assert found[1][1] == pytest.approx(1.5, abs=.25)


def test_stop_ends_open_events(video, options):
    stream = LiveStream(video([UP] * 300), **options)
    (name, start, end), = spans(run(stream, lambda r: r.time > 2 and stream.stop()))
    assert (name, start) == (NAMES[1], 0)
    assert end == pytest.approx(2, abs=.2)


def test_folder_that_grows_reads_each_file_once_and_whole(tmp_path, video, options):
    def add():
        video([UP] * 45, 'a_first.avi').rename(folder / 'a_first.avi')
        part = (tmp_path / 'second.avi', folder / 'b_second.avi')
        content = video([DOWN] * 45, 'second.avi').read_bytes()
        with open(part[1], 'wb') as file:  # a slow copy
            for i in range(4):
                file.write(content[len(content) * i // 4:len(content) * (i + 1) // 4])
                file.flush()
                time.sleep(.4)
        for i in range(3):
            cv2.imwrite(str(folder / f'c_{i}.png'), picture(UP))
        (folder / 'd_bad.png').write_bytes(b'not an image')
        (folder / 'notes.txt').write_text('no picture')

    folder = tmp_path / 'incoming'
    folder.mkdir()
    notes, count = [], []
    stream = LiveStream(folder, **options, fps=FPS, notify=notes.append)
    thread = threading.Thread(target=add)
    thread.start()

    def at(result):
        count.append(result)
        if len(count) == 93:
            threading.Timer(1.5, stream.stop).start()

    events = run(stream, at)
    thread.join()
    assert len({r.time for r in count}) == 93
    assert [name for name, *_ in spans(events)] == [NAMES[1], NAMES[0]]
    assert events[0].source == str(folder / 'a_first.avi')
    assert len(notes) == 1
    assert notes[0].startswith(f'{folder}/d_bad.png: found bytes that cannot be decoded')


def test_rtsp_server_that_is_killed_and_comes_back(quick, options, monkeypatch):
    """A short break continues an event, a long one ends it; none is lost or doubled."""
    monkeypatch.setattr(live_stream, '_PATIENCE', 3.)  # also on a busy machine

    def at(result):
        nonlocal server
        number = server.number
        if len(kills) == 0 and number > 60 or len(kills) == 1 and number > 150:
            server.kill()
            pause = (.6, 4.5)[len(kills)]
            kills.append(result.time)
            threading.Timer(pause, restart, [number]).start()
        if number > 260:
            stream.stop()

    def restart(number):
        nonlocal server
        server = RtspServer(lambda n: picture(UP), server.port, FPS, number)

    server, kills, notes = RtspServer(lambda n: picture(UP)), [], []
    stream = LiveStream(server.url.replace('//', '//admin:se:cret@'), **options,
                        notify=notes.append)
    assert stream.name == server.url.replace('//', '//***@')
    events = run(stream, at)
    server.kill()
    found = spans(events)
    assert [name for name, *_ in found] == [NAMES[1]] * 2
    assert found[0][1] < 1  # the server has sent some frames while it was opened
    assert found[0][2] == pytest.approx(kills[1], abs=.7)
    assert found[1][1] > kills[1] + 3.5
    texts = [note.removeprefix(f'{stream.name}: ') for note in notes]
    assert sum(text.startswith('broken after') for text in texts) == 2
    assert sum(text == 'connected again' for text in texts) == 2
    assert any(text.endswith('to reconnect failed: connection refused') for text in texts)
    assert all(event.start_utc.endswith('Z') for event in events)
    assert not any(word in f'{notes} {events}' for word in ('admin', 'cret'))


def test_stream_gives_up_after_retries(quick, options):
    server, notes = RtspServer(lambda n: picture(UP) if n < 40 else None), []
    stream = LiveStream(server.url, **options, retries=2, notify=notes.append)
    events = run(stream, lambda r: server.number >= 40 and server.kill())
    assert len(spans(events)) == 1
    assert notes[-1].endswith('given up after 2 attempts')
    assert sum('attempt' in note for note in notes) == 3


def test_server_that_hangs_does_not_keep_the_stream_from_ending(options, monkeypatch):
    """Python would abort if the thread were in OpenCV at its end."""
    monkeypatch.setattr(source, '_TIMEOUT', 3)
    server = RtspServer(lambda n: picture(UP) if n < 40 or server.ended.wait() else None)
    stream, began = LiveStream(server.url, **options, notify=print), []

    def at(result):
        if server.number >= 40 and not began:
            time.sleep(.5)
            began.append(time.monotonic())
            stream.stop()

    assert len(spans(run(stream, at))) == 1
    assert time.monotonic() - began[0] < 2
    stream._newest.end(10)
    assert not stream.reading
    server.kill()


@pytest.fixture
def file_server(tmp_path):
    class Handler(http.server.SimpleHTTPRequestHandler):
        limits = []  # bytes of the next answers

        def copyfile(self, source, outputfile):
            outputfile.write(source.read(self.limits.pop(0) if self.limits else -1))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler,
                                                                      directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_address[1]}', Handler.limits
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize('broken', [False, True])
def test_file_of_a_web_server_is_read_whole(file_server, video, options, quick, broken):
    url, limits = file_server
    path = video([DOWN] * 60 + [UP] * 60)
    if broken:
        limits += [path.stat().st_size // 2, path.stat().st_size * 3 // 4]
    notes, results = [], []
    stream = LiveStream(f'{url}/{path.name}', **options, notify=notes.append)
    assert not stream.live
    found = spans(run(stream, results.append))
    assert [name for name, *_ in found] == [*NAMES]
    assert np.allclose(np.unique([r.time for r in results]), np.arange(120) / FPS, atol=1e-3)
    assert len([note for note in notes if 'broken' in note]) == 2 * broken
    assert not limits


def test_page_is_a_source_that_comes_back(quick, options):
    def feed():
        while not done.is_set():
            page.show(picture(UP))
            time.sleep(1 / FPS)

    def at(result):
        nonlocal page
        count.append(result)
        if len(count) == 40:
            port = int(page.url.split(':')[2].strip('/'))
            page.close()
            page = PageServer('test', 'probability', port)
        if len(count) == 80:
            stream.stop()

    done, count, notes = threading.Event(), [], []
    page = PageServer('test', 'probability', 0)
    threading.Thread(target=feed, daemon=True).start()
    stream = LiveStream(f'{page.url}stream.mjpg', **options, notify=notes.append)
    assert stream.live
    (name, *_), = spans(run(stream, at))
    done.set()
    page.close()
    assert name == NAMES[1]
    assert any(note.endswith('connected again') for note in notes)
