"""Base class of backbones."""

from mmengine.model import BaseModule


class BaseBackbone(BaseModule):
    """Base class of backbones, which can be frozen for linear probes.

    A constructor with the argument ``frozen`` ends with :meth:`freeze`. Layer-wise learning-rate
    decay needs ``get_layer_depth``, as in mmpretrain::

        def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]

    It returns the layer of a parameter and the number of layers: 0 is the embedding; the last
    layer is everything after the blocks, and each name that does not start with ``prefix``.
    """

    frozen = False

    def freeze(self):
        """Disable gradients and training mode."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True):
        """Set training mode, unless the backbone is frozen."""
        return super().train(mode and not self.frozen)
