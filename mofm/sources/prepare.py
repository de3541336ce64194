"""Parallel, resumable conversion of a source to an annotation file in little memory."""
import copy
import hashlib
import io
import json
import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import astuple, dataclass, field
from functools import partial
from pathlib import Path

from mofm.annotations import AnnotationError, dump_annotations, summarize
from mofm.annotations.arrow import ArrowFile, ArrowWriter
from mofm.utils.files import atomic_write, remove_unfinished
from mofm.utils.locks import hold_output
from mofm.utils.names import NAME, is_name
from mofm.utils.processes import run_parallel
from mofm.version import __version__

from .base import Source
from .lists import Lookup, settle
from .names import Row, find_copies, find_prefixes, qualified

_PARTS = 256  # at most; an interruption loses the current part


@dataclass
class Prepared:
    """Counts and problems of the conversion of a source.

    Attributes:
        files (int): Native files.
        clips (int): Annotations.
        frames (int): Frames of all annotations.
        counts (Counter): Clips by split and label.
        skipped (Counter): Number of files, recordings and frames with an error.
        problems (list[str]): Errors of skipped files, and of skipped recordings of other files.
        notes (list[str]): What was taken for granted or passed over, and in which files.
        resumed (int): Native files that an interrupted call had converted.
    """

    files: int
    clips: int = 0
    frames: int = 0
    counts: Counter = field(default_factory=Counter)
    skipped: Counter = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    resumed: int = 0

    def summary(self) -> str:
        """Return the counts in one line."""
        parts = [f'{self.clips} clips', f'{self.frames} frames',
                 f'{self.skipped["files"]} of {self.files} files skipped']
        if self.skipped['recordings']:
            parts.append(f'{self.skipped["recordings"]} of '
                         f'{self.clips + self.skipped["recordings"]} recordings skipped')
        if self.skipped['frames']:
            parts.append(f'{self.skipped["frames"]} frames skipped')
        if self.resumed:
            parts.append(f'{self.resumed} files read by an earlier run')
        return ', '.join(parts)

    def details(self) -> str:
        """Return problems and notes, one per line; empty if there are none."""
        text = '\n'.join(f'{title}:\n{summarize(lines, limit=50)}' for title, lines in (
            ('notes', self.notes), ('problems', self.problems)) if lines)
        return text.encode(errors='backslashreplace').decode()  # lone surrogates of file names


def prepare(source: Source, path: str | Path, workers: int | None = None,
            progress: Callable[[int], None] = lambda files: None,
            run: Callable[[Callable, list], Iterator[tuple]] | None = None) -> Prepared:
    """Write the annotations of a source.

    Several processes convert the native files in parts, which are saved in the folder
    ``<path>.parts`` and merged into ``path`` at the end. After an interruption the same call
    converts the missing parts only. Invalid files and recordings with a duplicate name are skipped
    and reported.

    Args:
        source (Source): The reader.
        path (str or Path): ``.arrow`` and ``.pkl`` are written clip by clip; ``.npz`` and
            ``.json`` are merged in memory.
        workers (int, optional): Processes; by default one per core, 0 for the calling process.
        progress (Callable): Called with the number of additional native files converted.
        run (Callable, optional): Calls a picklable function for each of a list of items, and
            yields item and result, instead of these processes; see
            :func:`mofm.utils.ray_actors.run_on_ray`.

    Returns:
        Prepared: Counts and problems.

    Raises:
        AnnotationError: If no file could be read, the suffix is unknown, or at the first invalid
            file of a strict source.
        LockedError: If another process writes the file.
        OSError: If the disk is full or not writable; what is converted is kept.
    """
    path = Path(path)
    if path.suffix not in _MERGE:
        raise AnnotationError(f'{path}: found suffix {path.suffix!r}, expected one of '
                              f'{sorted(_MERGE)}')
    with hold_output(path):
        remove_unfinished(path)
        return _prepare(source, path, workers, progress, run)


