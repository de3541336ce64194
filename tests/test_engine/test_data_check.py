"""Data that would make the metrics of a run meaningless are refused or named."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.dataset import ConcatDataset
from torch import nn
from torch.utils.data import DataLoader

from mofm.annotations import dump_annotations, write_manifest
from mofm.datasets import MotionCorpus, MotionDataset, SyntheticMotion
from mofm.engine.hooks import DataCheckHook
from mofm.engine.runner.train_loop import make_resumable
from mofm.models.heads import ActionClsHead
from tests.test_annotations.samples import clip


@pytest.fixture
def data(tmp_path):
    """Data set of clips with some labels; names begin with a prefix."""
    def make(*labels, prefix='clip', **options):
        path = str(tmp_path / f'{prefix}.pkl')
        dump_annotations(dict(split={}, annotations=[
            clip(label=label, name=f'{prefix}{i}') for i, label in enumerate(labels)]), path)
        return MotionDataset(path, **options)
    return make


def runner(train, val=None, head=None, test=None):
    model = nn.Module()
    if head is not None:
        model.cls_head = head
    loaders = [None if dataset is None else DataLoader(dataset, batch_size=1)
               for dataset in (train, val, test)]
    return SimpleNamespace(model=model, train_dataloader=make_resumable(loaders[0]),
                           val_dataloader=loaders[1], val_loop=loaders[1],
                           test_dataloader=loaders[2], _train_loop=None,
                           logger=logging.getLogger('data check'))


def classifier(num_classes):
    return ActionClsHead(num_classes, in_channels=4)


def test_training_on_one_class_is_an_error(data):
    """Loss 0 and accuracy 1; also of a subset of two data sets."""
    one = data(2, 2, prefix='a', num_classes=3)
    with pytest.raises(ValueError, match='found label 2 only, expected at least two classes'):
        DataCheckHook().before_train(runner(one, head=classifier(3)))
    with pytest.raises(ValueError, match='found label 2 only'):
        DataCheckHook().before_train(runner(ConcatDataset([one, one]), head=classifier(3)))
    two = data(1, prefix='b', num_classes=3)
    DataCheckHook().before_train(runner(ConcatDataset([one, two]), head=classifier(3)))
    DataCheckHook().before_train(runner(one))  # labels do not matter


def test_head_of_one_class_is_an_error():
    with pytest.raises(ValueError, match='num_classes: found 1, expected at least 2'):
        classifier(1)


def test_labels_without_a_class_of_the_head_are_an_error(data):
    good, bad = data(0, 1, 2), data(0, 5, prefix='b')
    words = 'found labels up to 5, expected 0 to 2, as num_classes=3 of the head'
    with pytest.raises(ValueError, match=f'train_dataloader: {words}'):
        DataCheckHook().before_train(runner(bad, head=classifier(3)))
    with pytest.raises(ValueError, match=f'val_dataloader: {words}'):
        DataCheckHook().before_train(runner(good, bad, head=classifier(3)))
    with pytest.raises(ValueError, match=f'test_dataloader: {words}'):
        DataCheckHook().before_test(runner(good, head=classifier(3), test=bad))


def test_another_number_of_classes_than_the_head_is_an_error(data):
    with pytest.raises(ValueError, match='found 3 classes, expected 4, the num_classes of the he'):
        DataCheckHook().before_train(runner(data(0, 1, num_classes=3), head=classifier(4)))


def test_classes_without_a_clip_are_named(data, caplog):
    DataCheckHook().before_train(runner(data(1, 3, num_classes=16), head=classifier(16)))
    assert caplog.messages == ['train_dataloader: no clip of 14 of 16 classes, labels 0, 2, 4, 5, '
                               '6, 7, 8, 9, 10, 11, ...']
    caplog.clear()
    DataCheckHook().before_train(runner(SyntheticMotion(num_clips=15), head=classifier(15)))
    assert caplog.messages == []


def test_validation_on_training_clips_is_named(data, caplog):
    train, val = data(0, 1, 2), data(0, 1, prefix='other')
    DataCheckHook().before_train(runner(train, val))
    assert caplog.messages == []
    DataCheckHook().before_train(runner(train, ConcatDataset([val, data(0, 1)])))
    assert caplog.messages == ['val_dataloader: 2 of 4 clips are also in the training data, by '
                               'frame_dir; their metrics are not those of new data']


def test_other_class_names_of_validation_or_checkpoint_are_named(data, caplog):
    """Their order may differ."""
    names = [['walk', 'run'], ['run', 'walk']]
    train, val = (data(0, 1, prefix=prefix, num_classes=2, metainfo=dict(classes=order))
                  for prefix, order in zip('ab', names, strict=True))
    DataCheckHook().before_train(runner(train, val, head=classifier(2)))
    checkpoint = dict(meta=dict(dataset_meta=dict(classes=names[0])))
    run = runner(train, head=classifier(2), test=val)
    hook = DataCheckHook()
    hook.after_load_checkpoint(run, checkpoint)
    hook.before_test(run)
    assert caplog.messages == [
        "val_dataloader: found the classes ['run', 'walk'], expected those of the training: "
        "['walk', 'run']", "test_dataloader: found the classes ['run', 'walk'], expected those of "
        "the training: ['walk', 'run']"]
    caplog.clear()
    run = runner(train, train, head=classifier(2), test=train)
    hook = DataCheckHook()
    hook.after_load_checkpoint(run, checkpoint)
    hook.before_test(run)
    assert caplog.messages == []


def test_empty_validation_is_an_error(data):
    class Empty(MotionDataset):
        def __len__(self):
            return 0

    train = data(0, 1)
    with pytest.raises(ValueError, match='val_dataloader: found no clip, expected at least one'):
        DataCheckHook().before_train(runner(train, Empty(train.ann_file)))


def test_skipped_annotations_are_printed_at_the_end(data, caplog):
    val = data(0, 1, 9, num_classes=2, skip_labels=True)
    run = runner(data(0, 1, prefix='train'), test=val)
    DataCheckHook().after_run(run)
    assert caplog.messages == [f"{val.ann_file}, split None: skipped 1 of 3 annotations, 0 ids "
                               'without one; the beginning of the log has them']


def test_skipped_shards_of_a_corpus_are_printed_at_the_end(data, tmp_path, caplog):
    data(0, 1, prefix='a')
    data(0, 1, prefix='b')
    write_manifest(tmp_path / 'corpus.json', [tmp_path / 'a.pkl', tmp_path / 'b.pkl'])
    (tmp_path / 'b.pkl').write_bytes(b'')
    corpus = MotionCorpus(str(tmp_path / 'corpus.json'))
    assert len(corpus) == 2
    hook, run = DataCheckHook(), runner(data(0, 1, prefix='train'), corpus, test=corpus)
    hook.before_train(runner(corpus, corpus))
    assert '2 of 2 clips are also in the training data' in caplog.text
    caplog.clear()
    hook.after_run(run)
    assert caplog.messages == [f'{tmp_path}/corpus.json: skipped 1 of 2 shards; the beginning of '
                               'the log has them']
