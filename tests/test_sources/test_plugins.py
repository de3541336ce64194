"""Readers of others: files, modules and entry points of packages."""
import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from mofm.annotations import AnnotationError, load_annotations
from mofm.registry import MODELS, SOURCES
from mofm.sources import plugins
from mofm.sources.plugins import load_plugin, load_plugins, readers

ROOT = Path(__file__).parents[2]
READER = '''
from mofm.registry import SOURCES
from tests.test_sources.numbers_source import Numbers


@SOURCES.register_module('{name}')
class Mine(Numbers):
    """Reader of 100 % of my files."""

    suffix = '.mine'
'''
HEAD = '''
from mofm.models.heads import ActionClsHead
from mofm.registry import MODELS

@MODELS.register_module()
class MineHead(ActionClsHead):
    pass
'''


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """Plug-ins are gone after a test."""
    monkeypatch.setattr(SOURCES, '_module_dict', dict(SOURCES.module_dict))
    monkeypatch.setattr(sys, 'path', [*sys.path])
    before = set(sys.modules)
    plugins._entry_points.cache_clear()
    plugins._failed.clear()
    yield
    for name in set(sys.modules) - before:
        if name.startswith(('mine', 'broken')):
            del sys.modules[name]
    plugins._entry_points.cache_clear()


def files(folder, suffix='.mine', count=6):
    folder.mkdir()
    for i in range(count):
        (folder / f'{i}{suffix}').write_text(str(i + 1))
    return folder


def run(*args, method='fork', cwd=ROOT):
    """Run a tool in a process of its own, whose processes start by a method."""
    tool, *words = map(str, args)
    code = (f'import multiprocessing, runpy, sys; multiprocessing.set_start_method({method!r}); '
            f'sys.argv = {[tool, *words]!r}; runpy.run_path({str(ROOT / tool)!r}, '
            "run_name='__main__')")
    script = cwd / 'run_tool.py'  # which processes that are not forked import again
    if method != 'fork':
        script.write_text(f"if __name__ == '__main__':\n    {code}\n")
    try:
        return subprocess.run([sys.executable, *(['-c', code] if method == 'fork' else [script])],
                              capture_output=True, text=True, cwd=cwd, check=False,
                              env={'PYTHONPATH': str(ROOT), 'PATH': ''})
    finally:
        script.unlink(missing_ok=True)


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_reader_in_a_file_is_found_by_all_processes(tmp_path, method):
    (tmp_path / 'mine_file.py').write_text(READER.format(name='mine'))
    done = run('tools/data/prepare.py', '--plugin', tmp_path / 'mine_file.py', 'mine',
               files(tmp_path / 'in'), tmp_path / 'out.pkl', '--workers', 2, method=method,
               cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '6 clips, 21 frames, 0 of 6 files skipped' in done.stdout
    assert len(load_annotations(tmp_path / 'out.pkl')['annotations']) == 6


def test_reader_in_a_module_of_the_current_folder_is_found(tmp_path):
    (tmp_path / 'mine_package').mkdir()
    (tmp_path / 'mine_package/__init__.py').touch()
    (tmp_path / 'mine_package/reader.py').write_text(READER.format(name='mine'))
    done = run('tools/data/prepare.py', 'mine', files(tmp_path / 'in'), tmp_path / 'out.pkl',
               '--plugin', 'mine_package.reader', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '6 clips' in done.stdout
    listed = run('tools/data/prepare.py', '--plugin', 'mine_package.reader', '--help',
                 cwd=tmp_path)
    assert 'Reader of 100 % of my files.' in listed.stdout


def test_file_of_a_package_may_import_from_it(tmp_path):
    folder = tmp_path / 'mine_parent/mine_child'
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / '__init__.py').touch()
    (folder.parent / 'names.py').write_text("SUFFIX = '.relative'")
    text = READER.format(name='mine_relative').replace("'.mine'", 'SUFFIX')
    (folder / 'reader.py').write_text(f'from ..names import SUFFIX\n{text}')
    assert load_plugin(str(folder / 'reader.py')) == ['mine_relative']
    assert SOURCES.get('mine_relative').suffix == '.relative'
    (folder / 'other.py').write_text('from ..names import NOTHING')
    with pytest.raises(AnnotationError, match="other.py: .* cannot import name 'NOTHING'"):
        load_plugin(str(folder / 'other.py'))


@pytest.mark.parametrize(('text', 'words'), [
    ('import nothing_of_this_name', "imported: ModuleNotFoundError: No module named .* in line 1"),
    ('\n\n1 / 0', 'imported: ZeroDivisionError: division by zero in line 3'),
    ('class A(:', r'imported: SyntaxError: invalid syntax \(broken.py, line 1\)$'),
    ('import sys\nsys.exit(3)', r'SystemExit: SystemExit\(3\) in line 2'),
    ('x = 1', "found no registered class, expected a class with @SOURCES.register_module"),
    (READER.format(name='alphapose'), 'imported: KeyError: .*alphapose is already registered')])
def test_plugin_that_does_not_import_gives_one_line(tmp_path, text, words):
    (tmp_path / 'broken.py').write_text(text)
    with pytest.raises(AnnotationError, match=words) as caught:
        load_plugin(str(tmp_path / 'broken.py'))
    assert str(caught.value).startswith(str(tmp_path / 'broken.py'))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('name', 'words'), [
    ('nowhere.py', 'found no such file'), ('json.py', "found another module 'json'"),
    ('mine.reader.py', 'found a point'), ('mofm.py', "found another module 'mofm'")])
