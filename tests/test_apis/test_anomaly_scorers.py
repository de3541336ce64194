"""Scorers of anomalies besides the jigsaw: offline, published and online inference agree."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mofm.apis import MotionInferencer
from mofm.apis.publish import publish
from mofm.apis.stream import MotionStream
from mofm.datasets import SyntheticMotion
from mofm.registry import MODELS
from mofm.utils.config import load_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SHAPE = (1080, 4000)
OPTIONS = dict(img_shape=SHAPE, window=16, stride=1, progress=False)


def persons(frames=24):
    """Two persons far from each other, (2, T, 17, 3)."""
    clips = SyntheticMotion(2, num_frames=(frames, frames), seed=3)
    return np.stack([
        np.concatenate([clip['keypoint'][0] + (1500 * i, 0), clip['keypoint_score'][0][..., None]],
                       -1)
        for i, clip in enumerate(map(clips.get_data_info, range(2)))]).astype(np.float32)


def neighbors(folder):
    """Config and checkpoint of a gallery of random windows."""
    cfg = load_config(CONFIGS / 'dt3_utkinect_neighbors_tiny.py', {'model.gallery_size': 50})
    model = MODELS.build(cfg.model)
    keypoints = 36 * torch.rand(40, 1, 17, 16, 3)
    model.train_step(dict(inputs=dict(keypoints=keypoints)), None)
    model.fit()
    return cfg, model


def surprise(folder):
    """Config and checkpoint of a random pre-training, with its tokenizer in the folder."""
    tokens = dict(vocab_size=16, init_cfg=dict(checkpoint=str(folder / 'tokens.pth')))
    cfg = load_config(CONFIGS / 'dt3_penn_surprise_tiny.py')
    cfg.merge_from_dict(dict(model=dict(
        backbone=dict(embed_dims=32, depth=1, num_heads=2), tokenizer=tokens,
        head=dict(in_channels=32, vocab_size=16))))
    model = MODELS.build(cfg.model)
    for parameter in (*model.parameters(), *model.tokenizer.parameters()):
        torch.nn.init.normal_(parameter, std=.3)
    torch.save(model.tokenizer.state_dict(), folder / 'tokens.pth')
    return cfg, model


def density(folder):
    """Config and checkpoint of a random flow."""
    cfg = load_config(CONFIGS / 'dt3_penn_flow_tiny.py', {'model.hidden': 8})
    model = MODELS.build(cfg.model)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.1)
    return cfg, model


@pytest.fixture(scope='module', params=[neighbors, surprise, density])
def scorer(request, tmp_path_factory):
    """Config file, checkpoint and description of a scorer."""
    init_default_scope('mofm')
    folder = tmp_path_factory.mktemp('scorer')
    torch.manual_seed(0)
    cfg, model = request.param(folder)
    cfg.dump(folder / 'config.py')
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'model.pth')
    return folder / 'config.py', folder / 'model.pth', model.approach


def test_scorer_has_normality_of_persons_and_frames(scorer):
    inferencer = MotionInferencer(*scorer[:2], device='cpu')
    assert inferencer.task().task == 'anomaly'
    result, = inferencer(persons(), **OPTIONS)
    each = result.per_person()
    assert sorted(each) == [0, 1]
    scored = np.stack(list(each.values()))[:, result.frame.min():result.frame.max() + 1]
    assert np.isfinite(scored).all()
    assert len(np.unique(scored)) > 10
    np.testing.assert_allclose(result.score[result.frame.min():result.frame.max() + 1],
                               scored.min(0))


def test_scorer_published_predicts_the_same(scorer, tmp_path):
    config, checkpoint, approach = scorer
    publish(config, checkpoint, tmp_path / 'out')
    card = (tmp_path / 'out/README.md').read_text()
    assert f'Anomaly detection without labels, by {approach}' in card
    assert ('model.backbone.init_cfg.checkpoint=FOLDER' in card) == ('pre-training' in approach)
    expected, = MotionInferencer(config, checkpoint, device='cpu')(persons(), **OPTIONS)
    found, = MotionInferencer(tmp_path / 'out', device='cpu')(persons(), **OPTIONS)
    np.testing.assert_allclose(found.normality, expected.normality, rtol=1e-5)


def test_scorer_streams_what_it_finds_offline(scorer):
    inferencer = MotionInferencer(*scorer[:2], device='cpu')
    points = persons()
    offline, = inferencer(points, **OPTIONS)
    stream = MotionStream(inferencer, SHAPE)
    live = {(r.person, r.frame): r.output['normality'] for frame in range(points.shape[1])
            for r in stream.push(points[:, frame, :, :2], points[:, frame, :, 2], frame, [0, 1])}
    assert len(offline.normality) == 2 * (24 - 16)
    for person, frame, normality in zip(offline.person, offline.frame, offline.normality,
                                        strict=True):
        assert live[person, frame] == pytest.approx(normality, rel=1e-4)
