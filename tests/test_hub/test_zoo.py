"""Models of the zoo: published by name, listed, loaded, and preferred to folders aloud."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mofm.apis import MotionInferencer, from_pretrained, list_models
from mofm.cli import demo, models, publish
from mofm.cli.publish import parse_args
from mofm.hub import zoo
from mofm.hub.checkpoint import find_checkpoint, load_local, load_state
from mofm.hub.published import find_published, read_weights
from mofm.hub.zoo import read_index
from mofm.utils.config import load_config
from mofm.utils.config_errors import explain_config_error
from tests.test_tools.tool_runner import run

NAME = 'mofm-test-penn'


@pytest.fixture(scope='module')
def folder(tiny, tmp_path_factory):
    """A zoo with one model of random weights, published as a user would."""
    folder = tmp_path_factory.mktemp('zoo')
    (folder / 'index.json').write_text('{}')
    cfg, checkpoint = tiny('action')
    cfg.dump(folder / 'mine.py')
    (folder / 'result.json').write_text(json.dumps({'acc/top1': 0.5, 'acc/top5': 1.}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, 'FOLDER', folder)
        publish.main([str(folder / 'mine.py'), checkpoint, '--zoo', NAME, '--data', 'Penn Action',
                      '--data-license', 'research only', '--license', 'cc-by-nc-4.0',
                      '--metrics', str(folder / 'result.json')])
    return folder


@pytest.fixture
def a_zoo(folder, monkeypatch, tmp_path):
    """The zoo of the tests, in an empty current folder."""
    monkeypatch.setattr(zoo, 'FOLDER', folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_index_describes_the_published_file(a_zoo):
    model = read_index()[NAME]
    path = find_checkpoint(NAME)
    assert path.parent == a_zoo / NAME == find_published(NAME)
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f'model-{model.sha256[:8]}.safetensors'
    assert model.size == path.stat().st_size
    assert (model.task, model.data, model.data_license) == (
        'action', 'Penn Action', 'research only')
    assert model.metrics == {'acc/top1': .5, 'acc/top5': 1}
    assert model.command == f'mofm test {model.config} {NAME}' == f'mofm test mine {NAME}'
    assert '| license of the data | research only |' in (a_zoo / NAME / 'README.md').read_text()


def test_every_model_of_the_package_is_in_the_index_with_its_hash():
    folders = {path.parent.name for path in zoo.FOLDER.glob('*/config.json')}
    assert folders == set(read_index())
    for name, model in read_index().items():
        path = find_checkpoint(name)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256
        assert path.stat().st_size == model.size
        assert model.data_license
        assert load_config(model.config)


def test_list_models_filters_by_pattern_and_task(a_zoo):
    assert list_models() == list_models('*penn') == list_models(task='action') == [NAME]
    assert list_models('penn') == list_models('*', task='anomaly') == []


def test_models_prints_the_table(a_zoo, capsys):
    models.main(['mofm*'])
    header, row, _, _, command = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ['name', 'task', 'data']
    for word in (NAME, 'action', 'Penn Action', 'research only', 'acc/top1 0.5000',
                 read_index()[NAME].sha256[:8]):
        assert word in row
    assert command.strip() == f'{NAME}: mofm test mine {NAME}'
    with pytest.raises(SystemExit, match=f"no model matches 'x'; the zoo has {NAME}"):
        models.main(['x'])


def test_models_loads_neither_torch_nor_mmengine():
    code = ("import sys; sys.argv[1:] = ['models']; from mofm.cli import main\n"
            "try: main()\nexcept SystemExit: pass\nprint('MODULES', *sys.modules)")
    loaded = run(sys.executable, '-c', code).stdout.partition('MODULES')[2].split()
    assert 'mofm.hub.zoo' in loaded
    assert not {'torch', 'mmengine', 'numpy'} & set(loaded)


def test_float16_of_the_file_is_float32_of_the_model_with_its_predictions(a_zoo, tiny, motion):
    assert {tensor.dtype for tensor in read_weights(find_checkpoint(NAME)).values()
            if tensor.is_floating_point()} == {torch.float16}
    model = from_pretrained(NAME, device='cpu')
    backbone = from_pretrained(NAME, 'backbone', device='cpu')
    for part in (model, backbone):
        assert {parameter.dtype for parameter in part.parameters()} == {torch.float32}
    ours, theirs = (i(motion, progress=False) for i in (
        MotionInferencer(NAME, device='cpu'), MotionInferencer(*tiny('action'), device='cpu')))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, atol=2e-3)


def test_tensors_that_float16_cannot_hold_stay_float32(tiny, tmp_path, capsys):
    cfg, checkpoint = tiny('action')
    content = load_local(checkpoint)
    content['state_dict']['cls_head.fc.weight'] *= 1e8  # inf in float16
    content['state_dict']['cls_head.fc.bias'].fill_(1e-7)  # of 1 bit in float16
    torch.save(content, tmp_path / 'large.pth')
    cfg.dump(tmp_path / 'config.py')
    publish.main([str(tmp_path / 'config.py'), str(tmp_path / 'large.pth'), '--out',
                  str(tmp_path / 'out'), '--half'])
    assert capsys.readouterr().out.endswith(
        '; float32 as before: cls_head.fc.weight, cls_head.fc.bias\n')
    state = load_state(tmp_path / 'out')
    for name, tensor in content['state_dict'].items():
        if name.startswith('cls_head.fc.'):
            assert torch.equal(state[name], tensor)
        elif tensor.is_floating_point():
            assert state[name].dtype == torch.float16


def test_folder_of_the_name_of_a_model_is_reported_and_reached_by_its_path(a_zoo, published):
    local = Path(NAME)
    local.symlink_to(published('action'))
    with pytest.warns(UserWarning, match=f'{NAME}: found a model of the zoo and a path'):
        assert find_published(NAME) == a_zoo / NAME
    assert find_published(f'./{NAME}') == find_published(local) == local
    weights = from_pretrained(f'./{NAME}', device='cpu').state_dict()
    assert torch.equal(weights['cls_head.fc.weight'],
                       load_state(published('action'))['cls_head.fc.weight'])


@pytest.mark.parametrize('load', [MotionInferencer, from_pretrained, find_checkpoint])
def test_unknown_name_lists_near_models(a_zoo, load):
    with pytest.raises(FileNotFoundError, match=f'near models of the zoo: {NAME}'):
        load('mofm-test-pen')


def test_missing_checkpoint_names_command_model_and_training_from_scratch(a_zoo, monkeypatch):
    entry = read_index()[NAME]
    monkeypatch.setattr(zoo, 'read_index', lambda: {NAME: entry.__class__(**{
        **entry.__dict__, 'config': 'mofm/pretrain_tiny'})})
    monkeypatch.setattr('mofm.hub.checkpoint.read_index', zoo.read_index)
    cfg = load_config('dt1_penn_tiny')
    path = cfg.model.backbone.init_cfg.checkpoint
    with pytest.raises(FileNotFoundError) as caught:
        find_checkpoint(path)
    assert explain_config_error(caught.value, cfg.to_dict()) == (
        f"model.backbone.init_cfg.checkpoint: {path}: no such checkpoint; 'mofm train "
        f"mofm/pretrain_tiny' makes it, or use {NAME} of the zoo instead; for training from "
        'scratch: --cfg-options model.backbone.init_cfg=None')


def test_demo_answers_with_a_model_of_the_zoo(a_zoo, motion, tmp_path, monkeypatch, capsys):
    keypoints = np.concatenate([motion[0]['keypoint'], motion[0]['keypoint_score'][..., None]], -1)
    np.save('walk.npy', keypoints)
    demo.main(['walk.npy', '--model', NAME, '--pictures', '0', '--device', 'cpu'])
    assert sorted(path.name for path in (tmp_path / 'demo').iterdir()) == [
        'index.html', 'table.csv']
    model, data, limits, answer = capsys.readouterr().out.splitlines()[:4]
    entry = read_index()[NAME]
    assert model.startswith(f'model: {NAME}, Action classification')
    assert data.startswith(f'trained on: {entry.data} (license of the data: {entry.data_license})')
    assert limits.startswith('cannot know: any other motion')
    assert answer.startswith('walk: ')


@pytest.mark.parametrize('words', ['--zoo a', '--zoo a --data b', '', '--out a --zoo b'])
def test_publish_asks_for_what_a_list_of_models_needs(words):
    with pytest.raises(SystemExit, match='2'):
        parse_args(['config.py', 'a.pth', *words.split()])
