"""Mesh recovery model and its data preprocessor."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mofm.models import SkeletonDataPreprocessor
from mofm.models.precision import full_precision
from mofm.registry import MODELS

from ..lifting.lifter import mirror
from .body_model import Mesh
from .rotations import flip_axis_angle, mean_axis_angle


@MODELS.register_module()
class MeshDataPreprocessor(SkeletonDataPreprocessor):
    """Data preprocessor that adds SMPL parameters, if known, to the keypoints."""

    def forward(self, data: dict, training: bool = False) -> dict:
        """Convert collated samples of :class:`PackMeshInputs` to the arguments of a model.

        Args:
            data (dict): As in the base class; ``inputs`` may have ``theta`` (B, M, T, 82).
            training (bool): Unused.

        Returns:
            dict: ``inputs`` (B, M, T, J, 3), ``theta`` or None, and ``data_samples``.
        """
        data = self._receive(data)
        return dict(super().forward(data), theta=data['inputs'].get('theta'))


@MODELS.register_module()
class MeshRecoverer(BaseModel):
    """Model that recovers meshes of all persons (MotionBERT, arXiv 2210.06551, Sec. 3.4).

    Args:
        backbone (dict): Network with ``get_representation``, (N, T, J, 3) to (N, T, J, C).
            For fine-tuning, ``init_cfg=dict(type='Pretrained', checkpoint=...,
            prefix='backbone.')``.
        head (dict): See :class:`SMPLHead`.
        body_model (dict): See :class:`SMPL`.
        loss (dict): See :class:`MeshLoss`.
        flip_test (bool): Whether to average the predictions of a clip and its mirror image.
            Defaults to True.
        data_preprocessor (dict, optional): See :class:`MeshDataPreprocessor`.
    """

    def __init__(self, backbone: dict, head: dict, body_model: dict, loss: dict,
                 flip_test: bool = True, data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)
        self.body_model = MODELS.build(body_model)
        self.loss = MODELS.build(loss)
        self.flip_test = flip_test

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor',
                theta: Tensor | None = None):
        """Compute losses ('loss'), data samples ('predict') or a :class:`Mesh` ('tensor').

        Args:
            inputs (Tensor): (B, M, T, J, 3) normalized x, y and confidence.
            data_samples (list, optional): B samples. Each gets ``pred_theta`` (M, T, 82), radians
                and betas, ``pred_vertices`` (M, T, V, 3) and ``pred_keypoints_3d``
                (M, T, 17, 3), mm in camera axes around the origin of the body model, and, if
                ``theta`` is given, ``gt_vertices`` and ``gt_keypoints_3d``.
            mode (str): 'loss', 'predict' or 'tensor'.
            theta (Tensor, optional): (B, M, T, 82) true parameters.
        """
        if mode == 'tensor':
            return self._recover(inputs)
        target = theta if theta is None else self._bodies(theta.float())
        if mode == 'loss':
            pred = self._recover(inputs)
            with full_precision(inputs):
                return self.loss(*(Mesh(*(x.flatten(0, 1) for x in mesh))
                                   for mesh in (pred, target)))
        fields = dict(zip(('pred_theta', 'pred_vertices', 'pred_keypoints_3d'),
                          self.recover(inputs), strict=True))
        if target is not None:
            fields.update(gt_vertices=target.vertices, gt_keypoints_3d=target.joints)
        for name, values in fields.items():
            for sample, value in zip(data_samples, values, strict=True):
                sample.set_field(value, name)
        return data_samples

    def _recover(self, inputs: Tensor) -> Mesh:
        """Compute bodies (B, M, T) by one forward pass."""
        representation = self.backbone.get_representation(inputs.flatten(0, 1))
        with full_precision(representation):
            rotations, betas = self.head(representation.float())
            batch = inputs.shape[:2]
            return self.body_model(rotations.unflatten(0, batch), betas.unflatten(0, batch))

    @torch.no_grad()
    def _bodies(self, theta: Tensor) -> Mesh:
        """Compute bodies (...) from parameters (..., 82)."""
        with full_precision(theta):
            return self.body_model.from_theta(theta)

    @torch.no_grad()
    def recover(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict bodies, averaged with those of the mirror image if ``flip_test``.

        Args:
            inputs (Tensor): (B, M, T, J, 3).

        Returns:
            tuple: Parameters (B, M, T, 82), vertices (B, M, T, V, 3) and joints
            (B, M, T, 17, 3), both in mm. Each is averaged on its own, as published, so vertices
            do not exactly match the parameters.
        """
        mesh = self._recover(inputs)
        theta = mesh.theta
        if not self.flip_test:
            return theta, mesh.vertices, mesh.joints
        pose, betas = self._recover(mirror(inputs)).theta.split((72, 10), -1)
        pose = flip_axis_angle(pose.unflatten(-1, (24, 3))).flatten(-2)
        other = self._bodies(torch.cat([pose, betas], -1))
        pose = mean_axis_angle(*(x[..., :72].unflatten(-1, (24, 3)) for x in (theta, pose)))
        return (torch.cat([pose.flatten(-2), (theta[..., 72:] + betas) / 2], -1),
                (mesh.vertices + other.vertices) / 2, (mesh.joints + other.joints) / 2)
