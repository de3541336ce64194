"""The models of the zoo load, and predict what they predicted when they were published."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mofm.apis import Gallery, MotionInferencer, list_models
from mofm.datasets import SyntheticMotion
from mofm.hub.zoo import read_index
from mofm.utils.config import load_config


def predict(name: str) -> np.ndarray:
    """Predict a few numbers for procedural motion, one kind for each task."""
    first, second = (SyntheticMotion(2, seed=0).get_data_info(i) for i in range(2))
    shape = dict(img_shape=first['img_shape'])
    clips = [np.concatenate([ann['keypoint'][0], ann['keypoint_score'][0][..., None]], -1)
             for ann in (first, second)]
    inferencer = MotionInferencer(name, device='cpu')
    if inferencer.task().result_type.task == 'one_shot':
        gallery = Gallery(inferencer)
        gallery.add('first', clips[0], **shape)
        return np.array([inferencer(clip, gallery=gallery, **shape)[0].top(1)[0][1]
                         for clip in clips])
    result, = inferencer(clips[0], **shape)
    if hasattr(result, 'joints'):
        return result.joints[0, 20, 13] / 100  # left wrist
    if hasattr(result, 'normality'):
        return result.normality[::30][:3]
    if hasattr(result, 'segments'):
        return result.scores[40, :3]
    return result.pooled[0, :3] if hasattr(result, 'pooled') else np.array(
        [score for _, score in result.top(3)])


@pytest.mark.parametrize(('name', 'expected'), [
    ('mofm-tiny', [-1.7446, 1.5323, -0.0807]),
    ('mofm-tiny-anomaly', [0.8763, 0.5618, 0.1950]),
    ('mofm-tiny-everyday', [0.5866, 0.3373, 0.0151]),
    ('mofm-tiny-localize', [0.5078, 0, 0.0001]),
    ('mofm-tiny-oneshot', [1, 0.8049]),
    ('mofm-tiny-penn', [0.9278, 0.0463, 0.0166]),
    ('mofm-tiny-synthetic', [-1.2613, -0.5047, 0.3387]),
    ('motionbert-tiny-lift', [13.0462, 4.6580, -0.1216]),
])
def test_prediction_is_that_of_the_publication(name, expected):
    np.testing.assert_allclose(predict(name), expected, atol=2e-3)


def test_every_model_has_a_stored_prediction():
    cases = test_prediction_is_that_of_the_publication.pytestmark[0].args[1]
    assert [name for name, _ in cases] == list_models()


@pytest.mark.slow
@pytest.mark.parametrize('name', list_models())
def test_card_has_the_metrics_of_the_test(name, tmp_path):
    """Runs the command of the index, where the data of its config are in ``data/``."""
    entry = read_index()[name]
    _, *words = shlex.split(entry.command)
    file = load_config(words[1]).test_dataloader.dataset.get('ann_file')
    if file and not Path(file).exists():
        pytest.skip(f'needs {file}')
    subprocess.run([sys.executable, '-m', 'mofm', *words, '--work-dir', str(tmp_path)], check=True)
    found, = (json.loads(path.read_text()) for path in tmp_path.glob('*/*.json'))
    for key, value in entry.metrics.items():
        assert found[key] == pytest.approx(value, rel=5e-3), key
