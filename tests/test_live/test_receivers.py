"""Receivers of events: files, webhook, page, pictures; the command from start to end."""

import contextlib
import csv
import http.client
import http.server
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from mofm.cli import stream
from mofm.cli.stream import main
from mofm.live import Event, EventTable, LiveStream, Overlay, PageServer, Webhook, sinks
from tests.test_live.people import DOWN, UP, picture
from tests.test_tools.tool_runner import ROOT, environment


def event(number=1, kind='start'):
    return Event(f'a-{number}', kind, 'action', 'squat', 0, .91234, 'probability', 1.23456,
                 2. if kind == 'end' else None, 'camera 0')


@pytest.fixture
def receiver(monkeypatch):
    """A webhook that answers with the given status codes, then with 204."""
    monkeypatch.setattr(sinks, '_PAUSES', (.05, .05, .05))

    class Handler(http.server.BaseHTTPRequestHandler):
        answers, got, wait = [], [], 0

        def do_POST(self):
            body = self.rfile.read(int(self.headers['Content-Length']))
            self.got.append((self.path, dict(self.headers), json.loads(body)))
            time.sleep(self.wait)
            code = self.answers.pop(0) if self.answers else 204
            self.send_response(code)
            if code == 302:
                self.send_header('Location', '/elsewhere')
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    Handler.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Handler
    server.shutdown()
    server.server_close()


def post(receiver, notes, *events):
    hook = Webhook(f'http://me:s%40y@127.0.0.1:{receiver.port}/hook', notes.append)
    for one in events:
        hook.write(one)
    hook.close()


def test_webhook_posts_in_order_and_repeats_what_failed(receiver):
    receiver.answers += [500, 429, 204]
    post(receiver, [], event(1), event(1, 'end'))
    assert [content['event'] for _, _, content in receiver.got] == ['start'] * 3 + ['end']
    path, headers, content = receiver.got[0]
    assert path == '/hook'
    assert headers['Content-Type'] == 'application/json'
    assert headers['Authorization'] == 'Basic bWU6c0B5'
    assert content == dict(
        id='a-1', event='start', task='action', person=0, probability=.9123, start=1.235, end=None,
        source='camera 0', start_utc=None, end_utc=None, **{'class': 'squat'})


@pytest.mark.parametrize(('answers', 'requests', 'reason'), [
    ([500] * 4, 4, 'status 500'), ([403], 1, 'status 403'), ([302], 1, 'status 302')])
def test_webhook_reports_what_is_not_delivered(receiver, answers, requests, reason):
    notes = []
    receiver.answers += answers
    post(receiver, notes, event(1), event(2))
    assert len(receiver.got) == requests + 1
    assert notes == [f'http://***@127.0.0.1:{receiver.port}/hook: start of a-1 not delivered: '
                     f'{reason}']


def test_webhook_does_not_block(receiver, monkeypatch):
    monkeypatch.setattr(sinks, '_FLUSH', .2)
    receiver.wait, notes = 1, []
    hook = Webhook(f'http://127.0.0.1:{receiver.port}/', notes.append)
    began = time.monotonic()
    for i in range(1100):
        hook.write(event(i))
    assert time.monotonic() - began < 5  # one request alone takes one second
    assert len(notes) >= 99
    assert 'is lost' in notes[0]
    hook.close()
    assert 'ended before all events were delivered' in notes[-1]


@pytest.mark.parametrize('url', ['ftp://host/', 'file:///etc/passwd', 'host:80/a', 'http://'])
def test_webhook_of_another_scheme_is_refused(url):
    with pytest.raises(ValueError, match='expected an http:// or https:// URL'):
        Webhook(url, print)


def test_table_has_a_row_per_ended_event_and_one_header(tmp_path):
    path = tmp_path / 'events.csv'
    for number in (1, 2):  # two runs
        table = EventTable(path, 'probability')
        table.write(event(number))
        table.write(event(number, 'end'))
        table.close()
    rows = list(csv.DictReader(path.open()))
    assert [(r['id'], r['class'], r['start'], r['end'], r['probability']) for r in rows] == [
        (f'a-{n}', 'squat', '1.235', '2.0', '0.9123') for n in (1, 2)]


