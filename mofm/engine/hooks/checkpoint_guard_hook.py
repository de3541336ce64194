"""Stop before a checkpoint of another model is loaded half."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch.distributed.fsdp import FullyShardedDataParallel

from mofm.hub.checkpoint import check_state
from mofm.registry import HOOKS


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Compare a checkpoint with the model, before ``load_from`` or ``resume`` use it.

    MMEngine loads what fits and only warns about the rest, so a test with the wrong checkpoint
    would silently report the accuracy of random weights.
    """

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Raise ValueError if the checkpoint is not of this model, or cannot be resumed."""
        source = str(runner._load_from or f'{runner.work_dir}: the last checkpoint')
        if runner._resume and not {'meta', 'message_hub'} <= checkpoint.keys():
            raise ValueError(f'{source}: found weights only, expected a checkpoint of a training '
                             'to go on from; to start from weights use --cfg-options load_from=')
        if isinstance(runner.model, FullyShardedDataParallel):
            return  # shards have no shapes to compare; ShardedStrategy refuses what does not fit
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state = checkpoint.get('state_dict', checkpoint)
        state = {k.removeprefix('module.'): v for k, v in state.items()}
        check_state(model, state, source)
