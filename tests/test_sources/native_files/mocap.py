"""Motion capture: joints in NumPy archives, and BVH."""

import io

import numpy as np

from mofm.sources.mocap.arrays import JointsNPZ
from mofm.sources.mocap.bvh import BVH
from mofm.structures import LAYOUTS

# A standing person who faces +z, left at +x, in meters.
_TRUNK = dict(root=(0, 0, 0), pelvis=(0, .95, 0), lower_spine=(0, 1, 0), spine=(0, 1.1, 0),
              upper_spine=(0, 1.25, 0), neck=(0, 1.45, 0), head=(0, 1.6, .05), nose=(0, 1.6, .1))
_LIMBS = dict(eye=(.03, 1.63, .08), ear=(.07, 1.6, 0), collar=(.05, 1.4, 0),
              shoulder=(.18, 1.4, 0), elbow=(.2, 1.12, 0), wrist=(.2, .87, .02),
              hand=(.2, .8, .03), hip=(.1, .95, 0), knee=(.1, .5, .02), ankle=(.1, .1, 0),
              foot=(.1, .03, .1))


def person(layout):
    """(J, 3) meters."""
    def place(joint):
        side, _, part = joint.partition('_')
        if side not in ('left', 'right'):
            return _TRUNK.get(joint, _TRUNK['pelvis'])
        limb = _LIMBS.get(part, _LIMBS['foot' if 'toe' in part else 'hand'])
        return np.multiply(limb, (1 if side == 'left' else -1, 1, 1))

    return np.array([place(joint) for joint in LAYOUTS[layout].joints])


BANDAI = [
    'joint_Root', 'Hips', 'Spine', 'Chest', 'Neck', 'Head', 'Shoulder_L', 'UpperArm_L',
    'LowerArm_L', 'Hand_L', 'Shoulder_R', 'UpperArm_R', 'LowerArm_R', 'Hand_R', 'UpperLeg_L',
    'LowerLeg_L', 'Foot_L', 'Toes_L', 'UpperLeg_R', 'LowerLeg_R', 'Foot_R', 'Toes_R'
]


def walk(frames=5, layout='bandai22'):
    """(T, J, 3) meters, a step to the side per frame."""
    return person(layout) + .02 * np.arange(frames)[:, None, None] * [1, 0, 0]


def npz(**arrays):
    """Bytes of an ``.npz`` file."""
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def npy(array):
    """Bytes of an ``.npy`` file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def concatenated(lengths=(3, 4), **changes):
    """Bytes of recordings that lie one after the other, with names of joints."""
    arrays = dict(xyz=np.concatenate([walk(n) for n in lengths]).astype(np.float16),
                  length=np.array(lengths), name=np.array([f'walk_{i}' for i in
                                                           range(len(lengths))]),
                  joints=np.array(BANDAI))
    arrays.update(changes)
    return npz(**{key: value for key, value in arrays.items() if value is not None})


# Name, parent, offset in centimeters, channels of the files' words (X position, x rotation).
SKELETON = (
    ('Hips', None, (1, 2, 3), 'XYZzxy'), ('LeftUpLeg', 'Hips', (10, 0, 0), 'xyz'),
    ('LeftLeg', 'LeftUpLeg', (0, -42, 1), 'x'), ('LeftFoot', 'LeftLeg', (0, -40, 0), 'yx'),
    ('RightUpLeg', 'Hips', (-10, 0, 0), 'zyx'), ('RightLeg', 'RightUpLeg', (0, -42, 1), 'xzy'),
    ('RightFoot', 'RightLeg', (0, -40, 0), ''), ('Spine', 'Hips', (0, 20, 0), 'yzx'),
    ('Head', 'Spine', (0, 40, 4), 'yxz'), ('LeftArm', 'Spine', (18, 30, 0), 'zXxYyZ'),
    ('LeftForeArm', 'LeftArm', (0, -28, 0), 'zxy'), ('LeftHand', 'LeftForeArm', (1, -25, 2), 'y'),
    ('RightArm', 'Spine', (-18, 30, 0), 'Yxyz'), ('RightForeArm', 'RightArm', (0, -28, 0), 'xyz'),
    ('RightHand', 'RightForeArm', (1, -25, 2), 'xyz'))
ENDS = dict(Head=(0, 18, 0), LeftFoot=(0, -8, 12), RightFoot=(0, -8, 12), LeftHand=(0, -8, 0),
            RightHand=(0, -8, 0))


def bvh_values(frames=5, seed=0):
    """(T, C) of :data:`SKELETON`: positions near the offsets, turns of up to 30 degrees."""
    rng = np.random.default_rng(seed)
    columns = []
    for _, _, offset, channels in SKELETON:
        for word in channels:
            middle = offset['XYZ'.index(word)] if word.isupper() else 0
            columns.append(middle + rng.uniform(-1, 1, frames) * (3 if word.isupper() else 30))
    return np.stack(columns, -1)


def bvh(values=None):
    """Bytes of a BVH file with :data:`SKELETON`."""
    values = bvh_values() if values is None else values

    def block(name, parent, offset, channels):
        words = ' '.join(f'{w.upper()}{"position" if w.isupper() else "rotation"}'
                         for w in channels)
        inner = [f'OFFSET {" ".join(map(str, offset))}',
                 f'CHANNELS {len(channels)} {words}'.strip()]
        for child in SKELETON:
            if child[1] == name:
                inner += block(*child)
        if name in ENDS:
            inner += ['End Site', '{', f'  OFFSET {" ".join(map(str, ENDS[name]))}', '}']
        kind = 'JOINT' if parent else 'ROOT'
        return [f'{kind} {name}', '{', *('  ' + line for line in inner), '}']

    rows = [' '.join(f'{v:.6f}' for v in row) for row in values]
    lines = ['HIERARCHY', *block(*SKELETON[0]), 'MOTION', f'Frames: {len(values)}',
             'Frame Time: 0.033333', *rows]
    return '\n'.join(lines).encode() + b'\n'


SAMPLES = {
    'joints_npz': (JointsNPZ, {'walk.npz': npz(a=walk(), b=1000 * walk(3))},
                   dict(layout='bandai22', key='a')),
    'joints_npz_two': (JointsNPZ, {'walk.npz': npz(a=walk(), b=walk(3))},
                       dict(layout='bandai22')),
    'joints_npz_names': (JointsNPZ, {'bandai.npz': concatenated()}, dict(layout='bandai22')),
    'joints_npz_map': (JointsNPZ, {'bandai.npz': concatenated()},
                       dict(joint_map='bandai_namco')),
    'joints_npz_z': (JointsNPZ, {
        'smpl.npz': npz(joints=1000 * walk(layout='smpl24')[..., [0, 2, 1]] * [1, -1, 1])},
        dict(layout='smpl24', unit=.001, up='z')),
    'bvh': (BVH, {'01/01_01.bvh': bvh()}, dict(joint_map='cmu')),
}
