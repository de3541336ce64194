"""Unique names of recordings that have the same name in several native files."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

# What is put before a name, tried in this order.
_PREFIXES: tuple[Callable[[str], str], ...] = (
    lambda file: PurePosixPath(file).parent.as_posix(),
    lambda file: PurePosixPath(file).with_suffix('').as_posix(),
    lambda file: file)
# Fields that may differ in a recording that is there twice.
_NAMES, _LABELS = ('frame_dir', 'clip', 'track_id'), ('label', 'frame_label', 'segments')


class Row(NamedTuple):
    """An annotation.

    Args:
        file (str): Its native file.
        recording (str, optional): What the reader has looked up in the lists.
        frame_dir (str): Its name.
        clip (str, optional): Its video, if several annotations may share it.
        arrays (str): Hash of its arrays.
        labels (str): Hash of its labels and splits.
    """

    file: str
    recording: str | None
    frame_dir: str
    clip: str | None
    arrays: str
    labels: str

    @classmethod
    def of(cls, position: tuple[str, str | None], ann: dict, splits: Iterable[str]) -> 'Row':
        """Describe an annotation of a native file."""
        arrays = {key: ann[key] for key in ann.keys() - {*_NAMES, *_LABELS}}
        labels = {key: ann[key] for key in ann.keys() & set(_LABELS)}
        return cls(*position, ann['frame_dir'], ann.get('clip'), _digest(arrays),
                   _digest(dict(labels, splits=sorted(splits))))

    @property
    def unit(self) -> tuple[str, str]:
        """The file, and the name that all annotations of a video share."""
        return self.file, self.clip or self.frame_dir


def _digest(fields: dict) -> str:
    out = hashlib.blake2b(digest_size=16)
    for key, value in sorted(fields.items()):
        array = np.ascontiguousarray(value)
        out.update(f'{key} {array.dtype} {array.shape}'.encode())
        out.update(array.data if array.size else b'')
    return out.hexdigest()


Unit = tuple[str, str]


def find_copies(rows: Sequence[Row]) -> tuple[dict[Unit, str], dict[Unit, str]]:
    """Find videos that have name and arrays of one in another file.

    Returns:
        tuple[dict, dict]: :attr:`Row.unit` -> the first file with the same content; those with the
        same labels and splits, and those with others.
    """
    shared = _shared(rows)
    units: dict[Unit, list[Row]] = {}
    for row in rows:
        if shared & {row.frame_dir, row.clip}:
            units.setdefault(row.unit, []).append(row)
    first: dict[tuple, list[Row]] = {}
    same, mixed = {}, {}
    for (file, name), parts in units.items():
        known = first.setdefault((name, *((r.frame_dir, r.arrays) for r in parts)), parts)
        if known is not parts:
            equal = [r.labels for r in known] == [r.labels for r in parts]
            (same if equal else mixed)[file, name] = known[0].file
    return same, mixed


def find_prefixes(rows: Sequence[Row]) -> dict[Unit, str]:
    """Choose what is put before the names that several files have, their folders if possible.

    Returns:
        dict: :attr:`Row.unit` -> prefix, empty for names that stay.
    """
    shared = _shared(rows)
    units = {row.unit for row in rows if shared & {row.frame_dir, row.clip}}
    prefixes: dict[Unit, str] = {}
    for prefix in _PREFIXES if units else ():
        prefixes = {unit: prefix(unit[0]).removeprefix('.') for unit in units}
        if not _shared(row._replace(**qualified(prefixes, row)) for row in rows):
            break
    return prefixes


def qualified(prefixes: dict[Unit, str], row: Row) -> dict[str, str]:
    """Return ``frame_dir`` and, if there is one, ``clip`` of an annotation with its prefix."""
    names = dict(frame_dir=row.frame_dir, **(dict(clip=row.clip) if row.clip else {}))
    prefix = prefixes.get(row.unit)
    return {key: f'{prefix}/{name}' for key, name in names.items()} if prefix else names


def _shared(rows: Iterable[Row]) -> set[str]:
    """Return the names that several files have."""
    first: dict[str, str] = {}
    return {name for row in rows for name in {row.frame_dir, row.clip or row.frame_dir}
            if first.setdefault(name, row.file) != row.file}
