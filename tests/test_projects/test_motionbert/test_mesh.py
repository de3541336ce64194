"""Mesh recovery: head, losses, metrics, data, test-time flip, training through a config."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from scipy.spatial.transform import Rotation

import projects.motionbert.dstformer  # noqa: F401
import projects.motionbert.lifting.curriculum  # noqa: F401
import projects.motionbert.mesh  # noqa: F401
from mofm.annotations import AnnotationError
from mofm.datasets import motion_collate
from mofm.hub.checkpoint import load_local
from mofm.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mofm.utils.config import load_config
from projects.motionbert.mesh import Mesh
from tests.test_projects.test_motionbert.smpl_stand_in import H36M_PARTNER, make_fields, write_smpl

pytest.importorskip('smplx')
CONFIGS = Path(__file__).resolve().parents[3] / 'projects/motionbert/configs'
BACKBONE = dict(type='DSTformerBackbone', embed_dims=32, rep_dims=32, depth=1, num_heads=4,
                max_frames=27)


@pytest.fixture
def files(tmp_path):
    return write_smpl(tmp_path)


def model_cfg(files):
    head = dict(type='SMPLHead', mean_params=files['mean_params'], in_channels=32,
                hidden_dims=32, dropout=0.)
    body = {k: files[k] for k in ('model_path', 'joint_regressor')}
    return dict(type='MeshRecoverer', backbone=BACKBONE, head=head,
                body_model=dict(type='SMPL', **body), loss=dict(type='MeshLoss'),
                data_preprocessor=dict(type='MeshDataPreprocessor'))


def random_mesh(seed, batch=(2, 5), vertices=20):
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(24 * int(np.prod(batch)), random_state=seed).as_matrix()
    return dict(rotations=rotations.reshape(*batch, 24, 3, 3),
                betas=rng.standard_normal((*batch, 10)),
                vertices=rng.standard_normal((*batch, vertices, 3)) * 300,
                joints=rng.standard_normal((*batch, 17, 3)) * 300)


def as_tensors(mesh):
    return Mesh(**{k: torch.tensor(v) for k, v in mesh.items()})


def test_smpl_head_has_published_parameters(files):
    head = MODELS.build(dict(type='SMPLHead', mean_params=files['mean_params']))
    shapes = {name: tuple(value.shape) for name, value in head.state_dict().items()
              if 'num_batches' not in name}
    norm = {'weight': (1024, ), 'bias': (1024, ), 'running_mean': (1024, ),
            'running_var': (1024, )}
    expected = {f'bn{i}.{k}': v for i in (1, 2) for k, v in norm.items()}
    for name, out, into in (('fc1', 1024, 8704), ('fc2', 1024, 8704), ('head_pose', 144, 1024),
                            ('head_shape', 10, 1024)):
        expected.update({f'{name}.weight': (out, into), f'{name}.bias': (out, )})
    assert shapes == dict(expected, init_pose=(1, 144), init_shape=(1, 10))
    bound = 0.01 * (6 / (1024 + 144)) ** 0.5  # Xavier
    assert 0.99 * bound < head.head_pose.weight.abs().max() <= bound


def test_smpl_head_equals_formula(files):
    torch.manual_seed(0)
    head = MODELS.build(model_cfg(files)['head']).double().eval()
    for layer in (head.head_pose, head.head_shape):
        torch.nn.init.normal_(layer.weight)
    for norm in (head.bn1, head.bn2):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 3, 17, 32, dtype=torch.float64)
    rotations, betas = head(x)
    p = {k: v.detach().numpy() for k, v in head.state_dict().items()}

    def branch(features, i, out):
        hidden = p[f'fc{i}.weight'] @ features + p[f'fc{i}.bias']
        hidden = (hidden - p[f'bn{i}.running_mean']) / np.sqrt(p[f'bn{i}.running_var'] + 1e-5)
        hidden = np.maximum(hidden * p[f'bn{i}.weight'] + p[f'bn{i}.bias'], 0)
        return p[f'{out}.weight'] @ hidden + p[f'{out}.bias']

    for n in range(2):
        shape = branch(x[n].numpy().reshape(3, -1).mean(0), 2, 'head_shape') + p['init_shape'][0]
        for t in range(3):
            np.testing.assert_allclose(betas[n, t].detach(), shape)
            six = branch(x[n, t].numpy().ravel(), 1, 'head_pose') + p['init_pose'][0]
            for joint, (a, b, c, d, e, f) in zip(rotations[n, t].detach().numpy(),
                                                 six.reshape(24, 6), strict=True):
                q, r = np.linalg.qr(np.array([[a, b], [c, d], [e, f]]))
                q = q * np.sign(np.diag(r))  # Gram-Schmidt
                np.testing.assert_allclose(joint[:, :2], q, atol=1e-9)
                assert np.linalg.det(joint) == pytest.approx(1)


def test_mesh_loss_equals_formula():
    pred, target = random_mesh(0), random_mesh(1)
    found = MODELS.build(dict(type='MeshLoss'))(as_tensors(pred), as_tensors(target))
    p, t = (m['joints'] - m['joints'][..., :1, :] for m in (pred, target))
    vectors = Rotation.from_matrix(pred['rotations'].reshape(-1, 3, 3)).as_rotvec()
    theta = np.concatenate([vectors.reshape(2, 5, 72), pred['betas']], -1)
    velocity = (p[:, 1:] - p[:, :-1]) - (t[:, 1:] - t[:, :-1])
    expected = dict(
        loss_joints=0.5 * np.sqrt(((p - t)**2).sum(-1)).mean(),
        loss_velocity=10 * np.sqrt((velocity**2).sum(-1)).mean(),
        loss_pose=1000 * np.abs(pred['rotations'] - target['rotations']).mean(),
        loss_shape=np.abs(pred['betas'] - target['betas']).mean(),
        loss_norm=20 * np.sqrt((theta**2).sum(-1)).mean())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-6), name
    paper = MODELS.build(dict(type='MeshLoss', joint_norm=1, joints=1.))(
        as_tensors(pred), as_tensors(target))
    assert paper['loss_joints'].item() == pytest.approx(np.abs(p - t).sum(-1).mean())


def test_mesh_loss_of_images_has_no_velocity():
    meshes = [as_tensors(random_mesh(i, (3, 1))) for i in range(2)]
    assert MODELS.build(dict(type='MeshLoss'))(*meshes)['loss_velocity'] == 0


def samples_of(pred, target):
    return [dict(pred_vertices=p.vertices, gt_vertices=t.vertices, pred_keypoints_3d=p.joints,
                 gt_keypoints_3d=t.joints)
            for p, t in zip(*([Mesh(*parts) for parts in zip(*as_tensors(m), strict=True)]
                              for m in (pred, target)), strict=True)]


def evaluate(samples):
    metric = METRICS.build(dict(type='MeshAccuracy'))
    for sample in samples:
        metric.process({}, [sample])
    return metric.evaluate(len(samples))


def test_mesh_metrics_equal_formulas():
    pred, target = random_mesh(2, (3, 1, 4)), random_mesh(3, (3, 1, 4))
    found = evaluate(samples_of(pred, target))
    roots = [m['joints'][..., :1, :] for m in (pred, target)]
    difference = (pred['vertices'] - roots[0]) - (target['vertices'] - roots[1])
    assert found['mesh/mpve'] == pytest.approx(np.linalg.norm(difference, axis=-1).mean())
    error = (pred['joints'] - roots[0]) - (target['joints'] - roots[1])
    error = np.linalg.norm(error, axis=-1)
    assert found['mesh/mpjpe_17'] == pytest.approx(error.mean())
    fourteen = [1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16]
    assert found['mesh/mpjpe'] == pytest.approx(error[..., fourteen].mean())


def test_mesh_aligned_metrics_ignore_similarity():
    target = random_mesh(4, (2, 1, 4))
    turn = Rotation.from_rotvec([0.3, -1.2, 2.]).as_matrix()
    pred = dict(target, joints=1.7 * target['joints'] @ turn.T + 40,
                vertices=target['vertices'] + [5., 0, 0])
    pred['joints'][..., 7, :] += 30  # not among the 14
    found = evaluate(samples_of(pred, target))
    assert found['mesh/pa_mpjpe'] == pytest.approx(0, abs=1e-6)
    assert found['mesh/pa_mpjpe_17'] > 1
    assert found['mesh/mpjpe'] > 100


def test_mesh_metric_names_missing_truth_and_nan():
    sample, = samples_of(random_mesh(5, (1, 1, 2)), random_mesh(6, (1, 1, 2)))
    with pytest.raises(ValueError, match='gt_vertices of .*found nothing'):
        evaluate([{k: v for k, v in sample.items() if k != 'gt_vertices'}])
    sample['pred_vertices'][0, 0, 0] = np.nan
    with pytest.raises(ValueError, match='NaN or infinite'):
        evaluate([sample])


def write_data(path, lengths=(40, 33, 9), cameras=('54138969', '55011271', '58860488'), seed=0):
    """Write bodies whose 2D keypoints determine the pose, in the format of the mesh data."""
    rng = np.random.default_rng(seed)
    parts = dict()
    for split, shift in (('train', 0), ('test', 1)):
        n = sum(lengths)
        basis = np.random.default_rng(7).standard_normal((2, 24, 3)) * 0.4
        phase = np.concatenate([np.arange(t) * 0.3 + shift for t in lengths])
        wave = np.stack([np.sin(phase), np.cos(phase)], 1)
        pose = np.einsum('nk,kjc->njc', wave, basis).reshape(n, 72)
        points = 500 + 300 * wave[:, :1, None] * np.sin(np.arange(34)).reshape(17, 2)
        points += 200 * wave[:, 1:, None] * np.cos(np.arange(34)).reshape(17, 2)
        parts[split] = dict(
            joint_2d=points.astype(np.float32),
            confidence=rng.uniform(0.5, 1.5, (n, 17)).astype(np.float32), smpl_pose=pose,
            smpl_shape=np.repeat(rng.standard_normal((len(lengths), 10)), lengths, 0),
            camera_name=np.repeat(cameras, lengths).tolist(),
            source=np.repeat([f's_01_act_02_subact_0{i}' for i in range(len(lengths))],
                             lengths).tolist())
    path.write_bytes(pickle.dumps(parts))
    return parts


def build_dataset(path, **kwargs):
    return DATASETS.build(dict(type='MeshDataset', ann_file=str(path), **kwargs))


def test_mesh_dataset_cuts_videos_and_normalizes_by_camera(tmp_path):
    data = write_data(tmp_path / 'mesh.pkl')['train']
    dataset = build_dataset(tmp_path / 'mesh.pkl', clip_len=16, stride=8,
                            pipeline=[TRANSFORMS.build(dict(type='NormalizeByWidth'))])
    # 4 windows of 40 frames, 3 of 33 and a resampled one of 9
    assert [int(dataset[i]['source'][-1]) for i in range(len(dataset))] == [0] * 4 + [1] * 3 + [2]
    for i in range(len(dataset)):
        sample = dataset[i]
        frames = sample['frame_inds']
        assert frames.shape == (16, )
        assert len({data['source'][i] for i in frames}) == 1
        height = 1002 if sample['source'].endswith('0') else 1000
        x, y = np.moveaxis(data['joint_2d'][frames].astype(float), -1, 0)
        expected = np.stack([x / 1000 * 2 - 1, y / 1000 * 2 - height / 1000], -1)
        np.testing.assert_allclose(sample['keypoint'], expected, atol=1e-6)
        np.testing.assert_array_equal(sample['keypoint_score'],
                                      data['confidence'][frames].clip(0, 1))
        np.testing.assert_allclose(sample['smpl_pose'].reshape(16, 72), data['smpl_pose'][frames],
                                   atol=1e-6)
    images = build_dataset(tmp_path / 'mesh.pkl', clip_len=1, stride=1, img_shape=(640, 640))
    assert len(images) == 82
    assert images[0]['img_shape'] == (640, 640)


@pytest.mark.parametrize(('field', 'value', 'message'), [
    ('smpl_pose', np.zeros((20, 69)), r'smpl_pose: found float64 of shape \(20, 69\)'),
    ('smpl_shape', np.full((20, 10), np.inf), 'smpl_shape: found 200 values that are NaN'),
    ('confidence', None, 'confidence: found NoneType'),
    ('camera_name', None, 'camera_name: found NoneType, expected 20 texts'),
    ('camera_name', ['phone'] * 20, "found 'phone', expected .*54138969.*'cameras'")])
def test_mesh_dataset_names_bad_data(field, value, message, tmp_path):
    data = write_data(tmp_path / 'mesh.pkl', (20, ), ('54138969', ))
    data['train'][field] = value
    (tmp_path / 'mesh.pkl').write_bytes(pickle.dumps(data))
    with pytest.raises(AnnotationError, match=message):
        build_dataset(tmp_path / 'mesh.pkl')


def test_mesh_dataset_names_origin_of_missing_data(tmp_path):
    with pytest.raises(AnnotationError, match='nowhere.pkl: no such file; .*MotionBERT'):
        build_dataset(tmp_path / 'nowhere.pkl')


def test_mesh_flip_mirrors_keypoints_and_bodies_alike(tmp_path, files):
    """Keypoints are projected joints of the body, so their mirror images must match, too."""
    body = MODELS.build(model_cfg(files)['body_model'])
    torch.manual_seed(0)
    theta = torch.cat([0.5 * torch.randn(3, 72), torch.randn(3, 10)], 1)
    joints = body.from_theta(theta).joints
    results = dict(keypoint=joints[..., :2].numpy() / 1000,
                   keypoint_score=np.random.default_rng(0).random((3, 17), np.float32),
                   smpl_pose=theta[:, :72].reshape(3, 24, 3).numpy(), smpl_shape=theta[:, 72:])
    score = results['keypoint_score']
    for name in ('MeshFlip', 'PackMeshInputs'):
        transform = dict(type=name, prob=1.) if name == 'MeshFlip' else dict(type=name)
        results = TRANSFORMS.build(transform)(results)
    inputs = results['inputs']
    assert inputs['theta'].shape == (1, 3, 82)
    assert inputs['keypoints'].shape == (1, 17, 3, 3)
    flipped = body.from_theta(inputs['theta'][0]).joints
    torch.testing.assert_close(inputs['keypoints'][0, ..., :2].transpose(0, 1),
                               flipped[..., :2] / 1000, atol=1e-4, rtol=0)
    np.testing.assert_array_equal(inputs['keypoints'][0, ..., 2].T, score[:, H36M_PARTNER])


def test_mesh_prediction_of_mirror_image_is_mirrored(files):
    torch.manual_seed(0)
    model = MODELS.build(model_cfg(files)).eval()
    torch.nn.init.normal_(model.head.head_pose.weight, std=0.3)
    x = torch.randn(1, 2, 4, 17, 3)
    with torch.no_grad():
        theta, vertices, joints = model.recover(x)
        mirror = torch.tensor([-1., 1, 1])
        other = model.recover(x[..., H36M_PARTNER, :] * mirror)
        once, twice = model(x), model(x[..., H36M_PARTNER, :] * mirror)
    assert theta.shape == (1, 2, 4, 82)
    assert joints.shape == (1, 2, 4, 17, 3)
    pairs = make_fields()[2]
    torch.testing.assert_close(other[1], vertices[..., pairs, :] * mirror, atol=0.2, rtol=0)
    torch.testing.assert_close(other[2], joints[..., H36M_PARTNER, :] * mirror, atol=0.2, rtol=0)
    # expected: mean of one run and the mirrored mesh of the other
    expected = (once.vertices + twice.vertices[..., pairs, :] * mirror) / 2
    torch.testing.assert_close(vertices, expected, atol=0.2, rtol=0)
    assert (expected - once.vertices).abs().max() > 10
    torch.testing.assert_close(theta[..., 72:], (once.betas + twice.betas) / 2)
    model.flip_test = False
    torch.testing.assert_close(model.recover(x)[1], once.vertices)


@pytest.mark.slow
def test_mesh_training_through_config_reduces_error(tmp_path, files, monkeypatch):
    monkeypatch.setattr(Config, 'pretty_text', '')  # slower than the training
    write_data(tmp_path / 'mesh.pkl')
    cfg = load_config(CONFIGS / 'mesh_pw3d_scratch.py')
    cfg.work_dir = str(tmp_path / 'work')
    cfg.model = model_cfg(files)
    for loader in (*cfg.train_cfg.extra_dataloaders, cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=8, num_workers=0, persistent_workers=False)
        if loader.dataset.clip_len == 1:
            loader.batch_size = 24
        loader.dataset.update(ann_file=str(tmp_path / 'mesh.pkl'), img_shape=(1000, 1000))
    cfg.train_cfg.extra_dataloaders[0].epochs = (0, 2)
    cfg.train_cfg.update(max_epochs=12, val_interval=11, val_begin=1)
    cfg.optim_wrapper.optimizer.lr = 3e-3
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.interval = 12
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    runner = Runner.from_cfg(cfg)
    runner.val_loop.run()
    first = runner.message_hub.get_scalar('val/mesh/mpve').current()
    runner.train()
    log, = Path(cfg.work_dir).glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    last = [row['mesh/mpve'] for row in rows if 'mesh/mpve' in row][-1]
    assert last < 0.6 * first
    losses = [row['loss'] for row in rows if 'loss' in row]
    # one batch of Human3.6M (first two epochs), three of images, one of 3DPW, all complete
    assert len(losses) == 2 * 1 + 12 * (3 + 1)
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])
    state = load_local(tmp_path / 'work/epoch_12.pth')['state_dict']
    assert not any(name.startswith('body_model') for name in state)

    batch = next(iter(runner.val_dataloader))
    samples = runner.model.val_step(batch)
    assert samples[0].pred_theta.shape == (1, 16, 82)
    assert samples[0].pred_vertices.shape == samples[0].gt_vertices.shape == (1, 16, 64, 3)
    assert samples[0].pred_keypoints_3d.shape == (1, 16, 17, 3)
    body = runner.model.body_model.from_theta(samples[0].pred_theta)
    torch.testing.assert_close(body.vertices, samples[0].pred_vertices, atol=60, rtol=0)
    assert 500 < samples[0].gt_vertices.abs().max() < 5000  # mm


@pytest.mark.parametrize(('name', 'epochs', 'lr', 'backbone', 'clip', 'hidden'), [
    ('h36m', 60, 5e-4, 5e-5, (16, 8), 1024), ('h36m_scratch', 100, 1e-4, 1e-4, (16, 8), 1024),
    ('pw3d', 60, 5e-4, 5e-5, (16, 8), 1024), ('pw3d_scratch', 60, 1e-4, 1e-4, (16, 8), 1024)])
def test_mesh_configs_have_published_values(name, epochs, lr, backbone, clip, hidden):
    cfg = load_config(CONFIGS / f'mesh_{name}.py')
    assert cfg.train_cfg.max_epochs == epochs
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', lr, 0.01)
    factor = cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult
    assert factor * lr == pytest.approx(backbone)
    assert cfg.param_scheduler.gamma == 0.98
    assert cfg.model.head.hidden_dims == hidden
    assert cfg.model.head.dropout == 0.1
    assert ('scratch' in name) == (cfg.model.backbone.init_cfg is None)
    extra = cfg.train_cfg.get('extra_dataloaders', [])
    assert [loader.epochs for loader in extra] == ([(0, 20), (0, 100)] if 'pw3d' in name else [])
    loaders = [*extra, cfg.train_dataloader]
    for loader in loaders:
        dataset = loader.dataset
        images = 'coco' in dataset.ann_file
        assert (dataset.clip_len, dataset.stride) == ((1, 1) if images else clip)
        assert loader.batch_size == (512 if images else 128)
        assert dataset.get('img_shape') == {'h36m': None, 'coco': (640, 640), 'pw3d': (1920, 1920)
                                            }[dataset.ann_file[-8:-4]]
    names = ['h36m', 'coco', 'pw3d'] if 'pw3d' in name else ['h36m']
    assert [loader.dataset.ann_file[-8:-4] for loader in loaders] == names
    assert cfg.val_dataloader.dataset.stride == cfg.val_dataloader.dataset.clip_len == clip[0]


@pytest.mark.parametrize(('name', 'sets'), [
    ('h36m_paper', ['h36m']), ('pw3d_paper', ['h36m', 'coco', 'pw3d']),
    ('pw3d_transfer', ['coco', 'h36m']), ('pw3d_transfer_paper', ['coco', 'h36m']),
    ('h36m_probe', ['h36m']), ('pw3d_transfer_probe', ['coco', 'h36m'])])
def test_mesh_configs_of_the_paper_have_its_values_and_learn(name, sets, files, tmp_path):
    init_default_scope('mofm')
    cfg = load_config(CONFIGS / f'mesh_{name}.py')
    loaders = [*cfg.train_cfg.get('extra_dataloaders', []), cfg.train_dataloader]
    assert [loader.dataset.ann_file[-8:-4] for loader in loaders] == sets
    assert not any('epochs' in loader for loader in loaders)
    assert 'h36m' in name or cfg.train_cfg.extra_begin == 0
    assert cfg.model.backbone.get('frozen', False) == ('probe' in name)
    assert cfg.test_dataloader.dataset.ann_file[-8:-4] == name[:4]
    if 'paper' in name:
        rate = cfg.optim_wrapper.optimizer.lr
        factor = cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult
        assert (rate, rate * factor) == pytest.approx((1e-3, 1e-4))
        assert (cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size) == (140, 32)
        assert cfg.auto_scale_lr.base_batch_size == 32
        dataset, head = cfg.train_dataloader.dataset, cfg.model.head
        assert (dataset.clip_len, dataset.stride, head.hidden_dims) == (81, 27, 2048)
        loss = cfg.model.loss
        assert (loss.velocity, loss.norm, loss.joint_norm) == (0, 0, 1)
        lifting = load_config(CONFIGS / 'pretrain_dstformer_paper.py').model.backbone
        assert cfg.model.backbone.embed_dims == lifting.embed_dims == 256
        assert 'pretrain_dstformer_paper/epoch_80' in cfg.model.backbone.init_cfg.checkpoint

    write_data(tmp_path / 'mesh.pkl')
    small = model_cfg(files)
    model = MODELS.build(dict(small, loss=cfg.model.loss)).train()
    for loader in loaders:
        loader.dataset.update(ann_file=str(tmp_path / 'mesh.pkl'), img_shape=(1000, 1000))
        loader.dataset.update(clip_len=min(loader.dataset.clip_len, 16))
        dataset = DATASETS.build(loader.dataset)
        data = model.data_preprocessor(motion_collate([dataset[0], dataset[1]]), training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
        assert loss.isfinite()
    assert model.head.fc1.weight.grad.abs().sum() > 0
