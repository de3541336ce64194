"""Files of PKU-MMD and Charades."""

import io

import numpy as np

from mofm.sources.data_sets.charades import Charades
from mofm.sources.data_sets.pku_mmd import PKUMMD
from tests.test_sources.native_files.smarthome import kpts, lcr, lcr_frames, tsu_keypoints


def pku_joints(frames=8):
    """(T, 2, 25, 3) meters; the second person comes late."""
    joints = np.random.default_rng(frames).uniform(-1, 1, (frames, 2, 25, 3)).round(4)
    joints[..., 2] += 3
    joints[:5, 1] = 0
    return joints


def pku(joints):
    """Bytes of a file of joints."""
    out = io.BytesIO()
    np.savetxt(out, joints.reshape(len(joints), -1), '%.4f')
    return out.getvalue()


def table(*rows):
    """Bytes of a table of Charades from (id, actions, length)."""
    return b'id,subject,script,actions,length\n' + ''.join(
        f'{name},T7C3,"A person, at home.",{actions},{length}\n' for name, actions, length in rows
    ).encode()


SPLITS = (b'Training videos: \n0002-L, 0003-R, 0291-M\n\n'
          b'Validataion videos: \n0007-L, 0007-M\n')
PKU_FILES = {
    'Data/PKU_Skeleton_Renew/0002-L.txt': pku(pku_joints()),
    'Data/PKU_Skeleton_Renew/0007-M.txt': pku(pku_joints(6)[:, ::-1] * [1, 1, 1]),
    'Label/Train_Label_PKU_final/0002-L.txt': b'3,1,4,2\n51,4,7,1\n',
    'Label/Train_Label_PKU_final/0007-M.txt': b'14,0,5,2\n',
    'Split/cross-subject.txt': SPLITS}
CHARADES_FILES = {
    'YSKX3.npz': kpts(tsu_keypoints(12)),
    'poses/46GP8.json': lcr(lcr_frames()),
    'Charades_v1_train.csv': table(('YSKX3', 'c092 0.50 3.00;c156 1.10 99.00', 4.0),
                                   ('AAAAA', '', 30.46)),
    'Charades_v1_test.csv': table(('46GP8', '', 20.5))}

SAMPLES = {'pku_mmd': (PKUMMD, PKU_FILES, {}), 'charades': (Charades, CHARADES_FILES, {})}
