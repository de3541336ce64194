"""Base class of motion capture readers: units, axes and joint names."""
from argparse import SUPPRESS
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mofm.annotations import AnnotationError
from mofm.annotations.schema import MAX_FPS
from mofm.structures import LAYOUTS, convert
from mofm.utils.checks import show

from .base import Item
from .joint_maps import (
    MAP_OPTION,
    JointMap,
    find_joints,
    fitting_maps,
    load_map,
    short_names,
)
from .joint_order import named_bones, named_order
from .posture import mean_joint, other_vertical
from .source_3d import Source3D

#: Meters of the units in files, by their names.
UNITS = {'mm': .001, 'millimeters': .001, 'cm': .01, 'centimeters': .01, 'dm': .1, 'm': 1,
         'meters': 1, 'in': .0254, 'inch': .0254, 'inches': .0254}
_COCO = LAYOUTS['coco17'].joints
# Range of the body's longest extent in meters, median over the frames; that of most recordings,
# by which a unit is chosen; and that of legs.
_SMALLEST, _LARGEST, _USUAL, _LEGS = .5, 3, (1, 2.2), (.5, 1.25)
# Units in meters. The last is that of the skeletons of CMU.
_UNITS = (1, .1, .01, .001, .3048, .0254, .05644)
#: Order of the axes and signs that turn an axis of the file up, by the option ``up``.
_TURNS = {'y': ([0, 1, 2], [1, 1, 1]), 'z': ([0, 2, 1], [1, 1, -1]), 'x': ([1, 0, 2], [-1, 1, 1]),
          '-y': ([0, 1, 2], [-1, -1, 1]), '-z': ([0, 2, 1], [1, -1, 1]),
          '-x': ([1, 0, 2], [1, -1, 1])}
_HIPS, _KNEES, _ANKLES, _SHOULDERS = [11, 12], [13, 14], [15, 16], [5, 6]
# Sizes of bodies that are pixels if an axis is from 0 to 1, of flat ones in the larger size, and
# from which on -1 to 1 is no human body in meters around its center; and joints of a whole one.
_PIXELS, _FLAT, _TALL, _BODY = 20, .02, 1.8, 6
# Knees that are bent by more meters say where front is; so many do, and this share of them.
_BENT, _VOTES, _MOST = .06, 10, .9


