"""Configs of temporal localization read, learn and predict; the nearest-neighbor baseline."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope

from mofm.annotations import dump_annotations
from mofm.datasets import motion_collate
from mofm.registry import DATASETS, MODELS
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import as_module

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / 'projects/tmor/configs'
# The others differ from these in weights, splits, or options that other tests cover.
CONFIGS = ('localize_charades_probe', 'localize_pku_cs', 'localize_tsu_cs_sdtcn',
           'localize_utkinect', 'localize_utkinect_mofm_tiny', 'localize_utkinect_mofm_v2_tiny',
           'localize_utkinect_motionbert_tiny')
SPLITS = ('train', 'test', 'cs_train', 'cs_test', 'cv_train', 'cv_test')
CLASSES = dict(utkinect=10, tsu=51, pku=51, charades=157)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Write recordings with and without people; paths by number of coordinates."""
    folder, rng = tmp_path_factory.mktemp('files'), np.random.default_rng(0)
    for dims, joints in ((2, 17), (3, 25)):
        annotations = []
        for i in range(2):
            motion = rng.normal(size=(1 + i, 40, joints, dims)).cumsum(1).astype(np.float32)
            ann = dict(frame_dir=f'v{i}', label=0, img_shape=(480, 640), total_frames=40,
                       keypoint=300 + 5 * motion if dims == 2 else motion,
                       keypoint_score=np.ones(motion.shape[:-1], np.float32),
                       segments=np.array([[i, 3, 20], [i + 2, 15, 30]]))
            ann['keypoint_score'][:, 32:] = 0
            annotations.append(ann)
        dump_annotations(dict(split=dict.fromkeys(SPLITS, ['v0', 'v1']), annotations=annotations),
                         folder / f'{dims}.pkl')
    return folder


def loader(cfg, files, classes):
    """Load the config's data with short windows."""
    dataset = cfg.dataset
    dataset.update(ann_file=str(files / f'{dataset.get("dims", 2)}.pkl'), num_classes=classes)
    if dataset.window > 16:
        dataset.update(window=20, stride=20)
    return DATASETS.build(dataset)


@pytest.mark.parametrize('name', CONFIGS)
def test_temporal_configs_build_learn_and_evaluate(name, files):
    cfg = load_config(FOLDER / f'{name}.py')
    init_default_scope('mofm')
    classes = CLASSES[name.split('_')[1]]
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    train, test = (loader(cfg[f'{part}_dataloader'], files, classes) for part in ('train', 'test'))
    np.random.seed(0)
    data = model.data_preprocessor(motion_collate([train[0], train[len(train) - 1]]), True)
    losses = model.train()(**data, mode='loss')
    assert losses['loss_frame'].isfinite()
    losses['loss_frame'].backward()
    assert model.head.fc.weight.grad.abs().sum() > 0
    frozen = {p.grad is None for p in model.backbone.parameters()}
    assert frozen == {True} if getattr(model.backbone, 'frozen', False) else False in frozen

    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = test.metainfo
    with torch.no_grad():
        for i in range(0, len(test), 8):
            batch = motion_collate([test[k] for k in range(i, min(i + 8, len(test)))])
            outputs = model.eval()(**model.data_preprocessor(batch), mode='predict')
            evaluator.process(outputs)
    metrics = evaluator.evaluate(len(test))
    assert all(0 <= value <= 1 for value in metrics.values())
    assert 'localization/frame_mAP' in metrics
    assert outputs[0].frame_scores.shape == (test.window, classes)


def test_temporal_config_variants_differ_as_named():
    for path in sorted(FOLDER.glob('localize_*.py')):
        cfg, data_set = load_config(path), path.stem.split('_')[1]
        assert cfg.model.head.num_classes == CLASSES[data_set]
        splits = [cfg[f'{part}_dataloader'].dataset.split for part in ('train', 'test')]
        assert splits == [s for s in SPLITS if s.startswith('cv_' if 'pku_cv' in path.stem else
                                                            'cs_' if 'pku' in path.stem else
                                                            ('train', 'test'))]
        assert bool(cfg.train_dataloader.dataset.get('strict_ends')) == (data_set == 'tsu')
        assert cfg.get('test_dataloader') == cfg.val_dataloader
    assert load_config(FOLDER / 'localize_tsu_cv.py').test_dataloader.dataset.ann_file \
        == 'data/tsu_cv.arrow'


def test_temporal_configs_differ_in_pretraining_only():
    for name in ('{}', '_mofm{}_tiny', '_motionbert{}_tiny'):
        tuned, scratch, probe = (
            load_config(FOLDER / f'localize_utkinect{name.format(kind)}.py')
            for kind in ('', '_scratch', '_probe'))
        assert tuned.model.backbone.init_cfg
        assert scratch.model.backbone.init_cfg is None
        del tuned.model.backbone['init_cfg'], scratch.model.backbone['init_cfg']
        assert tuned.to_dict() == scratch.to_dict()
        for part in ('train_dataloader', 'test_dataloader', 'train_cfg', 'test_evaluator'):
            assert probe[part] == tuned[part]


def test_nearest_neighbor_on_training_windows_is_perfect(files, monkeypatch, capsys, tmp_path):
    """Tested on its training windows, the baseline repeats their annotations."""
    config = tmp_path / 'baseline.py'
    config.write_text(f'''
_base_ = {str(FOLDER / 'localize_utkinect_mofm_tiny.py')!r}
data = dict(ann_file={str(files / '2.pkl')!r}, num_classes=10)
train_dataloader = dict(num_workers=0, dataset=dict(**data, stride=4))
test_dataloader = dict(num_workers=0, dataset=dict(**data, split='train', test_mode=False))
''')
    monkeypatch.setattr('sys.argv', ['nearest_neighbor.py', str(config)])
    with as_module('projects/tmor/tools/nearest_neighbor.py') as tool:
        tool.main()
    value, = (float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()
              if line.startswith('localization/frame_mAP'))
    assert value == 1.
