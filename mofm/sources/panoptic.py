"""CMU Panoptic: 3D joints of groups of people, seen by the dome's own cameras (Joo et al., 2015).

A sequence has ``hdPose3d_stage1_coco19/body3DScene_<frame>.json`` with ``{'bodies': [{'id': int,
'joints19': [x, y, z, confidence] * 19}]}`` in centimeters at 29.97 frames per second, and
``calibration_<sequence>.json``.
"""
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import AnnotationError
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, convert

from .base import FolderSource, Item

_POSES = 'hdPose3d_stage1_coco19'
_LAYOUT = LAYOUTS['panoptic19']
_KINDS = ('hd', 'vga')
_MIN_CONFIDENCE = .1  # joints at or below it are missing
# Joints and cameras farther from the origin are errors of a file, in centimeters.
_FARTHEST = 1e4
_LARGEST_IMAGE, _LARGEST_COEFFICIENT = 2**14, 1000


def _kind(entry: dict) -> str:
    """Kind of a camera by its panel: panel 0 has the HD cameras, the depth sensors have others."""
    panel = entry.get('panel')
    return 'hd' if panel == 0 else 'vga' if panel in range(1, 21) else ''


def _hash(name: str) -> int:
    """32 bits of a name. Names differ in a digit or two, which a CRC would hardly tell apart."""
    digest = hashlib.sha256(name.encode(errors='surrogateescape')).digest()
    return int.from_bytes(digest[:4], 'big')


@dataclass(frozen=True, eq=False)
class DomeCamera:
    """A camera with lens distortion.

    Args:
        matrix (np.ndarray): (3, 3) K, pixels.
        distortion (np.ndarray): (5,) k1, k2, p1, p2, k3.
        rotation (np.ndarray): (3, 3) from world axes to camera axes (right, down, forward).
        translation (np.ndarray): (3,) in the unit of the points.
        img_shape (tuple[int, int]): Height and width in pixels.
    """

    matrix: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    img_shape: tuple[int, int]

    @cached_property
    def reach(self) -> float:
        """Distance from the axis, at depth 1, up to which farther points are seen farther out.

        Beyond it the polynomial turns back and would put points that the camera does not see into
        the image.
        """
        k1, k2, _, _, k3 = self.distortion
        roots = np.roots([1, 3 * k1, 5 * k2, 7 * k3])  # of the radius's derivative, in 1 / r^2
        roots = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
        return 1 / np.sqrt(roots.max()) if len(roots) else np.inf

    def project(self, points: np.ndarray) -> np.ndarray:
        """See points of the world, as ``cv2.projectPoints`` does.

        Args:
            points (np.ndarray): (..., 3).

        Returns:
            np.ndarray: (..., 2) pixels; NaN for points behind the camera or beyond its
            :attr:`reach`.
        """
        k1, k2, p1, p2, k3 = self.distortion
        x, y, z = np.moveaxis(points @ self.rotation.T + self.translation, -1, 0)
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            u, v = x / z, y / z
            r2 = u**2 + v**2
            radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
            bent = np.stack([u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u**2),
                             v * radial + 2 * p2 * u * v + p1 * (r2 + 2 * v**2)], -1)
            pixels = bent @ self.matrix[:2, :2].T + self.matrix[:2, 2]
            seen = (z > 0) & (r2 < self.reach**2)
        return np.where(seen[..., None], pixels, np.nan)


