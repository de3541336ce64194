"""Files of Toyota Smarthome and TSU."""

import io
import json

import numpy as np

from mofm.sources.data_sets.tsu import TSU, Smarthome


def lcr_pose(x=300., y=200., seed=0, size=50):
    """A person as in the files of LCR-Net."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform(-size, size, (2, 13)) + [[x], [y]]
    return dict(pose2d=pose.ravel().round(3).tolist(), pose3d=[0.] * 39, cumscore=1.5)


def lcr(frames):
    """Bytes of a JSON file from the persons of each frame."""
    return json.dumps(dict(frames=frames, njts=13)).encode()


def lcr_frames(frames=6):
    """Persons of each frame: nobody, one, two of whom the second moves more, three."""
    persons = [[lcr_pose(300 + t, 200, t), lcr_pose(100 + 40 * t, 220, 50 + t),
                lcr_pose(500, 210, 7, 10)] for t in range(frames)]
    return [p[:n] for p, n in zip(persons, [0, 1, 2, 3, 3, 2, 1] * frames, strict=False)]


def kpts(keypoint):
    """Bytes of an ``.npz`` file of TSU."""
    out = io.BytesIO()
    np.savez_compressed(out, kpts=keypoint)
    return out.getvalue()


def tsu_keypoints(frames=6):
    """(T, 17, 2) as in the files: the head five times, nobody in the first frame."""
    keypoint = np.random.default_rng(0).uniform(50, 400, (frames, 17, 2)).astype(np.float32)
    keypoint[:, 1:5] = keypoint[:, :1]
    keypoint[0] = 0
    return keypoint


def tsu_labels(**videos):
    """Bytes of an annotation file from (subset, actions)."""
    return json.dumps({video: dict(subset=subset, duration=6, actions=actions)
                       for video, (subset, actions) in videos.items()}).encode()


TSU_FILES = {
    'P02T01C06_LCRNet2d.npz': kpts(tsu_keypoints()),
    'results_P11T13C03_lcrnet+v3d.json': lcr(lcr_frames()),
    'smarthome_CS_51.json': tsu_labels(P02T01C06=('training', [[27, 1, 4], [50, 2, 6]]),
                                       P11T13C03=('testing', [])),
    'smarthome_CV_51.json': tsu_labels(P02T01C06=('testing', [[27, 1, 4], [50, 2, 6]]),
                                       P11T13C03=('training', []))}

SAMPLES = {
    'tsu': (TSU, TSU_FILES, {}),
    'smarthome': (Smarthome, {'json/Cook.Cut_p03_r00_v02_c03.json': lcr(lcr_frames()),
                              'json/Walk_p25_r12_v15_c02_pose3d.json': lcr(lcr_frames(3))}, {}),
}
