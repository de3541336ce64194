"""Writer of BVH files from joint positions, for animation programs.

bvhio and pybvh write given rotations; pymotion estimates them from positions, but with a single
rotation for all bones of a joint.
"""
import warnings
from os import PathLike
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import numpy as np

from mofm.structures import Layout
from mofm.utils.files import atomic_write

from .joints import to_motion

if TYPE_CHECKING:  # SciPy is imported where it is used
    from scipy.spatial.transform import Rotation

_UP, _DOWN, _FORWARD, _LEFT = np.array([[0, 1, 0], [0, -1, 0], [0, 0, 1], [1, 0, 0]])
_REST = dict(knee=_DOWN, ankle=_DOWN, foot=_FORWARD, heel=-_FORWARD, big_toe=_FORWARD,
             small_toe=_FORWARD)
_POSITION = 'Xposition Yposition Zposition'
_ROTATION = 'Zrotation Xrotation Yrotation'


def write_bvh(path: str | PathLike, joints: np.ndarray, layout: str | Layout,
              fps: float):
    """Write the motion of one person atomically.

    The first joint of the layout is the root. Bone lengths are constant, the median over the
    frames; directions are exact in every frame. The rest pose is a T-pose that faces z. A bone
    rotates from there by the smallest rotation relative to its parent. A joint with several bones
    rotates by their best fit, and each bone by the remainder about an extra joint at the same
    position, named after both ends, e.g. ``neck_nose``. Joints that are NaN in all frames are left
    out, and a bone leads from the next joint above them to those below; without the first joint
    of the layout, the root is the next one.

    Args:
        path (str or Path): File to write.
        joints (np.ndarray): (T, J, 3) positions, y up, in the unit of the file; finite, or NaN in
            all frames.
        layout (str or Layout): Joints and bones.
        fps (float): Frames per second.

    Raises:
        ValueError: If the joints or the frame rate are invalid.
    """
    from scipy.spatial.transform import Rotation

    path = Path(path)
    joints, layout = to_motion(path, joints, layout)
    known = ~np.isnan(joints).all((0, 2))
    if not known.any() or not np.isfinite(joints[:, known]).all() or not 0 < fps < np.inf:
        raise ValueError(f'{path}: found NaN or infinite joints, or fps={fps}, expected finite '
                         'joints, or NaN in all frames, and a positive frame rate')
    children = _children(layout, known)
    root = next(iter(children))
    columns = [joints[:, root]]

    def turned(frame: 'Rotation', bone: np.ndarray, rest: np.ndarray) -> 'Rotation':
        return frame * _swing(rest, frame.inv().apply(bone))

    def write(name: str, offset: np.ndarray, frame: 'Rotation', turn: 'Rotation', inner) -> str:
        """Return the text of a joint, relative to its parent, and of its children."""
        channels = f'6 {_POSITION}' if len(columns) == 1 else '3'
        kind = 'ROOT' if len(columns) == 1 else 'JOINT'
        columns.append(_angles(frame.inv() * turn))
        return (f'{kind} {name}\n{{\n\tOFFSET {_numbers(offset)}\n\tCHANNELS {channels} '
                f'{_ROTATION}\n{indent(inner(), chr(9))}}}\n')

    def visit(joint: int, offset: np.ndarray, frame: 'Rotation') -> str:
        name, ends = layout.joints[joint], children[joint]
        rest = np.array([_rest(layout.joints[end]) for end in ends])  # (K, 3)
        bones = joints[:, ends] - joints[:, [joint]]  # (T, K, 3)
        offsets = rest * np.median(np.linalg.norm(bones, axis=-1), 0)[:, None]
        if not ends:
            return write(name, offset, frame, frame,
                         lambda: f'End Site\n{{\n\tOFFSET {_numbers(np.zeros(3))}\n}}\n')
        if len(ends) == 1:
            turn = turned(frame, bones[:, 0], rest[0])
            return write(name, offset, frame, turn, lambda: visit(ends[0], offsets[0], turn))
        together = _fit(rest, bones)

        def bone(i: int) -> str:
            turn = turned(together, bones[:, i], rest[i])
            return write(f'{name}_{layout.joints[ends[i]]}', np.zeros(3), together, turn,
                         lambda: visit(ends[i], offsets[i], turn))

        return write(name, offset, frame, together,
                     lambda: ''.join(bone(i) for i in range(len(ends))))

    hierarchy = visit(root, np.zeros(3), Rotation.identity(len(joints)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as f:
        f.write(f'HIERARCHY\n{hierarchy}MOTION\nFrames: {len(joints)}\n'
                f'Frame Time: {1 / fps:.8f}\n'.encode())
        np.savetxt(f, np.concatenate(columns, 1), '%.6f')


def _children(layout: Layout, known: np.ndarray) -> dict[int, list[int]]:
    """Return the children of each known joint in the tree from the first one, the root."""
    children: dict[int, list[int]] = {}
    above = {0: 0}  # nearest known joint towards the root, or itself
    for joint in (found := [0]):  # grows
        if known[joint]:
            parent = above[joint] if above[joint] in children else next(iter(children), None)
            children[joint] = []
            if parent is not None:
                children[parent].append(joint)
            above[joint] = joint
        for pair in layout.edges:
            for a, b in (pair, pair[::-1]):
                if a == joint and b not in above:
                    above[b] = above[joint]
                    found.append(b)
    return children


def _rest(name: str) -> np.ndarray:
    """Return the direction of the bone to a joint in the rest pose."""
    side, _, part = name.partition('_')
    if side not in ('left', 'right'):
        return _UP
    return _REST.get(part, _LEFT if side == 'left' else -_LEFT)


def _swing(rest: np.ndarray, bone: np.ndarray) -> 'Rotation':
    """Compute the smallest rotations of an axis (3,) to T directions (T, 3)."""
    from scipy.spatial.transform import Rotation

    axis = np.cross(rest, bone)
    length = np.linalg.norm(axis, axis=-1)
    angle = np.arctan2(length, bone @ rest)
    axis[length == 0] = np.roll(rest, 1)  # 180 degrees about any other axis, or none
    return Rotation.from_rotvec(
        axis * (angle / np.linalg.norm(axis, axis=-1))[:, None])


def _fit(rest: np.ndarray, bones: np.ndarray) -> 'Rotation':
    """Fit rotations of K axes (K, 3) to T x K directions (T, K, 3) (Kabsch, 1976)."""
    from scipy.spatial.transform import Rotation

    length = np.linalg.norm(bones, axis=-1, keepdims=True)
    u, _, vt = np.linalg.svd(np.swapaxes(bones / np.where(length, length, 1), 1, 2) @ rest)
    u[..., 2] *= np.linalg.det(u @ vt)[:, None]
    return Rotation.from_matrix(u @ vt)


def _angles(rotation: 'Rotation') -> np.ndarray:
    """Return unwrapped degrees (T, 3) in the order of the channels."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # at a gimbal lock any choice is valid
        return np.unwrap(rotation.as_euler('ZXY', degrees=True), period=360, axis=0)


def _numbers(values: np.ndarray) -> str:
    return ' '.join(f'{value:.6f}' for value in values)
