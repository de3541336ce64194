"""Files of JHMDB and of DD-Net's copy of it."""

import pickle

import numpy as np

from mofm.sources.data_sets.jhmdb import JHMDB, JHMDBPickles

from .penn_action import mat

CLAP, BOW = 'a(1)_clap_u_nm_np1_fr_goo_0', 'b!_shoot_bow_f_cm_np1_le_med_2'
SCALE = 1.5  # of the puppet


def puppet(frames=4, seed=0):
    """Pixels (T, 15, 2), counted from 1, of an image of 320 x 240."""
    return np.random.default_rng(seed).uniform([20, 10], [300, 230], (frames, 15, 2)).round(2)


def world(joints):
    """``pos_world`` (T, 15, 2) by the formula of the published README."""
    return np.stack([(joints[..., 0] / 320 - .5) * 320 / 240 / SCALE,
                     (joints[..., 1] / 240 - .5) / SCALE], -1)


def joint_positions(joints):
    """Bytes of a MATLAB file."""
    return mat(dict(pos_img=joints.T, pos_world=world(joints).T,
                    scale=np.full((1, len(joints)), SCALE), viewpoint='E'))


def ddnet(poses, labels):
    """Bytes of a pickle of DD-Net."""
    return pickle.dumps(dict(pose=poses, label=labels), 3)


FILES = {
    f'joint_positions/clap/{CLAP}/joint_positions.mat': joint_positions(puppet()),
    f'joint_positions/shoot_bow/{BOW}/joint_positions.mat': joint_positions(puppet(3, 1)),
    'splits/clap_test_split1.txt': f'{CLAP}.avi 1 \n'.encode(),
    'splits/clap_test_split2.txt': f'{CLAP}.avi 2 \n'.encode(),
    'splits/shoot_bow_test_split1.txt': f'{BOW}.avi 2 \r\n'.encode(),
    'sub_splits/shoot_bow_test_split3.txt': f'{BOW}.avi 1 \n'.encode()}
DDNET_FILES = {
    'GT_train_1.pkl': ddnet([world(puppet()), world(puppet(3, 1))], ['clap', 'walk']),
    'GT_test_3.pkl': ddnet([world(puppet(2, 2))], ['wave'])}

SAMPLES = {'jhmdb': (JHMDB, FILES, {}), 'jhmdb_ddnet': (JHMDBPickles, DDNET_FILES, {})}
