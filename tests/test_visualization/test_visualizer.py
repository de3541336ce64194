"""MotionVisualizer and its hook write to every backend."""
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mofm.visualization
from mofm.engine.hooks.visualization_hook import MotionVisualizationHook
from mofm.visualization import MotionVisualizer, draw_heat, figure_to_image

GEOMETRY = dict(num_frames=16, canvas=36, patch=4)


@pytest.fixture
def visualizer(tmp_path, request):
    return MotionVisualizer(
        name=request.node.name, save_dir=str(tmp_path),
        vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])


def local(folder):
    """Pixels written by LocalVisBackend, by name."""
    return {path.stem: np.asarray(Image.open(path).convert('RGB'))
            for path in folder.glob('**/vis_image/*.png')}


def board(folder):
    """Steps and pixels written to TensorBoard, by name."""
    from io import BytesIO
    events = EventAccumulator(str(next(folder.glob('**/events*')).parent))
    events.Reload()
    return {tag: [(image.step, np.asarray(Image.open(BytesIO(image.encoded_image_string))))
                  for image in events.Images(tag)] for tag in events.Tags()['images']}


def test_visualizer_gives_both_backends_the_pixels(visualizer, tmp_path):
    heat = np.random.default_rng(0).random((6, 8, 8))
    visualizer.add_heat('a/b', heat, num=3, step=5)
    visualizer.close()
    expected = figure_to_image(draw_heat(heat, num=3))
    assert expected.dtype == np.uint8
    assert expected.std() > 10
    np.testing.assert_array_equal(local(tmp_path)['a_b_5'], expected)
    (step, pixels), = board(tmp_path)['a_b']
    assert step == 5
    np.testing.assert_array_equal(pixels, expected)


def test_visualizer_has_a_method_per_figure():
    """Except what is not one figure of one clip, model or test."""
    others = {'draw_budget', 'draw_contact_sheet', 'draw_layouts', 'draw_poses', 'draw_skeleton'}
    for name in set(mofm.visualization.__all__) - others:
        if name.startswith('draw_'):
            method = getattr(MotionVisualizer, name.replace('draw', 'add'))
            assert method.__wrapped__ is getattr(mofm.visualization, name)


def test_visualizer_draws_what_a_data_sample_holds(visualizer, tmp_path):
    image = np.full((40, 3000, 3), 7, np.uint8)
    heat = torch.zeros(5, 8, 8)
    heat[:, 2, 2] = 1
    tokens = ActionDataSample(heat=heat, reconstruction=heat / 2, tokens=torch.arange(4),
                              occupied=torch.ones(4) > 0)
    scores = ActionDataSample().set_pred_score(torch.tensor([.2, .8])).set_gt_label(0)
    jigsaw = ActionDataSample(jigsaw=torch.eye(3), normality=torch.tensor(1.))
    visualizer.dataset_meta = dict(classes=['walk', 'run'])
    for name, sample in dict(tokens=tokens, scores=scores, jigsaw=jigsaw).items():
        visualizer.add_datasample(name, data_sample=sample)
        visualizer.add_datasample(f'{name}_below', image, sample, step=3)
    pixels = local(tmp_path)
    assert len(pixels) == 6
    for name in ('tokens', 'scores', 'jigsaw'):
        alone, below = pixels[f'{name}_0'], pixels[f'{name}_below_3']
        assert (below[:40] == 7).all()
        assert (below[40:, alone.shape[1]:] == 255).all()
        np.testing.assert_array_equal(below[40:, :alone.shape[1]], alone)
    visualizer.add_datasample('input', data_sample=tokens, draw_pred=False)
    np.testing.assert_array_equal(local(tmp_path)['input_0'],
                                  figure_to_image(draw_heat(heat.numpy())))
    visualizer.add_datasample('no truth', data_sample=scores, draw_gt=False)
    assert (local(tmp_path)['no truth_0'] != pixels['scores_0']).any()
    with pytest.raises(ValueError, match='nothing: found .*normality.* and no image'):
        visualizer.add_datasample(
            'nothing', data_sample=ActionDataSample(normality=torch.tensor(1.)))


