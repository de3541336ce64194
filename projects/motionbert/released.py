"""Checkpoints that the authors of MotionBERT have released, to those of this project and back.

Parameters have the same names; the models around them differ:

========================= ==================== =========================================
released                  holds                here
========================= ==================== =========================================
pre-training, 3D pose     ``model_pos``        ``backbone.`` of a ``MotionLifter``
actions, one-shot actions ``model``            ``backbone.`` and ``cls_head.`` of a
                                               ``MotionRecognizer``
mesh                      ``model``            ``backbone.`` and ``head.`` of a
                                               ``MeshRecoverer``, without SMPL itself
========================= ==================== =========================================
"""

from pathlib import Path

import torch
from torch import Tensor

from .dstformer import DSTformer

State = dict[str, Tensor]
_PARALLEL = 'module.'  # what nn.DataParallel puts before the names
_HEADS = dict(
    action={f'{layer}.{name}' for layer in ('fc1', 'fc2') for name in ('weight', 'bias')} | {
        f'bn.{name}' for name in ('weight', 'bias', 'running_mean', 'running_var',
                                  'num_batches_tracked')},
    one_shot={'fc1.weight', 'fc1.bias'},
    mesh={'init_pose', 'init_shape'} | {
        f'{layer}.{name}' for layer in ('fc1', 'fc2', 'bn1', 'bn2', 'head_pose', 'head_shape')
        for name in ('weight', 'bias')} | {
        f'{layer}.{name}' for layer in ('bn1', 'bn2')
        for name in ('running_mean', 'running_var', 'num_batches_tracked')})


class _Ignored:
    """Stands for any object beside the weights, e.g. of a learning rate schedule."""

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        pass


def read_released(path: str | Path) -> State:
    """Read a released checkpoint without running what it may hold.

    Args:
        path (str or Path): E.g. ``FT_MB_release_MB_ft_h36m/best_epoch.bin``.

    Returns:
        dict: Tensors by the names of this project.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a released checkpoint.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such checkpoint')
    try:
        others = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        with torch.serialization.safe_globals([(_Ignored, name) for name in others]):
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # damaged bytes raise nearly anything
        reason = (str(error).splitlines() or [''])[0]
        raise ValueError(f'{path}: not a readable checkpoint ({type(error).__name__}: {reason}); '
                         'it may be truncated or not be one of MotionBERT') from error
    try:
        return from_released(checkpoint)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def from_released(checkpoint: dict) -> State:
    """Weights of a released checkpoint by the names of this project.

    Args:
        checkpoint (dict): Content of the file.

    Returns:
        dict: Tensors by name.

    Raises:
        ValueError: If a parameter is missing or unknown.
    """
    found = checkpoint if isinstance(checkpoint, dict) else {}
    weights = found.get('model_pos', found.get('model'))
    if not isinstance(weights, dict) or not all(map(torch.is_tensor, weights.values())):
        raise ValueError(f'found {sorted(map(str, found)) or type(checkpoint).__name__}, expected '
                         "a dict with weights in 'model_pos' or 'model'")
    weights = {name.removeprefix(_PARALLEL): tensor for name, tensor in weights.items()}
    if 'model_pos' in found:
        return _checked({f'backbone.{name}': tensor for name, tensor in weights.items()})
    head = 'head.' if 'head.head_pose.weight' in weights else 'cls_head.'
    return _checked({head + name[5:] if name.startswith('head.') else name: tensor
                     for name, tensor in weights.items() if not name.startswith('head.smpl.')})


def to_released(state: State) -> dict:
    """The other way.

    Args:
        state (dict): Weights of a ``MotionLifter``, ``MotionRecognizer`` or ``MeshRecoverer``.

    Returns:
        dict: ``model_pos`` or ``model`` with the names that the code of the authors loads.

    Raises:
        ValueError: If a parameter is missing or unknown.
    """
    state = _checked(state)
    if all(name.startswith('backbone.') for name in state):
        return dict(model_pos={_PARALLEL + name.removeprefix('backbone.'): tensor
                               for name, tensor in state.items()})
    return dict(model={_PARALLEL + name.removeprefix('cls_'): tensor
                       for name, tensor in state.items()})


def _checked(state: State) -> State:
    """A state in which nothing is missing or unknown."""
    depth = 1 + max((int(name.split('.')[2]) for name in state
                     if name.startswith('backbone.blocks_st.')), default=-1)
    with torch.device('meta'):
        backbone = {f'backbone.{name}'
                    for name in DSTformer(8, embed_dims=8, depth=depth).state_dict()}
    heads = dict(lifter=set())
    for kind, names in _HEADS.items():
        heads[kind] = {('head.' if kind == 'mesh' else 'cls_head.') + name for name in names}
    rest = state.keys() - backbone
    kind = min(heads, key=lambda kind: len(rest ^ heads[kind]))
    missing, unknown = (backbone | heads[kind]) - state.keys(), rest - heads[kind]
    if missing or unknown:
        raise ValueError(
            f'found {len(unknown)} unknown parameters {sorted(unknown)[:3]} and {len(missing)} '
            f'missing ones {sorted(missing)[:3]}, expected those of DSTformer'
            + (f' with a head for {kind}' if kind != 'lifter' else ''))
    return state
