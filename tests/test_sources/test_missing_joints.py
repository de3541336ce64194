"""One NaN is a missing joint, not a file that is refused."""
import io
import json

import numpy as np
import pytest

from tests.test_sources.native_files import SAMPLES, penn_action, smarthome, untrimmed, write
from tests.test_sources.native_files.kinect_v1 import kinect_walk, ucla, utkinect


def with_nan(array, place):
    array = array.copy()
    array[place] = np.nan
    return array


def utkinect_with_nan():
    lines = utkinect().decode().split('\n')
    words = lines[3].split(' ')
    words[1 + 3 * 4 + 1] = 'nan'  # y of the left shoulder
    return '\n'.join([*lines[:3], ' '.join(words), *lines[4:]]).encode()


def ucla_with_nan():
    joints = with_nan(kinect_walk(5), (3, 4, 1))
    return ucla().replace(json.dumps(kinect_walk(5).tolist()).encode(),
                          json.dumps(joints.tolist()).encode())


def panoptic_with_nan(content):
    scene = json.loads(content)
    scene['bodies'][0]['joints19'][4 * 3] = np.nan  # x of the left shoulder
    return json.dumps(scene).encode()


def pku_with_nan():
    return untrimmed.pku(with_nan(untrimmed.pku_joints(), (3, 0, 4, 1)))


PENN = penn_action.penn_fields()
LCR = smarthome.lcr_frames()
LCR[3][0]['pose2d'][11] = np.nan  # x of the left shoulder
KPTS = io.BytesIO()
np.savez(KPTS, kpts=with_nan(smarthome.tsu_keypoints(), (3, 5, 0)))
# Sample, recording, file and its content; frame and joint of COCO that is missing then.
CASES = {
    'nw_ucla': ('a03_s01_e01_v03_v0', 'all_sqe/a03_s01_e01_v03.json', ucla_with_nan(), 3, 5),
    'utkinect_untrimmed': ('s01_e01_v0', 'joints/joints_s01_e01.txt', utkinect_with_nan(), 3, 5),
    'pku_mmd': ('0002-L_v0', 'Data/PKU_Skeleton_Renew/0002-L.txt', pku_with_nan(), 3, 5),
    'penn_action': ('0001', 'labels/0001.mat', penn_action.mat(dict(
        PENN, x=with_nan(PENN['x'], (3, 2)))), 3, 5),
    'tsu': ('P02T01C06', 'P02T01C06_LCRNet2d.npz', KPTS.getvalue(), 3, 5),
    'smarthome': ('Cook.Cut_p03_r00_v02_c03', 'json/Cook.Cut_p03_r00_v02_c03.json',
                  smarthome.lcr(LCR), 3, 5)}


@pytest.mark.parametrize('name', sorted(CASES))
def test_nan_is_one_missing_joint(tmp_path, name):
    recording, file, content, frame, joint = CASES[name]
    reader, files, options = SAMPLES[name]
    options = dict(options, noise=False) if 'noise' in options else options
    scores = []
    for i, native in enumerate((files[file], content)):
        source = reader(write(tmp_path / str(i), {**files, file: native}), strict=True, **options)
        scores += [ann['keypoint_score'] for ann, _ in source if ann['frame_dir'] == recording]
    before, after = scores
    assert after.shape == before.shape
    assert [(t, j) for _, t, j in np.argwhere((before > 0) & (after == 0))] == [(frame, joint)]
    assert not ((before == 0) & (after > 0)).any()
    assert 'NaN is a missing joint' in source.notes


def test_panoptic_nan_is_one_missing_joint(tmp_path):
    reader, files, options = SAMPLES['panoptic']
    file = min(f for f in files if 'body3DScene' in f)
    items = []
    for i, native in enumerate((files[file], panoptic_with_nan(files[file]))):
        source = reader(write(tmp_path / str(i), {**files, file: native}), strict=True, **options)
        items.append({ann['frame_dir']: ann['keypoint_score'] for ann, _ in source})
    before, after = items
    assert before.keys() == after.keys()
    lost = [np.argwhere((before[key] > 0) & (after[key] == 0)).tolist() for key in before]
    assert [0, 0, 5] in sum(lost, [])
    assert all(places in ([], [[0, 0, 5]]) for places in lost)
    assert 'NaN is a missing joint' in source.notes
