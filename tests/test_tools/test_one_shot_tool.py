"""One-shot recognition from the command line: splits of NTU-120, baseline, training."""

import itertools
import json
import pickle

import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mofm.annotations import load_annotations
from mofm.datasets import MotionDataset
from mofm.registry import DATASETS
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT, here


def write(path, gone=()):
    """All names of two setups, cameras and persons, with their official splits."""
    names = [f'S{s:03}C{c:03}P{p:03}R001A{a:03}' for s in (1, 18) for c in (1, 3) for p in (7, 8)
             for a in (range(1, 61) if s == 1 else range(61, 121))]
    annotations = [
        dict(frame_dir=n, label=int(n[-3:]) - 1, img_shape=(1080, 1920),
             original_shape=(1080, 1920), total_frames=3,
             keypoint=np.full((1, 3, 17, 2), 500, np.float16),
             keypoint_score=np.ones((1, 3, 17), np.float16)) for n in names if n not in gone]
    split = dict(xsub_train=names[:200], xsub_val=names[200:])
    path.write_bytes(pickle.dumps(dict(split=split, annotations=annotations)))
    return names


def test_one_shot_tool_adds_splits_and_keeps_the_rest(tmp_path):
    source, target = tmp_path / 'ntu120_hrnet.pkl', tmp_path / 'ntu120_oneshot.pkl'
    names = write(source)
    done = here('data/one_shot.py', source, target)
    assert done.stdout.splitlines()[:3] == [
        'oneshot_train        400 samples of 100 classes',
        'oneshot_val           60 samples of  20 classes',
        'oneshot_exemplar      20 samples of  20 classes']
    data = load_annotations(target)
    assert data['split']['xsub_train'] == names[:200]
    assert len(data['annotations']) == 480
    dataset = MotionDataset(str(target), split='oneshot_val', exemplar_split='oneshot_exemplar',
                            num_classes=120, test_mode=True)
    exemplars = [d for d in dataset if d['exemplar']]
    assert len(dataset) == 80
    assert len(exemplars) == 20
    assert {d['label'] for d in dataset} == set(range(0, 120, 6))
    assert {d['frame_dir'][4:16] for d in exemplars} == {'C003P008R001'}


@pytest.mark.parametrize('gone', ['S018C003P008R001A067'])
def test_one_shot_tool_names_missing_exemplar(tmp_path, gone):
    source = tmp_path / 'ntu120.pkl'
    write(source, gone=[gone])
    done = here('data/one_shot.py', source, tmp_path / 'out.pkl', check=False)
    assert done.returncode == 1
    assert f'ntu120.pkl: exemplar {gone}: found no' in done.stderr
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'out.pkl').exists()


SYNTHETIC = """
_base_ = {base!r}
data = dict(_delete_=True, type='SyntheticMotion', num_frames=(16, 20),
            pipeline=_base_.val_pipeline)
{train}
val_dataloader = dict(num_workers=0, dataset=dict(
    **data, actions=('walk', 'jumping_jack', 'squat'), num_clips=24, seed=1, test_mode=True))
test_dataloader = val_dataloader
"""
TRAIN = """
model = dict(backbone=dict(embed_dims=32, depth=1, num_heads=2, init_cfg=None),
             cls_head=dict(in_channels=32, out_channels=16))
train_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(batch_size=8, per_class=2), dataset=dict(
        **data, actions=('wave', 'clap', 'kick', 'throw', 'run'), num_clips=20, seed=0))
train_cfg = dict(max_epochs=2, val_interval=2)
param_scheduler = []  # 0.3 epochs of 3 iterations are no warm-up
"""


def config_of(folder, name, train=''):
    path = folder / name
    path.write_text(SYNTHETIC.format(base=str(ROOT / 'configs' / name), train=train))
    return path


def one_shot(line):
    """The accuracies in a line of JSON that a run has written."""
    return {k[9:]: v for k, v in json.loads(line).items() if k.startswith('one_shot/')}


def nearest_pose(dataset):
    """Mean accuracy of all draws of exemplars, by the directions of centered keypoints."""
    vectors, labels = [], []
    for sample in dataset:
        x, y, score = sample['inputs']['keypoints'][0].numpy().transpose(2, 0, 1)
        seen = score > 0
        vectors.append(np.concatenate(
            [np.where(seen, v - v[seen].mean(), 0).ravel() for v in (x, y)]))
        labels.append(int(sample['data_samples'].gt_label))
    vectors, labels = np.stack(vectors), np.array(labels)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    accuracy = []
    for draw in itertools.product(*(np.flatnonzero(labels == c) for c in range(3))):
        right = (vectors @ vectors[list(draw)].T).argmax(1) == labels
        accuracy.append(np.delete(right, draw).mean())
    return np.mean(accuracy)


@pytest.mark.slow
def test_one_shot_baseline_is_tested_without_checkpoint(tmp_path):
    config = config_of(tmp_path, 'dt2_penn_baseline.py')
    here('test.py', config, 'none', '--work-dir', tmp_path / 'work')
    found = one_shot(max((tmp_path / 'work').glob('*/*.json')).read_text())
    init_default_scope('mofm')
    dataset = DATASETS.build(load_config(config).test_dataloader.dataset)
    assert found['top1'] == pytest.approx(nearest_pose(dataset), abs=1e-6)
    assert 0 < found['top1_low'] <= found['top1'] <= found['top1_high'] < 1
    assert (tmp_path / 'work/results/confusion.png').stat().st_size > 1000


@pytest.mark.slow
def test_one_shot_training_has_balanced_batches(tmp_path):
    config = config_of(tmp_path, 'dt2_penn_tiny.py', TRAIN)
    done = here('train.py', config, '--work-dir', tmp_path / 'work')
    assert 'loss_supcon' in done.stdout
    assert (tmp_path / 'work/epoch_2.pth').exists()
    log = max((tmp_path / 'work').glob('*/vis_data/scalars.json')).read_text()
    found = one_shot(log.splitlines()[-1])
    assert found.keys() == {'top1', 'mean_class', 'top1_low', 'top1_high'}
    assert 0 < found['top1'] < 1
