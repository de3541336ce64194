"""Memory that batches of ever new sizes leave behind returns to the system."""

import subprocess
import sys

import pytest

FRAGMENTS = """
import torch
from mofm.engine import FreedMemoryHook
from mofm.utils.memory import keep_freed_memory

keep_freed_memory()
hook, kept = FreedMemoryHook(interval=10), []
for mode in ('train', 'test'):
    for i in range(10):
        blocks = [torch.ones(2**18 + 2**12 * i) for _ in range(40)]
        kept.append(torch.ones(16))  # ends up between the blocks
        del blocks
        getattr(hook, f'after_{mode}_iter')(None, i)
        if i > 7:
            with open('/proc/self/statm') as file:
                print(int(file.read().split()[1]) * 4096 / 2**20)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_freed_memory_is_returned_every_few_iterations():
    done = subprocess.run([sys.executable, '-c', FRAGMENTS], check=True, capture_output=True,
                          text=True)
    kept, returned, kept_again, returned_again = map(float, done.stdout.split())
    assert min(kept, kept_again) - max(returned, returned_again) > 20  # MiB