def ask(page, path, host=None):
    connection = http.client.HTTPConnection('127.0.0.1', int(page.url.split(':')[2][:-1]), 5)
    connection.request('GET', path, headers=dict(Host=host) if host else {})
    return connection.getresponse()


def test_page_serves_video_and_events_to_this_machine_only():
    page = PageServer('camera 0', 'probability', 0)
    assert page.url.startswith('http://127.0.0.1:')
    page.show(picture(UP))
    page.write(event(1))
    page.write(event(1, 'end'))
    page.write(event(2))
    assert b'stream.mjpg' in ask(page, '/').read()
    state = json.load(ask(page, '/events.json'))
    assert [(e['id'], e['event']) for e in state['events']] == [('a-2', 'start'), ('a-1', 'end')]
    answer = ask(page, '/stream.mjpg')
    assert answer.headers['Content-Type'] == 'multipart/x-mixed-replace; boundary=frame'
    head = [answer.readline() for _ in range(4)]
    content = answer.read(int(head[2].split()[1]))
    assert cv2.imdecode(np.frombuffer(content, np.uint8), 1).mean() == pytest.approx(UP, abs=2)
    assert page.viewers == 1
    assert ask(page, '/events.json', 'evil.example').status == 403
    assert ask(page, '/../etc/passwd').status == 404
    with pytest.raises(OSError, match='cannot serve the page there'):
        PageServer('camera 0', 'probability', int(page.url.split(':')[2][:-1]))
    page.close()


def test_overlay_draws_person_class_and_curve(video, options):
    stream = LiveStream(video([DOWN] * 40 + [UP] * 40), **options)
    overlay = Overlay(stream.rule)
    pictures = [(result, overlay.draw(result)) for result in stream]
    result, drawn = pictures[70]
    assert drawn.shape == result.image.shape
    assert (result.image == result.image[0, 0]).all()  # not drawn on
    changed = (drawn != result.image).any(-1)
    assert changed[20:40, 76:84].any()  # the person
    assert changed[-11:].any()  # the curve
    assert not changed[60:-77, :40].any()
    assert (pictures[3][1][-11:] == pictures[3][0].image[-11:]).all()  # no score yet


def test_command_prints_events_and_ends_cleanly_by_ctrl_c(video, inferencer, monkeypatch, capsys):
    monkeypatch.setattr('mofm.apis.MotionInferencer', lambda *args: inferencer)
    before = signal.getsignal(signal.SIGINT)
    ctrl_c = threading.Timer(3, os.kill, [os.getpid(), signal.SIGINT])
    ctrl_c.start()
    with contextlib.ExitStack() as stack:
        stack.callback(ctrl_c.cancel)  # it would end the tests if the command failed before
        main([str(video([UP] * 600)), '--realtime', '--estimator', 'gray_people',
              '--window', '.5'])
    out, errors = capsys.readouterr()
    start, stop = map(json.loads, out.splitlines())
    assert (start['event'], stop['event'], start['id']) == ('start', 'end', stop['id'])
    assert errors.splitlines()[-1].split(': ')[1].startswith('ended after ')
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize('how', ['key', 'closed'])
def test_command_shows_a_window_until_q_or_closed(how, video, inferencer, monkeypatch):
    shown = []
    monkeypatch.setattr(stream, 'check_display', lambda: None)
    monkeypatch.setattr('mofm.apis.MotionInferencer', lambda *args: inferencer)
    for name in ('namedWindow', 'resizeWindow'):
        monkeypatch.setattr(cv2, name, lambda *args: None)
    monkeypatch.setattr(cv2, 'imshow', lambda title, image: shown.append(image.shape))
    monkeypatch.setattr(cv2, 'waitKey', lambda wait: (
        ord('q') if how == 'key' and len(shown) == 40 else -1))
    monkeypatch.setattr(cv2, 'getWindowProperty', lambda title, name: (
        float(how == 'key' or len(shown) < 40)))
    monkeypatch.setattr(cv2, 'destroyAllWindows', lambda: shown.append('gone'))
    # an event is open: its end is no picture, which would open the window again
    main([str(video([UP] * 90)), '--show', '--estimator', 'gray_people', '--window', '.5'])
    assert shown == [(128, 160, 3)] * 40 + ['gone']


