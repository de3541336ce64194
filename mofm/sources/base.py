"""Base classes of readers."""
import sys
import traceback
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from mofm.annotations import AnnotationError, Problem, validate
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe, show
from mofm.utils.file_tree import FileTree

from .lists import Lists, Lookup
from .native_files import NativeFiles
from .recognition import Sample, match, samples

Item = tuple[dict, tuple[str, ...]]

#: What the problem of a file says if its reader raised any other error.
FAULT = 'a fault of the reader, which raises AnnotationError for bad files'


class Source(NativeFiles):
    """Base class of readers, which convert native files one by one to COCO-17 annotations.

    Iterating yields ``(annotation, splits)``, where ``splits`` names the splits of the annotation.
    A subclass sets the class attributes and implements :meth:`read`. Invalid files are skipped and
    their errors appended to :attr:`problems`.

    Args:
        path (str or Path): A folder, a zip file, or one native file.
        strict (bool): Raise at the first invalid file instead of skipping it.
        lists (Mapping[str, str or Path] or Sequence[tuple], optional): For files without labels:
            text files with lines ``NAME LABEL`` by split, as in mmaction2. Unlisted recordings are
            skipped. By default all recordings have label 0 and no split.

    Raises:
        AnnotationError: If the path has no such files or a list is invalid.
    """

    #: Prefix and suffix, or suffixes, of native files, in lower case; others are passed over.
    prefix: str = ''
    suffix: str | tuple[str, ...] = ''
    #: Patterns of the names, in lower case, of other files that the reader reads.
    companions: tuple[str, ...] = ()
    #: Names of the labels 0, 1, ...; empty if the files have none.
    classes: tuple[str, ...] = ()
    #: Layout and coordinates of the joints in the annotations.
    out_layout: str = 'coco17'
    dims: int = 2

    def __init__(self, path: str | Path, strict: bool = False,
                 lists: Mapping[str, str | Path] | Sequence | None = None):
        self.path = Path(path)
        self.strict = strict
        self.start()
        self.lists = Lists(lists) if lists else None
        try:
            self.tree = FileTree(self.path)
        except Exception as error:  # archives raise many kinds for damaged directories
            raise AnnotationError(f'{self.path}: is neither a folder nor a readable archive or '
                                  f'file ({describe(error)})') from None
        self.files = self.find()
        if not self.files:
            suffixes = self.suffix if isinstance(self.suffix, str) else ' or '.join(self.suffix)
            kind = f'{self.prefix}*{suffixes}' if suffixes[:1] != '.' or self.prefix else suffixes
            raise AnnotationError(f'{self.path}: found no {kind} file, expected those of '
                                  f'{type(self).__name__}{self.others_that_fit()}')
        self._note_others()

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """Add the options of the reader to ``tools/data/prepare.py``."""
        parser.add_argument('--strict', action='store_true', help='stop at the first invalid file')
        if not cls.classes:
            parser.add_argument('--list', nargs=2, action='append', dest='lists',
                                metavar=('SPLIT', 'FILE'),
                                help='text file with lines NAME LABEL; once or more per split')

    @classmethod
    def from_options(cls, path: str | Path, **options) -> 'Source':
        """Build the reader from the parsed options of :meth:`add_options`.

        Raises:
            AnnotationError: See the class.
            ValueError: If an option is out of range.
        """
        return cls(path, **options)

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """Return in a few words why a file looks like those of the reader.

        It is offered files with the suffixes of the reader. It may raise for foreign content.

        Args:
            sample (Sample): A file of a folder, an archive, or a single one.

        Returns:
            str or None: E.g. "a list of persons with 'image_id' and 'keypoints'"; None for files
            of other kinds.
        """
        return None

    def others_that_fit(self) -> str:
        """Return a hint at the readers that recognize the path, if any but this one does."""
        try:
            matches = match(samples(self.path))
        except Exception:  # archives raise many kinds for damaged members
            return ''
        found = [one for one in matches if not isinstance(self, SOURCES.get(one.source))]
        return ''.join(f'; it looks like {one.reason}: source {one.source}' for one in found[:3])

    def find(self) -> list[str]:
        """List the native files in the folder or archive, sorted."""
        return [name for name in self.tree.names if self.is_native(self.tree.filename(name))]

    def used(self) -> Iterable[str]:
        """Return the names in the tree that :attr:`files` stand for, others are passed over."""
        return self.files

    def is_native(self, filename: str) -> bool:
        """Return whether a file has prefix and suffix of the native ones, in any case."""
        filename = filename.lower()
        return filename.endswith(self.suffix) and filename.startswith(self.prefix.lower())

    def _note_others(self):
        """Note how many files of other kinds there are."""
        names = [name for name in sorted(set(self.tree.names) - set(self.used()))
                 if not any(fnmatchcase(self.tree.filename(name).lower(), pattern)
                            for pattern in self.companions)]
        kinds = Counter(PurePosixPath(name).suffix.lower() or 'no suffix' for name in names)
        if kinds:
            few = ', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items())[:8])
            self.note(names[0], f'files of other kinds are passed over: {few}'
                      + ', ...' * (len(kinds) > 8))
        for name in self.tree.twice:
            self.note(name, 'a .gz file is passed over for the file of its name beside it')

    def read(self, name: str, content: bytes) -> Item:
        """Convert one native file to an annotation.

        Args:
            name (str): Path inside the folder or zip file; empty if :attr:`path` is the file.
            content (bytes): Content of the file.

        Returns:
            tuple[dict, tuple[str]]: The annotation and its splits.

        Raises:
            AnnotationError: If the file is invalid.
        """
        raise NotImplementedError

    def annotations(self, name: str, content: bytes) -> Iterable[Item]:
        """Return all annotations of one native file; by default the one of :meth:`read`."""
        return [self.read(name, content)]

    def stem(self, name: str) -> str:
        """Return the path of a native file without suffix, the default name of a recording."""
        path = PurePosixPath(name or self.tree.filename(name))
        return path.with_suffix('').as_posix()

    def listed(self, name: str) -> tuple[int, tuple[str, ...]] | None:
        """Look up label and splits of a recording in the lists.

        Args:
            name (str): The recording; for the rules see :class:`mofm.sources.lists.Lists`.

        Returns:
            tuple[int, tuple[str]] or None: None if there are lists and none contains it.
        """
        file, _ = self.position
        self.position = file, name
        if self.lists is None:
            return 0, ()
        lookup = self.lookups.get((file, name))
        if lookup is None:
            lookup = self.lookups[file, name] = Lookup(file, name, *self.lists.find(
                self._paths(file, name)))
            if lookup.lines and self.lists.value(lookup.lines) is None:
                lines = ' and '.join(str(self.lists.lines[i]) for i in lookup.lines[:3])
                self.report(self.error(file, 'list', f'different lines for {name!r}: {lines}',
                                       'one, or the same label and splits'))
        return self.lists.value(lookup.lines)

    def _paths(self, file: str, name: str) -> list[str]:
        """Return the names that lists may have for a recording: full path, own name, its file."""
        folder = PurePosixPath(file).parent
        inside = PurePosixPath(name).is_relative_to(folder)
        return [name if inside else (folder / name).as_posix(), name,
                file or self.tree.filename(file)]

    def report(self, error: AnnotationError, skipped: str = 'recordings'):
        """Append an error to :attr:`problems`, or raise it if ``strict``.

        Args:
            error (AnnotationError): What is wrong.
            skipped (str): What is skipped because of it: 'recordings', 'files' or 'frames'.
        """
        if self.strict:
            raise error
        self.problems.append(error)
        self.skipped[skipped] += 1

    def start(self):
        """Forget what was found in the files read so far."""
        self.problems: list[AnnotationError] = []
        #: Number of what was skipped because of problems: files, recordings, frames.
        self.skipped: Counter = Counter()
        #: What was taken for granted or passed over: text -> first file and number of files.
        #: :func:`mofm.sources.prepare.prepare` collects those of all processes.
        self.notes: dict[str, tuple[str, int]] = {}
        self._noted: dict[str, str] = {}  # the last file of each note
        #: What the lists say, by native file and recording.
        self.lookups: dict[tuple[str, str], Lookup] = {}
        #: Native file and recording of the current annotation.
        self.position: tuple[str, str | None] = '', None

    def check_path(self, name: str, field: str, path: str):
        """Check that a name is a path inside a folder and can be encoded.

        Raises:
            AnnotationError: If not.
        """
        if not is_inside(path):
            raise self.error(name, field, repr(path), 'a path inside the folder')

    def check(self, ann: dict, file: str, index: int | None = None) -> Problem | None:
        """Check an annotation of this reader, see :func:`validate`."""
        return validate(ann, LAYOUTS[self.out_layout].num_joints, len(self.classes) or None, True,
                        file, index, self.dims)

    def load(self, name: str):
        """Load the content of the native file ``name`` for :meth:`annotations`."""
        return self.file_content(name)

    def convert(self, names: Sequence[str]) -> Iterator[Item]:
        """Convert some of :attr:`files`; :attr:`problems` then lists the skipped ones.

        Raises:
            AnnotationError: At the first invalid file, if ``strict``.
        """
        self.problems.clear()
        self.skipped.clear()
        try:
            for name in names:
                items = []
                self.position = name, None
                try:
                    self.check_path(name, 'file', name)
                    for ann, splits in self.annotations(name, self.load(name)):
                        items.append((ann, splits, self.position))
                        if isinstance(splits, str) or not all(isinstance(s, str) for s in splits):
                            raise TypeError(f'splits: found {show(splits)}, expected a tuple of '
                                            'names')
                        self.check_path(name, 'frame_dir', ann['frame_dir'])
                        problem = self.check(ann, self.tree.where(name))
                        if problem is not None:
                            raise AnnotationError(problem)
                except MemoryError:
                    raise
                except Exception as error:  # one file of a reader of others must not end the run
                    self._skip(name, error)
                else:
                    for ann, splits, self.position in items:
                        yield ann, splits
        finally:
            self.tree.close()

    def _skip(self, name: str, error: Exception):
        """Report the error of a file; the lines of lists that name it are no typing errors."""
        if self.lists is not None:
            stem = self.stem(name)
            found = self.lists.find(self._paths(name, stem))
            self.lookups.setdefault((name, stem), Lookup(name, stem, *found, valid=False))
        self.report(error if isinstance(error, AnnotationError) else self._fault(name, error),
                    'files')

    def _fault(self, name: str, error: Exception) -> AnnotationError:
        """Return the error about an exception that the reader did not foresee, and its line."""
        frames = traceback.extract_tb(error.__traceback__)
        module = getattr(sys.modules[type(self).__module__], '__file__', None)
        frame = [frame for frame in frames if frame.filename == module] or frames
        where = f'{PurePath(frame[-1].filename).name}, line {frame[-1].lineno}'
        fault = self.error(name, 'file', f'{describe(error)} in {where}', f'annotations: {FAULT}')
        fault.__cause__ = error
        return fault

    def __iter__(self) -> Iterator[Item]:
        return self.convert(self.files)

    def __len__(self) -> int:
        """Return the number of annotations if all files are valid and have one each."""
        return len(self.files)


