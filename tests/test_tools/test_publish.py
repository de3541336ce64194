"""Publishing: folder, model card, averaged weights, equal metrics."""

import json
import re
import runpy
import sys
from collections import OrderedDict
from functools import partial

import pytest
import torch
from huggingface_hub import ModelCard
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from safetensors.torch import load_file

from mofm.apis.model import init_model
from mofm.hub.checkpoint import load_local
from mofm.models import ActionClsHead
from mofm.registry import MODELS
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT, metrics

ACTIONS = ['walk', 'wave', 'squat']


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a tool in this process; returns its output."""

    def run(tool, *arguments):
        monkeypatch.syspath_prepend(ROOT / 'tools')
        monkeypatch.setenv('LOCAL_RANK', '0')
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        for kind in (MMLogger, MessageHub, Visualizer):  # runners of one second share a name
            monkeypatch.setattr(kind, '_instance_dict', OrderedDict())
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        return capfd.readouterr().out

    return run


@pytest.fixture
def publish(run):
    """Run publish.py."""
    return partial(run, 'publish.py')


@pytest.fixture
def checkpoint(config, tmp_path):
    """Checkpoint of a training, with everything that publishing drops."""
    cfg = load_config(config)
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[
        dict(type='MotionDataset', ann_file='/home/someone/secret/data/penn.pkl', split='train'),
        dict(type='SyntheticMotion')])
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='work_dirs/pre/epoch_9.pth')
    torch.manual_seed(0)
    state = MODELS.build(load_config(config).model).state_dict()
    path = tmp_path / 'epoch_2.pth'
    torch.save(dict(
        meta=dict(dataset_meta=dict(classes=ACTIONS), cfg=cfg.pretty_text, epoch=2, iter=16,
                  seed=3, time='20261121_041500', experiment_name='dt1'),
        state_dict=state, message_hub={}, param_schedulers=[],
        optimizer=dict(state={i: dict(exp_avg=v.clone()) for i, v in enumerate(state.values())},
                       param_groups=[dict(params=list(range(len(state))))])), path)
    return path


def weights_of(folder):
    path, = folder.glob('*.safetensors')
    return path


def test_publish_writes_weights_labels_and_card(config, checkpoint, publish, tmp_path):
    out = tmp_path / 'out'
    printed = publish(config, checkpoint, '--out', out)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ['README.md', 'config.json', 'labels.txt', weights_of(out).name])
    state, expected = load_file(weights_of(out)), load_local(checkpoint)['state_dict']
    assert state.keys() == expected.keys()
    assert all(torch.equal(v, state[k]) for k, v in expected.items())
    assert (out / 'labels.txt').read_text().splitlines() == ACTIONS
    before, after = map(float, re.findall(r'([\d.]+) MiB', printed))
    assert (before, after) == tuple(round(p.stat().st_size / 2**20, 1)
                                    for p in (checkpoint, weights_of(out)))
    assert 'without optimizer, param_schedulers, message_hub' in printed
    again = publish(config, checkpoint, '--out', out)  # the same weights have the same name
    assert again == printed


def test_model_card_says_what_is_known(config, checkpoint, publish, tmp_path):
    results = tmp_path / 'work/20261121_050000'
    (results / 'vis_data').mkdir(parents=True)
    table = {'acc/top1': 0.96723, 'acc/top5': 1.0, 'time': 0.1, 'data_time': 0.2}
    (results / '20261121_050000.json').write_text(json.dumps(table))
    cfg = load_config(config)
    cfg.load_from = '/home/someone/secret/run/epoch_2.pth'
    cfg.test_dataloader.dataset = dict(type='MotionDataset', ann_file='data/a.pkl', split='test')
    cfg.dump(results / 'vis_data/config.py')
    out = tmp_path / 'out'
    publish(config, checkpoint, '--out', out, '--license', 'apache-2.0', '--name', 'Tiny',
            '--metrics', results / '20261121_050000.json')
    card = ModelCard((out / 'README.md').read_text())
    assert card.data.license == 'apache-2.0'
    assert card.data.library_name == 'mofm'
    origin = '`data/a.pkl`, split test | `20261121_050000.json`, test of `run/epoch_2.pth`'
    number = sum(v.numel() for v in load_local(checkpoint)['state_dict'].values())
    for line in ('# Tiny', 'Action classification, 3 classes (DT1). A model of ',
                 f'| acc/top1 | 0.9672 | {origin} |', f'| acc/top5 | 1.0000 | {origin} |',
                 f'| parameters | {number:,} |', '| license | apache-2.0 |',
                 '| trained on | `data/penn.pkl`, split train; `SyntheticMotion` |',
                 '| started from | `work_dirs/pre/epoch_9.pth` |',
                 '| training | epoch 2, iteration 16, seed 3, saved 2026-11-21 |',
                 f'python tools/test.py {config.parent.name}/{config.name} FOLDER/'
                 + weights_of(out).name,
                 "inferencer = MotionInferencer('FOLDER')"):
        assert line in card.text, line
    assert 'secret' not in card.text
    assert '| time' not in card.text
    assert 'Not stated' not in card.text


def test_model_card_says_what_is_missing(config, checkpoint, publish, tmp_path):
    content = load_local(checkpoint)
    torch.save(content['state_dict'], checkpoint)
    out = tmp_path / 'out'
    publish(config, checkpoint, '--out', out)
    text = (out / 'README.md').read_text()
    _, _, missing = text.partition('## Not stated\n\n')
    assert [line.split(':')[0] for line in missing.splitlines()] == [
        '- License', '- Metrics', '- Training data', '- Length and seed of the training',
        '- Class names']
    assert not any(f'| {fact} |' in text for fact in (
        'license', 'trained on', 'started from', 'training', 'classes'))
    assert not (out / 'labels.txt').exists()


def test_publish_names_what_cannot_be_published(config, checkpoint, publish, tmp_path):
    out = tmp_path / 'out'
    for file, content, words in (('none.json', None, 'cannot be read'),
                                 ('lines.json', '{"a": 1}\n{"a": 2}', 'cannot be read'),
                                 ('times.json', '{"time": 1}', 'found no metric'),
                                 ('list.json', '[1]', 'found no metric')):
        if content:
            (tmp_path / file).write_text(content)
        with pytest.raises(SystemExit, match=f'{file}: {words}'):
            publish(config, checkpoint, '--out', out, '--metrics', tmp_path / file)
    with pytest.raises(SystemExit, match='none.py: no such config'):
        publish('none.py', checkpoint, '--out', out)
    with pytest.raises(SystemExit, match='does not fit MotionRecognizer'):
        publish(config, checkpoint, '--out', out, '--cfg-options', 'model.cls_head.num_classes=4')
    with pytest.raises(SystemExit, match=r"cls_head.type: found 'torch.nn.Linear', expected a "
                       'model registered in MoFM'):
        publish(config, checkpoint, '--out', out, '--cfg-options',
                'model.cls_head.type=torch.nn.Linear')
    assert not out.exists()
    publish(config, checkpoint, '--out', out)
    torch.save(MODELS.build(load_config(config).model).state_dict(), checkpoint)
    with pytest.raises(SystemExit, match=r'--out: found .*model-.* expected a new folder'):
        publish(config, checkpoint, '--out', out)


def test_publish_of_a_damaged_checkpoint_writes_nothing(config, checkpoint, publish, tmp_path):
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(SystemExit, match='epoch_2.pth'):
        publish(config, checkpoint, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_publish_of_class_names_that_cannot_be_read_writes_nothing(config, checkpoint, publish,
                                                                   tmp_path):
    content = torch.load(checkpoint)
    content['meta']['dataset_meta']['classes'] = ['walk', 'wa\nve', 'squat']
    torch.save(content, checkpoint)
    with pytest.raises(SystemExit, match='epoch_2.pth: line 2: found .* unprintable line'):
        publish(config, checkpoint, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_publish_does_not_run_config_text(config, checkpoint, publish, tmp_path):
    """The config text in a checkpoint is untrusted."""
    content = load_local(checkpoint)
    marker = tmp_path / 'marker'
    content['meta']['cfg'] = f'x = open({str(marker)!r}, "w")'
    torch.save(content, checkpoint)
    publish(config, checkpoint, '--out', tmp_path / 'out')
    assert not marker.exists()
    assert 'Training data: not in the checkpoint' in (tmp_path / 'out/README.md').read_text()


def test_publish_takes_head_of_a_project(config, publish, tmp_path):
    """Publishing and loading know it as long as its module is imported."""

    class ProjectHead(ActionClsHead):
        pass

    MODELS.register_module(module=ProjectHead)
    try:
        path = tmp_path / 'dt1.py'
        path.write_text(config.read_text() + "model['cls_head'].update(type='ProjectHead')\n")
        model = MODELS.build(load_config(path).model)
        torch.save(model.state_dict(), tmp_path / 'c.pth')
        publish(path, tmp_path / 'c.pth', '--out', tmp_path / 'out')
        assert type(init_model(tmp_path / 'out').cls_head) is ProjectHead
    finally:
        MODELS.module_dict.pop('ProjectHead')
    with pytest.raises(ValueError, match="found 'ProjectHead', expected a model registered "
                       'in MoFM; README.md of the model says which package has the class'):
        init_model(tmp_path / 'out')


HEAD = """
from mofm.models.heads import ActionClsHead
from mofm.registry import MODELS

