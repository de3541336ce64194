"""Configs by name."""

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
