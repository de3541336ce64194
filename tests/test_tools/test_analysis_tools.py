"""Analysis tools: pictures and error messages."""
import csv
import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

from mofm.apis.model import init_model
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT, environment

TOOLS = ROOT / 'tools/analysis'
TOKENIZER = f"""
_base_ = {str(ROOT / 'configs/mofm/dved_paper_tiny.py')!r}
model = dict(vocab_size=8, code_dim=8, hidden=8, num_blocks=1)
val_dataloader = dict(dataset=dict(
    _delete_=True, type='SyntheticMotion', num_clips=9, num_frames=(16, 20),
    pipeline=_base_.val_pipeline))
"""


@pytest.fixture(scope='module')
def models(config, tmp_path_factory):
    """Config and random weights of a tokenizer and a recognizer."""
    folder, out = tmp_path_factory.mktemp('models'), {}
    (folder / 'tokenizer.py').write_text(TOKENIZER)
    for name, path in dict(tokenizer=folder / 'tokenizer.py', recognizer=config).items():
        torch.manual_seed(0)
        checkpoint = folder / f'{name}.pth'
        torch.save(dict(state_dict=init_model(path).state_dict()), checkpoint)
        out[name] = [str(path), str(checkpoint)]
    return out


@pytest.fixture
def tool(monkeypatch, tmp_path, capsys):
    """Run a tool in this process; the pictures that it lists, by name."""
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments), '--out', 'out/deep'])
        with DefaultScope.overwrite_default_scope('mofm'):
            importlib.import_module(name).main()
        listed = [line for line in capsys.readouterr().out.splitlines() if line.endswith('.png')]
        assert sorted(listed) == sorted(str(p.relative_to(tmp_path))
                                        for p in (tmp_path / 'out/deep').iterdir())
        return {line.split('/')[-1][:-4]: np.asarray(Image.open(line).convert('RGB'))
                for line in listed}

    return run


def test_visualize_tokens_writes_pictures(tool, models):
    pictures = tool('visualize_tokens', *models['tokenizer'], '--num', 1, '--seed', 3)
    name, = {name.rsplit('_', 1)[0] for name in pictures}
    assert pictures.keys() == {f'{name}_{kind}'
                               for kind in ('clip', 'joints', 'tokens', 'reconstruction')}
    assert all(picture.std() > 5 for picture in pictures.values())


def test_motionbook_atlas_writes_its_picture(tool, models, capsys):
    small = tool('motionbook_atlas', *models['tokenizer'], '--tokens', 1, '--num', 4)
    assert list(small) == ['motionbook_atlas']
    assert small['motionbook_atlas'].std() > 5
    assert '4/4' not in capsys.readouterr().out  # progress is no result


def test_visualize_attention_writes_a_picture_per_clip(tool, models):
    config, checkpoint = models['recognizer']
    assert load_config(config).val_dataloader.dataset.seed == 1
    pictures = tool('visualize_attention', config, checkpoint, '--clips',
                    'synthetic_walk_s7_000000', '--cfg-options', 'val_dataloader.dataset.seed=7')
    assert list(pictures) == ['synthetic_walk_s7_000000_attention']


def test_embedding_map_writes_its_picture(tool, models):
    plain = tool('embedding_map', *models['recognizer'])['embedding_map']
    small = tool('embedding_map', *models['recognizer'], '--thumbnails', '--num', 7)
    assert (small['embedding_map'] != plain).any()


def test_analysis_tools_clip_names_stay_in_the_folder(tool, models, monkeypatch):
    from mofm.datasets import SyntheticMotion
    get = SyntheticMotion.get_data_info
    monkeypatch.setattr(SyntheticMotion, 'get_data_info',
                        lambda self, i: dict(get(self, i), frame_dir='../../../up'))
    pictures = tool('visualize_attention', *models['recognizer'], '--num', 2)
    assert len(pictures) == 2
    assert all('_up_' in name for name in pictures)


def test_learning_curves_and_confusion_matrix_write_pictures(tool, models, tmp_path):
    log = tmp_path / 'run/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(json.dumps(dict(loss=1 / i, lr=.1, time=1., iter=i, step=i))
                             for i in range(1, 4)))
    assert list(tool('learning_curves', tmp_path / 'run')) == ['learning_curves']
    (tmp_path / 'out/deep/learning_curves.png').unlink()
    with (tmp_path / 'scores.csv').open('w') as file:
        csv.writer(file).writerows([['name', 'label', 'prediction'], ['a', 0, 1], ['b', 2, 2]])
    config, _ = models['recognizer']
    assert list(tool('confusion_matrix', config, 'scores.csv')) == ['confusion_matrix']


@pytest.mark.parametrize(('name', 'model', 'more', 'words'), [
    ('visualize_tokens', 'recognizer', [], 'found a MotionRecognizer, expected a tokenizer'),
    ('motionbook_atlas', 'recognizer', [], 'found a MotionRecognizer, expected a tokenizer'),
    ('visualize_attention', 'tokenizer', [], 'found a DVEDTokenizer without MoFMBackbone'),
    ('embedding_map', 'tokenizer', [], 'found a DVEDTokenizer, expected a model with a backbone'),
    ('embedding_map', 'recognizer', ['--num', 2], 'found 2 clips, expected at least 4'),
    ('visualize_attention', 'recognizer', ['--clips', 'synthetic_walk_s1_00000'],
     "no clip 'synthetic_walk_s1_00000' in 15 .* similar are synthetic_walk_s1_0000"),
    ('visualize_attention', 'recognizer', ['--cfg-options', 'model.backbone.depth=2'],
     'recognizer.pth')])
def test_analysis_tools_name_what_does_not_fit(tool, models, name, model, more, words):
    with pytest.raises(SystemExit, match=words):
        tool(name, *models[model], *more)


def test_analysis_tools_name_missing_files_and_folders(tool, models, tmp_path):
    config, checkpoint = models['recognizer']
    with pytest.raises(SystemExit, match='nothing.py: no such config'):
        tool('embedding_map', 'nothing.py', checkpoint)
    with pytest.raises(SystemExit, match='nothing.pth'):
        tool('embedding_map', config, 'nothing.pth')
    with pytest.raises(SystemExit, match='nothing: found no vis_data/scalars.json'):
        tool('learning_curves', 'nothing')
    with pytest.raises(SystemExit, match='scores.csv: No such file'):
        tool('confusion_matrix', config, 'scores.csv')
    with pytest.raises(SystemExit, match='found no integers in columns label and prediction'):
        tool('confusion_matrix', config, config)
    (tmp_path / 'out/deep').rmdir()
    (tmp_path / 'out/deep').write_text('a file')
    with pytest.raises(SystemExit, match='--out: out/deep: File exists; expected a writable'):
        tool('embedding_map', config, checkpoint)


@pytest.mark.slow
def test_analysis_tools_run_on_their_own(tmp_path):
    done = subprocess.run([sys.executable, str(TOOLS / 'learning_curves.py'), 'nothing'],
                          capture_output=True, text=True, env=environment(), cwd=tmp_path)
    assert done.returncode == 1
    assert 'no vis_data/scalars.json' in done.stderr
