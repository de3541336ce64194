"""Joints of Kinect v1: NW-UCLA and UTKinect."""

import json

import numpy as np

from mofm.sources.data_sets.nw_ucla import NWUCLA
from mofm.sources.data_sets.utkinect import UTKinect, UTKinectUntrimmed

# A person of Kinect v1's 20 joints who faces the sensor, in meters: trunk, arms, legs.
_TRUNK = [[0, 0, 0], [0, .1, 0], [0, .5, 0], [0, .7, 0]]
_ARM = [[-.2, .5, 0], [-.25, .25, 0], [-.27, .02, 0], [-.28, -.05, 0]]
_LEG = [[-.1, 0, 0], [-.12, -.45, 0], [-.12, -.85, 0], [-.14, -.9, -.1]]
KINECT20 = np.concatenate([_TRUNK, *(np.multiply(limb, (side, 1, 1)) for limb in (_ARM, _LEG)
                                     for side in (1, -1))]) + [0, 0, 2.5]


def kinect_walk(frames=5):
    """(T, 20, 3) meters, a step to the side per frame."""
    return KINECT20 + .01 * np.arange(frames)[:, None, None] * [1, 0, 0]


def ucla(frames=5):
    """Bytes of a file of NW-UCLA."""
    return json.dumps(dict(file_name='a', label=1,
                           skeletons=kinect_walk(frames).tolist())).encode()


def utkinect(frames=8):
    """Bytes of the joints of a recording of UTKinect, every fourth frame of 100, 104, ..."""
    return '\n'.join(' '.join([str(100 + 4 * t), *(f'{v:.6f}' for v in row.ravel())])
                     for t, row in enumerate(kinect_walk(frames))).encode()


_UTKINECT = {
    'joints/joints_s01_e01.txt': utkinect(), 'joints/joints_s02_e01.txt': utkinect(4),
    'joints/actionLabel.txt': b's01_e01\nwalk: 100 112 \nsitDown:  116 128\n\ncarry: NaN NaN\n'
                              b'pull: 108 120\ns02_e01\nwalk: 100 104\npush: 106 112\n'}

SAMPLES = {
    'nw_ucla': (NWUCLA, {'all_sqe/a03_s01_e01_v03.json': ucla(),
                         'all_sqe/a12_s10_e04_v01.json': ucla(3)}, {}),
    'utkinect': (UTKinect, _UTKINECT, {}),
    'utkinect_untrimmed': (UTKinectUntrimmed, _UTKINECT, dict(noise=True)),
}
