"""Files of a motion index: header, projection and parts, checked when they are read."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mofm.structures import LAYOUTS
from mofm.utils.checks import describe, found_expected, is_int, is_number
from mofm.utils.files import atomic_write
from mofm.utils.names import is_name
from mofm.utils.untrusted import map_array, parse_json, read_npz, unique

_FORMAT = 'mofm motion index 2'
_DIGEST = 64  # hexadecimal digits of a SHA-256
# Kind, axes and item of the arrays of a part: per window (W), track (R) or pose (P)
_ARRAYS = dict(
    vectors=('f', 2, 'W'), track=('i', 1, 'W'), first=('i', 1, 'W'), last=('i', 1, 'W'),
    name=('U', 1, 'R'), person=('i', 1, 'R'), fps=('f', 1, 'R'), digest=('U', 1, 'R'),
    source=('U', 1, 'R'), poses_per_track=('i', 1, 'R'),
    keypoint=('f', 3, 'P'), frame=('i', 1, 'P'))
_POSES = ('keypoint', 'frame')


@dataclass(frozen=True)
class IndexHeader:
    """What all windows of an index have in common.

    Args:
        model (str): Fingerprint of the weights.
        layout (str): Joints.
        window (int): Frames of a window.
        stride (int): Frames between the starts of two windows.
        model_fps (float, optional): Frames per second of recordings and queries.
    """

    model: str
    layout: str
    window: int
    stride: int
    model_fps: float | None

    def fault(self) -> tuple[str, Any, str] | None:
        """Return field, value and expectation of a wrong value, None if there is none."""
        checks = dict(
            model=(isinstance(self.model, str) and len(self.model) == _DIGEST, 'a SHA-256'),
            layout=(self.layout in LAYOUTS, f'one of {", ".join(LAYOUTS)}'),
            window=(is_int(self.window, 1, 10**6), 'an integer of at least 1'),
            stride=(is_int(self.stride, 1, 10**6), 'an integer of at least 1'),
            model_fps=(self.model_fps is None or is_number(self.model_fps, 1e-3, 1e6),
                       'frames per second, or null'))
        return next(((name, getattr(self, name), expected)
                     for name, (right, expected) in checks.items() if not right), None)


class Projection:
    """Features less their mean, on orthogonal directions, at length 1.

    Args:
        mean (np.ndarray): (D,) float32.
        directions (np.ndarray): (D, K) float32, orthonormal.
    """

    def __init__(self, mean: np.ndarray, directions: np.ndarray):
        self.mean, self.directions = mean, directions

    @classmethod
    def fit(cls, features: np.ndarray, width: int) -> 'Projection':
        """Fit a PCA; random directions complete those of fewer samples than ``width``.

        Args:
            features (np.ndarray): (N, D).
            width (int): K, at most D are used.
        """
        mean = features.mean(0)
        rows = features - mean
        values, vectors = np.linalg.eigh(rows @ rows.T)  # N is below D, or not much larger
        order = np.argsort(-values)[:width]
        order = order[values[order] > 1e-6 * max(values.max(), 1e-12)]
        main = rows.T @ vectors[:, order]
        width = min(width, len(mean))
        more = np.random.default_rng(0).standard_normal((len(mean), width - len(order)))
        directions = np.linalg.qr(np.concatenate([main, more], 1))[0]
        return cls(mean.astype(np.float32), directions.astype(np.float32))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Reduce features (N, D) to vectors (N, K) float32 of length 1."""
        out = (features - self.mean) @ self.directions
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


