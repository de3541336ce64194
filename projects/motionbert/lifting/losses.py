"""Losses of lifting 2D to 3D (MotionBERT, arXiv 2210.06551, eq. 6 to 8, and its released code).

Terms with zero weight in the released configs (limbs, angles) are omitted.
"""

from torch import Tensor, nn

from mofm.registry import MODELS


def position_error(pred: Tensor, target: Tensor) -> Tensor:
    """Compute the mean distance, (..., D) to ()."""
    return (pred - target).norm(dim=-1).mean()


def scaled_position_error(pred: Tensor, target: Tensor) -> Tensor:
    """Compute the mean distance at the best scale per frame (N-MPJPE), (..., J, 3) to ()."""
    norm = pred.square().sum((-1, -2), keepdim=True).clamp(min=1e-12)
    return position_error((pred * target).sum((-1, -2), keepdim=True) / norm * pred, target)


def velocity_error(pred: Tensor, target: Tensor) -> Tensor:
    """Compute the mean distance of velocities, (..., T, J, 3) to (); 0 for a single frame."""
    if pred.shape[-3] < 2:
        return pred.new_zeros(())
    return position_error(pred.diff(dim=-3), target.diff(dim=-3))


@MODELS.register_module()
class LiftingLoss(nn.Module):
    """Loss of lifting: MPJPE, N-MPJPE and velocity for 3D data, re-projection for 2D data.

    Args:
        mpjpe, n_mpjpe, velocity (float): Weights of the 3D terms. Default to 1, 0.5 and 20; the
            paper has no N-MPJPE.
        reprojection (float): Weight of the 2D term. Defaults to 1.
    """

    def __init__(self, mpjpe: float = 1., n_mpjpe: float = 0.5, velocity: float = 20.,
                 reprojection: float = 1.):
        super().__init__()
        self.mpjpe = mpjpe
        self.n_mpjpe = n_mpjpe
        self.velocity = velocity
        self.reprojection = reprojection

    def forward(self, pred: Tensor, target: Tensor) -> dict:
        """Compute the losses of 3D data.

        Args:
            pred (Tensor): (N, T, J, 3) float32.
            target (Tensor): Ground truth of the same shape.

        Returns:
            dict: ``loss_mpjpe``, ``loss_n_mpjpe`` and ``loss_velocity``, weighted.
        """
        return dict(loss_mpjpe=self.mpjpe * position_error(pred, target),
                    loss_n_mpjpe=self.n_mpjpe * scaled_position_error(pred, target),
                    loss_velocity=self.velocity * velocity_error(pred, target))

    def project(self, pred: Tensor, target: Tensor, score: Tensor) -> dict:
        """Compute the confidence-weighted loss of the orthographic projection (eq. 7).

        Args:
            pred (Tensor): (N, T, J, 3) float32.
            target (Tensor): (N, T, J, 2).
            score (Tensor): (N, T, J) confidences of the uncorrupted keypoints.

        Returns:
            dict: ``loss_2d``, weighted.
        """
        error = (pred[..., :2] - target).norm(dim=-1) * score
        return dict(loss_2d=self.reprojection * error.mean())
