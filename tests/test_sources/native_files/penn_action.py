"""MATLAB files of Penn Action."""

import io

import numpy as np
from scipy.io import savemat

from mofm.sources.data_sets.penn_action import PennAction


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


SAMPLES = {
    'penn_action': (PennAction, {'labels/0001.mat': mat(penn_fields()),
                                 'labels/0002.mat': mat(penn_fields('squat', 3), False)}, {}),
}
