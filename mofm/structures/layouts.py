"""Joint layouts and the conversion between them.

Joints have the same name in every layout, so names define the map between two layouts. Left and
right are the person's own. COCO-17 is the default layout.
"""
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import numpy as np

Score = TypeVar('Score', np.ndarray, None)


@dataclass(frozen=True)
class Layout:
    """Joints of one skeleton convention.

    Args:
        name (str): Key in :data:`LAYOUTS`.
        joints (tuple[str]): Joint names in storage order; ``left_x`` has a partner ``right_x``.
        edges (tuple[tuple[int, int]]): Bones as pairs of joint indices.
        stand_in (Mapping[str, str or tuple[str]]): Substitutes of joints of other layouts that
            this one lacks: a joint, e.g. ``{'nose': 'head'}``, or the mean of up to four, which
            may be repeated. The key ``'unik17.head'`` is for one layout only.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    stand_in: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def num_joints(self) -> int:
        """Number of joints."""
        return len(self.joints)

    @property
    def left(self) -> tuple[int, ...]:
        """Indices of the joints on the person's left."""
        return tuple(i for i, j in enumerate(self.joints) if j.startswith('left_'))

    @property
    def right(self) -> tuple[int, ...]:
        """Indices of the mirror partners of :attr:`left`, in the same order."""
        return tuple(self.joints.index('right_' + self.joints[i][5:]) for i in self.left)

    @property
    def flip_index(self) -> np.ndarray:
        """(J,) permutation that swaps left and right: ``keypoint[..., flip_index, :]``."""
        index = np.arange(self.num_joints)
        index[[*self.left, *self.right]] = [*self.right, *self.left]
        return index

    def gather_index(self, dst: 'Layout') -> np.ndarray:
        """Map each joint of another layout to joints of this one.

        Args:
            dst (Layout): The other layout.

        Returns:
            np.ndarray: (J_dst, 4) indices, whose mean is the joint; -1 if there is none.
        """
        return np.array([self._sources(joint, dst.name) for joint in dst.joints])

    def _sources(self, joint: str, dst: str) -> tuple[int, ...]:
        """Return four indices of joints."""
        default = joint if joint in self.joints else self.stand_in.get(joint, ())
        names = self.stand_in.get(f'{dst}.{joint}', default)
        names = (names, ) if isinstance(names, str) else names
        return tuple(self.joints.index(n) for n in names) * (4 // len(names)) if names else _NONE


_NONE = (-1, ) * 4
_COCO = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder',
         'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip',
         'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle')
_COCO_EDGES = ((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10),
               (5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16), (11, 12))
_KINECT = ('pelvis', 'spine', 'neck', 'head', 'left_shoulder', 'left_elbow', 'left_wrist',
           'left_hand', 'right_shoulder', 'right_elbow', 'right_wrist', 'right_hand', 'left_hip',
           'left_knee', 'left_ankle', 'left_foot', 'right_hip', 'right_knee', 'right_ankle',
           'right_foot')
_HIPS, _SHOULDERS = ('left_hip', 'right_hip'), ('left_shoulder', 'right_shoulder')
_EYES = ('left_eye', 'right_eye')
_FACE = ('nose', *_EYES, 'left_ear', 'right_ear')
_TRUNK = {'pelvis': _HIPS, 'neck': _SHOULDERS, 'spine': (*_HIPS, *_SHOULDERS)}
_SMPL = ('pelvis', 'left_hip', 'right_hip', 'lower_spine', 'left_knee', 'right_knee', 'spine',
         'left_ankle', 'right_ankle', 'upper_spine', 'left_foot', 'right_foot', 'neck',
         'left_collar', 'right_collar', 'head', 'left_shoulder', 'right_shoulder', 'left_elbow',
         'right_elbow', 'left_wrist', 'right_wrist')
_SMPL_EDGES = ((0, 1), (0, 2), (0, 3), (1, 4), (2, 5), (3, 6), (4, 7), (5, 8), (6, 9), (7, 10),
               (8, 11), (9, 12), (9, 13), (9, 14), (12, 15), (13, 16), (14, 17), (16, 18),
               (17, 19), (18, 20), (19, 21))


def _series(name: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f'{name}{number}' for number in numbers)


def _chain(*joints: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip(joints, joints[1:], strict=False))


