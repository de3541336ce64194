"""Graph convolutions of mmaction2 as backbones of T-MOR."""

import pytest
import torch
from mmengine.registry import init_default_scope

from projects.tmor.gcn import GCNBackbone, skeleton_graph

STGCN = dict(type='mmaction.STGCN', in_channels=2, graph_cfg=dict(mode='stgcn_spatial'))
AGCN = dict(type='mmaction.AAGCN', in_channels=2, gcn_attention=False,
            graph_cfg=dict(mode='spatial'))


def test_skeleton_graph_points_to_the_center():
    graph = skeleton_graph('unik17', 'neck')
    assert (graph['num_node'], graph['center']) == (17, 2)
    parents = dict(graph['inward'])
    # head, mouth, spine, pelvis; shoulders, elbows, wrists; hips, knees, ankles
    assert parents == {0: 1, 1: 2, 3: 2, 4: 3, 5: 2, 6: 2, 7: 5, 8: 6, 9: 7, 10: 8, 11: 4, 12: 4,
                       13: 11, 14: 12, 15: 13, 16: 14}


@pytest.mark.parametrize(('gcn', 'parameters'), [(STGCN, 3_073_058), (AGCN, 3_443_504)])
def test_gcn_backbone_features_are_those_of_mmaction(gcn, parameters):
    init_default_scope('mofm')
    backbone = GCNBackbone(gcn).eval()
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    inputs = torch.randn(2, 2, 12, 17, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, joints = backbone(inputs), backbone.gcn(inputs[..., :2])  # (B, M, D, T', V)
    assert joints.shape == (2, 2, 256, 3, 17)
    for b, m, t, v in ((0, 0, 0, 0), (1, 1, 2, 16), (0, 1, 1, 5)):
        torch.testing.assert_close(features.tokens[b, (m * 3 + t) * 17 + v], joints[b, m, :, t, v])
    torch.testing.assert_close(features.pooled, joints.mean((1, 3, 4)))
    torch.testing.assert_close(features.frames[1, 2], joints[1, :, :, 2].mean((0, 2)))


def test_gcn_backbone_initializes_loads_and_freezes(tmp_path):
    init_default_scope('mofm')
    source = GCNBackbone(AGCN)
    source.init_weights()
    assert (source.gcn.gcn[3].gcn.bn.weight == 1e-6).all()  # as published
    path = tmp_path / 'stage1.pth'
    torch.save({f'backbone.{name}': value for name, value in source.state_dict().items()}, path)
    target = GCNBackbone(AGCN, frozen=True, init_cfg=dict(
        type='Pretrained', checkpoint=str(path), prefix='backbone.'))
    target.init_weights()
    assert all(map(torch.equal, target.state_dict().values(), source.state_dict().values()))
    assert not target.train()(torch.rand(1, 2, 8, 17, 2)).pooled.requires_grad
    assert not any(module.training for module in target.modules())
