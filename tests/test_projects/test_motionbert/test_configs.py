"""Configs of MotionBERT read their files, learn and predict."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mofm.annotations import dump_annotations
from mofm.datasets import motion_collate
from mofm.registry import DATASETS, MODELS
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / 'projects/motionbert/configs'
CONFIGS = sorted(path.stem for path in FOLDER.glob('*.py')
                 if not path.stem.startswith(('mesh', 'lift_wild')))
MB = dict(embed_dims=512, rep_dims=512, depth=5, num_heads=8, mlp_ratio=2, max_frames=243)
LITE = dict(embed_dims=256, mlp_ratio=4)
#: Sizes of Table 6 by what the name of the config ends with.
TABLE6 = dict(_st=dict(depth=10), _ts=dict(depth=10), _6heads=dict(embed_dims=510, num_heads=6),
              _10heads=dict(embed_dims=510, num_heads=10))
FRAMES, CLASSES = 40, 4
SPLITS = ('train', 'test', 'xsub_train', 'xsub_val', 'xview_train', 'xview_val', 'oneshot_train',
          'oneshot_val', 'oneshot_exemplar')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Write one file per format, by data set."""
    folder, rng = tmp_path_factory.mktemp('files'), np.random.default_rng(0)
    motion = rng.normal(size=(2, FRAMES, 17, 3)).cumsum(1).astype(np.float32)
    people = [dict(
        frame_dir=f'clip{i}', label=i // 2 % CLASSES, img_shape=(480, 640), total_frames=FRAMES,
        frame_label=np.full(FRAMES, i % 5),
        keypoint=200 + 10 * motion[i % 2, None, ..., :2],
        keypoint_score=np.ones((1, FRAMES, 17), np.float32)) for i in range(2 * CLASSES)]
    ids = [ann['frame_dir'] for ann in people]
    dump_annotations(dict(split=dict.fromkeys(SPLITS, ids), annotations=people),
                     folder / 'people.pkl')
    frames = dict(
        joint_2d=500 + 10 * motion[..., :2], confidence=np.ones((2, FRAMES, 17)),
        joint3d_image=500 + 10 * motion, joints_2_5d_image=5 * motion,
        factor=np.full((2, FRAMES), 5.))
    frames = {name: value.reshape(-1, *value.shape[2:]) for name, value in frames.items()}
    frames = {'joints_2.5d_image': frames.pop('joints_2_5d_image'),
              '2.5d_factor': frames.pop('factor'), **frames}
    source = np.repeat(['s_01_act_02_subact_01_ca_01', 's_01_act_02_subact_01_ca_02'], FRAMES)
    frames.update(source=source, camera_name=np.repeat(['54138969'], 2 * FRAMES),
                  action=np.repeat(['walking'], 2 * FRAMES))
    (folder / 'h36m.pkl').write_bytes(pickle.dumps(dict(train=frames, test=frames)))
    np.savez(folder / 'mocap.npz', keypoint_3d=motion.reshape(-1, 17, 3),
             length=np.array([FRAMES, FRAMES]), name=np.array(['a', 'b']))
    people = str(folder / 'people.pkl')
    return dict(Human36MDataset=str(folder / 'h36m.pkl'), MotionDataset=people,
                MotionCaptureDataset=str(folder / 'mocap.npz'), TrackWindowDataset=people,
                LabeledTrackDataset=people)


def parts(dataset):
    """List the data sets that read files."""
    return [part for inner in dataset.datasets for part in parts(inner)] \
        if 'datasets' in dataset else [dataset]


def batch(part, files, count):
    """Collate samples of a part of a data set."""
    names = dict.fromkeys(('layout', 'to_layout'), part.get('to_layout', 'coco17'))
    names = names if 'TrackWindow' in part.type or 'to_layout' in part else {}
    cfg = dict(part, ann_file=files[part.type], **names)
    if 'classes' in cfg:
        cfg.update(classes=list(range(CLASSES)))
    dataset = DATASETS.build(cfg)
    return motion_collate([dataset[i % len(dataset)] for i in range(count)])


@pytest.mark.parametrize('name', CONFIGS)
def test_motionbert_configs_read_learn_and_predict(name, files):
    init_default_scope('mofm')
    cfg = load_config(FOLDER / f'{name}.py')
    backbone = cfg.model.backbone
    if name.endswith('paper') and 'scratch' not in name and 'pretrain' not in name:
        assert 'pretrain_dstformer_paper/epoch_80' in backbone.init_cfg.checkpoint
    backbone.init_cfg = None
    if 'tiny' not in name:
        lite = 'lite' in name or 'paper' in name
        size = {key: backbone.get(key, default) for key, default in MB.items()}
        variant = next((size for end, size in TABLE6.items() if name.endswith(end)), {})
        assert size == MB | (LITE if lite else variant)
        backbone.update(embed_dims=16, rep_dims=16, num_heads=2, depth=1)
        if 'cls_head' in cfg.model:
            width = 'out_channels' if 'oneshot' in name else 'hidden_channels'
            cfg.model.cls_head.update({'in_channels': 16, width: 8})
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()

    loaders = [*cfg.train_cfg.get('extra_dataloaders', ()), cfg.train_dataloader]
    count = 4 if 'oneshot' in name else 2  # two samples of two classes
    for part in (part for loader in loaders for part in parts(loader.dataset)):
        model.zero_grad()
        data = model.data_preprocessor(batch(part, files, count), training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
        assert loss.isfinite()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())

    if 'test_dataloader' in cfg:
        data = model.eval().data_preprocessor(batch(cfg.test_dataloader.dataset, files, 2))
        with torch.no_grad():
            samples = model(**data, mode='predict')
        fields = ('pred_keypoints_3d', 'pred_score', 'embedding')
        assert len(samples) == 2
        assert all(
            any(field in sample for field in fields) for sample in samples)
