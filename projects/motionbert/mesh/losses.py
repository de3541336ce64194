"""Loss of mesh recovery (MotionBERT, arXiv 2210.06551, Sec. 3.4, and its released configs)."""

from torch import nn

from mofm.registry import MODELS

from ..lifting.losses import velocity_error
from .body_model import Mesh


@MODELS.register_module()
class MeshLoss(nn.Module):
    """Weighted losses of joints, their velocity, rotations, shape and parameter norm.

    Args:
        joints (float): Weight of the root-relative joint distance in mm. Defaults to 0.5.
        velocity (float): Weight of the joint velocity distance. Defaults to 10.
        pose (float): Weight of the L1 distance of rotation matrices. Defaults to 1000.
        shape (float): Weight of the L1 distance of betas. Defaults to 1.
        norm (float): Weight of the L2 norm of the 82 predicted parameters (axis-angle and betas).
            Defaults to 20; absent in the paper.
        joint_norm (int): Order of the norm of joint distances. Defaults to 2; 1 in the paper.
    """

    def __init__(self,
                 joints: float = 0.5,
                 velocity: float = 10.,
                 pose: float = 1000.,
                 shape: float = 1.,
                 norm: float = 20.,
                 joint_norm: int = 2):
        super().__init__()
        self.weights = dict(joints=joints, velocity=velocity, pose=pose, shape=shape, norm=norm)
        self.joint_norm = joint_norm

    def forward(self, pred: Mesh, target: Mesh) -> dict:
        """Compute the losses of clips.

        Args:
            pred (Mesh): Predicted bodies (N, T).
            target (Mesh): True bodies (N, T).

        Returns:
            dict: ``loss_joints``, ``loss_velocity`` (0 for one frame), ``loss_pose``,
            ``loss_shape`` and ``loss_norm``, weighted.
        """
        joints, target_joints = pred.local_joints, target.local_joints  # (N, T, 17, 3)
        losses = dict(
            joints=(joints - target_joints).norm(self.joint_norm, -1).mean(),
            velocity=velocity_error(joints, target_joints),
            pose=(pred.rotations - target.rotations).abs().mean(),
            shape=(pred.betas - target.betas).abs().mean(),
            norm=pred.theta.norm(dim=-1).mean())
        return {f'loss_{name}': self.weights[name] * loss for name, loss in losses.items()}