def test_visualizer_opens_windows_instead_of_saving(visualizer, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(visualizer, 'show', lambda image, **kwargs: shown.append(kwargs))
    visualizer.add_datasample('a', np.zeros((4, 4, 3), np.uint8), show=True, wait_time=2)
    assert shown == [dict(win_name='a', wait_time=2)]
    assert not local(tmp_path)


def config(work_dir, **kwargs):
    """Three epochs of a recognizer, with a validation after each."""
    pipeline = [dict(type='UniformSampleFrames', clip_len=16, test_mode=True),
                dict(type='PoseCompact', padding=.25),
                dict(type='ThermalCubeFormat', **GEOMETRY), dict(type='PackMotionInputs')]
    loader = dict(batch_size=1, num_workers=0, collate_fn=dict(type='mofm.motion_collate'),
                  sampler=dict(type='DefaultSampler', shuffle=False),
                  dataset=dict(type='SyntheticMotion', num_clips=3, num_frames=(16, 18),
                               actions=('walk', 'wave'), pipeline=pipeline))
    return Config(dict(
        default_scope='mofm', work_dir=str(work_dir), experiment_name=work_dir.name,
        custom_imports=dict(imports=['mofm.engine']), log_level='WARNING',
        model=dict(
            type='MotionRecognizer',
            backbone=dict(type='MoFMBackbone', **GEOMETRY, embed_dims=32, depth=1, num_heads=2,
                          max_tokens=96, tokens='occupied', embed=dict(type='LinearCubeEmbed')),
            cls_head=dict(type='ActionClsHead', num_classes=2, in_channels=32),
            data_preprocessor=dict(type='MotionDataPreprocessor', **GEOMETRY)),
        train_dataloader=loader, val_dataloader=loader, test_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1), val_cfg=dict(),
        test_cfg=dict(), optim_wrapper=dict(optimizer=dict(type='SGD', lr=.01)),
        val_evaluator=dict(type='mmaction.AccMetric'),
        test_evaluator=dict(type='mmaction.AccMetric'), **kwargs))


def test_visualization_hook_shows_the_first_samples(tmp_path):
    runner = Runner.from_cfg(config(
        tmp_path, custom_hooks=[dict(type='MotionVisualizationHook', num_samples=2, interval=2)],
        visualizer=dict(type='MotionVisualizer', vis_backends=[
            dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])))
    runner.train()
    runner.test()
    runner.visualizer.close()
    pixels = local(tmp_path)
    # three clips an epoch; the second validation is left out
    assert pixels.keys() == {*(f'val_{i}_{step}' for i in range(2) for step in (3, 9)),
                             *(f'test_{i}_9' for i in range(2))}
    np.testing.assert_array_equal(pixels['val_1_9'], pixels['test_1_9'])  # same model and data
    assert pixels['val_1_3'].shape == pixels['val_1_9'].shape
    assert (pixels['val_1_3'] != pixels['val_1_9']).any()  # the scores have changed
    images = board(tmp_path)
    assert [step for step, _ in images['val_1']] == [3, 9]
    np.testing.assert_array_equal(images['val_1'][1][1], pixels['val_1_9'])


def test_visualization_hook_needs_its_visualizer(tmp_path):
    runner = Runner.from_cfg(config(
        tmp_path, custom_hooks=[dict(type='MotionVisualizationHook')]))
    with pytest.raises(TypeError, match="found Visualizer, expected visualizer=dict\\(type='Mo"):
        runner.test()
    with pytest.raises(ValueError, match='interval: found 0'):
        MotionVisualizationHook(interval=0)


def test_visualizer_takes_any_figure(visualizer, tmp_path):
    figure = Figure(figsize=(2, 1))
    visualizer.add_figure('blank', figure, step=1)
    assert local(tmp_path)['blank_1'].shape == (80, 160, 3)
