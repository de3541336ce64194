"""Layer-wise learning-rate decay, as BEiT fine-tunes (arXiv 2106.08254, Sec. 3.2)."""

import re

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mofm.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """One learning rate per depth: ``lr * layer_decay ** (depth + 1 - layer)``.

    Layer 0 is the embedding, layer i the i-th block, and everything behind the blocks has the
    full rate. Biases, norms, position table and mask embedding have no weight decay.

    Args:
        optim_wrapper_cfg (dict): As for MMEngine.
        paramwise_cfg (dict): ``layer_decay`` in (0, 1], 1 by default.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        cfg = dict(paramwise_cfg or {})
        self.layer_decay = cfg.pop('layer_decay', 1.)
        if cfg or not 0 < self.layer_decay <= 1:
            raise ValueError(f'paramwise_cfg: found {paramwise_cfg}, expected layer_decay in '
                             '(0, 1] and nothing else')
        super().__init__(optim_wrapper_cfg)

    def __call__(self, model: nn.Module):
        """Build the optimizer wrapper."""
        with FullyShardedDataParallel.summon_full_params(model, writeback=False):
            groups, depth = self._groups(getattr(model, 'module', model))  # shards have one axis
        lr = self.optimizer_cfg['lr']
        weight_decay = self.optimizer_cfg.get('weight_decay', 0.)
        params = [
            dict(params=group, lr=lr * self.layer_decay**(depth + 1 - layer),
                 weight_decay=weight_decay if decayed else 0.)
            for (layer, decayed), group in sorted(groups.items(), key=lambda item: item[0])
        ]
        return self._build(params)

    @staticmethod
    def _groups(model: nn.Module) -> tuple:
        """Parameters by (layer, whether their weights decay), and the number of blocks."""
        depth = len(model.backbone.blocks)
        groups = {}
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            layer = depth + 1
            if match := re.match(r'backbone\.blocks\.(\d+)\.', name):
                layer = int(match[1]) + 1
            elif re.match(r'backbone\.(embed\.|pos_embed|mask_token|cls_token)', name):
                layer = 0
            decayed = parameter.dim() > 1 and not name.endswith(('pos_embed', 'cls_token'))
            groups.setdefault((layer, decayed), []).append(parameter)
        return groups, depth

    def _build(self, params: list):
        from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
        optimizer = OPTIMIZERS.build(dict(self.optimizer_cfg, params=params))
        cfg = dict(self.optim_wrapper_cfg)
        cfg.setdefault('type', 'OptimWrapper')
        return OPTIM_WRAPPERS.build(cfg, default_args=dict(optimizer=optimizer))
