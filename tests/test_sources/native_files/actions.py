"""Files of data sets of actions."""

import json

import numpy as np

from mofm.sources.data_sets.florence3d import Florence3D
from mofm.sources.data_sets.kinetics_skeleton import KineticsSkeleton
from mofm.sources.data_sets.msr_action3d import MSRAction3D, MSRAction3DPixels
from mofm.sources.data_sets.msrc12 import MSRC12
from mofm.sources.data_sets.sbu import SBU
from mofm.sources.data_sets.uav_human import UAVHuman
from mofm.sources.data_sets.utd_mhad import UTDMHAD
from mofm.structures import LAYOUTS

from .kinect_v1 import kinect_walk
from .penn_action import mat

KINECT = LAYOUTS['kinect20'].joints
# The published order of MSR Action3D, joints from 1 in the order of Kinect v1.
MSR = np.array([5, 9, 3, 2, 13, 17, 1, 6, 10, 7, 11, 8, 12, 14, 18, 15, 19, 16, 20, 4]) - 1
# That of UTD-MHAD begins with the head and goes down.
UTD = [3, 2, 1, 0, *range(4, 20)]
OPENNI = [KINECT.index(joint) for joint in LAYOUTS['openni15'].joints]


def lines(rows, fmt='%.6f', separator=' '):
    """Bytes of a text with one row per line."""
    return '\n'.join(separator.join(fmt % v for v in row) for row in rows).encode()


def msr(joints, confidence=1.):
    """Bytes of a file of MSR Action3D from (T, 20, 3) in the order of Kinect."""
    rows = joints[:, MSR].reshape(-1, 3)
    return lines(np.concatenate([rows, np.full((len(rows), 1), confidence)], 1))


def pixels(joints):
    """Pixels (T, J, 2) of an image of 320 x 240, and depth, for meters of the sensor."""
    return np.concatenate([joints[..., :2] / joints[..., 2:] * [-285, -285] + [160, 120],
                           joints[..., 2:] * 1000], -1)


def utd(joints):
    """Bytes of a file of UTD-MHAD."""
    return mat(dict(d_skel=joints[:, UTD].transpose(1, 2, 0)))


def msrc(joints, start=1000):
    """Bytes of a file of MSRC-12: a first frame without anybody, then one every 33 ms."""
    rows = np.concatenate([joints, np.ones((*joints.shape[:2], 1))], -1).reshape(len(joints), -1)
    rows = np.concatenate([np.zeros((1, 80)), rows])
    times = start + 33 * np.arange(len(rows))
    return '\n'.join(' '.join([str(t), *(f'{v:.6f}' for v in row)])
                     for t, row in zip(times, rows, strict=True)).encode()


def ticks(*times):
    """Bytes of a file of moments, given in milliseconds."""
    return ('XQPCTick;Tag\r\n' + ''.join(f'{-(-t * 49875 // 1000)};G1 lift outstretched arms;\r\n'
                                         for t in times)).encode()


def florence(*videos):
    """Bytes of the file of Florence 3D from (video, actor, action, joints (T, 20, 3))."""
    return b'\n'.join(lines(np.concatenate([
        np.tile([video, actor, action], (len(joints), 1)),
        1000 * joints[:, OPENNI].reshape(len(joints), -1)], 1), '%.9g')
        for video, actor, action, joints in videos)


def sbu(*people):
    """Bytes of a file of SBU from people (T, 20, 3)."""
    rows = np.stack([np.stack([(1.28 - p[..., 0]) / 2.56, (.96 - p[..., 1]) / 1.92,
                               p[..., 2] / 1.28], -1)[:, OPENNI] for p in people], 1)
    rows = rows.reshape(len(rows), -1)
    return lines(np.concatenate([np.arange(1, len(rows) + 1)[:, None], rows], 1), '%.9g', ',')


def uav(frames):
    """Bytes of a file of UAV-Human; a frame is a dict of id -> (17, 2) pixels."""
    out = [len(frames)]
    for bodies in frames:
        out.append(len(bodies))
        for number, points in bodies.items():
            out += [f'{number} 0 0 0 0 0 0 0 0 0', 17]
            out += [f'{x:.3f} {y:.3f} 0 0 0 0 0 0 0 0 0 0' for x, y in points]
    return '\n'.join(map(str, out)).encode()


