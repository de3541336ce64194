"""Sharded checkpoints: read as those in a file, whole, and without anything but tensors."""

import pickle

import pytest
import torch
import torch.distributed.checkpoint as dcp
from mmengine.runner.checkpoint import save_checkpoint
from torch.distributed.checkpoint.metadata import BytesStorageMetadata

from mofm.hub.checkpoint import REST, load_local
from mofm.hub.resumable import find_resumable

pytestmark = pytest.mark.filterwarnings('ignore:torch.distributed is disabled')
WEIGHT = torch.arange(6.).view(2, 3)


@pytest.fixture
def folder(tmp_path):
    """Checkpoint of an optimizer with one parameter, as ShardedStrategy writes it."""
    folder = tmp_path / 'epoch_2.pth'
    dcp.save({'state_dict.weight': WEIGHT, 'optimizer.0.exp_avg': 2 * WEIGHT},
             checkpoint_id=folder)
    save_checkpoint(dict(meta=dict(iter=16, epoch=2), optimizer=dict(
        param_groups=[dict(params=[0])])), str(folder / REST))
    return folder


class Run:
    """Object whose pickle makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return type(self.path).touch, (self.path, )


def test_find_resumable_needs_all_shards(tmp_path, folder):
    """A folder, of which all files must be whole."""
    older = tmp_path / 'epoch_1.pth'
    save_checkpoint(dict(meta=dict(iter=8, epoch=1), state_dict=dict(weight=WEIGHT)), str(older))
    assert find_resumable(tmp_path) == str(folder)
    for path in list(folder.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-9])
        assert find_resumable(tmp_path) == str(older), path
        path.unlink()
        assert find_resumable(tmp_path) == str(older), path
        path.write_bytes(whole)
    assert find_resumable(tmp_path) == str(folder)


def test_sharded_checkpoint_is_read_as_a_file(folder):
    checkpoint = load_local(folder)
    assert checkpoint['meta']['iter'] == 16
    assert torch.equal(checkpoint['state_dict']['weight'], WEIGHT)
    assert torch.equal(checkpoint['optimizer']['state'][0]['exp_avg'], 2 * WEIGHT)
    assert checkpoint['optimizer']['param_groups'] == [dict(params=[0])]


@pytest.mark.parametrize('field', ['size', 'class', 'bytes'])
def test_sharded_checkpoint_refuses_foreign_metadata(tmp_path, folder, field):
    """More bytes than there are, a function in the pickle, and objects in place of tensors."""
    file, ran = folder / '.metadata', tmp_path / 'ran'
    metadata = pickle.loads(file.read_bytes())  # noqa: S301  written above
    entries = metadata.state_dict_metadata
    if field == 'size':
        entries['state_dict.weight'].size = torch.Size([2**40])
    elif field == 'class':
        entries['state_dict.weight'].properties = Run(ran)
    else:
        entries['state_dict.weight'] = BytesStorageMetadata()
    file.write_bytes(pickle.dumps(metadata))
    with pytest.raises(ValueError, match=rf'{folder}.*(more bytes than|refused .*)'):
        load_local(folder)
    assert not ran.exists()
