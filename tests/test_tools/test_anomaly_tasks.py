"""DT3 and DT4 from the command line: training, testing, result files, baseline, bad input."""

import json
import pickle

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mofm.annotations import dump_annotations, load_annotations
from tests.test_tools.tool_runner import ROOT, here

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
def test_anomaly_tasks_train_and_find_abnormal_frames(task, configs, ann_file, tmp_path):
    here('train.py', configs[task], '--work-dir', tmp_path)
    checkpoint = (tmp_path / 'last_checkpoint').read_text()
    done = here('test.py', configs[task], checkpoint, '--work-dir', tmp_path)
    results = tmp_path / 'results'
    assert sorted(p.name for p in results.iterdir()) == ['clip_3.png', 'clip_4.png', 'scores.npz']
    scores = np.load(results / 'scores.npz')
    label = np.concatenate([scores[f'clip_{i}/label'] for i in (3, 4)])
    assert label.sum() == 60
    assert len(label) == 120
    smoothed = np.concatenate([scores[f'clip_{i}/smoothed'] for i in (3, 4)])
    auc = roc_auc_score(~label, smoothed)
    assert f'anomaly/micro_auc: {auc:.4f}' in done.stdout + done.stderr
    if task == 'dt4':
        assert auc > 0.75  # what was labeled abnormal in training is found in other clips
    else:
        done = here('analysis/jigsaw_pieces.py', configs[task], checkpoint)
        # 4 tracks of 60 frames, windows of 16; 9 pieces and 4 quarters
        assert '176 windows, AUC' in done.stdout
        assert done.stdout.count('│\n') == 13


def test_nearest_neighbors_find_unseen_motion(ann_file, tmp_path):
    options = [OPTIONS, 'model.gallery_size=500', *(
        f'{mode}_dataloader.dataset.{option}' for mode in ('train', 'val', 'test')
        for option in (f'ann_file={ann_file}', 'abnormal_labels=[1]')), *(
        f'{mode}_evaluator.gt.{option}' for mode in ('val', 'test')
        for option in (f'path={ann_file}', 'abnormal_labels=[1]'))]
    done = here('train.py', ROOT / 'configs/dt3_utkinect_neighbors_tiny.py', '--work-dir',
                tmp_path, *options)
    line = next(line for line in done.stdout.splitlines() if 'micro_auc: ' in line)
    assert float(line.split('micro_auc: ')[1].split()[0]) > 0.8  # far from every normal window


def test_anomaly_untrained_weights_can_be_tested(configs, tmp_path):
    done = here('test.py', configs['dt4'], 'none', '--work-dir', tmp_path)
    assert 'anomaly/micro_auc' in done.stdout + done.stderr


def test_anomaly_names_ground_truth_of_another_length(configs, ann_file, tmp_path):
    data = load_annotations(ann_file)
    for ann in data['annotations']:
        ann.update(total_frames=40, keypoint=ann['keypoint'][:, :40],
                   keypoint_score=ann['keypoint_score'][:, :40],
                   frame_label=ann['frame_label'][:, :40])
    dump_annotations(data, tmp_path / 'short.pkl')
    done = here('test.py', configs['dt4'], 'none', '--work-dir', tmp_path, OPTIONS,
                f'test_evaluator.gt.path={tmp_path / "short.pkl"}', check=False)
    assert done.returncode == 1
    assert 'has 40 frames, but a window is at frame' in done.stderr


SMALL = ('model.backbone.embed_dims=16', 'model.backbone.depth=1', 'model.backbone.num_heads=2',
         'model.backbone.embed.type=LinearCubeEmbed', 'model.backbone.init_cfg=None',
         'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
         'test_dataloader.num_workers=0')


