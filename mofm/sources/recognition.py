"""Which reader fits a file, a folder or an archive, by a look at a few of its files."""

import io
import re
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, wraps
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mofm.annotations import AnnotationError, file_error
from mofm.annotations.unpickling import RestrictedUnpickler
from mofm.registry import SOURCES
from mofm.utils.checks import describe, show
from mofm.utils.file_tree import FileTree
from mofm.utils.files import IMAGES, VIDEOS
from mofm.utils.limits import get_limits
from mofm.utils.untrusted import open_zip, parse_json

from .foreign_formats import foreign_format
from .plugins import readers

_HEAD = 2**16
# Bytes of a file that are parsed, or searched.
_PARSED, _SEARCHED = 2**22, 2**24
# Files that are looked at: of names that differ in digits, such groups of a suffix, all.
_PER_GROUP, _GROUPS, _FILES = 2, 8, 48
_SHOWN = 4  # of them, in an error
# Fields of annotations in JSON files, and readers of their pickles.
_FIELDS = {'keypoint', 'frame_dir', 'annotations'}
_SCHEMA = ('pyskl', )
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


def _or_none(method: Callable) -> cached_property:
    """Turn a method into a property that is None where the content is of another kind."""
    @wraps(method)
    def value(self):
        try:
            return method(self)
        except Exception:  # parsers raise many kinds for foreign content
            return None
    return cached_property(value)


