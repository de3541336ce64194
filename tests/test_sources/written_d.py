"""Native files of Penn Action, NW-UCLA, UTKinect, ShanghaiTech and UBnormal, as published."""
import io
import json
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from mofm.sources.nw_ucla import NWUCLA
from mofm.sources.penn_action import PennAction
from mofm.sources.stg_nf import ShanghaiTech, UBnormal
from mofm.sources.utkinect import UTKinect, UTKinectUntrimmed

# A person of Kinect v1's 20 joints who faces the sensor, in meters: trunk, arms, legs.
_TRUNK = [[0, 0, 0], [0, .1, 0], [0, .5, 0], [0, .7, 0]]
_ARM = [[-.2, .5, 0], [-.25, .25, 0], [-.27, .02, 0], [-.28, -.05, 0]]
_LEG = [[-.1, 0, 0], [-.12, -.45, 0], [-.12, -.85, 0], [-.14, -.9, -.1]]
KINECT20 = np.concatenate([_TRUNK, *(np.multiply(limb, (side, 1, 1)) for limb in (_ARM, _LEG)
                                     for side in (1, -1))]) + [0, 0, 2.5]


def kinect_walk(frames=5):
    """(T, 20, 3) meters, a step to the side per frame."""
    return KINECT20 + .01 * np.arange(frames)[:, None, None] * [1, 0, 0]


def penn_fields(action='bowl', frames=5):
    """Variables of a file of Penn Action."""
    rng = np.random.default_rng(frames)
    return dict(action=action, pose='front', train=-1, nframes=np.uint8(frames),
                dimensions=np.array([[270, 480, frames]], np.uint16),
                x=rng.uniform(2, 400, (frames, 13)), y=rng.uniform(2, 200, (frames, 13)),
                visibility=np.ones((frames, 13), np.uint8))


def mat(fields, compressed=True):
    """Bytes of a MATLAB 5 file."""
    out = io.BytesIO()
    savemat(out, fields, do_compression=compressed)
    return out.getvalue()


def ucla(frames=5):
    """Bytes of a file of NW-UCLA."""
    return json.dumps(dict(file_name='a', label=1,
                           skeletons=kinect_walk(frames).tolist())).encode()


def utkinect(frames=8):
    """Bytes of the joints of a recording of UTKinect, every fourth frame of 100, 104, ..."""
    return '\n'.join(' '.join([str(100 + 4 * t), *(f'{v:.6f}' for v in row.ravel())])
                     for t, row in enumerate(kinect_walk(frames))).encode()


def persons(clip_frames, seed=0):
    """Bytes of a clip of STG-NF from {person: frames}."""
    rng = np.random.default_rng(seed)
    return json.dumps({str(person): {f'{frame:04}': dict(
        keypoints=np.c_[rng.uniform(50, 400, (17, 2)), rng.uniform(0, 1, 17)].round(2).ravel()
        .tolist(), scores=1.5) for frame in frames} for person, frames in clip_frames.items()}
    ).encode()


def png(mask):
    """Bytes of an image."""
    return cv2.imencode('.png', mask)[1].tobytes()


class UBnormalFolder(UBnormal):
    """UBnormal with everything in one folder, as the other readers have it."""

    def __init__(self, path, **kwargs):
        super().__init__(Path(path) / 'pose', gt=Path(path) / 'gt', masks=Path(path) / 'videos',
                         **kwargs)


_ENDING = '_alphapose_tracked_person.json'
_ABNORMAL = 'abnormal_scene_2_scenario_1'
_UTKINECT = {
    'joints/joints_s01_e01.txt': utkinect(), 'joints/joints_s02_e01.txt': utkinect(4),
    'joints/actionLabel.txt': b's01_e01\nwalk: 100 112 \nsitDown:  116 128\n\ncarry: NaN NaN\n'
                              b'pull: 108 120\ns02_e01\nwalk: 100 104\npush: 106 112\n'}
_UBNORMAL = {f'pose/abnormal_train/{_ABNORMAL}{_ENDING}': persons({1: [0, 1, 2], 4: [1, 3]}),
             f'pose/train/normal_scene_1_scenario_2{_ENDING}': persons({2: [5, 6]}, 1)}

SAMPLES = {
    'penn_action': (PennAction, {'labels/0001.mat': mat(penn_fields()),
                                 'labels/0002.mat': mat(penn_fields('squat', 3), False)}, {}),
    'nw_ucla': (NWUCLA, {'all_sqe/a03_s01_e01_v03.json': ucla(),
                         'all_sqe/a12_s10_e04_v01.json': ucla(3)}, {}),
    'utkinect': (UTKinect, _UTKINECT, {}),
    'utkinect_untrimmed': (UTKinectUntrimmed, _UTKINECT, dict(noise=True)),
    'shanghaitech': (ShanghaiTech, {
        f'pose/train/01_001{_ENDING}': persons({1: [0, 1, 2], 12: [2, 5]}),
        f'pose/test/01_0014{_ENDING}': persons({3: [130, 131]}, 1)}, {}),
    'ubnormal': (UBnormal, _UBNORMAL, dict(img_shape=(720, 1280))),
    'ubnormal_labels': (UBnormalFolder, {
        **_UBNORMAL, f'gt/{_ABNORMAL}_tracks.txt': b'1,0,3\n2,1,2\n',
        **{f'videos/Scene2/{_ABNORMAL}_annotations/{_ABNORMAL}_{t:04}_gt.png':
           png(np.tile(np.arange(60, dtype=np.uint8) // 20, (40, 1))) for t in range(4)}}, {}),
}
