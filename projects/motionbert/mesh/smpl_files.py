"""Reading the files of SMPL, which are licensed and the user's, without trusting them."""

from pathlib import Path

import numpy as np
from scipy import sparse

from mofm.annotations.unpickling import RefusedPickle, RestrictedUnpickler, UnpickledArray

#: What the files are and where they come from, by the field of a config that names them.
_ORIGIN = dict(
    model_path='the neutral SMPL model, SMPL_NEUTRAL.pkl or .npz, after registration from '
    'https://smplify.is.tue.mpg.de (basicModel_neutral_lbs_10_207_0_v1.0.0.pkl, renamed) or '
    'https://smpl.is.tue.mpg.de',
    joint_regressor='J_regressor_h36m_correct.npy, (17, 6890), from the mesh data of MotionBERT, '
    'https://github.com/Walter0807/MotionBERT/blob/main/docs/mesh.md',
    mean_params='smpl_mean_params.npz of SPIN, from the data of '
    'https://github.com/nkolot/SPIN or the mesh data of MotionBERT')


class SMPLFileError(ValueError):
    """A file of SMPL that is missing or cannot be used."""


def find_smpl_file(path: str, field: str) -> Path:
    """The file that a config names.

    Args:
        path (str): Where it should be.
        field (str): Field of the config: ``model_path``, ``joint_regressor`` or ``mean_params``.

    Raises:
        SMPLFileError: If there is none; says what the file is, and where it comes from.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise SMPLFileError(f'{path}: no such file; {field} expects {_ORIGIN[field]}. It may not '
                            f'be passed on, so fetch it yourself, and set {field} to its path')
    return path


class _Array(UnpickledArray):
    """Array that Python 2 may have written, with its data as text."""

    def __setstate__(self, state):
        *rest, raw = state
        super().__setstate__((*rest, raw.encode('latin1') if isinstance(raw, str) else raw))


class _Object:
    """Stands for an object of another library: what it holds, and none of what it does."""

    def __setstate__(self, state):
        self.state = state


class _Sparse(_Object):
    """``scipy.sparse.csc_matrix``."""

    def array(self):
        state = self.state
        parts = tuple(np.asarray(state[name]) for name in ('data', 'indices', 'indptr'))
        matrix = sparse.csc_matrix(parts, state['_shape'])
        matrix.check_format(full_check=True)  # SciPy would read past the end of the arrays
        return matrix.toarray()


class _Chumpy(_Object):
    """``chumpy.ch.Ch``, an array."""

    def array(self):
        return _dense(self.state['x'])


class _ChumpySelection(_Object):
    """``chumpy.reordering.Select``, a part of an array."""

    def array(self):
        picked = _dense(self.state['a']).ravel()[_dense(self.state['idxs'])]
        return picked.reshape(self.state['preferred_shape'])


def _dense(value):
    return value.array() if isinstance(value, _Object) else np.asarray(value)


def _reconstruct_array(*_):
    return np.ndarray.__new__(_Array, (0, ), 'b')


def _reconstruct_object(kind, *_):
    if not (isinstance(kind, type) and issubclass(kind, _Object)):
        raise RefusedPickle(f'refused to make an object of {kind!r}')
    return kind()


_ALLOWED = {
    **{(f'numpy.{core}.multiarray', '_reconstruct'): _reconstruct_array
       for core in ('core', '_core')},
    **{(f'scipy.sparse{module}', 'csc_matrix'): _Sparse for module in ('', '.csc', '._csc')},
    ('chumpy.ch', 'Ch'): _Chumpy,
    ('chumpy.reordering', 'Select'): _ChumpySelection,
    ('copyreg', '_reconstructor'): _reconstruct_object,
    ('builtins', 'object'): object(),  # an argument of the former, never called
}


class SMPLUnpickler(RestrictedUnpickler):
    """Also reads sparse matrices and chumpy's arrays, as data; neither library is called."""

    def find_class(self, module, name):
        """The stand-in for a class, see :class:`RestrictedUnpickler`."""
        module = dict(copy_reg='copyreg', __builtin__='builtins').get(module, module)
        return _ALLOWED.get((module, name)) or super().find_class(module, name)