@SOURCES.register_module('panoptic')
class Panoptic(FolderSource):
    """Reader of CMU Panoptic, an annotation per camera and run of frames with one person.

    It is called ``<sequence>/<camera>/<person>_<first frame>`` and has ``clip``, ``track_id`` and
    ``frame_inds``. Joints with little confidence or outside of the image are missing; a run is
    left out for a camera that sees too little of it. A tenth of the sequences, by their names, is
    in the split ``val``, the others in ``train``. A frame that cannot be read counts as missing.

    Args:
        path (str or Path): A folder or zip file of sequences, or one sequence.
        cameras (Sequence[str]): ``hd`` (31 of 1920 x 1080), ``vga`` (about 480 of 640 x 480),
            ``all`` of both, or names such as ``00_12``.
        num_cameras (int, optional): Draw this many of them for each sequence.
        seed (int): Of the draw; non-negative.
        min_visible (float): Share of joints and frames that a camera must see of a run.
        min_height (float): Median height of the person in pixels that it must have.
        max_gap (int): Frames that may miss within a run.
        min_frames (int): Shorter runs are left out.
        max_frames (int): Longer runs are cut.
        val_share (float): Share of sequences in the split ``val``.
        **kwargs: ``strict`` and ``lists`` of :class:`Source`; sequences in lists have the label
            and splits given there.

    Raises:
        AnnotationError: If the path holds no such files.
        ValueError: If a number is out of range.
    """

    prefix = 'body3DScene_'
    suffix = '.json'
    max_size = 2**22

    def __init__(self, path: str | Path, cameras: Sequence[str] = ('hd', ),
                 num_cameras: int | None = None, seed: int = 0, min_visible: float = .8,
                 min_height: float = 30, max_gap: int = 2,
                 min_frames: int = 1, max_frames: int = 300, val_share: float = .1, **kwargs):
        drawn = 1 if num_cameras is None else num_cameras
        if min(min_frames, max_frames, drawn) < 1 or min(max_gap, seed) < 0:
            raise ValueError(f'found min_frames={min_frames}, max_frames={max_frames}, '
                             f'num_cameras={num_cameras}, max_gap={max_gap} and seed={seed}, '
                             'expected the first three to be at least 1, the others 0')
        if not (0 <= min_visible <= 1 and 0 <= val_share <= 1):
            raise ValueError(f'found min_visible={min_visible} and val_share={val_share}, '
                             'expected shares from 0 to 1')
        super().__init__(path, **kwargs)
        self.cameras = tuple(cameras)
        self.num_cameras = num_cameras
        self.seed = seed
        self.min_visible = min_visible
        self.min_height = min_height
        self.max_gap = max_gap
        self.min_frames = min_frames
        self.max_frames = max_frames
        self.val_share = val_share

    @classmethod
    def add_options(cls, parser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--cameras', nargs='+', default=['hd'], metavar='hd|vga|all|NAME',
                            help='which cameras; names such as 00_12')
        parser.add_argument('--num-cameras', type=int, help='draw this many of them per sequence')
        parser.add_argument('--seed', type=int, default=0, help='of the draw')
        parser.add_argument('--min-visible', type=float, default=.8,
                            help='share of joints and frames that a camera must see')
        parser.add_argument('--min-height', type=float, default=30,
                            help='height of a person in pixels that it must have')
        parser.add_argument('--max-gap', type=int, default=2,
                            help='frames that may miss within a run')
        parser.add_argument('--min-frames', type=int, default=1, help='leave out shorter runs')
        parser.add_argument('--max-frames', type=int, default=300, help='cut longer runs')
        parser.add_argument('--val-share', type=float, default=.1,
                            help='share of sequences in the split val')

    def find(self) -> list[str]:
        """The folders with the poses of the sequences."""
        return [name for name in super().find()
                if PurePosixPath(name).name == _POSES or name == '.']

    def stem(self, name: str) -> str:
        """Name of the sequence, whose folder ``name`` is in."""
        if name == '.' and self.path.is_dir():
            return self.path.absolute().parent.name
        return super().stem(PurePosixPath(name).parent.as_posix())

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """All annotations of one sequence, see :meth:`FolderSource.annotations`."""
        sequence = self.stem(name)
        listed = self.listed(sequence)
        if listed is None:
            return
        label, splits = listed
        share = _hash(PurePosixPath(sequence).name) / 2**32
        splits = splits or ('val' if share < self.val_share else 'train', )
        cameras = self._calibration(name, sequence)
        frame, person, pose = self._poses(name, content)
        runs = self._runs(frame, person)
        for title, camera in cameras.items():
            for rows in runs:
                seen = self._see(camera, pose[rows])
                if seen is None:
                    continue
                keypoint, score = seen
                clip, first = f'{sequence}/{title}', frame[rows[0]]
                yield dict(
                    frame_dir=f'{clip}/{person[rows[0]]}_{first:08d}',
                    clip=clip,
                    track_id=int(person[rows[0]]),
                    label=label,
                    img_shape=camera.img_shape,
                    total_frames=len(rows),
                    frame_inds=frame[rows],
                    keypoint=keypoint[None].astype(np.float16),
                    keypoint_score=score[None].astype(np.float16)), splits

    def _poses(self, name, content) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frame (N,), person (N,) and x, y, z, confidence (N, 17, 4), by person, then frame."""
        frames, persons, poses = [], [], []
        for file, data in content:
            try:
                number, ids, values = self._frame(f'{name}/{file}', file, data)
            except AnnotationError as error:
                if self.strict:
                    raise
                self.problems.append(error)
                continue
            frames += [number] * len(ids)
            persons += ids
            poses.append(values)
        if not frames:
            raise self.error(name, 'bodies', 'none in any frame', 'at least one')
        frame, person = np.array(frames), np.array(persons)
        order = np.lexsort([frame, person])
        pose = np.concatenate(poses).reshape(-1, _LAYOUT.num_joints, 4)
        pose, _ = convert(pose, None, _LAYOUT.name)
        return frame[order], person[order], pose[order]

    def _frame(self, name, file, data) -> tuple[int, list[int], np.ndarray]:
        """Number of a frame, its persons and their joints (M, 76)."""
        match = re.fullmatch(r'body3DScene_(\d{8})\.json', file)
        if match is None:
            raise self.error(name, 'name', file, 'body3DScene_ and 8 digits')
        scene = self.json(name, data)
        bodies = scene.get('bodies') if isinstance(scene, dict) else None
        if not isinstance(bodies, list) or not all(
                isinstance(body, dict) and {'id', 'joints19'} <= body.keys() for body in bodies):
            raise self.error(name, 'bodies', type(bodies).__name__,
                             "a list of dicts with 'id' and 'joints19'")
        ids = [body['id'] for body in bodies]
        if not all(type(i) is int and 0 <= i < 2**31 for i in ids) or len(set(ids)) < len(ids):
            raise self.error(name, 'id', f'other or repeated values for {len(ids)} bodies',
                             'different numbers from 0 on')
        values = np.zeros((0, 4 * _LAYOUT.num_joints))
        if bodies:
            values = self.array(name, 'joints19', [body['joints19'] for body in bodies],
                                (len(bodies), values.shape[1]))
        if (np.abs(values) > _FARTHEST).any():
            raise self.error(name, 'joints19', np.abs(values).max(), f'centimeters, at most '
                             f'{_FARTHEST:g}')
        return int(match[1]), ids, values

    def _runs(self, frame, person) -> list[np.ndarray]:
        """Rows of each run of one person."""
        breaks = (np.diff(person) != 0) | (np.diff(frame) > self.max_gap + 1)
        runs = np.split(np.arange(len(frame)), np.flatnonzero(breaks) + 1)
        pieces = [run[i:i + self.max_frames] for run in runs
                  for i in range(0, len(run), self.max_frames)]
        return [piece for piece in pieces if len(piece) >= self.min_frames]

    def _see(self, camera, pose) -> tuple[np.ndarray, np.ndarray] | None:
        """Keypoint (T, 17, 2) and score (T, 17) of a run; None if it is seen too little."""
        pixels, confidence = camera.project(pose[..., :3]), pose[..., 3]
        height, width = camera.img_shape
        with np.errstate(invalid='ignore'):
            visible = ((confidence > _MIN_CONFIDENCE) & (pixels >= 0).all(-1)
                       & (pixels < [width, height]).all(-1))  # (T, 17)
        if visible.mean() < self.min_visible or not visible.any():
            return None
        y = np.where(visible, pixels[..., 1], np.nan)[visible.any(1)]
        tall = np.fmax.reduce(y, 1) - np.fmin.reduce(y, 1)  # these pass over missing joints
        if np.median(tall) < self.min_height:
            return None
        return (np.where(visible[..., None], pixels, 0),
                np.where(visible, confidence.clip(0, 1), 0))

    def _calibration(self, name, sequence) -> dict[str, DomeCamera]:
        """The chosen cameras of a sequence by name."""
        filename = f'calibration_{PurePosixPath(sequence).name}.json'
        where = (PurePosixPath(name).parent / filename).as_posix()
        # A search through a folder with millions of frames takes long.
        beside = self.path.is_dir() and (self.path / where).is_file()
        data = self.json(where, self.file_content(where, None) if beside else
                         self.companion(filename))
        entries = data.get('cameras') if isinstance(data, dict) else None
        if not isinstance(entries, list) or not all(isinstance(c, dict) for c in entries):
            raise self.error(where, 'cameras', type(entries).__name__, 'a list of dicts')
        by_name = {}
        for entry in entries:
            title = entry.get('name')
            if not isinstance(title, str) or not re.fullmatch(r'[\w-]{1,40}', title):
                raise self.error(where, 'name', type(title).__name__, 'the name of a camera')
            if title in by_name:
                raise self.error(where, 'name', f'{title} twice', 'different names')
            by_name[title] = entry
        chosen = set()
        for word in self.cameras:
            kinds = _KINDS if word == 'all' else (word, )
            found = {title for title, entry in by_name.items()
                     if title == word or _kind(entry) in kinds}
            if not found:
                raise self.error(where, 'cameras', sorted(by_name), f'{word!r}')
            chosen |= found
        names = sorted(chosen)
        if self.num_cameras is not None and self.num_cameras < len(names):
            rng = np.random.default_rng([self.seed, _hash(sequence)])
            names = sorted(rng.choice(names, self.num_cameras, replace=False).tolist())
        return {title: self._camera(where, by_name[title]) for title in names}

    def _camera(self, where, entry) -> DomeCamera:
        """One camera of a calibration file."""
        shapes = dict(K=(3, 3), distCoef=(5, ), R=(3, 3), t=(3, 1), resolution=(2, ))
        title = entry['name']
        matrix, distortion, rotation, translation, size = (
            self.array(where, f'{title}: {field}', entry.get(field), shape)
            for field, shape in shapes.items())
        width, height = size.tolist()
        checks = dict(
            K=((matrix.diagonal() > 0).all() and not matrix[[1, 2, 2], [0, 0, 1]].any()
               and matrix[2, 2] == 1, 'a camera matrix'),
            distCoef=((np.abs(distortion) < _LARGEST_COEFFICIENT).all(),
                      f'k1, k2, p1, p2, k3 below {_LARGEST_COEFFICIENT}'),
            R=((np.abs(rotation) < 2).all() and np.linalg.det(rotation) > 0
               and np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4), 'a rotation'),
            t=((np.abs(translation) < _FARTHEST).all(), f'centimeters below {_FARTHEST:g}'),
            resolution=(all(s == int(s) and 1 <= s <= _LARGEST_IMAGE for s in (width, height)),
                        'width and height in pixels'))
        for field, (good, expected) in checks.items():
            if not good:
                raise self.error(where, f'{title}: {field}', entry[field], expected)
        return DomeCamera(matrix, distortion, rotation, translation[:, 0],
                          (int(height), int(width)))
