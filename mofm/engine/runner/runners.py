"""Runners that keep the config of a training in its work dir."""

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner


class TestRunner(Runner):
    """Runner that keeps the config of the training in a work dir.

    That of the test is in its log folder, ``TIME/vis_data/config.py``.
    """

    def dump_config(self):
        """Write nothing; MMEngine would replace ``CONFIG.py`` of the training."""


def build_train_runner(cfg: Config) -> Runner:
    """Build the runner of a training, of the ``runner_type`` of the config.

    MMEngine writes the config to the work dir before it is known whether the training can begin,
    over that of the run before. Here its method ``write_config`` does.
    """
    base = RUNNERS.get(cfg.get('runner_type', 'Runner'))

    class TrainRunner(base):

        def dump_config(self):
            """Write nothing yet."""

        def write_config(self):
            """Write the config to the work dir."""
            super().dump_config()

    return TrainRunner.from_cfg(cfg)
