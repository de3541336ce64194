"""Contrastive losses, queue and model against loops."""

import math
import multiprocessing
from collections import deque

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.dist import get_rank, get_world_size
from mmengine.model import MMDistributedDataParallel
from torch import nn

from mofm.registry import MODELS
from mofm.structures import MotionFeatures
from projects.tmor.contrast import ContrastMemory, MotionContrast
from projects.tmor.contrast import model as contrast_model
from projects.tmor.language.tables import FeatureTable

SAMPLES, WIDTH = 12, 6
CLUSTERS = torch.tensor([0, 0, 1, -1, 1, -1, 0, 2, 2, -1, 1, 0])
TEXTS = [0, 1, 2, 0, 3, 3, 0, 4, 5, 1, 6, 2]  # sentence of each sample
IDS = [f'clip{i}' for i in range(SAMPLES)]


@MODELS.register_module()
class MeanJointEncoder(nn.Module):
    """Stand-in for a backbone: a layer on the mean joint."""

    def __init__(self, norm: bool = False):
        super().__init__()
        self.fc = nn.Linear(2, WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH) if norm else nn.Identity()

    def forward(self, inputs):
        pooled = self.norm(self.fc(inputs.mean((1, 2, 3)))).relu() + 0.01
        return MotionFeatures(pooled[:, None], pooled, torch.ones(len(pooled), 1).bool())


@pytest.fixture
def tables(tmp_path):
    rng = np.random.default_rng(0)
    sentences = rng.normal(size=(7, 4))
    FeatureTable(IDS[::-1], rng.normal(size=(SAMPLES, 5))).save(tmp_path / 'visual.npz')
    FeatureTable(IDS, sentences[TEXTS]).save(tmp_path / 'text.npz')
    return {name: str(tmp_path / f'{name}.npz') for name in ('visual', 'text')}


def build(tables=None, norm=False, **kwargs) -> MotionContrast:
    torch.manual_seed(0)
    widths = dict(motion=WIDTH, **({} if tables is None else dict(visual=5, text=4)))
    options = dict(dict(queue_size=8, momentum=0.9), **kwargs)
    return MotionContrast(
        backbone=dict(type='MeanJointEncoder', norm=norm), tables=tables,
        heads={name: dict(type='ProjectionHead', in_channels=width, out_channels=3)
               for name, width in widths.items()}, **options)


def batch(indices, seed=0):
    """Return two views each, (2 B, M, T, J, C), and data samples."""
    rng = torch.Generator().manual_seed(seed)
    samples = []
    for i in indices:
        samples.append(ActionDataSample())
        samples[-1].set_field(i, 'sample_idx', field_type='metainfo')
    return torch.randn(2 * len(samples), 1, 2, 3, 2, generator=rng), samples


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def phi(head, x):
    """Project in float64."""
    first, _, last = head
    w1, b1, w2, b2 = (p.detach().double().numpy()
                      for p in (first.weight, first.bias, last.weight, last.bias))
    return unit(np.maximum(np.asarray(x, np.float64) @ w1.T + b1, 0) @ w2.T + b2)


def written_out(query, own, keys, anchors, entries, positive, negative):
    """Compute -log(S_align / (S_align + S_disc)), mean over the anchors, for one loss."""
    total = 0.
    for q, k, i in zip(query, own, anchors, strict=True):
        align, disc = math.exp(q @ k / 0.07), 0.
        for key, j in zip(keys, entries, strict=True):
            if positive(i, j):
                align += math.exp(q @ key / 0.07)
            elif negative(i, j):
                disc += math.exp(q @ key / 0.07)
        total -= math.log(align / (align + disc))
    return total / len(anchors)


def same(i, j):
    return CLUSTERS[i] == CLUSTERS[j] != -1


def other(i, j):
    """Tell whether j is in N_i: another label or, for noise, another sample."""
    return CLUSTERS[i] != CLUSTERS[j] or (CLUSTERS[i] == -1 and i != j)


