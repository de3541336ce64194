"""Samplers: batches of every rank and epoch."""

from collections import Counter

import pytest
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mofm.datasets import ClassBalancedSampler, MixtureSampler, samplers

COUNTS = {3: 9, 0: 4, 5: 2, 8: 7, 1: 5}
LABELS = [label for label, n in COUNTS.items() for _ in range(n)]


class Labels(BaseDataset):
    """Samples that are nothing but a label."""

    def __init__(self, counts, names=None):
        self.counts = counts
        super().__init__(metainfo={} if names is None else dict(classes=names),
                         serialize_data=False)

    def load_data_list(self):
        return [dict(label=label) for label, n in self.counts.items() for _ in range(n)]


@pytest.fixture
def ranks(monkeypatch):
    """Function (world size, **options) to the samplers of all ranks."""

    def make(world_size=1, **kwargs):
        out = []
        for rank in range(world_size):
            monkeypatch.setattr(samplers, 'get_dist_info', lambda rank=rank: (rank, world_size))
            out.append(ClassBalancedSampler(Labels(COUNTS), seed=3, **kwargs))
        return out

    return make


def batches(sampler):
    indices = list(sampler)
    assert len(indices) == len(sampler)
    assert not len(indices) % sampler.batch_size
    step = sampler.batch_size
    return [tuple(indices[i:i + step]) for i in range(0, len(indices), step)]


@pytest.mark.parametrize('world_size', [1, 2, 3])
@pytest.mark.parametrize(('batch_size', 'per_class'), [(6, 2), (4, 1), (2, 2), (10, 2)])
def test_class_balanced_sampler_balances_every_batch_of_every_rank(
        ranks, world_size, batch_size, per_class):
    for sampler in ranks(world_size, batch_size=batch_size, per_class=per_class):
        for batch in batches(sampler):
            assert len(set(batch)) == batch_size
            counts = Counter(LABELS[i] for i in batch)
            assert list(counts.values()) == [per_class] * (batch_size // per_class)


def test_class_balanced_sampler_has_length_of_dataset_in_whole_batches(ranks):
    for world_size, count in ((1, 7), (2, 4), (9, 1)):  # 27 samples, batches of 4
        assert {len(s) for s in ranks(world_size, batch_size=4)} == {4 * count}


def test_class_balanced_sampler_ranks_share_one_stream(ranks):
    one = ranks(1, batch_size=4)[0]
    first, second = ranks(2, batch_size=4)
    mixed = [b for pair in zip(batches(first), batches(second), strict=True) for b in pair]
    assert mixed[:one.num_batches] == batches(one)
    assert set(batches(first)) != set(batches(second))


def test_class_balanced_sampler_epochs_differ_and_repeat(ranks):
    sampler, again = ranks(1, batch_size=4)[0], ranks(1, batch_size=4)[0]
    first = batches(sampler)
    sampler.set_epoch(1)
    again.set_epoch(1)
    assert batches(sampler) != first
    assert batches(sampler) == batches(again)
    sampler.set_epoch(0)
    assert batches(sampler) == first


def test_class_balanced_sampler_takes_samples_in_turns(ranks):
    sampler = ranks(1, batch_size=10)[0]
    big = [i for b in batches(sampler) for i in b if LABELS[i] == 3]  # 3 of 27 / 10 batches
    assert len(big) == len(set(big)) == 6
    small = Counter(i for b in batches(sampler) for i in b if LABELS[i] == 5)
    assert sorted(small.values()) == [3, 3]


@pytest.mark.parametrize(('options', 'words'), [
    (dict(batch_size=5), 'batch_size: found 5, expected a positive multiple of per_class=2'),
    (dict(batch_size=2, per_class=4), 'batch_size: found 2'),
    (dict(per_class=0), 'per_class=0'),
    (dict(batch_size=12), '6 classes x 2, but the data set has 5 classes'),
    (dict(batch_size=9, per_class=3), r'label 2 \(run\): found 1 samples, expected at least '
     r'per_class=3; exclude the class')])
def test_class_balanced_sampler_names_bad_options(options, words):
    counts = COUNTS if 'classes x' in words else {0: 4, 1: 4, 2: 1, 3: 4}
    with pytest.raises(ValueError, match=words):
        ClassBalancedSampler(Labels(counts, ['sit', 'walk', 'run']), seed=0, **options)


def test_class_balanced_sampler_works_in_dataloader_of_concat_dataset():
    init_default_scope('mofm')
    dataset = ConcatDataset([Labels({0: 3, 1: 4}), Labels({2: 5, 0: 2})])
    loader = Runner.build_dataloader(dict(
        dataset=dataset, batch_size=6, num_workers=0, collate_fn=dict(type='pseudo_collate'),
        sampler=dict(type='ClassBalancedSampler', batch_size=6, per_class=2)), seed=0)
    got = [sorted(int(label) for label in batch['label']) for batch in loader]
    assert got == [[0, 0, 1, 1, 2, 2]] * 3
    assert len(loader) == 3
    assert loader.sampler.seed == 0


def mixture(monkeypatch, weights=(1, 2, 1), world_size=1, rank=0, **kwargs):
    """Sampler of data sets with 4, 30 and 100 samples."""
    monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, world_size))
    dataset = ConcatDataset([Labels({i: n}) for i, n in enumerate((4, 30, 100))])
    return MixtureSampler(dataset, weights, seed=1, **kwargs)


def source(index):
    """Data set that an index of the mixture is in."""
    return (index >= 4) + (index >= 34)


@pytest.mark.parametrize(('weights', 'num_samples', 'shares'), [
    ((1, 2, 1), 40, (10, 20, 10)), ((0, 1, 1), 11, (0, 6, 5)), ((.2, .2, .6), None, (27, 27, 80)),
])
def test_mixture_sampler_draws_shares_of_its_weights(monkeypatch, weights, num_samples, shares):
    sampler = mixture(monkeypatch, weights, num_samples=num_samples)
    indices = list(sampler)
    count = Counter(map(source, indices))
    assert [count[i] for i in range(3)] == list(shares)
    assert len(sampler) == sum(shares)
    assert min(indices) >= 0
    assert max(indices) < 134
    # within a data set every sample comes as often as any other, up to one
    often = Counter(i for i in indices if i < 4)
    assert not often or max(often.values()) - min(often.values()) <= 1
    assert indices != sorted(indices, key=source)


def test_mixture_sampler_draws_other_samples_every_epoch(monkeypatch):
    sampler = mixture(monkeypatch, num_samples=40)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert {i for i in sampler if i >= 34} != {i for i in first if i >= 34}


def test_mixture_sampler_ranks_share_one_stream(monkeypatch):
    alone = list(mixture(monkeypatch, num_samples=42))
    halves = [list(mixture(monkeypatch, num_samples=41, world_size=2, rank=r)) for r in (0, 1)]
    assert len(halves[0]) == len(halves[1]) == 21
    assert sorted(halves[0] + halves[1]) == sorted(alone)


@pytest.mark.parametrize('weights', [(1, 1), (1, -1, 1), (0, 0, 0), (1, float('nan'), 1)])
def test_mixture_sampler_names_bad_weights(monkeypatch, weights):
    with pytest.raises(ValueError, match='weights: found'):
        mixture(monkeypatch, weights)
