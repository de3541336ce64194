"""Names of the checkpoints that the authors of UNIK have released.

A released file is a flat dict of tensors, with or without ``module.`` before the names. Here its
parts are ``backbone.`` and ``cls_head.fc.`` of a :class:`MotionRecognizer`.
"""

import torch

from mofm.hub.released import State, check_names, named_tensors

from .unik import UNIK


def from_released(content: dict) -> State:
    """Weights of a released checkpoint by the names of this project.

    The vectors ``s_unit.bias``, which nothing reads, are 0 if a checkpoint lacks them.

    Args:
        content (dict): Tensors by the names of the authors; ``fc`` may be absent.

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
    """Weights of this project by the names of the authors.

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
        model = UNIK(num_heads=heads, tau=tau, num_classes=int('fc.weight' in state))
    check_names(state, set(model.state_dict()), 'UNIK with one linear layer, or none')
