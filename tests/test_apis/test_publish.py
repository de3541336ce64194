"""Publishing: class names of a task, and commands on the model card."""

import re
from pathlib import Path

import pytest
import torch

from mofm.apis import MotionInferencer
from mofm.apis.publish import publish
from mofm.hub.checkpoint import load_local

ROOT = Path(__file__).resolve().parents[2]


def publish_tiny(tiny, kind, tmp_path, **meta):
    """Publish a kind of model; returns the folder."""
    cfg, checkpoint = tiny(kind)
    cfg.dump(tmp_path / 'config.py')
    content = load_local(checkpoint)
    content['meta'].update(meta)
    torch.save(content, tmp_path / 'model.pth')
    publish(tmp_path / 'config.py', tmp_path / 'model.pth', tmp_path / 'out')
    return tmp_path / 'out'


@pytest.mark.parametrize(('kind', 'named'), [('anomaly', True), ('jigsaw', False)])
def test_publish_names_classes_of_classifiers_only(tiny, tmp_path, kind, named):
    names = ['normal', 'abnormal']
    out = publish_tiny(tiny, kind, tmp_path, dataset_meta=dict(classes=names))
    assert (out / 'labels.txt').exists() == named
    assert MotionInferencer(out, device='cpu').classes == tuple(names * named)


@pytest.mark.parametrize(('kind', 'description'), [
    ('dved', 'Tokenizer of thermal cubes with 16 motion tokens'),
    ('pretrain', 'Backbone pre-trained on masked motion tokens, with the head and the tokenizer '
     'of the pre-training'),
    ('one_shot', r'One-shot action recognition \(DT2\)'),
    ('jigsaw', r'Anomaly detection without labels, by a token jigsaw \(DT3\)')])
def test_card_describes_model_and_names_existing_configs(tiny, tmp_path, kind, description):
    card = (publish_tiny(tiny, kind, tmp_path) / 'README.md').read_text()
    assert re.search(rf'^{description}. A model of ', card, re.MULTILINE)
    named = re.findall(r' (configs/\S+\.py)', card)
    assert bool(named) == (kind in ('dved', 'pretrain'))
    assert all((ROOT / config).is_file() for config in named)
