"""From a source to an annotation file: parts, processes, interruptions."""
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mofm.annotations import AnnotationError, load_annotations
from mofm.registry import SOURCES
from mofm.sources import prepare as module
from mofm.sources.base import FAULT, FolderSource
from mofm.sources.prepare import prepare
from tests.test_sources.kill_prepare import check_kills
from tests.test_sources.numbers_source import Numbers

TOOL = Path(__file__).resolve().parents[2] / 'tools/data/prepare.py'


def folder(path, count=20, **changes):
    """Files 00.txt, 01.txt, ... with 1, 2, ... frames."""
    path.mkdir(exist_ok=True)
    for i in range(count):
        (path / f'{i:02}.txt').write_text(changes.get(f'{i:02}', str(i + 1)))
    return path


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(module, '_PARTS', 5)


@pytest.mark.parametrize('suffix', ['.pkl', '.arrow', '.npz', '.json'])
@pytest.mark.parametrize('workers', [0, 2])
def test_prepare_writes_same_annotations_to_every_format(tmp_path, suffix, workers):
    lists = dict(train=tmp_path / 'train.txt', test=tmp_path / 'test.txt')
    lists['train'].write_text(''.join(f'{i:02}.txt {i % 3}\n' for i in range(15)))
    lists['test'].write_text('15 2\nsomewhere/16.txt 0\n17,1\n')
    source = Numbers(folder(tmp_path / 'in', 20, **{'04': 'x', '17': '0'}), lists=lists)
    seen = []
    report = prepare(source, tmp_path / f'out{suffix}', workers, seen.append)
    data = load_annotations(tmp_path / f'out{suffix}')
    kept = [f'{i:02}' for i in range(17) if i != 4]  # 17 is broken, too
    assert [ann['frame_dir'] for ann in data['annotations']] == kept
    assert data['split'] == dict(train=kept[:-2], test=['15', '16'])
    for ann in data['annotations']:
        n = int(ann['frame_dir'])
        assert ann['label'] == (n % 3 if n < 15 else 2 - 2 * (n == 16))
        assert ann['keypoint'].shape == (2, n + 1, 17, 2)
        assert (ann['keypoint'] == 3).all()
        assert ann['total_frames'] == n + 1
        assert tuple(ann['img_shape']) == (4, 5)
    assert report.clips == 16
    assert report.frames == sum(int(k) + 1 for k in kept)
    assert sum(seen) == report.files == 20
    assert len(report.problems) == 2
    assert "04.txt: frames: found b'x', expected a number" in report.problems[0]
    assert sorted(tmp_path.glob('out*')) == [tmp_path / f'out{suffix}']  # nothing else is left


@pytest.mark.parametrize('workers', [0, 2])
def test_prepare_collects_notes_over_all_parts(tmp_path, workers):
    class Noting(Numbers):
        def annotations(self, name, content):
            for _ in range(3):  # persons of one file
                self.note(name, 'the last frame is empty' if int(content) % 2 else 'no score')
            return super().annotations(name, content)

    folder(tmp_path / 'in', 20)
    (tmp_path / 'in/readme.md').touch()
    (tmp_path / 'in/a.log').touch()
    (tmp_path / 'in/01.txt').write_text('1')
    globals().update(Noting=Noting)  # for the processes
    Noting.__qualname__ = 'Noting'
    source = Noting(tmp_path / 'in')
    notes = ['files of other kinds are passed over: 1 .log, 1 .md (a.log)',
             'the last frame is empty (11 files, e.g. 00.txt)', 'no score (9 files, e.g. 03.txt)']
    for _ in range(2):
        assert prepare(source, tmp_path / 'out.pkl', workers).notes == notes


class Careless(Numbers):
    """A reader of somebody who does not check what files hold."""

    def annotations(self, name, content):
        if content == b'key':
            return [({}['keypoints'], ())]
        if content == b'none':
            return None
        if content == b'bytes':
            content.decode('ascii').encode('latin-1')[99]
        if content == b'number':
            return [(5, ())]
        items = super().annotations(name, content)
        return [(ann, 'train') for ann, _ in items] if content == b'7' else items


