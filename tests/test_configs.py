"""Every config builds, and its model runs forward and backward on random keypoints."""

import re
from pathlib import Path

import pytest
import torch
from mmaction.structures import ActionDataSample

from mofm.annotations import LABEL_NAMES
from mofm.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[1]
ALL_CONFIGS = sorted(
    str(p.relative_to(ROOT)) for folder in ('configs', 'projects')
    for p in (ROOT / folder).rglob('*.py') if 'configs' in p.parts and '_base_' not in p.parts)
CONFIGS = [path for path in ALL_CONFIGS  # other inputs, other tests
           if not {'motionbert', 'tmor'} & {*Path(path).parts}]


#: Of the objective of the paper: other checkpoints, the rest need not learn twice.
CHAIN = ['configs/mofm/pretrain_paper.py', 'configs/dt1_ntu60_paper.py']
MIXTURES = [path for path in CONFIGS if re.search('_corpus|_without_', path)]


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
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    return dataset['pipeline']


@pytest.mark.parametrize('path', MIXTURES)
def test_corpus_configs_differ_in_their_data_only(path):
    """Configs of the corpus, or of a part of it, need not learn twice."""
    cfg = load_config(ROOT / path)
    stem = re.sub('_corpus|_without_[a-z]+', '', path)
    teacher = ROOT / stem.replace('_tiny', '_teacher_tiny')
    base = load_config(teacher if teacher.exists() else ROOT / stem)
    base.model.get('backbone', {})['tokens'] = 'occupied'  # what is not the paper's has
    assert without_checkpoints(cfg.model) == without_checkpoints(base.model)
    assert cfg.optim_wrapper == base.optim_wrapper
    datasets = cfg.train_dataloader.dataset.datasets
    assert len(datasets) == len(cfg.train_dataloader.sampler.weights) == 3 - ('_without_' in path)
    for part in datasets:
        assert part.pipeline == pipeline_of(base.train_dataloader)
        assert part.split == 'train' if 'split' in part else 'bandai' in part.ann_file


@pytest.mark.parametrize('path', CHAIN)
def test_chain_with_the_literal_objective_differs_in_its_checkpoints_only(path):
    cfg, base = load_config(ROOT / path), load_config(ROOT / path.replace('_paper', ''))
    before = 'dved' if 'pretrain' in path else 'pretrain'
    assert settings(cfg.model.to_dict(), ('checkpoint', )) == [
        f'work_dirs/mofm/{before}_paper/epoch_20.pth']
    assert without_checkpoints(cfg.to_dict()) == without_checkpoints(base.to_dict())


@pytest.mark.parametrize(('name', 'ann_file'), [('penn', 'data/penn_action.pkl'),
                                                ('ucla', 'data/nw_ucla.pkl')])
def test_chain_without_a_data_set_reads_nothing_of_it(name, ann_file):
    """Tokenizers and pre-training: their data, and the checkpoints that they start from."""
    for step, before in (('kmeans', None), ('dved', 'kmeans'), ('pretrain', 'dved')):
        cfg = load_config(ROOT / f'configs/mofm/{step}_without_{name}_tiny.py')
        full = load_config(ROOT / f'configs/mofm/{step}_corpus_tiny.py')
        files = {part.ann_file for part in cfg.train_dataloader.dataset.datasets}
        assert files == {part.ann_file for part in full.train_dataloader.dataset.datasets} - {
            ann_file}
        assert all(f'{before}_without_{name}_tiny/' in checkpoint
                   for checkpoint in settings(cfg.model.to_dict(), ('checkpoint', )))


@pytest.mark.parametrize(('name', 'classes'), [('penn', 15), ('ucla', 10)])
def test_normal_classes_of_one_class_splits_partition_the_classes(name, classes):
    splits = []
    for number in (1, 2, 3):
        cfg = load_config(ROOT / f'configs/dt3_{name}_split{number}_tiny.py')
        for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
            assert evaluator.normal_labels == cfg.train_dataloader.dataset.classes
        assert 'classes' not in cfg.test_dataloader.dataset
        assert f'pretrain_without_{name}_tiny' in cfg.model.backbone.init_cfg.checkpoint
        splits.append(cfg.train_dataloader.dataset.classes)
    assert sorted(sum(splits, [])) == list(range(classes))
    for normal in splits:  # the neighbor of a normal class is abnormal
        assert not {label + 1 for label in normal} & set(normal)


def without_checkpoints(cfg):
    """A config without the files that it starts from."""
    if isinstance(cfg, dict):
        return {k: without_checkpoints(v) for k, v in cfg.items() if k != 'checkpoint'}
    return cfg


@pytest.mark.parametrize('path', [
    path for path in CONFIGS if path not in MIXTURES and not re.search('_split[23]_', path)
    and path not in CHAIN])
