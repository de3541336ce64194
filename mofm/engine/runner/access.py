"""Access to state of a runner without a public name in MMEngine."""

from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn


def get_model(runner: Runner) -> nn.Module:
    """Return the model without its distributed wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def is_training(runner: Runner) -> bool:
    """Return whether the runner trains and not only tests; known from ``before_run`` on."""
    return isinstance(runner._train_loop, BaseLoop)  # train_loop would build it


def is_resumed(runner: Runner) -> bool:
    """Return whether a training is resumed, not started from the weights of a checkpoint."""
    return runner._resume


def loaded_from(runner: Runner) -> str | None:
    """Return the checkpoint that the runner loads, if named."""
    return runner._load_from


def resume_from(runner: Runner, checkpoint: str):
    """Set the checkpoint to resume from, after the runner is built."""
    runner._resume, runner._load_from = True, checkpoint
