"""Frame-level ground truth of anomaly detection."""
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import AnnotationError
from mofm.sources import CHAD, PHEVA, PoseLift, Source
from mofm.sources.data_sets.chad import AnomalyVideos
from mofm.utils.checks import describe
from mofm.utils.untrusted import read_npy

from .motion_dataset import MotionDataset

#: Lists of clips that a protocol excludes. HR-ShanghaiTech (Morais et al., CVPR 2019) keeps the
#: clips with anomalies of visible persons.
CLIPS_LEFT_OUT = dict(
    hr_shanghaitech=('01_0130', '01_0135', '01_0136', '06_0144', '06_0145', '12_0152'))


class _LabelFiles(Source):
    """Reader of a folder or zip file with one array of 0 and 1 per clip."""

    max_size = 2**24

    def __init__(self, path, suffix):
        self.suffix = suffix
        super().__init__(path)

    def arrays(self, ending, magic=b''):
        """Read arrays (T,) bool by clip from the files that start with ``magic``."""
        labels = {}
        for name in self.files:
            content = self.file_content(name)
            if not content.startswith(magic):
                continue
            try:
                array = read_npy(io.BytesIO(content))
            except Exception as error:  # NumPy raises many kinds for damaged bytes
                raise self.error(name, 'file', describe(error),
                                 'an array in the .npy format') from error
            clip = PurePosixPath(name).name.removesuffix(ending)
            if clip in labels:
                raise self.error(name, 'clip', f'{clip!r} twice', 'one file per clip')
            if array.ndim != 1 or not array.size or array.dtype.kind not in 'biuf' or not (
                    np.isin(array, (0, 1)).all()):
                raise self.error(name, 'labels', f'{array.dtype} of shape {array.shape}',
                                 '0 or 1 per frame')
            labels[clip] = array != 0
        if not labels:
            raise AnnotationError(f'{self.path}: found no frame labels in {len(self.files)} '
                                  f'{self.suffix} files')
        return labels


def read_shanghaitech(path: str | Path) -> dict[str, np.ndarray]:
    """Read masks of ShanghaiTech (Luo et al., ICCV 2017), ``test_frame_mask/<clip>.npy``.

    Args:
        path (str or Path): The folder or a zip file of it.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        AnnotationError: If a file is invalid or there is none.
    """
    return _LabelFiles(path, '.npy').arrays('.npy')


def read_ubnormal(path: str | Path) -> dict[str, np.ndarray]:
    """Read labels of UBnormal's test clips (Acsintoae et al., CVPR 2022), ``<clip>_tracks.txt``.

    Despite their name these are NumPy arrays, with 1 for normal frames. The text files of other
    clips are ignored.

    Args:
        path (str or Path): The folder or a zip file of it.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        AnnotationError: If a file is invalid or there is none.
    """
    labels = _LabelFiles(path, '.txt').arrays('_tracks.txt', np.lib.format.MAGIC_PREFIX)
    return {clip: ~normal for clip, normal in labels.items()}


def read_annotations(path: str | Path, split: str | None = None, layout: str = 'coco17',
                     abnormal_labels: Sequence[int] = (1, )) -> dict[str, np.ndarray]:
    """Read labels of an annotation file: a frame is abnormal if it is for any person.

    A clip ends with the last frame of its annotations.

    Args:
        path (str or Path): Annotation file with ``frame_label``.
        split (str, optional): Split in the file, None for all annotations.
        layout (str): Joint layout of the file.
        abnormal_labels (Sequence[int]): Abnormal values of ``frame_label``.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        AnnotationError: If the file is invalid or has no ``frame_label``.
    """
    annotations = MotionDataset(str(path), split=split, layout=layout, test_mode=True,
                                serialize_data=False).data_list
    if not any('frame_label' in ann for ann in annotations):
        raise AnnotationError(f'{path}, split {split!r}: no annotation has frame_label, expected '
                              'labels of abnormal frames')
    frames = {}
    for ann in annotations:
        inds = ann.get('frame_inds', np.arange(ann['total_frames']))
        label = np.atleast_2d(ann.get('frame_label', np.full(len(inds), -1)))  # (1 or M, T)
        abnormal = inds[np.isin(label, abnormal_labels).any(0)]
        frames.setdefault(ann.get('clip', ann['frame_dir']), []).append((inds[-1] + 1, abnormal))
    labels = {}
    for clip, parts in frames.items():
        labels[clip] = np.zeros(max(length for length, _ in parts), bool)
        labels[clip][np.concatenate([abnormal for _, abnormal in parts])] = True
    return labels


def read_videos(source: type[AnomalyVideos], path: str | Path, split: str = 'test',
                **options) -> dict[str, np.ndarray]:
    """Read labels of the test videos of CHAD, PHEVA or PoseLift, ``<video>.npy``.

    Args:
        source (type): Reader of the data set.
        path (str or Path): What ``tools/data/prepare.py`` reads, poses and labels.
        split (str): ``'test'``, or ``'supervised_test'`` for a training with labels.
        **options: Of the reader, e.g. ``gt``, where the labels are.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        AnnotationError: If a file is invalid or there is none.
    """
    return source(path, strict=True, **options).frame_labels(split)


_READERS = dict(shanghaitech=read_shanghaitech, ubnormal=read_ubnormal,
                annotations=read_annotations, chad=partial(read_videos, CHAD),
                pheva=partial(read_videos, PHEVA), poselift=partial(read_videos, PoseLift))


def read_frame_labels(type: str, path: str | Path, **options) -> dict[str, np.ndarray]:
    """Read ground truth by its type in a config.

    Args:
        type (str): ``'shanghaitech'``, ``'ubnormal'``, ``'chad'``, ``'pheva'``, ``'poselift'`` or
            ``'annotations'``.
        path (str or Path): See :func:`read_shanghaitech`, :func:`read_ubnormal`,
            :func:`read_videos`, :func:`read_annotations`.
        **options: Further arguments of that function.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        ValueError: If the type is unknown.
        AnnotationError: If the files are invalid.
    """
    if type not in _READERS:
        raise ValueError(f'type of ground truth: found {type!r}, expected one of '
                         f'{sorted(_READERS)}')
    return _READERS[type](path, **options)
