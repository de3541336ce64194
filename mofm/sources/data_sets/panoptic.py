"""CMU Panoptic: 3D joints of groups of people in the views of the dome (Joo et al., ICCV 2015).

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
from mofm.utils.checks import show, typed

from ..base import FolderSource, Item
from ..recognition import Sample

_POSES = 'hdPose3d_stage1_coco19'
_LAYOUT = LAYOUTS['panoptic19']
_KINDS = ('hd', 'vga')
_MIN_CONFIDENCE = .1  # joints at or below it are missing
# Largest valid distance of joints and cameras from the origin in centimeters.
_FARTHEST = 1e4
_LARGEST_IMAGE, _LARGEST_COEFFICIENT = 2**14, 1000


def _kind(entry: dict) -> str:
    """Return the kind of a camera by its panel: 0 for HD, 1 to 20 for VGA, others for depth."""
    panel = entry.get('panel')
    return 'hd' if panel == 0 else 'vga' if panel in range(1, 21) else ''


def _hash(name: str) -> int:
    """Hash a name to 32 bits; a CRC hardly separates names that differ in one or two digits."""
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
        """Largest valid distance from the axis at depth 1.

        Beyond it the distortion polynomial decreases and would project invisible points into the
        image.
        """
        k1, k2, _, _, k3 = self.distortion
        roots = np.roots([1, 3 * k1, 5 * k2, 7 * k3])  # of the radius's derivative, in 1 / r^2
        roots = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
        return 1 / np.sqrt(roots.max()) if len(roots) else np.inf

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points as ``cv2.projectPoints``.

        Args:
            points (np.ndarray): (..., 3) in world coordinates.

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
    """Reader of CMU Panoptic with one annotation per camera and run of frames with one person.

    Annotations are named ``<sequence>/<camera>/<person>_<first frame>`` and have ``clip``,
    ``track_id`` and ``frame_inds``. Joints with low confidence or outside the image are missing;
    views that show too little of a run are skipped. A tenth of the sequences, by a hash of their
    names, is the split ``val``, the others ``train``; of several at least one. Unreadable frames
    count as missing.

    Args:
        path (str or Path): A folder or zip file of sequences, or one sequence.
        cameras (Sequence[str]): ``hd`` (31 of 1920 x 1080), ``vga`` (about 480 of 640 x 480),
            ``all`` for both, or names such as ``00_12``.
        num_cameras (int, optional): Sample this many of them per sequence.
        seed (int): Non-negative seed of the sampling.
        min_visible (float): Minimum share of visible joints of a run.
        min_height (float): Minimum median height of the person in pixels.
        max_gap (int): Maximum number of missing frames in a row within a run.
        min_frames (int): Minimum length of a run.
        max_frames (int): Length at which runs are split.
        val_share (float): Share of sequences in the split ``val``.
        **kwargs: ``strict`` and ``lists`` of :class:`Source`; listed sequences have the label
            and splits of the lists.

    Raises:
        AnnotationError: If the path has no such files.
        ValueError: If a number is out of range.
    """

    prefix = 'body3DScene_'
    companions = 'calibration_*.json',
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
                            help='cameras by kind or name, e.g. 00_12')
        parser.add_argument('--num-cameras', type=int, help='number sampled per sequence')
        parser.add_argument('--seed', type=int, default=0, help='seed of the sampling')
        parser.add_argument('--min-visible', type=float, default=.8,
                            help='minimum share of visible joints of a run')
        parser.add_argument('--min-height', type=float, default=30,
                            help='minimum median height of the person in pixels')
        parser.add_argument('--max-gap', type=int, default=2,
                            help='maximum number of missing frames in a row within a run')
        parser.add_argument('--min-frames', type=int, default=1, help='minimum length of a run')
        parser.add_argument('--max-frames', type=int, default=300, help='split longer runs')
        parser.add_argument('--val-share', type=float, default=.1,
                            help='share of sequences in the split val')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.filename.startswith(cls.prefix) and 'joints19' in sample.json['bodies'][0]:
            return "'bodies' with 'joints19'"
        return None

    def find(self) -> list[str]:
        """List the folders of poses of the sequences."""
        return [name for name in super().find()
                if PurePosixPath(name).name == _POSES or name == '.']

    def stem(self, name: str) -> str:
        """Return the name of the sequence that the folder ``name`` belongs to."""
        if name == '.' and self.path.is_dir():
            return self.path.absolute().parent.name
        return super().stem(PurePosixPath(name).parent.as_posix())

    def _share(self, name: str) -> float:
        return _hash(PurePosixPath(self.stem(name)).name) / 2**32

    @cached_property
    def _val_end(self) -> float:
        """Share below which a sequence is in ``val``."""
        shares = sorted({self._share(name) for name in self.files})
        return max(self.val_share, shares[1]) if self.val_share and shares[1:] else self.val_share

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """Yield all annotations of one sequence, see :meth:`FolderSource.annotations`."""
        sequence = self.stem(name)
        listed = self.listed(sequence)
        if listed is None:
            return
        label, splits = listed
        splits = splits or ('val' if self._share(name) < self._val_end else 'train', )
        cameras = self._calibration(name, sequence)
        frame, person, pose = self._poses(name, content)
        runs = self._runs(frame, person)
        for title, camera in cameras.items():
            for rows in runs:
                view = self._project(camera, pose[rows])
                if view is None:
                    continue
                keypoint, score = view
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
        """Read frame (N,), person (N,) and x, y, z, confidence (N, 17, 4), sorted by person."""
        frames, persons, poses = [], [], []
        for file, data in content:
            try:
                number, ids, values = self._frame(f'{name}/{file}', file, data)
            except AnnotationError as error:
                self.report(error, 'frames')
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
        """Parse the number of a frame, its persons and their joints (M, 76)."""
        match = re.fullmatch(r'(?i)body3DScene_(\d{8})\.json', file)
        if match is None:
            raise self.error(name, 'name', file, 'body3DScene_ and 8 digits')
        scene = self.json(name, data)
        bodies = scene.get('bodies') if isinstance(scene, dict) else None
        if not isinstance(bodies, list) or not all(
                isinstance(body, dict) and {'id', 'joints19'} <= body.keys() for body in bodies):
            raise self.error(name, 'bodies', typed(bodies),
                             "a list of dicts with 'id' and 'joints19'")
        ids = [body['id'] for body in bodies]
        if not all(type(i) is int and 0 <= i < 2**31 for i in ids) or len(set(ids)) < len(ids):
            raise self.error(name, 'id', f'{show(ids)} for {len(ids)} bodies',
                             'different numbers from 0')
        values = np.zeros((0, 4 * _LAYOUT.num_joints))
        if bodies:
            values = self.array(name, 'joints19', [body['joints19'] for body in bodies],
                                (len(bodies), values.shape[1]), missing=True)
            joints = values.reshape(len(bodies), -1, 4)
            joints[np.isnan(joints).any(-1)] = 0  # of no confidence
        if (np.abs(values) > _FARTHEST).any():
            raise self.error(name, 'joints19', np.abs(values).max(), f'centimeters, at most '
                             f'{_FARTHEST:g}')
        return int(match[1]), ids, values

    def _runs(self, frame, person) -> list[np.ndarray]:
        """Return the rows of each run of one person."""
        breaks = (np.diff(person) != 0) | (np.diff(frame) > self.max_gap + 1)
        runs = np.split(np.arange(len(frame)), np.flatnonzero(breaks) + 1)
        pieces = [run[i:i + self.max_frames] for run in runs
                  for i in range(0, len(run), self.max_frames)]
        return [piece for piece in pieces if len(piece) >= self.min_frames]

    def _project(self, camera, pose) -> tuple[np.ndarray, np.ndarray] | None:
        """Return keypoint (T, 17, 2) and score (T, 17) of a run, None if too little is visible."""
        pixels, confidence = camera.project(pose[..., :3]), pose[..., 3]
        height, width = camera.img_shape
        with np.errstate(invalid='ignore'):
            visible = ((confidence > _MIN_CONFIDENCE) & (pixels >= 0).all(-1)
                       & (pixels < [width, height]).all(-1))  # (T, 17)
        if visible.mean() < self.min_visible or not visible.any():
            return None
        y = np.where(visible, pixels[..., 1], np.nan)[visible.any(1)]
        tall = np.fmax.reduce(y, 1) - np.fmin.reduce(y, 1)  # ignore missing joints
        if np.median(tall) < self.min_height:
            return None
        return (np.where(visible[..., None], pixels, 0),
                np.where(visible, confidence.clip(0, 1), 0))

    def _calibration(self, name, sequence) -> dict[str, DomeCamera]:
        """Read the chosen cameras of a sequence by name."""
        filename = f'calibration_{PurePosixPath(sequence).name}.json'
        where = (PurePosixPath(name).parent / filename).as_posix()
        content = self.file_content(where) if where in self.tree else self.companion(filename)
        data = self.json(where, content)
        entries = data.get('cameras') if isinstance(data, dict) else None
        if not isinstance(entries, list) or not all(isinstance(c, dict) for c in entries):
            raise self.error(where, 'cameras', typed(entries), 'a list of dicts')
        by_name = {}
        for entry in entries:
            title = entry.get('name')
            if not isinstance(title, str) or not re.fullmatch(r'[\w-]{1,40}', title):
                raise self.error(where, 'name', typed(title), 'a camera name')
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
        """Parse one camera of a calibration file."""
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
