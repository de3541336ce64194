"""Frame-level ground truth of anomaly detection: which frames of a clip are abnormal."""
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import AnnotationError
from mofm.sources.base import Source

from .motion_dataset import MotionDataset

#: Lists of clips that a protocol leaves out. HR-ShanghaiTech (Morais et al., CVPR 2019) keeps the
#: clips whose anomaly is a person that the camera can see.
CLIPS_LEFT_OUT = dict(
    hr_shanghaitech=('01_0130', '01_0135', '01_0136', '06_0144', '06_0145', '12_0152'))


class _LabelFiles(Source):
    """Folder or zip file with one array of 0 and 1 per clip."""

    max_size = 2**24

    def __init__(self, path, suffix):
        self.suffix = suffix
        super().__init__(path)

    def arrays(self, ending, magic=b''):
        """Arrays (T,) bool by clip, from the files that begin with ``magic``."""
        labels = {}
        archive = None if self.path.is_dir() else zipfile.ZipFile(self.path)
        try:
            for name in self.files:
                content = self.file_content(name, archive)
                if not content.startswith(magic):
                    continue
                try:
                    array = np.load(io.BytesIO(content), allow_pickle=False)
                except Exception as error:  # damaged bytes make NumPy raise nearly anything
                    raise self.error(name, 'file', f'{type(error).__name__}: {error}',
                                     'an array in the .npy format') from error
                clip = PurePosixPath(name).name.removesuffix(ending)
                if clip in labels:
                    raise self.error(name, 'clip', f'{clip!r} twice', 'one file for each clip')
                if array.ndim != 1 or not array.size or array.dtype.kind not in 'biuf' or not (
                        np.isin(array, (0, 1)).all()):
                    raise self.error(name, 'labels', f'{array.dtype} of shape {array.shape}',
                                     'one 0 or 1 for each frame')
                labels[clip] = array != 0
        finally:
            if archive:
                archive.close()
        if not labels:
            raise AnnotationError(f'{self.path}: found no frame labels in {len(self.files)} '
                                  f'{self.suffix} files')
        return labels


def read_shanghaitech(path: str | Path) -> dict[str, np.ndarray]:
    """Masks of ShanghaiTech (Luo et al., ICCV 2017), ``test_frame_mask/<clip>.npy``.

    Args:
        path (str or Path): The folder or a zip file of it.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        AnnotationError: If a file is not as expected, or there is none.
    """
    return _LabelFiles(path, '.npy').arrays('.npy')


def read_ubnormal(path: str | Path) -> dict[str, np.ndarray]:
    """Labels of UBnormal's test clips (Acsintoae et al., CVPR 2022), ``<clip>_tracks.txt``.

    In spite of their name these are NumPy arrays, with 1 for normal frames. The files of the other
    clips, which are text, are passed over.

    Args:
        path (str or Path): The folder or a zip file of it.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        AnnotationError: If a file is not as expected, or there is none.
    """
    labels = _LabelFiles(path, '.txt').arrays('_tracks.txt', np.lib.format.MAGIC_PREFIX)
    return {clip: ~normal for clip, normal in labels.items()}


def read_annotations(path: str | Path, split: str | None = None, layout: str = 'coco17',
                     abnormal_labels: Sequence[int] = (1, )) -> dict[str, np.ndarray]:
    """Labels of an annotation file: a frame is abnormal if it is so for any person.

    A clip ends with the last frame of its annotations.

    Args:
        path (str or Path): Annotation file whose annotations have ``frame_label``.
        split (str, optional): Name of a split in the file. None takes all annotations.
        layout (str): Joint layout of the file.
        abnormal_labels (Sequence[int]): Values of ``frame_label`` that are abnormal.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        AnnotationError: If the file cannot be used or has no ``frame_label``.
    """
    annotations = MotionDataset(str(path), split=split, layout=layout, test_mode=True,
                                serialize_data=False).data_list
    if not any('frame_label' in ann for ann in annotations):
        raise AnnotationError(f'{path}, split {split!r}: no annotation has frame_label, so it is '
                              'unknown which frames are abnormal')
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


_READERS = dict(shanghaitech=read_shanghaitech, ubnormal=read_ubnormal,
                annotations=read_annotations)


def read_frame_labels(type: str, path: str | Path, **options) -> dict[str, np.ndarray]:
    """Ground truth by its kind, as a config names it.

    Args:
        type (str): ``'shanghaitech'``, ``'ubnormal'`` or ``'annotations'``.
        path (str or Path): See :func:`read_shanghaitech`, :func:`read_ubnormal`,
            :func:`read_annotations`.
        **options: Further arguments of that function.

    Returns:
        dict: Clip -> (T,) bool, True for abnormal frames.

    Raises:
        ValueError: If the type is another one.
        AnnotationError: If the files cannot be used.
    """
    if type not in _READERS:
        raise ValueError(f'type of the ground truth: found {type!r}, expected one of '
                         f'{sorted(_READERS)}')
    return _READERS[type](path, **options)
