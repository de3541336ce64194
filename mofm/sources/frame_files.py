"""Readers of files that contain a video each, or a frame each."""
from pathlib import PurePosixPath

import numpy as np

from mofm.utils.untrusted import to_array

from .base import FolderSource, Source
from .frame_numbers import split_numbers
from .recognition import Sample

# Words before the number of a frame that name no video.
_FRAME_WORDS = {'', 'frame', 'frames', 'image', 'images', 'img', 'im'}


class FrameFiles(FolderSource):
    """Base class of readers of files that contain a video each, or a frame each.

    Files of one frame in a folder whose names differ in the number only are a video, named
    ``<folder>/<name without number>``, or ``<folder>`` if that is the same, or a word like
    ``frame``. If every file of a folder has another name around its number, they are one video.
    """

    def one_frame(self, sample: Sample) -> bool | None:
        """Return whether a file contains a single frame, by default not.

        Args:
            sample (Sample): The native file. It may raise for foreign content.

        Returns:
            bool or None: None if that cannot be told, e.g. for an empty list.
        """
        return False

    def label(self, filename: str) -> str:
        """Return the name of a file without suffix and what the program adds to every name."""
        return PurePosixPath(filename).stem

    def around(self, files: list[str]) -> list[tuple[str, str] | None]:
        """Return the names around the number of a frame, the same for all files of a video.

        Args:
            files (list[str]): All native files of a folder.
        """
        return split_numbers([self.label(self.tree.filename(file)) for file in files])

    def find(self) -> list[str]:
        """List files, and videos with a file per frame."""
        self.members = {}
        folders: dict[str, list[str]] = {}
        for file in Source.find(self):
            folders.setdefault(PurePosixPath(file).parent.as_posix(), []).append(file)
        for folder, files in folders.items():
            groups: dict[object, list[str]] = {}
            for file, around in zip(files, self.around(files), strict=True):
                groups.setdefault(around or file, []).append(file)
            if len(groups) > 1 and all(isinstance(around, tuple) and len(files) == 1
                                       for around, files in groups.items()):
                files = [file for group in groups.values() for file in group]
                groups = {('', ''): files} if self._are_frames(files) else groups
            for around, files in groups.items():
                if len(files) > 1 and self._are_frames(files):
                    self.members[self._unused(folder, around)] = files
                else:
                    self.members.update((file, [file]) for file in files)
        return sorted(self.members)

    def _are_frames(self, files) -> bool:
        """Return whether the first and last file contain a frame, and most of three between."""
        damaged, found = False, []
        for order in (files, files[::-1], *(files[len(files) * i // 4:] for i in (1, 2, 3))):
            for file in order:
                try:
                    one = self.one_frame(Sample(self.tree, file))
                except Exception:  # foreign or damaged; reported when the file is read
                    damaged, one = True, None
                if one is not None:
                    break
            else:
                if not found:
                    return not damaged
                continue
            if not one and len(found) < 2:
                return False
            found.append(bool(one))
        return sum(found[2:]) > 1

    def _unused(self, folder, around) -> str:
        """Return an unused name of a video of files."""
        name = ''.join(around).strip(' ._-')
        path = PurePosixPath(folder)
        alone = name.lower() in _FRAME_WORDS or name == (path.name or self._root())
        video = (path if alone else path / name).as_posix()
        while video in self.members:
            video += '_'
        return video

    def _root(self) -> str:
        root = self.path.absolute()
        return root.stem if root.is_file() else root.name

    def stem(self, name: str) -> str:
        """Return the name of a video: of its file, or of its files with a frame each."""
        if name == '.':
            return self._root()
        if self.members.get(name) != [name]:
            return name
        path = PurePosixPath(name or self.tree.filename(name))
        return path.with_name(self.label(path.name) or path.stem).as_posix()

    def numbers(self, name: str, field: str, values: object,
                shape: tuple[int | None, ...]) -> np.ndarray:
        """Convert numbers of poses, of which some may be missing: NaN, null or infinite.

        Args:
            name (str): The native file.
            field (str): Field for error messages.
            values (object): Nested lists or an array; the first axis is that of poses.
            shape (tuple[int or None]): Expected shape, None for any length.

        Returns:
            np.ndarray: float64, NaN where a number is missing.

        Raises:
            AnnotationError: If the values or their shape are different, or a pose has no number.
        """
        try:
            array = to_array(values)
        except (ValueError, TypeError, OverflowError):
            array = _with_nan(values)
        finite = np.isfinite(array) if isinstance(array, np.ndarray) else np.ones(())
        if finite.all():
            return self.array(name, field, array, shape)
        out = self.array(name, field, np.where(finite, array, 0), shape)
        infinite = np.isinf(array).reshape(len(array), -1).mean(1)
        if not finite.any() or (infinite >= .5).any():
            raise self.error(name, field, 'NaN or infinite values only', 'finite numbers')
        out[~finite] = np.nan
        self.note(name, f'joints with NaN, null or infinite {field} are missing')
        return out


def _with_nan(values):
    """Return nested lists with NaN for null and texts of it, as an array if they are numbers."""
    def replace(value):
        if isinstance(value, (list, tuple)):
            return [replace(item) for item in value]
        missing = value is None or isinstance(value, str) and value.lower() in ('nan', 'null')
        return np.nan if missing else value

    try:
        return to_array(replace(values))
    except (ValueError, TypeError, OverflowError):
        return values
