"""Check of the joints that writers of 3D motion take."""

from pathlib import Path

import numpy as np

from mofm.structures import Layout, get_layout


def to_motion(path: Path, joints: np.ndarray,
              layout: str | Layout) -> tuple[np.ndarray, Layout]:
    """Convert the motion of one person to float64 and the name of its layout to the layout.

    Args:
        path (Path): The file, for the message.
        joints (np.ndarray): (T, J, 3).
        layout (str or Layout): Joints.

    Raises:
        ValueError: If the shape is another one.
    """
    layout = get_layout(layout) if isinstance(layout, str) else layout
    joints = np.asarray(joints, np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (layout.num_joints, 3) or not len(joints):
        raise ValueError(f'{path}: found joints of shape {joints.shape}, expected (T, '
                         f'{layout.num_joints}, 3) for layout {layout.name!r}')
    return joints, layout
