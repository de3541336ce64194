"""Labels and splits of recordings from text files."""
from pathlib import Path

import pytest

from mofm.annotations import AnnotationError, load_annotations
from mofm.sources import BVH, AlphaPose
from mofm.sources import prepare as module
from mofm.sources.lists import Lists
from mofm.sources.prepare import prepare
from tests.test_sources.native_files import SAMPLES, mocap
from tests.test_sources.numbers_source import Numbers

UPPERCASE = Path('../shared/failing/data/04_list_uppercase/l_ok.txt')


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(module, '_PARTS', 3)


class Stems(Numbers):
    """A clip per file, named by its path."""

    def annotations(self, name, content):
        """See :class:`Numbers`."""
        listed = self.listed(self.stem(name))
        if listed is not None:
            for ann, _ in Numbers.annotations(_Unlisted(self), name, content):
                yield dict(ann, frame_dir=self.stem(name), label=listed[0]), listed[1]


class _Unlisted:
    """What :class:`Numbers` uses of a source, without lists."""

    log = None

    def __init__(self, source):
        self.error = source.error

    def listed(self, name):
        """Return label 0 and no split."""
        return 0, ()


def labels(tmp_path, recordings, lines, reader=Stems, workers=0, **options):
    """Labels and splits of the recordings, and the report."""
    for name in recordings:
        path = tmp_path / 'in' / f'{name}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(1 + len(name)))
    lists = []
    for split, content in lines.items():
        (tmp_path / f'{split}.txt').write_bytes(
            content if isinstance(content, bytes) else content.encode())
        lists.append((split, tmp_path / f'{split}.txt'))
    source = reader(tmp_path / 'in', lists=lists, **options)
    report = prepare(source, tmp_path / 'out.pkl', workers)
    data = load_annotations(tmp_path / 'out.pkl')
    return {ann['frame_dir']: ann['label'] for ann in data['annotations']}, data['split'], report


@pytest.mark.parametrize('workers', [0, 2])
def test_uppercase_suffixes_and_windows_lines_match(tmp_path, workers):
    content = UPPERCASE.read_bytes() if UPPERCASE.exists() else (
        b'walk.mp4 0\r\nrun fast.mp4, 1\r\nfall.v2.MP4 2\r\n')
    found, split, report = labels(tmp_path, ['walk', 'run fast', 'fall.v2'],
                                  dict(train=content), workers=workers)
    assert found == {'walk': 0, 'run fast': 1, 'fall.v2': 2}
    assert sorted(split['train']) == ['fall.v2', 'run fast', 'walk']
    assert report.notes == report.problems == []


@pytest.mark.parametrize(('line', 'recording'), [
    ('walk 7', 'walk'), ('walk.avi 7', 'walk'), ('WALK.AVI 7', 'walk'), ('walk.AVI,7', 'walk'),
    ('\ufeffwalk.mp4 7', 'walk'), ('walk.mp4\t7\t', 'walk'), ('"walk.mp4" 7', 'walk'),
    ("'walk.mp4', '7'", 'walk'), ('"walk 2.mp4","7"', 'walk 2'), ('walk.mp4;7', 'walk'),
    ('videos/a/walk.mp4 7', 'walk'), ('videos\\a\\walk.mp4 7', 'a/walk'), ('walk 7', 'a/b/walk'),
    ('C:\\data\\a\\walk.mkv 7', 'a/walk'), ('./a/walk.webm 7', 'a/walk'),
    ('../../videos/walk.mp4 7', 'walk'), ('/data/walk.json 7', 'walk'), ('A/Walk 7', 'a/walk'),
    ('walk.skeleton 7', 'walk'), ('walk.json.gz 7', 'walk'), ('walk.MP4 7', 'walk.mp4'),
    ('walk 7', 'walk.avi'), ('wa\u0308lder.mp4 7', 'w\u00e4lder'), ('stra\u00dfe 7', 'STRASSE'),
    ('a  b.mp4 7', 'a  b'), ('a, b.mp4, 7', 'a, b'), ('v2.1 007', 'v2.1'), ('walk.txt 7', 'walk'),
    ('1 7', '1'), ('# comment\n\nwalk 7', 'walk')])
def test_line_names_its_recording(tmp_path, line, recording):
    found, split, report = labels(tmp_path, [recording, 'other'], dict(a=line + '\r\n'))
    assert found == {recording: 7}
    assert split == dict(a=[recording])
    assert report.problems == []
    assert report.notes == ["1 of 2 recordings are in no list and skipped: 'other'"]


