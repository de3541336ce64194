"""Memory of the process."""

import contextlib
import ctypes


def release_freed_memory():
    """Return freed small blocks, which glibc keeps, to the system."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory():
    """Let glibc keep freed large blocks for the next ones of this process.

    Otherwise every tensor of more than 32 MiB is mapped and zeroed page by page anew.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no block outside of the heap
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: up to 2 GiB at the end of the heap