def coco_person(x=800., y=400., size=200):
    """(17, 2) pixels of a person."""
    return np.random.default_rng(0).uniform(-1, 1, (17, 2)) * size + [x, y]


# Joints of OpenPose's COCO behind those of Kinect v1; the eyes and ears lie beside the head.
OPENPOSE = [3, 2, 8, 9, 10, 4, 5, 6, 16, 17, 18, 12, 13, 14, 3, 3, 3, 3]


def stgcn_person(x=170., y=128., size=100):
    """(18, 2) pixels of a person who faces the camera."""
    points = kinect_walk(1)[0, OPENPOSE, :2] * [-size, -size] + [x, y]
    points[14:] += np.array([[-3, -3], [3, -3], [-7, 0], [7, 0]]) * size / 100
    return points


def stgcn(frames, label=0, title='abseiling'):
    """Bytes of a file of Kinetics-skeleton from the persons (18, 2) of each frame."""
    skeletons = [[dict(pose=(p / [340, 256]).round(6).ravel().tolist(), score=[.8] * 18)
                  for p in persons] for persons in frames]
    return json.dumps(dict(data=[dict(frame_index=t, skeleton=s)
                                 for t, s in enumerate(skeletons, 1)],
                           label=title, label_index=label)).encode()


def stgcn_labels(**videos):
    """Bytes of a file of labels from (label, name)."""
    return json.dumps({video: dict(has_skeleton=True, label=title, label_index=label)
                       for video, (label, title) in videos.items()}).encode()


WALK = kinect_walk(6)
UAV_NAME = 'P{:03d}S00G10B10H10UC022000LC021000A{:03d}R0_08241716.txt'
ACTION_FILES = {
    'msr_action3d': {'a01_s01_e01_skeleton3D.txt': msr(WALK),
                     'a20_s10_e02_skeleton3D.txt': msr(WALK[:3])},
    'msr_action3d_2d': {'a01_s01_e01_skeleton.txt': msr(pixels(WALK))},
    'utd_mhad': {'Skeleton/a1_s1_t1_skeleton.mat': utd(WALK),
                 'Skeleton/a27_s8_t4_skeleton.mat': utd(WALK[:2])},
    'msrc12': {'P1_1_1_p06.csv': msrc(WALK), 'P1_1_1_p06.tagstream': ticks(1070, 1160),
               'P3_2_12A_p30.csv': msrc(WALK[:4])},
    'florence3d': {'Florence_dataset_WorldCoordinates.txt': florence(
        (1, 1, 1, WALK), (2, 1, 9, WALK[:3]), (3, 10, 5, WALK[:4]))},
    'sbu': {'s01s02/01/001/skeleton_pos.txt': sbu(WALK, WALK + [.8, 0, .2]),
            's07s03/s07s03/08/002/skeleton_pos.txt': sbu(WALK[:3], WALK[:3] + [.9, 0, 0])},
    'kinetics_skeleton': {
        'kinetics_train/abc.json': stgcn([[stgcn_person(170 + t), stgcn_person(60, size=80)]
                                          for t in range(5)]),
        'kinetics_val/x-y_1.json': stgcn([[], [stgcn_person()], [stgcn_person(171)]], 1, 'zumba'),
        'kinetics_train_label.json': stgcn_labels(abc=(0, 'abseiling'), d=(1, 'zumba')),
        'kinetics_val_label.json': stgcn_labels(**{'x-y_1': (1, 'zumba')})},
    'uav_human': {UAV_NAME.format(0, 0): uav([{1: coco_person(800 + 5 * t)} for t in range(5)]),
                  UAV_NAME.format(118, 154): uav([
                      {0: coco_person(500), 1: coco_person(900 + 9 * t)} for t in range(3)])}}

SAMPLES = {name: (reader, ACTION_FILES[name], options) for name, reader, options in (
    ('msr_action3d', MSRAction3D, {}), ('msr_action3d_2d', MSRAction3DPixels, {}),
    ('utd_mhad', UTDMHAD, {}), ('msrc12', MSRC12, {}), ('florence3d', Florence3D, {}),
    ('sbu', SBU, dict(noise=True)), ('kinetics_skeleton', KineticsSkeleton, {}),
    ('uav_human', UAVHuman, {}))}
