"""Thermal cubes against mmaction2 and the formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mofm.structures import CubeGrid, RenderedCubes, ThermalCubes


def random_clip(persons=1, seed=0, frames=6, size=72):
    """(M, T, V, 2) and (M, T, V): points inside and outside the canvas, one in five missing."""
    rng = np.random.default_rng(seed)
    keypoint = rng.uniform(-6, size + 6, (persons, frames, 17, 2)).astype(np.float32)
    score = rng.uniform(0.05, 1, keypoint.shape[:-1]).astype(np.float32)
    score[rng.random(score.shape) < 0.2] = 0
    return keypoint, score


def pack(keypoint, score):
    """(M, T, V, 2), (M, T, V) to (1, M, J, F, 3)."""
    points = np.concatenate([keypoint, score[..., None]], -1).transpose(0, 2, 1, 3)
    return torch.from_numpy(points)[None]


@pytest.mark.parametrize('persons', [1, 2])
@pytest.mark.parametrize('use_score', [True, False])
@pytest.mark.parametrize('sigma', [0.6, 1.5])
def test_thermal_cubes_volume_equals_mmaction2(persons, use_score, sigma):
    from mmaction.datasets.transforms import GeneratePoseTarget
    keypoint, score = random_clip(persons)
    # mmaction2 without scores draws missing joints at full heat; here they stay missing
    reference_score = score if use_score else (score > 0).astype(np.float32)
    reference = GeneratePoseTarget(sigma=sigma, use_score=True).transform(
        dict(keypoint=keypoint.copy(), keypoint_score=reference_score, img_shape=(72, 72)))
    volume = ThermalCubes(pack(keypoint, score), CubeGrid(6), sigma, use_score).volume()
    reference = torch.from_numpy(np.asarray(reference['imgs'])).transpose(0, 1)
    assert reference.max() > 0.5
    torch.testing.assert_close(volume[0], reference, rtol=0, atol=1e-5)


def test_thermal_cubes_heat_equals_gaussian():
    points = torch.tensor([10.3, 20.8, 1.0]).view(1, 1, 1, 1, 3)
    volume = ThermalCubes(points, CubeGrid(1), sigma=0.6).volume()[0, 0, 0]
    for y, x in ((21, 10), (20, 11), (22, 9)):
        expected = np.exp(-((x - 10.3)**2 + (y - 20.8)**2) / (2 * 0.36))
        assert volume[y, x].item() == pytest.approx(expected, abs=1e-6)
    assert (volume > 0).sum() <= 25


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), persons=st.integers(1, 3),
       patch=st.sampled_from([2, 4, 6]), sigma=st.sampled_from([0.4, 0.6, 1.1]))
def test_thermal_cubes_sparse_views_equal_dense_volume(seed, persons, patch, sigma):
    """Union, occupancy and cubes are what the volume says they are."""
    grid = CubeGrid(3, 24, patch)
    clips = torch.cat([pack(*random_clip(persons, seed + i, 3, 24)) for i in range(2)])
    cubes = ThermalCubes(clips, grid, sigma)
    dense = RenderedCubes(cubes.volume(), grid)
    assert torch.equal(cubes.union(), dense.union())
    assert torch.equal(cubes.occupied(), dense.occupied())
    assert torch.equal(cubes.cubes(), dense.cubes())
    assert torch.equal(cubes.traces(), dense.traces())
    select = torch.rand(2, grid.num_cubes, generator=torch.manual_seed(seed)) < 0.4
    assert torch.equal(cubes.cubes(select), dense.cubes(select))
    assert torch.equal(grid.merge(grid.split(cubes.volume())), cubes.volume())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), segments=st.sampled_from([1, 2, 3]))
def test_thermal_cubes_cut_equals_parts_of_the_volume(seed, segments):
    cubes = ThermalCubes(torch.cat([pack(*random_clip(2, seed + i, 6, 24)) for i in range(2)]),
                         CubeGrid(6, 24), 1.1, use_score=True)
    parts = cubes.volume().unflatten(2, (segments, -1)).transpose(1, 2).flatten(0, 1)
    for cut in (cubes.cut(segments), RenderedCubes(cubes.volume(), cubes.grid).cut(segments)):
        assert torch.equal(cut.volume(), parts)
        assert cut.grid == CubeGrid(6 // segments, 24)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.sampled_from([1, 2, 3, 6]),
       segments=st.sampled_from([1, 2, 3]))
def test_thermal_cubes_shares_equal_the_heat_of_each_joint_in_each_cube(seed, parts, segments):
    clips = torch.cat([pack(*random_clip(2, seed + i, 6, 24)) for i in range(2)])
    clips[0, :, 3, :, 2] = 0
    cubes = ThermalCubes(clips, CubeGrid(6, 24))
    dense = RenderedCubes(cubes.volume(), cubes.grid).shares(parts, segments)
    shares = cubes.shares(parts, segments)
    torch.testing.assert_close(shares, dense)
    assert not shares[0, 3].any()
    # a joint and part by hand: the frames of the part that are in the segment
    volume, frames = cubes.volume(), torch.arange(6)
    chosen = (frames * parts // 6 == parts - 1) & (frames * segments // 6 == segments - 1)
    heat = cubes.grid.split(volume[:, 5, chosen]).sum((2, 3, 4))
    total = volume[:, 5, frames * parts // 6 == parts - 1].sum((1, 2, 3))
    torch.testing.assert_close(shares[:, 5, -1, -36:], heat / total.clamp(min=1e-12)[:, None])


def test_cube_grid_order_is_row_major():
    """Cube k covers row k // 18 and column k % 18; index() and split() agree."""
    grid = CubeGrid(1)
    volume = torch.zeros(1, 1, 1, 72, 72)
    volume[0, 0, 0, 13, 50] = 1
    cube = 13 // 4 * 18 + 50 // 4
    assert grid.split(volume)[0].flatten(1).amax(1).argmax() == cube
    assert grid.index(np.array([50.0]), np.array([13.9])) == [cube]
    assert grid.index(torch.tensor([50.0]), torch.tensor([13.9])) == cube


