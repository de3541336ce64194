"""``.skeleton`` files of NTU RGB+D 60 and 120, recorded with Kinect v2.

Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019. A text file has the number of frames; per
frame the number of bodies; per body a line of ten values, the first one its ID, the number of
joints, and a line of twelve values per joint: x, y, z in meters, its pixel in the depth and the
color image, an orientation and the tracking state.
"""
import re
from argparse import ArgumentParser
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES, AnnotationError
from mofm.keypoints import join_tracks
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, convert

from ..base import Item, Source
from ..recognition import Sample
from ..source_3d import FARTHEST, Source3D

_NAME = re.compile(r'S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})')
_HEAD, _ROW = 10, 12  # values in the lines of a body and of a joint
_STATE = 11
# Not tracked, inferred (hidden, estimated by the sensor), tracked.
_SCORE = np.array([0, .5, 1])
# First column and (height, width) of each image.
_IMAGES = dict(color=(5, (1080, 1920)), depth=(3, (424, 512)))
# Frames until a body is back, 5 s: in a recording of one action it is nobody else.
_MAX_GAP = 150
_MAX_FRAMES = 10000  # the clips have a few hundred

_SUBJECTS_60 = frozenset((
    1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38))
_SUBJECTS_120 = _SUBJECTS_60 | frozenset((
    45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89,
    91, 92, 93, 94, 95, 97, 98, 100, 103))


def rank_by_motion(person: np.ndarray, points: np.ndarray) -> list[int]:
    """Rank persons by the standard deviation of their points, as 2s-AGCN and UNIK.

    The deviations of the coordinates over all joints and frames of a person are summed.

    Args:
        person (np.ndarray): (R,) int, the person of each row.
        points (np.ndarray): (R, J, C) coordinates, NaN where missing.

    Returns:
        list[int]: Persons with at least one point, most motion first.
    """
    order = np.argsort(person, kind='stable')
    numbers, first = np.unique(person[order], return_index=True)
    motion = {}
    for number, rows in zip(numbers.tolist(), np.split(points[order], first[1:]), strict=True):
        known = rows[np.isfinite(rows).all(-1)]  # (K, C)
        if len(known):
            with np.errstate(over='ignore', invalid='ignore'):
                motion[number] = np.nan_to_num(known.std(0).sum(), nan=np.inf)
    return sorted(motion, key=lambda number: -motion[number])


