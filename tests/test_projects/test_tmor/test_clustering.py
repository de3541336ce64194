"""Clustering against scikit-learn, and its hook in training."""

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from sklearn.cluster import DBSCAN
from sklearn.neighbors import NearestNeighbors
from torch import nn

from mofm.annotations import dump_annotations
from mofm.datasets import motion_collate
from mofm.registry import DATASETS, MODELS
from mofm.structures import MotionFeatures
from mofm.utils.config import load_config
from projects.tmor.contrast import ClusterDBSCAN, ClusterHook, clustering
from projects.tmor.contrast.clustering import Clusters, dbscan
from projects.tmor.contrast.hooks import agreement
from projects.tmor.language.tables import FeatureTable

FOLDER = Path(__file__).resolve().parents[3] / 'projects/tmor/configs'


def blobs(sizes, noise, dims=8, seed=0):
    """Draw unit vectors around one direction per size, (N, dims) float64."""
    rng = np.random.default_rng(seed)
    centers = np.eye(dims)[:len(sizes)].repeat(sizes, 0)
    x = centers + noise * rng.normal(size=centers.shape)
    return torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True))


def mixed(seed):
    """Five groups with noise around them; six points twice, (306, 8)."""
    x = blobs([80, 60, 40, 20, 100], 0.25, seed=seed)
    return torch.cat([x, x[::50]])[torch.randperm(306, generator=torch.manual_seed(seed))]


@pytest.mark.parametrize('seed', range(4))
def test_dbscan_equals_sklearn(seed, monkeypatch):
    """Labels have the same order, including border points between clusters."""
    monkeypatch.setitem(clustering._SIDE, 'cpu', 50)  # noqa: SLF001  tiles
    monkeypatch.setattr(clustering, '_CHUNK', 7)
    x = mixed(seed)
    kinds = set()
    for eps in (0.2, 0.4, 0.5, 0.6, 0.7, 1.2):
        expected = DBSCAN(eps=eps, min_samples=4).fit(x.numpy())
        labels = dbscan(x, eps, 4)
        assert labels.tolist() == expected.labels_.tolist()
        core = np.isin(range(306), expected.core_sample_indices_)
        kinds.add((int(labels.max()) > 0, bool((labels < 0).any()),
                   bool(((labels >= 0).numpy() & ~core).any())))
    assert len(kinds) > 1
    assert (True, True, True) in kinds


def test_dbscan_is_exact_where_float32_is_not():
    """Pairs of points on a circle, half of them nearer than eps by 1e-9."""
    eps = 0.01
    angle = 2 * np.arcsin((eps + np.tile([-1e-9, 1e-9], 100)) / 2)
    first = np.arange(200) * 0.03
    angles = torch.from_numpy(np.stack([first, first + angle], 1).ravel())
    x = torch.stack([angles.cos(), angles.sin()], 1)
    labels = dbscan(x, eps, 2)
    assert (labels[0::4] >= 0).all()
    assert (labels[1::4] == labels[0::4]).all()
    assert (labels.view(-1, 4)[:, 2:] == -1).all()
    assert labels.tolist() == DBSCAN(eps=eps, min_samples=2).fit_predict(x.numpy()).tolist()
    single = x.float()
    cos = (single[0::2] * single[1::2]).sum(1)
    wrong = (cos >= 1 - eps**2 / 2).numpy() != np.tile([True, False], 100)
    assert wrong.any()


def process(rank: int, folder):
    """Cluster on one of two processes, with a random state of its own."""
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank,
                                         world_size=2)
    torch.manual_seed(rank)
    clustering._SIDE['cpu'], clustering._SUBSET = 50, 100  # noqa: SLF001
    found = [dbscan(mixed(seed), 0.5, 4) for seed in range(4)]
    adaptive = ClusterDBSCAN(percentile=30, max_share=0.5)(mixed(0))
    torch.save((found, tuple(adaptive)), folder / f'{rank}.pth')
    torch.distributed.destroy_process_group()


def test_dbscan_on_two_processes_equals_one(tmp_path):
    context = multiprocessing.get_context('fork')  # torch is imported already
    processes = [context.Process(target=process, args=(rank, tmp_path)) for rank in range(2)]
    for p in processes:
        p.start()
    for p in processes:
        p.join(60)
        assert p.exitcode == 0
    (found, adaptive), other = (
        torch.load(tmp_path / f'{rank}.pth', weights_only=True) for rank in range(2))
    for seed, labels in enumerate(found):
        assert labels.tolist() == dbscan(mixed(seed), 0.5, 4).tolist()
        assert labels.tolist() == other[0][seed].tolist()
    adaptive, other = Clusters(*adaptive), Clusters(*other[1])
    assert adaptive.eps == other.eps
    assert adaptive.labels.tolist() == other.labels.tolist()
    assert adaptive.labels.tolist() == dbscan(mixed(0), adaptive.eps, 4).tolist()
    assert adaptive.labels.max() > 0


