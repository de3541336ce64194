"""Files and output of the demo for every task."""

import csv
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mofm.annotations import dump_annotations
from mofm.apis import Gallery
from mofm.cli import demo
from mofm.registry import POSE_ESTIMATORS, SOURCES
from mofm.visualization.overlay import draw_poses, score_colors, write_video
from tests.test_sources.native_files.pose_detectors import alphapose, people


@pytest.fixture
def run(tiny, motion, tmp_path, capsys):
    """Run the tool on four clips; returns the folder and the lines it printed.

    ``run.progress`` is what it showed on the standard error.
    """
    path = tmp_path / 'mine.pkl'
    dump_annotations(dict(split=dict(test=[a['frame_dir'] for a in motion[:4]]),
                          annotations=motion), path)

    def run(kind, *arguments, inputs=(path, '--split', 'test')):
        cfg, checkpoint = tiny(kind)
        config = tmp_path / f'{kind}.py'
        cfg.dump(config)
        out = tmp_path / 'out'
        demo.main([*map(str, inputs), '--config', str(config), '--checkpoint', checkpoint,
                   '--out', str(out), '--device', 'cpu', *map(str, arguments)])
        printed, run.progress = capsys.readouterr()
        return out, printed.splitlines()

    return run


def listed(lines):
    return sorted(Path(line.strip()) for line in lines if line.startswith('  '))


@pytest.mark.parametrize(('kind', 'task', 'data', 'picture'), [
    ('action', 'action', None, '.gif'), ('clip_jigsaw', 'anomaly', None, '.png'),
    ('dved', 'tokens', None, '.png'), ('dved', 'reconstruct', '.npz', '.png'),
    ('pretrain', 'tokens', None, '.png'), ('action', 'features', '.npz', None)])
