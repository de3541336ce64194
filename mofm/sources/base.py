"""What every reader of an outside format has in common."""
import zipfile
from pathlib import Path
from typing import Iterator, List, Tuple, Union

from mofm.datasets.annotation import AnnotationError, Problem, validate


class Source:
    """Native files, read one at a time, as annotations of the one schema in COCO-17 order.

    Iterating yields ``(annotation, splits)``: the annotation and the names of the splits it is
    in. A reader sets the class attributes and writes :meth:`read`. A file that cannot be used is
    left out and its reason kept in :attr:`problems`.

    Args:
        path (str or Path): A zip file or a folder.
        strict (bool): Raise at the first bad file instead.

    Raises:
        AnnotationError: If the path holds no such files.
    """

    suffix: str = ''
    #: Larger files are refused, in bytes.
    max_size: int = 2**26
    #: Names of the labels 0, 1, ...
    classes: Tuple[str, ...] = ()

    def __init__(self, path: Union[str, Path], strict: bool = False):
        self.path = Path(path)
        self.strict = strict
        self.problems: List[AnnotationError] = []
        try:
            if self.path.is_dir():
                files = [f.relative_to(self.path) for f in self.path.rglob('*' + self.suffix)]
            else:
                with zipfile.ZipFile(self.path) as archive:
                    files = [Path(f) for f in archive.namelist()]
        except (OSError, zipfile.BadZipFile) as error:
            raise AnnotationError(f'{self.path}: is neither a folder nor a readable zip file '
                                  f'({error})') from None
        self.files = sorted(f.as_posix() for f in files
                            if f.suffix == self.suffix and not f.name.startswith('.'))
        if not self.files:
            raise AnnotationError(f'{self.path}: found no {self.suffix} file, expected those of '
                                  f'{type(self).__name__}')

    def read(self, name: str, content: bytes) -> Tuple[dict, Tuple[str, ...]]:
        """Turn one native file into an annotation.

        Args:
            name (str): Path inside the folder or zip file.
            content (bytes): What the file holds.

        Returns:
            tuple[dict, tuple[str]]: The annotation and its splits.

        Raises:
            AnnotationError: If the file is not as expected.
        """
        raise NotImplementedError

    def error(self, name: str, field: str, found: object, expected: object) -> AnnotationError:
        """The error to raise about ``field`` of the native file ``name``."""
        return AnnotationError(Problem(f'{self.path}:{name}', None, field, str(found),
                                       str(expected)))

    def _content(self, name: str, archive) -> bytes:
        try:
            with (archive.open(name) if archive else open(self.path / name, 'rb')) as f:
                content = f.read(self.max_size + 1)
        except Exception as error:  # zipfile raises many kinds for damaged members
            raise self.error(name, 'file', f'{type(error).__name__}: {error}', 'a readable file')
        if len(content) > self.max_size:
            raise self.error(name, 'file', f'more than {self.max_size} bytes',
                             f'a {self.suffix} file of usual size')
        return content

    def __iter__(self) -> Iterator[Tuple[dict, Tuple[str, ...]]]:
        self.problems.clear()
        archive = None if self.path.is_dir() else zipfile.ZipFile(self.path)
        try:
            for name in self.files:
                try:
                    ann, splits = self.read(name, self._content(name, archive))
                    problem = validate(ann, num_classes=len(self.classes), allow_empty=True,
                                       file=f'{self.path}:{name}', index=None)
                    if problem is not None:
                        raise AnnotationError(problem)
                except AnnotationError as error:
                    if self.strict:
                        raise
                    self.problems.append(error)
                else:
                    yield ann, splits
        finally:
            if archive:
                archive.close()

    def __len__(self) -> int:
        """Number of native files."""
        return len(self.files)