def test_dbscan_radius_follows_the_distances():
    x = blobs([50, 50, 50], 0.1)
    bank = torch.zeros(160, 8).double()
    bank[5:155] = 3 * x  # lengths are ignored, the other rows are empty
    distance = NearestNeighbors(n_neighbors=5).fit(x.numpy()).kneighbors()[0][:, 3]
    expected = np.percentile(distance, 30)
    found = ClusterDBSCAN(percentile=30, max_share=1)(bank)
    assert found.eps == pytest.approx(expected, rel=1e-6)
    labels = DBSCAN(eps=found.eps, min_samples=4).fit_predict(x.numpy())
    assert found.labels[5:155].tolist() == labels.tolist()
    assert labels.max() > 0
    assert (found.labels[:5] == -1).all()
    assert (found.labels[155:] == -1).all()


def test_dbscan_guards_against_one_and_no_cluster(monkeypatch):
    """One cluster, no cluster, equal features, no features."""
    printed = []
    monkeypatch.setattr(clustering, 'print_log', lambda text, *_: printed.append(text))
    torch.manual_seed(0)
    # the radius is too large for groups of 10, until it is halved twice
    x = blobs([10] * 8, 0.02)
    found = ClusterDBSCAN(eps=1.5)(x)
    assert found.eps == pytest.approx(0.75)
    assert found.labels.tolist() == np.repeat(range(8), 10).tolist()
    # halved three times it is still one cluster
    one = ClusterDBSCAN(eps=1.5)(blobs([80], 0.02))
    assert (one.labels == -1).all()
    assert one.eps == pytest.approx(1.5 / 8)
    for nothing in (ClusterDBSCAN(eps=0.1)(blobs([1] * 8, 0.01)),
                    ClusterDBSCAN()(torch.ones(50, 8).half()), ClusterDBSCAN()(torch.zeros(9, 8))):
        assert (nothing.labels == -1).all()
    text = '\n'.join(printed)
    assert 'found a cluster with 100% of the samples at eps 1.5, expected at most 20%' in text
    assert 'collapsed' in text
    assert 'features of 0 samples' in text
    with pytest.raises(ValueError, match='percentile: found 101'):
        ClusterDBSCAN(percentile=101)


def test_cluster_agreement_equals_formulas():
    """A part with its own labels, one with a single label, and samples without a cluster."""
    clusters = np.array([0, 0, 0, 1, 1, -1, 0, 2, 2, 1])
    labels = np.array([4, 4, 5, 5, 5, 4, 4, 0, 0, 0])
    parts = np.array([0] * 7 + [1] * 3)
    values = agreement(clusters, labels, parts)
    assert values['purity'] == pytest.approx((3 + 2) / 6)
    joint = np.array([[3, 0], [1, 2]]) / 6  # label by cluster

    def entropy(p):
        p = p[p > 0]
        return -(p * np.log(p)).sum()

    first, second = entropy(joint.sum(0)), entropy(joint.sum(1))
    mutual = first + second - entropy(joint)
    assert values['nmi'] == pytest.approx(2 * mutual / (first + second))
    assert agreement(clusters, 0 * labels, parts) == {}


@MODELS.register_module()
class MeanPoseEncoder(nn.Module):
    """Stand-in for a backbone: a layer on the mean pose."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(34, 256)

    def forward(self, inputs):
        pooled = self.fc(inputs.mean((1, 2)).flatten(1)).relu()
        return MotionFeatures(pooled[:, None], pooled, torch.ones(len(pooled), 1).bool())


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Two annotation files of 12 and 9 clips, three poses each, and tables for all clips."""
    folder, rng = tmp_path_factory.mktemp('clips'), np.random.default_rng(0)
    poses = rng.uniform(100, 400, (3, 17, 2))
    for name, count in (('a', 12), ('b', 9)):
        anns = [dict(
            frame_dir=f'{name}{i}', label=i % 3, img_shape=(480, 640), total_frames=20,
            keypoint=(poses[i % 3] + rng.normal(size=(1, 20, 17, 2))).astype(np.float32),
            keypoint_score=np.ones((1, 20, 17), np.float32)) for i in range(count)]
        dump_annotations(dict(split=dict(train=[ann['frame_dir'] for ann in anns]),
                              annotations=anns), folder / f'{name}.pkl')
    ids = [f'{name}{i}' for name, count in (('a', 12), ('b', 9)) for i in range(count)]
    for name, width in (('posecap_vis', 768), ('posecap_txt', 768), ('motion_txt', 384),
                        ('transfer_txt', 384)):
        FeatureTable(ids, rng.normal(size=(len(ids), width))).save(folder / f'{name}.npz')
    return folder


