"""Arrays of 3D joints of NTU RGB+D that CTR-GCN and 2s-AGCN are trained on.

CTR-GCN (Chen et al., ICCV 2021): ``NTU60_CS.npz`` and the like have ``x_train`` (N, T, 150), two
persons of 25 joints, and ``y_train`` (N, 60 or 120), one-hot; ``x_test`` and ``y_test``. Joints
are those of the sensor relative to the spine in the first frame: meters, y up.

2s-AGCN (Shi et al., CVPR 2019): ``train_data_joint.npy`` (N, 3, T, 25, 2) and ``train_label.pkl``
with names and labels, the same for ``val``. Joints are relative to the spine of the first person
in every frame and turned so that the first pose has z up. ST-GCN's ``train_data.npy`` has the
joints as they are, y up.
"""
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES, AnnotationError
from mofm.annotations.unpickling import RestrictedUnpickler
from mofm.registry import SOURCES
from mofm.utils.checks import describe
from mofm.utils.untrusted import map_array, open_zip, read_npy

from ..base import Item
from ..recognition import Sample
from ..source_3d import Source3D

_CHUNK = 128  # recordings that are read at a time
_SAMPLED = 64  # recordings whose trunks tell the axis that points up
_PROTOCOLS = {'cs': 'xsub', 'csub': 'xsub', 'xsub': 'xsub', 'cv': 'xview', 'xview': 'xview',
              'cset': 'xset', 'xset': 'xset', 'xsetup': 'xset'}
_SPINE, _UPPER_SPINE = 0, 20


class GCNArrays(Source3D):
    """Base class of readers of one array of many recordings, which is read in pieces.

    Zeros that fill up frames and persons are dropped. :attr:`files` are pieces of 128 recordings;
    compressed arrays and those in archives are read as a whole.
    """

    max_size = 2**31
    layout = 'kinect25'

    def parts(self, file: str) -> Iterable[str]:
        """Return the parts of a file, each with an array of joints."""
        raise NotImplementedError

    def array_of(self, file: str, part: str, is_mapped: bool) -> np.ndarray:
        """Return the array of joints of a part, mapped to memory or read."""
        raise NotImplementedError

    def arrange(self, file: str, array: np.ndarray, rows: slice) -> np.ndarray:
        """Return joints (n, M, T, 25, 3) of some recordings in meters, y up."""
        raise NotImplementedError

    def labels(self, file: str, part: str, count: int | None) -> tuple[list[int], list[str]]:
        """Return labels and names of all recordings of a part, and set :attr:`classes`."""
        raise NotImplementedError

    def split(self, file: str, part: str) -> str:
        """Return the split of a part."""
        raise NotImplementedError

    def find(self) -> list[str]:
        """List the pieces of all arrays."""
        #: File, part and rows of each piece.
        self.pieces: dict[str, tuple[str, str, slice]] = {}
        self._titles: dict[tuple[str, str], tuple[list[int], list[str]]] = {}
        for file in super().find():
            for part in self.parts(file):
                try:
                    count = len(self.array_of(file, part, True))
                except Exception:  # read as a whole, or reported then
                    count = None
                with suppress(AnnotationError):  # reported when they are needed
                    self._titles[file, part] = self.labels(file, part, None)
                for first in range(0, count or 1, _CHUNK):
                    rows = slice(first, None if count is None else first + _CHUNK)
                    name = (PurePosixPath(file) / part / f'{first:06d}').as_posix()
                    self.pieces[name] = file, part, rows
        return list(self.pieces)

    def used(self) -> Iterable[str]:
        """See :meth:`Source.used`."""
        return {file for file, _, _ in self.pieces.values()}

    def real_path(self, file: str) -> Path:
        """Return the path of a file; it does not exist for one in an archive."""
        return self.tree.path if self.tree.is_file else self.tree.path / file

    def opened(self, file: str) -> Path | io.BytesIO:
        """Return the path of a file, or its content if it is packed."""
        path = self.real_path(file)
        return path if path.is_file() and file in self.tree.names else io.BytesIO(
            self.file_content(file))

    def load(self, name: str) -> tuple[np.ndarray, list[int], list[str], int]:
        """Load joints of a piece, and labels and names of all recordings of its part."""
        file, part, rows = self.pieces[name]
        try:
            array = self.array_of(file, part, rows.stop is not None)
        except AnnotationError:
            raise
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise self.error(file, part, describe(error), 'an array of numbers') from None
        with np.errstate(invalid='ignore'):  # NaN of any bits
            joints = self.arrange(file, array, rows).astype(np.float64)
        labels, names = self._titles.get((file, part), ((), ()))
        if len(labels) != len(array):
            labels, names = self.labels(file, part, len(array))  # names the fault
        return joints, labels, names, rows.start

    def annotations(self, name: str, content) -> Iterator[Item]:
        """Yield the views of every recording of a piece."""
        file, part, _ = self.pieces[name]
        joints, labels, names, first = content
        folder = PurePosixPath(file).parent
        for index, recording in enumerate(joints, first):
            try:
                title = (folder / names[index]).as_posix()
                self.check_path(file, 'name', title)
                found = self.listed(title)
                if found is None:
                    continue
                label, splits = found if self.lists else (
                    labels[index], (self.split(file, part), ))
                recording = dict(frame_dir=title, label=label,
                                 joints=self._trimmed(file, index, recording))
                items = [(view, splits) for view in self.views_of(recording)]
            except AnnotationError as error:
                self.report(error)
            else:
                yield from items

    def _trimmed(self, file, index, joints):
        """Drop what fills up an array (M, T, 25, 3)."""
        if np.isnan(joints).any():
            self.note(file, 'NaN is a missing joint')
        present = (np.nan_to_num(joints) != 0).any((2, 3))  # (M, T)
        if not present.any():
            raise self.error(file, f'recording {index}', 'no joint', 'at least one')
        joints[~present] = np.nan
        persons = present.any(1)
        joints = joints[persons, :np.flatnonzero(present.any(0))[-1] + 1]
        self.check_meters(file, f'recording {index}', joints)
        period = _period(joints[0])
        if period < joints.shape[1]:
            self.note(file, 'frames that an array repeats to fill it up are dropped')
        return joints[:, :period]

    def set_classes(self, count: int):
        """Set the names of the classes, which are those of the larger release if any is."""
        if count > len(self.classes):
            self.classes = LABEL_NAMES['ntu60' if count <= 60 else 'ntu120']


