"""Check of labels and data sets before a run, and skipped data at its end."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from mmengine.hooks import Hook
from torch.utils.data import DataLoader, Dataset

from mofm.datasets import MotionDataset
from mofm.engine.runner.access import get_model, is_training
from mofm.models.heads import ActionClsHead
from mofm.registry import HOOKS

_SHOWN = 10


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Check of the data of a run, whose metrics would mean nothing otherwise.

    Errors: no data for validation; labels that the head does not have; training of a classifier
    on one class. Printed: classes without a training clip; other class names in validation or test
    than in training; clips in both training and validation; and again at the end, the number of
    annotations and shards that each data set skipped.
    """

    priority = 'LOWEST'  # after the last metrics

    def __init__(self):
        self._trained: dict = {}

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Keep the class names of the training for a test."""
        self._trained = checkpoint.get('meta', {}).get('dataset_meta') or {}

    def before_train(self, runner):
        """Check the data of a training.

        Raises:
            ValueError: See the class.
        """
        train = list(_datasets(runner.train_dataloader))
        counts = _check_labels(runner, 'train_dataloader', train)
        if len(counts) == 1 and hasattr(get_model(runner), 'cls_head'):
            raise ValueError(f'train_dataloader: found label {[*counts][0]} only, expected at '
                             'least two classes, as one is always right')
        head, classes = _head(runner), max(map(_num_classes, train), default=0)
        if head and classes not in (0, head.num_classes):
            raise ValueError(f'train_dataloader: found {classes} classes, expected '
                             f'{head.num_classes}, the num_classes of the head')
        missing = [label for label in range(classes) if not counts[label]]
        if counts and missing:
            shown = ', '.join(map(str, missing[:_SHOWN])) + ', ...' * (len(missing) > _SHOWN)
            runner.logger.warning(f'train_dataloader: no clip of {len(missing)} of {classes} '
                                  f'classes, labels {shown}')
        if runner.val_loop is not None:
            if not len(runner.val_dataloader.dataset):
                raise ValueError('val_dataloader: found no clip, expected at least one')
            val = list(_datasets(runner.val_dataloader))
            _check_labels(runner, 'val_dataloader', val)
            _compare_classes(runner, 'val_dataloader', val, train[0].metainfo if train else {})
            names = np.concatenate([dataset.name_hashes for dataset in val] or [[]])
            both = sum(np.isin(names, dataset.name_hashes) for dataset in train)
            both = np.count_nonzero(both)
            if both:
                runner.logger.warning(
                    f'val_dataloader: {both} of {len(names)} clips are also in the training data, '
                    'by frame_dir; their metrics are not those of new data')

    def before_test(self, runner):
        """Check the labels of a test."""
        datasets = list(_datasets(runner.test_dataloader))
        _check_labels(runner, 'test_dataloader', datasets)
        _compare_classes(runner, 'test_dataloader', datasets, self._trained)

    def after_run(self, runner):
        """Print what was skipped."""
        loaders = [runner.train_dataloader, runner.val_loop and runner.val_dataloader] \
            if is_training(runner) else [runner.test_dataloader]
        for loader in filter(None, loaders):
            for dataset in _walk(loader):
                if getattr(dataset, 'skipped', ''):
                    runner.logger.warning(f'{dataset.skipped}; the beginning of the log has them')


def _walk(loader: DataLoader) -> Iterator[Dataset]:
    """Iterate over the data set of a loader and all within wrappers."""
    pending = [loader.dataset]
    while pending:
        dataset = pending.pop()
        yield dataset
        pending += getattr(dataset, 'datasets', None) or filter(None, (
            getattr(dataset, name, None) for name in ('wrapped', 'dataset')))


def _datasets(loader: DataLoader) -> Iterator[MotionDataset]:
    """Iterate over the data sets of clips of a loader, also within wrappers."""
    return (dataset for dataset in _walk(loader) if isinstance(dataset, MotionDataset))


def _head(runner) -> ActionClsHead | None:
    """Return the classifier of a model, if it has one."""
    head = getattr(get_model(runner), 'cls_head', None)
    return head if isinstance(head, ActionClsHead) else None


def _num_classes(dataset: MotionDataset) -> int:
    """Return the number of classes of a data set, 0 if unknown."""
    return len(dataset.classes or dataset.metainfo.get('classes', ())) or dataset.num_classes or 0


def _check_labels(runner, name: str, datasets: list[MotionDataset]) -> Counter:
    """Return the clips per label, after a check that the head has the labels."""
    counts = sum((dataset.label_counts for dataset in datasets), Counter())
    head = _head(runner)
    if counts and head and max(counts) >= head.num_classes:
        raise ValueError(f'{name}: found labels up to {max(counts)}, expected 0 to '
                         f'{head.num_classes - 1}, as num_classes={head.num_classes} of the head')
    return counts


def _compare_classes(runner, name: str, datasets: list[MotionDataset], trained: dict):
    """Print class names that differ from those of the training."""
    expected = list(trained.get('classes') or ())
    for dataset in datasets if expected and _head(runner) else ():
        found = list(dataset.metainfo.get('classes', expected))
        if found != expected:
            runner.logger.warning(f'{name}: found the classes {found}, expected those of the '
                                  f'training: {expected}')