def config(name, files, **kwargs) -> Config:
    """Load a config with small files."""
    cfg = load_config(FOLDER / f'{name}.py')
    dataset = cfg.train_dataloader.dataset
    for part, file in zip(dataset.get('datasets', [dataset]), 'aba', strict=False):
        part.update(ann_file=str(files / f'{file}.pkl'))
        part.pop('classes', None)
    for key, path in cfg.model.get('tables', {}).items():
        cfg.model.tables[key] = str(files / Path(path).name)
    for part in (cfg.model.backbone, *cfg.model.heads.values()):
        part.pop('init_cfg', None)
    cfg.merge_from_dict(kwargs)
    return cfg


@pytest.mark.parametrize('name', [path.stem for path in sorted(FOLDER.glob('pretrain*.py'))])
def test_contrast_configs_build_and_learn(name, files):
    """Backbones at full width on a part of the frames."""
    init_default_scope('mofm')
    cfg = config(name, files)
    cfg.model.queue_size = min(cfg.model.queue_size, 8)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.prepare([dataset.get_data_info(i)['frame_dir'] for i in range(len(dataset))])
    for first in (0, len(dataset) - 3):
        batch = model.data_preprocessor(motion_collate([dataset[first + i] for i in range(3)]))
        assert [s.sample_idx for s in batch['data_samples']] == [first, first + 1, first + 2]
        frames = batch['inputs'].shape[2]
        assert frames == (32 if 'tiny' in name else 150)
        batch['inputs'] = batch['inputs'][:, :, frames // 2 - 4:frames // 2 + 4]
        losses = model(**batch, mode='loss')
    terms = 'mm' if 'stage1' in name else 'mm mt'
    terms = (terms if 'tiny' in name else f'{terms} mv').split()
    assert {n for n in losses if 'loss' in n} == {f'loss_{term}' for term in terms}
    model.parse_losses(losses)[0].backward()
    assert next(model.backbone.parameters()).grad.abs().sum() > 0
    assert all(p.grad.abs().sum() > 0 for p in model.heads.parameters())


def test_contrast_training_resumes_with_clusters_and_queue(files, tmp_path):
    """The first epoch ends with clusters; bank, queue and clusters are in the checkpoint."""
    clusters = dict(
        type='ClusterHook', clustering=dict(type='ClusterDBSCAN', eps=0.3, max_share=1))
    cfg = config('pretrain_stage1_tiny', files, **{
        'model.backbone': dict(_delete_=True, type='MeanPoseEncoder'),
        'model.momentum': 0.99, 'model.queue_size': 12,
        'train_dataloader': dict(batch_size=4, num_workers=0, persistent_workers=False),
        'train_dataloader.sampler.num_samples': 32, 'val_dataloader': None, 'val_cfg': None,
        'val_evaluator': None, 'test_dataloader': None, 'test_cfg': None, 'test_evaluator': None,
        'train_cfg.max_epochs': 3, 'work_dir': str(tmp_path / 'whole'),
        'default_hooks.checkpoint.max_keep_ckpts': 3})
    cfg.custom_hooks = [*cfg.custom_hooks[:-1], clusters]
    for data in cfg.train_dataloader.dataset.datasets:
        views = data.pipeline[2]
        views.key = views.query = views.query[:1]  # equal poses stay equal
    whole = Runner.from_cfg(cfg.copy())
    whole.train()
    memory = whole.model.memory
    assert len(memory.bank) == 12 + 9 + 12
    assert memory.bank.any(1).sum() > 25
    found = [set(memory.clusters[i::3].tolist()) for i in range(3)]
    assert all(len(group - {-1}) == 1 for group in found), 'one cluster for each pose'
    scalars = {name: value.current() for name, value in whole.message_hub.log_scalars.items()}
    assert scalars['train/clusters'] == 3
    assert [scalars[f'train/{name}'] for name in ('purity', 'nmi')] == pytest.approx([1, 1])
    assert scalars['train/noise'] == 0
    assert 0.3 < scalars['train/largest'] < 0.4
    bank = nn.functional.normalize(memory.bank[memory.bank.any(1)].double())
    pairs = (bank @ bank.T)[~torch.eye(len(bank)).bool()]
    assert scalars['train/cosine'] == pytest.approx(pairs.mean().item(), abs=1e-3)

    cfg.merge_from_dict(dict(work_dir=str(tmp_path / 'part'), resume=True))
    (tmp_path / 'part').mkdir()
    shutil.copy(tmp_path / 'whole/epoch_1.pth', tmp_path / 'part')
    (tmp_path / 'part/last_checkpoint').write_text(str(tmp_path / 'part/epoch_1.pth'))
    part = Runner.from_cfg(cfg.copy())
    part.train()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(part.model.state_dict()[name], value), name
    for name, value in memory.state().items():
        assert torch.equal(part.model.memory.state()[name], value), name

    hook, = (hook for hook in part.hooks if isinstance(hook, ClusterHook))
    with pytest.raises(ValueError, match='found no queue and clusters'):
        hook.after_load_checkpoint(part, dict(state_dict={}))
