"""Work dirs of configs, and two trainings whose files have one name; references."""

import sys
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


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A folder outside of the repository with plug-ins, one in a folder ``projects``."""
    monkeypatch.setattr(sys, 'path', [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'projects/own_project').mkdir(parents=True)
    (tmp_path / 'projects/own_project/plugin.py').write_text('NAME = __name__\n')
    (tmp_path / 'own_broken.py').write_text('import no_such_package\n')
    (tmp_path / 'string.py').write_text('raise ImportError("shadows the library")\n')
    yield tmp_path
    for name in ('projects.own_project.plugin', 'projects.own_project', 'own_broken'):
        sys.modules.pop(name, None)


@pytest.mark.parametrize('name', ['projects.own_project.plugin', 'string'])
def test_custom_imports_find_plugins_of_the_current_folder_after_the_installed(own_folder, name):
    load_config(config(own_folder, f'custom_imports = dict(imports=[{name!r}])\n'))
    assert name in sys.modules


@pytest.mark.parametrize(('name', 'reason'), [
    ('own_missing', "No module named 'own_missing'"),
    ('own_broken', "No module named 'no_such_package'")])
def test_failed_custom_import_is_explained(own_folder, name, reason):
    path = config(own_folder, f'custom_imports = dict(imports=["mofm.engine", {name!r}])\n')
    with pytest.raises(ValueError, match=f'config.py: custom_imports: found .*{reason}; expected'):
        load_config(path)


def test_references_follow_overrides(tmp_path):
    path = config(tmp_path, '''
grid = dict(canvas=36)
model = dict(canvas='${grid.canvas}', parts=[dict(canvas='${model.canvas}')], text='${x} y')
val_cfg = ('${model.parts.0}', 1)
''')
    cfg = load_config(path, {'grid.canvas': 48})
    assert cfg.model.canvas == cfg.model.parts[0].canvas == cfg.val_cfg[0].canvas == 48
    assert cfg.model.text == '${x} y'
    assert load_config(path).model.canvas == 36
    assert load_config(path, {'model.canvas': 9}).model.parts[0].canvas == 9


@pytest.mark.parametrize(('text', 'options', 'words'), [
    ("a = '${b.c}'\nb = dict(d=1)", {}, r'config.py: \$\{b.c\}: found no such setting'),
    ("a = '${b.0}'\nb = []", {}, 'found no such setting'),
    ("a = '${b}'\nb = '${a}'", {}, 'found a circle, b -> a -> b'),
    ('grid = dict(canvas=1)\nmodel = grid', {'grid.canvas': 2}, 'grid.canvas: nothing reads')])
def test_bad_references_are_reported(text, options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        load_config(config(tmp_path, text), options)


def tiny(tmp_path, text=''):
    return config(tmp_path, f"_base_ = {str(ROOT / 'configs/dt1_penn_tiny.py')!r}\n{text}")


@pytest.mark.parametrize(('options', 'words'), [
    ({'train_dataloder.batch_size': 4}, 'train_dataloder: nothing .*mean train_dataloader'),
    ({'optim_wraper.optimizer.lr': 1}, 'optim_wraper: nothing .*mean optim_wrapper'),
    ({'seed': 1}, 'seed: nothing reads this setting'),
    ({'schedule.warmpu': 1}, 'schedule.warmpu: nothing .*mean schedule.warmup'),
    ({'grid.canvsa': 48}, 'grid.canvsa: nothing .*mean grid.canvas'),
    ({'data.num_clips': 8}, 'data.num_clips: nothing reads'),  # copied when the file is read
    ({'env_cfg.cudnn_bencmark': True}, 'env_cfg.cudnn_bencmark: .*mean cudnn_benchmark'),
    ({'auto_scale_lr.enabled': True}, 'auto_scale_lr.enabled: .*mean enable'),
    ({'default_hooks.chekpoint.interval': 2}, 'chekpoint: found no type.*mean checkpoint'),
    ({'default_hooks.checkpoint.intervall': 2}, 'checkpoint.intervall: .*mean interval'),
    ({'custom_hooks.7.interval': 2}, 'cannot set custom_hooks.7.interval'),
    ({'log_level.x.y': 2}, 'cannot set log_level.x.y')])
def test_option_that_nothing_reads_is_refused(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        load_config(tiny(tmp_path, 'data = dict(num_clips=4)\ndump = data\nval_cfg = dump'),
                    options)


@pytest.mark.parametrize(('text', 'words'), [
    ('train_dataloder = dict(batch_size=4)', 'train_dataloder: nothing .*mean train_dataloader'),
    ('num_clips = 4', 'num_clips: nothing reads this setting'),
    ("data = dict(ann_file='x.pkl')", 'data: nothing reads'),  # the base has used its own
    ('randomnes, load_from = dict(seed=1), None', 'randomnes: .*mean randomness')])
def test_config_with_setting_that_nothing_reads_is_refused(text, words, tmp_path):
    with pytest.raises(ValueError, match=f'config.py: {words}'):
        load_config(tiny(tmp_path, text))
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'config.py'\n")
    if 'mean' in words:  # a base may have variables for other files
        with pytest.raises(ValueError, match=f'child.py: {words}'):
            load_config(child)
    else:
        load_config(child)


def test_config_may_have_variables_of_its_own(tmp_path):
    tiny(tmp_path, "clips = 4\nframes = 8\nval_cfg = dict(a=clips)\nx = dict(y=1)\n"
         "test_cfg = dict(b='${x.y}')")
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'config' + '.py'\nval_cfg = dict(c=_base_.frames)\n"
                     "for z in (1, 2):\n    w = z\ntest_cfg = dict(d=w)\n")
    cfg = load_config(child, {'x': dict(y=3), 'val_cfg.e': 5, 'compile': True})
    assert cfg.val_cfg == dict(a=4, c=8, e=5)
    assert cfg.test_cfg == dict(b=3, d=2)
    with pytest.raises(ValueError, match='clips: nothing reads'):
        load_config(child, {'clips': 5})


def test_option_that_replaces_what_refers_to_a_setting_leaves_the_setting_unread():
    """The file may set it, the command line not."""
    config, none = ROOT / 'configs/dt1_penn_tiny.py', {'param_scheduler': None}
    assert load_config(config, none).param_scheduler is None
    with pytest.raises(ValueError, match='paramwise_cfg.layer_decay: nothing reads'):
        load_config(config, {'optim_wrapper.constructor': 'DefaultOptimWrapperConstructor'})
    with pytest.raises(ValueError, match='schedule.warmup: nothing reads'):
        load_config(config, {**none, 'schedule.warmup': 3})


def test_config_that_a_training_has_written_loads(tmp_path):
    """With all its variables, which nothing refers to."""
    cfg = load_config(ROOT / 'configs/dt1_penn_tiny.py')
    cfg.dump(tmp_path / 'dumped.py')
    assert load_config(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()
    with pytest.raises(ValueError, match='grid.canvas: nothing reads'):
        load_config(tmp_path / 'dumped.py', {'grid.canvas': 48})
