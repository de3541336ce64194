"""Weights & Biases backend without uploads of code."""
from mmengine.config import Config
from mmengine.visualization import WandbVisBackend as _WandbVisBackend

from mofm.registry import VISBACKENDS


@VISBACKENDS.register_module()
class WandbVisBackend(_WandbVisBackend):
    """MMEngine's W&B backend, recording only the config.

    The original also uploads every Python file in the working directory, including virtual
    environments.
    """

    def add_config(self, config: Config, **kwargs):
        """Record the config."""
        self.experiment.config.update(config.to_dict())
