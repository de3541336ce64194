"""Fully sharded training (ZeRO, arXiv 1910.02054; FSDP, arXiv 2304.11277) by MMEngine's runner.

Every process keeps a shard of weights, gradients and optimizer states, and gathers the weights of
one transformer block at a time.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from mmengine._strategy import FSDPStrategy  # noqa: PLC2701  MMEngine has no other name for it
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.optim import BaseOptimWrapper
from mmengine.registry import STRATEGIES
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import clip_grad_norm_

from mofm.hub.checkpoint import REST, get_state, is_sharded
from mofm.hub.sharded import read_sharded
from mofm.models.layers.transformer_block import TransformerBlock


@STRATEGIES.register_module()  # a strategy is built before the default scope is set
class ShardedStrategy(FSDPStrategy):
    """Fully sharded training by PyTorch's ``fully_shard`` (FSDP2), block by block.

    Checkpoints are files of an unsharded model, or folders of ``torch.distributed.checkpoint``.
    Both resume on any number of processes.

    Args:
        reshard_after_forward (bool): Free the gathered weights of a block between forward and
            backward pass (ZeRO-3); False needs less communication and more memory (ZeRO-2).
            Defaults to True.
        sharded_checkpoints (bool): Let each process write its shards, see
            :mod:`mofm.hub.sharded`. Defaults to False: the main process gathers all.
        **kwargs: Arguments of ``DDPStrategy``.

    Raises:
        ValueError: If there is no launcher.
    """

    def __init__(self, reshard_after_forward: bool = True, sharded_checkpoints: bool = False,
                 **kwargs):
        super().__init__(state_dict_cfg='full', **kwargs)  # as written by the main process
        if not self.distributed:
            raise ValueError('strategy: found no launcher, expected several processes; start them '
                             'with bash tools/dist_train.sh CONFIG GPUS')
        self.reshard_after_forward = reshard_after_forward
        self.sharded_checkpoints = sharded_checkpoints

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        model = model.to(get_device())  # also a teacher that is hidden from nn.Module
        mesh = init_device_mesh(get_device(), (self.world_size, ))
        for block in model.modules():
            if isinstance(block, TransformerBlock):
                fully_shard(block, mesh=mesh, reshard_after_forward=self.reshard_after_forward)
        return fully_shard(model, mesh=mesh)

    def build_optim_wrapper(self, optim_wrapper: dict, model: nn.Module) -> BaseOptimWrapper:
        """Build the optimizer wrapper of the shards."""
        built = super(FSDPStrategy, self).build_optim_wrapper(optim_wrapper, model)
        # the norm is that of the whole gradient
        built.clip_func = lambda params, **kwargs: clip_grad_norm_(params, **kwargs).full_tensor()
        return built

    def model_state_dict(self) -> dict:
        """Return the tensors of the model by name, in the form of checkpoints."""
        state = self.model.state_dict()
        return state if self.sharded_checkpoints else _gather(state)

    def optim_state_dict(self) -> dict:
        """Return the state of the optimizer, in the form of checkpoints."""
        state = self.optim_wrapper.state_dict()
        return state if self.sharded_checkpoints else _gather(state)

    def save_checkpoint(self, filename: str, *, callback: Callable | None = None, **kwargs):
        """Save a checkpoint, in all processes."""
        if not self.sharded_checkpoints:
            super().save_checkpoint(filename, callback=callback, **kwargs)
            return
        unfinished = Path(f'{filename}.unfinished')
        if is_main_process():
            shutil.rmtree(unfinished, ignore_errors=True)
        barrier()

        def save_tensors(checkpoint: dict):
            if callback is not None:
                callback(checkpoint)
            tensors = {f'state_dict.{name}': tensor
                       for name, tensor in checkpoint.pop('state_dict').items()}
            states = checkpoint.get('optimizer', {}).pop('state', {})
            tensors.update((f'optimizer.{index}.{name}', tensor)
                           for index, state in states.items() for name, tensor in state.items())
            dcp.save(tensors, checkpoint_id=unfinished)

        super().save_checkpoint(str(unfinished / REST), callback=save_tensors, **kwargs)
        if is_main_process():
            shutil.rmtree(filename, ignore_errors=True)
            unfinished.rename(filename)
        barrier()

    def load_checkpoint(self, filename: str, *, callback: Callable | None = None,
                        **kwargs) -> dict:
        """Load the model of a checkpoint; return everything else."""
        if not is_sharded(filename):
            return super().load_checkpoint(filename, callback=callback, **kwargs)
        self.logger.info(f'Load checkpoint from {filename}')
        checkpoint = read_sharded(filename, self._allocate)
        if callback is not None:
            callback(checkpoint)
        self.load_model_state_dict(checkpoint.pop('state_dict'))
        return checkpoint

    def _allocate(self, checkpoint: dict, name: str, empty: Tensor) -> Tensor:
        """Return a tensor like a parameter, or like the state of one, that is sharded as it."""
        part, _, name = name.partition('.')
        if part == 'optimizer':
            names = (checkpoint.get('resume') or {}).get('parameters') or []
            index = int(name.partition('.')[0])
            name = names[index] if index < len(names) else ''
        like = dict(self.model.named_parameters()).get(name)
        if like is None or like.shape != empty.shape:
            return empty
        return torch.empty_like(like, dtype=empty.dtype, requires_grad=False)

    def load_model_state_dict(self, state_dict: dict, **kwargs):
        """Load all tensors or none; MMEngine only warns about missing ones."""
        likes = self.model.state_dict()
        self.model.load_state_dict({name: _shard(tensor, likes.get(name)) for name, tensor in
                                    get_state(state_dict).items()}, strict=True)

    def load_optim_state_dict(self, state_dict: dict):
        """Load the state of the optimizer, of the same model, sharded or not.

        Raises:
            ValueError: If parameters have names in place of numbers.
        """
        if not all(isinstance(index, int) for index in state_dict['state']):
            raise ValueError('optimizer.state: found names, expected numbers of parameters: the '
                             'checkpoint is of version 0.2 or earlier; start from its weights '
                             'with --cfg-options load_from=')
        params = [p for group in self.optim_wrapper.param_groups for p in group['params']]
        state_dict['state'] = {index: {name: _shard(value, params[index]) for name, value in
                                       state.items()}
                               for index, state in state_dict['state'].items()}
        self.optim_wrapper.load_state_dict(state_dict)


def _gather(state: dict) -> dict:
    """Gather tensors on the CPU of the main process; in others they are None."""
    gathered = {}
    for name, value in state.items():
        if isinstance(value, dict):
            value = _gather(value)
        elif isinstance(value, DTensor):
            whole = value.full_tensor()
            value = whole.cpu() if is_main_process() else None
        gathered[name] = value
    return gathered


def _shard(value, like):
    """Shard a whole tensor as a parameter of the same shape; other values stay as they are."""
    if not isinstance(like, DTensor) or isinstance(value, DTensor) or getattr(
            value, 'shape', None) != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
