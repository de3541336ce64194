"""Initialization by ``init_cfg``."""

from torch import nn

from mofm.registry import WEIGHT_INITIALIZERS


def load_init_cfg(module: nn.Module):
    """Initialize a module by its ``init_cfg``, e.g. ``dict(type='Pretrained', checkpoint=...)``.

    The initializer comes from the registry, whatever the default scope is:
    :class:`mofm.hub.partial_loading.PretrainedInit` for ``'Pretrained'``.
    """
    cfg = dict(module.init_cfg)
    WEIGHT_INITIALIZERS.get(cfg.pop('type'))(**cfg)(module)
