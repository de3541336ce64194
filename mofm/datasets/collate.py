"""Collate function that stacks samples in the worker."""

import torch

from mofm.registry import FUNCTIONS
from mofm.structures import stack_inputs


@FUNCTIONS.register_module()
def motion_collate(samples: list) -> dict:
    """Collate samples of a DataLoader: ``collate_fn=dict(type='mofm.motion_collate')``.

    Each tensor sent by a worker costs a file descriptor and a handshake, so lists of tensors
    (MMEngine's ``pseudo_collate``) are slow for small samples. Labels are stacked too;
    :class:`MotionDataPreprocessor` restores them.

    Args:
        samples (list[dict]): ``inputs`` and ``data_samples`` of :class:`PackMotionInputs`.

    Returns:
        dict: ``inputs`` with stacked tensors, ``data_samples`` (list) and, if all samples have
        one, ``labels`` (B,).
    """
    names = samples[0]['inputs']
    data_samples = [s['data_samples'] for s in samples]
    batch = dict(
        inputs=stack_inputs({name: [s['inputs'][name] for s in samples] for name in names}),
        data_samples=data_samples)
    if all('gt_label' in s for s in data_samples):
        batch['labels'] = torch.cat([s.pop('gt_label') for s in data_samples])
    return batch
