"""Base class of motion capture readers: units, axes and joint names."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mofm.structures import LAYOUTS

from .joint_maps import JointMap, find_joints
from .source_3d import Source3D

_COCO = LAYOUTS['coco17'].joints
# Range of the body's longest extent in meters, median over the frames. Common units differ by
# more than this range.
_SMALLEST, _LARGEST = .5, 3


class MotionCapture(Source3D):
    """Base class of readers of joints in any unit, vertical axis and order.

    Readers convert joints to COCO-17 themselves, so that the others, e.g. the world origin, do not
    affect the placement of the cameras.

    Args:
        path (str or Path): A folder, a zip file, or one native file.
        unit (float, optional): Unit of the file in meters. Defaults to ``default_unit``.
        up (str): Axis of the file that points up, ``y`` or ``z``; its axes are right-handed.
        **kwargs: Passed to :class:`Source3D`.

    Raises:
        AnnotationError: If the path has no such files.
        ValueError: If the unit is not positive or the axis is unknown.
    """

    layout = 'coco17'
    #: Usual unit of the format in meters.
    default_unit: float = 1

    def __init__(self, path: str | Path, unit: float | None = None, up: str = 'y', **kwargs):
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
                            help='meters per unit of the files: 1, .01, .001')
        parser.add_argument('--up', choices=['y', 'z'], default='y', help='axis that points up')

    def meters(self, name: str, field: str, joints: np.ndarray) -> np.ndarray:
        """Convert joints to the unit and axes of :class:`Source3D`.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            joints (np.ndarray): (T, 17, 3) of COCO-17 in the unit and axes of the file, NaN where
                missing.

        Returns:
            np.ndarray: (T, 17, 3) float64 in meters, y up.

        Raises:
            AnnotationError: If a joint is infinite or far away, or the size is not human.
        """
        with np.errstate(over='ignore'):
            joints = joints * self.unit
        if self.up == 'z':
            joints = joints[..., [0, 2, 1]] * [1, 1, -1]
        known = np.isfinite(joints).all(-1)  # (T, J)
        self.check_meters(name, field, joints[known | np.isinf(joints).any(-1)])
        frames = joints[known.any(1)]
        # fmax and fmin ignore missing joints.
        size = np.fmax.reduce(frames, 1) - np.fmin.reduce(frames, 1)  # (T, 3)
        size = np.median(size.max(-1)) if len(frames) else 0
        if not _SMALLEST < size < _LARGEST:
            raise self.error(name, field, f'a body of {size:.3g} m', f'{_SMALLEST} to {_LARGEST} '
                             f'm with unit={self.unit} m')
        return joints

    def to_coco(self, name: str, field: str, joints: np.ndarray, names: Sequence[str],
                joint_map: JointMap) -> np.ndarray:
        """Select joints of COCO-17 by the joint names of a file.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            joints (np.ndarray): (T, J, 3).
            names (Sequence[str]): Names of the J joints in the file.
            joint_map (JointMap): Result of :func:`load_map`.

        Returns:
            np.ndarray: (T, 17, 3) float64, NaN for joints that the map lacks.

        Raises:
            AnnotationError: If a joint of the map does not exist or is ambiguous.
        """
        try:
            places = find_joints(joint_map, names, joints.shape[1])
        except ValueError as error:
            raise self.error(name, field, ' '.join(names), error) from None
        out = np.full((len(joints), len(_COCO), 3), np.nan)
        for joint, index in places.items():
            with np.errstate(over='ignore', invalid='ignore'):
                out[:, joint] = joints[:, index].astype(np.float64).mean(1)
        return out
