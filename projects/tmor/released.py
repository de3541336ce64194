"""Conversion between the released checkpoints of UNIK and a :class:`MotionRecognizer`.

A released file is a flat dict of tensors, with or without the prefix ``module.``; its parts become
``backbone.`` and ``cls_head.fc.``.
"""

import torch

from mofm.hub.released import State, check_names, named_tensors

from .unik import UNIK


def from_released(content: dict) -> State:
    """Rename the weights of a released checkpoint to the names of this project.

    The unused vectors ``s_unit.bias`` are 0 if a checkpoint lacks them.

    Args:
        content (dict): Tensors by released name; ``fc`` may be absent.

    Returns:
        dict: Tensors by name.

    Raises:
        ValueError: If a parameter is missing or unknown.
    """
    state = named_tensors(content)
    for name in [name for name in state if name.endswith('s_unit.DepM')]:
        state.setdefault(name[:-4] + 'bias', torch.zeros(state[name].shape[-1]))
    _check(state)
    return {('cls_head.' if name.startswith('fc.') else 'backbone.') + name: tensor
            for name, tensor in state.items()}


def to_released(state: State) -> State:
    """Rename weights of this project to the released names.

    Args:
        state (dict): Weights of a ``MotionRecognizer`` on UNIK with one linear layer.

    Returns:
        dict: Tensors by released name.

    Raises:
        ValueError: If a parameter is missing or unknown.
    """
    state = {name.removeprefix('backbone.').removeprefix('cls_head.'): tensor
             for name, tensor in state.items()}
    _check(state)
    return state


def _check(state: State):
    """Raise ValueError if a parameter is missing or unknown."""
    heads = state['l2.s_unit.DepM'].shape[0] if 'l2.s_unit.DepM' in state else 3
    tau = 3 if 'l1.s_unit.out_conv.weight' in state else 1
    with torch.device('meta'):
        model = UNIK(num_heads=heads, tau=tau, num_classes=int('fc.weight' in state))
    check_names(state, set(model.state_dict()), 'UNIK with one linear layer, or none')
