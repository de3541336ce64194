"""A task is one file: no tool knows it by name, and a plug-in brings its own."""

import ast
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import projects.motionbert  # noqa: F401
import projects.tmor  # noqa: F401
from mofm.registry import INFERENCERS

ROOT = Path(__file__).resolve().parents[2]
TASKS = {'action', 'one_shot', 'anomaly', 'tokens', 'reconstruct', 'features', 'lift', 'mesh',
         'localize'}
PLUGIN = '''
"""How still people stand: a head and its task."""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.model import BaseModule

from mofm.apis import BaseInferencer, Result, TaskOptions
from mofm.hub.published import PublishedKeys
from mofm.registry import INFERENCERS, MODELS


@MODELS.register_module()
class StillnessHead(BaseModule):

    def __init__(self, in_channels):
        super().__init__()
        self.fc = torch.nn.Linear(in_channels, 1)

    def forward(self, features):
        return self.fc(features.pooled).sigmoid()[:, 0]

    def predict(self, features, data_samples):
        for sample, value in zip(data_samples, self(features)):
            sample.stillness = value
        return data_samples


@dataclass(frozen=True)
class StillnessOptions(TaskOptions):

    digits: int = 2


@dataclass
class StillnessResult(Result):

    task = 'stillness'
    stillness: np.ndarray
    digits: int

    def summary(self):
        return f'stillness {self.stillness.mean():.{self.digits}f}'

    def rows(self):
        return [dict(row, stillness=value)
                for row, value in zip(super().rows(), self.stillness.tolist())]


@INFERENCERS.register_module(StillnessResult.task)
class StillnessInferencer(BaseInferencer):

    result_type = StillnessResult
    options_type = StillnessOptions
    predicted = dict(stillness='stillness')
    published = PublishedKeys(dataset=('window_of_stillness', ))

    def make_result(self, group, windows, outputs, options):
        return StillnessResult(**self.common(group, windows), **outputs, digits=options.digits)

    def draw(self, result):
        figure = Figure()
        figure.subplots().plot(result.stillness)
        return {'.png': figure}

    def describe(self):
        return 'How still people stand'

    @classmethod
    def exportable(cls, model):
        return isinstance(getattr(model, 'cls_head', None), StillnessHead)

    @staticmethod
    def graph(model, cubes):
        return (model.cls_head(model.backbone(cubes)),)
'''
CONFIG = '''
_base_ = '{root}/configs/dt1_penn_tiny.py'
custom_imports = dict(imports=['stillness_plugin'])
model = dict(
    backbone=dict(embed_dims=32, depth=1, num_heads=2, init_cfg=None),
    cls_head=dict(_delete_=True, type='StillnessHead', in_channels=32))
test_dataloader = dict(dataset=dict(window_of_stillness=20))
'''
PROGRAM = '''
import json, runpy, sys
from pathlib import Path

import numpy as np
import torch

from mofm.apis import MotionInferencer
from mofm.apis.graph import ExportableModel
from mofm.apis.export import to_inputs
from mofm.registry import MODELS

root, folder = sys.argv[1:]
torch.manual_seed(0)
model = MotionInferencer('still.py', device='cpu')
torch.save(dict(state_dict=model.model.state_dict()), 'still.pth')
assert model.tasks == ('stillness', 'features'), model.tasks
result, = model('walk.npy', window=16, stride=8, progress=False)

def run(tool, *arguments):
    sys.argv = [tool, *arguments]
    runpy.run_path(f'{root}/tools/{tool}', run_name='__main__')

run('demo.py', 'walk.npy', '--config', 'still.py', '--checkpoint', 'still.pth', '--out', 'demo',
    '--window', '16', '--stride', '8', '--task-options', 'digits=3')
run('publish.py', 'still.py', 'still.pth', '--out', 'published')
published, = MotionInferencer('published', device='cpu')(
    'walk.npy', 'stillness', window=16, stride=8, progress=False)

walk = np.load('walk.npy')[None, :16]
clip = dict(keypoint=walk[..., :2], keypoint_score=walk[..., 2], img_shape=(480, 640))
graph = ExportableModel(model.model)
exported, = graph(*map(torch.from_numpy, to_inputs([clip]).values()))
expected, = model.predict_clips([dict(clip, total_frames=16)])
json.dump(dict(
    summary=result.summary(), values=result.stillness.tolist(),
    published=published.stillness.tolist(), outputs=graph.outputs, exported=exported.tolist(),
    expected=float(expected['stillness'])), open('results.json', 'w'))
'''


def strings_of(path):
    """All texts in the code of a file, without docstrings."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)
            and isinstance(node.value, str) and id(node) not in docs}


def test_registered_tasks_are_those_of_the_documentation():
    assert INFERENCERS.module_dict.keys() >= TASKS
    table = (ROOT / 'docs/inference.md').read_text()
    for name, kind in INFERENCERS.module_dict.items():
        assert kind.result_type.task == name
        if name in TASKS:
            assert f'\n| `{name}` |' in table


@pytest.mark.parametrize('path', [
    'tools/demo.py', 'tools/publish.py', 'tools/export_onnx.py', 'mofm/apis', 'mofm/hub',
    'mofm/visualization/overlay.py'])
def test_tools_and_interfaces_know_no_task_by_name(path):
    path = ROOT / path
    for file in [path] if path.suffix else path.glob('*.py'):
        assert not strings_of(file) & TASKS, file


@pytest.mark.slow
def test_task_of_a_plugin_works_in_inferencer_demo_publishing_and_export(tmp_path):
    (tmp_path / 'stillness_plugin.py').write_text(PLUGIN)
    (tmp_path / 'still.py').write_text(CONFIG.format(root=ROOT))
    (tmp_path / 'program.py').write_text(PROGRAM)
    rng = np.random.default_rng(0)
    walk = rng.uniform(100, 300, (1, 17, 3)) + rng.normal(size=(32, 17, 3)).cumsum(0)
    walk[..., 2] = 1
    np.save(tmp_path / 'walk.npy', walk.astype(np.float32))
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(tmp_path)]))
    done = subprocess.run([sys.executable, 'program.py', str(ROOT), str(tmp_path)], cwd=tmp_path,
                          env=env, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found = json.loads((tmp_path / 'results.json').read_text())
    assert len(found['values']) == 3
    assert found['published'] == found['values']
    assert found['outputs'] == ['stillness']
    np.testing.assert_allclose(found['exported'], [found['expected']], atol=1e-5)

    assert sorted(f.name for f in (tmp_path / 'demo').iterdir()) == [
        'index.html', 'table.csv', 'walk.png']
    assert f'walk: stillness {np.mean(found["values"]):.3f}' in done.stdout
    with open(tmp_path / 'demo/table.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['recording'], row['first'], row['last']) for row in rows] == [
        ('walk', '0', '15'), ('walk', '8', '23'), ('walk', '16', '31')]
    np.testing.assert_allclose([float(row['stillness']) for row in rows], found['values'],
                               rtol=1e-6)
    card = (tmp_path / 'published/README.md').read_text()
    for text in ('How still people stand. A model of', 'import stillness_plugin  # its classes',
                 "task='stillness'", '- stillness\n'):
        assert text in card
    config = json.loads((tmp_path / 'published/config.json').read_text())
    assert config['test_dataloader']['dataset']['window_of_stillness'] == 20