class SkeletonText:
    """Mixin of readers of texts of bodies, as of NTU RGB+D."""

    suffix: str | tuple[str, ...] = '.skeleton'
    max_size = 2**25
    #: Joints of a body, and values in its line and in those of joints; None for any number.
    num_joints: int = LAYOUTS['kinect25'].num_joints
    num_values: tuple[int | None, int | None] = (_HEAD, _ROW)

    def rows(self, name: str, content: bytes) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """Parse all bodies of a file.

        Returns:
            tuple: Number of frames T, body (N,) and frame (N,) int, and the values of the joint
            lines (N, J, 12 or any number), finite or NaN. Bodies are numbered as they appear.

        Raises:
            AnnotationError: If the text is invalid or has no body.
        """
        total_frames, body, frame, lines = self._lines(name, content)
        if not body:
            raise self.error(name, 'bodies', f'none in {total_frames} frames', 'at least one')
        try:
            rows = np.loadtxt(lines, comments=None, ndmin=2)
            if len(rows) != len(body) * self.num_joints or rows.shape[1] != (
                    self.num_values[1] or rows.shape[1]):
                raise ValueError(f'{len(rows)} lines of {rows.shape[1]} numbers')
        except ValueError as error:
            raise self.error(name, 'joints', str(error)[:200],
                             f'{self.num_values[1] or "some"} numbers per line') from None
        rows = rows.reshape(len(body), self.num_joints, -1)
        if np.isinf(rows).any():
            raise self.error(name, 'joints', 'infinite numbers', 'finite ones')
        ids = {b: i for i, b in enumerate(dict.fromkeys(body))}
        person, frame = np.array([ids[b] for b in body]), np.array(frame)
        if len(np.unique(person * total_frames + frame)) < len(frame):
            raise self.error(name, 'bodies', 'an id twice in a frame', 'one body per id')
        return total_frames, person, frame, rows

    def two_persons(self, name: str, person: np.ndarray, frame: np.ndarray,
                    points: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Join bodies that go on under another ID and choose the two persons that move most.

        Args:
            name (str): The native file.
            person (np.ndarray): (N,) int, the body of each row.
            frame (np.ndarray): (N,) int, its frame.
            points (np.ndarray): (N, J, C), NaN where missing, not all of a row.

        Returns:
            tuple: The person (N,) of each row, and those that are kept, most motion first.
        """
        joined = join_tracks(person, frame, points, _MAX_GAP)
        if (joined != person).any():
            self.note(name, 'bodies that go on under another id are joined to one person')
        kept = rank_by_motion(joined, points)[:2]
        if np.setdiff1d(frame, frame[np.isin(joined, kept)]).size:
            self.note(name, 'nobody is shown in frames that have only other bodies than the two '
                            'that move most')
        return joined, kept

    def _lines(self, name, content) -> tuple[int, list[str], list[int], list[str]]:
        """Split into number of frames, ID and frame of each body, and their joint lines."""
        try:
            lines = content.decode('ascii').rstrip().split('\n')
        except UnicodeDecodeError as error:
            raise self.error(name, 'file', error, 'ASCII text') from None

        def number(at, what, limit):
            text = lines[at].strip() if at < len(lines) else 'the end of the file'
            if not re.fullmatch(r'\d{1,9}', text) or int(text) > limit:
                raise self.error(name, f'line {at + 1}', repr(text[:40]),
                                 f'the number of {what}, at most {limit}')
            return int(text)

        total_frames, at = number(0, 'frames', _MAX_FRAMES), 1
        body, frame, joints = [], [], []
        for t in range(total_frames):
            for _ in range(number(at, 'bodies', len(lines))):
                head = lines[at + 1].split() if at + 1 < len(lines) else []
                if len(head) != (self.num_values[0] or len(head) or 1) or not re.fullmatch(
                        r'\d{1,20}(\.0*)?', head[0]):
                    raise self.error(name, f'line {at + 2}', repr(' '.join(head)[:60]),
                                     f'the id of a body and {_HEAD - 1} other values')
                if number(at + 2, 'joints', self.num_joints) != self.num_joints:
                    raise self.error(name, f'line {at + 3}', f'{lines[at + 2].strip()} joints',
                                     self.num_joints)
                body.append(str(int(head[0].split('.')[0])))
                frame.append(t)
                joints += lines[at + 3:at + 3 + self.num_joints]
                at += 2 + self.num_joints
            at += 1
        if at != len(lines):
            raise self.error(name, 'file', f'{len(lines)} lines',
                             f'{at} for {total_frames} frames')
        return total_frames, body, frame, joints


class _Skeletons(SkeletonText):
    """Mixin of names, splits and bodies of the files for 2D and 3D readers.

    ``xsub_train`` and ``xsub_val`` divide the subjects. The sensor gives a body that it loses
    another ID: such bodies are joined (:func:`mofm.keypoints.join_tracks`). The two that move most
    are kept, most motion first.

    Args:
        path (str or Path): Folder or zip file with ``SsssCcccPpppRrrrAaaa.skeleton``, or one such
            file. Files of the other release are skipped.
        missing (str or Path, optional): The published list of samples with missing or incomplete
            skeletons, which are skipped.
        **kwargs: Passed to the other base class.

    Raises:
        AnnotationError: If the path has no such files or the list no name.
    """

    prefix = 'S'
    #: Number of setups and of subjects of the release, and the training subjects.
    setups: int = 0
    subjects: int = 0
    train_subjects: frozenset[int] = frozenset()

    def __init__(self, path: str | Path, missing: str | Path | None = None, **kwargs):
        self.missing = _read_missing(missing) if missing else frozenset()
        super().__init__(path, **kwargs)

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--missing', metavar='FILE',
                            help='published list of samples with missing skeletons, to skip')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        match = _NAME.fullmatch(PurePosixPath(sample.filename).stem)
        if match is None or not re.match(rb'\s*\d+\s+\d+\s', sample.head) or (
                int(match[1]) > cls.setups or int(match[5]) > len(cls.classes)):
            return None
        return f'a text of bodies in a file SsssCcccPpppRrrrAaaa, actions 1 to {len(cls.classes)}'

    def find(self) -> list[str]:
        """List the files of this release without those in ``missing``."""
        return [file for file in super().find() if not self._is_excluded(self._sample(file))]

    def _sample(self, file: str) -> str:
        return PurePosixPath(self.stem(file)).name

    def _is_excluded(self, sample: str) -> bool:
        match = _NAME.fullmatch(sample)
        if match is None:  # raises when it is read
            return False
        setup, action = int(match[1]), int(match[5])
        other = self.setups < setup <= NTU120.setups or len(self.classes) < action <= len(
            NTU120.classes)
        return other or sample in self.missing

    def split(self, setup: int, camera: int) -> str:
        """Return the cross-view or cross-setup split of a sample."""
        raise NotImplementedError

    def header(self, name: str) -> Item:
        """Return name, label and splits of a file.

        Raises:
            AnnotationError: If the name is not one of this release.
        """
        sample = self._sample(name)
        match = _NAME.fullmatch(sample)
        limits = (self.setups, 3, self.subjects, 2, len(self.classes))
        numbers = tuple(map(int, match.groups())) if match else (0, ) * 5
        if not all(1 <= n <= limit for n, limit in zip(numbers, limits, strict=True)):
            raise self.error(name, 'name', sample, 'SsssCcccPpppRrrrAaaa with numbers up to '
                             + ', '.join(map(str, limits)))
        setup, camera, subject, _, action = numbers
        xsub = 'xsub_train' if subject in self.train_subjects else 'xsub_val'
        return dict(frame_dir=sample, label=action - 1), (xsub, self.split(setup, camera))

    def bodies(self, name: str, content: bytes) -> np.ndarray:
        """Parse the bodies that move most.

        Returns:
            np.ndarray: (M, T, 25, 12) values of the joint lines, M = 1 or 2; NaN where a body is
            absent, a joint is not tracked or its position is unknown.

        Raises:
            AnnotationError: If the text is invalid or has no body.
        """
        total_frames, person, frame, rows = self.rows(name, content)
        if not np.isin(rows[..., _STATE], range(len(_SCORE))).all():
            raise self.error(name, 'joints', 'other tracking states', '0, 1 or 2')
        position = rows[..., :3]
        if (np.abs(position) >= FARTHEST).any():
            raise self.error(name, 'joints', f'values up to {np.nanmax(np.abs(position))}',
                             f'meters below {FARTHEST}')
        # Lost joints have state 0, NaN or zeros.
        rows[(rows[..., _STATE] == 0) | ~position.any(-1) | np.isnan(position).any(-1)] = np.nan
        seen = np.isfinite(rows[..., 0]).any(-1)
        if not seen.any():
            raise self.error(name, 'bodies', 'no tracked joint', 'at least one')
        rows, person, frame = rows[seen], person[seen], frame[seen]
        joined, kept = self.two_persons(name, person, frame, rows[..., :3])
        out = np.full((len(kept), total_frames, *rows.shape[1:]), np.nan)
        for i, number in enumerate(kept):
            out[i, frame[joined == number]] = rows[joined == number]
        return out


def _read_missing(path) -> frozenset[str]:
    """Read names of samples from a text file, which may have a heading."""
    try:
        names = re.findall(_NAME.pattern.replace('(', '').replace(')', ''),
                           Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise AnnotationError(f'{path}: the list of missing samples cannot be read ({error})'
                              ) from None
    if not names:
        raise AnnotationError(f'{path}: found no sample, expected names SsssCcccPpppRrrrAaaa')
    return frozenset(names)


class _Joints2D(_Skeletons, Source):
    """Base class of readers of joints in Kinect's images.

    An annotation has M = 1 or 2 persons. The score of a joint is 1 if tracked, 0.5 if hidden and
    inferred by Kinect, 0 if lost. The head becomes nose, eyes and ears.

    Kinect v2 mirrors its images: x of the pixels increases with x of the joints, to the left of
    the sensor. The left side of a person is where a 2D pose estimator sees the right one.

    Args:
        path (str or Path): See the base classes.
        projection (str): The image, ``color`` (1920 x 1080) or ``depth`` (512 x 424).
        unmirror (bool): Flip the images, so that left and right are as in other sources; the
            keypoints then do not match the published videos.
        **kwargs: ``missing``, and ``strict`` of :class:`Source`.

    Raises:
        AnnotationError: If the path has no such files or the list no name.
        ValueError: If the projection is unknown.
    """

    def __init__(self, path: str | Path, projection: str = 'color', unmirror: bool = False,
                 **kwargs):
        if projection not in _IMAGES:
            raise ValueError(f'projection: found {projection!r}, expected one of {list(_IMAGES)}')
        super().__init__(path, **kwargs)
        self.projection = projection
        self.unmirror = unmirror

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--projection', choices=list(_IMAGES), default='color',
                            help='image that the keypoints are in')
        parser.add_argument('--unmirror', action='store_true',
                            help="flip Kinect's images, which are mirrored")

    def read(self, name: str, content: bytes) -> Item:
        """See :meth:`Source.read`."""
        annotation, splits = self.header(name)
        rows = self.bodies(name, content)  # (M, T, 25, 12)
        column, img_shape = _IMAGES[self.projection]
        keypoint = rows[..., column:column + 2]
        if self.unmirror:
            keypoint = np.stack([img_shape[1] - keypoint[..., 0], keypoint[..., 1]], -1)
        seen = np.isfinite(keypoint).all(-1)  # (M, T, 25)
        score = np.where(seen, _SCORE[np.nan_to_num(rows[..., _STATE]).astype(int)], 0)
        with np.errstate(over='ignore'):  # infinite values raise later
            keypoint = np.where(seen[..., None], keypoint, 0).astype(np.float16)
        keypoint, score = convert(keypoint, score.astype(np.float16), 'kinect25')
        annotation.update(img_shape=img_shape, total_frames=rows.shape[1], keypoint=keypoint,
                          keypoint_score=score)
        return annotation, splits


class _Joints3D(_Skeletons, Source3D):
    """Base class of readers of 3D joints through virtual cameras.

    An annotation has M = 1 or 2 persons, both seen by the same camera. Joints that Kinect infers
    count as known. The tilt of the sensors is unknown and not corrected.

    Args:
        path (str or Path): See the base classes.
        **kwargs: ``missing``; others are passed to :class:`Source3D`.

    Raises:
        AnnotationError: If the path has no such files or the list no name.
    """

    layout = 'kinect25'

    def read(self, name: str, content: bytes) -> Item:
        """See :class:`Source3D`."""
        annotation, splits = self.header(name)
        return dict(annotation, joints=self.bodies(name, content)[..., :3]), splits


class _Release60:
    """Mixin for 56,880 samples of 60 actions.

    Cameras 2 and 3 are ``xview_train``, camera 1 is ``xview_val``.
    """

    classes = LABEL_NAMES['ntu60']
    setups, subjects, train_subjects = 17, 40, _SUBJECTS_60

    def split(self, setup: int, camera: int) -> str:
        """Return the cross-view split."""
        return 'xview_val' if camera == 1 else 'xview_train'


class _Release120:
    """Mixin for 114,480 samples of 120 actions.

    Even setups are ``xset_train``, odd ones ``xset_val``.
    """

    classes = LABEL_NAMES['ntu120']
    setups, subjects, train_subjects = 32, 106, _SUBJECTS_120

    def split(self, setup: int, camera: int) -> str:
        """Return the cross-setup split."""
        return 'xset_val' if setup % 2 else 'xset_train'


@SOURCES.register_module('ntu60_2d')
class NTU60(_Release60, _Joints2D):
    """Reader of NTU RGB+D 60, keypoints in Kinect's images; ``xsub_*`` and ``xview_*``."""


@SOURCES.register_module('ntu120_2d')
class NTU120(_Release120, _Joints2D):
    """Reader of NTU RGB+D 120, keypoints in Kinect's images; ``xsub_*`` and ``xset_*``."""


@SOURCES.register_module('ntu60_3d')
class NTU60Joints(_Release60, _Joints3D):
    """Reader of NTU RGB+D 60, 3D joints through virtual cameras; ``xsub_*`` and ``xview_*``."""


@SOURCES.register_module('ntu120_3d')
class NTU120Joints(_Release120, _Joints3D):
    """Reader of NTU RGB+D 120, 3D joints through virtual cameras; ``xsub_*`` and ``xset_*``."""
