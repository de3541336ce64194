"""Pictures of a few samples during training."""

from mmengine.dist import master_only
from mmengine.hooks import Hook

from mofm.registry import HOOKS


@HOOKS.register_module()
class MotionVisualizationHook(Hook):
    """Pictures of the first samples of validations and tests, by a :class:`MotionVisualizer`.

    Also set ``visualizer=dict(type='MotionVisualizer', vis_backends=...)`` in the config. The
    backends get one picture per sample: its keypoints on the canvas, and the prediction.

    Args:
        num_samples (int): Number of samples. Defaults to 4.
        interval (int): Validations between pictures; tests always have them. Defaults to 1.

    Raises:
        ValueError: If an argument is not positive.
        TypeError: At the start of a run with another visualizer.
    """

    priority = 'NORMAL'

    def __init__(self, num_samples: int = 4, interval: int = 1):
        for name, value in (('num_samples', num_samples), ('interval', interval)):
            if value < 1:
                raise ValueError(f'{name}: found {value}, expected at least 1')
        self.num_samples = num_samples
        self.interval = interval
        self._validations = 0
        self._shown = 0

    def state_dict(self) -> dict:
        """Return the number of validations."""
        return dict(validations=self._validations)

    def load_state_dict(self, state: dict):
        """Restore the number of validations."""
        self._validations = state['validations']

    def before_run(self, runner):
        """Check the visualizer."""
        from mofm.visualization import MotionVisualizer  # heavy
        if not isinstance(runner.visualizer, MotionVisualizer):
            raise TypeError(f'visualizer: found {type(runner.visualizer).__name__}, expected '
                            "visualizer=dict(type='MotionVisualizer', ...) in the config")

    def before_val_epoch(self, runner):
        """Reset the counter, unless this validation is skipped."""
        skipped = self._validations % self.interval
        self._shown = self.num_samples if skipped else 0
        self._validations += 1

    def before_test_epoch(self, runner):
        """Reset the counter."""
        self._shown = 0

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None):
        """Show samples of the batch."""
        self._show(runner, 'val', data_batch, outputs)

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None):
        """Show samples of the batch."""
        self._show(runner, 'test', data_batch, outputs)

    @master_only
    def _show(self, runner, mode, data_batch, outputs):
        from mofm.visualization import draw_pose_clip, figure_to_image
        remaining = self.num_samples - self._shown
        for keypoints, sample in zip(data_batch['inputs']['keypoints'], outputs[:remaining],
                                     strict=False):
            keypoints = keypoints.view(-1, *keypoints.shape[-4:])[0]  # the first of the clips
            keypoints = keypoints.transpose(1, 2).cpu().numpy()  # (M, F, J, 3)
            figure = draw_pose_clip(keypoints[..., :2], keypoints[..., 2])
            figure.suptitle(sample.get('frame_dir', ''), fontsize=10)
            runner.visualizer.add_datasample(f'{mode}_{self._shown}', figure_to_image(figure),
                                             sample, step=runner.iter)
            self._shown += 1
