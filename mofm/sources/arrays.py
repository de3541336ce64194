"""Joint positions of motion capture in ``.npz`` files, e.g. of AMASS, Human3.6M and HumanEva."""
import json
import re
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from mofm.datasets.annotation import AnnotationError
from mofm.keypoints import LAYOUTS, convert, get_layout
from mofm.registry import SOURCES

from .base import Item, Source3D

_COCO = LAYOUTS['coco17'].joints
_MAPS = Path(__file__).parent / 'bvh_maps'
# What the body measures along its longest axis, median over the frames, in metres. The common
# units differ by more than the range.
_SMALLEST, _LARGEST = .5, 3
_MAX_MAP = 2**16
_NAME = re.compile(r'[^\s/\\]([^/\\]*[^\s/\\])?')

JointMap = Mapping[str, Tuple[str, ...]]


def shipped_maps() -> List[str]:
    """Names of the maps of :func:`load_map` that come with the package."""
    return sorted(file.stem for file in _MAPS.glob('*.json'))


def load_map(path: Union[str, Path]) -> Dict[str, Tuple[str, ...]]:
    """Which joints of a skeleton stand for those of COCO-17.

    Args:
        path (str or Path): A JSON file ``{COCO joint: joint or [joint, ...]}``, of which the mean
            is taken, or the name of a shipped one (:func:`shipped_maps`). Joints of COCO-17 that
            it lacks are missing.

    Returns:
        dict[str, tuple[str]]: Joints of the skeleton by joint of COCO-17.

    Raises:
        AnnotationError: If there is no such file, or it is none.
    """
    file = _MAPS / f'{path}.json' if str(path) in shipped_maps() else Path(path)
    try:
        with open(file, 'rb') as f:
            content = f.read(_MAX_MAP)
        data = json.loads(content)
    except Exception as error:  # damaged or hostile text: also recursion and encoding errors
        raise AnnotationError(f'{path}: found {type(error).__name__}: {error}, expected a JSON '
                              f'file with a map or one of {shipped_maps()}') from None
    if not isinstance(data, dict) or not data or not data.keys() <= set(_COCO):
        found = sorted(data) if isinstance(data, dict) else type(data).__name__
        raise AnnotationError(f'{path}: found {found}, expected a dict with joints of {_COCO}')
    out = {key: tuple(value) if isinstance(value, list) else (value, )
           for key, value in data.items()}
    for key, value in out.items():
        if not value or not all(isinstance(joint, str) for joint in value):
            raise AnnotationError(f'{path}: {key}: found another value, expected a joint or a '
                                  'list of joints')
    return out


