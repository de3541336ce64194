"""Weights that other authors have released, to checkpoints of MoFM and back.

A project knows the names: its module ``released`` has the functions of :class:`Names`.
``tools/convert_checkpoint.py`` is the command.
"""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from mofm.utils.files import atomic_write

from .checkpoint import find_checkpoint, load_local

State = dict[str, Tensor]


class Names(Protocol):
    """Name map of a project; both functions raise ValueError if it does not fit."""

    def from_released(self, content: Any) -> State:
        """Content of a released file, to weights by the names of the project."""

    def to_released(self, state: State) -> dict:
        """Weights by the names of the project, to the content that the authors' code loads."""


class _Ignored:
    """Stands for any object beside the weights, e.g. of a learning rate schedule."""

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        pass


def named_tensors(content: Any) -> State:
    """Weights without the ``module.`` that ``nn.DataParallel`` puts before their names.

    Raises:
        ValueError: If it is not a dict of tensors.
    """
    if not isinstance(content, dict) or not all(map(torch.is_tensor, content.values())):
        raise ValueError(f'found {type(content).__name__}, expected a dict of tensors')
    return {name.removeprefix('module.'): tensor for name, tensor in content.items()}


def check_names(state: State, expected: set[str], model: str):
    """Refuse weights in which something is missing or unknown.

    Args:
        state (dict): Weights by name.
        expected (set[str]): All names.
        model (str): What has these, for the message.

    Raises:
        ValueError: If the names are others.
    """
    missing, unknown = sorted(expected - state.keys()), sorted(state.keys() - expected)
    if missing or unknown:
        raise ValueError(f'found {len(unknown)} unknown parameters {unknown[:3]} and '
                         f'{len(missing)} missing ones {missing[:3]}, expected those of {model}')


def read_content(path: str | Path) -> Any:
    """Read a checkpoint without running what it may hold; objects beside the weights are ignored.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint.
    """
    path = find_checkpoint(path)
    if path.suffix == '.safetensors':
        return load_local(str(path))
    try:
        others = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        with torch.serialization.safe_globals([(_Ignored, name) for name in others]):
            return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # damaged bytes raise nearly anything
        reason = (str(error).splitlines() or [''])[0]
        raise ValueError(f'{path}: not a readable checkpoint ({type(error).__name__}: {reason}); '
                         'it may be truncated or hold no weights') from error


def read_released(path: str | Path, names: Names) -> State:
    """Read a released checkpoint.

    Args:
        path (str or Path): E.g. ``FT_MB_release_MB_ft_h36m/best_epoch.bin``.
        names (Names): Of the project.

    Returns:
        dict: Tensors by the names of the project.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a released checkpoint of the project.
    """
    content = read_content(path)
    try:
        return names.from_released(content)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def convert_checkpoint(source: str | Path, target: str | Path, names: Names) -> int:
    """Convert a released checkpoint, or one of ours for the code of its authors.

    Args:
        source (str or Path): Ours has a ``state_dict``, as what MMEngine writes.
        target (str or Path): File to write, whose folder is made if needed.
        names (Names): Of the project.

    Returns:
        int: Number of tensors.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint of the project.
    """
    content = read_content(source)
    try:
        if isinstance(content, dict) and 'state_dict' in content:
            state = named_tensors(content['state_dict'])
            content = names.to_released(state)
        else:
            state = names.from_released(content)
            content = dict(state_dict=state, meta={})
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from None
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as file:
        torch.save(content, file)
    return len(state)
