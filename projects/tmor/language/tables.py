"""Tables of precomputed features of a frozen encoder, with one row per sample id.

Video and text encoders are frozen in T-MOR (arXiv 2606.21607, Sec. II-A), so that training needs
only one vector per sample.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mofm.annotations import AnnotationError, file_error, summarize
from mofm.utils.checks import describe
from mofm.utils.files import atomic_write
from mofm.utils.untrusted import parse_json, read_npz


class FeatureTable:
    """Features by id, in an ``.npz`` file without pickles.

    The file has the arrays ``ids`` (N,) text, ``features`` (N, D) float16 and ``meta``, their
    origin as JSON text.

    Args:
        ids (Sequence[str]): N distinct ids.
        features (np.ndarray): (N, D) finite numbers.
        meta (dict, optional): Origin, e.g. the encoder.
        path (str or Path): File name in error messages.

    Attributes:
        ids (list[str]): The N ids.
        features (np.ndarray): (N, D) float16.
        meta (dict): Origin.

    Raises:
        AnnotationError: If ids and features do not match, an id occurs twice, or a number is not
            finite in float16.
    """

    def __init__(self, ids: Sequence[str], features: np.ndarray, meta: dict | None = None,
                 path: str | Path = 'table'):
        self.path, self.ids, self.meta = str(path), list(ids), dict(meta or {})
        features = np.asarray(features)
        if features.dtype.kind not in 'fiu' or features.ndim != 2 or not features.shape[1] or len(
                features) != len(self.ids):
            raise file_error(path, 'features', f'{features.dtype} of shape {features.shape}',
                             f'numbers of shape ({len(self.ids)}, D), a row for each id')
        with np.errstate(over='ignore'):
            self.features = features.astype(np.float16)
        bad = np.flatnonzero(~np.isfinite(self.features).all(1))
        if len(bad):
            raise file_error(path, 'features', f'NaN or infinite values (as float16) in '
                             f'{len(bad)} rows, e.g. that of {self.ids[bad[0]]!r}',
                             'finite numbers')
        self._row = {name: row for row, name in enumerate(self.ids)}
        if len(self._row) < len(self.ids):
            twice = next(n for row, n in enumerate(self.ids) if self._row[n] != row)
            raise file_error(path, 'ids', f'{twice!r} twice', 'one row for each id')

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def load(cls, path: str | Path) -> 'FeatureTable':
        """Read and validate a table.

        Raises:
            AnnotationError: If the file is missing, damaged or of another structure.
        """
        if not Path(path).is_file():
            raise file_error(path, 'file', 'nothing', 'a table; make it with text_features.py or '
                             'video_features.py of projects/tmor/tools')
        try:
            file = read_npz(path)
            ids, features, meta = (file[name] for name in ('ids', 'features', 'meta'))
            meta = parse_json(str(meta))
        except Exception as error:  # damaged bytes can raise nearly anything
            raise file_error(path, 'file', describe(error),
                             'a readable .npz with ids, features and meta; make it again'
                             ) from None
        if ids.dtype.kind != 'U' or ids.ndim != 1 or not isinstance(meta, dict):
            raise file_error(path, 'ids', f'{ids.dtype} of shape {ids.shape}', 'texts (N,), and a '
                             'dict in meta')
        return cls(ids.tolist(), features, meta, path)

    def save(self, path: str | Path):
        """Write the table; the file appears complete or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as f:
            np.savez(f, ids=np.array(self.ids, str), features=self.features,
                     meta=json.dumps(self.meta))

    def lookup(self, ids: Sequence[str]) -> np.ndarray:
        """Look up the rows of samples.

        Args:
            ids (Sequence[str]): N ids in any order, e.g. ``frame_dir`` of annotations.

        Returns:
            np.ndarray: (N, D) float16.

        Raises:
            AnnotationError: If an id has no row.
        """
        missing = [name for name in ids if name not in self._row]
        if missing:
            raise file_error(self.path, 'ids', f'no row for {len(missing)} of {len(ids)} samples, '
                             f'e.g. {missing[:3]} (it has e.g. {self.ids[:3]})', 'a row for each '
                             'sample; complete it with the command that made it')
        return self.features[[self._row[name] for name in ids]]


