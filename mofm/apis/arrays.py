"""Arrays of callers: NumPy arrays of any kind, masked arrays, tensors and nested lists."""

from typing import Any

import numpy as np
import torch


def to_floats(value: Any) -> np.ndarray:
    """Convert numbers to an array of floats of the machine, NaN where they are masked.

    Args:
        value (Any): float16, float32 and float64 are kept; other numbers become float32.

    Raises:
        TypeError: If these are no real numbers; the message is what was found.
    """
    try:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except Exception as error:  # tensors without values, ragged lists, faults of other classes
        raise TypeError(f'{type(value).__name__} ({type(error).__name__}: {error})') from None
    if array.dtype.kind not in 'fiub' or isinstance(value, (str, bytes)) or value is None:
        raise TypeError(type(value).__name__ if array.dtype == object and not array.ndim else
                        f'{array.dtype} of shape {array.shape}')
    kind = array.dtype.newbyteorder('=') if array.dtype.kind == 'f' else np.dtype(np.float32)
    kind = np.dtype(np.float64) if kind.itemsize > 8 else kind
    if isinstance(array, np.ma.MaskedArray):
        return np.ma.filled(array.astype(kind), np.nan)
    return np.asarray(array, kind).view(np.ndarray)
