"""Conversion of weights released by other authors to checkpoints of MoFM and back.

The module ``released`` of a project maps the names by the functions of :class:`Names`.
``tools/convert_checkpoint.py`` is the command.
"""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from mofm.utils.files import atomic_write

from .checkpoint import find_checkpoint, load_local
from .torch_file import read_torch_file

State = dict[str, Tensor]


class Names(Protocol):
    """Name map of a project; both functions raise ValueError if the weights do not fit."""

    def from_released(self, content: Any) -> State:
        """Convert the content of a released file to weights by the names of the project."""

    def to_released(self, state: State) -> dict:
        """Convert weights by the names of the project to what the authors' code loads."""


def named_tensors(content: Any) -> State:
    """Strip the prefix ``module.`` of ``nn.DataParallel`` from the names of weights.

    Raises:
        ValueError: If it is not a dict of tensors.
    """
    if not isinstance(content, dict) or not all(map(torch.is_tensor, content.values())):
        raise ValueError(f'found {type(content).__name__}, expected a dict of tensors')
    return {name.removeprefix('module.'): tensor for name, tensor in content.items()}


def check_names(state: State, expected: set[str], model: str):
    """Refuse weights with missing or unknown names.

    Args:
        state (dict): Weights by name.
        expected (set[str]): Expected names.
        model (str): Name of the model, for the message.

    Raises:
        ValueError: If the names differ.
    """
    missing, unknown = sorted(expected - state.keys()), sorted(state.keys() - expected)
    if missing or unknown:
        raise ValueError(f'found {len(unknown)} unknown parameters {unknown[:3]} and '
                         f'{len(missing)} missing ones {missing[:3]}, expected those of {model}')


def read_content(path: str | Path) -> Any:
    """Read a checkpoint without running its code; objects besides the weights are ignored.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a checkpoint.
    """
    path = find_checkpoint(path)
    if path.suffix == '.safetensors':
        return load_local(str(path))
    return read_torch_file(path, ignore=True)


def convert_checkpoint(source: str | Path, target: str | Path, names: Names) -> int:
    """Convert a released checkpoint, or one of ours for the code of its authors.

    Args:
        source (str or Path): Checkpoint; ours has a ``state_dict``, as written by MMEngine.
        target (str or Path): Output file, whose folder is made if needed.
        names (Names): Name map of the project.

    Returns:
        int: Number of tensors.

    Raises:
        FileNotFoundError: If the file does not exist.
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