def test_plugin_file_that_cannot_be_a_module_is_named(tmp_path, name, words):
    if name != 'nowhere.py':
        (tmp_path / name).write_text(READER.format(name='mine'))
    with pytest.raises(AnnotationError, match=words):
        load_plugin(str(tmp_path / name))
    with pytest.raises(AnnotationError, match='no_such_module: the plug-in cannot be imported'):
        load_plugin('no_such_module')


def test_plugin_may_have_a_head(tmp_path, monkeypatch):
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS.module_dict))
    (tmp_path / 'mine_head.py').write_text(HEAD)
    assert load_plugin(str(tmp_path / 'mine_head.py')) == ['MineHead']


def test_options_of_the_reader_stay_in_their_order(tmp_path):
    (tmp_path / 'mine_words.py').write_text(READER.format(name='mine'))
    words = ['mine', 'in', 'out.pkl', '--list', 'train', '-a.txt', '--up', '-y']
    plugin = f'--plugin={tmp_path}/mine_words.py'
    for at in range(3):
        assert load_plugins([*words[:at], plugin, *words[at:]]) == words
    assert load_plugin(str(tmp_path / 'mine_words.py')) == ['mine']


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install packages with entry points in a folder."""
    def install(**entries):
        for package, (text, value) in entries.items():
            (tmp_path / f'{package}.py').write_text(text)
            info = tmp_path / f'{package}-1.0.dist-info'
            info.mkdir()
            (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {package}\nVersion: 1\n')
            (info / 'entry_points.txt').write_text(f'[mofm.sources]\n{value}\n')
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()

    return install


def test_entry_points_are_imported_when_they_are_asked_for(installed):
    plain = READER.replace("@SOURCES.register_module('{name}')\n", '')
    installed(mine_a=(READER.format(name='from_a'), 'from_a = mine_a'),
              mine_b=(plain, 'from_b = mine_b:Mine'))
    assert 'from_a' not in SOURCES.module_dict
    assert readers('alphapose') is SOURCES.module_dict
    assert not {'mine_a', 'mine_b'} & sys.modules.keys()
    assert readers('from_b')['from_b'].suffix == '.mine'
    assert 'mine_a' not in sys.modules
    assert {'from_a', 'from_b'} <= readers().keys()


def test_broken_entry_point_fails_only_if_it_is_asked_for(installed):
    installed(broken_a=('1 / 0', 'from_a = broken_a:Mine'),
              mine_c=(READER.format(name='from_c'), 'from_c = mine_c:Mine'),
              mine_d=('class Mine: pass', 'from_d = mine_d:Other'))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert 'from_c' in readers()
    assert [str(one.message).partition(':')[0] for one in caught] == ['broken_a', 'mine_d']
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert 'from_a' not in readers()
    with pytest.raises(AnnotationError, match='broken_a: from_a = .*ZeroDivisionError'):
        readers('from_a')
    with pytest.raises(AnnotationError, match='mine_d: from_d = mine_d:Other: .*AttributeError'):
        readers('from_d')


# ------------------------------------------------------------------------- the documented reader
def example():
    page = (ROOT / 'docs/sources.md').read_text()
    return re.search(r'^```python title="my_reader.py"\n(.+?)^```', page, re.M | re.S)[1]


@pytest.fixture
def tracker(tmp_path):
    """Files of the documented reader: 2 persons, who walk to the right, in 4 frames."""
    (tmp_path / 'my_reader.py').write_text(example())
    (tmp_path / 'in').mkdir()
    for name in ('a', 'b'):
        joints = np.full((4, 2, 17, 3), .25)
        joints[..., 0] = .1 + .1 * np.arange(4)[:, None, None] + .02 * np.arange(17)
        joints[:, 1, :, 1] = .75
        rows = [f'{t};{7 + p};' + ';'.join(map(str, joints[t, p].ravel())) for t in range(4)
                for p in range(2)]
        (tmp_path / f'in/{name}.csv').write_bytes(
            '\r\n'.join(['\ufeffframe;person;' + 'x' * 9, *rows]).encode())
    (tmp_path / 'in/c.csv').write_text('frame;person;x\n1;2;3\n')
    return tmp_path


def test_documented_reader_is_below_30_lines_and_runs(tracker):
    assert len(example().splitlines()) < 30
    (tracker / 'list.txt').write_text('A.mp4 3')
    for source in ('my_tracker', 'auto'):
        done = run('tools/data/prepare.py', source, 'in', 'out.pkl', '--plugin', 'my_reader.py',
                   '--img-shape', 480, 640, '--list', 'train', 'list.txt', cwd=tracker)
        assert done.returncode == 0, done.stderr
        assert '1 clips, 4 frames, 1 of 3 files skipped' in done.stdout
        assert 'c.csv: rows: found 3 numbers, expected 53 per row' in done.stdout
        assert "1 of 2 recordings are in no list and skipped: 'b'" in done.stdout
        data = load_annotations(tracker / 'out.pkl')
        ann, = data['annotations']
        assert (ann['frame_dir'], ann['label'], ann['img_shape']) == ('a', 3, (480, 640))
        assert data['split'] == dict(train=['a'])
        np.testing.assert_allclose(ann['keypoint'][:, 2, 5], [[.4 * 640, .25 * 480],
                                                              [.4 * 640, .75 * 480]], atol=.2)


def test_documented_reader_asks_for_the_size_of_the_image(tracker):
    done = run('tools/data/prepare.py', 'my_tracker', 'in', 'out.pkl', '--plugin', 'my_reader.py',
               cwd=tracker)
    assert done.returncode == 1
    assert '--img-shape' in done.stderr


def test_documented_reader_is_known_to_the_other_tools(tracker):
    done = run('tools/data/extract_poses.py', 'in', '--from', 'my_tracker', '--plugin',
               'my_reader.py', '--out', 'out.pkl', '--img-shape', 480, 640, cwd=tracker)
    assert done.returncode == 0, done.stderr
    assert '2 clips, 8 frames, 1 of 3 files skipped' in done.stdout
    done = run('tools/data/inspect_annotations.py', 'out.pkl', '--plugin', 'my_reader.py',
               cwd=tracker)
    assert '0 problems in 2 clips' in done.stdout
