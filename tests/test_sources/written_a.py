"""Native files of NTU RGB+D, PYSKL, Kinetics and Toyota Smarthome in the published layouts."""
import io
import json
import pickle
from pathlib import Path

import numpy as np

from mofm.sources.ntu import NTU60, NTU120, NTU60Joints, NTU120Joints
from mofm.sources.pyskl import PYSKL, PYSKL3D, Kinetics
from mofm.sources.tsu import TSU, Smarthome


# ------------------------------------------------------------------------------------------- NTU
def kinect_body(frames=4, seed=0, x=0., motion=.02):
    """(T, 25, 12) values of the lines of a person who faces the sensor, all joints tracked."""
    rng = np.random.default_rng(seed)
    limb = [[-.2, .5, 0], [-.25, .25, 0], [-.27, .02, 0], [-.28, -.05, 0]]
    leg = [[-.1, 0, 0], [-.12, -.45, 0], [-.12, -.85, 0], [-.14, -.9, -.1]]
    mirror = np.array([-1, 1, 1])
    body = np.concatenate([
        [[0, .01, 0], [0, .25, 0], [0, .5, 0], [0, .7, 0]], limb, limb * mirror, leg, leg * mirror,
        [[0, .45, 0], [-.29, -.1, 0], [-.27, -.07, -.03], [.29, -.1, 0], [.27, -.07, -.03]]])
    walk = np.cumsum(rng.normal(0, motion, (frames, 1, 3)), 0)
    xyz = (body + [x, 0, 3] + walk).round(6)  # (T, 25, 3)
    # Kinect v2's images are mirrored: x grows to the left of the sensor in both.
    slope = xyz[..., :2] * [1, -1] / xyz[..., 2:]
    depth, color = slope * 365 + [256, 212], slope * 1060 + [960, 540]
    rest = np.concatenate([rng.normal(size=(frames, 25, 4)), np.full((frames, 25, 1), 2)], -1)
    return np.concatenate([xyz, depth.round(4), color.round(3), rest.round(6)], -1)


def skeleton(frames):
    """Bytes of a ``.skeleton`` file; a frame is a dict of id -> (25, 12) values."""
    lines = [len(frames)]
    for bodies in frames:
        lines.append(len(bodies))
        for number, rows in bodies.items():
            lines += [f'{number} 0 1 1 0 1 0 0.0339 -0.5899 2', len(rows)]
            lines += [' '.join([*(f'{v:.9g}' for v in row[:-1]), str(int(row[-1]))])
                      for row in rows]
    return '\r\n'.join(map(str, lines)).encode()


# Ids are larger than what a float can tell apart.
ID = 72057594037932358


def solo(frames=4):
    """One person, absent from the first frame."""
    body = kinect_body(frames)
    return skeleton([{}, *({ID: rows} for rows in body[1:])])


def pair(frames=4):
    """Two persons in changing order, and a third who hardly moves."""
    a, b, c = (kinect_body(frames, seed, x, motion)
               for seed, x, motion in ((1, -.5, .02), (2, .5, .1), (3, 1.5, 1e-5)))
    return skeleton([{ID + i: rows[t] for i, rows in ((0, a), (1, b), (2, c))[::(-1)**t]}
                     for t in range(frames)])


NTU_FILES = {'nturgb+d_skeletons/S001C001P001R001A001.skeleton': solo(),
             'nturgb+d_skeletons/S017C002P008R002A050.skeleton': pair()}


# ----------------------------------------------------------------------------------------- PYSKL
def annotation(name, label=0, persons=2, frames=4, joints=17, seed=0, key='frame_dir', **more):
    """One annotation with 2D key points in HD images."""
    rng = np.random.default_rng(seed)
    return {key: name, 'label': label, 'img_shape': (1080, 1920), 'original_shape': (1080, 1920),
            'total_frames': frames,
            'keypoint': rng.uniform(1, 1000, (persons, frames, joints, 2)).astype(np.float16),
            'keypoint_score': rng.uniform(0, 1, (persons, frames, joints)).astype(np.float16),
            **more}


