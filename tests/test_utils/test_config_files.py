"""Configs by name."""

from pathlib import Path

import pytest

from mofm.utils.config import load_config
from mofm.utils.config_files import ROOT, config_name, find_config, packaged_configs


def test_every_config_is_found_by_its_name_and_path_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert 'mofm/pretrain' in packaged_configs()
    for name, path in packaged_configs().items():
        assert find_config(name) == find_config(f'{name}.py') == path
        assert find_config(path.relative_to(ROOT)) == path
        assert config_name(path) == name


def test_unique_last_part_of_a_name_is_enough():
    assert find_config('pretrain') == ROOT / 'configs/mofm/pretrain.py'


def test_file_of_the_user_comes_before_the_config_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'dt1_ntu60.py').write_text('train_cfg = dict(max_epochs=7)')
    assert load_config('dt1_ntu60.py').train_cfg.max_epochs == 7
    assert load_config('dt1_ntu60').filename == str(ROOT / 'configs/dt1_ntu60.py')


@pytest.mark.parametrize(('name', 'words'), [
    ('mofm/pretrian', 'did you mean mofm/pretrain'), ('dt1_ntu6', 'did you mean dt1_ntu60 '),
    ('configs/dt1_ntu6.py', 'did you mean dt1_ntu60 '), ('zzz', '/configs contains all of them'),
    ('setup.py', 'no such config'), ('configs/_base_/grids/base.py', 'no such config'),
    ('action_penn_tiny', r'did you mean motionbert/action_penn_tiny or tmor/action_penn_tiny\?')])
def test_unknown_and_ambiguous_names_list_near_ones(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=words):
        find_config(name)


@pytest.mark.parametrize('base', ['dt1_penn_v2_tiny.py', 'dt1_penn_v2_tiny',
                                  'configs/dt1_penn_v2_tiny.py'])
def test_config_inherits_from_one_of_the_package_outside_of_it(tmp_path, monkeypatch, base):
    monkeypatch.chdir(tmp_path)  # with the name of its base
    Path('dt1_penn_v2_tiny.py').write_text(f"_base_ = 'mofm::{base}'\n"
                                           'train_dataloader = dict(batch_size=7)\n')
    mine, theirs = load_config('dt1_penn_v2_tiny.py'), load_config('dt1_penn_v2_tiny')
    assert mine.train_dataloader.batch_size == 7 != theirs.train_dataloader.batch_size
    mine.train_dataloader.batch_size = theirs.train_dataloader.batch_size
    assert mine.to_dict() == theirs.to_dict()


def test_config_inherits_from_projects_and_bases_of_the_package(tmp_path):
    (tmp_path / 'a.py').write_text("_base_ = 'mofm::motionbert/action_penn_tiny'\n")
    (tmp_path / 'b.py').write_text("_base_ = ['mofm::_base_/default_runtime.py']\n")
    assert load_config(tmp_path / 'a.py').model == load_config('motionbert/action_penn_tiny').model
    assert load_config(tmp_path / 'b.py').default_hooks.checkpoint


def test_unknown_base_of_the_package_and_setting_of_nothing_are_named(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text("_base_ = 'mofm::dt1_pen_v2_tiny'\n")
    with pytest.raises(FileNotFoundError, match='did you mean .*dt1_penn_v2_tiny'):
        load_config(path)
    path.write_text("_base_ = 'mofm::dt1_penn_v2_tiny'\ntrain_dataloder = dict()\n")
    with pytest.raises(ValueError, match='train_dataloder: nothing reads this setting'):
        load_config(path)
