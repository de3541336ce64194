"""Fully sharded training (ZeRO, arXiv 1910.02054; FSDP, arXiv 2304.11277) by MMEngine's runner.

Every process keeps a shard of weights, gradients and optimizer states, and gathers the weights of
one transformer block at a time.
"""

from mmengine._strategy import FSDPStrategy  # noqa: PLC2701  MMEngine has no other name for it
from mmengine.device import get_device
from mmengine.optim import BaseOptimWrapper
from mmengine.registry import FUNCTIONS, STRATEGIES
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mofm.models.layers.transformer_block import TransformerBlock


@FUNCTIONS.register_module()
def is_transformer_block(module: nn.Module, recurse: bool = False, **kwargs) -> bool:
    """Wrap transformer blocks as units of FSDP (``auto_wrap_policy``)."""
    return recurse or isinstance(module, TransformerBlock)


@STRATEGIES.register_module()  # a strategy is built before the default scope is set
class ShardedStrategy(FSDPStrategy):
    """MMEngine's FSDP with unsharded checkpoints.

    ``init_cfg``, ``tools/test.py`` and ``tools/publish.py`` can read them. The strategy also runs
    on the CPU, moves a teacher that is hidden from ``nn.Module`` to the device, clips by the norm
    of the whole gradient, and refuses checkpoints that do not fit.

    Args:
        **kwargs: Arguments of ``FSDPStrategy``, e.g. ``model_wrapper``.

    Raises:
        ValueError: If there is no launcher.
    """

    def __init__(self, **kwargs):
        super().__init__(state_dict_cfg='full', **kwargs)
        if not self.distributed:
            raise ValueError('strategy: found no launcher, expected several processes; start them '
                             'with bash tools/dist_train.sh CONFIG GPUS')

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        device = get_device()
        if device == 'cpu':
            self.model_wrapper.setdefault('device_id', device)
            # offloading to the device where they are would free them
            self.state_dict_config.offload_to_cpu = False
            self.optim_state_dict_config.offload_to_cpu = False
        return super()._wrap_model(model.to(device))

    def build_optim_wrapper(self, optim_wrapper: dict, model: nn.Module) -> BaseOptimWrapper:
        """Build the optimizer wrapper of the shards."""
        built = super().build_optim_wrapper(optim_wrapper, model)
        # the default clips by the norm of the shards of one process
        built.clip_func = lambda params, **kwargs: model.clip_grad_norm_(**kwargs)
        return built

    def load_model_state_dict(self, state_dict: dict, **kwargs):
        """Load all tensors or none; MMEngine only warns about missing ones."""
        super().load_model_state_dict(state_dict, strict=True)

    def load_optim_state_dict(self, state_dict: dict):
        """Load the state of the optimizer; MMEngine uses the arguments of torch 2.0."""
        self.optim_wrapper.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(
            self.model, self.optim_wrapper.optimizer, state_dict))
