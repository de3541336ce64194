"""Joint positions in NumPy files, e.g. of AMASS, Human3.6M and HumanEva."""
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mofm.annotations.object_arrays import kinds_of_arrays
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, get_layout
from mofm.utils.checks import describe
from mofm.utils.untrusted import read_npy

from ..base import Item
from ..joint_maps import MAP_OPTION, load_map, shipped_maps
from ..joint_order import misfit, other_layouts
from ..motion_capture import MotionCapture
from ..recognition import Sample
from .amass import AMASS
from .freemocap import FreeMoCap
from .humanml3d import HumanML3D

_RATES = ('fps', 'framerate', 'mocap_framerate', 'mocap_frame_rate')
_NAME = re.compile(r'[^\s/\\]([^/\\]*[^\s/\\])?')


@SOURCES.register_module('joints_npz')
class JointsNPZ(MotionCapture):
    """Reader of arrays of joint positions, (T, J, 3) in ``.npz`` and ``.npy`` files.

    Every such array is a recording, named ``FILE/KEY``, or ``FILE`` if it is the only one. With
    arrays ``length`` and ``name`` (S,), a single array contains S concatenated recordings, named
    ``FILE/name``. NaN marks missing joints.

    A text array ``joints`` or ``joint_names`` (J,) names the joints: required by ``joint_map``,
    checked against ``layout``. Without both, the names choose, or else J does if only one layout
    has J joints.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        layout (str, optional): Order of the joints, one of :data:`mofm.structures.LAYOUTS`.
        joint_map (str or Path, optional): Names of the joints instead, see :func:`load_map`.
        key (str, optional): Read this array only.
        **kwargs: Passed to :class:`MotionCapture`.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
        ValueError: If both of layout and map are given, or the layout is unknown.
    """

    suffix = ('.npz', '.npy')
    max_size = 2**29

    def __init__(self, path: str | Path, layout: str | None = None,
                 joint_map: str | Path | None = None, key: str | None = None, **kwargs):
        if layout is not None and joint_map is not None:
            raise ValueError(f'found layout={layout} and joint_map={joint_map}, expected one of '
                             'them to identify the joints')
        super().__init__(path, **kwargs)
        self.order = layout and get_layout(layout)
        self.joint_map = joint_map and load_map(joint_map)
        self.key = key

    @classmethod
    def add_options(cls, parser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        order = parser.add_mutually_exclusive_group()
        order.add_argument('--layout', choices=sorted(LAYOUTS), help='order of the joints')
        order.add_argument('--map', **MAP_OPTION)
        parser.add_argument('--key', help='array to read (default: all of shape (T, J, 3))')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        arrays = sample.arrays or {}
        if any(reader.recognize(sample) for reader in (AMASS, FreeMoCap, HumanML3D)):
            return None
        joints = [key for key, (shape, dtype) in arrays.items()
                  if len(shape) == 3 and shape[2] == 3 and dtype.kind in 'fiu'
                  and shape[1] != 33]  # of MediaPipe
        return f'an array (T, J, 3) {joints[0][:40]}'.rstrip() if joints else None

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        arrays = self.arrays(name, content)
        names = self._names(name, arrays)
        for recording, key, joints in self._split(name, arrays, names):
            if self.listed(recording) is None:
                continue
            layout = self._layout(name, key, joints, names)
            joints = self.from_layout(joints, layout) if layout else self.to_coco(
                name, 'joints', joints, names, self.joint_map)
            rate = next((arrays[key] for key in _RATES if key in arrays), None)
            yield from self.person(name, key, recording, joints, rate)

    def arrays(self, name: str, content: bytes) -> dict[str, np.ndarray]:
        """Read the arrays of a file, that of an ``.npy`` file by the name ``array``.

        Raises:
            AnnotationError: See :meth:`npz`.
        """
        try:
            if self.tree.filename(name).lower().endswith('.npy'):
                return dict(array=read_npy(io.BytesIO(content)))
            numbers, objects = kinds_of_arrays(io.BytesIO(content))
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise self.error(name, 'file', describe(error), 'a readable file of numbers'
                             ) from None
        if numbers and objects:
            self.note(name, 'arrays of Python objects are passed over')
        return self.npz(name, content, numbers or None)

    def _layout(self, name, key, joints, names) -> str | None:
        """Return the layout of joints (T, J, 3); None if they are found by their names."""
        if self.joint_map:
            return None
        num_joints = joints.shape[1]
        known = np.isfinite(joints).all(-1)
        with np.errstate(over='ignore'):  # the limit is infinite as float16
            joints = np.where(known[..., None] & (np.abs(joints) < 1e30), joints, 0)
        if self.order:
            kind, others = other_layouts(joints, known, self.order.name)
            if kind == 'better':
                self.note(name, f'the joints are read as {self.order.name}, but their bones have '
                          f'the proportions of humans in the order of {" or ".join(others)}')
            return self.order.name
        fitting = [layout.name for layout in LAYOUTS.values() if layout.num_joints == num_joints]
        if names:
            return next((title for title in fitting if _agree(names, LAYOUTS[title])), None)
        if len(fitting) != 1:
            fitting.sort(key=lambda title: misfit(joints, known, title))
            expected = f'--layout, one of {fitting}, best fit first' if fitting else (
                'an array joints (J,) of their names and --map, because no layout has as many')
            raise self.error(name, key, f'{num_joints} joints without names', expected)
        self.note(name, f'the only layout of {num_joints} joints is taken, --layout {fitting[0]}')
        return fitting[0]

    def _names(self, name, arrays) -> list[str]:
        """Return the text array ``joints`` or ``joint_names``, empty if there is none."""
        key = next((key for key in ('joints', 'joint_names') if key in arrays
                    and arrays[key].dtype.kind in 'US'), 'joints')
        value = arrays.get(key)
        is_text = value is not None and value.dtype.kind in 'US'
        names = self._texts(name, key, value) if is_text else []
        texts = any(isinstance(part, str) for parts in (self.joint_map or {}).values()
                    for part in parts)
        if texts and not names:
            raise self.error(name, 'joints', 'nothing' if value is None else
                             f'{value.dtype} of shape {value.shape}',
                             'an array of the joint names that the map refers to')
        if names and self.order and not _agree(names, self.order):
            raise self.error(name, key, names,
                             f'those of layout {self.order.name!r}: {self.order.joints}; pass '
                             '--map for other names')
        return names

    def _split(self, name, arrays, names) -> Iterator[tuple[str, str, np.ndarray]]:
        """Yield name, key and (T, J, 3) of each recording."""
        if self.key is not None and self.key not in arrays:
            raise self.error(name, self.key, sorted(arrays), 'an array of this name')
        keys = [self.key] if self.key is not None else [
            key for key, value in arrays.items()
            if value.ndim == 3 and value.shape[2] == 3 and value.dtype.kind in 'fiu']
        if not keys:
            raise self.error(name, 'arrays', {k: v.shape for k, v in arrays.items()},
                             'one of shape (T, J, 3)')
        num_joints = self.order.num_joints if self.order else len(names) or 'joints'
        for key in keys:
            value = arrays[key]
            if (value.dtype.kind not in 'fiu' or value.ndim != 3 or value.shape[2] != 3
                    or num_joints not in ('joints', value.shape[1]) or not len(value)):
                raise self.error(name, key, f'{value.dtype} of shape {value.shape}',
                                 f'numbers of shape (at least 1 frame, {num_joints}, 3)')
            if not _NAME.fullmatch(key):
                raise self.error(name, 'arrays', repr(key), 'names without slashes')
        stem = self.stem(name)
        if 'length' not in arrays:
            for key in keys:
                yield stem if len(keys) == 1 else f'{stem}/{key}', key, arrays[key]
            return
        if len(keys) > 1:
            raise self.error(name, 'length', keys, 'one array to split, see --key')
        titles, lengths = self._lengths(name, arrays, len(arrays[keys[0]]))
        parts = np.split(arrays[keys[0]], np.cumsum(lengths)[:-1])
        for title, part in zip(titles, parts, strict=True):
            yield f'{stem}/{title}', keys[0], part

    def _lengths(self, name, arrays, total) -> tuple[list[str], list[int]]:
        """Return names and lengths of concatenated recordings."""
        lengths = arrays['length']
        if (lengths.dtype.kind not in 'iu' or lengths.ndim != 1 or not lengths.size
                or min(lengths.tolist()) < 1 or sum(lengths.tolist()) != total):
            raise self.error(name, 'length', f'{lengths.dtype} of shape {lengths.shape}',
                             f'positive integers that sum to {total}')
        titles = self._texts(name, 'name', arrays.get('name', lengths))
        if not len(set(titles)) == len(titles) == len(lengths) or not all(
                map(_NAME.fullmatch, titles)):
            raise self.error(name, 'name', f'{len(set(titles))} names',
                             f'{len(lengths)} different names without slashes')
        return titles, lengths.tolist()

    def _texts(self, name, field, value) -> list[str]:
        """Return a text array with one axis as a list."""
        try:
            if value.dtype.kind not in 'US' or value.ndim != 1:
                raise ValueError(f'{value.dtype} of shape {value.shape}')
            texts = np.char.decode(value).tolist() if value.dtype.kind == 'S' else value.tolist()
            ''.join(texts).encode()
        except (ValueError, SystemError) as error:  # SystemError: invalid code points
            raise self.error(name, field, error, 'texts of shape (N,)') from None
        return texts


def _agree(names, order) -> bool:
    """Return whether joint names, ours or a shipped map's, are in the order of a layout."""
    ours = order.joints
    if tuple(names) == ours:
        return True
    for joint_map in map(load_map, shipped_maps()):
        pairs = [(ours.index(key), parts[0]) for key, parts in joint_map.items()
                 if key in ours and len(parts) == 1]
        if pairs and len(names) == len(ours) and all(names[i] == part for i, part in pairs):
            return True
    return False
