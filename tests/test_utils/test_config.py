"""Work dirs of configs, and two trainings whose files have one name; references."""

from pathlib import Path

import pytest

from mofm.annotations import dump_annotations
from mofm.datasets import SyntheticMotion
from mofm.utils.config import default_work_dir, load_config
from tests.test_tools.tool_runner import ROOT, python

CONFIGS = [path for folder in ('configs', 'projects') for path in (ROOT / folder).rglob('*.py')
           if 'configs' in path.parts and '_base_' not in path.parts]


@pytest.mark.parametrize(('config', 'folder'), [
    ('configs/dt1_penn_tiny.py', 'dt1_penn_tiny'), ('configs/mofm/pretrain.py', 'mofm/pretrain'),
    (ROOT / 'configs/mofm/pretrain.py', 'mofm/pretrain'),
    ('projects/tmor/configs/action_penn.py', 'tmor/action_penn'),
    ('elsewhere/a.py', 'a'), ('/a.py', 'a'), ('/configs/a.py', 'a'),
    ('/home/configs/mofm/configs/mofm/dved.py', 'mofm/dved'),
    ('/plugin/configs/mine/a.py', 'mine/a')])
def test_default_work_dir_is_path_below_configs(config, folder, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert default_work_dir(config) == f'work_dirs/{folder}'


def test_default_work_dirs_of_all_configs_differ():
    assert len({default_work_dir(path) for path in CONFIGS}) == len(CONFIGS) > 100


@pytest.mark.slow
def test_configs_of_one_name_in_two_projects_write_to_two_folders(tmp_path):
    clips = list(SyntheticMotion(12, num_frames=(20, 24)))
    dump_annotations(dict(split=dict(train=[clip['frame_dir'] for clip in clips], test=[]),
                          annotations=clips), tmp_path / 'clips.pkl')
    written = {}
    for project in ('motionbert', 'tmor'):
        python('train.py', ROOT / f'projects/{project}/configs/action_penn_tiny.py',
               '--cfg-options', 'model.backbone.init_cfg=None', 'train_dataloader.num_workers=0',
               'train_dataloader.dataset.ann_file=clips.pkl', 'train_dataloader.batch_size=4',
               'train_dataloader.dataset.indices=8', 'train_cfg.max_epochs=1',
               'val_dataloader=None', 'val_cfg=None', 'val_evaluator=None', cwd=tmp_path)
        folder = tmp_path / 'work_dirs' / project / 'action_penn_tiny'
        written[folder] = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
        assert folder / 'epoch_1.pth' in written[folder]
        assert Path((folder / 'last_checkpoint').read_text()).name == 'epoch_1.pth'
    for folder, files in written.items():
        assert {path: path.stat().st_mtime_ns for path in folder.rglob('*')} == files
    assert sorted(path.name for path in (tmp_path / 'work_dirs').iterdir()) \
        == ['motionbert', 'tmor']


def config(tmp_path, text):
    path = tmp_path / 'config.py'
    path.write_text(text)
    return path


def test_references_follow_overrides(tmp_path):
    path = config(tmp_path, '''
grid = dict(canvas=36)
model = dict(canvas='${grid.canvas}', parts=[dict(canvas='${model.canvas}')], text='${x} y')
pair = ('${model.parts.0}', 1)
''')
    cfg = load_config(path, {'grid.canvas': 48})
    assert cfg.model.canvas == cfg.model.parts[0].canvas == cfg.pair[0].canvas == 48
    assert cfg.model.text == '${x} y'
    assert load_config(path).model.canvas == 36
    assert load_config(path, {'model.canvas': 9}).model.parts[0].canvas == 9


@pytest.mark.parametrize(('text', 'options', 'words'), [
    ("a = '${b.c}'\nb = dict(d=1)", {}, r'config.py: \$\{b.c\}: found no such setting'),
    ("a = '${b.0}'\nb = []", {}, 'found no such setting'),
    ("a = '${b}'\nb = '${a}'", {}, 'found a circle, b -> a -> b'),
    ('grid = dict(canvas=1)', {'grid.canvas': 2}, 'grid.canvas: no setting refers to it')])
def test_bad_references_are_reported(text, options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        load_config(config(tmp_path, text), options)
