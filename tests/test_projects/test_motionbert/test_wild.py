"""Configs for use in the wild: normalization and its inverse."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mofm.apis import MotionInferencer
from mofm.apis.publish import publish
from mofm.structures import convert
from projects.motionbert.lifting.transforms import FillJoints

CONFIGS = Path(__file__).resolve().parents[3] / 'projects/motionbert/configs'
SMALL = {'model.backbone.depth': 1}
PIXELS = {**SMALL, 'test_dataloader.dataset.pipeline.1.type': 'NormalizeByShortSide'}


def person(frames):
    """Create a person in Halpe-26 with a missing joint."""
    rng = np.random.default_rng(0)
    points = rng.uniform(200, 400, (1, frames, 26, 2)) + rng.normal(size=(1, frames, 26, 2))
    score = rng.uniform(.2, 1, (1, frames, 26))
    score[0, 1, 9] = 0
    return np.concatenate([points, score[..., None]], -1)


@pytest.mark.parametrize(('name', 'options', 'root_relative'), [
    ('lift_wild', SMALL, False), ('lift_wild_tiny', SMALL, True), ('lift_wild', PIXELS, False)])
def test_wild_configs_equal_normalization_formulas(name, options, root_relative):
    """Checks the formulas of bounding box and shorter side for one window."""
    torch.manual_seed(0)
    lifter = MotionInferencer(CONFIGS / f'{name}.py', device='cpu', cfg_options=options)
    assert lifter.tasks == ('lift', )
    assert lifter.task().max_frames == (16 if 'tiny' in name else 243)
    assert lifter.model.root_relative is root_relative
    points = person(4)
    result, = lifter(points, layout='halpe26', img_shape=(480, 640), progress=False)

    points, score = convert(points[0, ..., :2], points[0, ..., 2], 'halpe26', 'h36m17')
    filled = FillJoints()(dict(keypoint=points, keypoint_score=score))
    points, score = filled['keypoint'], filled['keypoint_score']
    seen = score > 0
    if options is PIXELS:
        center, scale = np.array([320, 240]), 240
    else:
        low, high = points[seen].min(0), points[seen].max(0)
        center, scale = (low + high) / 2, (high - low).max() / 2
    unit = np.concatenate([(points - center) / scale * seen[..., None], score[..., None]], -1)
    with torch.no_grad():
        pred = lifter.model.lift(torch.tensor(unit[None, None], dtype=torch.float32))[0, 0].numpy()
    expected = pred * scale
    expected[..., :2] += points[:, :1] if root_relative else center
    np.testing.assert_allclose(result.joints[0], expected, atol=.02)
    np.testing.assert_allclose(result.joints[0, 0, 0, 2], 0, atol=1e-4)


def test_wild_model_lifts_real_poses(real_data, tmp_path):
    """Uses published Halpe-26 poses of AlphaPose, which have neck and pelvis."""
    with zipfile.ZipFile(real_data('alphapose_sample.zip')) as archive:
        path = Path(archive.extract('alphapose_halpe26.json', tmp_path))
    lifter = MotionInferencer(CONFIGS / 'lift_wild_tiny.py', device='cpu')
    result, = lifter(path, window=16, stride=810, progress=False)
    assert result.joints.shape[1:] == (809, 17, 3)
    assert result.layout == 'h36m17'
    main = result.joints[0]
    assert np.isfinite(main[[*range(16), *range(793, 809)]]).all()
    assert np.isnan(main[16:793]).all()
    first = np.reshape(json.loads(path.read_text())[0]['keypoints'], (26, 3))
    np.testing.assert_allclose(main[0, 0, :2], first[19, :2], atol=.3)  # stored as float16


def test_published_lifter_gives_the_same(tmp_path):
    """Checks publishing without the loss and with the settings of the pipeline."""
    torch.manual_seed(0)
    config = CONFIGS / 'lift_wild_tiny.py'
    lifter = MotionInferencer(config, device='cpu', cfg_options=SMALL)
    torch.save(lifter.model.state_dict(), tmp_path / 'model.pth')
    publish(config, tmp_path / 'model.pth', tmp_path / 'out', cfg_options=SMALL)
    published = MotionInferencer(tmp_path / 'out', device='cpu')
    points = person(20)
    for expected, found in zip(*(model(points, layout='halpe26', progress=False)
                                 for model in (lifter, published)), strict=True):
        np.testing.assert_array_equal(found.joints, expected.joints)
    card = (tmp_path / 'out/README.md').read_text()
    assert "task='lift'" in card
    assert 'import projects.motionbert  # its classes' in card
