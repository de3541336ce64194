"""Export tool, and the example that runs its file without MoFM and PyTorch."""

import io
import json
import re
import runpy
import sys
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch

from mofm.annotations import dump_annotations
from mofm.apis.model import init_model
from mofm.datasets import SyntheticMotion, motion_collate
from mofm.registry import DATASETS
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT, run

pytestmark = pytest.mark.slow
NAMES = ['walk', 'wave', 'squat']
# what keeps an import from succeeding wherever the package is installed
BLOCKER = """
import sys
for name in ('mofm', 'torch', 'mmengine'):
    sys.modules[name] = None
"""


@pytest.fixture(scope='module')
def model(config, tmp_path_factory):
    """Random model with distinct outputs, and its checkpoint."""
    torch.manual_seed(0)
    model = init_model(load_config(config), device='cpu')
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    path = tmp_path_factory.mktemp('checkpoint') / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=NAMES))),
               path)
    return model, path


def tool(*arguments):
    """Run the tool in this process, which has torch already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['export_onnx.py', *map(str, arguments)])
        runpy.run_path(str(ROOT / 'tools/export_onnx.py'), run_name='__main__')


@pytest.fixture(scope='module')
def exported(config, model, tmp_path_factory):
    """Output of the tool, and its file."""
    path = tmp_path_factory.mktemp('onnx') / 'model.onnx'
    with redirect_stdout(io.StringIO()) as printed:
        tool(config, model[1], '--out', path, '--int8')
    return printed.getvalue(), path


def test_export_tool_prints_what_it_wrote(exported):
    printed, path = exported
    assert 'input: keypoints (batch, persons, 17, 16, 3) tensor(float)' in printed
    assert 'input: img_shape (batch, 2) tensor(int64)' in printed
    assert 'output: scores (batch, 3) tensor(float)' in printed
    assert f'classes: {json.dumps(NAMES)}' in printed
    assert 'task: action' in printed
    assert f'{path}: {path.stat().st_size / 1e6:.1f} MB' in printed
    difference = float(printed.split('difference from torch: scores ')[1].split()[0])
    assert difference <= 1e-4


def test_export_tool_compares_int8_on_the_test_data(model, exported):
    printed, path = exported
    *_, wide, small, ratio = printed.splitlines()
    dataset = DATASETS.build(model[0].cfg.test_dataloader.dataset)
    with torch.no_grad():
        samples = model[0](**model[0].data_preprocessor(motion_collate(list(dataset))),
                           mode='predict')
    accuracy = np.mean([int(s.pred_score.argmax() == s.gt_label) for s in samples])
    for line, file in ((wide, path), (small, path.with_suffix('.int8.onnx'))):
        assert line.startswith(f'{file}: {file.stat().st_size / 1e6:.2f} MB, ')
        assert ' ms per clip on one thread, acc/top1 ' in line
    assert f'acc/top1 {accuracy:.4f}' in wide
    assert re.fullmatch(r'int8 / float: size 0\.\d\d, latency \d+\.\d\d, '
                        r'\d+\.\d% of the classes or tokens are equal', ratio)
    assert sorted(file.name for file in path.parent.iterdir()) == ['model.int8.onnx', 'model.onnx']


def test_export_tool_names_bad_arguments(config, model, tmp_path, capsys):
    for arguments, message in (
            ((config, model[1], '--out', tmp_path / 'model.pt'), 'expected a file that ends in'),
            ((config, '--out', tmp_path / 'model.onnx'), 'checkpoint: found none')):
        with pytest.raises(SystemExit):
            tool(*arguments)
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match='num_clips of UniformSampleFrames: found 3'):
        tool(config, model[1], '--out', tmp_path / 'model.onnx', '--cfg-options',
             'test_dataloader.dataset.pipeline.0.num_clips=3')


@pytest.mark.parametrize('kind', ['json', 'npy'])
def test_onnx_example_needs_neither_mofm_nor_torch(model, exported, tmp_path, kind):
    clip = SyntheticMotion(1, seed=3, num_frames=(16, 16))[0]
    if kind == 'json':
        path = tmp_path / 'clip.json'
        dump_annotations(dict(split={}, annotations=[clip]), path)
    else:
        path = tmp_path / 'clip.npy'
        np.save(path, np.concatenate((clip['keypoint'], clip['keypoint_score'][..., None]), -1)[0])
    (tmp_path / 'sitecustomize.py').write_text(BLOCKER)
    without = dict(PYTHONPATH=str(tmp_path))
    for name in ('mofm', 'torch'):
        assert run(sys.executable, '-c', f'import {name}', check=False, **without).returncode
    printed = run(sys.executable, ROOT / 'examples/onnx_inference.py', exported[1], path,
                  '--img-shape', *clip['img_shape'], **without).stdout.split()
    scores, names = np.array(printed[::2], float), printed[1::2]

    model = model[0]
    dataset = SyntheticMotion(1, seed=3, num_frames=(16, 16), test_mode=True,
                              pipeline=model.cfg.test_dataloader.dataset.pipeline)
    with torch.no_grad():
        data = model.data_preprocessor(motion_collate([dataset[0]]))
        expected = model(**data, mode='predict')[0].pred_score
    assert names == [NAMES[i] for i in expected.argsort(descending=True)]
    np.testing.assert_allclose(scores, expected.sort(descending=True).values, atol=1e-3)
