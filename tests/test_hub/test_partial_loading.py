"""Partial loading: matched, resized, new and unused weights."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mofm.hub.checkpoint import load_state
from mofm.hub.partial_loading import load_partial, resize_positions
from mofm.registry import MODELS
from mofm.structures import CubeGrid

TINY = dict(type='MoFMBackbone', num_frames=8, canvas=36, embed_dims=8, depth=1, num_heads=2,
            max_tokens=96, embed=dict(type='LinearCubeEmbed'))


def make(seed=0, **changes):
    torch.manual_seed(seed)
    model = MODELS.build(dict(TINY, **changes))
    model.init_weights()
    return model


def save(path, model, prefix=''):
    torch.save(dict(state_dict={prefix + k: v for k, v in model.state_dict().items()}), path)
    return str(path)


def table(grid, values, rows, before=0):
    """(1, rows, D) with values (D, R, R) on the grid and 7 elsewhere."""
    out = torch.full((1, rows, len(values)), 7.)
    out[0, before:before + grid.num_cubes] = values.flatten(1).T
    return out


def test_partial_loading_of_same_grid_is_the_identity(tmp_path):
    source, model = make(0), make(1)
    report = load_partial(model, save(tmp_path / 'c.pth', source),
                          source_grid=dict(canvas=36, patch=4))
    assert all(torch.equal(v, source.state_dict()[k]) for k, v in model.state_dict().items())
    assert len(report.matched) == len(source.state_dict())
    assert not (report.resized)
    assert not (report.new)
    assert not (report.unused)
    assert not (report.notes)
    positions = source.pos_embed.detach()
    longer = resize_positions(positions, source.grid, torch.zeros(1, 200, 8), source.grid)
    assert torch.equal(longer[:, :81], positions[:, :81])
    assert not longer[:, 81:].any()


@pytest.mark.parametrize('canvas', [(36, 72), (72, 36), (72, 24), (40, 60)])
def test_resize_positions_equals_pillow(canvas):
    """A second implementation of bicubic interpolation with antialiasing."""
    source, target = (CubeGrid(8, c, 4) for c in canvas)
    values = torch.randn(3, source.rows, source.rows, generator=torch.manual_seed(0))
    resized = resize_positions(table(source, values, 384), source, torch.zeros(1, 384, 3), target)
    for channel, picture in enumerate(values):
        expected = np.array(Image.fromarray(picture.numpy()).resize(
            (target.rows, target.rows), Image.Resampling.BICUBIC))
        found = resized[0, :target.num_cubes, channel].view(target.rows, target.rows)
        assert np.abs(found.numpy() - expected).max() < 1e-5


@pytest.mark.parametrize(('canvas', 'patch'), [((72, 36), (4, 4)), ((36, 72), (4, 4)),
                                           ((72, 72), (4, 8))])
def test_resize_positions_keeps_linear_function(canvas, patch):
    """Position (x, y) in parts of the canvas has the same value on every grid, off the border."""
    def values(grid):
        center = (torch.arange(grid.rows) + 0.5) / grid.rows
        y, x = torch.meshgrid(center, center, indexing='ij')
        return torch.stack((x, y, 2 * x - 3 * y))

    source, target = (CubeGrid(8, c, p) for c, p in zip(canvas, patch, strict=True))
    resized = resize_positions(table(source, values(source), 384), source,
                               torch.zeros(1, 384, 3), target)
    found = resized[0, :target.num_cubes].T.view(3, target.rows, target.rows)
    inner = slice(target.rows // 4, -(target.rows // 4))
    assert torch.allclose(found[:, inner, inner], values(target)[:, inner, inner], atol=1e-5)


def test_resize_positions_keeps_class_token_and_rows_beyond_the_grid():
    source, target = CubeGrid(8, 72, 4), CubeGrid(8, 36, 4)
    old = table(source, torch.full((2, 18, 18), 5.), 400, before=1)
    old[:, 0] = 3.
    own = torch.full((1, 96, 2), -1.)
    for has_cls, expected in (((True, True), 3.), ((False, True), -1.)):
        start = old if has_cls[0] else old[:, 1:]
        resized = resize_positions(start, source, own, target, *has_cls)
        assert (resized[:, 0] == expected).all()
        assert torch.allclose(resized[:, 1:82], torch.tensor(5.))
        assert (resized[:, 82:] == -1).all()
    without = resize_positions(old, source, own, target, True, False)
    assert torch.allclose(without[:, :81], torch.tensor(5.))
    assert (without[:, 81:] == -1).all()


def test_partial_loading_resizes_positions_for_another_canvas(tmp_path):
    source, model = make(0, canvas=72, max_tokens=384, depth=2), make(1, with_cls=True)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    path = save(tmp_path / 'c.pth', source, 'backbone.')
    report = load_partial(model, path, 'backbone.', source_grid=dict(canvas=72, patch=4))
    assert list(report.resized) == ['pos_embed']
    assert list(report.new) == ['cls_token']
    assert report.new['cls_token'] == 'not in the source'
    assert report.unused == sorted(k for k in source.state_dict() if k.startswith('blocks.1.'))
    assert torch.equal(model.embed.weight, source.embed.weight)
    assert torch.equal(model.cls_token, before['cls_token'])
    assert torch.equal(model.pos_embed[:, 0], before['pos_embed'][:, 0])  # of the class token
    total = sum(v.numel() for v in before.values())
    assert report.share('resized') == 96 * 8 / total
    assert report.share('new') == 8 / total
    lines = str(report).splitlines()
    assert lines[0] == f'Weights from {path}, backbone.* into MoFMBackbone'
    assert lines[2].split() == ['matched', str(len(before) - 2), f'{report.share("matched"):.2%}']
    assert '  resized: pos_embed: 18x18 cubes to 9x9, table of 384 rows to 96' in lines


def test_partial_loading_of_another_cube_keeps_new_embedding(tmp_path):
    """8 frames of 4x4 and 32 frames of 2x2 have as many pixels, so the shapes agree."""
    source, model = make(0), make(1, num_frames=32, patch=2, canvas=18)
    assert source.embed.weight.shape == model.embed.weight.shape
    before = model.embed.weight.clone()
    path = save(tmp_path / 'c.pth', source)
    report = load_partial(model, path, source_grid=dict(num_frames=8, canvas=36, patch=4))
    assert report.new == dict.fromkeys(('embed.weight', 'embed.bias'),
                                       'cubes of 8 frames of 4x4 in the source, 32 frames of 2x2 '
                                       'here')
    assert torch.equal(model.embed.weight, before)
    assert torch.equal(model.pos_embed, source.pos_embed)  # 9x9 cubes both


def test_partial_loading_reports_unknown_grid(tmp_path):
    path = save(tmp_path / 'c.pth', make(0))
    report = load_partial(make(1), path)
    assert 'pos_embed' in report.matched
    assert 'source_grid=dict(' in report.notes[0]
    report = load_partial(make(1, canvas=72, max_tokens=384), path)
    assert report.new == dict(pos_embed='(1, 96, 8) in the source, whose grid is unknown; set '
                              'source_grid=dict(canvas=..., patch=...) to resize it')


def test_partial_loading_names_bad_arguments(tmp_path):
    path = save(tmp_path / 'c.pth', make(), 'backbone.')
    with pytest.raises(ValueError, match=r"prefix: found 'back\.', expected the start of a name "
                       r'in .*c\.pth, e\.g\. backbone\.$'):
        load_partial(make(), path, 'back.')
    with pytest.raises(ValueError, match='source_grid: found .* with 324 cubes, expected the grid '
                       r'of pos_embed \(1, 96, 8\)'):
        load_partial(make(), path, 'backbone.', dict(canvas=72, patch=4))
    model = make(1, embed_dims=16)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ValueError, match='nothing fits; check prefix and size'):
        load_partial(model, path, 'backbone.', dict(canvas=36, patch=4))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        load_partial(make(), tmp_path / 'none.pth')


def test_partial_loading_starts_fine_tuning_on_smaller_canvas(tmp_path):
    """By init_cfg: the training starts from the resized weights, and its log says so."""
    source = make(0, canvas=72, max_tokens=384)
    path = save(tmp_path / 'c.pth', source, 'backbone.')
    pipeline = [
        dict(type='UniformSampleFrames', clip_len=8, test_mode=True), dict(type='PoseCompact'),
        dict(type='ThermalCubeFormat', num_frames=8, canvas=36), dict(type='PackMotionInputs')]
    init = dict(type='Pretrained', checkpoint=path, prefix='backbone.', partial=True,
                source_grid=dict(canvas=72, patch=4))
    runner = Runner.from_cfg(Config(dict(
        default_scope='mofm', work_dir=str(tmp_path / 'work'), log_level='INFO',
        experiment_name='partial_loading',
        model=dict(
            type='MotionRecognizer', backbone=dict(TINY, init_cfg=init),
            cls_head=dict(type='ActionClsHead', num_classes=2, in_channels=8),
            data_preprocessor=dict(type='MotionDataPreprocessor', num_frames=8, canvas=36)),
        train_dataloader=dict(
            batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='mofm.motion_collate'),
            dataset=dict(type='SyntheticMotion', actions=('walk', 'wave'), num_clips=2,
                         num_frames=(8, 9), pipeline=pipeline)),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)))))
    runner.train()
    expected = resize_positions(source.pos_embed.detach(), source.grid,
                                runner.model.backbone.pos_embed.detach(), CubeGrid(8, 36, 4))
    trained = load_state(runner.work_dir + '/epoch_1.pth', 'backbone.')
    assert torch.equal(trained['pos_embed'], expected)
    assert torch.equal(trained['embed.weight'], source.embed.weight)
    log, = (tmp_path / 'work').glob('*/*.log')
    assert 'resized: pos_embed: 18x18 cubes to 9x9' in log.read_text()