def test_demo_writes_files_of_each_task(run, motion, kind, task, data, picture):
    """One table of four clips, pictures of two, arrays, all of them listed and readable."""
    out, lines = run(kind, '--task', task, '--pictures', 2)
    files = sorted(out.iterdir())
    assert listed(lines) == files
    assert f'{len(files)} files:' in lines
    assert out / 'table.csv' in files
    with open(out / 'table.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    suffixes = [f.suffix for f in files]
    assert suffixes.count('.npz') == (4 if data else 0)
    if picture:
        assert suffixes.count(picture) == 2
        for file in out.glob(f'*{picture}'):
            with Image.open(file) as image:
                assert min(image.size) > 100
    assert lines[-1] == f'open {out / "index.html"}'
    assert len(files) == 2 + 4 * (data is not None) + 2 * (picture is not None)
    names = {a['frame_dir'] for a in motion[:4]}
    assert {row['recording'] for row in rows} == names
    assert all(row['first'] == '0' for row in rows)
    said = {line.split(':')[0] for line in lines if ': ' in line}
    assert said - {'cannot know'} == names | {'model', 'trained on'}
    assert ('cannot know' in said) == (task in ('action', 'anomaly', 'tokens'))


def test_demo_table_and_json_have_the_scores_of_all_classes(run):
    out, _ = run('action', '--pictures', 0, '--table', '.parquet', '--json')
    table = pq.read_table(out / 'table.parquet').to_pylist()
    results = [json.loads(file.read_text()) for file in out.glob('*.json')]
    assert len(results) == 4
    for result in results:
        rows = [row for row in table if row['recording'] == result['name']]
        assert [row['rank'] for row in rows] == list(range(1, len(result['classes']) + 1))
        assert {row['class']: row['score'] for row in rows} == pytest.approx(
            dict(zip(result['classes'], result['scores'][0], strict=True)))
        assert [[row['class'], row['score']] for row in rows[:len(result['top'])]] == result['top']


def test_demo_says_what_the_model_knows(run, tiny):
    _, lines = run('action', '--pictures', 0)
    assert lines[0].startswith('model: ')
    assert lines[0].endswith(', Action classification, 3 classes (DT1)')
    assert lines[1].startswith('trained on: ')


def test_demo_cuts_long_recordings_into_windows_of_two_seconds(run, motion):
    out, lines = run('action', '--pictures', 1, '--fps', 1)  # more than 10 seconds
    first = motion[0]
    total = first['total_frames']
    with open(out / 'table.csv', newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['recording'] == first['frame_dir']]
    found = sorted({(int(row['first']), int(row['last'])) for row in rows})
    assert found == [(i, i + 1) for i in range(total - 1)]
    said, = (line for line in lines if line.startswith(f'{first["frame_dir"]}: '))
    assert said.startswith(f'{first["frame_dir"]}: {total - 1} windows, best class: ')
    counts = [int(text.rpartition(' ')[2]) for text in said.split('class: ')[1].split(', ')]
    assert sum(counts) == total - 1
    best = [row['class'] for row in rows if row['rank'] == '1']
    assert counts[0] == max(map(best.count, best))
    assert {file.suffix for file in listed(lines)} == {'.csv', '.gif', '.html', '.png'}
    assert 'best in windows' in (out / 'index.html').read_text()


@pytest.mark.parametrize('options', [['--fps', 30], ['--fps', 1, '--window', 1000]])
def test_demo_short_recordings_and_large_windows_are_one_clip(run, motion, options):
    out, _ = run('action', '--pictures', 0, *options)
    with open(out / 'table.csv', newline='') as file:
        assert {(row['recording'], row['first'], row['last']) for row in csv.DictReader(file)} == {
            (ann['frame_dir'], '0', str(ann['total_frames'] - 1)) for ann in motion[:4]}


def test_demo_writes_poses_with_predictions(run, motion):
    out, lines = run('action', '--poses', '.csv', '--json', '--pictures', 0)
    files = sorted(out.iterdir())
    assert listed(lines) == files
    tables = [file for file in files if file.suffix == '.csv' and file.name != 'table.csv']
    assert len(tables) == 4
    for file in tables:
        with open(file, newline='') as f:
            rows = list(csv.DictReader(f))
        ann = next(a for a in motion[:4] if a['frame_dir'] == rows[0]['clip'])
        assert {int(row['frame']) for row in rows} <= set(range(ann['total_frames']))
        result = json.loads(file.with_suffix('.json').read_text())
        assert {row['predicted'] for row in rows} == {result['top'][0][0]}


@pytest.mark.parametrize(('kind', 'picture'), [('action', '.gif'), ('clip_jigsaw', '.png')])
def test_demo_files_of_odd_names_stay_in_the_folder(run, motion, tmp_path, kind, picture):
    """Paths, formulas, mathematics that matplotlib cannot parse, and names that differ in case."""
    names = ['../../=escaped', '/etc/x', '$\\frac$', '=1+1', 'walk', 'WALK', 'nul', '歩' * 90]
    dump_annotations(dict(annotations=[dict(motion[0], frame_dir=name) for name in names],
                          split={}), tmp_path / 'odd.pkl')
    before = set(tmp_path.rglob('*'))
    out, _ = run(kind, '--pictures', 3, '--json', inputs=[tmp_path / 'odd.pkl'])
    files = set(tmp_path.rglob('*')) - before - {out, tmp_path / f'{kind}.py'}
    assert {file.parent for file in files} == {out}
    assert len({file.name.lower() for file in files}) == len(names) + 5
    found = [json.loads(f.read_text(encoding='utf-8'))['name'] for f in out.glob('*.json')]
    assert sorted(found) == sorted(names)
    with open(out / 'table.csv', newline='', encoding='utf-8') as file:
        table = {row['recording'] for row in csv.DictReader(file)}
    assert table == {"'=1+1" if name == '=1+1' else name for name in names}
    assert len(list(out.glob(f'*{picture}'))) == 3


class Page(HTMLParser):
    """Tags, local addresses and texts of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.texts = [], [], []
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ('src', 'href')]

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_page_of_the_demo_links_its_files_and_escapes_names(run, motion, tmp_path):
    names = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', 'javascript:alert(1)',
             'a%2f..#1?']
    dump_annotations(dict(annotations=[dict(motion[0], frame_dir=name) for name in names],
                          split={}), tmp_path / '<b>#%41.pkl')
    out, _ = run('action', '--pictures', 3, inputs=[tmp_path / '<b>#%41.pkl'])
    page = Page(out / 'index.html')
    assert not {'script', 'iframe', 'link', 'b'} & {*page.tags}
    assert '<b>#%41.pkl' in page.texts
    assert [text for text in page.texts if text.endswith(': Actions')] == [
        f'{name}: Actions' for name in names[:3]]
    assert 'Recordings in the tables: 4, on this page: 3.' in page.texts
    assert page.texts.count('class') == 3
    assert not any(urlsplit(address).scheme for address in page.addresses)
    assert {unquote(urlsplit(address).path) for address in page.addresses} == {
        file.name for file in out.iterdir()} - {'index.html'}


def test_demo_without_a_choice_adds_motion_tokens_of_the_same_poses(tmp_path, monkeypatch, capsys):
    frames = []

    class Counted(Extractor):
        def extract(self, images, boxes=None):
            images = list(images)
            frames.extend(images)
            return super().extract(images, boxes)

    monkeypatch.setitem(POSE_ESTIMATORS.module_dict, 'counted', Counted)
    path, out = tmp_path / 'walk.mp4', tmp_path / 'out'
    write_video((np.full((96, 128, 3), 90, np.uint8) for _ in range(30)), path, 30)
    demo.main([str(path), '--out', str(out), '--device', 'cpu', '--estimator', 'counted',
               '--whole-frame', '--pose-fps', '30'])
    assert len(frames) == 30  # of both models
    assert sorted(file.name for file in out.iterdir()) == [
        'index.html', 'table.csv', 'tokens.csv', 'walk.mp4.gif', 'walk.mp4.mp4', 'walk.mp4.png']
    with open(out / 'tokens.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert {(row['recording'], row['first'], row['last']) for row in rows} == {
        ('walk.mp4', '0', '29')}
    page = Page(out / 'index.html')
    assert [text for text in page.texts if text.startswith('walk.mp4: ')] == [
        'walk.mp4: Actions', 'walk.mp4: Motion tokens']
    assert page.tags.count('video') == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split(',')[0] for line in said if line.startswith('model: ')] == [
        'model: mofm-tiny-everyday', 'model: mofm-tiny']
    answer, = (line for line in said if line.startswith('walk.mp4: '))
    assert answer.endswith(' different tokens')


def test_demo_into_the_folder_of_its_input_leaves_the_input(run, motion, tmp_path):
    (tmp_path / 'out').mkdir()
    path = tmp_path / 'out/walk.json'
    dump_annotations(dict(annotations=[dict(motion[0], frame_dir='walk')], split={}), path)
    before = path.read_bytes()
    out, lines = run('action', '--pictures', 0, '--json', inputs=[path])
    assert path.read_bytes() == before
    assert listed(lines) == sorted({*out.iterdir()} - {path})


def test_demo_keeps_tables_apart_from_recordings_of_their_names(run, motion, tmp_path):
    names = ['table', 'Tokens', 'index']
    path = tmp_path / 'mine.pkl'
    dump_annotations(dict(split={}, annotations=[
        dict(ann, frame_dir=name) for ann, name in zip(motion, names, strict=False)]), path)
    out, lines = run('action', '--poses', '.csv', '--pictures', 0, inputs=[path])
    assert {file.name for file in out.iterdir()} == {
        'table.csv', 'table_2.csv', 'Tokens.csv', 'index.csv', 'index.html'}
    assert listed(lines) == sorted(out.iterdir())
    with open(out / 'table.csv', newline='') as file:
        assert {row['recording'] for row in csv.DictReader(file)} == {*names}
    before = (out / 'table.csv').read_bytes()
    for inputs in ([out / 'table.csv'], [tmp_path]):
        with pytest.raises(ValueError, match='table.csv: found an input.*expected another folder'):
            run('action', inputs=inputs)
    assert (out / 'table.csv').read_bytes() == before


def test_demo_prints_answers_on_lines_of_their_own(run, motion, tmp_path):
    """Both streams are one terminal, on which the progress bar moves."""
    screen = io.StringIO()
    with redirect_stdout(screen), redirect_stderr(screen):
        run('action', '--pictures', 0, '--batch-size', 1)
    lines = []
    for text in screen.getvalue().split('\n'):
        line = ''
        for part in text.split('\r'):  # each overwrites the beginning of the line
            line = part + line[len(part):]
        lines.append(line.rstrip())
    names = [ann['frame_dir'] for ann in motion[:4]]
    answers = [line for line in lines if any(f'{name}: ' in line for name in names)]
    assert [line.split(': ')[0] for line in answers] == names
    assert not any(' windows [' in line for line in answers)
    assert sum('4 windows [' in line for line in lines) == 1


def test_demo_takes_gallery_of_exemplars(run, inferencer, motion, tmp_path):
    gallery = Gallery(inferencer('one_shot'))
    gallery.add('mine', motion[0])
    gallery.add('other', motion[1])
    gallery.save(tmp_path / 'gallery.npz')
    out, lines = run('one_shot', '--task-options', f'gallery={tmp_path}/gallery.npz',
                     '--pictures', 0)
    first = next(line for line in lines if line.startswith(f'{motion[0]["frame_dir"]}: '))
    assert first.split(': ')[1].startswith('mine 1.000')
    with pytest.raises(ValueError, match='exemplar'):
        run('one_shot')


class Extractor:
    """A person who walks to the right."""

    meta = dict(dataset_name='coco')

    def __init__(self, boxes, **settings):
        assert boxes is not None

    def extract(self, frames, boxes=None):
        person = np.random.default_rng(0).uniform(10, 50, (17, 2)).astype(np.float32)
        for i, _ in enumerate(frames):
            points = (person + (i, 0))[None]
            yield dict(keypoints=points, keypoint_scores=np.ones((1, 17)),
                       bboxes=np.tile((0., 0, 9, 9), (1, 1)), bbox_scores=np.ones(1))


@pytest.mark.parametrize('kind', ['action', 'jigsaw'])
def test_demo_draws_skeletons_on_the_video(run, monkeypatch, tmp_path, kind):
    monkeypatch.setitem(POSE_ESTIMATORS.module_dict, 'walker', Extractor)
    path = tmp_path / 'walk.mp4'
    write_video((np.full((96, 128, 3), 90, np.uint8) for _ in range(30)), path, 20)
    out, lines = run(kind, '--estimator', 'walker', '--whole-frame', inputs=(path, ))
    assert {f.suffix for f in out.iterdir()} >= {'.csv', '.mp4'}
    assert next(out.glob('*.mp4')).name in run.progress
    assert '30/30' in run.progress
    capture = cv2.VideoCapture(str(next(out.glob('*.mp4'))))
    frames = []
    while (pair := capture.read())[0]:
        frames.append(pair[1].astype(int))
    assert len(frames) == 30
    assert capture.get(cv2.CAP_PROP_FPS) == 20
    drawn = [np.abs(f[25:] - 90).max(2) > 40 for f in frames]  # below the title
    assert all(d.sum() > 50 for d in drawn)
    center = [np.argwhere(d)[:, 1].mean() for d in drawn]
    assert 15 < center[-1] - center[0] < 35  # it walks along


def test_draw_poses_colors_by_value():
    red, blue, unknown = score_colors(np.array([0, 1, np.nan])).astype(int)
    assert red[2] > red[0] + 50
    assert blue[0] > blue[2] + 50
    assert (unknown == 255).all()
    image = np.zeros((100, 100, 3), np.uint8)
    points = np.random.default_rng(0).uniform(0, 99, (1, 17, 2))
    points[0, 0] = 1e30
    score = np.ones((1, 17))
    assert not draw_poses(image, points, 0 * score, [[255, 255, 255]]).any()
    shown = draw_poses(image, points, score, [[10, 20, 250]])
    assert not image.any()
    assert (shown == (10, 20, 250)).all(2).sum() > 100
    timed = draw_poses(image, points, score, [[10, 20, 250]], clock='1.00 s, frame 25')
    assert (timed[-20:] != shown[-20:]).sum() > 100


def test_demo_names_bad_input(run, tmp_path):
    with pytest.raises(ValueError, match='nowhere.pkl: file: found no such file'):
        run('action', inputs=('nowhere.pkl', ))
    with pytest.raises(ValueError, match="task: found 'anomaly'"):
        run('action', '--task', 'anomaly')
    with pytest.raises(TypeError, match='top: found an unknown option, expected one of .*top_k'):
        run('action', '--task-options', 'top=3')
    with pytest.raises(SystemExit):
        demo.parse_args([])


def test_demo_reads_poses_of_a_source_and_keeps_track_ids(run, tmp_path):
    file = tmp_path / 'poses' / 'walk.json'
    file.parent.mkdir()
    file.write_text(json.dumps(alphapose(people(50, 2), lambda t, m: (9, 4)[m])))
    out, lines = run('action', '--pictures', 0, '--json', '--source', 'alphapose',
                     '--source-options', 'layout=coco17', 'max_person=1', inputs=(file, ))
    result = json.loads((out / 'walk.json').read_text())
    assert len(result['track_id']) == 1
    with open(out / 'table.csv', newline='') as table:
        row = next(csv.DictReader(table))
    assert row['person'] == str(result['track_id'][0])


PLUGIN = '''
from mofm.registry import POSE_ESTIMATORS, SOURCES
from mofm.sources import AlphaPose


@SOURCES.register_module('{0}')
class Mine(AlphaPose):
    """Reader of mine."""

    suffix = '.mine'

    @classmethod
    def recognize(cls, sample):
        return 'mine' if sample.suffix == '.mine' else None
'''


@pytest.mark.parametrize('source', ['auto', 'named'])
@pytest.mark.parametrize('fps', [(), ('--fps', 30, '--model-fps', 15)])
def test_demo_writes_ids_and_boxes_of_the_files_of_a_plugin(run, tmp_path, monkeypatch, source,
                                                            fps):
    monkeypatch.setattr(SOURCES, '_module_dict', dict(SOURCES.module_dict))
    monkeypatch.setattr(sys, 'path', [*sys.path])
    reader = f'mine_{source}_{len(fps)}'
    plugin, file = tmp_path / f'{reader}.py', tmp_path / 'poses' / 'walk.mine'
    plugin.write_text(PLUGIN.format(reader))
    file.parent.mkdir()
    poses = alphapose(people(60, 2), lambda t, m: (9, 4)[m])
    file.write_text(json.dumps(poses))
    out, _ = run('action', '--pictures', 0, '--json', '--plugin', plugin, '--poses', '.csv', *fps,
                 '--source', 'auto' if source == 'auto' else reader, inputs=(file, ))
    assert sorted(json.loads((out / 'walk.json').read_text())['track_id']) == [4, 9]
    with open(out / 'walk.csv', newline='') as table:
        rows = list(csv.DictReader(table))
    assert {row['track'] for row in rows} == {'4', '9'}
    first = next(row for row in rows if (row['track'], row['frame']) == ('9', '0'))
    x, y, width, height = next(pose['box'] for pose in poses if pose['idx'] == 9)
    np.testing.assert_allclose([float(first[f'box_{side}']) for side in ('x1', 'y1', 'x2', 'y2')],
                               (x, y, x + width, y + height), atol=.15)
