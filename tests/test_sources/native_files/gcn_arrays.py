"""Arrays of CTR-GCN and 2s-AGCN."""

import io
import pickle

import numpy as np

from mofm.sources.data_sets.gcn_arrays import AGCN, CTRGCN

from .ntu import kinect_body

FRAMES = 12


def people(count=3):
    """(N, M, T, 25, 3) meters as of the sensor: recordings of 5, 6, ... frames, 0 afterwards.

    The second has two persons, of whom one is there in three frames.
    """
    out = np.zeros((count, 2, FRAMES, 25, 3), np.float32)
    for i in range(count):
        out[i, 0, :5 + i] = kinect_body(5 + i, i)[..., :3]
    out[1, 1, 2:5] = kinect_body(3, 9, x=.7)[..., :3]
    return out


def centered(joints):
    """Relative to the spine of the first person in the first frame, as CTR-GCN."""
    return np.where(joints.any((3, 4), keepdims=True), joints - joints[:, :1, :1, 1:2], 0)


def ctr(joints, labels, save=np.savez):
    """Bytes of an ``.npz`` file of which the last recording is the test set."""
    x = joints.swapaxes(1, 2).reshape(len(joints), FRAMES, 150)
    y = np.eye(60)[labels]
    out = io.BytesIO()
    save(out, x_train=x[:-1], y_train=y[:-1], x_test=x[-1:], y_test=y[-1:])
    return out.getvalue()


def turned(joints):
    """As 2s-AGCN: spine of the first person at 0 in every frame, z up, frames repeated."""
    out = np.zeros_like(joints)
    for i, recording in enumerate(joints):
        frames = int(recording[0].any((1, 2)).sum())
        present = recording[:, :frames].any((2, 3), keepdims=True)
        relative = np.where(present, recording[:, :frames] - recording[:1, :frames, 1:2], 0)
        relative = np.stack([relative[..., 0], -relative[..., 2], relative[..., 1]], -1)
        out[i] = np.tile(relative, (1, -(-FRAMES // frames), 1, 1))[:, :FRAMES]
    return out


def npy(array):
    """Bytes of an ``.npy`` file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def agcn(joints):
    """Bytes of an array (N, 3, T, 25, M)."""
    return npy(joints.transpose(0, 4, 2, 3, 1))


def names(labels, protocol=2):
    """Bytes of a pickle of names and labels."""
    return pickle.dumps(([f'S001C001P001R00{i + 1}A{label + 1:03d}.skeleton'
                          for i, label in enumerate(labels)], labels), protocol)


LABELS = [0, 49, 59]
CTR_FILES = {'NTU60_CS.npz': ctr(centered(people()), LABELS),
             'packed/NTU60_CV.npz': ctr(centered(people()), LABELS, np.savez_compressed)}
AGCN_FILES = {'xsub/train_data_joint.npy': agcn(turned(people())),
              'xsub/train_label.pkl': names(LABELS),
              'xview/val_data.npy': agcn(people()), 'xview/val_label.pkl': names(LABELS, 4),
              'xview/val_data_bone.npy': npy(np.zeros(3))}

SAMPLES = {'ctr_gcn': (CTRGCN, CTR_FILES, {}), 'agcn': (AGCN, AGCN_FILES, {})}
