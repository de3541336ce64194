"""ID of the run in its checkpoints."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook

from mofm.engine.runner.access import is_resumed
from mofm.engine.runner.work_dir import begin_run


class RunIdHook(Hook):
    """ID of the run in ``meta.run_id`` of its checkpoints.

    ``tools/train.py`` registers it.

    Args:
        run (dict): The run, see :func:`own_work_dir`.
    """

    priority = 'LOWEST'  # begins after the checks of other hooks

    def __init__(self, run: dict):
        self.run = run

    @master_only
    def before_train(self, runner):
        """Begin the run in its work dir, and write its config there."""
        begin_run(runner.work_dir, self.run)
        runner.write_config()

    def before_save_checkpoint(self, runner, checkpoint: dict):
        """Add the ID."""
        checkpoint['meta']['run_id'] = self.run['id']

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Look for the best checkpoints, which later ones replace, in this work dir.

        A copied work dir would delete those of the original.
        """
        if is_resumed(runner) and 'message_hub' in checkpoint:
            info = checkpoint['message_hub']['runtime_info']
            for name, path in info.items():
                if name.startswith('best_ckpt') and path:
                    info[name] = str(Path(runner.work_dir) / Path(path).name)
