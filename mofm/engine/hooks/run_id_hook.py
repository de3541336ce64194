"""ID of the run in its checkpoints."""

from pathlib import Path

from mmengine.hooks import Hook

from mofm.engine.runner.access import is_resumed


class RunIdHook(Hook):
    """ID of the run in ``meta.run_id`` of its checkpoints, see :func:`own_work_dir`.

    ``tools/train.py`` registers it.

    Args:
        run_id (str, optional): ID, None for a run of version 0.2.
    """

    def __init__(self, run_id: str | None):
        self.run_id = run_id

    def before_save_checkpoint(self, runner, checkpoint: dict):
        """Add the ID."""
        checkpoint['meta']['run_id'] = self.run_id

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Look for the best checkpoints, which later ones replace, in this work dir.

        A copied work dir would delete those of the original.
        """
        if is_resumed(runner) and 'message_hub' in checkpoint:
            info = checkpoint['message_hub']['runtime_info']
            for name, path in info.items():
                if name.startswith('best_ckpt') and path:
                    info[name] = str(Path(runner.work_dir) / Path(path).name)
