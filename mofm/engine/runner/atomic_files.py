"""Files are written as a whole or not at all: a killed run leaves the last checkpoint intact."""

import os
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.fileio import LocalBackend, register_backend
from mmengine.fileio.io import backend_instances


class AtomicLocalBackend(LocalBackend):
    """MMEngine's backend for local files, for checkpoints among others.

    A file is written as ``NAME.RANK.tmp`` next to its place and renamed when it is on the disk.
    What a killed process leaves is overwritten by the next one.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file, whose folder is made if needed."""
        path = os.path.realpath(filepath)  # a link stays one
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe, /dev/stdout
            super().put(obj, path)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        unfinished = f'{path}.{get_rank()}.tmp'  # every rank writes the metrics of a test
        try:
            with open(unfinished, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to a file, whose folder is made if needed."""
        self.put(obj.encode(encoding), filepath)


register_backend('local', AtomicLocalBackend, force=True, prefixes='')
backend_instances.clear()  # MMEngine keeps those it has used, the old one maybe
