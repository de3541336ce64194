"""Check of a checkpoint before it is loaded, and of the space for those of the training."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mofm.engine.runner.access import get_model, loaded_from
from mofm.hub.checkpoint import check_state, get_state
from mofm.registry import HOOKS
from mofm.utils.files import check_space


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Comparison of a checkpoint with the model before ``load_from`` or ``resume`` load it.

    MMEngine loads the matching weights and only warns about others, so a test with the wrong
    checkpoint would report the accuracy of random weights.
    """

    def before_train(self, runner):
        """Raise OSError if the disk has no space for weights and two statistics of each."""
        if is_main_process():
            check_space(runner.work_dir, 3 * sum(
                p.numel() * p.element_size() for p in runner.model.parameters()))

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Raise ValueError if the checkpoint does not fit the model."""
        source = str(loaded_from(runner) or f'{runner.work_dir}: the last checkpoint')
        check_state(get_model(runner), get_state(checkpoint), source)