class MotionCapture(Source3D):
    """Joints in any unit, with any axis up and in any order, as :class:`Source3D` wants them.

    Readers arrange the joints in COCO-17 order themselves, so that others, e.g. the origin of the
    room, have no say in where the cameras stand.

    Args:
        path (str or Path): A folder, a zip file, or one native file.
        unit (float): Length of the file's unit in metres.
        up (str): Axis of the file that points up, ``y`` or ``z``; its axes are right-handed.
        **kwargs: Those of :class:`Source3D`.

    Raises:
        AnnotationError: If the path holds no such files.
        ValueError: If the unit is not positive or the axis another one.
    """

    layout = 'coco17'
    #: Unit of most files in metres.
    default_unit: float = 1

    def __init__(self, path: Union[str, Path], unit: Optional[float] = None, up: str = 'y',
                 **kwargs):
        self.unit = self.default_unit if unit is None else unit
        if not 0 < self.unit < np.inf or up not in ('y', 'z'):
            raise ValueError(f'found unit={unit} and up={up!r}, expected a positive number and y '
                             'or z')
        super().__init__(path, **kwargs)
        self.up = up

    @classmethod
    def add_options(cls, parser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--unit', type=float, default=cls.default_unit,
                            help='metres per unit of the files: 1, .01, .001')
        parser.add_argument('--up', choices=['y', 'z'], default='y', help='axis that points up')

    def metres(self, name: str, field: str, joints: np.ndarray) -> np.ndarray:
        """Joints along the axes of :class:`Source3D`.

        Args:
            name (str): The native file.
            field (str): Named in the error.
            joints (np.ndarray): (T, 17, 3) of COCO-17 in the unit and along the axes of the file,
                NaN for missing ones.

        Returns:
            np.ndarray: (T, 17, 3) float64 in metres, y up.

        Raises:
            AnnotationError: If a joint is infinite or far away, or they are no human body.
        """
        with np.errstate(over='ignore'):
            joints = joints * self.unit
        if self.up == 'z':
            joints = joints[..., [0, 2, 1]] * [1, 1, -1]
        known = np.isfinite(joints).all(-1)  # (T, J)
        self.check_metres(name, field, joints[known | np.isinf(joints).any(-1)])
        frames = joints[known.any(1)]
        # fmax and fmin pass over missing joints.
        size = np.fmax.reduce(frames, 1) - np.fmin.reduce(frames, 1)  # (T, 3)
        size = np.median(size.max(-1)) if len(frames) else 0
        if not _SMALLEST < size < _LARGEST:
            raise self.error(name, field, f'a body of {size:.3g} m', f'{_SMALLEST} to {_LARGEST} '
                             f'm; the unit is taken to be {self.unit} m')
        return joints

    def to_coco(self, name: str, field: str, joints: np.ndarray, names: Sequence[str],
                joint_map: JointMap) -> np.ndarray:
        """Joints of COCO-17 by the names that a file gives its joints.

        Args:
            name (str): The native file.
            field (str): Named in the error.
            joints (np.ndarray): (T, J, 3).
            names (Sequence[str]): What the file calls the J joints.
            joint_map (JointMap): What :func:`load_map` returns.

        Returns:
            np.ndarray: (T, 17, 3) float64, NaN for those that the map lacks.

        Raises:
            AnnotationError: If a joint of the map does not exist, or there are two of its name.
        """
        names = list(names)
        out = np.full((len(joints), len(_COCO), 3), np.nan)
        for key, parts in joint_map.items():
            wrong = [part for part in parts if names.count(part) != 1]
            if wrong:
                raise self.error(name, field, ' '.join(names),
                                 f'one joint called {wrong[0]!r}, the {key} of the map')
            index = [names.index(part) for part in parts]
            with np.errstate(over='ignore', invalid='ignore'):
                out[:, _COCO.index(key)] = joints[:, index].astype(np.float64).mean(1)
        return out