def test_configs_build_and_learn(path):
    cfg = load_config(ROOT / path)
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(dict(hook))
    assert DATASETS.get(cfg.train_dataloader.dataset.type)
    named = [loader.dataset for loader in (cfg.train_dataloader, cfg.val_dataloader)
             if loader.dataset.get('class_names')]
    assert all(len(LABEL_NAMES[data.class_names]) == data.num_classes for data in named)
    torch.manual_seed(0)
    if 'tokenizer' in cfg.model:
        cfg.model.tokenizer.init_cfg = None  # a random teacher will do
    if cfg.grid.canvas == 72 and 'depth' in cfg.model.get('backbone', {}):
        cfg.model.backbone.depth = 2  # twelve equal blocks take their time
    model = MODELS.build(cfg.model).train()
    # a full-size clip is enough work, but not to be contrasted
    batch = 1 if cfg.grid.canvas == 72 and 'contrast' not in cfg.model else 2
    if cfg.train_dataloader.sampler.type == 'ClassBalancedSampler':
        batch = 4  # two of two classes
    data = model.data_preprocessor(random_batch(pipeline_of(cfg.train_dataloader), batch))
    if hasattr(model, 'fit'):
        pytest.skip('has nothing to differentiate; tests of the model fit it')
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


@pytest.mark.parametrize('path', [
    path for path in ALL_CONFIGS if 'custom_hooks' in (ROOT / path).read_text(encoding='utf-8')])
def test_configs_keep_the_hooks_of_the_runtime(path):
    """But for checkpoints on preemption, which lack what a model has collected for its fit."""
    expected = [hook.type for hook in load_config(
        ROOT / 'configs/_base_/default_runtime.py').custom_hooks]
    found = [hook.type for hook in load_config(ROOT / path).get('custom_hooks', ())]
    if 'FitHook' in found:
        expected.remove('PreemptionHook')
    assert found[:len(expected)] == expected


def settings(cfg, names):
    """Values of all settings of these names."""
    if isinstance(cfg, dict):
        return [v for k, v in cfg.items() if k in names] + settings(list(cfg.values()), names)
    return [v for part in cfg for v in settings(part, names)] if isinstance(cfg, list) else []


@pytest.mark.parametrize(('option', 'value', 'names'), [
    ('grid.canvas', 48, ('canvas', )),
    ('grid.num_frames', 32, ('num_frames', 'clip_len', 'seg_len', 'min_len'))])
@pytest.mark.parametrize('path', [
    'configs/mofm/kmeans_tiny.py', 'configs/mofm/dved_tiny.py', 'configs/mofm/pretrain_tiny.py',
    'configs/mofm/pretrain_kmeans_tiny.py', 'configs/dt1_penn_tiny.py',
    'configs/dt2_penn_tiny.py', 'configs/dt3_utkinect_tiny.py', 'configs/dt4_utkinect_tiny.py',
    'projects/tmor/configs/zero_shot_penn_mofm_tiny.py'])
def test_one_override_of_grid_reaches_every_setting(path, option, value, names):
    cfg = load_config(ROOT / path, {option: value}).to_dict()
    assert set(settings(cfg, names)) == {value}
    assert len(settings(cfg, names)) > 4


@pytest.mark.parametrize('path', [
    'configs/mofm/dved_tiny.py', 'configs/mofm/pretrain_tiny.py', 'configs/dt1_penn_tiny.py',
    'configs/dt3_utkinect_tiny.py'])
def test_models_of_another_canvas_train_a_step(path):
    options = {'grid.canvas': 48}
    for part in ('model.tokenizer', 'model.backbone'):
        if part.split('.')[1] in load_config(ROOT / path).model:
            options[f'{part}.init_cfg'] = None
    cfg = load_config(ROOT / path, options)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    data = model.data_preprocessor(random_batch(pipeline_of(cfg.train_dataloader), 2))
    cubes = 12 * 12
    assert data['inputs'].grid.num_cubes == cubes
    grids = [part.grid for part in (model, *model.modules(), getattr(model, 'tokenizer', None))
             if hasattr(part, 'grid')]
    assert {grid.num_cubes for grid in grids} == {cubes}
    if hasattr(model, 'backbone'):
        assert model.backbone.pos_embed.shape[1] == cubes
    if 'dt3' in path:
        assert model.head.cubes.numel() == cubes
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1e-3)
    before, _ = model.parse_losses(model(**data, mode='loss'))
    before.backward()
    optimizer.step()
    after, _ = model.parse_losses(model(**data, mode='loss'))
    assert after.isfinite()
    assert after != before


def test_schedules_end_with_the_training():
    for path in CONFIGS:
        cfg = load_config(ROOT / path, {'train_cfg.max_epochs': 7})
        schedulers = cfg.get('param_scheduler') or []
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            if scheduler.type != 'LinearLR':  # the warm-up
                assert scheduler.get('end', scheduler.get('total_steps')) == 7


@pytest.mark.parametrize('epochs', [1, 2])
def test_training_no_longer_than_its_warm_up_has_no_cosine(epochs):
    cfg = load_config(ROOT / 'configs/dt1_penn_tiny.py', {'train_cfg.max_epochs': epochs})
    scheduler, = cfg.param_scheduler
    assert (scheduler.type, scheduler.end) == ('LinearLR', 2)