@pytest.mark.parametrize('mv_positives', [False, True])
def test_contrast_losses_equal_loops(tables, mv_positives):
    model = build(tables, mv_cluster_positives=mv_positives, weights=dict(mv=0.5))
    model.prepare(IDS)
    model(*batch([0, 3, 2, 7, 9]), mode='loss')
    model(*batch([5, 4, 6], seed=1), mode='loss')
    model.memory.clusters.copy_(CLUSTERS)  # computed after the keys were queued
    anchors = [0, 3, 4, 5, 10]
    inputs, samples = batch(anchors, seed=2)
    keys, entries = (x.clone() for x in model.memory.entries())
    keys, entries = keys.double().numpy(), entries.tolist()
    assert sorted(entries) == [0, 2, 3, 4, 5, 6, 7, 9]
    losses = model(inputs, samples, mode='loss')
    features = model.backbone(inputs[0::2]).pooled.detach().numpy()
    query = phi(model.heads['motion'], features)
    slow = model.momentum_encoder.module
    own = phi(slow[1], slow[0](inputs[1::2]).pooled.detach().numpy())
    expected = written_out(query, own, keys, anchors, entries, same, other)
    assert losses['loss_mm'].item() == pytest.approx(expected, rel=1e-5)

    visual = phi(model.heads['visual'], FeatureTable.load(tables['visual']).lookup(IDS))
    positive = same if mv_positives else lambda i, j: False
    expected = written_out(query, visual[anchors], visual[entries], anchors, entries, positive,
                           lambda i, j: other(i, j) and not positive(i, j))
    assert losses['loss_mv'].item() == pytest.approx(0.5 * expected, rel=1e-5)

    text = phi(model.heads['text'], FeatureTable.load(tables['text']).lookup(IDS))
    expected = written_out(
        query, text[anchors], text[entries], anchors, entries, lambda i, j: False,
        lambda i, j: other(i, j) and TEXTS[i] != TEXTS[j])
    assert losses['loss_mt'].item() == pytest.approx(expected, rel=1e-5)
    sum(losses[f'loss_{name}'] for name in ('mm', 'mv', 'mt')).backward()
    assert all(p.grad.abs().sum() > 0 for p in [*model.backbone.parameters(),
                                                *model.heads.parameters()])


def test_contrast_without_momentum_compares_the_batch(tables):
    """Without momentum encoder: all others of the batch are compared, the own key once."""
    model = build(tables, momentum=None, queue_size=0)
    model.prepare(IDS)
    model.memory.clusters.copy_(CLUSTERS)
    anchors = [0, 3, 6, 5, 10, 1]
    inputs, samples = batch(anchors)
    losses = model(inputs, samples, mode='loss')
    query, own = (phi(model.heads['motion'], model.backbone(inputs[view::2]).pooled.detach())
                  for view in (0, 1))
    expected = written_out(query, own, own, anchors, anchors,
                           lambda i, j: same(i, j) and i != j, other)
    assert losses['loss_mm'].item() == pytest.approx(expected, rel=1e-5)


def test_contrast_fewer_negatives_give_smaller_loss(tables):
    """The number of entries gives the same loss, fewer negatives a smaller sum."""
    values = []
    for count in (None, 8, 2):
        model = build(tables, num_negatives=count, weights=dict(mm=0., mt=0.))
        model.prepare(IDS)
        model(*batch(range(8)), mode='loss')
        losses = model(*batch([8, 9], seed=1), mode='loss')
        assert 'loss_mm' not in losses
        assert 'loss_mt' not in losses
        values.append(losses['loss_mv'].item())
    assert values[0] == pytest.approx(values[1])
    assert values[2] < values[0]


def test_momentum_encoder_fills_bank_and_queue():
    """It starts as a copy, keeps its share, and fills bank and queue."""
    model = build()
    model.prepare(IDS)
    model(*batch([1, 2]), mode='loss')
    before = model.backbone.fc.weight.detach().clone()
    with torch.no_grad():
        model.backbone.fc.weight.add_(1.)
    inputs, samples = batch([2, 5], seed=1)
    model(inputs, samples, mode='loss')
    slow, head = model.momentum_encoder.module
    torch.testing.assert_close(slow.fc.weight, 0.9 * before + 0.1 * (before + 1))
    assert not any(p.requires_grad for p in model.momentum_encoder.parameters())
    with torch.no_grad():
        features = slow(inputs[1::2]).pooled
    keys, indices = model.memory.entries()
    assert indices.tolist() == [1, 2, 2, 5]
    torch.testing.assert_close(keys[2:], head(features))
    torch.testing.assert_close(model.memory.bank[[2, 5]].float(),
                               nn.functional.normalize(features), atol=1e-3, rtol=0)
    assert model.memory.bank.any(1).nonzero()[:, 0].tolist() == [1, 2, 5]


def test_contrast_queue_is_first_in_first_out():
    memory, expected = ContrastMemory(50, 2, 1, 7), deque(maxlen=7)
    for step, size in enumerate([3, 3, 3, 7, 1, 5]):
        indices = torch.arange(size) + 8 * step
        memory.write(indices, torch.ones(size, 2), indices[:, None].float())
        expected.extend(indices.tolist())
        keys, stored = memory.entries()
        assert sorted(stored.tolist()) == sorted(expected)
        assert keys[:, 0].tolist() == stored.tolist()


def test_contrast_warns_of_queue_with_batch_norm(monkeypatch):
    printed = []
    monkeypatch.setattr(contrast_model, 'print_log', lambda text, *_: printed.append(text))
    build().prepare(IDS)  # no batch norm
    build(norm=True, momentum=None, queue_size=0).prepare(IDS)
    monkeypatch.setattr(contrast_model, 'get_world_size', lambda: 2)
    build(norm=True).prepare(IDS)
    assert not printed
    monkeypatch.setattr(contrast_model, 'get_world_size', lambda: 1)
    build(norm=True).prepare(IDS)
    assert len(printed) == 1
    assert 'momentum=None' in printed[0]


