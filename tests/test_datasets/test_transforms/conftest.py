"""Clips for the transforms, and mmaction2's transforms to compare with."""

import numpy as np
import pytest


@pytest.fixture
def mmaction_pose(monkeypatch):
    """The module of mmaction2's pose transforms, readable by NumPy 2."""
    if not hasattr(np, 'Inf'):
        monkeypatch.setattr(np, 'Inf', np.inf, raising=False)
    try:
        from mmaction.datasets.transforms import pose_transforms
    except Exception as error:  # its import needs video decoders
        pytest.skip(f'mmaction.datasets cannot be imported: {error}')
    return pose_transforms


@pytest.fixture
def clip():
    """Make a clip: ``clip(persons, frames, missing)`` with a share of missing joints."""

    def make(persons=1, frames=48, missing=0.0, seed=0):
        rng = np.random.RandomState(seed)
        keypoint = rng.uniform(50, 250, (persons, frames, 17, 2)).astype(np.float32)
        score = rng.uniform(0.3, 1, (persons, frames, 17)).astype(np.float32)
        gone = rng.random_sample(score.shape) < missing
        keypoint[gone] = 0
        score[gone] = 0
        return dict(
            keypoint=keypoint,
            keypoint_score=score,
            img_shape=(320, 480),
            total_frames=frames,
            frame_dir='a_clip',
            label=3)

    return make
