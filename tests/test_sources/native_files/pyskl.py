"""Pickles of PYSKL: 2D, 3D and Kinetics."""

import pickle
from pathlib import Path

import numpy as np

from mofm.sources.data_sets.pyskl import PYSKL, PYSKL3D, Kinetics
from tests.test_sources.native_files.ntu import kinect_body


def annotation(name, label=0, persons=2, frames=4, joints=17, seed=0, key='frame_dir', **more):
    """One annotation with 2D keypoints in HD images."""
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


SAMPLES = {
    'pyskl': (PYSKL, {'ntu60_hrnet.pkl': pyskl([annotation('a'), annotation('b', 1)],
                                               xsub_train=['a'], xsub_val=['b'])}, {}),
    'pyskl list': (PYSKL, {'mine.pkl': pyskl([annotation('a', joints=18, key='filename')])},
                   dict(layout='coco18')),
    'pyskl_3d': (PYSKL3D, {'ntu60_3d.pkl': pyskl([annotation_3d('a'), annotation_3d('b', 1)],
                                                 xsub_train=['a', 'b'])}, {}),
    'kinetics': (KineticsFolder, kinetics({'a b/c': [1, 2, 0, 3], 'd': [1]}, train=['d']), {}),
    'kinetics filtered': (KineticsFolder, kinetics({'a': [12, 2, 0, 3, 2]}, val=['a']),
                          dict(valid_ratio=.1, box_thr=.6, squeeze=False)),
}