class TableWriter:
    """Resumable writer of a table in parts, also by several processes.

    Parts are stored in the folder ``<path>.parts``. Rows of an existing table are reused, so that
    the same command with more ids computes only theirs. Rows with other settings are recomputed.

    Args:
        path (str or Path): The table, ``.npz``.
        settings (dict): Settings that the features depend on, stored as ``meta`` of the table.
        block (int): Rows of a part. A context (``with``) writes the last ones when it exits, also
            by an error; a killed process loses them. Defaults to 1024.

    Attributes:
        done (set[str]): Ids with features.

    Raises:
        AnnotationError: If the suffix is not ``.npz``.
    """

    def __init__(self, path: str | Path, settings: dict, block: int = 1024):
        self.path, self.settings = Path(path), json.loads(json.dumps(settings))
        if self.path.suffix != '.npz':
            raise file_error(path, 'suffix', repr(self.path.suffix), "'.npz'")
        self.folder = self.path.with_name(self.path.name + '.parts')
        self.block = block
        self._ids, self._rows = [], []
        self._refresh()

    def _refresh(self):
        """Find rows of earlier calls or other processes; remove unusable parts."""
        self.done, self._parts, problems = set(), [], []
        for file in (*sorted(self.folder.glob('*.npz')), *[self.path] * self.path.exists()):
            try:
                part = FeatureTable.load(file)
            except AnnotationError as error:
                problems.append(error)
            else:
                if part.meta == self.settings:
                    self.done.update(part.ids)
                    self._parts.append(file)
                    continue
            if file != self.path:
                file.unlink(missing_ok=True)
        if problems:
            print(f'recomputing:\n{summarize(problems)}')

    def add(self, ids: Sequence[str], features: np.ndarray):
        """Add rows.

        Args:
            ids (Sequence[str]): N ids.
            features (np.ndarray): (N, D).

        Raises:
            AnnotationError: See :class:`FeatureTable`.
        """
        part = FeatureTable(ids, features, self.settings, self.path)
        self._ids += part.ids
        self._rows.append(part.features)
        if len(self._ids) >= self.block:
            self._flush()

    def _flush(self):
        if self._ids:
            name = hashlib.sha256('\0'.join(self._ids).encode()).hexdigest()[:16]
            FeatureTable(self._ids, np.concatenate(self._rows), self.settings, self.path).save(
                self.folder / f'{name}.npz')
            self.done.update(self._ids)
            self._ids, self._rows = [], []

    def __enter__(self) -> 'TableWriter':
        return self

    def __exit__(self, *_):
        self._flush()

    def finish(self, ids: Sequence[str], last: bool = True) -> list[str]:
        """Write the table.

        Args:
            ids (Sequence[str]): Ids of the table in order.
            last (bool): Write the table even if rows are missing. Defaults to True.

        Returns:
            list[str]: Ids without features.

        Raises:
            AnnotationError: If there is no row at all, or rows differ in width.
        """
        self._flush()
        self._refresh()
        missing = [name for name in ids if name not in self.done]
        if missing and not last:
            return missing
        ids = [name for name in ids if name in self.done]
        if not ids:
            raise file_error(self.path, 'features', 'none', 'at least one row')
        parts = [FeatureTable.load(file) for file in self._parts]
        widths = sorted({part.features.shape[1] for part in parts})
        if len(widths) > 1:
            raise file_error(self.folder, 'features', f'parts of widths {widths}', 'those of one '
                             'encoder; remove the folder')
        row = {name: (i, j) for i, part in enumerate(parts) for j, name in enumerate(part.ids)}
        features = np.stack([parts[i].features[j] for i, j in (row[name] for name in ids)])
        FeatureTable(ids, features, self.settings, self.path).save(self.path)
        shutil.rmtree(self.folder, ignore_errors=True)
        return missing


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Normalize rows (N, D) to float32 unit vectors; rows of 0 stay 0."""
    x = np.asarray(x, np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
