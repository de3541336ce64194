"""Files that appear complete or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that appears complete, when the block ends, or not at all.

    It is written as ``NAME.<random>.tmp`` in the same folder and renamed after a flush to the
    disk. A symbolic link stays one.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f'{path.name}.{uuid.uuid4().hex[:8]}.tmp')
    try:
        with temporary.open('xb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