@pytest.mark.parametrize('workers', [0, 2])
def test_prepare_reports_an_unforeseen_exception_and_goes_on(tmp_path, workers):
    bad = {'02': 'key', '05': 'none', '09': 'bytes', '11': 'number'}
    path = folder(tmp_path / 'in', 20, **bad)
    report = prepare(Careless(path), tmp_path / 'out.pkl', workers)
    assert report.clips == 15
    assert report.skipped == dict(files=5)
    assert report.summary() == '15 clips, 172 frames, 5 of 20 files skipped'
    line = next(i for i, text in enumerate(Path(__file__).read_text().split('\n'), 1)
                if "{}['keypoints']" in text)
    found = dict(zip(('02', '05', '06', '09', '11'), report.problems, strict=True))
    assert found['02'] == (f"{path}:02.txt: file: found KeyError: 'keypoints' in test_prepare.py, "
                           f'line {line}, expected annotations: {FAULT}')
    assert "file: found TypeError: splits: found 'train', expected a tuple of names" in found['06']
    assert "TypeError: 'NoneType' object is not iterable in base.py" in found['05']
    assert 'IndexError: index out of range in test_prepare.py' in found['09']
    with pytest.raises(AnnotationError, match=f'02.txt: file: .*{FAULT}') as caught:
        prepare(Careless(path, strict=True), tmp_path / 'strict.pkl', 0)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize('workers', [0, 2])
def test_prepare_resumes_after_interruption(tmp_path, workers):
    source = Numbers(folder(tmp_path / 'in', 20, **{'13': 'stop'}))
    source.log = str(tmp_path / 'log')
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / 'out.pkl', workers)
    assert not (tmp_path / 'out.pkl').exists()
    assert (tmp_path / 'out.pkl.parts').is_dir()
    before = (tmp_path / 'log').read_text().split()
    (tmp_path / 'in/13.txt').write_text('14')
    report = prepare(source, tmp_path / 'out.pkl', workers)
    after = (tmp_path / 'log').read_text().split()[len(before):]
    assert report.clips == 20
    assert report.resumed >= 8
    assert len(after) == 20 - report.resumed
    data = load_annotations(tmp_path / 'out.pkl')
    assert [ann['total_frames'] for ann in data['annotations']] == list(range(1, 21))


@pytest.mark.parametrize('gone', ['2.json', '2.arrow'])
def test_prepare_converts_a_part_with_one_file_again(tmp_path, monkeypatch, gone):
    """A process that is killed while it removes the parts leaves one."""
    monkeypatch.setattr(module, '_remove_parts', lambda folder: (folder / gone).unlink())
    source = Numbers(folder(tmp_path / 'in', 20))
    prepare(source, tmp_path / 'out.pkl', 0)
    expected = (tmp_path / 'out.pkl').read_bytes()
    assert prepare(source, tmp_path / 'out.pkl', 0).resumed == 16
    assert (tmp_path / 'out.pkl').read_bytes() == expected


def test_prepare_ignores_parts_of_another_source(tmp_path):
    first = Numbers(folder(tmp_path / 'in', 20, **{'19': 'stop'}))
    with pytest.raises(KeyboardInterrupt):
        prepare(first, tmp_path / 'out.pkl', 0)
    second = Numbers(folder(tmp_path / 'other', 20))
    assert prepare(second, tmp_path / 'out.pkl', 0).resumed == 0


@pytest.mark.parametrize('workers', [0, 2])
def test_prepare_strict_stops_and_writes_nothing(tmp_path, workers):
    source = Numbers(folder(tmp_path / 'in', 20, **{'13': 'x'}), strict=True)
    with pytest.raises(AnnotationError, match='13.txt: frames: found'):
        prepare(source, tmp_path / 'out.arrow', workers)
    assert not (tmp_path / 'out.arrow').exists()


def test_prepare_without_good_file_fails(tmp_path):
    source = Numbers(folder(tmp_path / 'in', 2, **{'00': 'x', '01': 'y'}))
    for suffix in ('.pkl', '.arrow', '.json'):
        with pytest.raises(AnnotationError, match='no file could be read\n.*00.txt'):
            prepare(source, tmp_path / f'out{suffix}', 0)
        assert list(tmp_path.glob('out*')) == []
    with pytest.raises(AnnotationError, match="found suffix '.csv', expected one of"):
        prepare(source, tmp_path / 'out.csv', 0)


def test_prepare_failure_keeps_existing_files(tmp_path):
    source = Numbers(folder(tmp_path / 'in', 2, **{'00': 'x', '01': 'y'}))
    (tmp_path / 'out.pkl').write_bytes(b'of an earlier call')
    with pytest.raises(AnnotationError, match='no file could be read'):
        prepare(source, tmp_path / 'out.pkl', 0)
    assert (tmp_path / 'out.pkl').read_bytes() == b'of an earlier call'
    (tmp_path / 'out.pkl.parts').mkdir()
    (tmp_path / 'out.pkl.parts/mine.txt').write_text('a')
    with pytest.raises(AnnotationError, match='out.pkl.parts: found other files'):
        prepare(source, tmp_path / 'out.pkl', 0)
    assert (tmp_path / 'out.pkl.parts/mine.txt').exists()


