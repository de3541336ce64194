"""Published configs with hostile values: a result or a named error, within memory and time."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mofm.apis.model import _at_most
from tests.limited import run_limited
from tests.test_hub.published_attacks import KINDS, attacks, is_refusal, try_attack, use


@pytest.mark.parametrize('kind', KINDS)
def test_published_folder_of_each_kind_is_used_within_limits(kind, published):
    assert run_limited(use, published(kind)).value == 'used'


@pytest.mark.parametrize(('kind', 'place', 'value'), [
    ('action', 'model.backbone.max_tokens', 10**6), ('action', 'model.backbone.embed_dims', 10**6),
    ('action', 'model.backbone.depth', 10**6), ('action', 'model.cls_head.num_classes', 10**6),
    ('action', 'model.data_preprocessor.sigma', 10**6),
    ('action', 'model.data_preprocessor.sigma', 1e-9),
    ('action', 'test_dataloader.dataset.pipeline.0.num_clips', 10**6),
    ('action', 'test_dataloader.dataset.pipeline.0.clip_len', 10**6),
    ('action', 'test_dataloader.dataset.pipeline.2.canvas', 10**6),
    ('action', 'model.backbone.depth', 10**4000), ('action', 'model.backbone.depth', 2**63),
    ('dved', 'model.canvas', 10**6), ('dved', 'model.vocab_size', 10**6),
    ('dved', 'model.num_blocks', 10**6), ('kmeans', 'model.vocab_size', 10**6),
    ('jigsaw', 'model.head.canvas', 4096), ('jigsaw', 'test_dataloader.dataset.seg_len', 10**6),
    ('jigsaw', 'test_evaluator.0.smoothing', [10**6]),
    ('dstformer', 'test_dataloader.dataset.pipeline.3.num_persons', 10**6),
    ('lift', 'model.backbone.max_frames', 10**6), ('unik', 'model.backbone.tau', 999),
    ('unik', 'test_dataloader.dataset.pipeline.2.num_frames', 10**6),
    ('localize', 'test_dataloader.dataset.window', 10**6),
    ('localize', 'test_dataloader.dataset.stride', 65),
    ('localize', 'test_evaluator.1.segments.sigma', 10**6)])
def test_published_config_cannot_ask_for_memory_or_time(kind, place, value, published, tmp_path):
    place = tuple(int(key) if key.isdecimal() else key for key in place.split('.'))
    outcome = try_attack(published(kind), tmp_path / 'folder', place, value)
    assert is_refusal(outcome), outcome


@pytest.mark.parametrize('kind', KINDS)
def test_published_config_with_hostile_values_is_used_or_refused(kind, published, tmp_path):
    """A part of all values of all settings, a few of each kind."""
    cases = list(attacks(json.loads((published(kind) / 'config.json').read_text())))
    for place, value in itertools.islice(cases, 7, None, len(cases) // 4):
        outcome = try_attack(published(kind), tmp_path / 'folder', place, value)
        assert outcome.value == 'used' or is_refusal(outcome), (place, value, outcome)


@pytest.mark.parametrize(('kind', 'first'), [
    ('action', dict(type='CropFrames', num_frames=10)),
    ('action', dict(type='UniformSampleFrames', clip_len=8, num_clips=4)),
    ('one_shot', dict(type='CropFrames', num_frames=2))])
def test_published_pipeline_that_contradicts_itself_is_named_at_a_recording(kind, first,
                                                                            published, tmp_path):
    """Though one frame passes it."""
    config = json.loads((published(kind) / 'config.json').read_text())
    pipeline = [first, *config['test_dataloader']['dataset']['pipeline']]
    outcome = try_attack(published(kind), tmp_path / 'folder',
                         ('test_dataloader', 'dataset', 'pipeline'), pipeline)
    assert is_refusal(outcome), outcome


@pytest.mark.parametrize('kind', ['dved', 'one_shot', 'kmeans'])
def test_published_number_of_clips_that_no_task_takes_is_named(kind, published, tmp_path):
    config = json.loads((published(kind) / 'config.json').read_text())
    pipeline = config['test_dataloader']['dataset']['pipeline']
    place, = [i for i, step in enumerate(pipeline) if step['type'] == 'UniformSampleFrames']
    outcome = try_attack(published(kind), tmp_path / 'folder', (
        'test_dataloader', 'dataset', 'pipeline', place, 'num_clips'), 2)
    assert outcome.value == 'used' or is_refusal(outcome), outcome


def test_published_model_is_counted_in_its_own_thread():
    """A training in another thread may build what it likes."""
    with _at_most(2):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.nn.Linear, 2, 3).result().weight.shape == (3, 2)
        torch.nn.Linear(2, 3)
        with pytest.raises(ValueError, match='over 2 modules and parameters'):
            torch.nn.Linear(2, 3)
    torch.nn.Linear(2, 3)
