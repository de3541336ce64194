"""Entrances that accept a config object resolve its references."""

import pytest
from mmengine.config import Config

from mofm.apis import MotionInferencer, init_model
from mofm.apis.graph import GraphRenderer
from mofm.apis.profiling import profile_config
from mofm.apis.training_cost import training_cost
from tests.test_tools.tool_runner import ROOT


@pytest.fixture
def cfg():
    cfg = Config.fromfile(ROOT / 'configs/dt1_penn_tiny.py')
    cfg.model.backbone.depth = 1
    return cfg


@pytest.mark.parametrize('entrance', [init_model, MotionInferencer, profile_config, training_cost])
def test_entrance_resolves_references_of_config_object(cfg, entrance):
    assert entrance(cfg)
    assert cfg.model.backbone.canvas == '${grid.canvas}'


def test_init_model_overrides_references_of_config_object(cfg):
    model = init_model(cfg, device='cpu', cfg_options={'grid.canvas': 48})
    assert model.backbone.grid.canvas == 48
    pipeline = model.cfg.test_dataloader.dataset.pipeline
    assert GraphRenderer(pipeline, model.data_preprocessor).grid.canvas == 48
