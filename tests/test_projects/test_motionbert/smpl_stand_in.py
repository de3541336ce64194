"""A body model in the structure of the official files, with few vertices and random blend shapes.

It is symmetric: vertex and joint ``i`` and their partners mirror each other in x.
"""

import pickle
import struct
import sys
import types

import numpy as np
from scipy import sparse

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
PARTNER = (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22)
H36M_PARTNER = (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13)


def make_fields(vertices=64, seed=0):
    """Create the fields of a model; vertex 2i + 1 is the mirror image of vertex 2i."""
    rng = np.random.default_rng(seed)
    half = vertices // 2
    mirror = np.arange(vertices).reshape(half, 2)[:, ::-1].ravel()

    def symmetric(*shape):  # (V, 3, ...): vectors that mirror each other
        left = rng.standard_normal((half, 3, *shape))
        right = left * np.array([-1, 1, 1]).reshape(3, *[1] * len(shape))
        return np.stack([left, right], 1).reshape(vertices, 3, *shape)

    def regressor(rows, partner):
        weight = rng.random((rows, vertices)) ** 8  # few vertices matter
        weight = weight + weight[list(partner)][:, mirror]
        return weight / weight.sum(1, keepdims=True)

    weights = rng.random((vertices, 24)) ** 8
    weights = weights + weights[mirror][:, list(PARTNER)]
    posedirs = rng.standard_normal((vertices, 3, 23, 3, 3))
    sign = np.array([-1, 1, 1])
    flipped = posedirs[mirror][:, :, np.array(PARTNER[1:]) - 1]
    flipped = flipped * sign[:, None, None, None] * (sign[:, None] * sign)
    tree = np.array([PARENTS, range(24)]).astype(np.uint32)  # the root's is 4294967295
    fields = dict(
        v_template=symmetric() / 2, shapedirs=0.03 * symmetric(10),
        posedirs=0.01 * (posedirs + flipped).reshape(vertices, 3, 207),
        J_regressor=regressor(24, PARTNER), weights=weights / weights.sum(1, keepdims=True),
        kintree_table=tree, f=rng.integers(vertices, size=(20, 3)).astype(np.uint32),
        bs_style='lbs', bs_type='lrotmin')
    return fields, regressor(17, H36M_PARTNER), mirror


class Python2Pickler(pickle._Pickler):
    """Pickler that writes text and array data as Python 2."""

    dispatch = pickle._Pickler.dispatch.copy()

    def _save_string(self, value):
        raw = value if isinstance(value, bytes) else value.encode()
        self.write(b'T' + struct.pack('<i', len(raw)) + raw)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = _save_string


def write_official(path, fields):
    """Write a Python 2 pickle with chumpy arrays and a sparse regressor, as published."""
    modules = {name: types.ModuleType(name) for name in ('chumpy', 'chumpy.ch',
                                                         'chumpy.reordering')}

    class Ch:
        pass

    class Select:
        pass

    for kind, module in ((Ch, 'chumpy.ch'), (Select, 'chumpy.reordering')):
        kind.__module__, kind.__qualname__ = module, kind.__name__
        setattr(modules[module], kind.__name__, kind)
    template, shapes = Ch(), Select()
    template.x = fields['v_template']
    template._dirty_vars = {'x'}
    more = np.concatenate([fields['shapedirs'], fields['shapedirs'][..., :3]], -1)
    shapes.a = Ch()
    shapes.a.x = more
    shapes.idxs = np.arange(more.size).reshape(more.shape)[..., :10].ravel()
    shapes.preferred_shape = (len(more), 3, 10)
    official = dict(fields, v_template=template, shapedirs=shapes,
                    J_regressor=sparse.csc_matrix(fields['J_regressor']))
    sys.modules.update(modules)
    try:
        with open(path, 'wb') as f:
            Python2Pickler(f, protocol=2).dump(official)
    finally:
        for name in modules:
            del sys.modules[name]


def write_smpl(folder, kind='.npz', vertices=64):
    """Write a model, the regressor of H36M-17 and mean parameters.

    Args:
        folder (Path): Where to.
        kind (str): ``'.npz'``, ``'.pkl'`` of Python 3, or ``'official.pkl'``.

    Returns:
        dict: ``model_path``, ``joint_regressor`` and ``mean_params``.
    """
    fields, regressor, _ = make_fields(vertices)
    path = folder / f'SMPL_NEUTRAL{kind}'
    if kind == '.npz':
        np.savez(path, **fields)
    elif kind == '.pkl':
        path.write_bytes(pickle.dumps(dict(
            fields, J_regressor=sparse.csc_matrix(fields['J_regressor']))))
    else:
        write_official(path, fields)
    np.save(folder / 'J_regressor_h36m_correct.npy', regressor)
    six = np.tile([1., 0, 0, 1, 0, 0], 24)
    np.savez(folder / 'smpl_mean_params.npz', pose=six, shape=np.linspace(-0.2, 0.3, 10),
             cam=np.array([0.9, 0, 0]))
    return dict(model_path=str(path),
                joint_regressor=str(folder / 'J_regressor_h36m_correct.npy'),
                mean_params=str(folder / 'smpl_mean_params.npz'))
