"""Variables of MATLAB 5 files, after a look at their declared sizes."""
import io
import math
from collections.abc import Sequence

import numpy as np

from mofm.utils.checks import describe

from .base import Source

# MATLAB types that are not nested.
_KINDS = frozenset(('char', 'double', 'single', 'logical', 'int8', 'uint8', 'int16', 'uint16',
                    'int32', 'uint32', 'int64', 'uint64'))
_MAX_VALUES = 10**7


def read_mat(source: Source, name: str, content: bytes,
             fields: Sequence[str]) -> dict[str, np.ndarray]:
    """Load some variables of a ``.mat`` file.

    Args:
        source (Source): The reader.
        name (str): The native file.
        content (bytes): Its content.
        fields (Sequence[str]): Names of the variables.

    Returns:
        dict[str, np.ndarray]: Numbers or characters by name.

    Raises:
        AnnotationError: If the file is invalid, or a variable is missing, nested or too large.
    """
    from scipy.io import loadmat, whosmat

    try:
        refused = [(field, shape, kind) for field, shape, kind in whosmat(io.BytesIO(content))
                   if field in fields
                   and (kind not in _KINDS or math.prod(shape) > _MAX_VALUES)]
        mat = {} if refused else loadmat(io.BytesIO(content), variable_names=fields)
    except Exception as error:  # the parser raises many kinds for damaged bytes
        raise source.error(name, 'file', describe(error), 'a readable MATLAB 5 file') from error
    for field, shape, kind in refused:
        raise source.error(name, field, f'{kind} of shape {shape}',
                           f'finite numbers or characters, at most {_MAX_VALUES}')
    for field in fields:
        if field not in mat:
            raise source.error(name, field, 'nothing', 'this field')
    return mat


def has_variables(head: bytes, fields: Sequence[str]) -> bool:
    """Return whether the beginning of a file is that of a MATLAB 5 file with some variables."""
    from scipy.io import whosmat

    return head.startswith(b'MATLAB 5.0') and set(fields) <= {
        name for name, _, _ in whosmat(io.BytesIO(head))}
