"""Safe unpickling of NumPy arrays, NumPy scalars and plain containers."""
import math
import pickle
import re
from collections import OrderedDict

import numpy as np


class RefusedPickle(ValueError):
    """Error about a pickle with an object that is not allowed."""


class _DType:
    """Replacement of `numpy.dtype` for numbers and text, without types that have pointers."""

    def __init__(self, code, *_):
        if not re.fullmatch(r'[biuf]\d{1,2}|U\d{1,6}', code):
            raise RefusedPickle(f'refused the array type {code!r}: only numbers and text are '
                                'allowed')
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        if state[1] in ('<', '>'):
            self.dtype = self.dtype.newbyteorder(state[1])


class UnpickledArray(np.ndarray):
    """Array under construction, pickled as a plain array."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        if not isinstance(raw, bytes) or math.prod(shape) * dtype.dtype.itemsize != len(raw):
            raise RefusedPickle(f'array of shape {shape} does not match its data')
        super().__setstate__((1, shape, dtype.dtype, bool(fortran), raw))

    def __reduce_ex__(self, protocol):
        return self.view(np.ndarray).__reduce_ex__(protocol)


class _NDArray:
    """Replacement of `numpy.ndarray`, which could build arrays of raw pointers if called."""

    def __new__(cls, *args):
        raise RefusedPickle('refused a call of numpy.ndarray')


def _reconstruct(*_):
    return np.ndarray.__new__(UnpickledArray, (0,), 'b')


def _scalar(dtype, raw):
    return np.frombuffer(raw, dtype.dtype, 1)[0]


def _frombuffer(raw, dtype, shape, order, axis_order=None):
    array = np.frombuffer(raw, dtype.dtype)
    if order == 'K' and axis_order is not None:
        return array.reshape(shape).transpose(axis_order)
    return array.reshape(shape, order=order)


def _bytearray(raw=b''):
    if not isinstance(raw, bytes):
        raise RefusedPickle('refused a call of bytearray with other than bytes')
    return bytearray(raw)


_ALLOWED = {
    ('numpy', 'dtype'): _DType,
    ('numpy', 'ndarray'): _NDArray,
    ('_codecs', 'encode'): lambda text, _='latin1': text.encode('latin1'),
    ('collections', 'OrderedDict'): OrderedDict,
    **{(f'numpy.{core}.{module}', name): function for core in ('core', '_core')
       for module, name, function in (('multiarray', '_reconstruct', _reconstruct),
                                      ('multiarray', 'scalar', _scalar),
                                      ('numeric', '_frombuffer', _frombuffer))},
    **{(builtins, kind.__name__): kind for builtins in ('builtins', '__builtin__')
       for kind in (set, frozenset)},
    **{(builtins, 'bytearray'): _bytearray for builtins in ('builtins', '__builtin__')},
}


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler of NumPy arrays, NumPy scalars and plain containers with safe constructors.

    NumPy's own constructors are unsafe: `numpy.ndarray` and the state of `numpy.dtype` can build
    an array of arbitrary object pointers.
    """

    def find_class(self, module, name):
        """Return the safe replacement of a class.

        Raises:
            RefusedPickle: If the class is not allowed.
        """
        if (module, name) not in _ALLOWED:
            raise RefusedPickle(
                f'refused the class {module}.{name}: a pickle can run any code, so only NumPy '
                'arrays and plain containers are read. Do not open the file with pickle.load '
                'unless you trust its origin')
        return _ALLOWED[module, name]
