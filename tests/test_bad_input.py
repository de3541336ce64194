"""Legal edge cases of clips from file to model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mofm.annotations import dump_annotations
from mofm.datasets import MotionDataset
from mofm.registry import MODELS, TRANSFORMS
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[1]
# persons, frames, share of visible joints
CLIPS = dict(usual=(1, 60, 1), one_frame=(1, 1, 1), long=(1, 10_000, 1), nobody=(0, 30, 1),
             five_persons=(5, 40, 1), no_joint=(2, 20, 0), few_joints=(1, 33, 0.1))


@pytest.fixture(scope='module')
def ann_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    annotations = []
    for name, (persons, frames, visible) in CLIPS.items():
        shape = persons, frames, 17
        score = (rng.random(shape) < visible).astype(np.float32)
        keypoint = rng.uniform(0, 500, (*shape, 2)).astype(np.float32) * score[..., None]
        annotations.append(dict(frame_dir=name, label=1, img_shape=(480, 640),
                                total_frames=frames, keypoint=keypoint, keypoint_score=score))
    path = tmp_path_factory.mktemp('awkward') / 'clips.pkl'
    dump_annotations(dict(split={}, annotations=annotations), path)
    return str(path)


@pytest.mark.parametrize('part', ['train', 'val'])
def test_classifier_takes_awkward_clips(ann_file, part):
    cfg = load_config(ROOT / 'configs/dt1_penn_tiny.py')
    loader = cfg[f'{part}_dataloader'].dataset
    clips = MotionDataset(ann_file, [TRANSFORMS.build(t) for t in loader.pipeline],
                          test_mode=True)  # keeps clips without a visible joint
    assert len(clips) == len(CLIPS)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    data = model.data_preprocessor(pseudo_collate([clips[i] for i in range(len(clips))]))
    occupied = data['inputs'].occupied().any(1)
    assert occupied.tolist() == [name not in ('nobody', 'no_joint') for name in CLIPS]
    losses = model(**data, mode='loss')
    losses['loss_cls'].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    with torch.no_grad():
        together = model(**data, mode='predict')
        for sample, name, i in zip(together, CLIPS, range(len(clips)), strict=True):
            alone = model.data_preprocessor(pseudo_collate([clips[i]]))
            assert sample.pred_score.isfinite().all()
            if part == 'val':  # padding to five persons changes nothing
                torch.testing.assert_close(
                    model(**alone, mode='predict')[0].pred_score, sample.pred_score,
                    rtol=1e-4, atol=1e-5, msg=name)


def test_pretrainer_takes_awkward_clips(ann_file):
    cfg = load_config(ROOT / 'configs/mofm/pretrain_tiny.py')
    cfg.model.tokenizer.init_cfg = None  # a random teacher will do
    pipeline = [TRANSFORMS.build(t) for t in cfg.train_dataloader.dataset.pipeline]
    clips = MotionDataset(ann_file, pipeline, test_mode=True)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    data = model.data_preprocessor(pseudo_collate([clips[i] for i in range(len(clips))]))
    assert (data['mask'].any(1) == data['inputs'].occupied().any(1)).all()
    losses = model(**data, mode='loss')
    losses['loss_mask'].backward()
    assert losses['loss_mask'].isfinite()