def _prepare(source: Source, path: Path, workers: int | None,
             progress: Callable[[int], None], run: Callable | None) -> Prepared:
    """Convert and merge, see :func:`prepare`."""
    size = max(1, -(-len(source.files) // _PARTS))
    parts = [source.files[i:i + size] for i in range(0, len(source.files), size)]
    folder = _parts_folder(source, path)
    todo = [i for i in range(len(parts))  # the removal of both files may be interrupted
            if not all((folder / f'{i}{suffix}').exists() for suffix in ('.arrow', '.json'))]
    report = Prepared(len(source.files))
    report.resumed = len(source.files) - sum(len(parts[i]) for i in todo)
    progress(report.resumed)
    workers = min(os.cpu_count() if workers is None else workers, len(todo))
    convert = partial(_convert, source, folder)
    jobs = [(i, parts[i]) for i in todo]
    try:
        if run is None and workers > 1:
            run = partial(run_parallel, workers=workers)
        if run is not None:
            with closing(run(convert, jobs)) as done:
                for (_, names), files in done:
                    if isinstance(files, Exception):
                        raise AnnotationError(f'{source.path}: {names[0]!r} to {names[-1]!r}: '
                                              f'{files}')
                    progress(files)
        else:
            for job in jobs:
                progress(convert(job))
    finally:
        for file in folder.glob('*.tmp'):  # of ended processes
            file.unlink()
    metainfo = dict(classes=list(source.classes), layout=source.out_layout)
    if not source.classes:
        del metainfo['classes']
    done = [json.loads((folder / f'{i}.json').read_text(encoding='utf-8'))
            for i in range(len(parts))]
    report.skipped = sum((Counter(part['skipped']) for part in done), Counter())
    report.problems = [line for part in done for line in part['problems']]
    report.notes = _merge_notes(source, [source.notes, *(part['notes'] for part in done)])
    rows: list[Row | None] = [Row(*row) for part in done for row in part['rows']]
    rows = _without_unlisted(source, rows, done, report)
    if not any(rows):
        _remove_parts(folder)
        if report.problems:
            raise AnnotationError(f'{source.path}: no file could be read{source.others_that_fit()}'
                                  f'\n{summarize(report.problems)}')
        first = f'none of {len(source.files)} recordings, e.g. {source.stem(source.files[0])!r},'
        raise AnnotationError('\n'.join(filter(None, [
            f'{source.path}: no file could be read\n  {first} is in the lists' if source.lists else
            f'{source.path}: {first} has a clip that the options of the source, such as a minimum '
            'of frames, do not leave out', summarize(report.notes)])))
    rows, prefixes = _with_unique_names(source, rows, report)
    _MERGE[path.suffix](path, metainfo, _items(source, folder, rows, prefixes, report))
    report.skipped = +report.skipped  # without zeros
    _remove_parts(folder)
    return report


def _without_unlisted(source: Source, rows: list[Row], parts: list[dict],
                      report: Prepared) -> list[Row | None]:
    """Compare all recordings with the lists; None for those that have no line of their own."""
    if source.lists is None:
        return rows
    dropped, problems, notes = settle(source.lists, [
        Lookup(file, name, tuple(rank), lines, valid) for part in parts
        for file, name, rank, lines, valid in part['lookups']])
    if problems and source.strict:
        raise AnnotationError(next(iter(problems)))
    report.notes += notes
    report.problems += problems
    report.skipped.update(recordings=sum(problems.values()))
    return [None if (row.file, row.recording) in dropped else row for row in rows]


def _with_unique_names(source: Source, rows: list[Row | None], report: Prepared
                       ) -> tuple[list[Row | None], dict[tuple[str, str], str]]:
    """Find names of several files, and None for annotations that are there twice."""
    copies, mixed = find_copies([row for row in rows if row])
    for file, name, first in _by_file(copies):
        problem = source.error(file, 'frame_dir', f'{name} with the content that {first!r} has',
                               'another recording; the first is kept')
        if source.strict:
            raise problem
        report.problems.append(str(problem))
    report.skipped['recordings'] += sum(row.unit in copies for row in rows if row)
    report.notes += [f'{name} has the content that {first!r} has, but other labels or splits '
                     f'({file})' for file, name, first in _by_file(mixed)]
    rows = [None if row and row.unit in copies else row for row in rows]
    kept = [row for row in rows if row]
    prefixes = find_prefixes(kept)
    if prefixes:
        row = next(row for row in kept if prefixes.get(row.unit))
        report.notes.append(f'{len(prefixes)} recordings have the name of one in another file and '
                            f'are named by their folder, e.g. '
                            f'{qualified(prefixes, row)["frame_dir"]!r} ({row.file})')
    return rows, prefixes


def _by_file(copies: dict[tuple[str, str], str]) -> list[tuple[str, str, str]]:
    """Return file, names and the first file for every pair of files with the same content."""
    names: dict[tuple[str, str], list[str]] = {}
    for (file, name), first in copies.items():
        names.setdefault((file, first), []).append(name)
    return [(file, repr(found[0]) + f' and {len(found) - 1} more' * (len(found) > 1), first)
            for (file, first), found in names.items()]


def _parts_folder(source: Source, path: Path) -> Path:
    """Create the folder of parts, empty unless it has parts of the same source."""
    stat = source.path.stat()
    source = copy.copy(source)
    source.start()
    key = hashlib.sha256(pickle.dumps((
        __version__, _code(source), source, stat.st_size, stat.st_mtime_ns))).hexdigest()
    folder = path.with_name(path.name + '.parts')
    mark = folder / 'source'
    remove_unfinished(mark)
    if folder.exists() and any(folder.iterdir()):
        if not mark.exists():
            raise AnnotationError(f'{folder}: found other files, expected an empty folder for '
                                  'parts; move it')
        if mark.read_text(encoding='utf-8') != key:
            _remove_parts(folder)
    folder.mkdir(exist_ok=True)
    with atomic_write(mark, 'w') as file:
        file.write(key)
    return folder


def _code(source: Source) -> bytes:
    """Return the code of a reader, which its author may change between two calls."""
    file = getattr(sys.modules[type(source).__module__], '__file__', None)
    return Path(file).read_bytes() if file and Path(file).is_file() else b''


def _remove_parts(folder: Path):
    """Remove the folder of parts, the mark last, as this may be interrupted, too."""
    mark = folder / 'source'
    for file in {*folder.iterdir()} - {mark}:
        file.unlink()
    mark.unlink()
    folder.rmdir()


def _convert(source: Source, folder: Path, job: tuple[int, list[str]]) -> int:
    """Convert one part; its findings are written first, so that a part is complete or absent."""
    index, names = job
    source = copy.copy(source)
    source.start()
    file, rows = folder / f'{index}.arrow', []
    with atomic_write(file) as f:
        with ArrowWriter(f, {}) as writer:
            for ann, splits in source.convert(names):
                rows.append(Row.of(source.position, ann, splits))
                writer.write(ann, splits)
        with atomic_write(file.with_suffix('.json'), 'w') as findings:
            json.dump(dict(problems=[str(problem) for problem in source.problems],
                           skipped=source.skipped, notes=source.notes, rows=rows,
                           lookups=[astuple(one) for one in source.lookups.values()]), findings)
    return len(names)


def _merge_notes(source: Source, parts: list[dict[str, tuple[str, int]]]) -> list[str]:
    """Format the notes of all parts with the number of files and the first of them."""
    merged: dict[str, tuple[str, int]] = {}
    for notes in parts:
        for text, (name, count) in notes.items():
            first, before = merged.get(text, (name, 0))
            merged[text] = first, before + count
    return [f'{text} ({source.tree.filename(name)})' if count == 1 else
            f'{text} ({count} files, e.g. {name})' for text, (name, count) in merged.items()]


def _items(source: Source, folder: Path, rows: list[Row | None],
           prefixes: dict[tuple[str, str], str],
           report: Prepared) -> Iterator[tuple[dict, list[str]]]:
    """Yield and count the annotations of all parts with their splits."""
    seen, todo = set(), iter(rows)
    for i in range(sum(1 for _ in folder.glob('*.arrow'))):
        part = ArrowFile(folder / f'{i}.arrow')
        splits: dict[int, list[str]] = {}
        for name, indices in part.splits().items():
            for index in indices.tolist():
                splits.setdefault(index, []).append(name)
        for index in range(len(part)):
            row, names = next(todo), splits.get(index, [])
            if row is None:
                continue
            ann = dict(part[index], **qualified(prefixes, row))
            if not (is_name(ann['frame_dir']) and is_name(ann.get('clip', ''))):
                report.problems.append(str(source.error(
                    row.file, 'frame_dir', ann['frame_dir'], f'{NAME}; its folder is part of it, '
                    'as another file has the same name')))
                report.skipped['recordings'] += 1
                continue
            if ann['frame_dir'] in seen:
                report.problems.append(str(source.error(
                    row.file, 'frame_dir', f'{ann["frame_dir"]!r} twice',
                    'unique names of recordings; the first is kept')))
                report.skipped['recordings'] += 1
                continue
            seen.add(ann['frame_dir'])
            report.clips += 1
            report.frames += ann['total_frames']
            report.counts.update((name, ann['label']) for name in names)
            yield ann, names


def _merge_arrow(path, metainfo, items):
    with atomic_write(path) as f, ArrowWriter(f, metainfo) as writer:
        for ann, splits in items:
            writer.write(ann, splits)


def _pickled(value) -> bytes:
    """Pickle a value without header and end, frames and memo, so that results can be joined."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=3)
    pickler.fast = True
    pickler.dump(value)
    return buffer.getvalue()[2:-1]


def _merge_pickle(path, metainfo, items):
    split: dict[str, list[str]] = {}
    with atomic_write(path) as f:
        f.write(pickle.PROTO + b'\3' + pickle.EMPTY_DICT + pickle.MARK)
        f.write(_pickled('annotations') + pickle.EMPTY_LIST + pickle.MARK)
        for ann, names in items:
            f.write(_pickled(ann))
            for name in names:
                split.setdefault(name, []).append(ann['frame_dir'])
        f.write(pickle.APPENDS)
        f.write(_pickled('split') + _pickled(split) + _pickled('metainfo') + _pickled(metainfo))
        f.write(pickle.SETITEMS + pickle.STOP)


def _merge_in_memory(path, metainfo, items):
    annotations, split = [], {}
    for ann, names in items:
        annotations.append(ann)
        for name in names:
            split.setdefault(name, []).append(ann['frame_dir'])
    dump_annotations(dict(split=split, annotations=annotations, metainfo=metainfo), path)


_MERGE = {'.arrow': _merge_arrow, '.pkl': _merge_pickle, '.npz': _merge_in_memory,
          '.json': _merge_in_memory}
