"""Head that regresses the pose and shape of SMPL (MotionBERT, arXiv 2210.06551, Sec. 3.4)."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mofm.registry import MODELS

from ..dstformer import NUM_JOINTS
from .rotations import matrix_from_6d
from .smpl_files import read_mean_params


@MODELS.register_module()
class SMPLHead(BaseModule):
    """Head that regresses a pose per frame and a shape per clip, as offsets from the mean.

    Parameters carry the names of the released checkpoints.

    Args:
        mean_params (str): Path of ``smpl_mean_params.npz`` of SPIN.
        in_channels (int): C, width of the representation. Defaults to 512.
        hidden_dims (int): Hidden width. Defaults to 1024; 2048 in the paper.
        dropout (float): Dropout probability before the hidden layers. Defaults to 0.1.

    Raises:
        AnnotationError: If the file is missing or invalid.
    """

    def __init__(self,
                 mean_params: str,
                 in_channels: int = 512,
                 hidden_dims: int = 1024,
                 dropout: float = 0.1):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(NUM_JOINTS * in_channels, hidden_dims)
        self.bn1 = nn.BatchNorm1d(hidden_dims)
        self.head_pose = nn.Linear(hidden_dims, 24 * 6)
        self.fc2 = nn.Linear(NUM_JOINTS * in_channels, hidden_dims)
        self.bn2 = nn.BatchNorm1d(hidden_dims)
        self.head_shape = nn.Linear(hidden_dims, 10)
        for layer in (self.head_pose, self.head_shape):  # start near the mean
            nn.init.xavier_uniform_(layer.weight, gain=0.01)
        pose, shape = map(torch.from_numpy, read_mean_params(mean_params))
        self.register_buffer('init_pose', pose[None])
        self.register_buffer('init_shape', shape[None])

    def forward(self, representation: Tensor) -> tuple[Tensor, Tensor]:
        """Regress pose and shape.

        Args:
            representation (Tensor): (N, T, J, C).

        Returns:
            tuple: Rotation matrices (N, T, 24, 3, 3) and betas (N, T, 10), constant within a
            clip.
        """
        frames = representation.flatten(2)  # (N, T, J * C)
        n, t, _ = frames.shape
        hidden = self.bn1(self.fc1(self.dropout(frames.flatten(0, 1)))).relu()
        pose = self.head_pose(hidden) + self.init_pose  # (N * T, 144)
        hidden = self.bn2(self.fc2(self.dropout(frames.mean(1)))).relu()
        shape = self.head_shape(hidden) + self.init_shape  # (N, 10)
        return matrix_from_6d(pose.view(n, t, 24, 6)), shape[:, None].expand(-1, t, -1)
