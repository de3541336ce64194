"""Graph convolutions of mmaction2 instead of UNIK, an ablation of T-MOR (arXiv 2606.21607, III-D).

``mmaction.STGCN`` is ST-GCN (arXiv 1801.07455), ``mmaction.AAGCN`` without ``gcn_attention`` is
the joint stream of 2s-AGCN (arXiv 1805.07694).
"""

import numpy as np
from mmengine.registry import DefaultScope
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order
from torch import Tensor

from mofm.models.backbones.base import BaseBackbone
from mofm.models.init_cfg import load_init_cfg
from mofm.registry import MODELS
from mofm.structures import MotionFeatures, get_layout

from .unik import joint_features


def skeleton_graph(name: str, center: str) -> dict:
    """Describe the bones of a joint layout for mmaction2.

    Args:
        name (str): Joint layout, a key of ``mofm.structures.LAYOUTS``.
        center (str): Joint to which the bones point.

    Returns:
        dict: ``num_node``, ``center`` and ``inward``, pairs of a joint and the next one towards
        the center.
    """
    layout = get_layout(name)
    root, (start, end) = layout.joints.index(center), np.transpose(layout.edges)
    bones = csr_array((np.ones(len(start)), (start, end)), (layout.num_joints, ) * 2)
    _, parents = breadth_first_order(bones, root, directed=False)
    return dict(num_node=layout.num_joints, center=root,
                inward=[(joint, parent) for joint, parent in enumerate(parents.tolist())
                        if parent >= 0])


@MODELS.register_module()
class GCNBackbone(BaseBackbone):
    """Backbone of mmaction2 that maps (B, M, T, V, C) to (B, M, D, T', V), on joints of UNIK.

    Args:
        gcn (dict): Config of the backbone; its graph gets the bones of ``unik17`` towards the
            neck.
        frozen (bool): No gradients, for linear probes. Defaults to False.
        init_cfg (dict, optional): Weights to start from.
    """

    def __init__(self, gcn: dict, frozen: bool = False, init_cfg: dict | None = None):
        import mmaction.engine.model  # noqa: F401, initializers

        import mofm.compat  # noqa: F401, before mmaction.models

        super().__init__(init_cfg)
        graph = dict(gcn['graph_cfg'], layout=skeleton_graph('unik17', 'neck'))
        self.gcn = MODELS.build(dict(gcn, graph_cfg=graph))
        if frozen:
            self.freeze()

    def init_weights(self):
        """Load the weights of ``init_cfg``, or initialize as mmaction2."""
        if self.init_cfg:
            load_init_cfg(self)
        else:
            with DefaultScope.overwrite_default_scope('mmaction'):  # of its initializers
                self.gcn.init_weights()

    def forward(self, inputs: Tensor) -> MotionFeatures:
        """Compute the features of clips.

        Args:
            inputs (Tensor): (B, M, T, 17, C or more); the first C coordinates are used. Missing
                joints are 0.

        Returns:
            MotionFeatures: As :func:`projects.tmor.unik.joint_features`, with T' = T / 4 frames.
        """
        x = self.gcn(inputs[..., :self.gcn.in_channels])
        return joint_features(x.permute(0, 1, 4, 3, 2))
