"""Joint layouts as data, and the maps between them.

Joints carry the same name in every layout, so the map between two layouts follows from their
names. Left and right are the person's own. COCO-17 is the layout that everything else works in.
"""
from dataclasses import dataclass, field
from typing import Dict, Mapping, Optional, Tuple

import numpy as np


@dataclass(frozen=True)
class Layout:
    """The joints of one skeleton convention.

    Args:
        name (str): Key in :data:`LAYOUTS`.
        joints (tuple[str]): Joint names in storage order; ``left_x`` has a partner ``right_x``.
        edges (tuple[tuple[int, int]]): Bones as pairs of joint indices.
        stand_in (Mapping[str, str]): For joints of other layouts that this one lacks, the joint
            that takes their place, e.g. ``{'nose': 'head'}``.
    """

    name: str
    joints: Tuple[str, ...]
    edges: Tuple[Tuple[int, int], ...]
    stand_in: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def num_joints(self) -> int:
        """Number of joints."""
        return len(self.joints)

    @property
    def left(self) -> Tuple[int, ...]:
        """Indices of the joints on the person's left."""
        return tuple(i for i, j in enumerate(self.joints) if j.startswith('left_'))

    @property
    def right(self) -> Tuple[int, ...]:
        """Indices of the mirror partners of :attr:`left`, in the same order."""
        return tuple(self.joints.index('right_' + self.joints[i][5:]) for i in self.left)

    @property
    def flip_index(self) -> np.ndarray:
        """(J,) permutation that swaps left and right: ``keypoint[..., flip_index, :]``."""
        index = np.arange(self.num_joints)
        index[[*self.left, *self.right]] = [*self.right, *self.left]
        return index

    def gather_index(self, dst: 'Layout') -> np.ndarray:
        """(J_dst,) index of the joint of this layout behind each joint of ``dst``, -1 for none."""
        names = [j if j in self.joints else self.stand_in.get(j) for j in dst.joints]
        return np.array([self.joints.index(n) if n else -1 for n in names])


_COCO = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder',
         'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip',
         'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle')
_COCO_EDGES = ((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10),
               (5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16), (11, 12))
_KINECT = ('pelvis', 'spine', 'neck', 'head', 'left_shoulder', 'left_elbow', 'left_wrist',
           'left_hand', 'right_shoulder', 'right_elbow', 'right_wrist', 'right_hand', 'left_hip',
           'left_knee', 'left_ankle', 'left_foot', 'right_hip', 'right_knee', 'right_ankle',
           'right_foot')
_FACE = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear')

