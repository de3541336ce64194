"""Every config builds, and its model runs forward and backward on random key points."""

from pathlib import Path

import pytest
import torch
from mmaction.structures import ActionDataSample

from mofm.models import KMeansTokenizer
from mofm.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(
    str(p.relative_to(ROOT)) for folder in ('configs', 'projects')
    for p in (ROOT / folder).rglob('*.py') if 'configs' in p.parts and '_base_' not in p.parts
    and not {'motionbert', 'tmor'} & set(p.parts))  # other inputs, other tests


def random_batch(pipeline, batch):
    """Samples of the config's own pipeline from random walks."""
    rng = torch.Generator().manual_seed(0)
    transforms = [TRANSFORMS.build(t) for t in pipeline]
    samples = []
    for i in range(batch):
        step = torch.randn(1, 60, 17, 2, generator=rng).cumsum(1) * 2
        keypoint = 300 + 100 * torch.rand(1, 1, 17, 2, generator=rng) + step
        results = dict(
            keypoint=keypoint.numpy(), keypoint_score=torch.ones(1, 60, 17).numpy(), label=i // 2,
            img_shape=(720, 1280), total_frames=60, frame_dir=f'clip{i}', sample_idx=i)
        for transform in transforms:
            results = transform(results)
        samples.append(results)
    return dict(
        inputs={k: [s['inputs'][k] for s in samples] for k in samples[0]['inputs']},
        data_samples=[s['data_samples'] for s in samples])


def pipeline_of(loader):
    dataset = loader['dataset']
    while 'pipeline' not in dataset:
        dataset = dataset['dataset']
    return dataset['pipeline']


def test_corpus_configs_differ_in_their_data_only():
    """So it is enough that the others learn."""
    for path in CONFIGS:
        if 'corpus' in path:
            cfg = load_config(ROOT / path)
            teacher = ROOT / path.replace('_corpus', '_teacher')
            base = load_config(
                teacher if teacher.exists() else ROOT / path.replace('_corpus', ''))
            base.model.get('backbone', {})['tokens'] = 'occupied'  # what is not the paper's has
            assert without_checkpoints(cfg.model) == without_checkpoints(base.model)
            assert cfg.optim_wrapper == base.optim_wrapper
            dataset = cfg.train_dataloader.dataset
            assert len(dataset.datasets) == len(cfg.corpus_weights) == 3
            for part in dataset.datasets:
                assert part.pipeline == base.train_dataloader.dataset.pipeline
                assert part.split == 'train' if 'split' in part else 'bandai' in part.ann_file


def without_checkpoints(cfg):
    """A config without the files that it starts from."""
    if isinstance(cfg, dict):
        return {k: without_checkpoints(v) for k, v in cfg.items() if k != 'checkpoint'}
    return cfg


@pytest.mark.parametrize('path', [path for path in CONFIGS if 'corpus' not in path])
def test_configs_build_and_learn(path):
    cfg = load_config(ROOT / path)
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(dict(hook))
    assert DATASETS.get(cfg.train_dataloader.dataset.type)
    torch.manual_seed(0)
    if 'tokenizer' in cfg.model:
        cfg.model.tokenizer.init_cfg = None  # a random teacher will do
    if cfg.data_preprocessor.canvas == 72 and 'depth' in cfg.model.get('backbone', {}):
        cfg.model.backbone.depth = 2  # twelve equal blocks take their time
    model = MODELS.build(cfg.model).train()
    batch = 1 if cfg.data_preprocessor.canvas == 72 else 2  # a full-size clip is enough work
    if cfg.train_dataloader.sampler.type == 'ClassBalancedSampler':
        batch = 4  # two of two classes
    data = model.data_preprocessor(random_batch(pipeline_of(cfg.train_dataloader), batch))
    if isinstance(model, KMeansTokenizer):
        pytest.skip('has nothing to differentiate; test_kmeans.py fits it')
    if not list(model.parameters()):
        pytest.skip('a baseline without weights; test_one_shot_tool.py tests it')
    losses = model(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    assert total.isfinite()
    total.backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in trained)

    val = model.eval().data_preprocessor(random_batch(pipeline_of(cfg.val_dataloader), 1))
    with torch.no_grad():
        out = model(**val, mode='predict')
    assert len(out) == 1
    assert isinstance(out[0], ActionDataSample)