def test_cube_grid_index_outside_is_minus_one():
    grid, nan = CubeGrid(), np.nan
    x, y = np.array([-0.1, 72, 3, nan]), np.array([3, 3, -5, 3])
    assert (grid.index(x, y) == -1).all()
    assert (grid.index(torch.tensor(x), torch.tensor(y)) == -1).all()


def test_thermal_cubes_of_missing_joints_are_empty():
    points = torch.full((1, 1, 17, 2, 3), 5.)
    points[0, 0, :, 0, 2] = 0
    points[0, 0, :, 1, 0] = torch.nan
    cubes = ThermalCubes(points, CubeGrid(2))
    assert cubes.volume().sum() == 0
    assert not cubes.occupied().any()
    assert cubes.cubes().shape == (0, 17, 2, 4, 4)


def test_thermal_cubes_of_huge_coordinates_are_empty():
    points = torch.tensor([1e30, -1e30, 1.]).expand(1, 1, 17, 2, 3)
    assert ThermalCubes(points, CubeGrid(2)).volume().sum() == 0


def test_thermal_cubes_name_bad_shapes_and_sizes():
    with pytest.raises(ValueError, match=r"patch: found '\$\{grid.patch\}', expected a number"):
        CubeGrid(16, 36, '${grid.patch}')
    with pytest.raises(ValueError, match='canvas: found 70, expected a positive multiple'):
        CubeGrid(48, 70, 4)
    with pytest.raises(ValueError, match='found 47 frames, expected 48'):
        ThermalCubes(torch.zeros(1, 1, 17, 47, 3), CubeGrid())
    with pytest.raises(ValueError, match=r'expected \(B, M, J, F, 3\)'):
        ThermalCubes(torch.zeros(1, 17, 48, 3), CubeGrid())
    with pytest.raises(ValueError, match='sigma: found 0'):
        ThermalCubes(torch.zeros(1, 1, 17, 48, 3), CubeGrid(), sigma=0)


def test_thermal_cubes_windows_larger_than_the_canvas_equal_gaussian():
    """Windows of 3 sigma are cut to the canvas, also of a joint beside it."""
    points = torch.tensor([[5., 2, 1], [-3, 9, 1]])[None, None, :, None]  # (1, 1, 2, 1, 3)
    volume = ThermalCubes(points, CubeGrid(1, 8), sigma=4).volume()[0, :, 0]
    y, x = np.mgrid[:8, :8]
    for heat, (a, b) in zip(volume, ((5, 2), (-3, 9)), strict=True):
        expected = np.exp(-((x - a)**2 + (y - b)**2) / 32)
        np.testing.assert_allclose(heat, expected, atol=1e-6)


def test_cube_grid_of_too_many_pixels_names_the_limit(monkeypatch):
    with pytest.raises(ValueError, match='canvas: found .*2560000 pixels in 16 frames.*, expected '
                       'at most 2097152; MOFM_LIMITS=pixels=2560000 allows it'):
        CubeGrid(16, 400)
    monkeypatch.setenv('MOFM_LIMITS', 'pixels=2560000')
    assert CubeGrid(16, 400).num_cubes == 10_000
