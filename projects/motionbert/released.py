"""Conversion from and to the released checkpoints of MotionBERT.

Parameters have the same names; the prefixes differ:

========================= ==================== =========================================
released                  key                  here
========================= ==================== =========================================
pre-training, 3D pose     ``model_pos``        ``backbone.`` of a ``MotionLifter``
actions, one-shot actions ``model``            ``backbone.`` and ``cls_head.`` of a
                                               ``MotionRecognizer``
mesh                      ``model``            ``backbone.`` and ``head.`` of a
                                               ``MeshRecoverer``, without SMPL itself
========================= ==================== =========================================
"""

import torch

from mofm.hub.released import State, check_names, named_tensors

from .dstformer import DSTformer

_LINEAR = ('weight', 'bias')
_NORM = (*_LINEAR, 'running_mean', 'running_var', 'num_batches_tracked')
#: Layers and tensors of each head.
_HEADS = {
    'lifting': {},
    'actions': {'cls_head.fc1': _LINEAR, 'cls_head.bn': _NORM, 'cls_head.fc2': _LINEAR},
    'one-shot actions': {'cls_head.fc1': _LINEAR},
    'mesh': {'head.fc1': _LINEAR, 'head.fc2': _LINEAR, 'head.bn1': _NORM, 'head.bn2': _NORM,
             'head.head_pose': _LINEAR, 'head.head_shape': _LINEAR,
             'head': ('init_pose', 'init_shape')}}


def from_released(content: dict) -> State:
    """Convert a released checkpoint to the names of this project.

    Args:
        content (dict): Content of the file.

    Returns:
        dict: Tensors by name.

    Raises:
        ValueError: If a parameter is missing or unknown.
    """
    found = content if isinstance(content, dict) else {}
    weights = found.get('model_pos', found.get('model'))
    if weights is None:
        raise ValueError(f'found {sorted(map(str, found)) or type(content).__name__}, expected '
                         "a dict with weights in 'model_pos' or 'model'")
    weights = named_tensors(weights)
    if 'model_pos' in found:
        return _checked({f'backbone.{name}': tensor for name, tensor in weights.items()})
    head = 'head.' if 'head.head_pose.weight' in weights else 'cls_head.'
    return _checked({head + name[5:] if name.startswith('head.') else name: tensor
                     for name, tensor in weights.items() if not name.startswith('head.smpl.')})


def to_released(state: State) -> dict:
    """Convert weights of this project to the released names.

    Args:
        state (dict): Weights of a ``MotionLifter``, ``MotionRecognizer`` or ``MeshRecoverer``.

    Returns:
        dict: ``model_pos`` or ``model`` as the released code loads it.

    Raises:
        ValueError: If a parameter is missing or unknown.
    """
    state = _checked(state)
    if all(name.startswith('backbone.') for name in state):
        return dict(model_pos={'module.' + name.removeprefix('backbone.'): tensor
                               for name, tensor in state.items()})
    return dict(model={'module.' + name.removeprefix('cls_'): tensor
                       for name, tensor in state.items()})


def _checked(state: State) -> State:
    """Return the state after checking for missing and unknown names."""
    depth = 1 + max((int(name.split('.')[2]) for name in state
                     if name.startswith('backbone.blocks_st.')), default=-1)
    with torch.device('meta'):
        backbone = {f'backbone.{name}'
                    for name in DSTformer(embed_dims=8, depth=depth).state_dict()}
    heads = {task: {f'{layer}.{name}' for layer, names in layers.items() for name in names}
             for task, layers in _HEADS.items()}
    task = min(heads, key=lambda task: len((state.keys() - backbone) ^ heads[task]))
    check_names(state, backbone | heads[task], f'DSTformer for {task}')
    return state