class FolderSource(Source):
    """Base class of readers of recordings with one native file per frame.

    :attr:`files` are the folders. :meth:`annotations` gets a lazy iterator over names (without
    folders) and contents of the files of one folder, sorted by name.
    """

    def find(self) -> list[str]:
        """List folders with native files."""
        self.members: dict[str, list[str]] = {}
        for file in super().find():
            self.members.setdefault(self.folder(file) if file else '', []).append(file)
        return sorted(self.members)

    def used(self) -> Iterable[str]:
        """See :meth:`Source.used`."""
        return (file for name in self.files for file in self.members[name])

    def folder(self, file: str) -> str:
        """Return the recording that a native file belongs to, by default its folder."""
        return PurePosixPath(file).parent.as_posix()

    def stem(self, name: str) -> str:
        """Return the name of the recording: its folder, or its file without suffix."""
        if self.members.get(name) == [name]:
            return super().stem(name)
        return self.tree.title if name in ('', '.') else name

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterable[Item]:
        """Return all annotations of one folder."""
        raise NotImplementedError

    def load(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Yield names and contents of the files of the folder ``name``."""
        for file in self.members[name]:
            yield PurePosixPath(file).name, self.file_content(file)


def is_inside(name: str) -> bool:
    """Return whether a relative path stays inside its folder on any operating system."""
    path = PureWindowsPath(name)  # accepts both separators
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not path.anchor and '..' not in path.parts


def image_size(text: str) -> tuple[int, int]:
    """Parse ``WIDTHxHEIGHT`` to height and width."""
    width, height = map(int, text.split('x'))
    return height, width
