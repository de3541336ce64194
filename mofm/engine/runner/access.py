"""State of a runner for which MMEngine has no public name."""

from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn


def get_model(runner: Runner) -> nn.Module:
    """The model without its wrapper for several processes."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def is_training(runner: Runner) -> bool:
    """Whether the runner trains, and does not only test; known from ``before_run`` on."""
    return isinstance(runner._train_loop, BaseLoop)  # train_loop would build it


def is_resumed(runner: Runner) -> bool:
    """Whether a training is resumed, and does not start from the weights of a checkpoint."""
    return runner._resume


def loaded_from(runner: Runner) -> str | None:
    """Checkpoint that the runner loads, if it was named."""
    return runner._load_from


def resume_from(runner: Runner, checkpoint: str):
    """Let the training resume a checkpoint, after the runner was built."""
    runner._resume, runner._load_from = True, checkpoint
