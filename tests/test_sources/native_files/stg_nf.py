"""Tracked persons of ShanghaiTech and UBnormal as STG-NF publishes them."""

import json
from pathlib import Path

import cv2
import numpy as np

from mofm.sources.data_sets.stg_nf import ShanghaiTech, UBnormal


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
_UBNORMAL = {f'pose/abnormal_train/{_ABNORMAL}{_ENDING}': persons({1: [0, 1, 2], 4: [1, 3]}),
             f'pose/train/normal_scene_1_scenario_2{_ENDING}': persons({2: [5, 6]}, 1)}

SAMPLES = {
    'shanghaitech': (ShanghaiTech, {
        f'pose/train/01_001{_ENDING}': persons({1: [0, 1, 2], 12: [2, 5]}),
        f'pose/test/01_0014{_ENDING}': persons({3: [130, 131]}, 1)}, {}),
    'ubnormal': (UBnormal, _UBNORMAL, dict(img_shape=(720, 1280))),
    'ubnormal_labels': (UBnormalFolder, {
        **_UBNORMAL, f'gt/{_ABNORMAL}_tracks.txt': b'1,0,3\n2,1,2\n',
        **{f'videos/Scene2/{_ABNORMAL}_annotations/{_ABNORMAL}_{t:04}_gt.png':
           png(np.tile(np.arange(60, dtype=np.uint8) // 20, (40, 1))) for t in range(4)}}, {}),
}