def write_poses(folder, clips, frames):
    """Files of STG-NF with two persons each, the second for a part of the clip."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for clip in clips:
        persons = {}
        for person, first in ((1, 0), (4, frames // 3)):
            poses = rng.uniform(50, 400, (1, 17, 2)) + rng.normal(0, 2, (frames, 17, 2)).cumsum(0)
            persons[person] = {
                f'{t:04}': dict(keypoints=np.pad(poses[t], ((0, 0), (0, 1)),
                                                 constant_values=.9).ravel().tolist(), scores=2.)
                for t in range(first, frames)}
        (folder / f'{clip}_alphapose_tracked_person.json').write_text(json.dumps(persons))


def run_task(config, head, tmp_path, *options):
    """Train and test a full-size config with a small model; its metrics."""
    options = (OPTIONS, *SMALL, f'model.{head}.in_channels=16', *options)
    here('train.py', ROOT / 'configs' / config, '--work-dir', tmp_path / 'run', *options)
    checkpoint = (tmp_path / 'run/last_checkpoint').read_text()
    done = here('test.py', ROOT / 'configs' / config, checkpoint, '--work-dir', tmp_path / 'run',
                  *options)
    assert 'anomaly/micro_auc' in done.stdout + done.stderr
    return np.load(tmp_path / 'run/results/scores.npz')


def test_anomaly_shanghaitech_runs_from_published_files(tmp_path):
    write_poses(tmp_path / 'pose/train', ['01_001', '01_002'], 60)
    write_poses(tmp_path / 'pose/test', ['01_0014', '01_0015'], 60)
    (tmp_path / 'gt').mkdir()
    for clip in ('01_0014', '01_0015'):
        np.save(tmp_path / f'gt/{clip}.npy', (np.arange(60) > 40).astype(np.uint8))
    here('data/prepare.py', 'shanghaitech', tmp_path / 'pose', tmp_path / 'sht.pkl')
    ann_file = f'dataset.ann_file={tmp_path / "sht.pkl"}'
    scores = run_task(
        'dt3_sht.py', 'head', tmp_path, *(f'{mode}_dataloader.{ann_file}'
                                          for mode in ('train', 'val', 'test')),
        *(f'{mode}_evaluator.gt.path={tmp_path / "gt"}' for mode in ('val', 'test')))
    assert scores['01_0014/label'].sum() == 19
    assert len(scores['01_0015/score']) == 60
    # windows of 48 frames count for their centers: frames 24 to 35 of a track of 60 frames
    filled = scores['01_0014/score'] == max(scores[f'{c}/score'].max() for c in
                                            ('01_0014', '01_0015'))
    assert filled[:24].all()
    assert filled[44:].all()
    assert not filled[24:36].all()


def test_anomaly_ubnormal_runs_from_published_files(tmp_path):
    normal, abnormal = 'normal_scene_1_scenario_1', 'abnormal_scene_1_scenario_2'
    test = 'abnormal_scene_1_scenario_3'
    for folder, clip in (('train', normal), ('abnormal_train', abnormal), ('test', test)):
        write_poses(tmp_path / 'pose' / folder, [clip], 60)
    (tmp_path / 'gt').mkdir()
    (tmp_path / f'gt/{abnormal}_tracks.txt').write_bytes(b'7,0,60\r\n')
    with open(tmp_path / f'gt/{test}_tracks.txt', 'wb') as file:
        np.save(file, (np.arange(60) < 40).astype(float))  # 1 = normal
    masks = tmp_path / f'masks/Scene1/{abnormal}_annotations'
    masks.mkdir(parents=True)
    for t in range(60):
        cv2.imwrite(str(masks / f'{abnormal}_{t:04}_gt.png'), np.full((720, 1280), 7, np.uint8))
    done = here('data/prepare.py', 'ubnormal', tmp_path / 'pose', tmp_path / 'ub.pkl',
                  '--gt', tmp_path / 'gt', '--masks', tmp_path / 'masks')
    assert '0 of 3 files skipped' in done.stdout
    scores = run_task(
        'dt4_ubnormal.py', 'cls_head', tmp_path, 'train_cfg.max_epochs=1',
        *(f'{mode}_dataloader.dataset.ann_file={tmp_path / "ub.pkl"}'
          for mode in ('train', 'val', 'test')),
        *(f'{mode}_evaluator.gt.path={tmp_path / "gt"}' for mode in ('val', 'test')))
    assert scores[f'{test}/label'].sum() == 20
    assert scores[f'{test}/score'].max() <= 1


@pytest.mark.parametrize(('config', 'name', 'train', 'test'), [
    ('dt3_poselift.py', 'poselift', 'Train/1_{}.pkl', 'Test/2_{}.pkl'),
    ('dt4_chad.py', 'chad', 'annotations/1_{}_1.pkl', 'annotations/2_{}_0.pkl')])
def test_anomaly_videos_run_from_published_files(config, name, train, test, tmp_path):
    rng = np.random.default_rng(0)
    split = {}
    for form, part in ((train, 'train'), (test, 'test')):
        for i in range(2):
            frames = {}
            for person, first in ((1, 0), (4, 20)):
                points = rng.uniform(50, 400, (17, 2)) + rng.normal(0, 2, (60, 17, 2)).cumsum(0)
                for t in range(first, 60):
                    frames.setdefault(t, {})[person] = [
                        [50, 50, 350, 350], np.c_[points[t], np.full(17, .9)]]
            file = tmp_path / 'data' / form.format(i)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pickle.dumps(frames))
            labels = np.arange(60) < 19 if name == 'chad' or part == 'test' else np.zeros(60)
            np.save(file.with_suffix('.npy'), labels)
            split[part] = split.get(part, '') + f'{file.stem}\n'
    if name == 'chad':
        for part, lines in split.items():
            (tmp_path / f'data/{part}_split_2.txt').write_text(lines)
    done = here('data/prepare.py', name, tmp_path / 'data', tmp_path / 'a.pkl')
    assert '0 of 4 files skipped' in done.stdout
    scores = run_task(
        config, 'head' if 'dt3' in config else 'cls_head', tmp_path, 'train_cfg.max_epochs=1',
        *(f'{mode}_dataloader.dataset.ann_file={tmp_path / "a.pkl"}'
          for mode in ('train', 'val', 'test')),
        *(f'{mode}_evaluator.gt.path={tmp_path / "data"}' for mode in ('val', 'test')))
    clips = split['test'].split()
    assert sorted({key.split('/')[0] for key in scores}) == clips
    for clip in clips:
        assert scores[f'{clip}/label'].sum() == 19
        assert len(scores[f'{clip}/score']) == 60