class _Fields:
    """The arrays of a file by name.

    Raises:
        SMPLFileError: If the file cannot be read, or an array is missing or not as it should be.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            if path.suffix in ('.npz', '.npy'):
                self.content = np.load(path, allow_pickle=False)
            else:
                with open(path, 'rb') as f:
                    self.content = dict(SMPLUnpickler(f, encoding='latin1').load())
        except RefusedPickle as error:
            raise SMPLFileError(f'{path}: {error}') from None
        except Exception as error:  # damaged bytes make the parsers raise nearly anything
            raise SMPLFileError(
                f'{path}: cannot be read, it may be truncated or no {path.suffix} file '
                f'({type(error).__name__}: {error}); fetch it again') from error

    def read(self, name: str, *shape: int | None, dtype: type = np.float32) -> np.ndarray:
        """An array of finite numbers; None in its ``shape`` is for any length."""
        content = {name: self.content} if isinstance(self.content, np.ndarray) else self.content
        if name not in content:
            raise SMPLFileError(f'{self.path}: {name}: found none among the fields '
                                f'{sorted(map(str, content))[:30]}, expected an array; fetch '
                                'the file from its owners')
        try:
            array = np.asarray(_dense(content[name]), dtype)
        except Exception as error:  # a hostile state makes the stand-ins raise nearly anything
            raise SMPLFileError(f'{self.path}: {name}: found no array of numbers '
                                f'({type(error).__name__}: {error})') from error
        expected = f'({", ".join("any" if n is None else str(n) for n in shape)})'
        if array.ndim != len(shape) or any(
                want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
            raise SMPLFileError(f'{self.path}: {name}: found shape {array.shape}, expected '
                                f'{expected}')
        if not np.isfinite(array).all():
            raise SMPLFileError(f'{self.path}: {name}: found values that are not finite')
        return array


def read_smpl(path: str) -> dict[str, np.ndarray]:
    """Read an SMPL model.

    Args:
        path (str): The official ``.pkl`` file, as published or without chumpy, or an ``.npz``
            file with the same fields.

    Returns:
        dict: ``v_template`` (V, 3) meters, ``shapedirs`` (V, 3, 10), ``posedirs`` (V, 3, 207),
        ``J_regressor`` (24, V), ``weights`` (V, 24) float32, ``parents`` (24,) int64, -1 for
        the root, and ``f`` (F, 3) int64, vertices of each triangle.

    Raises:
        SMPLFileError: If it is missing, or not as it should be.
    """
    fields = _Fields(find_smpl_file(path, 'model_path'))
    template = fields.read('v_template', None, 3)
    vertices = len(template)
    parents = fields.read('kintree_table', 2, 24, dtype=np.int64)[0]
    parents[0] = -1  # as an unsigned number in the file
    if not ((parents[1:] >= 0) & (parents[1:] < np.arange(1, 24))).all():
        raise SMPLFileError(f'{fields.path}: kintree_table: found parents {parents.tolist()}, '
                            'expected that every joint comes after its parent')
    shapedirs = fields.read('shapedirs', vertices, 3, None)
    if shapedirs.shape[2] < 10:
        raise SMPLFileError(f'{fields.path}: shapedirs: found {shapedirs.shape[2]} shapes, '
                            'expected at least 10')
    faces = fields.read('f', None, 3, dtype=np.int64)
    if not ((faces >= 0) & (faces < vertices)).all():
        raise SMPLFileError(f'{fields.path}: f: found vertices from {faces.min()} to '
                            f'{faces.max()}, expected them in [0, {vertices})')
    return dict(v_template=template, shapedirs=shapedirs[..., :10], parents=parents, f=faces,
                posedirs=fields.read('posedirs', vertices, 3, 207),
                J_regressor=fields.read('J_regressor', 24, vertices),
                weights=fields.read('weights', vertices, 24))


def read_joint_regressor(path: str, num_vertices: int) -> np.ndarray:
    """Read the regressor (17, V) of the H36M-17 joints from V vertices.

    Raises:
        SMPLFileError: If it is missing, or not as it should be.
    """
    return _Fields(find_smpl_file(path, 'joint_regressor')).read('regressor', 17, num_vertices)


def read_mean_params(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the mean pose (144,), 24 rotations of six numbers, and the mean shape (10,).

    Raises:
        SMPLFileError: If the file is missing, or not as it should be.
    """
    fields = _Fields(find_smpl_file(path, 'mean_params'))
    return fields.read('pose', 144), fields.read('shape', 10)
