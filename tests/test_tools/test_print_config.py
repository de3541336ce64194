"""Round trip and overrides of print_config.py."""

import runpy
import sys

import pytest

from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT

CONFIGS = sorted(str(p.relative_to(ROOT)) for folder in ('configs', 'projects')
                 for p in (ROOT / folder).rglob('*.py')
                 if 'configs' in p.parts and '_base_' not in p.parts)


def printed(monkeypatch, capsys, path, *arguments):
    """Text of the tool, in this process."""
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', ['print_config.py', str(path), *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools/print_config.py'), run_name='__main__')
    return capsys.readouterr().out


@pytest.mark.parametrize('path', CONFIGS)
def test_printed_config_round_trips(path, monkeypatch, capsys, tmp_path):
    copy = tmp_path / 'copy.py'
    copy.write_text(printed(monkeypatch, capsys, ROOT / path))
    assert '_base_' not in copy.read_text()
    again, source = load_config(copy).to_dict(), load_config(ROOT / path).to_dict()
    assert again == dict(again, **source)


def test_printed_config_has_overrides(monkeypatch, capsys, config, tmp_path):
    copy = tmp_path / 'copy.py'
    copy.write_text(printed(
        monkeypatch, capsys, config, '--work-dir', tmp_path, '--cfg-options',
        'model.backbone.embed_dims=64', 'train_cfg.max_epochs=7',
        'visualizer.vis_backends.0.type=TensorboardVisBackend'))
    assert printed(monkeypatch, capsys, copy) == copy.read_text()
    cfg = load_config(copy)
    assert cfg.model.backbone.embed_dims == 64
    assert cfg.train_cfg.max_epochs == 7
    assert cfg.visualizer.vis_backends == [dict(type='TensorboardVisBackend')]
    with pytest.raises(SystemExit, match='none.py: no such config; .*/configs contains'):
        printed(monkeypatch, capsys, 'none.py')
