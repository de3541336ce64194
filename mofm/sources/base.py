"""What every reader of an outside format has in common."""
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Iterable, Iterator, List, Tuple, Union

import numpy as np

from mofm.datasets.annotation import AnnotationError, Problem, validate
from mofm.keypoints import CameraRange, convert, detect

Item = Tuple[dict, Tuple[str, ...]]

# Joints nearer to the camera are missing, in metres.
_NEAR = .2
# Joints farther from the sensor are errors of a file, in metres.
_FARTHEST = 100
# Errors of the detector: jitter per metre, share of frames with swapped limbs.
_FAR, _SWAP = .001, .01


class Source:
    """Native files, read one at a time, as annotations of the one schema in COCO-17 order.

    Iterating yields ``(annotation, splits)``: the annotation and the names of the splits it is
    in. A reader sets the class attributes and writes :meth:`read`. A file that cannot be used is
    left out and its reason kept in :attr:`problems`.

    Args:
        path (str or Path): A zip file or a folder.
        strict (bool): Raise at the first bad file instead.

    Raises:
        AnnotationError: If the path holds no such files.
    """

    #: The native files begin and end with these; others, e.g. lists of labels, are left alone.
    prefix: str = ''
    suffix: str = ''
    #: Larger files are refused, in bytes.
    max_size: int = 2**26
    #: Names of the labels 0, 1, ...
    classes: Tuple[str, ...] = ()

    def __init__(self, path: Union[str, Path], strict: bool = False):
        self.path = Path(path)
        self.strict = strict
        self.problems: List[AnnotationError] = []
        try:
            if self.path.is_dir():
                files = [f.relative_to(self.path) for f in self.path.rglob('*' + self.suffix)]
            else:
                with zipfile.ZipFile(self.path) as archive:
                    files = [Path(f) for f in archive.namelist()]
        except (OSError, zipfile.BadZipFile) as error:
            raise AnnotationError(f'{self.path}: is neither a folder nor a readable zip file '
                                  f'({error})') from None
        self.files = sorted(f.as_posix() for f in files
                            if f.suffix == self.suffix and f.name.startswith(self.prefix)
                            and not f.name.startswith('.'))
        if not self.files:
            kind = f'{self.prefix}*{self.suffix}' if self.prefix else self.suffix
            raise AnnotationError(f'{self.path}: found no {kind} file, expected those of '
                                  f'{type(self).__name__}')

    def read(self, name: str, content: bytes) -> Item:
        """Turn one native file into an annotation.

        Args:
            name (str): Path inside the folder or zip file.
            content (bytes): What the file holds.

        Returns:
            tuple[dict, tuple[str]]: The annotation and its splits.

        Raises:
            AnnotationError: If the file is not as expected.
        """
        raise NotImplementedError

    def annotations(self, name: str, content: bytes) -> Iterable[Item]:
        """All annotations of one native file: that of :meth:`read`, unless overridden."""
        return [self.read(name, content)]

    def companion(self, filename: str) -> bytes:
        """Content of a file that the native ones need, inside the path or next to it.

        Args:
            filename (str): Its name without folders.

        Raises:
            AnnotationError: If there is none.
        """
        files = [self.path.absolute().parent / filename]
        if self.path.is_dir():
            files = [*sorted(self.path.absolute().rglob(filename)), *files]
        else:
            with zipfile.ZipFile(self.path) as archive:
                for name in archive.namelist():
                    if PurePosixPath(name).name == filename:
                        return self._content(name, archive)
        for file in files:
            if file.is_file():
                return self._content(str(file), None)
        raise AnnotationError(f'{self.path}: found no {filename}, expected it inside or beside; '
                              f'{type(self).__name__} cannot be read without it')

    def error(self, name: str, field: str, found: object, expected: object) -> AnnotationError:
        """The error to raise about ``field`` of the native file ``name``."""
        return AnnotationError(Problem(f'{self.path}:{name}', None, field, str(found),
                                       str(expected)))

    def _content(self, name: str, archive) -> bytes:
        try:
            with (archive.open(name) if archive else open(self.path / name, 'rb')) as f:
                content = f.read(self.max_size + 1)
        except Exception as error:  # zipfile raises many kinds for damaged members
            raise self.error(name, 'file', f'{type(error).__name__}: {error}', 'a readable file')
        if len(content) > self.max_size:
            raise self.error(name, 'file', f'more than {self.max_size} bytes',
                             f'a {self.suffix} file of usual size')
        return content

    def __iter__(self) -> Iterator[Item]:
        self.problems.clear()
        archive = None if self.path.is_dir() else zipfile.ZipFile(self.path)
        try:
            for name in self.files:
                try:
                    items = list(self.annotations(name, self._content(name, archive)))
                    for ann, _ in items:
                        problem = validate(ann, num_classes=len(self.classes), allow_empty=True,
                                           file=f'{self.path}:{name}', index=None)
                        if problem is not None:
                            raise AnnotationError(problem)
                except AnnotationError as error:
                    if self.strict:
                        raise
                    self.problems.append(error)
                else:
                    yield from items
        finally:
            if archive:
                archive.close()

    def __len__(self) -> int:
        """Number of annotations if no file is bad."""
        return len(self.files)


