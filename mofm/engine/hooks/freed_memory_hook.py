"""Return of freed memory to the system during training and testing."""

import torch
from mmengine.hooks import Hook

from mofm.registry import HOOKS
from mofm.utils.memory import release_freed_memory


@HOOKS.register_module()
class FreedMemoryHook(Hook):
    """Return freed memory to the system, on the CPU.

    Batches of occupied tokens have ever new sizes, between which glibc cannot reuse all that is
    freed (``benchmarks/README.md``).

    Args:
        interval (int): Iterations between two returns. Defaults to 50.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int = 50):
        self.interval = interval

    def _after_iter(self, runner, batch_idx: int, data_batch=None, outputs=None,
                    mode: str = 'train'):
        if not torch.cuda.is_available() and self.every_n_inner_iters(batch_idx, self.interval):
            release_freed_memory()
