"""Pictures of browse_dataset.py."""
import importlib
import sys

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmengine.registry import DefaultScope
from PIL import Image

from mofm.structures import CubeGrid, ThermalCubes
from mofm.visualization.sample import draw_cubes, draw_sample
from tests.test_tools.tool_runner import ROOT

CONFIG = f"""
_base_ = {str(ROOT / 'configs/mofm/pretrain_tiny.py')!r}
data = dict(_delete_=True, type='SyntheticMotion', num_clips=2, num_frames=(16, 20),
            actions=('walk', 'wave'), metainfo=dict(classes=['walk', '../$^$ & co']))
train_dataloader = dict(dataset=dict(**data, pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(**data, pipeline=_base_.val_pipeline[:-2]
                                   + _base_.val_pipeline[-1:]))  # no mask
test_dataloader = None
"""
MASKED = (86, 180, 233)


@pytest.fixture
def browse(monkeypatch, tmp_path, capsys):
    """Run the tool in this process; the pictures that it lists, by name."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools/analysis'))
    config = tmp_path / 'config.py'
    config.write_text(CONFIG)

    def run(*arguments, config=config):
        out = tmp_path / 'out'
        monkeypatch.setattr(sys, 'argv', ['browse_dataset.py', str(config), '--out', str(out),
                                          *map(str, arguments)])
        with DefaultScope.overwrite_default_scope('mofm'):
            importlib.import_module('browse_dataset').main()
        listed = [line for line in capsys.readouterr().out.splitlines() if line.endswith('.png')]
        assert sorted(listed) == sorted(map(str, out.iterdir()))
        return {line.split('/')[-1]: np.asarray(Image.open(line)) for line in listed}

    return run


def has(picture, color):
    return (picture[..., :3] == color).all(-1).any()


def test_browse_dataset_pictures_follow_the_seed(browse):
    first, again, other = (
        browse('--seed', seed, '--clips', 'synthetic_walk_s0_000000') for seed in (0, 0, 1))
    assert len(first) == 2
    assert first.keys() == again.keys() == other.keys()
    for name, picture in first.items():
        assert has(picture, MASKED)
        assert (picture == again[name]).all()
        assert (picture != other[name]).any()


def test_browse_dataset_draws_all_clips(browse):
    pictures = browse('--phase', 'val')
    assert len(pictures) == 3
    assert 'contact_sheet.png' in pictures


def test_browse_dataset_draws_phase_and_single_clip(browse):
    pictures = browse('--phase', 'val', '--clips', 'synthetic_wave_s0_000001')
    assert pictures.keys() == {'1_synthetic_wave_s0_000001.png', 'contact_sheet.png'}
    assert not any(has(picture, MASKED) for picture in pictures.values())


def test_browse_dataset_names_bad_arguments(browse, tmp_path):
    for arguments, words in (
            (dict(config=tmp_path / 'none.py'), 'none.py: no such config'),
            (('--phase', 'test'), r"no test_dataloader, expected .* \['train', 'val'\]"),
            (('--clips', 'x'), "no clip 'x'"),
            (('--cfg-options', 'train_dataloader.dataset.type=MotionDataset',
              'train_dataloader.dataset._delete_=True',
              'train_dataloader.dataset.ann_file=none.pkl'), 'none.pkl: no such file')):
        with pytest.raises((SystemExit, ValueError), match=words):
            browse(**arguments) if isinstance(arguments, dict) else browse(*arguments)


@pytest.fixture
def sample():
    """One person whose joints are in known cubes of a canvas of 6 x 6 cubes, and two masks."""
    grid = CubeGrid(num_frames=4, canvas=24, patch=4)
    keypoints = np.zeros((1, 17, 4, 3), np.float32)
    keypoints[..., 2] = 1
    keypoints[..., :2] = 10  # row 2, column 2
    keypoints[0, 0, :, :2] = 18, 2  # row 0, column 4
    mask = np.zeros(36, bool)
    mask[[4, 14]] = True
    return grid, keypoints, mask


def test_draw_sample_frames_masked_cubes(sample):
    grid, keypoints, mask = sample
    union = ThermalCubes(torch.from_numpy(keypoints[None]), grid).union()[0].numpy()
    axis = Figure().subplots()
    draw_cubes(axis, union, grid, mask)
    frames = [p for p in axis.patches if isinstance(p, Rectangle)]
    assert [(p.get_x(), p.get_y(), p.get_width()) for p in frames] == [
        (15.5, -.5, 4), (7.5, 7.5, 4)]
    centers = [(int(p.get_y() + 2.5), int(p.get_x() + 2.5)) for p in frames]
    assert all(axis.images[0].get_array()[c] == 1 for c in centers)
    assert axis.get_title() == '2 of 36 cubes occupied\n2 masked (framed)'


def test_draw_sample_moments_of_clip_and_canvas_agree(sample):
    grid, keypoints, _ = sample
    clip = dict(keypoint=np.ones((1, 31, 17, 2)), keypoint_score=np.ones((1, 31, 17)))
    union = np.zeros((4, 24, 24), np.float32)
    figure = draw_sample(clip, keypoints, union, grid, title='a$^$')
    figure.canvas.draw()
    titles = [axis.get_title() for axis in figure.axes[:-1]]
    assert titles[::2] == ['frame 0', 'frame 10', 'frame 20', 'frame 30']
    assert titles[1::2] == ['frame 0', 'frame 1', 'frame 2', 'frame 3']