def _hand(side: str) -> tuple[str, ...]:
    """Return the 21 joints of a hand; fingers from the palm to the tip, as SMPL-H counts them."""
    return f'{side}_hand_root', *(f'{side}_{finger}{i}' for finger in (
        'thumb', 'index', 'middle', 'ring', 'pinky') for i in range(1, 5))


# The 68 points of iBUG, which begin on the person's right.
_FACE_68 = (
    *_series('right_jaw', *range(1, 9)), 'chin', *_series('left_jaw', *range(8, 0, -1)),
    *_series('right_brow', *range(1, 6)), *_series('left_brow', *range(5, 0, -1)),
    *_series('nose_bridge', *range(1, 5)), *_series('right_nostril', 1, 2), 'nose_base',
    *_series('left_nostril', 2, 1), *_series('right_eyelid', *range(1, 7)),
    *_series('left_eyelid', 4, 3, 2, 1, 6, 5), *_series('right_lip', 1, 2, 3), 'upper_lip',
    *_series('left_lip', 3, 2, 1, 4, 5), 'lower_lip', *_series('right_lip', 5, 4),
    *_series('right_mouth', 1, 2), 'upper_mouth', *_series('left_mouth', 2, 1, 3),
    'lower_mouth', 'right_mouth3')


def _face_edges(first: int) -> tuple[tuple[int, int], ...]:
    """Return the lines of a face whose points begin at an index; it hangs on the nose, joint 0."""
    lines = ((*range(17), 26, 25, 24, 23, 22, 27), (0, 17, 18, 19, 20, 21, 27, 28, 29, 30, 33),
             (31, 32, 33, 34, 35), (21, 39), (22, 42), (*range(36, 42), 36), (*range(42, 48), 42),
             (33, 51), (*range(48, 60), 48), (51, 62), (*range(60, 68), 60))
    return (0, first + 30), *((first + a, first + b) for line in lines for a, b in _chain(*line))


def _hand_edges(wrist: int, first: int) -> tuple[tuple[int, int], ...]:
    """Return the bones of a hand whose joints begin at an index."""
    return (wrist, first), *(edge for i in range(first + 1, first + 21, 4)
                             for edge in _chain(first, i, i + 1, i + 2, i + 3))


_HAND_PARTS = {
    f'{side}_{part}': f'{side}_{joint}' for side in ('left', 'right')
    for part, joint in (('hand', 'middle1'), ('hand_tip', 'middle4'), ('thumb', 'thumb4'))}
_HALPE = (*_COCO, 'head', 'neck', 'pelvis', 'left_big_toe', 'right_big_toe', 'left_small_toe',
          'right_small_toe', 'left_heel', 'right_heel')
_HALPE_EDGES = ((0, 1), (0, 2), (1, 3), (2, 4), (0, 17), (17, 18), (18, 5), (5, 7), (7, 9),
                (18, 6), (6, 8), (8, 10), (18, 19), (19, 11), (11, 13), (13, 15), (19, 12),
                (12, 14), (14, 16), (15, 20), (15, 22), (15, 24), (16, 21), (16, 23), (16, 25))

