"""File backend with atomic writes, so that a killed run leaves the last checkpoint intact."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.fileio.io import backend_instances

from mofm.utils.files import atomic_write


class AtomicLocalBackend(LocalBackend):
    """MMEngine's backend for local files such as checkpoints, with atomic writes."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file, whose folder is made if needed."""
        path = Path(os.path.realpath(filepath))
        if path.exists() and not path.is_file():  # a pipe, /dev/stdout
            super().put(obj, path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to a file, whose folder is made if needed."""
        self.put(obj.encode(encoding), filepath)


register_backend('local', AtomicLocalBackend, force=True, prefixes='')
backend_instances.clear()  # MMEngine caches them