@MODELS.register_module()
class PackageHead(ActionClsHead):
    pass
"""


def test_head_of_a_package_is_published_and_imported_by_its_entry_point(
        publish, config, tmp_path, monkeypatch):
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS.module_dict))
    site = tmp_path / 'site'
    info = site / 'head_package-1.2.dist-info'
    info.mkdir(parents=True)
    (site / 'head_module.py').write_text(HEAD)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: head-package\nVersion: 1.2\n')
    (info / 'top_level.txt').write_text('head_module\n')
    (info / 'entry_points.txt').write_text('[mofm.models]\nPackageHead = head_module\n')
    monkeypatch.syspath_prepend(site)
    path = tmp_path / 'dt1.py'
    path.write_text(config.read_text() + "model['cls_head'].update(type='PackageHead')\n"
                    "custom_imports = dict(imports=['head_module'])\n")
    torch.save(MODELS.build(load_config(path).model).state_dict(), tmp_path / 'c.pth')
    publish(path, tmp_path / 'c.pth', '--out', tmp_path / 'out')
    card = (tmp_path / 'out/README.md').read_text()
    assert 'import head_module  # its classes, of the package head-package 1.2\n' in card
    assert str(tmp_path) not in card
    MODELS.module_dict.pop('PackageHead')
    del sys.modules['head_module']
    assert type(init_model(tmp_path / 'out').cls_head).__name__ == 'PackageHead'
    MODELS.module_dict.pop('PackageHead')
    del sys.modules['head_module']
    (site / 'head_module.py').write_text('1 / 0')
    with pytest.raises(ImportError, match='head-package: PackageHead = head_module: cannot be '
                       'imported: ZeroDivisionError'):
        init_model(tmp_path / 'out')


class Average(Hook):
    """The average of the weights by its formula, a' = 0.7 a + 0.3 w, from the first step on."""

    priority = 'LOWEST'

    def __init__(self):
        self.average = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        now = {k: v.detach().clone() for k, v in runner.model.named_parameters()}
        self.average = now if self.average is None else {
            k: 0.7 * a + 0.3 * now[k] for k, a in self.average.items()}


