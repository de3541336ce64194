"""Mesh recovery: a body mesh of every person in every frame."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from mofm.registry import INFERENCERS
from mofm.utils.files import atomic_write

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
        faces (np.ndarray): (F, 3) int, vertices of each triangle.
    """

    task = 'mesh'
    suffixes = ('.json', '.npz', '.obj')
    default_suffixes = ('.npz', )
    joints: np.ndarray
    vertices: np.ndarray
    pose: np.ndarray
    shape: np.ndarray
    faces: np.ndarray

    def summary(self) -> str:
        """Summarize the size."""
        persons, frames, vertices, _ = self.vertices.shape
        return f'{persons} persons, {frames} frames, {vertices} vertices'

    def save(self, path: str | PathLike) -> list[Path]:
        """Write the result.

        Args:
            path (str or Path): ``.json`` or ``.npz``, as other results, or ``.obj``, a sequence of
                files for 3D programs: ``walk.obj`` becomes ``walk_000000.obj``, ... by row, and
                ``walk+0_000000.obj``, ... of several persons by index. In meters, y up, z towards
                the camera; rows without the person have no file.

        Returns:
            list[Path]: Files written.

        Raises:
            ValueError: If the suffix is unknown.
        """
        path = Path(path)
        if path.suffix != '.obj':
            return super().save(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = []
        faces = ''.join(f'f {a} {b} {c}\n' for a, b, c in (self.faces + 1).tolist())
        seen = np.isfinite(self.vertices).all((2, 3))  # (M, T)
        for person, row in np.argwhere(seen).tolist():
            name = f'{path.stem}+{person}' if len(seen) > 1 else path.stem
            points = self.vertices[person, row] * (.001, -.001, -.001)
            written.append(path.with_stem(f'{name}_{row:06d}'))
            with atomic_write(written[-1], 'w') as file:
                file.writelines(f'v {x:.4f} {y:.4f} {z:.4f}\n' for x, y, z in points.tolist())
                file.write(faces)
        return written


@INFERENCERS.register_module(MeshResult.task)
class MeshInferencer(PersonInferencer):
    """Mesh recovery by models that set ``pred_vertices``."""

    result_type = MeshResult
    title = 'Body mesh'
    predicted = dict(theta='pred_theta', vertices='pred_vertices', joints='pred_keypoints_3d')

    def finish(self, output, sample, clip) -> dict:
        """Split the parameters and drop padded persons."""
        output = {name: values[:len(clip['keypoint'])] for name, values in output.items()}
        theta = output.pop('theta')  # (M, T, 82)
        pose, shape = theta[..., :72], theta[..., 72:]
        return dict(output, pose=pose.reshape(*pose.shape[:-1], 24, 3), shape=shape)

    def make_result(self, group, windows, outputs, options) -> MeshResult:
        """Join windows without averaging, which is undefined for rotations."""
        faces = self.model.body_model.faces
        return MeshResult(**self.common(group, windows), faces=np.asarray(faces, np.int32), **{
            name: join_persons(windows, parts, group[0].ann, mean=False)
            for name, parts in outputs.items()})

    def draw(self, result) -> dict:
        """Draw frames of the first three persons, below their keypoints."""
        from mofm.visualization import draw_meshes

        return {'.png': draw_meshes(result.vertices[:3], result.faces, result.poses[0],
                                    result.layout)}