class Projections:
    """Vectors of length 1 from two kinds of features, with the same weight.

    Args:
        learned (Projection): Of the features of the model.
        keypoints (Projection): Of the keypoints.
    """

    names = 'learned', 'keypoints'

    def __init__(self, learned: Projection, keypoints: Projection):
        self.parts = learned, keypoints

    @property
    def width(self) -> int:
        """K, the length of the vectors."""
        return sum(part.directions.shape[1] for part in self.parts)

    def apply(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Reduce learned features (N, D) and keypoints (N, P) to vectors (N, K) float32."""
        both = [part.apply(rows) for part, rows in zip(self.parts, features, strict=True)]
        return np.concatenate(both, 1) / np.float32(2**.5)


class PartWriter:
    """Arrays of a part while it grows."""

    def __init__(self):
        self._arrays: dict[str, list] = {name: [] for name in _ARRAYS}
        self._windows = 0

    def __len__(self) -> int:
        """Return the number of windows."""
        return self._windows

    def add(self, vectors, frames, name, person, fps, digest, source, keypoint, frame):
        """Add the windows and poses of a track.

        Args:
            vectors (np.ndarray): (W, K).
            frames (np.ndarray): (W, 2) first and last frame of the input.
            name (str): Recording.
            person (int): Track ID.
            fps (float or None): Frames per second of the recording.
            digest (str): SHA-256 of the recording.
            source (str): SHA-256 of its file, or nothing.
            keypoint (np.ndarray): (P, J, 2) poses, 0 where joints are missing.
            frame (np.ndarray): (P,) their frames.
        """
        arrays = self._arrays
        self._windows += len(vectors)
        row = len(arrays['name'])
        values = dict(vectors=vectors, track=np.full(len(vectors), row), first=frames[:, 0],
                      last=frames[:, 1], keypoint=keypoint, frame=frame, name=name, person=person,
                      fps=np.nan if fps is None else fps, digest=digest, source=source,
                      poses_per_track=len(keypoint))
        for key, value in values.items():
            arrays[key].append(value)

    @property
    def sources(self) -> set[str]:
        """SHA-256 of the files of the recordings."""
        return set(self._arrays['source'])

    def arrays(self) -> dict[str, np.ndarray]:
        """Join the arrays."""
        kinds = dict(vectors=np.float16, keypoint=np.float16, track=np.int32, fps=np.float64)
        out = {}
        for key, values in self._arrays.items():
            kind = kinds.get(key, np.int64 if _ARRAYS[key][0] == 'i' else None)
            per_track = _ARRAYS[key][2] == 'R'
            out[key] = np.array(values, kind) if per_track else np.concatenate(values).astype(kind)
        return out


class Part:
    """A part of an index; vectors stay on the disk.

    Args:
        path (Path): ``.npz`` file.
        width (int): K.

    Raises:
        ValueError: If the file is damaged.
    """

    track: np.ndarray
    first: np.ndarray
    last: np.ndarray
    name: np.ndarray
    person: np.ndarray
    fps: np.ndarray
    digest: np.ndarray
    source: np.ndarray
    poses_per_track: np.ndarray

    def __init__(self, path: Path, width: int):
        self.path = path
        if not path.is_file():  # e.g. a pipe, which would be waited for
            raise self.damaged('file', 'no regular file', 'a part of a motion index')
        try:
            arrays = read_npz(path)  # all of them, as this compares checksums
            self.vectors = map_array(path, 'vectors')
            if set(arrays) != set(_ARRAYS):
                raise ValueError(f'arrays {sorted(arrays)}')
        except Exception as error:  # damaged bytes make NumPy raise nearly anything
            raise self.damaged('file', describe(error), 'a part of a motion index') from None
        self._check(arrays, width)
        for name, array in arrays.items():
            if name not in ('vectors', *_POSES):
                setattr(self, name, array)

    def damaged(self, field: str, found: object, expected: object) -> ValueError:
        """Make the error of a damaged part."""
        return ValueError(found_expected(self.path, field, found, f'{expected}; remove the file '
                                         'and index the recordings again'))

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.vectors)

    def _check(self, arrays, width):
        counts = dict(W=len(self.vectors), R=np.size(arrays['name']), P=np.size(arrays['frame']))
        for name, (kind, axes, item) in _ARRAYS.items():
            array = arrays[name]
            if array.dtype.kind != kind or array.ndim != axes or len(array) != counts[item]:
                raise self.damaged(name, f'{array.dtype} of shape {array.shape}',
                                   f'{counts[item]} values of kind {kind!r} with {axes} axes')
        checks = dict(
            vectors=(arrays['vectors'].shape[1] == width, f'{width} columns'),
            keypoint=(arrays['keypoint'].shape[2] == 2, 'x and y'),
            track=(_inside(arrays['track'], counts['R'] - 1), f'rows of {counts["R"]} tracks'),
            last=((arrays['first'] >= 0).all() and (arrays['last'] >= arrays['first']).all(),
                  'frames after the first'),
            poses_per_track=(_inside(arrays['poses_per_track'], counts['P'])
                             and arrays['poses_per_track'].sum() == counts['P'],
                             f'a sum of {counts["P"]}'),
            fps=((np.isnan(arrays['fps']) | (arrays['fps'] > 0)).all(), 'positive numbers'),
            name=(all(map(is_name, arrays['name'].tolist())), 'printable names'))
        for name, (right, expected) in checks.items():
            if not right:
                raise self.damaged(name, 'other values', expected)

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.poses_per_track)

    def poses(self, track: int, joints: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the poses of a track.

        Returns:
            tuple: Keypoints (P, J, 2) in pixels and frames (P,).
        """
        keypoint, frame = (map_array(self.path, name) for name in _POSES)
        if keypoint.shape[1] != joints:
            raise self.damaged('keypoint', f'{keypoint.shape[1]} joints', f'{joints} joints')
        end = int(self._ends[track])
        rows = slice(end - int(self.poses_per_track[track]), end)
        return np.nan_to_num(keypoint[rows]), np.array(frame[rows])


def _inside(values: np.ndarray, most: int) -> bool:
    return bool(((values >= 0) & (values <= most)).all())


class IndexFiles:
    """Files in the folder of an index.

    Args:
        folder (str or Path): The folder.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.header = self.folder / 'index.json'
        self._projection = self.folder / 'projection.npz'
        self._videos = self.folder / 'videos'

    def read_header(self) -> IndexHeader | None:
        """Read the header, None if there is no index.

        Raises:
            ValueError: If the file is damaged, or the folder holds something else.
        """
        if not self.header.is_file():
            if self.folder.exists() and any(self.folder.glob('part_*.npz')):
                raise ValueError(found_expected(self.header, 'file', 'nothing', 'the header of '
                                                'the parts beside it'))
            return None
        try:
            values = parse_json(self.header.read_bytes()[:2**16], unique)
            kind = values.pop('format')
            header = IndexHeader(**values)
        except Exception as error:  # damaged bytes raise nearly anything
            raise ValueError(found_expected(self.header, 'file', describe(error),
                                            'the header of a motion index')) from None
        fault = ('format', kind, repr(_FORMAT)) if kind != _FORMAT else header.fault()
        if fault:
            raise ValueError(found_expected(self.header, *fault))
        return header

    def start(self, header: IndexHeader):
        """Write the header if there is none, and remove what interrupted calls left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob('*.????????.tmp'):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not self.header.exists():
            with atomic_write(self.header) as file:
                file.write(json.dumps(dict(format=_FORMAT, **asdict(header))).encode())

    def read_projections(self) -> Projections | None:
        """Read the projections, None if they have not been fitted.

        Raises:
            ValueError: If the file is damaged.
        """
        if not self._projection.is_file():
            return None
        keys = [f'{name}_{key}' for name in Projections.names for key in ('mean', 'directions')]
        try:
            arrays = read_npz(self._projection, keys)
            pairs = [(arrays[f'{name}_mean'], arrays[f'{name}_directions'])
                     for name in Projections.names]
            for mean, directions in pairs:
                if mean.dtype != np.float32 or directions.dtype != np.float32 or (
                        directions.ndim != 2 or mean.shape != directions.shape[:1]
                        or not np.isfinite(mean).all() or not np.isfinite(directions).all()):
                    raise ValueError(f'mean of shape {mean.shape} and directions of shape '
                                     f'{directions.shape}')
        except Exception as error:  # damaged bytes make NumPy raise nearly anything
            raise ValueError(found_expected(
                self._projection, 'file', describe(error), 'finite float32 (D,) and (D, K); make '
                'the index again')) from None
        return Projections(*(Projection(*pair) for pair in pairs))

    def write_projections(self, projections: Projections):
        """Write the projections."""
        with atomic_write(self._projection) as file:
            np.savez(file, **{f'{name}_{key}': getattr(part, key)
                              for name, part in zip(Projections.names, projections.parts,
                                                    strict=True)
                              for key in ('mean', 'directions')})

    def read_parts(self, projections: Projections | None,
                   known: Sequence[Part] = ()) -> list[Part]:
        """Read the parts, except known ones.

        Raises:
            ValueError: If one is damaged.
        """
        read = {part.path: part for part in known}
        paths = sorted(self.folder.glob('part_??????.npz'))
        if not paths:
            return []
        if projections is None:
            raise ValueError(found_expected(self._projection, 'file', 'nothing',
                                            'the projection of the parts; make the index again'))
        return [read.get(path) or Part(path, projections.width) for path in paths]

    def write_part(self, writer: PartWriter):
        """Write the next part; the poses of its videos need not be kept any more."""
        last = max(self.folder.glob('part_??????.npz'), default=None)
        number = int(last.stem[5:]) + 1 if last else 1
        with atomic_write(self.folder / f'part_{number:06d}.npz') as file:
            np.savez(file, **writer.arrays())
        for source in filter(None, writer.sources):
            for path in self._videos.glob(f'{source}_*'):
                path.unlink()

    def poses(self, source: str, settings: dict) -> Path:
        """Return the file for the poses of a video until they are in a part.

        Args:
            source (str): SHA-256 of the video.
            settings (dict): Other things that the poses depend on.
        """
        text = json.dumps(settings, sort_keys=True, default=str)
        return self._videos / f'{source}_{hashlib.sha256(text.encode()).hexdigest()[:8]}.json'

    def remove_poses(self):
        """Remove the poses of all videos."""
        shutil.rmtree(self._videos, ignore_errors=True)
