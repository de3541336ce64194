"""Memory of the process."""

import contextlib
import ctypes


def release_freed_memory():
    """Return freed small blocks, which glibc keeps, to the system."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
