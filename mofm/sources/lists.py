"""Labels and splits of recordings in text files with lines ``NAME LABEL``, as in mmaction2."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mofm.annotations import AnnotationError
from mofm.utils.checks import show
from mofm.utils.untrusted import decode

_SUFFIX = re.compile(
    r'(?i)(?<=.)\.(3gp|arrow|avi|bvh|c3d|csv|flv|gif|gz|h5|hdf5|jsonl?|m2ts|m4v|mat|mkv|mov|mp4|'
    r'mpe?g|mts|mvnx|mxf|np[yz]|ogv|parquet|pickle|pkl|skeleton|slp|tar|tgz|trc|tsv?|txt|webm|wmv|'
    r'xml|zip)$')
_LINE = re.compile(r'''(?:"(?P<double>[^"]+)"|'(?P<single>[^']+)'|(?P<plain>\S.*?))[\s,;]+'''
                   r'''(?P<quote>["']?)(?P<label>[0-9]{1,6})(?P=quote)''')
_EXAMPLES = 5


class _Path(NamedTuple):
    """A name in the forms that are compared.

    Args:
        key (tuple[str, ...]): Its parts in lower case, without suffix.
        plain (tuple[str, ...]): The same in the case of the name.
        exact (tuple[str, ...]): The same with the suffix.
    """

    key: tuple[str, ...]
    plain: tuple[str, ...]
    exact: tuple[str, ...]


def _path(name: str) -> _Path:
    text = unicodedata.normalize('NFC', name).replace('\\', '/')
    exact = tuple(part for part in re.sub(r'^[A-Za-z]:', '', text).split('/')
                  if part not in ('', '.', '..'))
    if not exact:
        return _Path((), (), ())
    last = exact[-1]
    while (stem := _SUFFIX.sub('', last)) != last:
        last = stem
    plain = (*exact[:-1], last)
    return _Path(tuple(part.casefold() for part in plain), plain, exact)


@dataclass
class Line:
    """A line of a list; equal lines of several lists are one.

    Args:
        where (str): Its file and number.
        name (str): As it is written.
        label (int): Label.
        splits (list[str]): Splits of the lists that have it.
        path (_Path): The name as it is compared.
    """

    where: str
    name: str
    label: int
    path: _Path
    splits: list[str] = field(default_factory=list)

    def __str__(self):
        return f'{self.where}: {self.name[:80]!r}'


#: How well a line fits a recording, larger is better: common parts at the end; whether these are
#: the whole line, the whole path of the recording; whether the case is equal; the suffix,
#: if the recording has one.
Rank = tuple[int, bool, bool, bool, bool]


class Lists:
    """Lists of recordings.

    A line fits a recording if one of both names ends with the other, by whole folders, whatever
    the case and suffix. The best fit counts: that with the most folders in common.

    Args:
        lists (Mapping[str, str or Path] or Sequence[tuple]): Text files by split; a split may have
            several.

    Attributes:
        lines (list[Line]): All lines.
        notes (list[str]): What was taken for granted.

    Raises:
        AnnotationError: If a file cannot be read, or has another line or two labels for one name.
    """

    def __init__(self, lists: Mapping[str, str | Path] | Sequence):
        self.lines: list[Line] = []
        self.notes: list[str] = []
        known: dict[tuple[str, ...], Line] = {}
        for split, path in lists.items() if isinstance(lists, Mapping) else lists:
            self._read(split, path, known)
        self._whole: dict[tuple[str, ...], list[int]] = {}
        self._ends: dict[tuple[str, ...], list[int]] = {}
        for index, line in enumerate(self.lines):
            key = line.path.key
            self._whole.setdefault(key, []).append(index)
            for start in range(len(key)):
                self._ends.setdefault(key[start:], []).append(index)

    def _read(self, split, path, known):
        """Add the lines of a file."""
        try:
            text, encoding = decode(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise AnnotationError(f'{path}: the list of split {split!r} cannot be read: found '
                                  f'{show(error)}, expected text in UTF-8') from None
        if encoding != 'utf-8':
            self.notes.append(f'{path}: the list is not UTF-8 and read as {encoding}')
        before = len(known)
        for number, written in enumerate(text.replace('\ufeff', '').split('\n'), 1):
            words = written.strip()
            if not words or words.startswith('#'):
                continue
            where = f'{path}: line {number}'
            match = _LINE.fullmatch(words)
            name = match and next(filter(None, match.group('double', 'single', 'plain')))
            parts = _path(name or '')
            if not parts.key:
                raise AnnotationError(f'{where}: found {words[:80]!r}, expected NAME LABEL'
                                      + self._why(words))
            label = int(match['label'])
            line = known.get(parts.exact)
            if line is None:
                line = known[parts.exact] = Line(where, name, label, parts)
                self.lines.append(line)
            if line.label != label:
                raise AnnotationError(f'{where}: found label {label} for {name!r}, which has '
                                      f'{line.label} in {line.where}')
            if split not in line.splits:
                line.splits.append(split)
        if len(known) == before and not any(split in line.splits for line in self.lines):
            raise AnnotationError(f'{path}: found no line, expected lines NAME LABEL')

    @staticmethod
    def _why(words):
        last = re.split(r'[\s,;]+', words)[-1]
        if last == words:
            return '; the label is missing'
        return '' if last.isdigit() else f'; found label {last[:40]!r}, expected a number, the ' \
            'index of the class'

    def find(self, names: Iterable[str]) -> tuple[Rank, list[int]]:
        """Find the lines that fit a recording best.

        Args:
            names (Iterable[str]): Names of the recording, the full path first.

        Returns:
            tuple[Rank, list[int]]: How well they fit, and the indices of the lines.
        """
        best: dict[int, Rank] = {}
        size = 0
        for name in names:
            path = _path(name)
            size = size or len(path.key)
            for count in range(len(path.key), 0, -1):
                lines = self._ends if count == len(path.key) else self._whole
                found = lines.get(path.key[-count:], ())
                for index in found:
                    line = self.lines[index].path
                    rank = (count, len(line.key) == count, size == count,
                            line.plain[-count:] == path.plain[-count:],
                            path.exact != path.plain
                            and line.exact[-count:] == path.exact[-count:])
                    best[index] = max(best.get(index, rank), rank)
                if found:
                    break
        top = max(best.values(), default=(0, False, False, False, False))
        return top, [index for index, rank in best.items() if rank == top]

    def value(self, indices: Sequence[int]) -> tuple[int, tuple[str, ...]] | None:
        """Return label and splits in lines, None if there is none or they disagree.

        Lines that differ in the suffix or case only are one, in the splits of all.
        """
        lines = [self.lines[i] for i in indices]
        labels = {line.label for line in lines}
        splits = {line.path.key: set() for line in lines}
        for line in lines:
            splits[line.path.key].update(line.splits)
        first = next(iter(splits.values()), set())
        if len(labels) != 1 or any(other != first for other in splits.values()):
            return None
        return labels.pop(), tuple(sorted(first))


@dataclass
class Lookup:
    """What the lists say about a recording.

    Args:
        file (str): Its native file.
        name (str): The recording.
        rank (Rank): How well the lines fit.
        lines (list[int]): Those that fit best, several if they disagree.
        valid (bool): Whether it could be read.
    """

    file: str
    name: str
    rank: Rank
    lines: list[int]
    valid: bool = True


def settle(lists: Lists, lookups: Sequence[Lookup]
           ) -> tuple[set[tuple[str, str]], dict[str, int], list[str]]:
    """Compare the lookups of all recordings: a line is for one recording.

    Returns:
        tuple: File and name of recordings whose line is that of another or of several; problems
        and how many recordings have them; and notes about lines and recordings without the other.
    """
    claims: dict[int, list[Lookup]] = {}
    for lookup in lookups:
        for index in lookup.lines:
            claims.setdefault(index, []).append(lookup)
    dropped, problems, best = set(), {}, {}
    for index, claiming in sorted(claims.items()):
        best[index] = max(lookup.rank for lookup in claiming)
        first = [lookup for lookup in claiming if lookup.rank == best[index]]
        if len(first) > 1:
            dropped.update((lookup.file, lookup.name) for lookup in first)
            problems[f'{lists.lines[index]}: found {len(first)} recordings, '
                     f'{_few(map(_place, first))}, expected one; write their folders'] = len(first)
    lost = [lookup for lookup in lookups
            if all(lookup.rank < best[index] for index in lookup.lines)]
    dropped.update((lookup.file, lookup.name) for lookup in lost)
    notes = list(lists.notes)
    unused = [str(line) for index, line in enumerate(lists.lines) if index not in claims]
    if unused:
        notes.append(f'{len(unused)} of {len(lists.lines)} lines of the lists match no recording: '
                     f'{_few(unused)}' + (
                         '; lines of mmaction2 for frames, NAME FRAMES LABEL, have a number too '
                         'many' if all(re.search(r'\s[0-9]+$', lists.lines[index].name)
                                       for index in set(range(len(lists.lines))) - claims.keys())
                         else ''))
    missing = [_place(lookup) for lookup in lost if lookup.valid]
    if missing:
        notes.append(f'{len(missing)} of {sum(one.valid for one in lookups)} recordings are in no '
                     f'list and skipped: {_few(missing)}')
    return dropped, problems, notes


def _place(lookup: Lookup) -> str:
    """Return the name of a recording, with its file if that has another name."""
    name = repr(lookup.name[:80])
    return name if lookup.file.startswith(lookup.name) else f'{name} in {lookup.file[-80:]}'


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ', '.join(names[:_EXAMPLES]) + ', ...' * (len(names) > _EXAMPLES)