_LAYOUTS = (
    Layout('coco17', _COCO, _COCO_EDGES),
    # In the files of Penn Action the first joint of every pair is on the person's right: it lies
    # on the image's left in front views, strums the guitars and does most of the throwing.
    Layout(
        'penn13',
        ('head', 'right_shoulder', 'left_shoulder', 'right_elbow', 'left_elbow', 'right_wrist',
         'left_wrist', 'right_hip', 'left_hip', 'right_knee', 'left_knee', 'right_ankle',
         'left_ankle'),
        ((0, 1), (0, 2), (1, 3), (3, 5), (2, 4), (4, 6), (1, 7), (2, 8), (7, 8), (7, 9), (9, 11),
         (8, 10), (10, 12)),
        stand_in={'nose': 'head'}),
    Layout(
        'h36m17',
        ('pelvis', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee',
         'left_ankle', 'spine', 'neck', 'nose', 'head', 'left_shoulder', 'left_elbow',
         'left_wrist', 'right_shoulder', 'right_elbow', 'right_wrist'),
        ((0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10),
         (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16))),
    # Kinect v1. One head point says nothing new on the channels of the eyes and ears.
    Layout(
        'kinect20',
        _KINECT,
        ((0, 1), (1, 2), (2, 3), (2, 4), (4, 5), (5, 6), (6, 7), (2, 8), (8, 9), (9, 10),
         (10, 11), (0, 12), (12, 13), (13, 14), (14, 15), (0, 16), (16, 17), (17, 18), (18, 19)),
        stand_in={'nose': 'head'}),
    Layout(
        'kinect25',
        (*_KINECT, 'upper_spine', 'left_hand_tip', 'left_thumb', 'right_hand_tip',
         'right_thumb'),
        ((0, 1), (1, 20), (2, 20), (3, 2), (4, 20), (5, 4), (6, 5), (7, 6), (8, 20), (9, 8),
         (10, 9), (11, 10), (12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17),
         (19, 18), (21, 7), (22, 7), (23, 11), (24, 11)),
        stand_in=dict.fromkeys(_FACE, 'head')),
    Layout(
        'body25',
        ('nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder',
         'left_elbow', 'left_wrist', 'pelvis', 'right_hip', 'right_knee', 'right_ankle',
         'left_hip', 'left_knee', 'left_ankle', 'right_eye', 'left_eye', 'right_ear', 'left_ear',
         'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe', 'right_small_toe',
         'right_heel'),
        ((1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11),
         (8, 12), (12, 13), (13, 14), (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (14, 19),
         (19, 20), (14, 21), (11, 22), (22, 23), (11, 24))),
    Layout(
        'coco18',
        ('nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder',
         'left_elbow', 'left_wrist', 'right_hip', 'right_knee', 'right_ankle', 'left_hip',
         'left_knee', 'left_ankle', 'right_eye', 'left_eye', 'right_ear', 'left_ear'),
        ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11),
         (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17))),
    Layout(
        'halpe26',
        (*_COCO, 'head', 'neck', 'pelvis', 'left_big_toe', 'right_big_toe', 'left_small_toe',
         'right_small_toe', 'left_heel', 'right_heel'),
        ((0, 1), (0, 2), (1, 3), (2, 4), (0, 17), (17, 18), (18, 5), (5, 7), (7, 9), (18, 6),
         (6, 8), (8, 10), (18, 19), (19, 11), (11, 13), (13, 15), (19, 12), (12, 14), (14, 16),
         (15, 20), (15, 22), (15, 24), (16, 21), (16, 23), (16, 25))),
    Layout(
        'panoptic19',
        ('neck', 'nose', 'pelvis', 'left_shoulder', 'left_elbow', 'left_wrist', 'left_hip',
         'left_knee', 'left_ankle', 'right_shoulder', 'right_elbow', 'right_wrist', 'right_hip',
         'right_knee', 'right_ankle', 'left_eye', 'left_ear', 'right_eye', 'right_ear'),
        ((0, 1), (0, 2), (0, 3), (3, 4), (4, 5), (2, 6), (6, 7), (7, 8), (0, 9), (9, 10),
         (10, 11), (2, 12), (12, 13), (13, 14), (1, 15), (15, 16), (1, 17), (17, 18))),
)

#: Every layout by name.
LAYOUTS: Dict[str, Layout] = {layout.name: layout for layout in _LAYOUTS}


def get_layout(name: str) -> Layout:
    """The layout called ``name``.

    Raises:
        ValueError: If there is none; the message lists the known ones.
    """
    if name not in LAYOUTS:
        raise ValueError(f'unknown joint layout {name!r}, expected one of {sorted(LAYOUTS)}')
    return LAYOUTS[name]


def convert(keypoint: np.ndarray, score: Optional[np.ndarray], src: str,
            dst: str = 'coco17') -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Rearrange joints from one layout to another; joints without a source become missing.

    Args:
        keypoint (np.ndarray): (..., J_src, C) coordinates in any unit.
        score (np.ndarray, optional): (..., J_src) confidences.
        src (str): Layout of the input.
        dst (str): Layout of the output.

    Returns:
        tuple: (..., J_dst, C) coordinates and (..., J_dst) scores (None if there were none), of
        the input's types; both are 0 where ``src`` has no such joint.

    Raises:
        ValueError: If a layout is unknown or the number of joints is not that of ``src``.
    """
    layout = get_layout(src)
    index = layout.gather_index(get_layout(dst))
    if keypoint.shape[-2] != layout.num_joints:
        raise ValueError(f'keypoint has {keypoint.shape[-2]} joints, expected '
                         f'{layout.num_joints} of layout {src!r}')
    if src == dst:
        return keypoint, score
    missing = index < 0
    keypoint = keypoint[..., index, :]
    keypoint[..., missing, :] = 0
    if score is not None:
        score = score[..., index]
        score[..., missing] = 0
    return keypoint, score