@pytest.mark.parametrize(('line', 'recording'), [
    ('walk 7', 'walking'), ('walk.v2 7', 'walk.v3'), ('walk.v2 7', 'walk'), ('b/walk 7', 'a/walk'),
    ('lk 7', 'walk'), ('a/walk.mp4 7', 'a/walk/b'), ('walk 163 7', 'walk'), ('wlak 7', 'walk')])
def test_line_of_another_name_is_reported(tmp_path, line, recording):
    """Also if the folders of both contradict each other."""
    found, _, report = labels(tmp_path, [recording, 'other'], dict(a=f'other 1\n{line}'))
    assert found == dict(other=1)
    name = line.removesuffix(' 7')
    assert report.notes[0].startswith(
        f"1 of 2 lines of the lists match no recording: {tmp_path}/a.txt: line 2: '{name}'")
    assert report.notes[1] == f"1 of 2 recordings are in no list and skipped: '{recording}'"
    assert ('NAME FRAMES LABEL' in report.notes[0]) == ('163' in line)


def test_best_line_wins_and_the_folder_tells_recordings_apart(tmp_path):
    found, _, report = labels(
        tmp_path, ['train/01', 'test/01', '01', 'x/02', 'walk.avi', 'walk.mp4', 'Run', 'run'],
        dict(a='01 0\ntrain/01 1\ntest/01.avi 2\n02 3\nwalk.avi 4\nwalk.mp4 5\nRun 6\nrun 7'))
    assert found == {'01': 0, 'train/01': 1, 'test/01': 2, 'x/02': 3, 'walk.avi': 4, 'walk.mp4': 5,
                     'Run': 6, 'run': 7}
    assert report.notes == report.problems == []


@pytest.mark.parametrize('workers', [0, 2])
def test_line_of_two_recordings_is_a_problem_and_neither_is_kept(tmp_path, workers):
    found, _, report = labels(tmp_path, ['a/01', 'b/01', '02'], dict(s='01 3\n02 4'),
                              workers=workers)
    assert found == {'02': 4}
    assert report.problems == [f"{tmp_path}/s.txt: line 1: '01': found 2 recordings, 'a/01', "
                               "'b/01', expected one; write their folders"]
    assert report.summary() == '1 clips, 3 frames, 0 of 3 files skipped, 2 of 3 recordings skipped'
    with pytest.raises(AnnotationError, match="line 1: '01': found 2 recordings"):
        labels(tmp_path, [], dict(s='01 3\n02 4'), strict=True)


def test_two_lines_of_one_recording_are_a_problem_unless_they_agree(tmp_path):
    found, split, report = labels(tmp_path, ['01', '02', '03'], dict(
        s='x/01 3\ny/01.mp4 4\nx/02 5\ny/02 5\n03 6', t='03.mp4 6\n03 6'))
    assert found == {'02': 5, '03': 6}
    assert split == dict(s=['02', '03'], t=['03'])
    assert report.problems == [
        f"{tmp_path}/in:01.txt: list: found different lines for '01': {tmp_path}/s.txt: line 1: "
        f"'x/01' and {tmp_path}/s.txt: line 2: 'y/01.mp4', expected one, or the same label and "
        'splits']
    assert report.skipped == dict(recordings=1)


def test_recordings_of_one_name_in_two_folders_have_lines_of_their_own(tmp_path):
    """The reader names recordings by their files; the lists by folders, too."""
    found, split, report = labels(tmp_path, ['train/01', 'test/01', 'test/02'], dict(
        a='train/01.avi 1', b='test/01.avi 2\n02 3'), reader=Numbers)
    assert found == {'train/01': 1, 'test/01': 2, '02': 3}
    assert split == dict(a=['train/01'], b=['test/01', '02'])
    assert report.problems == []


def test_split_with_two_lists_has_both(tmp_path):
    (tmp_path / 'more.txt').write_text('b 1')
    (tmp_path / 'in').mkdir()
    for name in 'ab':
        (tmp_path / f'in/{name}.txt').write_text('2')
    (tmp_path / 'first.txt').write_text('a 0')
    source = Numbers(tmp_path / 'in', lists=[('s', tmp_path / 'first.txt'),
                                            ('s', tmp_path / 'more.txt')])
    assert [(ann['frame_dir'], splits) for ann, splits in source] == [('a', ('s', )),
                                                                     ('b', ('s', ))]


def test_line_of_an_unreadable_file_is_no_typing_error(tmp_path):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in/bad.txt').write_text('x')
    found, _, report = labels(tmp_path, ['good'], dict(s='good 1\nbad 2'))
    assert found == dict(good=1)
    assert report.notes == []
    assert len(report.problems) == report.skipped['files'] == 1


