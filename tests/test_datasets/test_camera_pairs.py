"""Clips of one recording in two cameras."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mofm.annotations import dump_annotations
from mofm.datasets import CameraPairDataset
from mofm.registry import DATASETS, TRANSFORMS
from tests.test_annotations.samples import clip

GRID = dict(num_frames=8, canvas=24)


@pytest.fixture(params=['.pkl', '.arrow'])
def ann_file(tmp_path, request):
    """A recording in three cameras, one in two, not in a row, and one without a camera."""
    names = ['b_v0', 'a_v1', 'a_v0', 'alone', 'b_v10', 'a_v2']
    path = tmp_path / f'set{request.param}'
    clips = [clip(1, 9, label=0, name=name) for name in names]
    for number, ann in enumerate(clips):
        ann['keypoint'] = ann['keypoint'] + number
    dump_annotations(dict(split=dict(train=names), annotations=clips), path)
    return str(path)


def test_pairs_are_all_cameras_of_a_recording(ann_file):
    dataset = CameraPairDataset(ann_file, split='train', repeat=2)
    np.random.seed(0)
    pairs = {name: set() for name in ('a', 'b', 'alone')}
    for index in range(len(dataset)):
        for _ in range(40):
            sample = dataset[index]
            first, second = sample['frame_dir'], sample['other']['frame_dir']
            recording, _, _ = first.partition('_v')
            assert second.partition('_v')[0] == recording
            pairs[recording].add((first, second))
    assert [len(pairs[name]) for name in ('a', 'b', 'alone')] == [9, 4, 1]


def test_two_views_of_a_pair_are_of_two_cameras(ann_file):
    """The second view is the other clip; the mask is that of the first."""
    init_default_scope('mofm')
    grid = [dict(type='UniformSampleFrames', clip_len=8, test_mode=True),
            dict(type='ThermalCubeFormat', **GRID)]
    dataset = DATASETS.build(dict(type='CameraPairDataset', ann_file=ann_file, pipeline=[
        dict(type='TwoViews',
             query=[*grid, dict(type='KeypointMaskGenerator', min_masked=1, max_masked=2,
                                **GRID)], key=grid)]))
    alone = [dataset.get_data_info(i)['frame_dir'] for i in range(6)].index('alone')
    out = dataset[alone]
    assert out['keypoints'].shape == (2, 1, 17, 8, 3)
    np.testing.assert_array_equal(*out['keypoints'])
    assert out['mask'].shape == (36, )
    assert out['num_clips'] == 2
    views = dict(dataset.get_data_info(0), other=dataset.get_data_info(1))
    pair = TRANSFORMS.build(dict(type='TwoViews', query=grid, key=grid))(views)['keypoints']
    for view, index in zip(pair, (0, 1), strict=True):
        single = TRANSFORMS.build(dict(type='TwoViews', query=grid, key=grid))(
            dict(dataset.get_data_info(index), other=dataset.get_data_info(index)))
        np.testing.assert_array_equal(view, single['keypoints'][0])
    assert (pair[0] != pair[1]).any()