def _period(joints: np.ndarray) -> int:
    """Return the number of frames after which a person (T, 25, 3) repeats, T if never."""
    flat = np.nan_to_num(joints).reshape(len(joints), -1)
    for start in 1 + np.flatnonzero((flat[1:] == flat[0]).all(1)):
        if start > 1 and np.array_equal(flat[start:], flat[:-start]):
            return int(start)
    return len(joints)


@SOURCES.register_module('ctr_gcn')
class CTRGCN(GCNArrays):
    """Reader of ``NTU60_CS.npz``, ``NTU60_CV.npz``, ``NTU120_CSub.npz`` and ``NTU120_CSet.npz``.

    Splits: ``xsub_train``, ``xsub_val``, ``xview_*`` or ``xset_*`` by the name of the file, else
    ``train`` and ``val``. Recordings have no names there: ``NTU60_CS_train_000000`` ...
    """

    suffix = '.npz'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        shape, _ = sample.arrays['x_train']
        return ("'x_train' (N, T, 150) and 'y_train'" if shape[2:] == (150, )
                and 'y_train' in sample.arrays else None)

    def parts(self, file: str) -> Iterable[str]:
        """See the base class."""
        try:
            with open_zip(self.opened(file)) as archive:
                names = set(archive.namelist())
        except Exception:  # reported when it is read
            names = set()
        return [part for part in ('train', 'test') if f'x_{part}.npy' in names] or ['train']

    def array_of(self, file: str, part: str, is_mapped: bool) -> np.ndarray:
        """See the base class."""
        return self._member(file, f'x_{part}', is_mapped)

    def _member(self, file, member, is_mapped):
        if is_mapped:
            return map_array(self.real_path(file), member)
        with open_zip(self.opened(file)) as archive, archive.open(f'{member}.npy') as opened:
            return read_npy(io.BytesIO(opened.read()))

    def arrange(self, file: str, array: np.ndarray, rows: slice) -> np.ndarray:
        """See the base class."""
        if array.ndim != 3 or array.shape[2] != 150 or array.dtype.kind not in 'fiu':
            raise self.error(file, 'x', f'{array.dtype} of shape {array.shape}',
                             'numbers of shape (N, T, 150)')
        joints = np.array(array[rows])
        return joints.reshape(*joints.shape[:2], 2, 25, 3).swapaxes(1, 2)

    def labels(self, file: str, part: str, count: int | None) -> tuple[list[int], list[str]]:
        """See the base class."""
        try:
            values = self._member(file, f'y_{part}', False)
        except AnnotationError:
            raise
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise self.error(file, f'y_{part}', describe(error), 'an array of numbers') from None
        count = len(values) if count is None and values.ndim else count
        if values.shape not in ((count, 60), (count, 120)) or values.dtype.kind not in 'fiu' or (
                (values != 0) != (values == 1)).any() or (values.sum(1) != 1).any():
            raise self.error(file, f'y_{part}', f'{values.dtype} of shape {values.shape}',
                             f'one-hot labels of shape ({count}, 60 or 120)')
        self.set_classes(values.shape[1])
        stem = PurePosixPath(self.stem(file)).name
        return values.argmax(1).tolist(), [f'{stem}_{part}_{i:06d}' for i in range(count)]

    def split(self, file: str, part: str) -> str:
        """See the base class."""
        protocol = _PROTOCOLS.get(PurePosixPath(self.stem(file)).name.lower().split('_')[-1])
        split = 'train' if part == 'train' else 'val'
        return f'{protocol}_{split}' if protocol else split


