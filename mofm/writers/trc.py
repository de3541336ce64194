"""Writer of TRC files of marker positions, for OpenSim and other programs of biomechanics."""

from os import PathLike
from pathlib import Path

import numpy as np

from mofm.structures import Layout
from mofm.utils.files import atomic_write

from .joints import to_motion


def write_trc(path: str | PathLike, joints: np.ndarray, layout: str | Layout, fps: float,
              first: int = 0):
    """Write the motion of one person atomically, in meters.

    The header is that of OpenSim: frames count from 1, and the time of frame ``f`` is
    ``(f - 1) / fps``. Cells of missing joints are empty.

    Args:
        path (str or Path): File to write.
        joints (np.ndarray): (T, J, 3) positions, y up, NaN where missing.
        layout (str or Layout): Joints.
        fps (float): Frames per second.
        first (int): Number of the first frame, counted from 0.

    Raises:
        ValueError: If the joints or the frame rate are invalid.
    """
    path = Path(path)
    joints, layout = to_motion(path, joints, layout)
    if np.isinf(joints).any() or not 0 < fps < np.inf or first < 0:
        raise ValueError(f'{path}: found infinite joints, fps={fps} or first={first}, expected '
                         'finite joints, a positive frame rate and a frame of at least 0')
    count, names = len(joints), layout.joints
    numbers = np.arange(first, first + count)
    axes = '\t'.join(f'{axis}{i}' for i in range(1, len(names) + 1) for axis in 'XYZ')
    head = (f'PathFileType\t4\t(X/Y/Z)\t{path.name}\n'
            'DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\t'
            'OrigDataStartFrame\tOrigNumFrames\n'
            f'{fps:.6g}\t{fps:.6g}\t{count}\t{len(names)}\tm\t{fps:.6g}\t{first + 1}\t{count}\n'
            f'Frame#\tTime\t{"".join(f"{name}{chr(9) * 3}" for name in names).rstrip(chr(9))}\n'
            f'\t\t{axes}\n\n')
    missing = np.isnan(joints).any(-1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, 'w', newline='') as f:
        f.write(head)
        for frame, row, unknown in zip(numbers.tolist(), joints, missing, strict=True):
            cells = np.char.mod('%.6f', row)
            cells[unknown] = ''
            f.write(f'{frame + 1}\t{frame / fps:.6f}\t' + '\t'.join(cells.ravel()) + '\n')
