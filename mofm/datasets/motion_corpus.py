"""Clips of many annotation files, which a manifest lists."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from mmengine.dataset import Compose, ConcatDataset
from mmengine.dist import all_gather_object
from mmengine.logging import print_log

from mofm.annotations import Shard, UnreadableError, file_error, read_manifest, summarize
from mofm.registry import DATASETS
from mofm.utils.checks import require
from mofm.utils.urls import mask

from .motion_dataset import MotionDataset

_THREADS = 8  # most of which wait for disk or network


@DATASETS.register_module()
class MotionCorpus(ConcatDataset):
    """Clips of a corpus of annotation files, or shards: one data set for each.

    A shard at a URL is read from a local copy (:mod:`mofm.utils.remote`). A shard that is missing
    or damaged, has another number of annotations than its manifest says, or no valid one is
    skipped and reported; the others are as many in all processes of a training.
    ``sampler=dict(type='MixtureSampler')`` draws clips by the weights of the manifest.

    Args:
        ann_file (str): Path or URL of a manifest, see :mod:`mofm.annotations.manifest`.
        pipeline (Sequence): Transforms, or configs of transforms, shared by all shards.
        on_error (str): Handling of shards that cannot be used and of invalid annotations:
            ``'skip'`` and report, or ``'raise'``.
        dataset_type (str): Data set of each shard, :class:`MotionDataset` or a subclass, e.g.
            ``'TrackWindowDataset'``.
        **kwargs: Arguments of it for each shard, e.g. ``split``.

    Attributes:
        ann_file (str): The manifest.
        weights (list[float]): Relative share of each shard in an epoch: its clips, each as often
            as its weight says.
        problems (list[str]): Reasons why shards were skipped.
        skipped (str): Summary of these in one line; empty if there are none.

    Raises:
        AnnotationError: If the manifest is invalid, a shard does not match the settings or the
            first one, none can be used, or one cannot and ``on_error='raise'``.
        RuntimeError: If not all processes can use the same shards.
    """

    def __init__(self,
                 ann_file: str,
                 pipeline: Sequence[dict | Callable] = (),
                 on_error: str = 'skip',
                 dataset_type: str = 'MotionDataset',
                 **kwargs):
        kind = DATASETS.get(dataset_type)  # threads lack the scope
        require(isinstance(kind, type) and issubclass(kind, MotionDataset), self, 'dataset_type',
                dataset_type, 'MotionDataset or a subclass')
        self.ann_file = mask(ann_file)
        self.problems: list[str] = []
        shards = read_manifest(ann_file)
        build = partial(_open, kind, pipeline=Compose(pipeline).transforms, on_error=on_error,
                        **kwargs)
        with ThreadPoolExecutor(_THREADS) as pool:
            opened = list(pool.map(build, shards))
        used = [(shard, found) for shard, found in zip(shards, opened, strict=True)
                if isinstance(found, MotionDataset)]
        self.problems = [str(found) for found in opened if isinstance(found, UnreadableError)]
        self.skipped = f'{self.ann_file}: skipped {len(self.problems)} of {len(shards)} shards' \
            if self.problems else ''
        if self.problems:
            print_log(f'{self.skipped}:\n{summarize(self.problems)}', 'current', logging.WARNING)
        self._check_processes([shard.path for shard, _ in used])
        if not used:
            raise UnreadableError(f'{self.ann_file}: none of {len(shards)} shards can be used\n'
                                  f'{summarize(self.problems)}')
        first = used[0][1]
        for shard, dataset in used[1:]:
            if dataset.metainfo != first.metainfo:
                raise file_error(mask(shard.path), 'metainfo', dataset.metainfo,
                                 f'that of {first.ann_file}: {first.metainfo}')
        super().__init__([dataset for _, dataset in used])
        self.weights = [shard.weight * len(dataset) for shard, dataset in used]

    def _check_processes(self, used: list[str]):
        """Check that all processes have the same shards, whose indices samplers share."""
        for rank, others in enumerate(all_gather_object(used)):
            different = sorted({*used} ^ {*others})
            if different:
                raise RuntimeError(
                    f'{self.ann_file}: found {len(used)} usable shards here and {len(others)} in '
                    f'process {rank}, e.g. not {mask(different[0])}; expected the same in all\n'
                    f'{summarize(self.problems)}')


def _open(kind: type[MotionDataset], shard: Shard,
          **settings) -> MotionDataset | UnreadableError:
    """Open a shard; returns why it cannot be used unless ``on_error='raise'``."""
    try:
        dataset = kind(shard.path, **settings)
        shard.check(dataset.num_annotations)
    except UnreadableError as error:
        if settings['on_error'] == 'raise':
            raise
        return error
    return dataset
