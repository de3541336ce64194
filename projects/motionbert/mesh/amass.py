"""Recordings of AMASS and their body model (arXiv 1904.03278)."""

from pathlib import Path

import numpy as np
import torch

from mofm.annotations import file_error
from mofm.utils.checks import describe

from .body_model import import_lbs
from .smpl_files import ArrayFile

# As used by MotionBERT.
_FPS, _JOINTS, _BETAS, _DMPLS = 60, 52, 16, 8
_BATCH = 256  # frames


class SMPLH:
    """SMPL+H with soft-tissue dynamics.

    Args:
        folder (Path): Folder with ``smplh/<gender>/model.npz`` and ``dmpls/<gender>/model.npz``.
        gender (str): ``'male'`` or ``'female'``.
        regressor (np.ndarray): (17, V) regressor of the H36M-17 joints.
        device (str): Device of the computation.

    Raises:
        AnnotationError: If a file is missing or invalid.
        ImportError: If ``smplx`` is not installed.
    """

    def __init__(self, folder: Path, gender: str, regressor: np.ndarray, device: str):
        self._skin = import_lbs()
        body = ArrayFile(folder / 'smplh' / gender / 'model.npz')
        count = regressor.shape[1]
        shapes = body.read('shapedirs', count, 3, None)[..., :_BETAS]
        dynamics = ArrayFile(folder / 'dmpls' / gender / 'model.npz').read(
            'eigvec', count, 3, None)[..., :_DMPLS]
        arrays = dict(
            v_template=body.read('v_template', count, 3),
            shapedirs=np.concatenate([shapes, dynamics], -1),
            posedirs=body.read('posedirs', count, 3, 9 * (_JOINTS - 1)).reshape(3 * count, -1).T,
            J_regressor=body.read('J_regressor', _JOINTS, count),
            lbs_weights=body.read('weights', count, _JOINTS))
        self.arrays = {name: torch.from_numpy(np.ascontiguousarray(array)).to(device)
                       for name, array in arrays.items()}
        self.arrays['parents'] = torch.from_numpy(body.read_parents(_JOINTS))
        self.regressor = torch.from_numpy(regressor).to(device)
        self.device = device

    @torch.no_grad()
    def joints(self, poses: np.ndarray, betas: np.ndarray, dmpls: np.ndarray,
               trans: np.ndarray) -> np.ndarray:
        """Compute the joints of Human3.6M.

        Args:
            poses (np.ndarray): (T, 156) axis-angle of the 52 joints in radians.
            betas (np.ndarray): (16,) shape.
            dmpls (np.ndarray): (T, 8) soft-tissue dynamics.
            trans (np.ndarray): (T, 3) meters.

        Returns:
            np.ndarray: (T, 17, 3) float32 meters, in the axes of AMASS, z up.
        """
        shape = np.concatenate([np.tile(betas, (len(poses), 1)), dmpls], 1)
        out = []
        for i in range(0, len(poses), _BATCH):
            shapes, pose, place = (
                torch.from_numpy(np.ascontiguousarray(x[i:i + _BATCH])).to(self.device)
                for x in (shape, poses, trans))
            vertices, _ = self._skin(shapes, pose, **self.arrays)
            out.append((self.regressor @ (vertices + place[:, None])).cpu().numpy())
        return np.concatenate(out)


def read_amass(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Read gender and parameters of a recording, at about 60 frames per second.

    Raises:
        AnnotationError: If the file is invalid.
    """
    file = ArrayFile(path)
    rate = 'mocap_framerate' if 'mocap_framerate' in file.content else 'mocap_frame_rate'
    fps = float(file.read(rate))
    if fps <= 0:
        raise file_error(path, rate, fps, 'frames per second')
    step = max(1, round(fps / _FPS))
    poses = file.read('poses', None, 3 * _JOINTS)
    if not len(poses):
        raise file_error(path, 'poses', 'no frames', 'at least one')
    try:
        gender = np.asarray(file.content['gender'], str).item()  # bytes in some files
    except Exception as error:  # damaged bytes make the parser raise nearly anything
        raise file_error(path, 'gender', describe(error), 'a text') from None
    params = dict(
        poses=poses[::step], trans=file.read('trans', len(poses), 3)[::step],
        dmpls=file.read('dmpls', len(poses), _DMPLS)[::step], betas=file.read('betas', _BETAS))
    return gender if gender in ('male', 'female') else 'female', params
