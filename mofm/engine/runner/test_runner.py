"""Runner of tests in the work dir of a training."""

from mmengine.runner import Runner


class TestRunner(Runner):
    """Runner that keeps the config of the training in a work dir.

    That of the test is in its log folder, ``TIME/vis_data/config.py``.
    """

    def dump_config(self):
        """Write nothing; MMEngine would replace ``CONFIG.py`` of the training."""
