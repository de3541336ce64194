"""Fully sharded training (ZeRO, arXiv 1910.02054; FSDP, arXiv 2304.11277) by MMEngine's runner.

Every process keeps a part of the weights, gradients and states of the optimizer, and gathers the
weights of one transformer block at a time.
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
    """Unit of FSDP (``auto_wrap_policy``)."""
    return recurse or isinstance(module, TransformerBlock)


@STRATEGIES.register_module()  # a strategy is built before the default scope is set
class ShardedStrategy(FSDPStrategy):
    """MMEngine's FSDP with the checkpoints of a model that is not sharded.

    So ``init_cfg``, ``tools/test.py`` and ``tools/publish.py`` read them. It also runs on the CPU,
    moves a teacher that is hidden from ``nn.Module`` to the device, clips by the norm of the whole
    gradient, and refuses checkpoints that do not fit.

    Args:
        **kwargs: ``model_wrapper`` and others of ``FSDPStrategy``.

    Raises:
        ValueError: Without a launcher.
    """

    def __init__(self, **kwargs):
        super().__init__(state_dict_cfg='full', **kwargs)
        if not self.distributed:
            raise ValueError('strategy: found no launcher, expected processes to divide the model '
                             'among; start them with bash tools/dist_train.sh CONFIG GPUS')

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        device = get_device()
        if device == 'cpu':
            self.model_wrapper.setdefault('device_id', device)
            # copying to the device where they are frees them
            self.state_dict_config.offload_to_cpu = False
            self.optim_state_dict_config.offload_to_cpu = False
        return super()._wrap_model(model.to(device))

    def build_optim_wrapper(self, optim_wrapper: dict, model: nn.Module) -> BaseOptimWrapper:
        """Build the optimizer of the shards."""
        built = super().build_optim_wrapper(optim_wrapper, model)
        # the default would take the norm of the shards of one process
        built.clip_func = lambda params, **kwargs: model.clip_grad_norm_(**kwargs)
        return built

    def load_model_state_dict(self, state_dict: dict, **kwargs):
        """Load all tensors or none; MMEngine would only warn about what is missing."""
        super().load_model_state_dict(state_dict, strict=True)

    def load_optim_state_dict(self, state_dict: dict):
        """Load the state of the optimizer; MMEngine passes the arguments as torch 2.0 had them."""
        self.optim_wrapper.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(
            self.model, self.optim_wrapper.optimizer, state_dict))
