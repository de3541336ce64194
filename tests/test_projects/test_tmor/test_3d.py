"""3D recordings from native files to UNIK."""

import json
import pickle
import runpy
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mofm.annotations import AnnotationError, dump_annotations, validate
from mofm.datasets import MotionDataset, motion_collate
from mofm.registry import DATASETS, MODELS
from mofm.sources import NWUCLA, PYSKL3D
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / 'projects/tmor/configs'
OTHERS = ('anomaly', 'localize', 'oneshot', 'pretrain', 'zero_shot')  # of other kinds
CONFIGS = sorted(path.stem for path in FOLDER.glob('*.py') if not path.stem.startswith(OTHERS))
SPLITS = ('train', 'val', 'test', 'cs_train', 'cs_test', 'cv2_train', 'cv_test', 'xsub_train',
          'xsub_val', 'csv1_train', 'csv1_test', 'csv2_train', 'csv2_test')


def skeletons(joints, dims, persons=1, frames=12, count=4):
    rng = np.random.default_rng(0)
    return [dict(
        frame_dir=f'clip{i}', label=5 + i % 2, total_frames=frames,
        keypoint=(2 + rng.normal(0, .1, (persons, frames, joints, dims)).cumsum(1)
                  ).astype(np.float32)) for i in range(count)]


def published(path, annotations):
    """Write annotations like ``ntu60_3danno.pkl``: neither scores nor an image."""
    ids = [ann['frame_dir'] for ann in annotations]
    path.write_bytes(pickle.dumps(dict(split=dict.fromkeys(SPLITS, ids),
                                       annotations=annotations)))
    return str(path)


def test_tmor_dataset_reads_published_3d_annotations(tmp_path):
    annotations = skeletons(25, 3, persons=2)
    annotations[1]['keypoint'][1, 4] = 0  # no person
    annotations[2]['keypoint'] = annotations[2]['keypoint'][..., :2]
    path = published(tmp_path / 'a.pkl', annotations)
    options = dict(split='train', layout='kinect25', to_layout='kinect25', dims=3)
    dataset = MotionDataset(path, **options)
    assert len(dataset) == 3
    assert 'expected (persons, 12 frames, 25 joints, 3)' in str(
        dataset.problems[0])
    ann = dataset[1]
    np.testing.assert_array_equal(ann['keypoint'], annotations[1]['keypoint'])
    assert not ann['keypoint_score'][1, 4].any()
    assert ann['keypoint_score'].sum() == 2 * 12 * 25 - 25
    with pytest.raises(AnnotationError, match='none of 4'):
        MotionDataset(path, **dict(options, dims=2))
    with pytest.raises(ValueError, match='dims: found 4'):
        MotionDataset(path, dims=4)
    coco = MotionDataset(path, split='train', layout='kinect25', dims=3)[0]['keypoint']
    np.testing.assert_array_equal(coco[:, :, 5], annotations[0]['keypoint'][:, :, 4])  # shoulder


@pytest.mark.parametrize('suffix', ['.pkl', '.arrow'])
def test_tmor_3d_annotations_round_trip_through_every_format(tmp_path, suffix):
    if suffix == '.arrow':
        pytest.importorskip('pyarrow')
    annotations = [dict(ann, img_shape=(1, 1), keypoint=ann['keypoint'].astype(np.float16),
                        keypoint_score=np.ones(ann['keypoint'].shape[:3], np.float16))
                   for ann in skeletons(20, 3)]
    flat = [dict(ann, keypoint=ann['keypoint'][..., :2]) for ann in annotations]
    for dims, part in ((3, annotations), (2, flat)):
        path = str(tmp_path / f'{dims}{suffix}')
        dump_annotations(dict(split={}, annotations=part), path)
        options = dict(layout='kinect20', to_layout='kinect20')
        dataset = MotionDataset(path, **options, dims=dims)
        np.testing.assert_array_equal(dataset[3]['keypoint'], part[3]['keypoint'])
        with pytest.raises(AnnotationError, match=rf'keypoint: found .*{dims}\)?, expected'):
            MotionDataset(path, **options, dims=5 - dims)[0]


@pytest.fixture
def recordings(tmp_path):
    """Write files of NW-UCLA."""
    joints = np.random.default_rng(0).uniform(1, 2, (6, 20, 3)).round(3)
    joints[2, 3] = 0  # at the sensor: missing
    path = tmp_path / 'ucla.zip'
    with zipfile.ZipFile(path, 'w') as out:
        for view in '123':
            out.writestr(f'a01_s01_e00_v0{view}.json', json.dumps(dict(skeletons=joints.tolist())))
    return path


