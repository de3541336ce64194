"""Safe reading of SMPL files, which users obtain under license."""

from pathlib import Path

import numpy as np
from scipy import sparse

from mofm.annotations import AnnotationError, file_error
from mofm.annotations.unpickling import (
    Constructor,
    RefusedPickle,
    RestrictedUnpickler,
    new_array,
    set_array,
)
from mofm.utils.checks import describe, show
from mofm.utils.limits import LimitError, exceeds, get_limits
from mofm.utils.untrusted import read_arrays, to_array

#: Description and origin of the files by field of the config.
_ORIGIN = dict(
    model_path='the neutral SMPL model, SMPL_NEUTRAL.pkl or .npz, after registration from '
    'https://smplify.is.tue.mpg.de (basicModel_neutral_lbs_10_207_0_v1.0.0.pkl, renamed) or '
    'https://smpl.is.tue.mpg.de',
    joint_regressor='J_regressor_h36m_correct.npy, (17, 6890), from the mesh data of MotionBERT, '
    'https://github.com/Walter0807/MotionBERT/blob/main/docs/mesh.md',
    mean_params='smpl_mean_params.npz of SPIN, from the data of '
    'https://github.com/nkolot/SPIN or the mesh data of MotionBERT')


def find_smpl_file(path: str, field: str) -> Path:
    """Resolve the path of a file.

    Args:
        path (str): Path from the config.
        field (str): Field of the config: ``model_path``, ``joint_regressor`` or ``mean_params``.

    Raises:
        AnnotationError: If it does not exist, with its description and origin.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise AnnotationError(f'{path}: no such file; {field} expects {_ORIGIN[field]}. Its '
                              f'license forbids distribution: download it and set {field}')
    return path


def _set_array(array, state):
    """Set the state of an array that Python 2 may have pickled, with its data as text."""
    *rest, raw = state
    set_array(array, (*rest, raw.encode('latin1') if isinstance(raw, str) else raw))


class _Object(dict):
    """Placeholder for an object of another library, with its state but no behavior."""

    __slots__ = ()

    def set_state(self, state):
        if type(state) is not dict:
            raise RefusedPickle(f'refused the state {show(state)} of an object')
        self.update(state)


class _Sparse(_Object):
    """``scipy.sparse.csc_matrix``."""

    def array(self):
        rows, columns = self['_shape']
        if type(rows) is not int or type(columns) is not int:
            raise TypeError(f'a sparse matrix of shape {show((rows, columns))}')
        if 8 * rows * columns > get_limits().small:
            raise exceeds(f'a sparse matrix of shape ({rows}, {columns})', 'small')
        parts = tuple(np.asarray(self[name]) for name in ('data', 'indices', 'indptr'))
        matrix = sparse.csc_matrix(parts, (rows, columns))
        matrix.check_format(full_check=True)  # else SciPy may read out of bounds
        return matrix.toarray()


class _Chumpy(_Object):
    """``chumpy.ch.Ch``, an array."""

    def array(self):
        return _dense(self['x'])


class _ChumpySelection(_Object):
    """``chumpy.reordering.Select``, a selection from an array."""

    def array(self):
        picked = _dense(self['a']).ravel()[_dense(self['idxs'])]
        return picked.reshape(self['preferred_shape'])


def _dense(value):
    return value.array() if isinstance(value, _Object) else to_array(value)


def _reconstruct_object(kind, *_):
    if kind not in _OBJECTS.values():
        raise RefusedPickle(f'refused to create an object of {show(kind)}')
    return kind.build()


_SPARSE, _CH, _SELECT = (Constructor(kind, _Object.set_state, is_class=True)
                         for kind in (_Sparse, _Chumpy, _ChumpySelection))
_OBJECTS = {
    **{(f'scipy.sparse{module}', 'csc_matrix'): _SPARSE for module in ('', '.csc', '._csc')},
    ('chumpy.ch', 'Ch'): _CH,
    ('chumpy.reordering', 'Select'): _SELECT,
}
_ALLOWED = {
    **_OBJECTS,
    **{(f'numpy.{core}.multiarray', '_reconstruct'): Constructor(new_array, _set_array)
       for core in ('core', '_core')},
    ('copyreg', '_reconstructor'): Constructor(_reconstruct_object, _Object.set_state),
    ('builtins', 'object'): Constructor(_reconstruct_object),  # argument of _reconstructor
}


class SMPLUnpickler(RestrictedUnpickler):
    """Restricted unpickler that also reads sparse matrices and chumpy arrays, as data."""

    def find_class(self, module, name):
        """Return the placeholder of a class, see :class:`RestrictedUnpickler`."""
        module = dict(copy_reg='copyreg', __builtin__='builtins').get(module, module)
        return _ALLOWED.get((module, name)) or super().find_class(module, name)


class ArrayFile:
    """Named arrays of an ``.npz``, ``.npy`` or pickle file, validated when read.

    Args:
        path (Path): Path of the file.

    Raises:
        AnnotationError: If the file or an array is missing or invalid.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            if path.suffix in ('.npz', '.npy'):
                self.content = read_arrays(path)
            else:
                with open(path, 'rb') as f:
                    self.content = dict(SMPLUnpickler(f).load())
        except LimitError as error:
            raise AnnotationError(f'{path}: {error}') from None
        except Exception as error:  # damaged bytes make the parsers raise nearly anything
            raise AnnotationError(
                f'{path}: cannot be read, it may be truncated or no {path.suffix} file '
                f'({describe(error)}); download it again') from error

    def read(self, name: str, *shape: int | None, dtype: type = np.float32) -> np.ndarray:
        """Read an array of finite numbers; None in ``shape`` is any length."""
        content = {name: self.content['']} if self.path.suffix == '.npy' else self.content
        if name not in content:
            raise file_error(self.path, name, 'none among the fields '
                             f'{sorted(map(str, content))[:30]}', 'an array')
        try:
            array = np.asarray(_dense(content[name]), dtype)
        except Exception as error:  # malicious states make placeholders raise nearly anything
            raise file_error(self.path, name, describe(error),
                             'an array of numbers') from error
        expected = f'({", ".join("any" if n is None else str(n) for n in shape)})'
        if array.ndim != len(shape) or any(
                want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
            raise file_error(self.path, name, f'shape {array.shape}', expected)
        if not np.isfinite(array).all():
            raise file_error(self.path, name, 'NaN or infinite values', 'finite numbers')
        return array

    def read_parents(self, num_joints: int) -> np.ndarray:
        """Read the parents (J,) int64 of ``kintree_table``, -1 for the root."""
        parents = self.read('kintree_table', 2, num_joints, dtype=np.int64)[0]
        parents[0] = -1  # stored as unsigned
        if not ((parents[1:] >= 0) & (parents[1:] < np.arange(1, num_joints))).all():
            raise file_error(self.path, 'kintree_table', f'parents {parents.tolist()}',
                             'parents before their children')
        return parents


def read_smpl(path: str) -> dict[str, np.ndarray]:
    """Read an SMPL model.

    Args:
        path (str): Official ``.pkl`` file, with or without chumpy, or an ``.npz`` file with the
            same fields.

    Returns:
        dict: ``v_template`` (V, 3) meters, ``shapedirs`` (V, 3, 10), ``posedirs`` (V, 3, 207),
        ``J_regressor`` (24, V), ``weights`` (V, 24) float32, ``parents`` (24,) int64, -1 for
        the root, and ``f`` (F, 3) int64, the vertex indices of triangles.

    Raises:
        AnnotationError: If it is missing or invalid.
    """
    fields = ArrayFile(find_smpl_file(path, 'model_path'))
    template = fields.read('v_template', None, 3)
    vertices = len(template)
    shapedirs = fields.read('shapedirs', vertices, 3, None)
    if shapedirs.shape[2] < 10:
        raise file_error(path, 'shapedirs', f'{shapedirs.shape[2]} shapes', 'at least 10')
    faces = fields.read('f', None, 3, dtype=np.int64)
    if not ((faces >= 0) & (faces < vertices)).all():
        raise file_error(path, 'f', f'vertices from {faces.min()} to {faces.max()}',
                         f'indices in [0, {vertices})')
    return dict(v_template=template, shapedirs=shapedirs[..., :10], f=faces,
                parents=fields.read_parents(24),
                posedirs=fields.read('posedirs', vertices, 3, 207),
                J_regressor=fields.read('J_regressor', 24, vertices),
                weights=fields.read('weights', vertices, 24))


def read_joint_regressor(path: str, num_vertices: int | None = None) -> np.ndarray:
    """Read the regressor (17, V) of the H36M-17 joints from V vertices.

    Raises:
        AnnotationError: If it is missing or invalid.
    """
    return ArrayFile(find_smpl_file(path, 'joint_regressor')).read('regressor', 17, num_vertices)


def read_mean_params(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the mean pose (144,), 24 rotations in 6D, and the mean shape (10,).

    Raises:
        AnnotationError: If the file is missing or invalid.
    """
    fields = ArrayFile(find_smpl_file(path, 'mean_params'))
    return fields.read('pose', 144), fields.read('shape', 10)
