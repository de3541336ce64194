"""Losses of lifting from 2D to 3D (MotionBERT, arXiv 2210.06551, eq. 5-8, and the released code).

The terms that the released configs weight with zero (limbs, angles) are left out.
"""

from torch import Tensor, nn

from mofm.registry import MODELS


def position_error(pred: Tensor, target: Tensor) -> Tensor:
    """Mean distance, (..., D) to ()."""
    return (pred - target).norm(dim=-1).mean()


def scaled_position_error(pred: Tensor, target: Tensor) -> Tensor:
    """The same after the best scale of each frame (N-MPJPE), (..., J, 3) to ()."""
    norm = pred.square().sum((-1, -2), keepdim=True).clamp(min=1e-12)
    return position_error((pred * target).sum((-1, -2), keepdim=True) / norm * pred, target)


def velocity_error(pred: Tensor, target: Tensor) -> Tensor:
    """Mean distance of the steps from frame to frame, (..., T, J, 3) to (); 0 for one frame."""
    if pred.shape[-3] < 2:
        return pred.new_zeros(())
    return position_error(pred.diff(dim=-3), target.diff(dim=-3))


@MODELS.register_module()
class LiftingLoss(nn.Module):
    """MPJPE, N-MPJPE and velocity where 3D is known, re-projection where 2D is.

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
        """Losses in 3D.

        Args:
            pred (Tensor): (N, T, J, 3) float32.
            target (Tensor): The same of the truth.

        Returns:
            dict: ``loss_mpjpe``, ``loss_n_mpjpe`` and ``loss_velocity``, weighted.
        """
        return dict(loss_mpjpe=self.mpjpe * position_error(pred, target),
                    loss_n_mpjpe=self.n_mpjpe * scaled_position_error(pred, target),
                    loss_velocity=self.velocity * velocity_error(pred, target))

    def project(self, pred: Tensor, target: Tensor, score: Tensor) -> dict:
        """Loss of the orthographic projection, in which a joint counts by its confidence (eq. 8).

        Args:
            pred (Tensor): (N, T, J, 3) float32.
            target (Tensor): (N, T, J, 2).
            score (Tensor): (N, T, J) confidences before any corruption.

        Returns:
            dict: ``loss_2d``, weighted.
        """
        error = (pred[..., :2] - target).norm(dim=-1) * score
        return dict(loss_2d=self.reprojection * error.mean())