class Source3D(Source):
    """Recordings of 3D joints, each seen by virtual cameras (:class:`CameraRange`).

    :meth:`read` returns annotations with ``joints`` (T, J, 3) in place of ``img_shape``,
    ``total_frames``, ``keypoint`` and ``keypoint_score``: metres, y up, z away from the sensor,
    NaN for missing joints. View 0 of the recording ``a`` is called ``a_v0``. It depends on the
    seed, the name and the number of the view only, so it stays the same when others are added.

    Without noise every joint in front of the camera has score 1, also outside of the image.
    Coordinates are stored as float16, which moves them by at most half a pixel in HD images.

    Args:
        path (str or Path): A zip file or a folder.
        strict (bool): Raise at the first bad file instead.
        views (int): Cameras per recording.
        cameras (CameraRange): Where they stand, around the mean of all joints.
        seed (int): Non-negative.
        noise (bool): Add the errors of a detector (:func:`mofm.keypoints.detect`).

    Raises:
        AnnotationError: If the path holds no such files.
        ValueError: If there are no views, or the seed is negative.
    """

    #: Layout of the joints.
    layout: str = ''

    def __init__(self, path: Union[str, Path], strict: bool = False, views: int = 1,
                 cameras: CameraRange = CameraRange(), seed: int = 0, noise: bool = False):
        if views < 1 or seed < 0:
            raise ValueError(f'found views={views} and seed={seed}, expected at least 1 and 0')
        super().__init__(path, strict)
        self.views = views
        self.cameras = cameras
        self.seed = seed
        self.noise = noise

    def check_metres(self, name: str, field: str, joints: np.ndarray):
        """Refuse joints that are NaN, infinite or far away.

        Raises:
            AnnotationError: If there are any.
        """
        bad = ~(np.abs(joints) < _FARTHEST)
        if bad.any():
            raise self.error(name, field, f'{bad.sum()} values such as {joints[bad][0]}',
                             f'metres below {_FARTHEST}')

    def recordings(self, name: str, content: bytes) -> Iterable[Item]:
        """All recordings of one native file: that of :meth:`read`, unless overridden."""
        return [self.read(name, content)]

    def annotations(self, name: str, content: bytes) -> Iterable[Item]:
        """Every view of every recording."""
        for recording, splits in self.recordings(name, content):
            for view in range(self.views):
                yield self._see(recording, view), splits

    def _see(self, recording: dict, view: int) -> dict:
        """One view as an annotation."""
        recording = dict(recording)
        name, joints = recording['frame_dir'], recording.pop('joints')  # (T, J, 3)
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode()), view])
        known = np.isfinite(joints).all(-1)  # (T, J)
        target = joints[known].mean(0) if known.any() else np.zeros(3)
        pixels, depth = self.cameras.sample(rng, target).project(joints)
        score = (known & (depth > _NEAR)).astype(np.float64)
        coco, score = convert(np.concatenate([pixels, depth[..., None]], -1), score, self.layout)
        coco[score == 0] = np.nan if self.noise else 0
        keypoint = coco[..., :2]  # (T, 17, 2)
        if self.noise:
            keypoint, score = detect(keypoint, coco[..., 2], rng, self.cameras.img_shape,
                                     far=_FAR, swap=_SWAP)
        with np.errstate(over='ignore'):  # infinite values are refused later
            keypoint, score = keypoint.astype(np.float16), score.astype(np.float16)
        return dict(
            recording,
            frame_dir=f'{name}_v{view}',
            img_shape=self.cameras.img_shape,
            total_frames=len(joints),
            keypoint=keypoint[None],
            keypoint_score=score[None])

    def __len__(self) -> int:
        """Number of annotations if no file is bad."""
        return super().__len__() * self.views