@SOURCES.register_module('agcn')
class AGCN(GCNArrays):
    """Reader of ``train_data_joint.npy`` with ``train_label.pkl``, and the same for ``val``.

    Splits: ``xsub_train``, ``xsub_val``, ``xview_*`` or ``xset_*`` by the name of the folder, else
    ``train`` and ``val``. The axis that points up is found by the trunks. Frames that 2s-AGCN
    repeats to fill up the array are dropped.
    """

    suffix = '.npy'
    companions = ('*_label.pkl', )
    _file = re.compile(r'(.+?)_data(_joint)?\.npy', re.IGNORECASE)

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        shape, _ = sample.arrays['']
        return ('an array (N, 3, T, 25, M)' if len(shape) == 5 and shape[1] == 3
                and shape[3] == 25 else None)

    def is_native(self, filename: str) -> bool:
        """Return whether a file has joints, not bones or motions."""
        return super().is_native(filename) and self._file.fullmatch(filename) is not None

    def parts(self, file: str) -> Iterable[str]:
        """See the base class."""
        match = self._file.fullmatch(self.tree.filename(file))
        return (match[1] if match else 'train', )

    def array_of(self, file: str, part: str, is_mapped: bool) -> np.ndarray:
        """See the base class."""
        return (map_array(self.real_path(file)) if is_mapped else
                read_npy(self.opened(file)))

    def arrange(self, file: str, array: np.ndarray, rows: slice) -> np.ndarray:
        """See the base class."""
        if array.ndim != 5 or array.shape[1] != 3 or array.shape[3] != 25 or (
                array.dtype.kind not in 'fiu'):
            raise self.error(file, 'array', f'{array.dtype} of shape {array.shape}',
                             'numbers of shape (N, 3, T, 25, M)')
        trunks = np.array(array[:_SAMPLED, :, 0, [_SPINE, _UPPER_SPINE], 0], np.float64)
        trunks = np.nan_to_num(trunks[..., 1] - trunks[..., 0])  # (S, 3)
        trunk = np.median(trunks[trunks.any(1)], 0) if trunks.any() else np.zeros(3)
        axis = int(np.abs(trunk).argmax())
        if not trunk[axis] > 2 * np.abs(np.delete(trunk, axis)).max() or axis == 0:
            raise self.error(file, 'array', f'trunks along {trunk.round(3)}', 'y or z up')
        joints = np.array(array[rows]).transpose(0, 4, 2, 3, 1)
        if axis == 1:
            return joints
        self.note(file, 'z is up in the array')
        return joints[..., [0, 2, 1]] * [1, 1, -1]

    def labels(self, file: str, part: str, count: int | None) -> tuple[list[int], list[str]]:
        """See the base class."""
        where = f'{part}_label.pkl'
        beside = (PurePosixPath(file).parent / where).as_posix()
        content = self.file_content(beside) if file else self.companion(where)
        try:
            names, labels = RestrictedUnpickler(io.BytesIO(content)).load()
            labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
            names = [str(PurePosixPath(name).with_suffix('')) for name in names]
        except Exception as error:  # the parser raises many kinds for damaged bytes
            raise self.error(beside, 'file', describe(error),
                             'a pickle of names and labels') from None
        count = len(names) if count is None else count
        if not len(names) == len(labels) == count > 0 or not all(
                type(label) is int and 0 <= label < 120 for label in labels):
            raise self.error(beside, 'labels', f'{len(labels)} of {len(names)} names',
                             f'{count} labels from 0 to 119 and names')
        self.set_classes(max(labels) + 1)
        return labels, names

    def split(self, file: str, part: str) -> str:
        """See the base class."""
        folder = self.real_path(file).absolute().parent.name.lower()
        protocol = _PROTOCOLS.get(folder)
        return f'{protocol}_{part}' if protocol else part
