"""Checks of arguments, with messages that say what was found and what was expected."""

import reprlib
from collections.abc import Iterable

import numpy as np

from .limits import get_limits


class _Short(reprlib.Repr):
    """Short texts, also of subclasses of containers, which its base class prints in full."""

    def repr_instance(self, x, level):
        """Format a value of any other class."""
        if hasattr(x, 'shape') and hasattr(x, 'dtype') and not isinstance(x, np.generic):
            kind = 'array' if isinstance(x, np.ndarray) else 'tensor'
            return f'{kind} of shape {tuple(x.shape)} and type {x.dtype}'
        for kind in (dict, list, tuple, set, frozenset):
            if isinstance(x, kind):
                return getattr(self, f'repr_{kind.__name__}')(x, level)
        if isinstance(x, (bytes, bytearray)):
            x = x[:self.maxother]
        return super().repr_instance(x, level)


_short = _Short()
_short.maxlevel = 3
_short.maxlist = _short.maxtuple = _short.maxdict = 10
_short.maxstring = _short.maxother = 120
# arguments of an error whose message is short and has no containers
_FLAT = {str, bytes, int, float, bool, type(None)}


def show(value: object) -> str:
    """Format a value of a foreign file for a message, in at most 300 characters.

    Its ``repr`` could take all memory, as nested containers may share their items, or fail.
    """
    try:
        if isinstance(value, SyntaxError) or isinstance(value, Exception) and all(
                type(arg) in _FLAT for arg in value.args):
            text = str(value)
        elif isinstance(value, Exception):
            text = _short.repr(value.args)
        else:
            text = str(value) if isinstance(value, (np.dtype, np.generic)) else _short.repr(value)
    except Exception:  # Python refuses to print integers of thousands of digits
        return type(value).__name__
    return text if len(text) <= 300 else f'{text[:297]}...'


def typed(value: object) -> str:
    """Format type and value, e.g. ``int -3``, for a message about a value of another type."""
    text = show(value)
    return text if value is None or hasattr(value, 'dtype') else f'{type(value).__name__} {text}'


def first_other(values: Iterable, kind: type | tuple[type, ...]) -> str:
    """Format the first value of another type, with its index, for a message."""
    index, value = next((i, v) for i, v in enumerate(values) if not isinstance(v, kind))
    return f'{typed(value)} at index {index}'


def describe(error: Exception) -> str:
    """Format kind and message of an error for another message."""
    return f'{type(error).__name__}: {show(error)}'


def found_expected(where: object, field: str, found: object, expected: object) -> str:
    """Format the message of an error about a value.

    Args:
        where (object): File, class or function.
        field (str): Name of the parameter or entry.
        found (object): Its value, truncated to 300 characters.
        expected (object): Valid values, and how to fix it.
    """
    found = found if isinstance(found, str) else show(found)
    text = (f'{where}: {field}: found {found[:300]}{"..." if len(found) > 300 else ""}, expected '
            f'{expected}')
    return text.encode(errors='backslashreplace').decode()  # lone surrogates cannot be printed


def require(condition: bool, owner, field: str, found, expected: str):
    """Raise a ValueError that names class, field, found and expected value.

    Args:
        condition (bool): Whether the value is valid.
        owner (object): Object that checks, e.g. a transform.
        field (str): Name of the parameter or of the entry of the annotation.
        found (object): Its value, or the relevant part.
        expected (str): Valid values, and how to fix it.

    Raises:
        ValueError: If the condition is false.
    """
    if not condition:
        raise ValueError(found_expected(type(owner).__name__, field, show(found), expected))


def is_int(value, low: int, high: int = 2**63 - 1) -> bool:
    """Return whether a parameter is an integer in [low, high], by default of 64 bits."""
    return (isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            and low <= value <= high)


def require_count(owner, field: str, found, kind: str):
    """Raise a ValueError unless a parameter is an integer from 1 to a limit.

    Args:
        owner (object): Object that checks.
        field (str): Name of the parameter.
        found (object): Its value.
        kind (str): Name of the limit, see :class:`mofm.utils.limits.Limits`.
    """
    most = getattr(get_limits(), kind)
    require(is_int(found, 1, most), owner, field, found,
            f'an integer of at least 1 and at most {most}, which MOFM_LIMITS={kind}=N changes')


def is_number(value, low: float, high: float = 1e18) -> bool:
    """Return whether a parameter is a number in [low, high], which NaN is not."""
    return isinstance(value, (int, float, np.number)) and bool(low <= value <= high)


def is_range(value, low: float, high: float = 1e18) -> bool:
    """Return whether a parameter is a pair of numbers with low <= first <= second <= high."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and is_number(
        value[0], low, high) and is_number(value[1], value[0], high)
