"""Mesh recovery: a body mesh of every person in every frame."""

from dataclasses import dataclass

import numpy as np

from mofm.registry import INFERENCERS

from ..persons import PersonInferencer, PersonResult, join_persons


@dataclass
class MeshResult(PersonResult):
    """Bodies of the M persons of a recording in T frames, around the origin of the body model.

    Values are NaN in frames without the person. Vertices and joints are in mm,
    x to the right, y down, z away from the camera.

    Attributes:
        joints (np.ndarray): (M, T, J, 3) float32, in the order of ``layout``.
        vertices (np.ndarray): (M, T, V, 3) float32.
        pose (np.ndarray): (M, T, 24, 3) float32, axis-angle of the SMPL joints in radians.
        shape (np.ndarray): (M, T, 10) float32, shape coefficients.
    """

    task = 'mesh'
    default_suffixes = ('.npz', )
    joints: np.ndarray
    vertices: np.ndarray
    pose: np.ndarray
    shape: np.ndarray

    def summary(self) -> str:
        """Summarize the size."""
        persons, frames, vertices, _ = self.vertices.shape
        return f'{persons} persons, {frames} frames, {vertices} vertices'


@INFERENCERS.register_module(MeshResult.task)
class MeshInferencer(PersonInferencer):
    """Mesh recovery by models that set ``pred_vertices``."""

    result_type = MeshResult
    predicted = dict(theta='pred_theta', vertices='pred_vertices', joints='pred_keypoints_3d')

    def finish(self, output, sample, clip) -> dict:
        """Split the parameters and drop padded persons."""
        output = {name: values[:len(clip['keypoint'])] for name, values in output.items()}
        theta = output.pop('theta')  # (M, T, 82)
        pose, shape = theta[..., :72], theta[..., 72:]
        return dict(output, pose=pose.reshape(*pose.shape[:-1], 24, 3), shape=shape)

    def make_result(self, group, windows, outputs, options) -> MeshResult:
        """Join windows without averaging, which is undefined for rotations."""
        return MeshResult(**self.common(group, windows), **{
            name: join_persons(windows, parts, group[0].ann, mean=False)
            for name, parts in outputs.items()})

    def draw(self, result) -> dict:
        """Draw frames of the first three persons, below their keypoints."""
        from mofm.visualization import draw_meshes

        return {'.png': draw_meshes(result.vertices[:3], self.model.body_model.faces,
                                    result.poses[0], result.layout)}