def pyskl(annotations, **split):
    """Bytes of a published pickle, a plain list without splits."""
    return pickle.dumps(dict(split=split, annotations=annotations) if split else annotations)


def annotation_3d(name, persons=2, frames=4, **more):
    """One annotation of the 3D pickles of NTU RGB+D; the second person is absent at first."""
    keypoint = np.stack([kinect_body(frames, i, i - .5)[..., :3] for i in range(persons)])
    keypoint[1:, 0] = 0
    return dict(frame_dir=name, label=3, total_frames=frames, keypoint=keypoint.astype(np.float16),
                **more)


def detections(counts, seed=0):
    """Of a video with so many persons in its frames: frame_inds, box_score and keypoint."""
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(len(counts)), counts).astype(np.int16)
    keypoint = rng.uniform(1, 300, (len(frame), 17, 3))
    keypoint[..., 2] /= 300
    return frame, rng.uniform(.3, 1, len(frame)).astype(np.float32), keypoint.astype(np.float16)


def kinetics(videos, **split):
    """Files of Kinetics from {id: persons per frame}."""
    files, annotations = {}, []
    for label, (name, counts) in enumerate(videos.items()):
        frame, box_score, keypoint = detections(counts, label)
        valid = {thr: len(np.unique(frame[box_score >= thr])) for thr in (.5, .6, .7, .8, .9)}
        annotations.append(dict(
            frame_dir=name, label=label, img_shape=(240, 320), original_shape=(240, 320),
            total_frames=len(counts), frame_inds=frame, box_score=box_score, valid=valid))
        files[f'skeletons/{name}.pkl'] = pickle.dumps(dict(keypoint=keypoint))
    return {'k400.pkl': pyskl(annotations, **split), **files}


class KineticsFolder(Kinetics):
    """Kinetics with everything in one folder, as the other readers have it."""

    def __init__(self, path, **kwargs):
        super().__init__(Path(path) / 'k400.pkl', Path(path) / 'skeletons', **kwargs)


# ------------------------------------------------------------------------------ Toyota Smarthome
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
    return [p[:n] for p, n in zip(persons, [0, 1, 2, 3, 3, 2, 1] * frames)]


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
    'ntu60_2d': (NTU60, NTU_FILES, {}),
    'ntu60_2d depth': (NTU60, NTU_FILES, dict(projection='depth', unmirror=True)),
    'ntu120_2d': (NTU120, {'S032C003P106R002A120.skeleton': pair()}, {}),
    'ntu60_3d': (NTU60Joints, NTU_FILES, {}),
    'ntu120_3d': (NTU120Joints, {'S032C003P106R002A120.skeleton': pair()}, dict(noise=True)),
    'pyskl': (PYSKL, {'ntu60_hrnet.pkl': pyskl([annotation('a'), annotation('b', 1)],
                                               xsub_train=['a'], xsub_val=['b'])}, {}),
    'pyskl list': (PYSKL, {'mine.pkl': pyskl([annotation('a', joints=18, key='filename')])},
                   dict(layout='coco18')),
    'pyskl_3d': (PYSKL3D, {'ntu60_3d.pkl': pyskl([annotation_3d('a'), annotation_3d('b', 1)],
                                                 xsub_train=['a', 'b'])}, {}),
    'kinetics': (KineticsFolder, kinetics({'a b/c': [1, 2, 0, 3], 'd': [1]}, train=['d']), {}),
    'kinetics filtered': (KineticsFolder, kinetics({'a': [12, 2, 0, 3, 2]}, val=['a']),
                          dict(valid_ratio=.1, box_thr=.6, squeeze=False)),
    'tsu': (TSU, TSU_FILES, {}),
    'smarthome': (Smarthome, {'json/Cook.Cut_p03_r00_v02_c03.json': lcr(lcr_frames()),
                              'json/Walk_p25_r12_v15_c02_pose3d.json': lcr(lcr_frames(3))}, {}),
}
