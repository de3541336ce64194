"""State of the contrast between steps: queue of keys, feature bank, clusters."""

import torch
from mmengine.dist import get_world_size
from torch import Tensor, nn


class ContrastMemory(nn.Module):
    """Queue of keys (MoCo, arXiv 1911.05722), feature bank and clusters.

    Keys are stored with the index of their sample instead of its cluster, which may change while
    they are in the queue. The content is the same on all processes, not part of the state dict,
    and moves to the device of the model; :meth:`state` is for checkpoints, to resume from.

    Args:
        num_samples (int): N, samples of the data set.
        feature_dims (int): C, width of the backbone's features.
        key_dims (int): D, width of the keys.
        queue_size (int): K, 0 for no queue. New keys replace the oldest. Any batch size up to K
            fits.

    Attributes:
        bank (Tensor): (N, C) half, the latest feature of each sample, a unit vector; 0 before the
            first.
        clusters (Tensor): (N,) cluster of each sample, -1 for none.
        eps (float): Radius of the last clustering, 0 before it.

    Raises:
        ValueError: If the queue is larger than the data set.
    """

    def __init__(self, num_samples: int, feature_dims: int, key_dims: int, queue_size: int):
        super().__init__()
        if not 0 <= queue_size <= num_samples:
            raise ValueError(f'queue_size: found {queue_size}, expected at most the {num_samples} '
                             'samples of the data set: a sample would be its own negative; lower '
                             'queue_size of the model')
        self.filled = self.next = 0
        self.eps = 0.
        for name, value in (
                ('bank', torch.zeros(num_samples, feature_dims, dtype=torch.half)),
                ('clusters', torch.full((num_samples, ), -1)),
                ('keys', torch.zeros(queue_size, key_dims)),
                ('indices', torch.full((queue_size, ), -1))):
            self.register_buffer(name, value, persistent=False)

    def entries(self) -> tuple:
        """Return the keys (E, D) in the queue and their indices (E,); E = K once it is full."""
        # copies, as the queue changes before the backward pass
        return self.keys[:self.filled].clone(), self.indices[:self.filled].clone()

    @torch.no_grad()
    def write(self, indices: Tensor, features: Tensor, keys: Tensor):
        """Store the batch of all processes.

        Args:
            indices (Tensor): (B,) data-set indices.
            features (Tensor): (B, C), for the bank.
            keys (Tensor): (B, D) unit vectors, for the queue.

        Raises:
            ValueError: If the batch is larger than the queue.
        """
        self.bank[indices] = nn.functional.normalize(features.float(), dim=1).half()
        size = len(self.keys)
        if not size:
            return
        if len(keys) > size:
            raise ValueError(f'queue_size: found {size}, expected at least the batch of all '
                             f'{get_world_size()} processes, {len(keys)}; raise queue_size of the '
                             'model or lower batch_size')
        slots = (self.next + torch.arange(len(keys), device=keys.device)) % size
        self.keys[slots] = keys.to(self.keys)
        self.indices[slots] = indices
        self.filled = min(self.filled + len(keys), size)
        self.next = (self.next + len(keys)) % size

    def state(self) -> dict:
        """Return the content as tensors on the CPU."""
        place = torch.tensor([self.filled, self.next])
        return dict({name: value.cpu() for name, value in self.named_buffers()}, place=place,
                    eps=torch.tensor(self.eps))

    def restore(self, state: dict):
        """Restore a :meth:`state`.

        Raises:
            ValueError: If it belongs to another data set or model.
        """
        for name, value in self.state().items():
            found = state.get(name)
            if found is None or found.shape != value.shape:
                shape = None if found is None else tuple(found.shape)
                raise ValueError(f'{name} of the checkpoint: found shape {shape}, expected '
                                 f'{tuple(value.shape)}; resume with the data set and the '
                                 'queue_size of the training that wrote it')
        for name, buffer in self.named_buffers():
            buffer.copy_(state[name])
        self.filled, self.next = state['place'].tolist()
        self.eps = float(state['eps'])
