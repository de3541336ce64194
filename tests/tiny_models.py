"""Tiny models of every kind with random weights, and motion for them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import mofm.datasets  # noqa: F401
import mofm.models  # noqa: F401
from mofm.annotations import dump_annotations
from mofm.apis.inferencer import MotionInferencer
from mofm.apis.publish import publish
from mofm.datasets import SyntheticMotion
from mofm.registry import MODELS
from mofm.utils.config import load_config

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
ACTIONS = ('walk', 'wave', 'squat')
_BACKBONE = dict(embed_dims=32, depth=1, num_heads=2, init_cfg=None)
_DVED = dict(vocab_size=16, code_dim=8, hidden=8, num_blocks=1)
_DSTFORMER = dict(embed_dims=16, rep_dims=16, depth=1, num_heads=2)
_KINDS = dict(
    action=('dt1_penn_tiny', dict(backbone=_BACKBONE, cls_head=dict(num_classes=3,
                                                                    in_channels=32))),
    one_shot=('dt2_penn_tiny', dict(backbone=_BACKBONE, cls_head=dict(in_channels=32,
                                                                      out_channels=8))),
    jigsaw=('dt3_utkinect_tiny', dict(backbone=_BACKBONE, head=dict(in_channels=32))),
    clip_jigsaw=('dt3_penn_tiny', dict(backbone=_BACKBONE, head=dict(in_channels=32))),
    anomaly=('dt4_utkinect_tiny', dict(backbone=_BACKBONE, cls_head=dict(in_channels=32))),
    dved=('mofm/dved_tiny', _DVED),
    kmeans=('mofm/kmeans_tiny', dict(vocab_size=16)),
    pretrain=('mofm/pretrain_tiny', dict(backbone=_BACKBONE, tokenizer=_DVED,
                                         head=dict(in_channels=32, vocab_size=16))),
    keypoints=('dt2_penn_baseline', {}),
    attention=('example_head/attention_pool_penn_tiny', dict(
        backbone=_BACKBONE, cls_head=dict(num_classes=3, in_channels=32))),
    lift=('motionbert/lift_wild_tiny', dict(backbone=_DSTFORMER)),
    dstformer=('motionbert/action_penn_tiny', dict(
        backbone=dict(_DSTFORMER, init_cfg=None),
        cls_head=dict(num_classes=3, in_channels=16, hidden_channels=8))),
    unik=('tmor/action_penn_tiny', dict(backbone=dict(init_cfg=None),
                                        cls_head=dict(num_classes=3))),
    localize=('tmor/localize_utkinect', dict(backbone=dict(init_cfg=None))),
    sdtcn=('tmor/localize_utkinect_sdtcn', dict(backbone=dict(init_cfg=None))))


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Config and checkpoint of a kind of model, by ``tiny(kind, seed)``."""
    folder = tmp_path_factory.mktemp('tiny')

    def tiny(kind, seed=0):
        name, changes = _KINDS[kind]
        path = CONFIGS / f'{name}.py'
        if not path.exists():
            project, name = name.split('/')
            path = CONFIGS.parent / f'projects/{project}/configs/{name}.py'
        cfg = load_config(path)
        if kind == 'pretrain':
            checkpoint = tiny('dved')[1]
            changes = dict(changes, tokenizer=dict(
                _DVED, init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
        cfg.merge_from_dict(dict(model=changes))
        init_default_scope('mofm')
        path = folder / f'{kind}{seed}.pth'
        if not path.exists():
            torch.manual_seed(seed)
            model = MODELS.build(cfg.model)
            for parameter in model.parameters():  # far from uniform probabilities
                torch.nn.init.normal_(parameter, std=.3)
            meta = dict(classes=list(ACTIONS)) if kind == 'action' else {}
            torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)), path)
        return cfg, str(path)

    return tiny


@pytest.fixture(scope='session')
def published(tiny, tmp_path_factory):
    """Folder that tools/publish.py makes of a kind of model, by ``published(kind)``."""
    root = tmp_path_factory.mktemp('published')

    def published(kind):
        if not (root / kind).exists():
            cfg, checkpoint = tiny(kind)
            cfg.dump(root / f'{kind}.py')
            publish(root / f'{kind}.py', checkpoint, root / kind)
        return root / kind

    return published


@pytest.fixture
def inferencer(tiny):
    """An inferencer of a kind of model, by ``inferencer(kind, batch_size=...)``."""

    def build(kind, seed=0, **kwargs):
        return MotionInferencer(*tiny(kind, seed), device='cpu', **kwargs)

    return build


@pytest.fixture(scope='session')
def motion():
    """Ten annotations of three actions, 20 to 50 frames."""
    dataset = SyntheticMotion(10, seed=3, actions=ACTIONS, num_frames=(20, 50))
    return [dataset.get_data_info(i) for i in range(10)]


@pytest.fixture
def tracks(motion, tmp_path):
    """Path of an annotation file with a video of two tracks, one of two persons, and two short."""
    keep = np.r_[0:9, 11:18, 25:50]  # gaps of 2 and 7 frames
    long = [ann for ann in motion if ann['total_frames'] >= 30][:4]

    def track(ann, rows, **fields):
        label = np.zeros(len(rows), np.int64)
        label[5:9] = 4
        return dict(ann, keypoint=ann['keypoint'][:, rows], total_frames=len(rows),
                    keypoint_score=ann['keypoint_score'][:, rows], frame_label=label, **fields)

    first = np.resize(np.arange(long[0]['total_frames']), len(keep))
    pair = track(long[2], np.arange(28))
    for name in ('keypoint', 'keypoint_score'):
        pair[name] = np.concatenate([pair[name], long[3][name][:, :28]])
    pair['keypoint_score'][1, :6] = 0  # comes later
    annotations = [
        track(long[0], first, frame_dir='a/0', clip='a', track_id=7, frame_inds=keep),
        pair,
        track(long[1], np.arange(30), frame_dir='a/1', clip='a', track_id=3,
              frame_inds=np.arange(12, 42)),
        track(long[1], np.arange(17), frame_dir='short'),
        track(long[0], np.arange(16), frame_dir='one_window')]
    path = tmp_path / 'tracks.pkl'
    dump_annotations(dict(split={'test': [a['frame_dir'] for a in annotations]},
                          annotations=annotations), path)
    return path
