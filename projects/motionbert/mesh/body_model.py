"""SMPL body model: meshes from pose and shape (Loper et al., SIGGRAPH Asia 2015)."""

from typing import NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mofm.registry import MODELS

from .rotations import axis_angle_from_matrix, matrix_from_axis_angle
from .smpl_files import read_joint_regressor, read_smpl


def import_lbs():
    """Return the linear blend skinning of ``smplx``, which is optional because of its license."""
    try:
        from smplx.lbs import lbs
    except ImportError as error:
        raise ImportError('meshes need the package smplx; install it with pip install '
                          'smplx==0.1.28, and mind its license') from error
    return lbs


class Mesh(NamedTuple):
    """Bodies with any leading axes (...)."""

    #: (..., 24, 3, 3) rotation of each SMPL joint relative to its parent.
    rotations: Tensor
    #: (..., 10) shape coefficients.
    betas: Tensor
    #: (..., V, 3) in mm.
    vertices: Tensor
    #: (..., 17, 3) in mm, layout ``h36m17``.
    joints: Tensor

    @property
    def theta(self) -> Tensor:
        """All parameters (..., 82): axis-angle of the 24 joints in radians, then the betas."""
        return torch.cat([axis_angle_from_matrix(self.rotations).flatten(-2), self.betas], -1)

    @property
    def local_joints(self) -> Tensor:
        """Joints (..., 17, 3) in mm, relative to the root."""
        return self.joints - self.joints[..., :1, :]


@MODELS.register_module()
class SMPL(BaseModule):
    """Neutral SMPL with a regressor of the H36M-17 joints; not trained.

    Skinning is that of ``smplx``. The files are licensed and not saved in checkpoints.

    Args:
        model_path (str): Path of ``SMPL_NEUTRAL.pkl`` or ``.npz``.
        joint_regressor (str): Path of ``J_regressor_h36m_correct.npy``.

    Raises:
        ImportError: If ``smplx`` is not installed.
        AnnotationError: If a file is missing or invalid.
    """

    def __init__(self, model_path: str, joint_regressor: str):
        super().__init__()
        self._skin = import_lbs()
        arrays = read_smpl(model_path)
        self.faces = arrays.pop('f')  # (F, 3)
        # kept on the CPU, because smplx reads single values
        self.parents = torch.from_numpy(arrays.pop('parents'))
        arrays['posedirs'] = arrays['posedirs'].reshape(-1, 207).T
        arrays['h36m_regressor'] = read_joint_regressor(joint_regressor, len(arrays['weights']))
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array).contiguous(), persistent=False)

    def forward(self, rotations: Tensor, betas: Tensor) -> Mesh:
        """Compute bodies at the origin.

        Args:
            rotations (Tensor): (..., 24, 3, 3) relative to the parents.
            betas (Tensor): (..., 10) shape coefficients.

        Returns:
            Mesh: Bodies with V vertices, 6890 in the official file.
        """
        batch = betas.shape[:-1]
        vertices, _ = self._skin(
            betas.reshape(-1, 10), rotations.reshape(-1, 24, 3, 3), self.v_template,
            self.shapedirs, self.posedirs, self.J_regressor, self.parents, self.weights,
            pose2rot=False)
        vertices = 1000 * vertices.unflatten(0, batch)  # m to mm
        return Mesh(rotations, betas, vertices, self.h36m_regressor @ vertices)

    def from_theta(self, theta: Tensor) -> Mesh:
        """Compute bodies from :attr:`Mesh.theta` (..., 82)."""
        pose, betas = theta.split((72, 10), -1)
        return self(matrix_from_axis_angle(pose.unflatten(-1, (24, 3))), betas)
