"""The atlas against counting by hand."""
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mofm.datasets import SyntheticMotion
from mofm.models import MotionDataPreprocessor
from mofm.models.tokenizers import DVEDTokenizer
from mofm.registry import TRANSFORMS
from mofm.structures import LAYOUTS
from mofm.visualization import collect_atlas, draw_atlas

GEOMETRY = dict(num_frames=8, canvas=20, patch=4)


@pytest.fixture(scope='module')
def tokenizer():
    torch.manual_seed(0)
    tokenizer = DVEDTokenizer(
        **GEOMETRY, vocab_size=6, code_dim=8, hidden=8, num_blocks=1, temporal_strides=(4, 2),
        data_preprocessor=dict(type='MotionDataPreprocessor', **GEOMETRY)).eval()
    for parameter in tokenizer.encoder.parameters():  # so that many tokens are used
        torch.nn.init.normal_(parameter)
    return tokenizer


@pytest.fixture(scope='module')
def loader():
    pipeline = [dict(type='UniformSampleFrames', clip_len=8, test_mode=True),
                dict(type='PoseCompact', padding=.25),
                dict(type='ThermalCubeFormat', **GEOMETRY), dict(type='PackMotionInputs')]
    dataset = SyntheticMotion(num_clips=9, pipeline=[TRANSFORMS.build(t) for t in pipeline])
    return DataLoader(dataset, 4, collate_fn=pseudo_collate)


def by_hand(tokenizer, loader):
    """Token -> decoded patches, heat and place (clip, cube) of every cube with it."""
    found, start, grid = {}, 0, tokenizer.grid
    for batch in loader:
        inputs = MotionDataPreprocessor(**GEOMETRY)(batch)['inputs']
        ids = tokenizer.encode(inputs)
        decoded, heat = tokenizer.decode(ids), inputs.union()
        for clip in range(len(ids)):
            for cube in range(grid.num_cubes):
                row, col = cube // 5 * 4, cube % 5 * 4
                part = heat[clip, :, row:row + 4, col:col + 4]
                if part.max() >= .49:
                    found.setdefault(int(ids[clip, cube]), []).append(
                        (decoded[clip, :, row:row + 4, col:col + 4].detach().numpy(),
                         part.numpy(), start + clip, cube))
        start += len(ids)
    return found


def test_atlas_entries_have_share_mean_and_nearest_patch(tokenizer, loader, tmp_path):
    entries, share = collect_atlas(tokenizer, loader, num_tokens=3)
    found = by_hand(tokenizer, loader)
    total = sum(map(len, found.values()))
    np.testing.assert_allclose(share, [len(found.get(v, [])) / total for v in range(6)])
    assert [e.token for e in entries] == sorted(found, key=lambda v: (-len(found[v]), v))[:3]
    clips = [sample['inputs']['keypoints'].numpy() for sample in loader.dataset]
    for entry in entries:
        cubes = found[entry.token]
        mean = np.mean([decoded for decoded, *_ in cubes], axis=0)
        np.testing.assert_allclose(entry.patch, mean, atol=1e-5)
        best = {}
        for _, heat, clip, cube in cubes:
            distance = float(np.sqrt(np.square(heat - mean).mean()))
            best[clip] = min(best.get(clip, (9,)), (distance, cube, clip))
        expected = sorted(best.values())[:3]
        for (distance, cube, keypoints), (d, k, clip) in zip(entry.examples, expected,
                                                             strict=True):
            assert distance == pytest.approx(d, abs=1e-5)
            assert cube == k
            np.testing.assert_array_equal(keypoints, clips[clip])
    draw_atlas(entries, tokenizer.grid).savefig(tmp_path / 'a.png')


def test_atlas_figure_marks_the_cube(tokenizer, loader):
    entries, _ = collect_atlas(tokenizer, loader, num_tokens=2)
    figure = draw_atlas(entries, tokenizer.grid)
    assert len(figure.axes) == 2 * (6 + 3)
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), entries[0].patch[1])
    assert f'token {entries[0].token}' in figure.axes[0].get_ylabel()
    axis, (_, cube, keypoints) = figure.axes[6], entries[0].examples[0]
    mark, = axis.patches
    assert mark.get_xy() == (cube % 5 * 4 - .5, cube // 5 * 4 - .5)
    assert mark.get_width() == 4
    joint, frame = axis.get_xlabel().rsplit(', frame ', 1)
    j = LAYOUTS['coco17'].joints.index(joint.replace(' ', '_'))
    center = np.array(mark.get_xy()) + 2
    x, y, score = keypoints[0, j, int(frame)]
    assert score > 0
    assert np.abs([x, y] - center).max() == pytest.approx(
        np.abs(keypoints[..., :2] - center).max(-1)[keypoints[..., 2] > 0].min(), abs=1e-5)


def test_atlas_of_clips_without_heat_is_refused(tokenizer):
    nothing = torch.zeros(1, 17, 8, 3)
    batch = dict(inputs=dict(keypoints=[nothing]), data_samples=[None])
    with pytest.raises(ValueError, match='no cube with a heat of 0.49'):
        collect_atlas(tokenizer, [batch])