_LAYOUTS = (
    # Means as in MotionBERT's and UNIK's tools.
    Layout(
        'coco17', _COCO, _COCO_EDGES,
        stand_in={'pelvis': _HIPS, 'neck': _SHOULDERS, 'spine': (*_HIPS, *_SHOULDERS),
                  'head': _EYES, 'unik17.head': 'nose',
                  'mouth': ('nose', 'nose', *_SHOULDERS)}),
    # In the files of Penn Action the first joint of every pair is on the person's right: it lies
    # on the image's left in front views, strums the guitars and does most of the throwing.
    Layout(
        'penn13',
        ('head', 'right_shoulder', 'left_shoulder', 'right_elbow', 'left_elbow', 'right_wrist',
         'left_wrist', 'right_hip', 'left_hip', 'right_knee', 'left_knee', 'right_ankle',
         'left_ankle'),
        ((0, 1), (0, 2), (1, 3), (3, 5), (2, 4), (4, 6), (1, 7), (2, 8), (7, 8), (7, 9), (9, 11),
         (8, 10), (10, 12)),
        stand_in={'nose': 'head', 'h36m17.pelvis': _HIPS, 'h36m17.neck': _SHOULDERS,
                  'h36m17.spine': (*_HIPS, *_SHOULDERS)}),
    Layout(
        'h36m17',
        ('pelvis', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee',
         'left_ankle', 'spine', 'neck', 'nose', 'head', 'left_shoulder', 'left_elbow',
         'left_wrist', 'right_shoulder', 'right_elbow', 'right_wrist'),
        ((0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10),
         (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16))),
    # Kinect v1. Eyes and ears would only repeat the head.
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
         (19, 20), (14, 21), (11, 22), (22, 23), (11, 24)),
        stand_in={'h36m17.spine': ('neck', 'pelvis'), 'h36m17.head': _EYES}),
    Layout(
        'coco18',
        ('nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder',
         'left_elbow', 'left_wrist', 'right_hip', 'right_knee', 'right_ankle', 'left_hip',
         'left_knee', 'left_ankle', 'right_eye', 'left_eye', 'right_ear', 'left_ear'),
        ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11),
         (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
        stand_in={'h36m17.pelvis': _HIPS, 'h36m17.spine': (*_HIPS, 'neck', 'neck'),
                  'h36m17.head': _EYES}),
    Layout(
        'halpe26',
        _HALPE,
        _HALPE_EDGES,
        stand_in={'spine': ('neck', 'pelvis')}),
    Layout(
        'panoptic19',
        ('neck', 'nose', 'pelvis', 'left_shoulder', 'left_elbow', 'left_wrist', 'left_hip',
         'left_knee', 'left_ankle', 'right_shoulder', 'right_elbow', 'right_wrist', 'right_hip',
         'right_knee', 'right_ankle', 'left_eye', 'left_ear', 'right_eye', 'right_ear'),
        ((0, 1), (0, 2), (0, 3), (3, 4), (4, 5), (2, 6), (6, 7), (7, 8), (0, 9), (9, 10),
         (10, 11), (2, 12), (12, 13), (13, 14), (1, 15), (15, 16), (1, 17), (17, 18)),
        stand_in={'h36m17.spine': ('neck', 'pelvis'), 'h36m17.head': _EYES}),
    # PoseTrack 2018; the neck is called head_bottom there, the head head_top.
    Layout(
        'posetrack17',
        ('nose', 'neck', 'head', 'left_ear', 'right_ear', *_COCO[5:]),
        ((0, 1), (0, 2), (0, 3), (0, 4), *_COCO_EDGES[4:10], (5, 11), (11, 13), (13, 15), (6, 12),
         (12, 14), (14, 16), (11, 12)),
        stand_in={'pelvis': _HIPS, 'spine': (*_HIPS, 'neck', 'neck')}),
    # LCR-Net++, the layout of Toyota Smarthome.
    Layout(
        'lcr13',
        ('right_ankle', 'left_ankle', 'right_knee', 'left_knee', 'right_hip', 'left_hip',
         'right_wrist', 'left_wrist', 'right_elbow', 'left_elbow', 'right_shoulder',
         'left_shoulder', 'head'),
        ((0, 2), (2, 4), (1, 3), (3, 5), (4, 5), (6, 8), (8, 10), (7, 9), (9, 11), (10, 11),
         (4, 10), (5, 11), (10, 12), (11, 12)),
        stand_in={'nose': 'head', 'neck': _SHOULDERS, 'pelvis': _HIPS,
                  'spine': (*_HIPS, *_SHOULDERS), 'mouth': ('head', 'head', *_SHOULDERS)}),
    # UNIK, converted from LCR-Net++.
    Layout(
        'unik17',
        ('head', 'mouth', 'neck', 'spine', 'pelvis', *_COCO[5:]),
        ((4, 3), (3, 2), (2, 1), (1, 0), (5, 2), (7, 5), (9, 7), (6, 2), (8, 6), (10, 8),
         (11, 4), (13, 11), (15, 13), (12, 4), (14, 12), (16, 14)),
        stand_in={'nose': 'head'}),
    # SMPL and AMASS: the joints shared by the models with and without hands.
    Layout(
        'smpl24',
        (*_SMPL, 'left_hand', 'right_hand'),
        (*_SMPL_EDGES, (20, 22), (21, 23)),
        stand_in={'nose': 'head'}),
    # HumanEva, the 15 joints of VideoPose3D.
    Layout(
        'humaneva15',
        ('pelvis', 'neck', 'left_shoulder', 'left_elbow', 'left_wrist', 'right_shoulder',
         'right_elbow', 'right_wrist', 'left_hip', 'left_knee', 'left_ankle', 'right_hip',
         'right_knee', 'right_ankle', 'head'),
        ((0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (0, 8), (8, 9), (9, 10),
         (0, 11), (11, 12), (12, 13), (1, 14)),
        stand_in={'nose': 'head', 'spine': ('pelvis', 'neck')}),
    # OpenNI without hands and feet: Florence 3D, SBU.
    Layout(
        'openni15',
        ('head', 'neck', 'spine', 'left_shoulder', 'left_elbow', 'left_wrist', 'right_shoulder',
         'right_elbow', 'right_wrist', 'left_hip', 'left_knee', 'left_ankle', 'right_hip',
         'right_knee', 'right_ankle'),
        ((0, 1), (1, 2), (1, 3), (3, 4), (4, 5), (1, 6), (6, 7), (7, 8), (2, 9), (9, 10),
         (10, 11), (2, 12), (12, 13), (13, 14)),
        stand_in={'nose': 'head', 'pelvis': _HIPS}),
    # Motion capture of Bandai-Namco Research.
    Layout(
        'bandai22',
        ('root', 'pelvis', 'spine', 'upper_spine', 'neck', 'head', 'left_collar',
         'left_shoulder', 'left_elbow', 'left_wrist', 'right_collar', 'right_shoulder',
         'right_elbow', 'right_wrist', 'left_hip', 'left_knee', 'left_ankle', 'left_foot',
         'right_hip', 'right_knee', 'right_ankle', 'right_foot'),
        ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (3, 6), (6, 7), (7, 8), (8, 9), (3, 10),
         (10, 11), (11, 12), (12, 13), (1, 14), (14, 15), (15, 16), (16, 17), (1, 18), (18, 19),
         (19, 20), (20, 21)),
        stand_in={'nose': 'head'}),
    # OpenPose's experimental model; neck and head are those of MPII.
    Layout(
        'body25b',
        (*_COCO, 'upper_neck', 'head', 'left_big_toe', 'left_small_toe', 'left_heel',
         'right_big_toe', 'right_small_toe', 'right_heel'),
        (*_COCO_EDGES, (5, 17), (6, 17), (17, 18), (15, 19), (19, 20), (15, 21), (16, 22),
         (22, 23), (16, 24)),
        stand_in=_TRUNK),
    # COCO-WholeBody: body, feet, face and hands.
    Layout(
        'wholebody133',
        (*_COCO, 'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe',
         'right_small_toe', 'right_heel', *_FACE_68, *_hand('left'), *_hand('right')),
        (*_COCO_EDGES, (15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22),
         *_face_edges(23), *_hand_edges(9, 91), *_hand_edges(10, 112)),
        stand_in={**_TRUNK, **_HAND_PARTS, 'head': _EYES, 'unik17.head': 'nose',
                  'mouth': ('nose', 'nose', *_SHOULDERS)}),
    # Halpe-FullBody: Halpe-26, face and hands.
    Layout(
        'halpe136',
        (*_HALPE, *_FACE_68, *_hand('left'), *_hand('right')),
        (*_HALPE_EDGES, *_face_edges(26), *_hand_edges(9, 94), *_hand_edges(10, 115)),
        stand_in={**_HAND_PARTS, 'spine': ('neck', 'pelvis')}),
    # BlazePose. Of the hands it has knuckles, of the feet the tip (foot_index).
    Layout(
        'mediapipe33',
        ('nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye',
         'right_eye_outer', 'left_ear', 'right_ear', 'left_lip1', 'right_lip1', *_COCO[5:11],
         'left_pinky1', 'right_pinky1', 'left_index1', 'right_index1', 'left_thumb2',
         'right_thumb2', *_COCO[11:], 'left_heel', 'right_heel', 'left_big_toe',
         'right_big_toe'),
        ((0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10), (0, 9),
         (0, 10), (0, 11), (0, 12), (11, 12), (11, 13), (13, 15), (15, 17), (15, 19), (15, 21),
         (17, 19), (12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20), (11, 23),
         (12, 24), (23, 24), (23, 25), (24, 26), (25, 27), (26, 28), (27, 29), (28, 30),
         (29, 31), (30, 32), (27, 31), (28, 32)),
        stand_in={**_TRUNK, 'head': _EYES, 'mouth': ('left_lip1', 'right_lip1'),
                  'left_hand': ('left_index1', 'left_pinky1'),
                  'right_hand': ('right_index1', 'right_pinky1')}),
    # J-HMDB; spine and head are called belly and face there.
    Layout(
        'jhmdb15',
        ('neck', 'spine', 'head', 'right_shoulder', 'left_shoulder', 'right_hip', 'left_hip',
         'right_elbow', 'left_elbow', 'right_knee', 'left_knee', 'right_wrist', 'left_wrist',
         'right_ankle', 'left_ankle'),
        ((0, 1), (0, 2), (0, 3), (0, 4), (1, 5), (1, 6), (3, 7), (7, 11), (4, 8), (8, 12),
         (5, 9), (9, 13), (6, 10), (10, 14)),
        stand_in={'pelvis': _HIPS, 'nose': 'head'}),
    # PoseTrack 2017, with neck and head as in 2018.
    Layout(
        'posetrack15',
        ('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle',
         'right_wrist', 'right_elbow', 'right_shoulder', 'left_shoulder', 'left_elbow',
         'left_wrist', 'neck', 'nose', 'head'),
        ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 12), (12, 9), (9, 10),
         (10, 11), (12, 13), (13, 14), (8, 2), (9, 3)),
        stand_in={'pelvis': _HIPS, 'spine': (*_HIPS, 'neck', 'neck')}),
    # MPII; the neck is its thorax.
    Layout(
        'mpii16',
        ('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle',
         'pelvis', 'neck', 'upper_neck', 'head', 'right_wrist', 'right_elbow', 'right_shoulder',
         'left_shoulder', 'left_elbow', 'left_wrist'),
        ((0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (7, 12),
         (12, 11), (11, 10), (7, 13), (13, 14), (14, 15)),
        stand_in={'nose': ('upper_neck', 'head'), 'spine': ('pelvis', 'neck')}),
    Layout(
        'crowdpose14',
        (*_COCO[5:], 'head', 'neck'),
        ((13, 12), (13, 0), (13, 1), (0, 2), (2, 4), (1, 3), (3, 5), (0, 6), (1, 7), (6, 7),
         (6, 8), (8, 10), (7, 9), (9, 11)),
        stand_in={'nose': ('neck', 'head'), 'pelvis': _HIPS, 'spine': (*_HIPS, 'neck', 'neck')}),
    # AI Challenger.
    Layout(
        'aic14',
        ('right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow',
         'left_wrist', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee',
         'left_ankle', 'head', 'neck'),
        ((13, 12), (13, 0), (13, 3), (0, 1), (1, 2), (3, 4), (4, 5), (0, 6), (3, 9), (6, 9),
         (6, 7), (7, 8), (9, 10), (10, 11)),
        stand_in={'nose': ('neck', 'head'), 'pelvis': _HIPS, 'spine': (*_HIPS, 'neck', 'neck')}),
    # The body of SMPL (HumanML3D), and SMPL-H with three joints a finger.
    Layout('smpl22', _SMPL, _SMPL_EDGES, stand_in={'nose': 'head'}),
    Layout(
        'smpl52',
        (*_SMPL, *(f'{side}_{finger}{i}' for side in ('left', 'right')
                   for finger in ('index', 'middle', 'pinky', 'ring', 'thumb')
                   for i in (1, 2, 3))),
        (*_SMPL_EDGES, *(edge for wrist, first in ((20, 22), (21, 37))
                         for i in range(first, first + 15, 3)
                         for edge in _chain(wrist, i, i + 1, i + 2))),
        stand_in={'nose': 'head', 'left_hand': 'left_middle1', 'right_hand': 'right_middle1'}),
    # All joints of Human3.6M. Several repeat another: joint 11 the pelvis, 16 and 24 the neck,
    # 20, 22, 28 and 30 a wrist.
    Layout(
        'h36m32',
        ('pelvis', 'right_hip', 'right_knee', 'right_ankle', 'right_foot', 'right_toe_end',
         'left_hip', 'left_knee', 'left_ankle', 'left_foot', 'left_toe_end', 'pelvis_end',
         'spine', 'neck', 'nose', 'head', 'left_neck', 'left_shoulder', 'left_elbow',
         'left_wrist', 'left_thumb_root', 'left_thumb', 'left_wrist_end', 'left_hand_tip',
         'right_neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'right_thumb_root',
         'right_thumb', 'right_wrist_end', 'right_hand_tip'),
        ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 6), (6, 7), (7, 8), (8, 9), (9, 10),
         (0, 11), (11, 12), (12, 13), (13, 14), (14, 15), (13, 16), (16, 17), (17, 18), (18, 19),
         (19, 20), (20, 21), (19, 22), (22, 23), (13, 24), (24, 25), (25, 26), (26, 27),
         (27, 28), (28, 29), (27, 30), (30, 31))),
    # Azure Kinect; spine and upper_spine are called navel and chest, collars clavicles.
    Layout(
        'azure32',
        ('pelvis', 'spine', 'upper_spine', 'neck', 'left_collar', 'left_shoulder', 'left_elbow',
         'left_wrist', 'left_hand', 'left_hand_tip', 'left_thumb', 'right_collar',
         'right_shoulder', 'right_elbow', 'right_wrist', 'right_hand', 'right_hand_tip',
         'right_thumb', 'left_hip', 'left_knee', 'left_ankle', 'left_foot', 'right_hip',
         'right_knee', 'right_ankle', 'right_foot', 'head', 'nose', 'left_eye', 'left_ear',
         'right_eye', 'right_ear'),
        ((0, 1), (1, 2), (2, 3), (2, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9), (7, 10),
         (2, 11), (11, 12), (12, 13), (13, 14), (14, 15), (15, 16), (14, 17), (0, 18), (18, 19),
         (19, 20), (20, 21), (0, 22), (22, 23), (23, 24), (24, 25), (3, 26), (26, 27), (26, 28),
         (26, 29), (26, 30), (26, 31))),
    # JTA; head is the top of the head, spine the middle of five joints from the neck down.
    Layout(
        'jta22',
        ('head', 'head_center', 'neck', 'right_collar', 'right_shoulder', 'right_elbow',
         'right_wrist', 'left_collar', 'left_shoulder', 'left_elbow', 'left_wrist', 'spine0',
         'spine1', 'spine', 'spine3', 'spine4', 'right_hip', 'right_knee', 'right_ankle',
         'left_hip', 'left_knee', 'left_ankle'),
        ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (2, 7), (7, 8), (8, 9), (9, 10),
         (2, 11), (11, 12), (12, 13), (13, 14), (14, 15), (15, 16), (16, 17), (17, 18), (15, 19),
         (19, 20), (20, 21)),
        stand_in={'nose': 'head_center', 'pelvis': _HIPS}),
)