def test_prepare_refuses_lists_that_name_nothing(tmp_path):
    (tmp_path / 'train.txt').write_text('walk 0\n')
    source = Numbers(folder(tmp_path / 'in', 3), lists=[('train', tmp_path / 'train.txt')])
    with pytest.raises(AnnotationError, match="none of 3 recordings, e.g. '00', is in the lists"):
        prepare(source, tmp_path / 'out.pkl', 0)


def test_prepare_needs_memory_of_one_part(tmp_path):
    """200 MB of keypoints go through while some MB are held."""
    code = f'''
import resource, sys
from mofm.sources.prepare import prepare
from tests.test_sources.kill_prepare import check_kills
from tests.test_sources.numbers_source import Numbers
source = Numbers({str(folder(tmp_path / 'in', 40, **{f'{i:02}': '24000' for i in range(40)}))!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for suffix in ('.arrow', '.pkl'):
    prepare(source, {str(tmp_path / 'out')!r} + suffix, 0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
'''

    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    size = (tmp_path / 'out.arrow').stat().st_size
    assert size > 190e6
    assert int(out.stdout) < 90


@pytest.mark.parametrize(('text', 'words'), [
    ('a\n', "line 1: found 'a', expected NAME LABEL"), ('a 1\na 2\n', 'line 2: found label 2'),
    ('a -1', "line 1: found 'a -1'"), (b'\xff\xfe1', 'cannot be read'),
])
def test_source_names_bad_list_line(tmp_path, text, words):
    path = tmp_path / 'train.txt'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(AnnotationError, match=words):
        Numbers(folder(tmp_path / 'in'), lists=dict(train=path))


class Frames(FolderSource):
    """A clip per folder; one file per frame."""

    suffix = '.txt'

    def annotations(self, name, content):
        """The names of the files tell the frames."""
        frames = [int(Path(file).stem) for file, _ in content]
        yield dict(frame_dir=self.stem(name), label=0, img_shape=(4, 5), total_frames=len(frames),
                   frame_inds=np.array(frames), keypoint=np.ones((1, len(frames), 17, 2)),
                   keypoint_score=np.ones((1, len(frames), 17))), ()


def test_folder_source_takes_folders_as_recordings(tmp_path):
    for name, count in (('a', 3), ('b/c', 2), ('b/d', 4)):
        (tmp_path / 'in' / name).mkdir(parents=True)
        folder(tmp_path / 'in' / name, count)
    report = prepare(Frames(tmp_path / 'in'), tmp_path / 'out.pkl', 0)
    data = load_annotations(tmp_path / 'out.pkl')['annotations']
    assert [(a['frame_dir'], a['total_frames']) for a in data] == [('a', 3), ('b/c', 2),
                                                                   ('b/d', 4)]
    assert report.files == 3
    (ann, _), = Frames(tmp_path / 'in/b/d')  # the folder itself
    assert ann['frame_dir'] == 'd'
    assert ann['frame_inds'].tolist() == [0, 1, 2, 3]


def test_source_reads_a_single_file(tmp_path):
    (ann, _), = Numbers(folder(tmp_path / 'in') / '07.txt')
    assert ann['total_frames'] == 8
    with pytest.raises(AnnotationError, match='no such file'):
        Numbers(tmp_path / 'nowhere.txt')


@pytest.fixture
def tool(monkeypatch, capsys):
    """Run the command and return what it prints."""
    monkeypatch.setitem(SOURCES.module_dict, 'numbers', Numbers)

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['prepare.py', *map(str, args)])
        runpy.run_path(str(TOOL), run_name='__main__')
        return capsys.readouterr().out

    return run


def test_prepare_tool_reports_problems_and_formats(tool, tmp_path):
    path = folder(tmp_path / 'in', 20, **{'04': 'x'})
    (tmp_path / 'train.txt').write_text(''.join(f'{i:02} 0\n' for i in range(20)))
    out = tool('numbers', path, tmp_path / 'out', '--format', 'arrow', '--list', 'train',
               tmp_path / 'train.txt')
    assert 'out.arrow: 19 clips, 205 frames, 1 of 20 files' in out
    assert '04.txt: frames: found' in out
    assert 'train' in out
    assert load_annotations(tmp_path / 'out.arrow')['split'].keys() == {'train'}
    with pytest.raises(SystemExit, match="found suffix '.pkl' and --format arrow"):
        tool('numbers', path, tmp_path / 'out.pkl', '--format', 'arrow')
    with pytest.raises(SystemExit, match='04.txt: frames'):
        tool('numbers', path, tmp_path / 'out.pkl', '--strict')


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['prepare', 'extract'])
def test_killed_work_ends_with_the_bytes_of_an_unbroken_one(tmp_path, kind):
    assert sum(check_kills(tmp_path / kind, kind, 3, seed=1).values()) == 3
