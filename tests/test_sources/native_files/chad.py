"""Pickles and labels of CHAD, PHEVA and PoseLift."""

import io
import pickle

import numpy as np

from mofm.sources import CHAD, PHEVA, PoseLift


def poses(tracks, seed=0, center=False):
    """{frame: {person: (box XYWH, keypoints (17, 3))}} of {person: frames}."""
    rng = np.random.default_rng(seed)
    out = {}
    for person, frames in tracks.items():
        for frame in frames:
            x, y = rng.uniform(100, 600, 2).round(2)
            points = np.c_[rng.uniform(x, x + 60, 17), rng.uniform(y, y + 120, 17),
                           rng.uniform(.2, 1, 17)].round(2)
            box = [x + 30, y + 60, 60., 120.] if center else [x, y, 60., 120.]
            out.setdefault(frame, {})[person] = (box, points)
    return out


def video(tracks, form='pair', seed=0, center=False):
    """Bytes of a pickle: as lists ('pair'), with flat lists ('flat') or arrays of objects."""
    out = {}
    for frame, persons in poses(tracks, seed, center).items():
        for person, (box, points) in persons.items():
            pose = [box, points.ravel().tolist()] if form == 'flat' else [np.array(box), points]
            if form == 'objects':
                pair = np.empty(2, object)
                pair[:] = pose
                pose = pair
            out.setdefault(frame, {})[person] = pose
    return pickle.dumps(out)


def npy(labels):
    """Bytes of an ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, np.array(labels))
    return file.getvalue()


SAMPLES = {
    'chad': (CHAD, {
        'annotations/1_066_1.pkl': video({1: [0, 1, 2, 4], 7: [3, 4]}, 'objects'),
        'annotations/4_002_0.pkl': video({2: [0, 1, 3]}, 'objects', 1),
        'anomaly_labels/1_066_1.npy': npy([0, 0, 1, 1, 0]),
        'anomaly_labels/4_002_0.npy': npy([0.] * 4),
        'splits/train_split_1.txt': b'4_002_0\n', 'splits/test_split_1.txt': b'1_066_1\n',
        'splits/train_split_2.txt': b'4_002_0\n', 'splits/test_split_2.txt': b'1_066_1\n'}, {}),
    'pheva': (PHEVA, {
        'train/0_1.pkl': video({1: [0, 1], 2: [1]}, 'flat', 2),
        'test/0_2.pkl': video({3: [0, 1, 2]}, 'flat', 3), 'GT/0_2.npy': npy([False, True, True])},
        {}),
    'poselift': (PoseLift, {
        'Pickle_files/Train/1_19.pkl': video({1: [0, 1], 2: [1]}, 'pair', 4),
        'Pickle_files/Test/1_20.pkl': video({3: [0, 1, 2]}, 'pair', 5, True),
        'Pickle_files/GT/1_20.npy': npy([0, 1, 1])}, {}),
}
