"""Manifests: JSON files that list the annotation files, or shards, of a corpus.

::

    {"shards": [{"file": "parts/penn_action.arrow", "clips": 1258, "weight": 2}, ...]}

``file`` is relative to the manifest and below its folder, so that a corpus can be moved, and its
manifest names no other file of the machine. ``clips``, the annotations in it, and ``weight``, how
often a clip of the shard is drawn in comparison with those of others (default: 1), are optional.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mofm.utils.checks import describe, is_int, is_number, show, typed
from mofm.utils.files import atomic_write
from mofm.utils.untrusted import parse_json
from mofm.utils.urls import is_url, mask

from .files import load_annotations, local_file, open_arrow
from .schema import AnnotationError, UnreadableError, file_error

_MAX_WEIGHT = 1e6


@dataclass(frozen=True)
class Shard:
    """Annotation file of a corpus.

    Args:
        path (str): Path or URL.
        clips (int, optional): Number of annotations, at least 1; None if unknown.
        weight (float): How often a clip is drawn in comparison with those of other shards, in
            (0, 1e6].
    """

    path: str
    clips: int | None = None
    weight: float = 1.

    def check(self, clips: int):
        """Check the number of annotations.

        Raises:
            UnreadableError: If the file has another number than the manifest says.
        """
        if self.clips not in (None, clips):
            raise UnreadableError(f'{mask(self.path)}: annotations: found {clips}, expected '
                                  f'{self.clips}, the clips of the manifest; it was written for '
                                  'another version of this file')


def read_manifest(path: str | os.PathLike) -> list[Shard]:
    """Read an untrusted manifest.

    Args:
        path (str or Path): Path or URL of the file.

    Returns:
        list[Shard]: At least one.

    Raises:
        AnnotationError: If it is missing or invalid; the message names file and field.
    """
    path = os.fspath(path)
    name, local = mask(path), local_file(path)
    try:
        data = parse_json(Path(local).read_bytes())
    except Exception as error:  # malformed text: also recursion and encoding errors
        raise file_error(name, 'file', describe(error), 'a readable JSON file') from None
    rows = data.get('shards') if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise file_error(name, 'shards', show(data) if rows is None else typed(rows),
                         'a list of {"file": NAME, "clips": N, "weight": W}')
    folder, shards = path.rpartition('/')[0] if is_url(path) else os.path.dirname(path), []
    for i, row in enumerate(rows):
        _check(name, f'shards[{i}]', row)
        full = f'{folder}/{row["file"]}' if is_url(path) else os.path.join(folder, row['file'])
        shards.append(Shard(full, row.get('clips'), float(row.get('weight', 1))))
    if len({shard.path for shard in shards}) < len(shards):
        raise file_error(name, 'shards', 'a file twice', 'every file once; weight draws it more '
                         'often')
    return shards


def _check(name: str, field: str, row: Any):
    """Check one entry."""
    if not isinstance(row, dict) or not {'file'} <= row.keys() <= {'file', 'clips', 'weight'}:
        raise file_error(name, field, typed(row), '"file" and, if known, "clips" and "weight"')
    file = row['file']
    if not isinstance(file, str) or not file or '://' in file or '\\' in file or ':' in file[:2] \
            or PurePosixPath(file).is_absolute() or '..' in PurePosixPath(file).parts:
        raise file_error(name, f'{field}.file', show(file), 'a path relative to the manifest and '
                         'below its folder, with /')
    if 'clips' in row and not is_int(row['clips'], 1):
        raise file_error(name, f'{field}.clips', show(row['clips']), 'an integer of at least 1')
    weight = row.get('weight', 1)
    if isinstance(weight, bool) or not is_number(weight, 0, _MAX_WEIGHT) or not weight:
        raise file_error(name, f'{field}.weight', show(weight),
                         f'a number above 0 and at most {_MAX_WEIGHT:g}')


def write_manifest(path: str | os.PathLike, weights: Mapping[str, float] | Sequence[str]) -> int:
    """Count the annotations of files and write their manifest.

    Args:
        path (str or Path): The manifest, in a folder above the files.
        weights (Mapping[str, float] or Sequence[str]): Weight by path of each file, or the paths,
            each with weight 1.

    Returns:
        int: Annotations of all files.

    Raises:
        AnnotationError: If a file cannot be read or is not below the folder of the manifest.
    """
    path, rows = Path(path), []
    if not isinstance(weights, Mapping):
        weights = dict.fromkeys(weights, 1)
    for file, weight in weights.items():
        clips = len(open_arrow(file)) if str(file).endswith('.arrow') else len(
            load_annotations(file)['annotations'])
        relative = Path(os.path.relpath(os.path.abspath(file), os.path.abspath(path.parent)))
        rows.append(dict(file=relative.as_posix(), clips=clips, weight=weight))
        _check(str(path), str(file), rows[-1])
    if not rows:
        raise AnnotationError(f'{path}: found no annotation file, expected at least one')
    with atomic_write(path, 'w') as f:
        lines = ',\n'.join(f'  {json.dumps(row)}' for row in rows)
        f.write(f'{{"shards": [\n{lines}\n]}}\n')
    return sum(row['clips'] for row in rows)
