"""Answers behind the page, which need no Gradio: tabs, tables, texts, curve, search, errors."""

import csv
import re
import sys
import zipfile
from types import SimpleNamespace
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from mofm.annotations import dump_annotations
from mofm.apis import MotionIndex
from mofm.apis.demo import View
from mofm.apis.inferencers import AnomalyResult
from mofm.apis.recordings import RecordingOptions
from mofm.app import views
from mofm.app.answers import (
    EXAMPLES,
    Models,
    answer,
    explain,
    open_index,
    search,
    upload_suffixes,
)
from mofm.cli import app
from mofm.visualization.overlay import write_video

SIT_DOWN = next(path for path in EXAMPLES if path.stem == 'sit_down')


@pytest.fixture(scope='module')
def zoo():
    """Models of the zoo, loaded once."""
    return Models(device='cpu')


@pytest.fixture
def given(tiny, tmp_path):
    """Make models of config and checkpoint, as a user gives them."""
    def given(*kinds):
        words = []
        for kind in kinds:
            cfg, checkpoint = tiny(kind)
            cfg.dump(tmp_path / f'{kind}.py')
            words.append((str(tmp_path / f'{kind}.py'), checkpoint))
        models = Models(words, 'cpu')
        return models, models.chosen

    return given


@pytest.fixture
def out(tmp_path):
    (tmp_path / 'out').mkdir()
    return tmp_path / 'out'


def test_models_of_the_zoo_tell_task_and_data_and_one_of_each_task_is_chosen(zoo):
    assert zoo.chosen[0] == ('mofm-tiny-everyday: action, trained on Penn Action, NW-UCLA, '
                             'Bandai-Namco; actions of Penn Action, NW-UCLA and UTKinect')
    tasks = [re.search(r': (\w+), trained on ', label)[1] for label in zoo.sources]
    assert len(zoo.chosen) == len({*tasks}) == len({re.search(': (.+?),', label)[1]
                                                    for label in zoo.chosen})
    assert 'one_shot' not in tasks  # needs exemplars


