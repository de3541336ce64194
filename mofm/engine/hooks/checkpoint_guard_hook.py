"""Check of a checkpoint before it is loaded."""

from mmengine.hooks import Hook
from torch.distributed.fsdp import FullyShardedDataParallel

from mofm.engine.runner.access import get_model, loaded_from
from mofm.hub.checkpoint import check_state, get_state
from mofm.registry import HOOKS


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Comparison of a checkpoint with the model before ``load_from`` or ``resume`` load it.

    MMEngine loads the matching weights and only warns about others, so a test with the wrong
    checkpoint would report the accuracy of random weights.
    """

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Raise ValueError if the checkpoint does not fit the model."""
        source = str(loaded_from(runner) or f'{runner.work_dir}: the last checkpoint')
        if isinstance(runner.model, FullyShardedDataParallel):
            return  # shards have no shapes to compare; ShardedStrategy loads strictly
        check_state(get_model(runner), get_state(checkpoint), source)
