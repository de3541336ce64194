"""DT3 and DT4 from the command line: train, test, result files, the floor, bad input."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tool_runner import ROOT, python

from mofm.datasets.annotation import dump_annotations, load_annotations

pytestmark = pytest.mark.slow
OPTIONS = '--cfg-options'


def recordings():
    """Two persons in five clips; the arms of one person fly in the second half of three clips."""
    rng = np.random.default_rng(0)
    annotations, split = [], dict(train=[], test=[])
    body = np.array([(0, -60), (-3, -63), (3, -63), (-6, -60), (6, -60), (-15, -40), (15, -40),
                     (-20, -20), (20, -20), (-22, 0), (22, 0), (-10, 0), (10, 0), (-10, 30),
                     (10, 30), (-10, 60), (10, 60)], float)
    for i in range(5):
        frames, label = 60, np.zeros((2, 60), int)
        label[0, 30:] = i in (1, 3, 4)
        points = np.tile(body, (2, frames, 1, 1)) + rng.normal(0, 1, (2, frames, 17, 2))
        points += np.array([[200, 200], [500, 200]])[:, None, None]
        flying = np.array([(-45, -60), (45, -60)]) + [200, 200]
        points[0, label[0] > 0, 9:11] = flying + rng.normal(0, 8, (label[0].sum(), 2, 2))
        name = f'clip_{i}'
        split['train' if i < 3 else 'test'].append(name)
        annotations.append(dict(
            frame_dir=name, label=0, img_shape=(400, 700), total_frames=frames,
            keypoint=points.astype(np.float32), keypoint_score=np.ones((2, frames, 17), 'f4'),
            frame_label=label))
    return dict(split=split, annotations=annotations)


@pytest.fixture(scope='module')
def ann_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('tracks') / 'tracks.pkl'
    dump_annotations(recordings(), path)
    return path


@pytest.fixture(scope='module')
def configs(ann_file):
    """The tiny configs on these recordings, with a model that trains in seconds."""
    text = '''
_base_ = {base!r}
data = dict(ann_file={ann!r}, abnormal_labels=(1, ))
model = dict(
    backbone=dict(embed_dims=32, depth=1, num_heads=2, init_cfg=None), {head}=dict(in_channels=32))
loader = dict(num_workers=0)
train_dataloader = dict(**loader, dataset=data)
val_dataloader = dict(**loader, dataset=data)
test_dataloader = val_dataloader
val_evaluator = dict(gt=dict(path=data['ann_file'], abnormal_labels=(1, )))
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = dict(eta_max=3e-3)
'''
    paths = {}
    for name, head in (('dt3', 'head'), ('dt4', 'cls_head')):
        paths[name] = ann_file.with_name(f'{name}.py')
        base = str(ROOT / f'configs/{name}_utkinect_tiny.py')
        paths[name].write_text(text.format(base=base, ann=str(ann_file), head=head))
    return paths


@pytest.mark.parametrize('task', ['dt3', 'dt4'])
def test_train_test_and_result_files(task, configs, ann_file, tmp_path):
    python('train.py', configs[task], '--work-dir', tmp_path)
    done = python('test.py', configs[task], tmp_path / 'epoch_2.pth', '--work-dir', tmp_path)
    results = tmp_path / 'results'
    assert sorted(p.name for p in results.iterdir()) == ['clip_3.png', 'clip_4.png', 'scores.npz']
    scores = np.load(results / 'scores.npz')
    label = np.concatenate([scores[f'clip_{i}/label'] for i in (3, 4)])
    assert label.sum() == 60 and len(label) == 120
    smoothed = np.concatenate([scores[f'clip_{i}/smoothed'] for i in (3, 4)])
    auc = roc_auc_score(~label, smoothed)
    assert f'anomaly/micro_auc: {auc:.4f}' in done.stdout + done.stderr
    if task == 'dt4':
        assert auc > 0.9  # what was labelled abnormal in training is found in other clips


def test_floor_sees_what_no_training_window_shows(configs):
    done = python('analysis/nearest_neighbour.py', configs['dt3'])
    line = next(line for line in done.stdout.splitlines() if 'micro_auc' in line)
    assert float(line.split()[-1]) > 0.9  # flying arms are far from every normal window


def test_untrained_weights_can_be_tested(configs, tmp_path):
    done = python('test.py', configs['dt4'], 'none', '--work-dir', tmp_path)
    assert 'anomaly/micro_auc' in done.stdout + done.stderr


def test_ground_truth_of_another_length_is_named(configs, ann_file, tmp_path):
    data = load_annotations(ann_file)
    for ann in data['annotations']:
        ann.update(total_frames=40, keypoint=ann['keypoint'][:, :40],
                   keypoint_score=ann['keypoint_score'][:, :40],
                   frame_label=ann['frame_label'][:, :40])
    dump_annotations(data, tmp_path / 'short.pkl')
    done = python('test.py', configs['dt4'], 'none', '--work-dir', tmp_path, OPTIONS,
                  f'test_evaluator.gt.path={tmp_path / "short.pkl"}', check=False)
    assert done.returncode and 'has 40 frames, but a window counts for frame' in done.stderr
