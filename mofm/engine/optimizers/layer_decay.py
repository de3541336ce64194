"""Layer-wise learning-rate decay, as in BEiT (arXiv 2106.08254, Sec. 3.2)."""

import logging

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mofm.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mofm.utils.config import PARAMWISE

#: Name endings of embeddings without weight decay.
_NOT_DECAYED = ('pos_embed', 'temp_embed', 'cls_token')


def check_custom_keys(custom_keys: dict, model: nn.Module, defaults: dict):
    """Check the settings of single parameters; MMEngine ignores those that fit nothing.

    Args:
        custom_keys (dict): Those of ``paramwise_cfg``: part of a name to settings.
        model (nn.Module): The model.
        defaults (dict): Settings of the optimizer.

    Raises:
        ValueError: If no parameter has the name, or nothing reads a setting.
    """
    known = {'lr_mult', 'decay_mult', *defaults}
    for key, options in custom_keys.items():
        place = f'optim_wrapper.paramwise_cfg.custom_keys.{key}'
        if not any(key in name for name, _ in model.named_parameters()):
            parts = sorted(name for name, _ in model.named_children())
            raise ValueError(f'{place}: found no parameter with this name, expected one of the '
                             f'model, which has the parts {", ".join(parts)}')
        for name in options.keys() - known:
            raise ValueError(f'{place}.{name}: nothing reads this setting, expected one of '
                             f'{", ".join(sorted(known))}')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """One learning rate per layer: ``lr * layer_decay ** (num_layers - 1 - layer)``.

    The backbone defines the layers, see :class:`BaseBackbone`; everything after its blocks has the
    full rate. The options of MMEngine's constructor multiply these rates. Biases, norms and
    learned positions have no weight decay, unless an option sets it.

    Args:
        optim_wrapper_cfg (dict): See MMEngine.
        paramwise_cfg (dict, optional): ``layer_decay`` in (0, 1], 1 by default, and the options
            of MMEngine: ``custom_keys``, ``norm_decay_mult`` and so on.

    Raises:
        ValueError: If ``layer_decay`` is out of range or an option is unknown; when called, if
            the backbone of the model does not define its layers.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        cfg = dict(layer_decay=1., custom_keys={})
        cfg.update(paramwise_cfg or {})
        self.layer_decay = cfg['layer_decay']
        unknown = cfg.keys() - PARAMWISE - {'layer_decay'}
        if unknown or not 0 < self.layer_decay <= 1:
            raise ValueError(f'paramwise_cfg: found {paramwise_cfg}, expected layer_decay in '
                             f'(0, 1] and {", ".join(sorted(PARAMWISE))}')
        # lr_mult marks the parameters of custom keys, see _merge
        cfg['custom_keys'] = {key: {'lr_mult': 1., **options}
                              for key, options in cfg['custom_keys'].items()}
        super().__init__(optim_wrapper_cfg, cfg)

    def __call__(self, model: nn.Module):
        """Build the optimizer wrapper."""
        with FullyShardedDataParallel.summon_full_params(model, writeback=False):
            return super().__call__(model)  # shards have one axis

    def add_params(self, params: list, module: nn.Module, prefix: str = '', **kwargs):
        """Append the parameter groups of a module; those of a whole model are merged by layer."""
        if prefix:
            super().add_params(params, module, prefix, **kwargs)
            return
        logger = MMLogger.get_current_instance()
        level = logger.level
        singles = []
        try:
            logger.setLevel(logging.ERROR)  # MMEngine logs each parameter
            super().add_params(singles, module, **kwargs)
        finally:
            logger.setLevel(level)
        params += self._merge(singles, module)

    def _merge(self, singles: list[dict], model: nn.Module) -> list[dict]:
        """Merge groups of one parameter each by layer and settings."""
        get_layer_depth = getattr(getattr(model, 'backbone', None), 'get_layer_depth', None)
        if get_layer_depth is None and self.layer_decay < 1:
            raise ValueError(f'paramwise_cfg: found layer_decay={self.layer_decay}, but the '
                             f'backbone of {type(model).__name__} has no get_layer_depth; add it '
                             '(see BaseBackbone), or set layer_decay=1')
        names = {parameter: name.replace('_fsdp_wrapped_module.', '')
                 for name, parameter in model.named_parameters()}
        groups = {}
        for single in singles:
            parameter, = single.pop('params')
            name = names[parameter]
            custom = 'lr_mult' in single
            decay_set = 'decay_mult' in single or 'weight_decay' in single and not custom
            if not decay_set and (parameter.dim() < 2 or name.endswith(_NOT_DECAYED)):
                single['weight_decay'] = 0.
            layer = 0
            if get_layer_depth is not None:
                layer, num_layers = get_layer_depth(name, 'backbone.')
                single['lr'] = (single.get('lr', self.base_lr)
                                * self.layer_decay**(num_layers - 1 - layer))
            single.pop('lr_mult', None)
            single.pop('decay_mult', None)
            key = (layer, single.get('weight_decay', self.base_wd) or 0.,
                   repr(sorted(single.items())))
            groups.setdefault(key, dict(single, params=[]))['params'].append(parameter)
        return [group for _, group in sorted(groups.items(), key=lambda item: item[0])]
