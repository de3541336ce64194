"""Stacking of samples."""

import copy

import torch
from mmaction.structures import ActionDataSample
from mmengine.dataset import pseudo_collate

from mofm.datasets import motion_collate
from mofm.models import MotionDataPreprocessor


def sample(persons, clips=()):
    keypoints = torch.rand(*clips, persons, 17, 8, 3)
    return dict(inputs=dict(keypoints=keypoints, mask=torch.rand(36) < 0.5),
                data_samples=ActionDataSample().set_gt_label(persons))


def test_collate_pads_with_missing_persons():
    samples = [sample(1), sample(3)]
    batch = motion_collate(samples)
    assert batch['inputs']['keypoints'].shape == (2, 3, 17, 8, 3)
    assert torch.equal(batch['inputs']['keypoints'][0, :1], samples[0]['inputs']['keypoints'])
    assert batch['inputs']['keypoints'][0, 1:].abs().sum() == 0
    assert batch['inputs']['mask'].shape == (2, 36)
    assert batch['labels'].tolist() == [1, 3]


def test_preprocessor_takes_lists_batches_and_clips():
    preprocess = MotionDataPreprocessor(num_frames=8, canvas=24)
    samples = [sample(2, (3,)), sample(1, (3,))]
    lists = preprocess(pseudo_collate(copy.deepcopy(samples)))
    ours = preprocess(motion_collate(samples))
    assert len(ours['inputs']) == 6  # 2 samples x 3 clips, one behind the other
    assert torch.equal(ours['inputs'].keypoints, lists['inputs'].keypoints)
    assert torch.equal(ours['inputs'].keypoints[1, :2], samples[0]['inputs']['keypoints'][1])
    assert [int(s.gt_label) for s in ours['data_samples']] == [2, 1]