def test_window_of_a_silent_source_ends_at_q(video, inferencer, monkeypatch):
    path = video([UP] * 5, 'incoming/people.avi')
    os.utime(path, (0, 0))  # complete
    shown, keys = [], itertools.count(1)
    monkeypatch.setattr(stream, 'check_display', lambda: None)
    monkeypatch.setattr('mofm.apis.MotionInferencer', lambda *args: inferencer)
    for name in ('namedWindow', 'resizeWindow'):
        monkeypatch.setattr(cv2, name, lambda *args: None)
    monkeypatch.setattr(cv2, 'imshow', lambda title, image: shown.append(title))
    monkeypatch.setattr(cv2, 'waitKey', lambda wait: ord('q') if next(keys) == 8 else -1)
    monkeypatch.setattr(cv2, 'getWindowProperty', lambda title, name: 1.)
    monkeypatch.setattr(cv2, 'destroyAllWindows', lambda: None)
    guard = threading.Timer(30, os.kill, [os.getpid(), signal.SIGINT])
    guard.start()
    try:
        main([str(path.parent), '--show', '--estimator', 'gray_people', '--window', '.5'])
    finally:
        guard.cancel()
    assert (len(shown), next(keys)) == (5, 9)


@pytest.mark.parametrize('display', [None, ':5999', 'nothing'])
def test_command_without_a_display_says_so(display, monkeypatch):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    if display:
        monkeypatch.setenv('DISPLAY', display)
    found = f'DISPLAY={display}' if display else 'DISPLAY is not set'
    with pytest.raises(OSError, match=rf'^--show: found no display .*\({found}\)'):
        main(['0', '--show'])


@pytest.mark.skipif(not (shutil.which('Xvfb') and shutil.which('xdotool')),
                    reason='needs Xvfb and xdotool')
def test_real_window_has_the_shape_of_a_tall_picture_and_ends_at_q(monkeypatch):
    read, write = os.pipe()
    server = subprocess.Popen(['Xvfb', '-displayfd', str(write)], pass_fds=[write],
                              stderr=subprocess.DEVNULL)
    display = dict(environment(), DISPLAY=f':{os.read(read, 16).decode().strip()}')

    def xdotool(*args):
        return subprocess.run(['xdotool', *args], env=display, text=True, check=True,
                              capture_output=True).stdout

    code = ('import numpy as np, time\n'
            'from mofm.cli.stream import show\n'
            'tall, end = np.zeros((1280, 720, 3), np.uint8), time.monotonic() + 60\n'
            'shown = show(tall, True)\n'
            'while not shown and time.monotonic() < end: shown = show(tall, False)\n'
            'assert shown\n')
    monkeypatch.setenv('DISPLAY', display['DISPLAY'])
    stream.check_display()
    process = subprocess.Popen([sys.executable, '-c', code], env=display, cwd=ROOT)
    try:
        window = xdotool('search', '--sync', '--name', '^MoFM$').split()[-1]
        time.sleep(1)  # the size comes after the window
        assert '450x800' in xdotool('getwindowgeometry', window)
        xdotool('windowfocus', window, 'key', 'q')
        assert process.wait(60) == 0
    finally:
        process.kill()
        server.terminate()
        server.wait()


def test_process_ends_cleanly_by_sigterm(video, tmp_path):
    plugin, out = tmp_path / 'plugin.py', tmp_path / 'events.jsonl'
    plugin.write_text('from tests.test_live.people import *\n'
                      'from mofm.apis.inferencers import ActionInferencer\n'
                      'ActionInferencer.predict_clips = lambda self, clips: judge(clips)\n'
                      '@POSE_ESTIMATORS.register_module()\n'
                      'class Mine(GrayPeople): pass\n')
    command = [sys.executable, '-m', 'mofm', 'stream', str(video([UP] * 3000)), '--realtime',
               '--estimator', 'Mine', '--plugin', str(plugin), '--window', '.5', '--events',
               str(out), '--csv', str(tmp_path / 'events.csv'), '--serve', '0']
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(),
                               cwd=ROOT)
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None and not (
            out.exists() and out.read_text()):
        time.sleep(.1)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    start, stop = map(json.loads, out.read_text().splitlines())
    assert (start['event'], stop['event'], start['id']) == ('start', 'end', stop['id'])
    assert len((tmp_path / 'events.csv').read_text().splitlines()) == 2
    assert 'page: http://127.0.0.1:' in errors