def test_example_is_answered_by_tabs_with_tables_and_a_report(zoo, out):
    steps = []
    found = answer(SIT_DOWN, zoo.chosen[:2], zoo, out, lambda *step: steps.append(step))

    assert [share for share, _ in steps] == sorted(share for share, _ in steps)
    assert [view.title for view in found.views['sit_down']] == ['Actions', 'Motion tokens']
    actions, tokens = found.views['sit_down']
    assert actions.result.top()[0][0] == 'sit_down'
    assert 'nearest of its 28 classes' in actions.about['cannot know']
    assert actions.about['trained on'].startswith('Penn Action')
    assert [path.suffix for path in tokens.pictures] == ['.png']
    assert len({row['cube'] // 81 for row in tokens.result.rows()}) == 2  # both segments
    with actions.table.open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['class'] for row in rows if row['rank'] == '1'] == ['sit_down']
    capture = cv2.VideoCapture(str(found.skeletons['sit_down']))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (86, 30)
    with zipfile.ZipFile(found.archive) as archive:
        assert {'report.html', 'sit_down.mp4', actions.table.name, tokens.table.name,
                tokens.pictures[0].name} == set(archive.namelist())
        report = archive.read('report.html').decode()
    assert '<td class="number">0.9' in report
    assert 'nearest of its 28 classes' in report
    for name in ('sit_down.mp4', tokens.pictures[0].name):
        assert f'src="{quote(name)}"' in report


def test_long_recording_has_windows_over_time(given, out, motion):
    models, labels = given('action')
    long = dict(motion[0], fps=1.)  # more than 10 seconds
    dump_annotations(dict(annotations=[long], split={}), out.parent / 'long.pkl')
    found = answer(out.parent / 'long.pkl', labels, models, out)
    (view,), = found.views.values()
    assert len(view.result.frames) == long['total_frames'] - 1  # of 2 seconds
    assert [path.name.endswith('.timeline.png') for path in view.pictures] == [True]
    assert not view.animations
    assert view.result.summary() in views.view(view)
    with zipfile.ZipFile(found.archive) as archive:
        assert view.pictures[0].name in archive.namelist()


def test_anomaly_model_has_a_curve_whose_lowest_point_is_its_least_normal_frame(given, out):
    models, labels = given('jigsaw')
    found = answer(SIT_DOWN, labels, models, out)
    view, = found.views['sit_down']
    smoothed = view.result.smoothed
    text = views.view(view)
    points = [tuple(map(float, point.split(',')))
              for point in re.search('points="(.+?)"', text)[1].split()]
    assert [x for x, _ in points] == [frame + .5 for frame in range(86)]
    assert max(points, key=lambda point: point[1])[0] == smoothed.argmin() + .5
    assert 'data-fps="30.0"' in text
    assert f'data-frames="{len(smoothed)}"' in text
    moments = [int(frame) for frame in re.findall('data-frame="(.+?)"', text)]
    assert moments == sorted(view.result.thumbnails())


def test_long_curve_has_few_points_over_all_frames():
    total = 20_000
    result = AnomalyResult('a', np.zeros((1, 2), int), None, np.zeros(1, int), np.zeros(1, int),
                           np.zeros(1), np.zeros(total), np.linspace(1, 0, total))
    points = re.search('points="(.+?)"', views.curve(result))[1].split()
    assert len(points) <= 600
    assert (points[0], points[-1]) == ('0.5,4.0', f'{total - .5},96.0')


def test_lifting_model_has_an_animation(given, out, motion, tmp_path):
    clip = dict(motion[0], keypoint=motion[0]['keypoint'][:, :8], total_frames=8, fps=30.,
                keypoint_score=motion[0]['keypoint_score'][:, :8])
    dump_annotations(dict(annotations=[clip], split={}), tmp_path / 'a.json')
    models, labels = given('lift')
    found = answer(tmp_path / 'a.json', labels, models, out)
    (view, ), = found.views.values()
    assert view.title == '3D skeleton'
    assert [path.suffix for path in view.animations] == ['.mp4']
    assert view.animations[0].stat().st_size > 1000


class Walker:
    """Pose network that counts the frames it sees."""

    meta = dict(dataset_name='coco')
    boxes = None

    def __init__(self):
        self.frames = 0

    def extract(self, frames, boxes=None):
        person = np.random.default_rng(0).uniform(10, 50, (17, 2)).astype(np.float32)
        for i, _ in enumerate(frames):
            self.frames += 1
            yield dict(keypoints=(person + (i, 0))[None], keypoint_scores=np.ones((1, 17)),
                       bboxes=np.tile((0., 0, 9, 9), (1, 1)), bbox_scores=np.ones(1))


def test_poses_of_a_video_are_estimated_once_for_all_models(given, out, tmp_path):
    path = tmp_path / 'walk.mp4'
    write_video((np.full((96, 128, 3), 90, np.uint8) for _ in range(30)), path, 20)
    models, labels = given('action', 'clip_jigsaw')
    network = Walker()
    found = answer(path, labels, models, out,
                   reading=RecordingOptions(pose_extractor=network))
    assert network.frames == 30
    assert [view.title for view in found.views['walk.mp4']] == ['Actions', 'Unusual motion']
    capture = cv2.VideoCapture(str(found.skeletons['walk.mp4']))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 30


def test_many_recordings_are_all_in_the_table_and_few_are_drawn(given, out, motion, tmp_path):
    clips = [dict(clip, frame_dir=name) for clip, name in zip(motion[:5], 'abcde', strict=True)]
    dump_annotations(dict(annotations=clips, split={}), tmp_path / 'many.pkl')
    models, labels = given('action')
    found = answer(tmp_path / 'many.pkl', labels, models, out)
    assert found.names == [*'abcde']
    assert [*found.views] == [*found.skeletons] == [*'abc']
    with found.views['a'][0].table.open(newline='') as file:
        assert {row['recording'] for row in csv.DictReader(file)} == {*'abcde'}


def test_names_from_files_are_escaped(given, out, motion, tmp_path):
    name = '<script>alert(1)</script>'
    view = View(name, {name: f'`{name}`'}, SimpleNamespace(summary=lambda: name), tmp_path)
    for text in (views.view(view), views.facts(view.about), views.bars([(name, .5)]),
                 views.listed([name])):
        assert '<script' not in text
        assert '&lt;script&gt;' in text


def test_search_finds_the_example_with_pictures(inferencer, motion, out, tmp_path):
    index = MotionIndex(tmp_path / 'index', inferencer('keypoints'), window=20)
    clips = [dict(clip, frame_dir=name, fps=30.)
             for clip, name in zip(motion[:3], ('<b>', 'b', 'c'), strict=True)]
    index.add(clips, progress=False)
    dump_annotations(dict(annotations=clips[:1], split={}), tmp_path / 'example.json')
    hits, pictures, table = search(tmp_path / 'example.json', index, out, top=2)
    assert hits[0].recording == '<b>'
    assert len(hits) == len(pictures) == 2
    text = views.hits(hits, pictures)
    assert text.count('src="data:image/webp;base64,') == 2
    assert '<b>1.00</b> <span title="&lt;b&gt;">' in text
    with table.open(newline='') as file:
        assert [row['recording'] for row in csv.DictReader(file)][0] == '<b>'


def test_wrong_input_is_named(zoo, out, tmp_path, given):
    for name, content, found in (
            ('a.exe', b'MZ', "a.exe: found suffix '.exe', expected a video or poses: "),
            ('a.json', b'{', 'a.json'), ('a.npy', b'\x93NUMPY', 'a.npy')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(found)):
            answer(tmp_path / name, zoo.chosen[:1], zoo, out)
    with pytest.raises(ValueError, match='models: found none'):
        answer(SIT_DOWN, [], zoo, out)
    with pytest.raises(ValueError, match="model: found 'other'"):
        answer(SIT_DOWN, ['other'], zoo, out)
    with pytest.raises(FileNotFoundError, match='expected a folder of mofm index'):
        open_index(tmp_path)
    with pytest.raises(ValueError, match='found the tasks one_shot, features, expected one'):
        given('one_shot')
    assert {'.mp4', '.json', '.bvh', '.npy', '.zip', '.tar.gz'} <= {*upload_suffixes()}


@pytest.mark.parametrize(('error', 'text'), [
    (FileNotFoundError(2, 'No such file', '/secret/folder/a.json'), 'a.json: No such file'),
    (ValueError('a: found 1'), 'a: found 1'),
    (RuntimeError('shape'), 'RuntimeError: shape; the terminal of mofm app shows more')])
def test_errors_are_one_line(error, text):
    assert explain(error) == text


def test_command_without_gradio_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    with pytest.raises(ImportError, match=r"needs Gradio.*pip install 'mofm\[app\]'"):
        app.main([])


def test_command_takes_several_models(capsys):
    args = app.parse_args(['--model', 'a.py', 'a.pth', '--model', 'folder', '--index', 'x', 'y'])
    assert args.models == [['a.py', 'a.pth'], ['folder']]
    assert [str(folder) for folder in args.indexes] == ['x', 'y']
    assert (args.host, args.port) == ('127.0.0.1', None)
    with pytest.raises(SystemExit):
        app.parse_args(['--model', 'a', 'b', 'c'])
    assert 'expected CONFIG and CHECKPOINT' in capsys.readouterr().err