def test_publish_writes_averaged_weights(config, publish, tmp_path):
    cfg = load_config(config)
    cfg.merge_from_dict(dict(
        work_dir=str(tmp_path / 'work'), experiment_name='averaged_weights',
        train_cfg=dict(max_epochs=1), custom_hooks=[dict(type='EMAHook', momentum=0.3)],
        **{f'{name}_dataloader.persistent_workers': False for name in ('train', 'val', 'test')}))
    runner = Runner.from_cfg(cfg)
    hook = Average()
    runner.register_hook(hook)
    runner.train()
    publish(config, tmp_path / 'work/epoch_1.pth', '--out', tmp_path / 'out')
    state = load_file(weights_of(tmp_path / 'out'))
    for name, value in hook.average.items():
        assert torch.allclose(state[name], value, atol=1e-6), name
    assert not torch.allclose(state['cls_head.fc.weight'], runner.model.cls_head.fc.weight)
    assert 'averaged over the training (EMA)' in (tmp_path / 'out/README.md').read_text()


def test_published_model_has_same_metrics(config, run, tmp_path):
    """Of the checkpoint and of what is published, by tools/test.py; and on the card."""
    run('train.py', config, '--work-dir', tmp_path / 'train', '--cfg-options',
        'train_cfg.max_epochs=1')
    checkpoint = tmp_path / 'train/epoch_1.pth'
    run('test.py', config, checkpoint, '--no-report', '--work-dir', tmp_path / 'a')
    results, = (tmp_path / 'a').glob('*/*.json')
    run('publish.py', config, checkpoint, '--out', tmp_path / 'out', '--metrics', results)
    run('test.py', config, weights_of(tmp_path / 'out'), '--no-report', '--work-dir',
        tmp_path / 'b')
    assert metrics(tmp_path / 'a') == metrics(tmp_path / 'b')
    top1 = metrics(tmp_path / 'a')['acc/top1']
    card = (tmp_path / 'out/README.md').read_text()
    assert f'| acc/top1 | {top1:.4f} | `SyntheticMotion` | `{results.name}`, test of ' in card
