"""Base class of readers of 3D joints, which are projected by virtual cameras."""
import zlib
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mofm.annotations import complete_3d
from mofm.annotations.values import MAX_SIZES
from mofm.keypoints import CameraRange, add_pose_noise
from mofm.structures import convert

from .base import Item, Source, image_size
from .posture import other_vertical

# Joints nearer to the camera, in meters, are missing.
_NEAR = .2
# Poses of a recording that are looked at for the vertical axis.
_LOOKED = 64
#: Largest valid distance of joints from the sensor in meters.
FARTHEST = 100
# Pose noise: jitter per meter, share of frames with swapped limbs.
_FAR, _SWAP = .001, .01
_CAMERA_OPTIONS = dict(
    distance='meters to the center of the person', height='meters above it',
    yaw='degrees around it, 0 on the side of the sensor', pitch='degrees of their aim above it',
    roll='degrees about the optical axis', focal='focal length in image widths')


class Source3D(Source):
    """Base class of readers of 3D joints, projected by virtual cameras (:class:`CameraRange`).

    :meth:`read` returns annotations with ``joints`` (T, J, 3), or (M, T, J, 3) for several
    persons, instead of ``img_shape``, ``total_frames``, ``keypoint`` and ``keypoint_score``: in
    meters, y up, z away from the sensor, NaN for missing joints. All persons are seen by the same
    cameras without mutual occlusion. View 0 of the recording ``a`` is named ``a_v0``. It depends
    only on the seed, the name and the index of the view, and does not change if views are added.

    Without noise every joint in front of the camera has score 1, also outside the image, up to
    ten image sizes.
    Coordinates are stored as float16 with an error of at most half a pixel in HD images.

    With ``keep_3d`` an annotation is the recording ``a`` itself: ``keypoint`` (M, T, J, 3) in
    meters and the layout of the reader. :class:`MotionDataset` reads it with ``dims=3``.

    Args:
        path (str or Path): A folder, a zip file, or one native file.
        views (int): Cameras per recording.
        cameras (CameraRange): Placement of the cameras around the mean of all joints.
        seed (int): Non-negative.
        noise (bool): Add pose noise (:func:`mofm.keypoints.add_pose_noise`).
        keep_3d (bool): Keep 3D joints instead of views of them.
        **kwargs: ``strict`` and ``lists`` of :class:`Source`.

    Raises:
        AnnotationError: If the path has no such files.
        ValueError: If there are no views, the seed is negative, or ``keep_3d`` is combined with
            views or noise.
    """

    #: Layout of the joints.
    layout: str = ''

    def __init__(self, path: str | Path, views: int = 1,
                 cameras: CameraRange | None = None, seed: int = 0, noise: bool = False,
                 keep_3d: bool = False, **kwargs):
        if views < 1 or seed < 0:
            raise ValueError(f'found views={views} and seed={seed}, expected at least 1 and 0')
        if keep_3d and (views > 1 or noise):
            raise ValueError(f'found keep_3d with views={views} and noise={noise}, expected '
                             'neither')
        super().__init__(path, **kwargs)
        self.views = views
        self.cameras = cameras or CameraRange()
        self.seed = seed
        self.noise = noise
        self.keep_3d = keep_3d
        if keep_3d:
            self.out_layout, self.dims = self.layout, 3

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--views', type=int, default=1, help='virtual cameras per recording')
        for name, meaning in _CAMERA_OPTIONS.items():
            default = getattr(CameraRange, name)
            parser.add_argument(f'--{name}', type=float, nargs=2, default=default,
                                metavar=('LOW', 'HIGH'),
                                help='{} (default: {} to {})'.format(meaning, *default))
        parser.add_argument('--image-size', type=image_size, nargs='+', default=[(1080, 1920)],
                            metavar='WIDTHxHEIGHT', help='sizes to sample from')
        parser.add_argument('--seed', type=int, default=0, help='seed of cameras and noise')
        parser.add_argument('--noise', action='store_true',
                            help='add noise as of a pose estimator')
        parser.add_argument('--keep-3d', action='store_true',
                            help='keep 3D joints in meters instead of views of them')

    @classmethod
    def from_options(cls, path: str | Path, **options) -> 'Source3D':
        """See :meth:`Source.from_options`."""
        ranges = {name: tuple(options.pop(name)) for name in _CAMERA_OPTIONS}
        cameras = CameraRange(img_shape=tuple(options.pop('image_size')), **ranges)
        return cls(path, cameras=cameras, **options)

    def check_meters(self, name: str, field: str, joints: np.ndarray):
        """Check that no joint is infinite or far away, and not all are missing (NaN).

        Raises:
            AnnotationError: If any is.
        """
        bad = (np.abs(joints) >= FARTHEST) | np.isnan(joints).all()
        if bad.any():
            raise self.error(name, field, f'{bad.sum()} values such as {joints[bad][0]}',
                             f'meters below {FARTHEST}')

    def recordings(self, name: str, content: bytes) -> Iterable[Item]:
        """Return all recordings of one native file; by default the one of :meth:`read`."""
        return [self.read(name, content)]

    def annotations(self, name: str, content: bytes) -> Iterable[Item]:
        """Yield every view of every recording."""
        for recording, splits in self.recordings(name, content):
            for annotation in self.views_of(recording):
                yield annotation, splits

    def views_of(self, recording: dict) -> Iterator[dict]:
        """Yield the annotations of one recording of :meth:`read`."""
        self.check_axes(recording)
        if self.keep_3d:
            yield self._keep(recording)
        else:
            for view in range(self.views):
                yield self._project(recording, view)

    def check_axes(self, recording: dict):
        """Note if people in a recording of :meth:`read` do not stand along y."""
        joints = recording['joints'].reshape(-1, *recording['joints'].shape[-2:])
        joints = joints[::-(-len(joints) // _LOOKED) or 1]
        joints, known = convert(joints, np.isfinite(joints).all(-1), self.layout)
        axis = other_vertical(np.where(known[..., None], joints, np.nan))
        if axis is not None:
            self.note(recording['frame_dir'], 'heads are above feet in few frames along y'
                      + (f', in most along {axis}' if axis else '') + ': people who lie, or axes '
                      'that the reader does not expect')

    def _keep(self, recording: dict) -> dict:
        """Return the 3D joints as an annotation."""
        recording = dict(recording)
        joints = recording.pop('joints')
        joints = joints[None] if joints.ndim == 3 else joints  # (M, T, J, 3)
        known = np.isfinite(joints).all(-1)
        return complete_3d(dict(
            recording,
            total_frames=joints.shape[1],
            keypoint=np.where(known[..., None], joints, 0).astype(np.float16),
            keypoint_score=known.astype(np.float16)))

    def _project(self, recording: dict, view: int) -> dict:
        """Return one view as an annotation."""
        recording = dict(recording)
        name, joints = recording['frame_dir'], recording.pop('joints')
        joints = joints[None] if joints.ndim == 3 else joints  # (M, T, J, 3)
        number = zlib.crc32(name.encode(errors='surrogateescape'))
        rng = np.random.default_rng([self.seed, number, view])
        known = np.isfinite(joints).all(-1)  # (M, T, J)
        target = joints[known].mean(0) if known.any() else np.zeros(3)
        camera = self.cameras.sample(rng, target)
        pixels, depth = camera.project(joints)
        outside = MAX_SIZES * max(camera.img_shape)  # is a fault in annotations
        in_front = (depth > _NEAR) & (np.abs(pixels) < outside).all(-1)
        score = (known & in_front).astype(np.float64)
        coco, score = convert(np.concatenate([pixels, depth[..., None]], -1), score, self.layout)
        coco[score == 0] = np.nan if self.noise else 0
        keypoint = coco[..., :2]  # (M, T, 17, 2)
        if self.noise:
            persons = [add_pose_noise(pixels, depth, rng, camera.img_shape, far=_FAR, swap=_SWAP)
                       for pixels, depth in zip(keypoint, coco[..., 2], strict=True)]
            keypoint, score = map(np.stack, zip(*persons, strict=True))
            far = ~(np.abs(keypoint) < outside).all(-1)
            keypoint[far] = score[far] = 0
        return dict(
            recording,
            frame_dir=f'{name}_v{view}',
            img_shape=camera.img_shape,
            total_frames=joints.shape[1],
            keypoint=keypoint.astype(np.float16),
            keypoint_score=score.astype(np.float16))

    def __len__(self) -> int:
        """Return the number of annotations if all files are valid."""
        return super().__len__() * self.views
