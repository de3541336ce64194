"""Checkpoints that the authors of UNIK have released, to those of this project and back.

A released file is a flat dict of tensors, with or without ``module.`` before the names. Here its
parts are ``backbone.`` and ``cls_head.fc.`` of a :class:`MotionRecognizer`.
"""

from pathlib import Path

import torch
from torch import Tensor

from mofm.hub.checkpoint import load_state

from .unik import UNIK

State = dict[str, Tensor]


def read_released(path: str | Path) -> State:
    """Read a released checkpoint without running what it may hold.

    Args:
        path (str or Path): E.g. ``posetics_unik.pt``.

    Returns:
        dict: Tensors by the names of this project.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a released checkpoint.
    """
    try:
        return from_released(load_state(str(path)))
    except ValueError as error:
        raise error if str(path) in str(error) else ValueError(f'{path}: {error}') from None


def from_released(state: State) -> State:
    """Weights of a released checkpoint by the names of this project.

    The vectors ``s_unit.bias``, which nothing reads, are 0 if a checkpoint lacks them.

    Args:
        state (dict): Tensors by the names of the authors; ``fc`` may be absent.

    Returns:
        dict: Tensors by name.

    Raises:
        ValueError: If a parameter is missing or unknown.
    """
    state = {name.removeprefix('module.'): tensor for name, tensor in state.items()}
    for name in [name for name in state if name.endswith('s_unit.DepM')]:
        state.setdefault(name[:-4] + 'bias', torch.zeros(state[name].shape[-1]))
    _check(state)
    return {('cls_head.' if name.startswith('fc.') else 'backbone.') + name: tensor
            for name, tensor in state.items()}


def to_released(state: State) -> State:
    """The other way.

    Args:
        state (dict): Weights of a ``MotionRecognizer`` on UNIK with one linear layer.

    Returns:
        dict: Tensors by the names that the code of the authors loads.

    Raises:
        ValueError: If a parameter is missing or unknown.
    """
    state = {name.removeprefix('backbone.').removeprefix('cls_head.'): tensor
             for name, tensor in state.items()}
    _check(state)
    return state


def _check(state: State):
    """Refuse a state in which something is missing or unknown."""
    heads = state['l2.s_unit.DepM'].shape[0] if 'l2.s_unit.DepM' in state else 3
    tau = 3 if 'l1.s_unit.out_conv.weight' in state else 1
    with torch.device('meta'):
        names = UNIK(num_heads=heads, tau=tau, num_classes=int('fc.weight' in state)).state_dict()
    missing, unknown = sorted(names.keys() - state), sorted(state.keys() - names)
    if missing or unknown:
        raise ValueError(f'found {len(unknown)} unknown parameters {unknown[:3]} and '
                         f'{len(missing)} missing ones {missing[:3]}, expected those of UNIK with '
                         'one linear layer, or none')