def test_contrast_names_bad_input(tables, tmp_path):
    with pytest.raises(ValueError, match='queue_size: found 8, expected at most the 7 samples'):
        build().prepare(IDS[:7])
    with pytest.raises(ValueError, match='queue_size: found 7, expected at least the batch'):
        ContrastMemory(50, 2, 1, 7).write(torch.arange(8), torch.ones(8, 2), torch.ones(8, 1))
    with pytest.raises(ValueError, match="no row for 1 of 13 samples, e.g. .'clip12'"):
        build(tables).prepare([*IDS, 'clip12'])
    FeatureTable(IDS, np.ones((SAMPLES, 3))).save(tmp_path / 'narrow.npz')
    with pytest.raises(ValueError, match='narrow.npz: found features of width 3, expected 5'):
        build(dict(tables, visual=str(tmp_path / 'narrow.npz'))).prepare(IDS)
    with pytest.raises(ValueError, match='custom_hooks'):
        build()(*batch([0]), mode='loss')
    model = build()
    model.prepare(IDS)
    inputs, samples = batch([0, 1])
    with pytest.raises(ValueError, match='found 2 clips of 2 samples'):
        model(inputs[:2], samples, mode='loss')
    for options in (dict(momentum=None), dict(queue_size=0), dict(momentum=1.),
                    dict(weights=dict(mm=0.)), dict(weights=dict(mv=1.)),
                    dict(loss=dict(type='ClusterContrastLoss', temperature=0.))):
        with pytest.raises(ValueError, match='found'):
            build(**options)
    other = ContrastMemory(50, 2, 1, 6).state()
    with pytest.raises(ValueError, match=r'keys of the checkpoint: found shape \(6, 1\)'):
        ContrastMemory(50, 2, 1, 7).restore(other)


def steps(kind: str, tables) -> dict:
    """Return gradients and memory after two steps on this process's part of the batches."""
    model = build(tables, norm=kind == 'batch norm', **(
        dict(momentum=None, queue_size=0) if kind == 'in batch' else {}))
    model.prepare(IDS)
    model.memory.clusters.copy_(CLUSTERS)
    wrapped = model if get_world_size() == 1 else MMDistributedDataParallel(
        model, broadcast_buffers=False)
    for seed, anchors in enumerate([[0, 3, 4, 5], [9, 3, 10, 6]]):
        inputs, samples = batch(anchors, seed)
        size = len(samples) // get_world_size()
        mine = slice(get_rank() * size, (get_rank() + 1) * size)
        torch.manual_seed(1 + seed + get_rank())
        model.zero_grad()
        losses = wrapped(inputs.unflatten(0, (-1, 2))[mine].flatten(0, 1), samples[mine],
                         mode='loss')
        model.parse_losses(losses)[0].backward()
    return dict({name: p.grad for name, p in model.named_parameters() if p.requires_grad},
                **model.memory.state())


KINDS = ('queue', 'in batch', 'batch norm')


def process(rank: int, folder, tables):
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank,
                                         world_size=2)
    torch.save({kind: steps(kind, tables) for kind in KINDS}, folder / f'{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.fixture
def two(tmp_path, tables):
    """Results of two processes."""
    context = multiprocessing.get_context('fork')  # torch is imported already
    processes = [context.Process(target=process, args=(rank, tmp_path, tables))
                 for rank in range(2)]
    for p in processes:
        p.start()
    for p in processes:
        p.join(120)
        assert p.exitcode == 0
    return [torch.load(tmp_path / f'{rank}.pth', weights_only=True) for rank in range(2)]


def test_contrast_on_two_processes_equals_one(two, tables):
    """They have the result of one process with all clips."""
    for kind in ('queue', 'in batch'):
        expected = steps(kind, tables)
        assert expected['heads.visual.0.weight'].abs().max() > 1e-3
        for result in two:
            for name, value in expected.items():
                torch.testing.assert_close(result[kind][name], value, rtol=1e-4, atol=1e-6,
                                           msg=f'{kind}, {name}: {{}}'.format)
    # each half of the shuffled keys is a batch of its own
    mine, theirs = (result['batch norm'] for result in two)
    for name in ('bank', 'keys', 'indices'):
        assert torch.equal(mine[name], theirs[name])
    backbone = build(tables, norm=True).backbone
    inputs, _ = batch([0, 3, 4, 5])
    torch.manual_seed(1)
    order = torch.randperm(4)
    assert set(order[:2].tolist()) not in ({0, 1}, {2, 3})
    expected = torch.empty(4, WIDTH)
    for half in order.chunk(2):
        expected[half] = backbone(inputs[1::2][half]).pooled
    torch.testing.assert_close(mine['bank'][[0, 4, 5]].float(), nn.functional.normalize(
        expected)[[0, 2, 3]].detach(), atol=1e-3, rtol=0)
