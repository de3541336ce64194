"""Memory of the process."""

import ctypes


def release_freed_memory():
    """Return freed small blocks to the system, which glibc keeps."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        pass