def frame_rate(value: object) -> float | None:
    """Return the frames per second of a file, an array, a text or a number; None if unusable."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in 'fiuUS':
        return None
    try:
        rate = float(array.reshape(())[()])
    except ValueError:
        return None
    return rate if 0 < rate < MAX_FPS else None


class MotionCapture(Source3D):
    """Base class of readers of joints in any unit, vertical axis and order.

    Readers convert joints to COCO-17 themselves, so that the others, e.g. the world origin, do not
    affect the placement of the cameras.

    Args:
        path (str or Path): A folder, a zip file, or one native file.
        unit (float, optional): Unit of the file in meters. By default ``default_unit``, or, if a
            body had no human size then, the usual unit that fits best, which is noted.
        up (str, optional): Axis of the file that points up: ``x``, ``y``, ``z``, ``-x``, ``-y`` or
            ``-z``. Defaults to ``default_up``.
        left_handed (bool): The axes of the file are left-handed, as those of Unity.
        fps (float, optional): Frames per second, for files that do not state them.
        **kwargs: Passed to :class:`Source3D`.

    Raises:
        AnnotationError: If the path has no such files.
        ValueError: If unit or frame rate are not positive or the axis is unknown.
    """

    layout = 'coco17'
    #: Usual unit of the format in meters and its vertical axis.
    default_unit: float = 1
    default_up: str = 'y'

    def __init__(self, path: str | Path, unit: float | None = None, up: str | None = None,
                 left_handed: bool = False, fps: float | None = None, **kwargs):
        if up not in (None, *_TURNS) or not all(value is None or 0 < value < MAX_FPS
                                            for value in (unit, fps)):
            raise ValueError(f'found unit={unit}, fps={fps} and up={up!r}, expected positive '
                             f'numbers and one of {list(_TURNS)}')
        super().__init__(path, **kwargs)
        self.unit = unit
        self.up = up
        self.left_handed = left_handed
        self.fps = fps

    @classmethod
    def add_options(cls, parser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--unit', type=float,
                            help='meters per unit of the files: 1, .01, .001 (default: '
                            f'{cls.default_unit}, or what fits the size of the body)')
        # --up -y: argparse takes -y for an option
        parser.add_argument('--up', choices=sorted(_TURNS), nargs='?', const=False,
                            help='axis that points up, -y if y points down '
                            f'(default: {cls.default_up})')
        for axis in 'xyz':
            parser.add_argument(f'-{axis}', dest='up', action='store_const', const=f'-{axis}',
                                help=SUPPRESS)
        parser.add_argument('--left-handed', action='store_true',
                            help='the axes are left-handed, as those of Unity')
        parser.add_argument('--fps', type=float,
                            help='frames per second, where the files do not state them')

    def person(self, name: str, field: str, recording: str, joints: np.ndarray,
               fps: object = None, splits: tuple[str, ...] = (), unit: float | None = None,
               up: str | None = None) -> Iterator[Item]:
        """Yield the recording of a person, unless there are lists and none contains it.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            recording (str): Name of the recording.
            joints (np.ndarray): (T, 17, 3) of COCO-17 in the unit and axes of the file, NaN where
                missing.
            fps (object, optional): Frames per second in the file, see :func:`frame_rate`.
            splits (tuple[str]): Splits of the recording without lists.
            unit (float, optional): Unit of the file in meters, if it states it.
            up (str, optional): Vertical axis of the file, if it states it.

        Raises:
            AnnotationError: See :meth:`meters`.
        """
        listed = self.listed(recording)
        if listed is None:
            return
        ann = dict(frame_dir=recording, label=listed[0], joints=self.meters(
            name, field, joints, self.unit or unit, self.up or up or self.default_up))
        fps = self.fps or frame_rate(fps)
        if fps:
            ann['fps'] = float(fps)
        yield ann, splits if self.lists is None else listed[1]

    def meters(self, name: str, field: str, joints: np.ndarray, unit: float | None,
               up: str) -> np.ndarray:
        """Convert joints to the unit and axes of :class:`Source3D`.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            joints (np.ndarray): (T, 17, 3) of COCO-17 in the unit and axes of the file, NaN where
                missing.
            unit (float, optional): Their unit in meters; None for the default or the fitting one.
            up (str): Their vertical axis.

        Returns:
            np.ndarray: (T, 17, 3) float64 in meters, y up.

        Raises:
            AnnotationError: If a joint is infinite or far away, or the size is not human.
        """
        order, signs = _TURNS[up]
        joints = joints[..., order] * np.array([1, 1, -1 if self.left_handed else 1]) * signs
        infinite = np.isinf(joints).any(-1)  # (T, J)
        if infinite.any():
            raise self.error(name, field, 'infinite values', 'positions')
        known = ~np.isnan(joints).any(-1)
        joints = np.where(known[..., None], joints, np.nan)
        frames = joints[known.any(1)]
        with np.errstate(over='ignore'):
            # fmax and fmin ignore missing joints.
            sizes = np.fmax.reduce(frames, 1) - np.fmin.reduce(frames, 1)  # (T, 3)
            size = float(np.median(sizes.max(-1))) if len(frames) else 0.
            self._check_values(name, field, joints[known], sizes, size)
            unit = self._choose_unit(name, field, size, unit)
            joints = joints * unit
        self.check_meters(name, field, joints[known])
        self._note_posture(name, joints, unit, up)
        return joints

    def _check_values(self, name, field, points, sizes, size):
        """Check that points (N, 3) of bodies of sizes (T, 3) are no 2D poses, and positions."""
        if not size:
            return
        low, high, far = points.min(0), points.max(0), np.abs(points).max(0)
        unit = ((low >= 0) | (high <= 0)) & (far <= 1)  # axes may be turned
        if size > _PIXELS and (unit & (far > 0)).any():
            raise self.error(name, field, f'bodies of {size:.3g} units with an axis from 0 to 1',
                             'positions in 3D, not x, y and score')
        if len(points) > _BODY * len(sizes) and (np.median(sizes, 0) < _FLAT * size).any():
            self.note(name, 'bodies are flat: are these x, y and score, or poses in 2D?')
        if unit.all() or size > _TALL and far.max() <= 1:
            self.note(name, 'all values are from 0 to 1, or from -1 to 1: are they normalized '
                      'coordinates, not meters?')

    def check_axes(self, recording: dict):
        """See :meth:`Source3D.check_axes`; noted in the axes of the file by :meth:`meters`."""

    def _choose_unit(self, name, field, size, stated) -> float:
        """Return the unit of a body of this size, which is checked."""
        unit = stated or self.default_unit
        if _SMALLEST < size * unit < _LARGEST:
            return unit
        low, high = _USUAL
        fitting = min(_UNITS, key=lambda other: abs(np.log(max(size, 1e-9) * other / 1.6)))
        fits = bool(low < size * fitting < high)
        if stated is None and fits:
            self.note(name, f'a unit of {fitting} m is taken from the size of the body, because '
                      f'that of {unit} m does not fit; --unit {fitting} confirms it')
            return fitting
        raise self.error(name, field, f'a body of {size * unit:.3g} m', f'{_SMALLEST} to '
                         f'{_LARGEST} m with unit={unit} m'
                         + f'; --unit {fitting} fits' * fits)

    def _note_posture(self, name, joints, unit, up):
        """Note axes and units that do not fit: (T, 17, 3) in meters."""
        axis = other_vertical(joints)
        if axis is not None:
            self.note(name, f'heads are above feet in few frames with --up={up}'
                      + (f', in most with --up={self._file_axis(axis, up)}: which axis points up?'
                         if axis else ': a person who lies, or other axes'))
        thighs = joints[:, _KNEES] - joints[:, _HIPS]  # (T, 2, 3)
        shanks = joints[:, _ANKLES] - joints[:, _KNEES]
        legs = np.linalg.norm(thighs, axis=-1) + np.linalg.norm(shanks, axis=-1)
        legs = legs[np.isfinite(legs)]
        if len(legs) and not _LEGS[0] < np.median(legs) < _LEGS[1]:
            self.note(name, f'legs are not {_LEGS[0]} to {_LEGS[1]} m long with a unit of {unit} '
                      'm: another unit (--unit), values from 0 to 1, or a child?')
        if _bends_backward(joints, thighs, shanks):
            self.note(name, 'knees or faces point backward: left and right are swapped, '
                      'or the axes are ' + ('not left-handed' if self.left_handed else
                                            'left-handed (--left-handed)'))

    def _file_axis(self, axis, up) -> str:
        """Return the axis of the file that became a signed axis of :class:`Source3D`."""
        order, signs = _TURNS[up]
        i = 'xyz'.index(axis[-1])
        sign = signs[i] * (-1 if axis[0] == '-' else 1)
        sign *= -1 if self.left_handed and i == 2 else 1
        return ('-' if sign < 0 else '') + 'xyz'[order[i]]

    def from_layout(self, joints: np.ndarray, layout: str) -> np.ndarray:
        """Select joints of COCO-17 by a layout.

        Args:
            joints (np.ndarray): (T, J, 3), NaN where missing.
            layout (str): Their layout.

        Returns:
            np.ndarray: (T, 17, 3) float64, NaN for missing joints.
        """
        joints, known = convert(joints.astype(np.float64), np.ones(joints.shape[:2]), layout)
        return np.where(known[..., None] > 0, joints, np.nan)

    def to_coco(self, name: str, field: str, joints: np.ndarray, names: Sequence[str],
                joint_map: JointMap | None) -> np.ndarray:
        """Select joints of COCO-17 by the joint names of a file.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            joints (np.ndarray): (T, J, 3).
            names (Sequence[str]): Names of the J joints in the file, see :func:`find_joints`.
            joint_map (JointMap, optional): Result of :func:`load_map`; by default the shipped map
                that fits the names, or the joints with names such as ``left_wrist`` or ``LWrist``.

        Returns:
            np.ndarray: (T, 17, 3) float64, NaN for joints that the map lacks.

        Raises:
            AnnotationError: If a joint of the map does not exist or is ambiguous, or if no or
                several maps fit.
        """
        try:
            places = find_joints(joint_map, names, joints.shape[1]) if joint_map else (
                self._find_by_names(name, names))
        except ValueError as error:
            raise self.error(name, field, ' '.join(names), error) from None
        out = np.full((len(joints), len(_COCO), 3), np.nan)
        for joint, index in places.items():
            with np.errstate(over='ignore', invalid='ignore'):
                out[:, joint] = joints[:, index].astype(np.float64).mean(1)
        return out

    def _find_by_names(self, name, names) -> dict[int, list[int]]:
        """Find the joints of COCO-17 by a map of the package, or by names such as LWrist."""
        maps = fitting_maps(names)
        if len(maps) == 1:
            self.note(name, f'the names of the joints are those of --map {maps[0]}')
            return find_joints(load_map(maps[0]), names, len(names))
        names = short_names(names)
        places = named_order(names) or named_bones(names)
        if maps or places is None:
            raise ValueError(f'--map, because {maps} fit' if maps else
                             '--map, because no map of the package fits')
        lacks = [joint for i, joint in enumerate(_COCO) if i >= _SHOULDERS[0] and i not in places]
        self.note(name, 'the joints are found by their names (--map for others)'
                  + (f', without {show(lacks)}' if lacks else ''))
        return places


def _bends_backward(joints, thighs, shanks) -> bool:
    """Return whether bent knees, and noses, are behind the body (T, 17, 3)."""
    left = joints[:, _HIPS[0]] - joints[:, _HIPS[1]]
    up = mean_joint(joints[:, _SHOULDERS]) - mean_joint(joints[:, _HIPS])
    front = np.cross(left, up)[:, None]
    legs = thighs + shanks
    with np.errstate(all='ignore'):
        front /= np.linalg.norm(front, axis=-1, keepdims=True)
        legs /= np.linalg.norm(legs, axis=-1, keepdims=True)
        bend = thighs - (thighs * legs).sum(-1, keepdims=True) * legs  # (T, 2, 3)
        bent = np.linalg.norm(bend, axis=-1) > _BENT
        votes = (bend * front).sum(-1)[bent]
        nose = joints[:, :1] - mean_joint(joints[:, 3:5])[:, None]
        votes = np.concatenate([votes, (nose * front).sum(-1).ravel()])
    votes = votes[np.isfinite(votes)]
    return len(votes) >= _VOTES and bool((votes < 0).mean() > _MOST)


class NamedMotionCapture(MotionCapture):
    """Base class of readers of motion capture whose files name the joints, see :meth:`to_coco`.

    Args:
        path (str or Path): A folder, an archive, or one file.
        joint_map (str or Path, optional): Names of the joints, see
            :func:`mofm.sources.joint_maps.load_map`. By default the shipped map that fits, or
            names such as ``LWrist``.
        **kwargs: Passed to :class:`MotionCapture`.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
    """

    def __init__(self, path: str | Path, joint_map: str | Path | None = None, **kwargs):
        super().__init__(path, **kwargs)
        self.joint_map = joint_map and load_map(joint_map)

    @classmethod
    def add_options(cls, parser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--map', **MAP_OPTION)

    def persons(self, name: str, field: str, joints: np.ndarray, labels: Sequence[str]
                ) -> list[tuple[str, np.ndarray]]:
        """Tell persons apart by prefixes of their markers, ``A:LASI`` and ``B:LASI``.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            joints (np.ndarray): (T, J, 3).
            labels (Sequence[str]): Of the J markers.

        Returns:
            list[tuple[str, np.ndarray]]: Recording and joints (T, 17, 3) of each person.

        Raises:
            AnnotationError: If no person has the markers of a map.
        """
        title, parts = self.stem(name), [label.rpartition(':') for label in labels]
        markers = [marker for *_, marker in parts if not marker.startswith('*')]
        if len(set(markers)) == len(markers):
            return [(title, self.to_coco(name, field, joints, labels, self.joint_map))]
        persons, errors = [], []
        for subject in dict.fromkeys(prefix for prefix, *_ in parts):
            index = [i for i, (prefix, *_) in enumerate(parts) if prefix == subject]
            try:
                persons.append(self.to_coco(name, field, joints[:, index],
                                            [labels[i] for i in index], self.joint_map))
            except AnnotationError as error:
                errors.append(error)
        if not persons:
            raise errors[0]
        if errors:
            self.note(name, 'markers of no person, e.g. of an object, are passed over')
        return [(title if len(persons) == 1 else f'{title}/{i}', person)
                for i, person in enumerate(persons)]
