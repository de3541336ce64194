"""Nearest-neighbor scores: against scikit-learn, fitting, laws."""

import pytest
import torch
from mmaction.structures import ActionDataSample
from sklearn.neighbors import NearestNeighbors

from mofm.registry import MODELS
from mofm.structures import LAYOUTS, CubeGrid, ThermalCubes

GRID = dict(num_frames=4, canvas=24, patch=4)
DIMS = 17 * 4 * 2


def points(batch, seed=0):
    keypoints = 24 * torch.rand(batch, 1, 17, 4, 3, generator=torch.Generator().manual_seed(seed))
    keypoints[..., 2] = 1
    return keypoints


def detector(windows=None, **kwargs):
    """A detector whose training has seen ``windows`` in batches of at most 8."""
    model = MODELS.build(dict(
        dict(type='NearestNeighborDetector', backbone=dict(type='KeypointFeatures'),
             in_channels=DIMS, gallery_size=30,
             data_preprocessor=dict(type='MotionDataPreprocessor', **GRID)), **kwargs))
    if windows is not None:
        for part in windows.split(8):
            model.train_step(dict(inputs=dict(keypoints=part)), None)
        model.fit()
    return model.eval()


def normality(model, keypoints, clips=1):
    samples = [ActionDataSample() for _ in range(len(keypoints) // clips)]
    model(ThermalCubes(keypoints, CubeGrid(**GRID)), samples, mode='predict')
    return torch.stack([sample.normality for sample in samples])


def features(keypoints):
    backbone = MODELS.build(dict(type='KeypointFeatures'))
    return backbone(ThermalCubes(keypoints, CubeGrid(**GRID))).pooled.numpy()


@pytest.mark.parametrize(('norm', 'metric'), [(1., 'manhattan'), (2., 'euclidean')])
def test_nearest_neighbor_normality_equals_scikit_learn(norm, metric):
    known, query = points(20), points(5, 1)
    search = NearestNeighbors(n_neighbors=3, metric=metric).fit(features(known))
    expected = -search.kneighbors(features(query))[0].mean(1)
    found = normality(detector(known, neighbors=3, norm=norm), query)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_nearest_neighbor_local_scale_divides_by_root_of_own_distances():
    known, query = points(20), points(5, 1)
    search = NearestNeighbors(n_neighbors=4, metric='manhattan').fit(features(known))
    own = search.kneighbors(features(known))[0][:, 1:].mean(1)
    distance, index = search.kneighbors(features(query), 20)
    expected = -(distance / own[index] ** .5).min(1)
    found = normality(detector(known, local_scale=3), query)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_nearest_neighbor_copies_in_gallery_stay_neighbors():
    known = points(10)
    model = detector(torch.cat([known, known[:1]]), local_scale=1)
    assert normality(model, known[:1]).abs().item() < 1e-2
    assert model.scale.isfinite().all()


def test_nearest_neighbor_gallery_has_first_windows_only():
    known = points(40)
    model = detector(known)
    assert model.count == 30
    seen = normality(model, known)
    assert (seen[:30] == 0).all()
    assert (seen[30:] < 0).all()


def test_nearest_neighbor_mirrored_gallery_ignores_side():
    def mirror(keypoints):
        out = keypoints[:, :, list(LAYOUTS['coco17'].flip_index)].clone()
        out[..., 0] = 24 - out[..., 0]
        return out

    known, query = points(10), points(5, 1)
    both = detector(torch.cat([known, mirror(known)]))
    assert torch.allclose(normality(both, query), normality(both, mirror(query)), atol=1e-4)
    one = detector(known)
    assert not torch.allclose(normality(one, query), normality(one, mirror(query)), atol=1e-2)


def test_nearest_neighbor_normality_is_averaged_over_clips():
    model, query = detector(points(10)), points(6, 1)
    assert torch.allclose(normality(model, query, clips=3),
                          normality(model, query).view(2, 3).mean(1))


def test_nearest_neighbor_frozen_backbone_survives_checkpoint(tmp_path):
    backbone = dict(type='MoFMBackbone', **GRID, embed_dims=16, depth=1, num_heads=2,
                    embed=dict(type='LinearCubeEmbed'), max_tokens=36, drop_rate=.5)
    fitted = detector(points(10), backbone=backbone, in_channels=16, local_scale=1)
    again = detector(backbone=backbone, in_channels=16, local_scale=1)
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(normality(fitted, points(5, 1)), normality(again, points(5, 1)))
    assert normality(again, points(10)).abs().max() < 1e-4  # collected without dropout


@pytest.mark.parametrize(('neighbors', 'windows', 'message'), [
    (31, None, 'neighbors: found 31, expected 1 to gallery_size=30'),
    (5, 3, 'windows: found 3 in training, expected at least neighbors=5')])
def test_nearest_neighbor_names_too_few_windows(neighbors, windows, message):
    with pytest.raises(ValueError, match=message):
        detector(windows and points(windows), neighbors=neighbors)


def test_nearest_neighbor_without_training_says_so():
    with pytest.raises(ValueError, match='gallery: found no window, expected those of a train'):
        normality(detector(), points(2))
