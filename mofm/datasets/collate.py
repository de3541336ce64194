"""Stack samples in the worker: one tensor per batch and field crosses to the main process."""

import torch

from mofm.registry import FUNCTIONS
from mofm.structures import stack_inputs


@FUNCTIONS.register_module()
def motion_collate(samples: list) -> dict:
    """Collate function of a DataLoader: ``collate_fn=dict(type='mofm.motion_collate')``.

    A tensor that crosses a process boundary costs a file descriptor and a handshake, so a list of
    tensors (MMEngine's ``pseudo_collate``) is slow for small samples. The labels travel as one
    tensor too; :class:`MotionDataPreprocessor` puts them back.

    Args:
        samples (list[dict]): ``inputs`` and ``data_samples`` of :class:`PackMotionInputs`.

    Returns:
        dict: ``inputs`` with stacked tensors, ``data_samples`` (list) and, if all
        have one, ``labels`` (B,).
    """
    names = samples[0]['inputs']
    data_samples = [s['data_samples'] for s in samples]
    batch = dict(
        inputs=stack_inputs({name: [s['inputs'][name] for s in samples] for name in names}),
        data_samples=data_samples)
    if all('gt_label' in s for s in data_samples):
        batch['labels'] = torch.cat([s.pop('gt_label') for s in data_samples])
    return batch