@SOURCES.register_module('joints_npz')
class JointsNPZ(MotionCapture):
    """Reader of arrays of joint positions, (T, J, 3) in ``.npz`` files.

    Every array with three axes, the last of length 3, is a recording; ``FILE/KEY`` is its name, or
    ``FILE`` if there is only one. With arrays ``length`` and ``name`` (S,), the one array holds
    S recordings one after the other, which are called ``FILE/name``. NaN are missing joints.

    A text array ``joints`` (J,) names the joints. It is needed for a map, and must agree with a
    layout.

    Args:
        path (str or Path): A folder, a zip file, or one ``.npz`` file.
        layout (str, optional): Order of the joints, one of :data:`mofm.keypoints.LAYOUTS`.
        joint_map (str or Path, optional): Instead: what the joints are called, see
            :func:`load_map`.
        key (str, optional): Read this array only.
        **kwargs: Those of :class:`MotionCapture`.

    Raises:
        AnnotationError: If the path holds no such files or the map cannot be read.
        ValueError: If both or neither of layout and map are given, or one is unknown.
    """

    suffix = '.npz'
    max_size = 2**29

    def __init__(self, path: Union[str, Path], layout: Optional[str] = None,
                 joint_map: Union[str, Path, None] = None, key: Optional[str] = None, **kwargs):
        if (layout is None) == (joint_map is None):
            raise ValueError(f'found layout={layout} and joint_map={joint_map}, expected one of '
                             'them: which joint is which')
        super().__init__(path, **kwargs)
        self.order = layout and get_layout(layout)
        self.joint_map = joint_map and load_map(joint_map)
        self.key = key

    @classmethod
    def add_options(cls, parser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        order = parser.add_mutually_exclusive_group(required=True)
        order.add_argument('--layout', choices=sorted(LAYOUTS), help='order of the joints')
        order.add_argument('--map', dest='joint_map', metavar='NAME_OR_FILE',
                           help='names of the joints: a JSON file {COCO joint: joint} or one of '
                           f'{", ".join(shipped_maps())}')
        parser.add_argument('--key', help='name of the array; by default all of shape (T, J, 3)')

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        arrays = self.npz(name, content)
        names = self._names(name, arrays)
        for recording, key, joints in self._split(name, arrays):
            listed = self.listed(recording)
            if listed is None:
                continue
            if self.joint_map:
                joints = self.to_coco(name, 'joints', joints, names, self.joint_map)
            else:
                joints, known = convert(joints.astype(np.float64), np.ones(joints.shape[:2]),
                                        self.order.name)
                joints[known == 0] = np.nan
            joints = self.metres(name, key, joints)
            yield dict(frame_dir=recording, label=listed[0], joints=joints), listed[1]

    def _names(self, name, arrays) -> List[str]:
        """The text array ``joints``, empty if there is none."""
        value = arrays.get('joints')
        is_text = value is not None and value.dtype.kind == 'U'
        names = self._texts(name, 'joints', value) if is_text else []
        if self.joint_map and not names:
            raise self.error(name, 'joints', 'nothing' if value is None else
                             f'{value.dtype} of shape {value.shape}',
                             'an array with the names that the map is about')
        if names and not self.joint_map and not self._agree(names):
            raise self.error(name, 'joints', names,
                             f'those of layout {self.order.name!r}: {self.order.joints}; other '
                             'names need a map')
        return names

    def _agree(self, names) -> bool:
        """Whether names of joints, ours or those of a shipped map, are in the layout's order."""
        ours = self.order.joints
        if tuple(names) == ours:
            return True
        for joint_map in map(load_map, shipped_maps()):
            pairs = [(ours.index(key), parts[0]) for key, parts in joint_map.items()
                     if key in ours and len(parts) == 1]
            if len(names) == len(ours) and all(names[i] == part for i, part in pairs):
                return True
        return False

    def _split(self, name, arrays) -> Iterator[Tuple[str, str, np.ndarray]]:
        """Name, key and (T, J, 3) of each recording."""
        if self.key is not None and self.key not in arrays:
            raise self.error(name, self.key, sorted(arrays), 'an array of this name')
        keys = [self.key] if self.key is not None else [
            key for key, value in arrays.items()
            if value.ndim == 3 and value.shape[2] == 3 and value.dtype.kind in 'fiu']
        if not keys:
            raise self.error(name, 'arrays', {k: v.shape for k, v in arrays.items()},
                             'one of shape (T, J, 3)')
        num_joints = len(arrays['joints']) if self.joint_map else self.order.num_joints
        for key in keys:
            value = arrays[key]
            if (value.dtype.kind not in 'fiu' or value.shape[1:] != (num_joints, 3)
                    or not len(value)):
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
            raise self.error(name, 'length', keys, 'one array that is so divided, see --key')
        titles, lengths = self._lengths(name, arrays, len(arrays[keys[0]]))
        parts = np.split(arrays[keys[0]], np.cumsum(lengths)[:-1])
        for title, part in zip(titles, parts):
            yield f'{stem}/{title}', keys[0], part

    def _lengths(self, name, arrays, total) -> Tuple[List[str], List[int]]:
        """Names and lengths of recordings that lie one after the other."""
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

    def _texts(self, name, field, value) -> List[str]:
        """A text array with one axis as a list."""
        try:
            if value.dtype.kind != 'U' or value.ndim != 1:
                raise ValueError(f'{value.dtype} of shape {value.shape}')
            texts = value.tolist()
            ''.join(texts).encode()
        except (ValueError, SystemError) as error:  # of code points that do not exist
            raise self.error(name, field, error, 'texts of shape (N,)') from None
        return texts
