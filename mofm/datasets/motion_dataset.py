"""Labeled clips of keypoints for MMEngine's runner."""
import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mofm.annotations import (
    LABEL_NAMES,
    AnnotationError,
    Problem,
    UnreadableError,
    check_names,
    complete_3d,
    file_error,
    find_twice,
    load_annotations,
    open_arrow,
    summarize,
    validate,
)
from mofm.annotations.arrow import ArrowFile
from mofm.registry import DATASETS
from mofm.structures import convert, get_layout
from mofm.utils.checks import is_int, show
from mofm.utils.memory import release_freed_memory


@DATASETS.register_module()
class MotionDataset(BaseDataset):
    """Clips of an annotation file in the schema of PYSKL and mmaction2.

    Published files such as ``ntu60_hrnet.pkl`` are supported. Every annotation is validated once
    (:func:`mofm.annotations.validate`). An ``.arrow`` file is memory-mapped and shared by all
    processes. The pipeline receives annotations in ``to_layout`` with ``sample_idx``;
    :attr:`metainfo` has ``layout`` (that of the pipeline), ``left_kp``, ``right_kp`` and, if
    known, ``classes``.

    Clips without a visible joint are skipped in training and kept in tests (``test_mode=True``),
    where skipping them would bias the result.

    Args:
        ann_file (str): A ``.pkl``, ``.arrow``, ``.npz`` or ``.json`` file, or the URL of one.
        pipeline (Sequence): Transforms, or configs of transforms.
        split (str, optional): Split in the file, e.g. ``'xsub_train'``, None for all annotations.
        exemplar_split (str, optional): Split of exemplars (one-shot recognition). They are added
            to ``split``, and all samples have ``exemplar`` (bool). All of them must be valid.
        layout (str): Joint layout of the file, see :data:`mofm.structures.LAYOUTS`.
        to_layout (str): Joint layout of the pipeline. Defaults to 'coco17'.
        dims (int): Coordinates per joint: 2, or 3 for files of 3D joints, e.g.
            ``ntu60_3danno.pkl``, with ``keypoint`` (M, T, V, 3) in meters and optional scores and
            image size.
        classes (Sequence[int], optional): Labels to keep, mapped to 0, 1, ... in this order.
        num_classes (int, optional): Number of classes of the file. By default that of the class
            names; without names labels are unbounded.
        class_names (str, optional): Data set in :data:`mofm.annotations.label_names.LABEL_NAMES`
            that names the labels of a file without names, e.g. ``'ntu60'``.
        repeat (int): Number of repetitions of the clips per epoch.
        on_error (str): Handling of invalid annotations: ``'skip'`` and report, or ``'raise'``.
        skip_labels (bool): Skip and report annotations whose label is out of range, which is an
            error otherwise, as it is one of the settings. Defaults to False.
        **kwargs: Arguments of MMEngine's ``BaseDataset``, e.g. ``test_mode``, ``data_root``,
            ``metainfo``, ``indices``, ``lazy_init``, ``serialize_data``. The last (default True)
            keeps all clips in one block of memory shared by DataLoader workers.

    Attributes:
        num_annotations (int): Annotations of the file, of all splits.
        problems (list[Problem]): Problems of invalid annotations.
        skipped (str): Summary of these in one line; empty if there are none.
        label_counts (Counter): Number of clips per label; empty where a clip has none of its own.
        name_hashes (np.ndarray): (N,) hashes of the ``frame_dir`` of the clips.

    Raises:
        AnnotationError: If the file is invalid, the split is unknown, no clip is left, a label is
            out of range, the number of class names is not ``num_classes``, or an annotation is
            invalid and ``on_error='raise'``.
    """

    def __init__(self,
                 ann_file: str,
                 pipeline: Sequence[dict | Callable] = (),
                 split: str | None = None,
                 exemplar_split: str | None = None,
                 layout: str = 'coco17',
                 to_layout: str = 'coco17',
                 dims: int = 2,
                 classes: Sequence[int] | None = None,
                 num_classes: int | None = None,
                 class_names: str | None = None,
                 repeat: int = 1,
                 on_error: str = 'skip',
                 skip_labels: bool = False,
                 **kwargs):
        if on_error not in ('skip', 'raise'):
            raise ValueError(f"on_error: found {on_error!r}, expected 'skip' or 'raise'")
        if dims not in (2, 3):
            raise ValueError(f'dims: found {dims}, expected 2 or 3')
        if repeat < 1:
            raise ValueError(f'repeat: found {repeat}, expected at least 1')
        if classes is not None and len(set(classes)) != len(classes):
            raise ValueError(f'classes: found a label twice in {list(classes)}')
        if class_names is not None and class_names not in LABEL_NAMES:
            raise ValueError(f'class_names: found {class_names!r}, expected one of '
                             f'{sorted(LABEL_NAMES)}; write other names to metainfo.classes of '
                             'the annotation file')
        names = LABEL_NAMES.get(class_names, ())
        if names and num_classes not in (None, len(names)):
            raise ValueError(f'num_classes: found {num_classes}, expected {len(names)}, the '
                             f'number of labels of class_names={class_names!r}')
        self.split = split
        self.exemplar_split = exemplar_split
        self.layout = get_layout(layout)
        self.to_layout = get_layout(to_layout)
        self.dims = dims
        self.classes = classes
        # new label of each label to keep; None keeps all unchanged
        self._new_labels = None if classes is None else {c: i for i, c in enumerate(classes)}
        self.num_classes = num_classes
        self.class_names = names
        self.repeat = repeat
        self.on_error = on_error
        self.skip_labels = skip_labels
        self.num_annotations = 0
        self.problems: list[Problem] = []
        self.skipped = ''
        self.label_counts: Counter[int] = Counter()
        self.name_hashes = np.zeros(0, np.int64)
        self._store: ArrowFile | None = None
        super().__init__(ann_file, pipeline=pipeline, data_prefix={}, **kwargs)
        self._metainfo = {**dict(layout=to_layout, left_kp=list(self.to_layout.left),
                                 right_kp=list(self.to_layout.right)), **self._metainfo}

    def load_data_list(self) -> list[dict] | np.ndarray:
        """Read, select, check and convert the annotations.

        Returns:
            list[dict] or np.ndarray: The valid annotations of the split in file order, or their
            rows (N,) in an ``.arrow`` file.
        """
        if self.ann_file.endswith('.arrow'):
            rows = self._load_rows()
            labels, names = self._store.column('label')[rows].tolist(), self._store.ids()
            if self._new_labels is not None:
                labels = [self._new_labels[label] for label in labels]
            self.count(labels, (names[row] for row in rows))
            del labels, names
            release_freed_memory()  # of the names
            return rows
        clips = self._load_annotations()
        self.count([clip['label'] for clip in clips], (clip['frame_dir'] for clip in clips))
        return clips

    def count(self, labels: Sequence[int], names: Iterable[str]):
        """Keep the labels and names of all clips for checks of a run."""
        self.label_counts = Counter(labels)
        names = list(names)
        self.name_hashes = np.fromiter(map(hash, names), np.int64)
        if len(np.unique(self.name_hashes)) < len(names):
            print_log(f'{self._where()}: found names of several clips: {find_twice(names)}, '
                      'expected one clip per name: the same clips twice, or different ones, which '
                      'splits and results by name do not tell apart', 'current', logging.WARNING)

    def read_annotations(self) -> list[dict]:
        """Read all valid annotations of the split in file order, also of an ``.arrow`` file."""
        if self.ann_file.endswith('.arrow'):
            return [self._read_row(row) for row in self._load_rows()]
        return self._load_annotations()

    def _load_annotations(self) -> list[dict]:
        """Read the valid annotations of a file that fits in memory."""
        data = load_annotations(self.ann_file)
        self.num_annotations = len(data['annotations'])
        self._name_classes(data['metainfo'])
        selected = self._select(data)
        total = len(selected) + self._num_bad()
        data.clear()  # frees the annotations of other splits
        data_list = []
        unknown: Counter[int] = Counter()
        for index, ann in selected:
            ann = complete_3d(ann) if self.dims == 3 else ann
            problem = validate(ann, self.layout.num_joints, self.num_classes, self.test_mode,
                               self.ann_file, index, self.dims)
            if problem is not None and self._is_out_of_range(problem, ann):
                unknown[ann['label']] += 1
            if problem is not None:
                if self.exemplar_split is not None and ann['exemplar']:
                    raise AnnotationError(f'{problem}; it is an exemplar of split '
                                          f'{self.exemplar_split!r}, which cannot be skipped')
                self.report(problem)
            elif self._new_labels is None or ann['label'] in self._new_labels:
                self._prepare(ann)
                data_list.append(ann)
        self.check_labels(unknown)
        self._summarize(total, len(data_list))
        return data_list

    def _is_out_of_range(self, problem: Problem, ann: dict) -> bool:
        """Return whether the problem of an annotation is a label, which is an integer."""
        return problem.field == 'label' and is_int(ann.get('label'), -2**63)

    def check_labels(self, unknown: Counter):
        """Raise an AnnotationError about labels out of range and their numbers of annotations."""
        if not unknown or self.skip_labels:
            return
        counts = _shorten([f'{label} ({count} annotations)'
                           for label, count in sorted(unknown.items())])
        expected = 'at least 0' if self.num_classes is None else \
            f'0 to {self.num_classes - 1}, as num_classes={self.num_classes}'
        first = ' (do they start at 1?)' if [*unknown] == [self.num_classes] else ''
        raise AnnotationError(f'{self._where()}: label: found {counts}, expected {expected}; '
                              f'correct the labels{first} or num_classes, or skip these '
                              'annotations by skip_labels=True of the data set')

    def _where(self) -> str:
        return f'{self.ann_file}, split {self.split!r}'

    def _name_classes(self, metainfo: dict):
        """Set number and names of the classes from the file or ``class_names``."""
        names = metainfo.get('classes', ())
        check_names(f'{self.ann_file}: metainfo.classes', names)
        names = names if len(names) else self.class_names
        if len(names) and self.num_classes not in (None, len(names)):
            raise file_error(self.ann_file, 'metainfo.classes', f'{len(names)} names',
                             f'{self.num_classes}, as num_classes={self.num_classes}')
        if len(names):
            self.num_classes = self.num_classes or len(names)
            chosen = range(len(names)) if self.classes is None else self.classes
            self._metainfo.setdefault('classes', [names[c] for c in chosen if c < len(names)])

    def _summarize(self, total: int, usable: int):
        """Print the problems, and raise an error if no annotation is left."""
        if self.problems:
            self.skipped = (f'{self._where()}: skipped {self._num_bad()} of {total} annotations, '
                            f'{len(self.problems) - self._num_bad()} ids without one')
            print_log(f'{self.skipped}:\n{summarize(self.problems)}', 'current', logging.WARNING)
        if not usable:
            kind = UnreadableError if self.problems else AnnotationError
            raise kind(f'{self.ann_file}: none of {total} annotations can be used, with '
                       f'split={self.split!r} and classes={self.classes}\n'
                       f'{summarize(self.problems)}')

    def _load_rows(self) -> np.ndarray:
        """Return rows of the valid annotations of an ``.arrow`` file without reading them."""
        self._store = open_arrow(self.ann_file)
        self.num_annotations = len(self._store)
        self._name_classes(self._store.metainfo)
        self._exemplars = np.zeros(len(self._store), bool)
        keep = self._rows_of(self.split)
        if self.exemplar_split is not None:
            self._exemplars = self._rows_of(self.exemplar_split)
            keep |= self._exemplars
        total = keep.sum()
        for row in sorted(self._store.problems):
            if keep[row]:
                self._report_row(Problem(self.ann_file, row, *self._store.problems[row]))
                keep[row] = False
        unknown: Counter[int] = Counter()
        label, joints = self._store.column('label'), self._store.column('num_joints')
        for field, bad, found, expected in (
                ('label', (label < 0) | (label >= (self.num_classes or np.inf)), label,
                 f'an integer in [0, {self.num_classes})'),
                ('keypoint', (joints != self.layout.num_joints)
                 & (self._store.column('num_person') > 0), joints,
                 f'{self.layout.num_joints} joints'),
                ('keypoint', (self._store.dims != self.dims)
                 & (self._store.column('num_person') > 0), self._store.dims,
                 f'{self.dims} coordinates'),
                ('keypoint', ~(self._store.column('visible') | self.test_mode), None,
                 'at least one joint')):
            for row in np.flatnonzero(keep & bad).tolist():
                problem = Problem(self.ann_file, row, field,
                                  'all joints missing' if found is None else str(found[row]),
                                  expected)
                if field == 'label':
                    unknown[int(label[row])] += 1
                self._report_row(problem)
            keep &= ~bad
        for row in np.flatnonzero(keep & self._store.suspects()).tolist():
            problem = self._validate_row(row)
            if problem is not None:
                self._report_row(problem)
                keep[row] = False
        if self.classes is not None:
            keep &= np.isin(label, self.classes)
        self.check_labels(unknown)
        self._summarize(total, keep.sum())
        self.serialize_data = False  # nothing is kept in memory
        return np.flatnonzero(keep).astype(np.int32)

    def _report_row(self, problem: Problem):
        """Report the problem of an annotation in an ``.arrow`` file."""
        if self._exemplars[problem.index]:
            raise AnnotationError(f'{problem}; it is an exemplar of split '
                                  f'{self.exemplar_split!r}, which cannot be skipped')
        self.report(problem)

    def _validate_row(self, row: int) -> Problem | None:
        """Validate an annotation of an ``.arrow`` file, which may have no visible joint."""
        return validate(self._store[row], self.layout.num_joints, self.num_classes, True,
                        self.ann_file, row, self.dims)

    def _rows_of(self, split: str | None) -> np.ndarray:
        """Return the mask (N,) of rows of a split, all for None."""
        splits = self._store.splits()
        self._check_split(split, splits)
        mask = np.full(len(self._store), split is None)
        mask[splits.get(split, [])] = True
        return mask

    def _read_row(self, row: int) -> dict:
        """Read one annotation of an ``.arrow`` file, which was found valid at opening."""
        ann = self._store[row]
        if self.exemplar_split is not None:
            ann['exemplar'] = bool(self._exemplars[row])
        self._prepare(ann)
        return ann

    def _select(self, data: dict) -> list[tuple[int, dict]]:
        """Return pairs of index and annotation of the split, with the ID in ``frame_dir``."""
        annotations = data['annotations']
        ids = self._ids(self.split, data['split'])
        exemplars = self._ids(self.exemplar_split, data['split']) or {}
        selected = []
        for index, ann in enumerate(annotations):
            name = ann.get('frame_dir') if isinstance(ann, dict) else None
            if not isinstance(name, str):
                self.report(Problem(self.ann_file, index, 'frame_dir', show(name), 'a string'))
            elif ids is None or name in ids or name in exemplars:
                if self.exemplar_split is not None:
                    ann['exemplar'] = name in exemplars
                selected.append((index, ann))
        found = {ann['frame_dir'] for _, ann in selected}
        for name in exemplars.keys() - found:
            raise file_error(self.ann_file, f'split {self.exemplar_split!r}',
                             f'exemplar {name!r} without annotation',
                             'an annotation per exemplar')
        for name in (ids or {}).keys() - found:
            self.report(Problem(self.ann_file, None, f'split {self.split!r}',
                                f'{name!r} without annotation', 'an annotation per id'))
        return selected

    def _ids(self, split: str | None, splits: dict) -> dict | None:
        """Return the IDs of a split as keys, None for None."""
        self._check_split(split, splits)
        return None if split is None else dict.fromkeys(splits[split])

    def _check_split(self, split: str | None, splits: dict):
        if split is not None and split not in splits:
            raise AnnotationError(
                f'{self.ann_file}: no split {split!r}, ' +
                (f'expected one of {show(sorted(splits))}' if splits else
                 'the file has no splits, use split=None'))

    def _num_bad(self) -> int:
        return sum(problem.index is not None for problem in self.problems)

    def report(self, problem: Problem):
        """Store a problem, or raise an AnnotationError if ``on_error='raise'``."""
        if self.on_error == 'raise':
            raise AnnotationError(problem)
        self.problems.append(problem)

    def _prepare(self, ann: dict):
        """Convert one valid annotation in place, without boxes, of which rows are not sampled."""
        ann.pop('box', None)
        if self._new_labels is not None:
            ann['label'] = self._new_labels[ann['label']]
        if len(ann['keypoint']) == 0:
            shape = (0, ann['total_frames'], self.layout.num_joints)
            ann['keypoint'] = np.zeros((*shape, self.dims), np.float16)
            ann['keypoint_score'] = np.zeros(shape, np.float16)
        ann['keypoint'], ann['keypoint_score'] = convert(ann['keypoint'], ann['keypoint_score'],
                                                         self.layout.name, self.to_layout.name)

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        """Serialize the clips in place; ``BaseDataset`` needs three times the memory."""
        block, ends = bytearray(), []
        self.data_list.reverse()
        while self.data_list:
            block += pickle.dumps(self.data_list.pop(), protocol=4)
            ends.append(len(block))
            if len(self.data_list) % 4096 == 0:
                release_freed_memory()  # otherwise the clips take twice the memory
        return np.frombuffer(block, np.uint8), np.array(ends, np.int64)

    def get_data_info(self, idx: int) -> dict:
        """Return a copy of one annotation.

        Args:
            idx (int): Index in [0, len(self)); repetitions of a clip share its ``sample_idx``.

        Returns:
            dict: The annotation with ``sample_idx``.
        """
        length = len(self)
        if not -length <= idx < length:
            raise IndexError(f'index {idx} is out of range for {length} samples')
        idx %= length // self.repeat
        if self._store is None:
            return super().get_data_info(idx)
        return dict(self._read_row(self.data_list[idx]), sample_idx=idx)

    def _get_unserialized_subset(self, indices) -> Sequence:
        """Return annotations, or rows of an ``.arrow`` file, see ``BaseDataset``."""
        subset = super()._get_unserialized_subset(indices)
        return subset if self._store is None else np.array(subset, np.int32)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the label of one sample as a list, for ``ClassBalancedDataset``."""
        return [self.get_data_info(idx)['label']]

    def __len__(self) -> int:
        """Return the number of clips times ``repeat``."""
        return super().__len__() * self.repeat


def _shorten(values: Sequence, limit: int = 10) -> str:
    """Format the first values and the number of others."""
    text = ', '.join(map(str, values[:limit]))
    return text + (f' and {len(values) - limit} more' if len(values) > limit else '')