@pytest.mark.parametrize(('content', 'words'), [
    (b'a\n', r"line 1: found 'a', expected NAME LABEL; the label is missing"),
    (b'\n\na walking\n', "line 3: found 'a walking', expected NAME LABEL; found label 'walking', "
     'expected a number, the index of the class'),
    (b'name,label\na,1', "line 1: .*found label 'label'"), (b'a -1', "found 'a -1'"),
    (b'a 1.5', "found label '1.5'"), (b'a 1\na 2', 'line 2: found label 2 for .a., which has 1'),
    (b'video 00001\nvideo 00002', 'line 2: found label 2 for .video., which has 1'),
    (b'00001\n00002', "line 1: found '00001'.*the label is missing"),
    (b'a 1234567', "found 'a 1234567'"),
    ('a 1\n'.encode('utf-16')[:-1], 'damaged text in UTF-16'), (b'', 'found no line'),
    ('a 1\n'.encode('utf-16-le'), 'expected text in UTF-8'), (b'# a 1\n', 'found no line'),
    (b'/ 1', "found '/ 1'"), (b'"a" b 1', None)])
def test_bad_list_is_refused_with_its_line(tmp_path, content, words):
    (tmp_path / 'l.txt').write_bytes(content)
    if words is None:
        assert Lists([('s', tmp_path / 'l.txt')]).lines[0].name == '"a" b'
        return
    with pytest.raises(AnnotationError, match=words) as caught:
        Lists([('s', tmp_path / 'l.txt')])
    assert str(tmp_path / 'l.txt') in str(caught.value)


def test_latin_1_list_is_read_with_a_note(tmp_path):
    lines = dict(s='w\u00e4lder.mp4 5'.encode('latin-1'))
    found, _, report = labels(tmp_path, ['w\u00e4lder'], lines)
    assert found == {'w\u00e4lder': 5}
    assert report.notes == [f'{tmp_path}/s.txt: the list is not UTF-8 and read as latin-1']


@pytest.mark.parametrize('order', ['utf-16', 'utf-16-be'])
def test_utf_16_list_with_a_mark_is_read_with_a_note(tmp_path, order):
    mark = '\ufeff' if order == 'utf-16-be' else ''
    lines = dict(s=(mark + 'w\u00e4lder.mp4 5\r\n').encode(order))
    found, _, report = labels(tmp_path, ['w\u00e4lder'], lines)
    assert found == {'w\u00e4lder': 5}
    assert report.notes == [f'{tmp_path}/s.txt: the list is not UTF-8 and read as utf-16']


def test_lists_of_100_000_names_are_fast(tmp_path):
    (tmp_path / 'l.txt').write_text(''.join(f'v/{i}/clip.mp4 {i % 9}\n' for i in range(10**5)))
    lists = Lists([('s', tmp_path / 'l.txt')])
    assert all(lists.find([f'{i}/clip'])[1] == [i] for i in range(0, 10**5, 10))


def test_no_match_at_all_shows_lines_and_recordings(tmp_path):
    with pytest.raises(AnnotationError) as caught:
        labels(tmp_path, ['walk', 'run'], dict(s='wlak 0'))
    for words in ("none of 2 recordings, e.g. 'run', is in the lists", "line 1: 'wlak'"):
        assert words in str(caught.value)


def test_pose_programs_match_video_folder_and_result_file(tmp_path):
    _, files, options = SAMPLES['alphapose']
    for lines in ('walk.mp4 3', 'results/walk/alphapose-results.json 3', 'videos\\WALK.MP4 3'):
        for path, content in files.items():
            target = tmp_path / 'in' / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        (tmp_path / 'l.txt').write_text(lines)
        source = AlphaPose(tmp_path / 'in', lists=dict(s=tmp_path / 'l.txt'), **options)
        prepare(source, tmp_path / 'out.pkl', 0)
        ann, = load_annotations(tmp_path / 'out.pkl')['annotations']
        assert (ann['frame_dir'], ann['label']) == ('walk', 3)


def test_views_of_a_listed_recording_are_dropped_together(tmp_path):
    for name in ('a/x', 'b/x', 'y'):
        path = tmp_path / 'in' / f'{name}.bvh'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mocap.bvh(mocap.bvh_values(len(name) + 2)))
    (tmp_path / 'l.txt').write_text('X.bvh 1\nY.fbx.bvh 2\ny 3')
    source = BVH(tmp_path / 'in', lists=dict(s=tmp_path / 'l.txt'), views=2)
    report = prepare(source, tmp_path / 'out.pkl', 0)
    clips = load_annotations(tmp_path / 'out.pkl')['annotations']
    assert [(ann['frame_dir'], ann['label']) for ann in clips] == [('y_v0', 3), ('y_v1', 3)]
    assert "'X.bvh': found 2 recordings, 'a/x', 'b/x'" in report.problems[0]