def test_source_3d_keeps_joints_in_space(recordings, tmp_path, monkeypatch, capsys):
    source = NWUCLA(recordings, strict=True, keep_3d=True)
    found = list(source)
    assert len(found) == len(source) == 3
    ann, splits = found[2]
    assert ann['frame_dir'] == 'a01_s01_e00_v03'
    assert splits == ('test', )
    assert ann['keypoint'].shape == (1, 6, 20, 3)
    assert validate(ann, 20, dims=3) is None
    assert not ann['keypoint_score'][0, 2, 3]
    expected, _ = NWUCLA(recordings).read('a01_s01_e00_v03.json', zipfile.ZipFile(recordings).read(
        'a01_s01_e00_v03.json'))
    known = np.isfinite(expected['joints']).all(-1)
    np.testing.assert_allclose(ann['keypoint'][0][known], expected['joints'][known], atol=2e-3)
    np.testing.assert_array_equal(ann['keypoint_score'][0], known)

    out = tmp_path / 'ucla_3d.pkl'
    arguments = ['prepare.py', 'nw_ucla', str(recordings), str(out), '--keep-3d', '--workers', '0']
    monkeypatch.setattr(sys, 'argv', arguments)
    runpy.run_path(str(ROOT / 'tools/data/prepare.py'), run_name='__main__')
    assert '3 clips' in capsys.readouterr().out
    dataset = MotionDataset(str(out), split='train', layout='kinect20', to_layout='kinect20',
                            dims=3)
    assert len(dataset) == 2
    assert dataset[0]['keypoint'].shape == (1, 6, 20, 3)
    with pytest.raises(ValueError, match='found keep_3d with views=2'):
        NWUCLA(recordings, keep_3d=True, views=2)


def test_pyskl_3d_keeps_joints_in_space(tmp_path):
    annotations = skeletons(25, 3)
    path = published(tmp_path / 'ntu60_3danno.pkl', annotations)
    found = [ann for ann, _ in PYSKL3D(path, strict=True, keep_3d=True)]
    assert [ann['frame_dir'] for ann in found] == [ann['frame_dir'] for ann in annotations]
    np.testing.assert_allclose(found[1]['keypoint'], annotations[1]['keypoint'], atol=2e-3)


# ----------------------------------------------------------------------------------- configs
def plane(joints=17, **kwargs):
    """Return annotations in pixels."""
    return [dict(ann, img_shape=(480, 640), keypoint=100 * ann['keypoint'],
                 keypoint_score=np.ones(ann['keypoint'].shape[:3], np.float32))
            for ann in skeletons(joints, 2, **kwargs)]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Write a file of each kind; paths by number of coordinates."""
    folder = tmp_path_factory.mktemp('files')
    return {2: published(folder / '2d.pkl', plane()),
            3: published(folder / '3d.pkl', skeletons(25, 3, persons=2))}


@pytest.mark.parametrize('name', CONFIGS)
def test_tmor_3d_configs_read_learn_and_predict(name, files):
    init_default_scope('mofm')
    cfg = load_config(FOLDER / f'{name}.py')
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    assert sum(p.numel() for p in model.backbone.parameters()) > 3_070_000  # full width
    assert model.cls_head.fc.out_features == len(
        cfg.train_dataloader.dataset.get('classes') or range(
            cfg.train_dataloader.dataset.num_classes))

    def batch(part):
        for cut in part.pipeline:  # the same chain in a fraction of the time
            if 'num_frames' in cut:
                cut.num_frames = 16
        dataset = DATASETS.build(dict(part, ann_file=files[part.get('dims', 2)]))
        return model.data_preprocessor(motion_collate([dataset[0], dataset[1]]))

    loss, _ = model.parse_losses(model(**batch(cfg.train_dataloader.dataset), mode='loss'))
    loss.backward()
    assert loss.isfinite()
    assert (next(model.backbone.parameters()).grad is None) == name.endswith('probe')
    with torch.no_grad():
        samples = model.eval()(**batch(cfg.test_dataloader.dataset), mode='predict')
    assert len(samples) == 2
    assert samples[0].pred_score.shape == (model.cls_head.fc.out_features, )


@pytest.mark.parametrize('name', ['anomaly_utkinect_tiny', 'oneshot_penn_tiny'])
def test_tmor_configs_with_mofm_heads_learn_and_predict(name, tmp_path):
    init_default_scope('mofm')
    annotations = plane(frames=20)
    for i, ann in enumerate(annotations):
        ann['frame_label'] = np.full(20, 4 * (i % 2))
    path = published(tmp_path / 'a.pkl', annotations)
    cfg = load_config(FOLDER / f'{name}.py')
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model).train()

    def batch(part):
        options = dict(classes=[5, 6]) if 'classes' in part else {}
        dataset = DATASETS.build(dict(part, ann_file=path, **options))
        order = range(0, len(dataset), max(len(dataset) // 4, 1))
        return model.data_preprocessor(motion_collate([dataset[i] for i in order]))

    loss, _ = model.parse_losses(model(**batch(cfg.train_dataloader.dataset), mode='loss'))
    loss.backward()
    assert loss.isfinite()
    assert model.backbone.l2.s_unit.DepM.grad.abs().sum() > 0
    with torch.no_grad():
        sample = model.eval()(**batch(cfg.test_dataloader.dataset), mode='predict')[0]
    assert sample.embedding.norm() == pytest.approx(1, abs=1e-4) if 'oneshot' in name else (
        0 <= sample.normality <= 1)