class Sample:
    """A file of a tree, to be recognized by :meth:`Source.recognize`.

    Its content is read when it is asked for, at most the first 16 MiB, and never raises.

    Args:
        tree (FileTree): The files.
        name (str): Path in the tree, '' for a single file.
    """

    def __init__(self, tree: FileTree, name: str):
        self.tree = tree
        self.name = name
        #: Last part of the path, and its suffix in lower case.
        self.filename = tree.filename(name)
        self.suffix = PurePosixPath(self.filename).suffix.lower()

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB, empty if they cannot be read."""
        return self._first(_HEAD)

    @_or_none
    def json(self) -> Any:
        """Parsed JSON or None; of large files the first 4 MiB, closed after a value."""
        if self.head.lstrip(b'\xef\xbb\xbf \t\r\n')[:1] not in (b'{', b'['):
            return None
        content = self._first(_PARSED + 1)
        return parse_json(content if len(content) <= _PARSED else _closed(content))

    @_or_none
    def pickle(self) -> Any:
        """Unpickled arrays and plain containers, None if it is no pickle or above 4 MiB."""
        if self.head[:1] != b'\x80':
            return None
        content = self._first(_PARSED + 1)
        return RestrictedUnpickler(io.BytesIO(content)).load() if len(content) <= _PARSED else None

    @_or_none
    def arrays(self) -> dict[str, tuple[tuple[int, ...], np.dtype]] | None:
        """Shape and type of each array of an ``.npz`` file, or of ``.npy`` by the name ''."""
        if self.suffix == '.npy':
            return {'': _array_header(self.head)}
        if self.suffix != '.npz':
            return None
        content = self.tree.path if self.tree.is_file and not self.name else io.BytesIO(
            self.tree.read(self.name, _SEARCHED))
        with open_zip(content) as archive:
            return {member.filename.removesuffix('.npy'): _member_header(archive, member)
                    for member in archive.infolist()[:_FILES]}

    def contains(self, *words: bytes) -> bool:
        """Return whether all words are in the first 16 MiB."""
        return all(word in self._searched for word in words)

    @cached_property
    def _searched(self) -> bytes:
        return self._first(_SEARCHED)

    def _first(self, size):
        try:
            return self.tree.head(self.name, size)
        except Exception:  # archives raise many kinds for damaged members
            return b''

    def describe(self) -> str:
        """Describe the content in a few words for a message."""
        if isinstance(self.json, dict):
            return f'a JSON object with {show(list(self.json)[:5])}'
        if isinstance(self.json, list):
            first = self.json[0] if self.json else None
            keys = f' of objects with {show(list(first)[:8])}' if isinstance(first, dict) else ''
            return f'a JSON list{keys}'
        if self.arrays:
            return 'arrays ' + show({key: shape for key, (shape, _) in self.arrays.items()})
        if isinstance(self.pickle, dict):
            return f'a pickle of a dict with {show(list(self.pickle)[:5])}'
        if not self.head:
            return 'an empty file'
        if foreign := foreign_format(self.suffix, self.head):
            return foreign[0]
        line = self.head.lstrip().split(b'\n', 1)[0].strip().decode(errors='replace')[:60]
        plain = line.replace('\t', ' ')
        return f'text {line!r}' if plain.isprintable() and '\ufffd' not in plain else (
            'binary data')


@dataclass(frozen=True)
class Match:
    """A reader that fits.

    Args:
        source (str): Its name in :data:`mofm.registry.SOURCES`.
        reason (str): What the files look like.
        file (str): The first file that looks so.
        names (frozenset[str]): All such files among those that were looked at.
    """

    source: str
    reason: str
    file: str
    names: frozenset[str]

    def __str__(self):
        return f'{self.source} ({SOURCES.get(self.source).__name__}): {self.reason}'


def samples(path: str | Path) -> list[Sample]:
    """Choose the first files of every kind and folder.

    Args:
        path (str or Path): A folder, an archive, or a file.

    Raises:
        Exception: Of many kinds, if there is no such path or the archive is damaged.
    """
    tree = FileTree(path)
    kinds: dict[str, dict[tuple, list[str]]] = {}  # suffix -> folder, name without digits -> names
    for name in tree.names:
        file = PurePosixPath(tree.filename(name))
        group = PurePosixPath(name).parent, re.sub(r'\d+', '0', file.stem)
        kinds.setdefault(file.suffix.lower(), {}).setdefault(group, []).append(name)
    largest = [sorted(groups.values(), key=len, reverse=True)[:_GROUPS]
               for groups in kinds.values()]
    chosen = [names[i] for i in range(_PER_GROUP) for groups in largest for names in groups
              if i < len(names)]
    return [Sample(tree, name) for name in sorted(chosen[:_FILES])]


def recognize(path: str | Path) -> list[Match]:
    """Find the readers that fit, those of plug-ins included.

    A reader is left out if another one fits the same files and more.

    Args:
        path (str or Path): A folder, an archive, or a file.

    Returns:
        list[Match]: One if the content is of one kind and a single reader fits it.

    Raises:
        Exception: See :func:`samples`.
    """
    return match(samples(path))


def match(files: list[Sample]) -> list[Match]:
    """Find the readers that fit files, see :func:`recognize`."""
    found: dict[str, list[tuple[str, str]]] = {}
    known = sorted(readers().items())
    for sample in files:
        for source, reader in known:
            reason = _reason(reader, sample)
            if reason:
                found.setdefault(source, []).append((sample.name, reason))
    matches = [Match(source, items[0][1], items[0][0], frozenset(name for name, _ in items))
               for source, items in found.items()]
    return [one for one in matches if not any(one.names < other.names for other in matches)]


def resolve(path: str | Path) -> Match:
    """Find the reader of a path.

    Args:
        path (str or Path): A folder, an archive, or a file.

    Returns:
        Match: The reader and why it fits.

    Raises:
        AnnotationError: If there is no such path, or not exactly one reader fits; it names what
            was found and the readers that fit.
    """
    try:
        files = samples(path)
    except Exception as error:  # archives raise many kinds for damaged directories
        raise file_error(path, 'file', describe(error), 'a folder, an archive or a file of poses'
                         ) from None
    matches = match(files)
    if len(matches) == 1:
        return matches[0]
    if matches:
        kind = 'kinds' if len({one.names for one in matches}) > 1 else 'readers'
        raise file_error(path, 'format', f'files of several {kind}', '\n  '.join([
            'the name of one as source:',
            *(f'{one}' + f', e.g. {one.file}' * bool(one.file) for one in matches)]))
    found = [(f'{sample.name}: ' if sample.name else '') + sample.describe()
             for sample in files[:_SHOWN]] + ['...'] * (len(files) > _SHOWN)
    raise file_error(path, 'format', '; '.join(found) or 'no file', 'files that a reader '
                     f'recognizes{_advice(files)}')


def _advice(files: list[Sample]) -> str:
    """Say what to do with files that no reader recognizes."""
    if any(_is_ours(sample) for sample in files):
        return ('; these are annotations of MoFM, which all tools take as they are, one file at '
                'a time')
    if any(sample.suffix in IMAGES | VIDEOS for sample in files):
        return '; extract_poses.py estimates the poses of videos and images'
    foreign = [foreign_format(sample.suffix, sample.head) for sample in files]
    if any(foreign):
        return ''.join(dict.fromkeys(f'; {found[1]}' for found in foreign if found))
    misnamed = [(source, reader, reason) for sample in files
                for source, reader in sorted(readers().items())
                if (reason := _reason(reader, sample, any_suffix=True))]
    if misnamed:
        source, reader, reason = misnamed[0]
        return f'; it looks like {reason}: {source} reads it as {_suffixes(reader)[0]}'
    fitting = sorted({source for sample in files for source in _of_suffix(sample.suffix)})
    if fitting:
        return f'; readers of this suffix, which may be named as source: {", ".join(fitting)}'
    return '; prepare.py --help and docs/sources.md list the readers' * bool(files)


def is_annotation_file(path: str | Path) -> bool:
    """Return whether a file has annotations of our schema, and is none of another program."""
    suffix = Path(path).suffix.lower()
    if suffix not in ('.pkl', '.json', '.npz') or not Path(path).is_file():
        return suffix == '.arrow'
    try:
        sample, = samples(path)
    except Exception:  # an archive of another suffix, or a damaged one
        return False
    if suffix != '.npz' and any(one.source not in _SCHEMA for one in match([sample])):
        return False
    return suffix == '.pkl' or _is_ours(sample)


def _is_ours(sample: Sample) -> bool:
    """Return whether a file that no reader recognizes has annotations of our schema."""
    if sample.suffix == '.npz':
        return 'keypoint_score' in (sample.arrays or ())
    data = sample.json[0] if isinstance(sample.json, list) and sample.json else sample.json
    return sample.suffix == '.arrow' or isinstance(data, dict) and bool(_FIELDS & data.keys())


class _Parser(ArgumentParser):
    def error(self, message: str):
        raise ValueError(message)


def open_source(path: str | Path, source: str = 'auto', options: Mapping[str, Any] | None = None,
                defaults: Mapping[str, Any] | None = None):
    """Build the reader of a path.

    Args:
        path (str or Path): A folder, an archive, or a file.
        source (str): One of :data:`mofm.registry.SOURCES`, or 'auto', see :func:`resolve`.
        options (Mapping, optional): Options of the reader in ``tools/data/prepare.py``, e.g.
            ``dict(map='mixamo', unit=.01)``.
        defaults (Mapping, optional): Options that are used if the reader has them.

    Returns:
        tuple[Source, str]: The reader, and what the path was taken for.

    Raises:
        AnnotationError: See :func:`resolve` and the class, and about wrong or missing options.
    """
    found = resolve(path) if source == 'auto' else None
    name, said = (found.source, str(found)) if found else (source, source)
    if name not in readers(name):
        near = get_close_matches(name, readers()) or sorted(readers())
        raise file_error(path, 'source', repr(name), f'auto or {" or ".join(near)}')
    reader, parser = SOURCES.module_dict[name], _Parser(add_help=False, allow_abbrev=False)
    reader.add_options(parser)
    known = parser._option_string_actions  # noqa: SLF001
    given = dict(options or {})
    given = {key: value for key, value in (defaults or {}).items()
             if _flag(key) in known and not (key == 'layout' and 'map' in given)} | given
    words: list[str] = []
    for key, value in given.items():
        if isinstance(value, (list, tuple)):
            words += [_flag(key), *map(str, value)]
        elif value is not None and value is not False:
            words.append(_flag(key) if value is True else f'{_flag(key)}={value}')
    try:
        return reader.from_options(path, **vars(parser.parse_args(words))), said
    except AnnotationError:
        raise
    except (TypeError, ValueError) as error:
        raise file_error(path, 'source_options', f'{show(dict(options or {}))} for {said}',
                         f'options as of prepare.py {name} --help: {error}') from None


def _flag(option: str) -> str:
    return '--' + str(option).replace('_', '-')


def _suffixes(reader) -> tuple[str, ...]:
    endings = (reader.suffix, ) if isinstance(reader.suffix, str) else reader.suffix
    return tuple(PurePosixPath(f'name{ending}').suffix for ending in endings)


def known_suffixes() -> set[str]:
    """Return the suffixes of the files of all readers."""
    return {suffix for reader in readers().values() for suffix in _suffixes(reader) if suffix}


def _of_suffix(suffix: str) -> list[str]:
    """List the readers of files with a suffix."""
    return [source for source, reader in readers().items()
            if suffix and suffix in _suffixes(reader)]


def _reason(reader, sample, any_suffix=False) -> str | None:
    if not any_suffix and any(_suffixes(reader)) and sample.suffix not in _suffixes(reader):
        return None
    try:
        return reader.recognize(sample)
    except Exception:  # of readers of others, and of content that is hostile
        return None


def _closed(content: bytes) -> bytes:
    """Cut JSON after the last value that is complete, and close what is open."""
    ends = last = b''  # of the open containers, at the end and at the last comma
    cut = 0
    for token in _TOKEN.finditer(content):
        kind = token[0]
        if kind == b',':
            cut, last = token.start(), ends
        elif kind in b'[{':
            ends = (b']' if kind == b'[' else b'}') + ends
        elif kind in b']}':
            ends = ends[1:]
        if len(ends) > get_limits().depth:
            break
    return content[:cut] + last


def _array_header(content: bytes) -> tuple[tuple[int, ...], np.dtype]:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = (np.lib.format.read_array_header_1_0 if version == (1, 0)
            else np.lib.format.read_array_header_2_0)
    shape, _, dtype = read(file)
    return shape, dtype


def _member_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo):
    with archive.open(member) as file:
        return _array_header(file.read(_HEAD))
