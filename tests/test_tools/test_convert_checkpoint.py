"""The command that converts released weights."""

import torch

from projects.tmor.unik import UNIK
from tests.test_tools.tool_runner import here


def test_convert_checkpoint_uses_names_of_a_project(tmp_path):
    source, target = tmp_path / 'released.pt', tmp_path / 'ours.pth'
    torch.save(UNIK(num_classes=3).state_dict(), source)
    done = here('convert_checkpoint.py', 'projects.tmor', source, target)
    state = torch.load(target, weights_only=True)['state_dict']
    assert done.stdout == f'{target}: {len(state)} tensors\n'
    assert state['cls_head.fc.weight'].shape == (3, 256)


def test_convert_checkpoint_names_file_and_reason(tmp_path):
    source = tmp_path / 'other.pt'
    torch.save(dict(weight=torch.zeros(1)), source)
    done = here('convert_checkpoint.py', 'projects.tmor', source, tmp_path / 'a.pth',
                  check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f'error: {source}: found 1 unknown parameters')
    assert not (tmp_path / 'a.pth').exists()
