"""Recordings of AMASS (arXiv 1904.03278): poses of a body model, whose joints are computed.

Joints are a regression from the shape of the body at rest, turned by the poses; the surface that
``smplx`` computes is not needed for them.
"""
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mofm.annotations import AnnotationError, file_error
from mofm.registry import SOURCES
from mofm.utils.checks import describe
from mofm.utils.untrusted import read_npz

from ..base import Item
from ..motion_capture import MotionCapture
from ..recognition import Sample

# Pose values, the model they are of, and its files below the folder of body models.
_MODELS = {72: ('smpl', 24), 156: ('smplh', 52), 165: ('smplx', 55)}
_PLACES = ('{kind}/{gender}/model.npz', '{kind}/{KIND}_{GENDER}.npz', '{KIND}_{GENDER}.npz',
           '{gender}/model.npz')
_BODY = 22  # the joints that all models share
_FIELDS = ('poses', 'trans', 'betas', 'gender', 'mocap_framerate', 'mocap_frame_rate')
_MAX_VERTICES, _MAX_BETAS = 20000, 300


@SOURCES.register_module('amass')
class AMASS(MotionCapture):
    """Reader of ``*_poses.npz`` and ``*_stageii.npz`` of AMASS with their body models.

    Args:
        path (str or Path): A folder, a zip file, or one file; ``shape.npz`` and ``*_stagei.npz``
            are passed over.
        body_models (str or Path): Folder with ``smplh/male/model.npz`` or
            ``smplx/SMPLX_MALE.npz``, and those of the other genders.
        **kwargs: Passed to :class:`MotionCapture`; meters, z up.

    Raises:
        AnnotationError: If the path has no such files.
        ValueError: If there is no folder of body models.
    """

    suffix = '.npz'
    max_size = 2**29
    default_up = 'z'

    def __init__(self, path: str | Path, body_models: str | Path | None = None, **kwargs):
        if body_models is None or not Path(body_models).is_dir():
            raise ValueError(f'found body_models={body_models}, expected a folder: files of AMASS '
                             'hold poses of a body model (--body-models)')
        self.body_models = Path(body_models)
        self._models: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        super().__init__(path, **kwargs)

    @classmethod
    def add_options(cls, parser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--body-models', required=True, metavar='FOLDER',
                            help='folder with smplh/male/model.npz or smplx/SMPLX_MALE.npz ...')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        arrays = sample.arrays or {}
        if {'poses', 'trans', 'betas'} <= arrays.keys() and arrays['poses'][0][1:] in (
                (count, ) for count in _MODELS):
            return 'poses, trans and betas of AMASS'
        return None

    def is_native(self, filename: str) -> bool:
        """See :meth:`Source.is_native`."""
        return super().is_native(filename) and filename.lower() != 'shape.npz' and (
            not filename.lower().endswith('_stagei.npz'))

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        if self.listed(self.stem(name)) is None:
            return
        arrays = self.npz(name, content, _FIELDS)
        lost = [field for field in ('poses', 'trans', 'betas', 'gender') if field not in arrays]
        if lost:
            raise self.error(name, lost[0], f'arrays {sorted(arrays)}', 'an array of AMASS')
        poses = self.array(name, 'poses', arrays['poses'], (None, None))
        if poses.shape[1] not in _MODELS or not len(poses):
            raise self.error(name, 'poses', f'shape {poses.shape}',
                             f'(at least 1 frame, one of {list(_MODELS)})')
        trans = self.array(name, 'trans', arrays['trans'], (len(poses), 3))
        betas = self.array(name, 'betas', arrays['betas'].reshape(-1), (None, ))[:_MAX_BETAS]
        gender = arrays['gender'].reshape(-1)[:1]
        gender = ''.join(gender.astype('U20').tolist()) if gender.dtype.kind in 'SU' else ''
        if gender not in ('female', 'male', 'neutral'):
            raise self.error(name, 'gender', repr(gender), 'female, male or neutral')
        model = self._model(*_MODELS[poses.shape[1]], gender)
        try:
            with np.errstate(all='ignore'):
                joints = _joints(model, poses, betas, trans)
            if not np.isfinite(joints).all():
                raise ValueError('infinite joints')
        except ValueError as error:  # rotations that are too large
            raise self.error(name, 'poses', error, 'radians') from None
        rate = next((arrays[key] for key in _FIELDS[4:] if key in arrays), None)
        yield from self.person(name, 'poses', self.stem(name), self.from_layout(joints, 'smpl22'),
                               rate)

    def _model(self, kind, num_joints, gender) -> dict[str, np.ndarray]:
        """Read the arrays of a body model that joints depend on, once."""
        if (kind, gender) in self._models:
            return self._models[kind, gender]
        names = [place.format(kind=kind, KIND=kind.upper(), gender=gender, GENDER=gender.upper())
                 for place in _PLACES]
        path = next((self.body_models / name for name in names
                     if (self.body_models / name).is_file()), None)
        if path is None:
            raise AnnotationError(f'{self.body_models}: found none of {names}, expected the body '
                                  f'model of the recordings, from https://{kind}.is.tue.mpg.de or '
                                  'https://mano.is.tue.mpg.de')
        try:
            model = read_npz(path, ('v_template', 'shapedirs', 'J_regressor', 'kintree_table'))
            model = {key: value.astype(np.float64) for key, value in model.items()}
            vertices = len(model['v_template'])
            fitting = (model['v_template'].shape == (vertices, 3) and vertices <= _MAX_VERTICES
                       and model['shapedirs'].shape[:2] == (vertices, 3)
                       and model['J_regressor'].shape == (num_joints, vertices)
                       and model['kintree_table'].shape == (2, num_joints)
                       and all(np.isfinite(value).all() for value in model.values()))
            parents = model['kintree_table'][0, 1:_BODY]
            if not fitting or not ((parents >= 0) & (parents < np.arange(1, _BODY))).all():
                raise ValueError(f'arrays {({k: v.shape for k, v in model.items()})}')
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise file_error(path, 'file', describe(error), f'a body model of {num_joints} joints'
                             ) from None
        return self._models.setdefault((kind, gender), model)


def _joints(model, poses, betas, trans) -> np.ndarray:
    """Compute the joints of a body model.

    Args:
        model (dict[str, np.ndarray]): ``v_template`` (V, 3), ``shapedirs`` (V, 3, B),
            ``J_regressor`` (J, V) and ``kintree_table`` (2, J).
        poses (np.ndarray): (T, 3 J) rotation vectors relative to the parents.
        betas (np.ndarray): (B,) shape; those that the model lacks are left out.
        trans (np.ndarray): (T, 3) meters.

    Returns:
        np.ndarray: (T, 22, 3) meters.
    """
    from scipy.spatial.transform import Rotation

    count = min(len(betas), model['shapedirs'].shape[2])
    shape = model['v_template'] + model['shapedirs'][..., :count] @ betas[:count]
    rest = model['J_regressor'][:_BODY] @ shape  # (22, 3)
    parents = model['kintree_table'][0, :_BODY].astype(np.int64)
    joints = np.empty((len(poses), _BODY, 3))
    joints[:, 0] = rest[0] + trans
    turns = [Rotation.from_rotvec(poses[:, :3])]
    for joint in range(1, _BODY):
        parent = parents[joint]
        turns.append(turns[parent] * Rotation.from_rotvec(poses[:, 3 * joint:3 * joint + 3]))
        joints[:, joint] = joints[:, parent] + turns[parent].apply(rest[joint] - rest[parent])
    return joints
