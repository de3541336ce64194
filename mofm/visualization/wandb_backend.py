"""Weights & Biases backend that does not upload code."""
from mmengine.config import Config
from mmengine.visualization import WandbVisBackend as _WandbVisBackend

from mofm.registry import VISBACKENDS


@VISBACKENDS.register_module()
class WandbVisBackend(_WandbVisBackend):
    """MMEngine's W&B backend; it records the config and no other file of the machine.

    The original also uploads every Python file below the working directory, a virtual environment
    included, and cannot be told not to.
    """

    def add_config(self, config: Config, **kwargs):
        """Record the config."""
        self.experiment.config.update(config.to_dict())
