"""Reading of checkpoints."""

import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mofm.hub.checkpoint import check_state, load_weights
from mofm.hub.torch_file import read_torch_file
from mofm.registry import MODELS

SMALL = dict(type='MoFMBackbone', num_frames=8, canvas=24, embed_dims=32, depth=3, num_heads=4)


def save(path, **state):
    torch.save(dict(state_dict=state), path)
    return str(path)


def test_checkpoint_message_hub_loads(tmp_path):
    buffer = HistoryBuffer()
    buffer.update(1.5, 2)
    path = tmp_path / 'c.pth'
    torch.save(dict(hub=buffer, scalar=np.float64(3), array=np.arange(3)), path)
    loaded = read_torch_file(path)
    assert loaded['hub'].mean() == 0.75
    assert loaded['scalar'] == 3


def test_checkpoint_refuses_other_classes(tmp_path):

    class Hostile:

        def __reduce__(self):
            return os.system, ('touch ' + str(tmp_path / 'owned'),)

    path = tmp_path / 'c.pth'
    torch.save(dict(state_dict=Hostile()), path)
    with pytest.raises(ValueError, match='not a readable checkpoint'):
        load_weights(MODELS.build(SMALL), str(path))
    assert not (tmp_path / 'owned').exists()


def test_checkpoint_getattr_reaches_statistics_only(tmp_path):

    class Sneaky:

        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    path = tmp_path / 'c.pth'
    torch.save(Sneaky(), path)
    with pytest.raises(ValueError, match=r'refused getattr\(.*__init__'):
        read_torch_file(path)


def test_load_weights_takes_prefix(tmp_path):
    torch.manual_seed(0)
    source, target = MODELS.build(SMALL), MODELS.build(SMALL)
    source.init_weights()
    path = tmp_path / 'c.pth'
    state = {f'module.backbone.{k}': v for k, v in source.state_dict().items()}
    torch.save(dict(state_dict=state), path)
    load_weights(target, str(path), 'backbone.')
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(),
                                                 strict=True))


def test_load_weights_names_bad_checkpoints(tmp_path):
    model = MODELS.build(SMALL)
    with pytest.raises(FileNotFoundError, match='no such checkpoint; train it first'):
        load_weights(model, str(tmp_path / 'none.pth'))
    truncated = tmp_path / 'truncated.pth'
    save(truncated, **model.state_dict())
    truncated.write_bytes(truncated.read_bytes()[:5000])
    with pytest.raises(ValueError, match='truncated.pth: not a readable checkpoint'):
        load_weights(model, str(truncated))
    pickled = tmp_path / 'list.pth'
    pickled.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match='list.pth'):
        load_weights(model, str(pickled))
    wide = MODELS.build(dict(SMALL, embed_dims=64))
    path = save(tmp_path / 'wide.pth', **wide.state_dict())
    with pytest.raises(ValueError, match=r'does not fit MoFMBackbone: \d+ of \d+ tensors differ\n'
                       r'  pos_embed: found \(1, 384, 64\), expected \(1, 384, 32\)'):
        load_weights(model, path)


def test_check_state_lists_missing_tensors():
    model = torch.nn.Linear(2, 3)
    with pytest.raises(ValueError, match=r'bias: found nothing, expected \(3,\)'):
        check_state(model, dict(weight=torch.zeros(3, 2)), 'c.pth')
    check_state(model, dict(model.state_dict(), more=torch.zeros(1)), 'c.pth')