#: All layouts by name.
LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in _LAYOUTS}


def get_layout(name: str) -> Layout:
    """Look up a layout by its name.

    Raises:
        ValueError: If the layout is unknown; the message lists the known ones.
    """
    if not isinstance(name, str) or name not in LAYOUTS:
        raise ValueError(f'unknown joint layout {name!r}, expected one of {sorted(LAYOUTS)}')
    return LAYOUTS[name]


@cache
def _gather_index(src: str, dst: str) -> np.ndarray:
    return get_layout(src).gather_index(get_layout(dst))


def convert(keypoint: np.ndarray, score: Score, src: str,
            dst: str = 'coco17') -> tuple[np.ndarray, Score]:
    """Convert joints from one layout to another; joints without a source become missing.

    A mean of joints has the lowest of their scores.

    Args:
        keypoint (np.ndarray): (..., J_src, C) coordinates in any unit.
        score (np.ndarray, optional): (..., J_src) confidences.
        src (str): Layout of the input.
        dst (str): Layout of the output.

    Returns:
        tuple: (..., J_dst, C) coordinates and (..., J_dst) scores (None without scores), of the
        types of the input; both are 0 for joints that ``src`` lacks.

    Raises:
        ValueError: If a layout is unknown or the number of joints differs from ``src``.
    """
    layout, index = get_layout(src), _gather_index(src, dst)
    if keypoint.shape[-2] != layout.num_joints:
        raise ValueError(f'keypoint has {keypoint.shape[-2]} joints, expected '
                         f'{layout.num_joints} of layout {src!r}')
    if src == dst:
        return keypoint, score
    missing = index[:, 0] < 0
    mean = (index != index[:, :1]).any(1)
    sources = keypoint[..., index[mean], :]  # (..., means, 4, C)
    keypoint = keypoint[..., index[:, 0], :]
    keypoint[..., mean, :] = sources.mean(-2)
    keypoint[..., missing, :] = 0
    if score is not None:
        lowest = score[..., index[mean]].min(-1)
        score = score[..., index[:, 0]]
        score[..., mean] = lowest
        score[..., missing] = 0
    return keypoint, score
