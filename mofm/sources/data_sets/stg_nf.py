"""Tracked poses of ShanghaiTech and UBnormal from STG-NF (Hirschorn and Avidan, ICCV 2023).

``<clip>_alphapose_tracked_person.json`` is ``{person: {frame: {'keypoints': [x, y, score] * 17,
'scores': float}}}``; some files have a list of such dicts per person.
"""
import re
import struct
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.registry import SOURCES
from mofm.utils.checks import describe, first_other, typed
from mofm.utils.untrusted import to_array

from ..base import Item, Source
from ..per_frame_poses import MAX_SCORE
from ..recognition import Sample

_ENDING = '_alphapose_tracked_person.json'
_NUM_JOINTS = 17
_MAX_MASK = 2**24  # pixels


class TrackedPersons(Source):
    """Base class of both readers, with one annotation per person, ``<clip>/<person>``.

    An annotation has M = 1, ``clip``, ``track_id`` and ``frame_inds``; the folder of the file is
    its split. Coordinates are stored as float16 with an error of at most half a pixel. A clip
    without persons is skipped and reported.

    Args:
        path (str or Path): The folder ``pose``, or a zip file of it.
        strict (bool): Raise at the first invalid file instead of skipping it.
        img_shape (tuple[int, int], optional): Height and width of the videos, which the files
            lack.

    Raises:
        AnnotationError: If the path has no such files.
    """

    suffix = _ENDING
    max_size = 2**28
    classes = ('normal', 'abnormal')
    #: Splits of the files in each folder.
    folders: dict[str, tuple[str, ...]] = {}
    img_shape: tuple[int, int] = (0, 0)

    def __init__(self, path: str | Path, strict: bool = False,
                 img_shape: tuple[int, int] | None = None):
        super().__init__(path, strict)
        self.img_shape = tuple(img_shape or self.img_shape)

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--img-shape', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                            help='size of the videos')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        person, frames = next(iter(sample.json.items()))
        first = frames[0] if isinstance(frames, list) else frames
        pose = next(iter(first.values()))
        if sample.filename.lower().endswith(_ENDING) and cls.is_clip(sample.filename) and (
                person.isdecimal() and 'keypoints' in pose):
            return f"persons by number with frames by number in a file *{_ENDING}"
        return None

    @classmethod
    def is_clip(cls, filename: str) -> bool:
        """Return whether a file has the name of a clip of the data set."""
        raise NotImplementedError

    def label(self, clip: str, folder: str) -> int:
        """Return the label of a clip, 1 if it has an abnormal event."""
        raise NotImplementedError

    def annotations(self, name: str, content: bytes) -> Iterator[Item]:
        """Yield the persons of one clip, see :meth:`Source.annotations`."""
        path = self.path.absolute()
        around = path.parent.name if self.tree.is_file else path.stem
        folder = (PurePosixPath(name).parent.name or around).lower()
        if folder not in self.folders:
            raise self.error(name, 'folder', repr(folder), f'one of {sorted(self.folders)}')
        clip = self.tree.filename(name)[:-len(_ENDING)]
        tracks = {}
        for person, frames in self._parse(name, content).items():
            inds, values = self._track(name, person, frames)
            tracks[int(person)] = dict(
                frame_dir=f'{clip}/{int(person)}',
                clip=clip,
                track_id=int(person),
                label=self.label(clip, folder),
                img_shape=self.img_shape,
                total_frames=len(inds),
                frame_inds=inds,
                keypoint=values[None, ..., :2],
                keypoint_score=values[None, ..., 2].clip(0, 1))  # AlphaPose's may be above
        if not tracks:
            raise self.error(name, 'persons', 'none', 'at least one; in a test its frames count '
                             'as normal')
        self.add_frame_labels(name, clip, folder, tracks)
        for _, track in sorted(tracks.items()):
            with np.errstate(over='ignore'):  # infinite values raise later
                for field in ('keypoint', 'keypoint_score'):
                    track[field] = track[field].astype(np.float16)
            yield track, self.folders[folder]

    def add_frame_labels(self, name: str, clip: str, folder: str, tracks: dict[int, dict]):
        """Add ``frame_label`` to the annotations of one clip if it is known."""

    def _parse(self, name, content):
        persons = self.json(name, content)
        if not isinstance(persons, dict) or not all(re.fullmatch(r'\d{1,9}', p) for p in persons):
            raise self.error(name, 'persons', typed(persons),
                             'a dict by number of the person')
        if len(set(map(int, persons))) < len(persons):
            raise self.error(name, 'persons', 'a number twice', 'different numbers')
        return persons

    def _track(self, name, person, frames):
        """Return frames (T,) int and x, y, score (T, 17, 3) of one person."""
        parts = frames if isinstance(frames, list) else [frames]
        if not all(isinstance(part, dict) for part in parts):
            raise self.error(name, f'person {person}', first_other(parts, dict),
                             'a dict of frames')
        poses = {frame: pose for part in parts for frame, pose in part.items()}
        try:
            keypoints = [pose['keypoints'] for pose in poses.values()]
            values = to_array(keypoints).astype(np.float64).reshape(len(poses), _NUM_JOINTS, 3)
            values[np.isnan(values).any(-1)] = 0  # missing
            if not np.isfinite(values).all():
                raise ValueError('infinite values')
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self.error(name, f'person {person}', describe(error),
                             f"'keypoints' of {_NUM_JOINTS} joints per frame") from None
        if not poses or not all(re.fullmatch(r'\d{1,9}', frame) for frame in poses):
            raise self.error(name, f'person {person}', f'frames {list(poses)[:3]}',
                             'numbers of frames')
        if np.abs(values[..., :2]).max() <= 1.5:
            raise self.error(name, f'person {person}', 'coordinates up to 1.5', 'pixels')
        if np.abs(values[..., 2]).max() > MAX_SCORE:
            raise self.error(name, f'person {person}', f'scores up to {values[..., 2].max()}',
                             f'about 0 to 1, at most {MAX_SCORE}')
        inds, order = np.unique([int(frame) for frame in poses], return_index=True)
        if len(inds) < len(poses):
            raise self.error(name, f'person {person}', 'a frame twice', 'different numbers')
        return inds, values[order]


@SOURCES.register_module('shanghaitech')
class ShanghaiTech(TrackedPersons):
    """Reader of ShanghaiTech's poses, splits ``train`` and ``test`` (Luo et al., ICCV 2017).

    All training clips are normal; every test clip has an abnormal event, at the frames of the
    masks that :class:`mofm.evaluation.FrameAUC` reads. Videos have 856 x 480 pixels.
    """

    folders = dict(train=('train', ), test=('test', ))
    img_shape = (480, 856)

    @classmethod
    def is_clip(cls, filename: str) -> bool:
        """See :meth:`TrackedPersons.is_clip`."""
        return not UBnormal.is_clip(filename)

    def label(self, clip: str, folder: str) -> int:
        """See :meth:`TrackedPersons.label`."""
        return int(folder == 'test')


@SOURCES.register_module('ubnormal')
class UBnormal(TrackedPersons):
    """Reader of UBnormal's poses (Acsintoae et al., CVPR 2022).

    Splits: ``train`` (normal), ``abnormal_train``, ``supervised_train`` (both), ``validation`` and
    ``test``. Videos are assumed to have 1280 x 720 pixels.

    With ``gt`` and ``masks``, all persons except those of test clips have ``frame_label``, see
    :func:`abnormal_rows`.

    Args:
        path (str or Path): The folder ``pose``, or a zip file of it.
        strict (bool): Raise at the first invalid file instead of skipping it.
        img_shape (tuple[int, int], optional): Height and width of the videos.
        gt (str or Path, optional): Folder or zip file with ``<clip>_tracks.txt``, lines
            ``object,start,end``, per abnormal clip.
        masks (str or Path, optional): The folder of the data set with
            ``Scene<k>/<clip>_annotations/*.png``, one numbered image per frame, whose pixels are
            object numbers.

    Raises:
        AnnotationError: If the paths have no such files.
        ValueError: If only one of ``gt`` and ``masks`` is given.
    """

    folders = dict(train=('train', 'supervised_train'),
                   abnormal_train=('abnormal_train', 'supervised_train'),
                   validation=('validation', ), test=('test', ))
    img_shape = (720, 1280)

    def __init__(self, path: str | Path, strict: bool = False,
                 img_shape: tuple[int, int] | None = None,
                 gt: str | Path | None = None, masks: str | Path | None = None):
        if (gt is None) != (masks is None):
            raise ValueError(f'found gt={gt} and masks={masks}, expected both or neither: labels '
                             'of persons need abnormal objects and their masks')
        super().__init__(path, strict, img_shape)
        self.gt = gt and _TextFiles(gt)
        self.masks = masks and Path(masks)

    @classmethod
    def is_clip(cls, filename: str) -> bool:
        """See :meth:`TrackedPersons.is_clip`."""
        return re.match(r'(ab)?normal_scene_', filename) is not None

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--gt', help='zip file or folder with the *_tracks.txt files')
        parser.add_argument('--masks', help='folder with Scene1, Scene2, ...')

    def label(self, clip: str, folder: str) -> int:
        """See :meth:`TrackedPersons.label`."""
        return int(clip.startswith('abnormal'))

    def add_frame_labels(self, name: str, clip: str, folder: str, tracks: dict[int, dict]):
        """See :meth:`TrackedPersons.add_frame_labels`."""
        if self.gt is None or folder == 'test':
            return
        frame = np.concatenate([t['frame_inds'] for t in tracks.values()])
        label = np.zeros(len(frame), np.int8)
        if self.label(clip, folder):
            keypoint = np.concatenate([t['keypoint'][0] for t in tracks.values()])
            label = abnormal_rows(keypoint, frame, self._objects(clip), self._masks(name, clip))
        lengths = [t['total_frames'] for t in tracks.values()]
        parts = np.split(label, np.cumsum(lengths)[:-1])
        for track, part in zip(tracks.values(), parts, strict=True):
            track['frame_label'] = part

    def _objects(self, clip):
        """Read the abnormal objects of a clip: number, first frame and end, (N, 3)."""
        name = f'{clip}_tracks.txt'
        return self.gt.table(name, self.gt.companion(name), 3, ',')

    def _masks(self, name, clip):
        """Return a function that reads the mask of a frame of a clip."""
        scene = re.search(r'scene_(\d+)_', clip)
        folder = self.masks / f'Scene{scene and scene[1]}' / f'{clip}_annotations'
        numbered = [f for f in folder.glob('*.[pP][nN][gG]') if re.search(r'\d', f.stem)]
        files = sorted(numbered, key=lambda f: int(re.findall(r'\d+', f.stem)[-1]))

        def read(frame):
            if frame >= len(files):
                raise self.error(name, f'frame {frame}', f'{len(files)} masks in {folder}',
                                 'one .png file per frame')
            mask = _read_mask(files[frame])
            if mask is None:
                raise self.error(name, f'frame {frame}', f'{files[frame]}, not an image',
                                 'a readable mask')
            return mask

        return read


def _read_mask(file: Path) -> np.ndarray | None:
    """Read a gray PNG image (H, W) of usual size; return None for other files."""
    import cv2

    try:
        with open(file, 'rb') as f:
            content = f.read(_MAX_MASK)
        width, height = struct.unpack('>II', content[16:24])
        end = 8
        while end < len(content):  # OpenCV allocates the declared size of a chunk
            end += 12 + struct.unpack_from('>I', content, end)[0]
        if (not content.startswith(b'\x89PNG') or end != len(content)
                or width * height > _MAX_MASK):
            return None
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except (OSError, struct.error, cv2.error):
        return None


class _TextFiles(Source):
    suffix = '.txt'


def abnormal_rows(keypoint: np.ndarray, frame: np.ndarray, objects: np.ndarray,
                  masks: Callable[[int], np.ndarray]) -> np.ndarray:
    """Find abnormal persons: more than half of their joints are on an abnormal object.

    As STG-NF for UBnormal: coordinates are rounded down and clipped to the image.

    Args:
        keypoint (np.ndarray): (R, V, 2) pixels, any number of persons and frames.
        frame (np.ndarray): (R,) frame of each row.
        objects (np.ndarray): (N, 3) number, first frame and the frame after the last.
        masks (Callable): Frame -> (H, W) image of object numbers.

    Returns:
        np.ndarray: (R,) int8, 1 for abnormal rows.
    """
    label = np.zeros(len(frame), np.int8)
    for t in np.unique(frame):
        active = objects[(objects[:, 1] <= t) & (t < objects[:, 2]), 0]
        if len(active):
            mask, rows = np.isin(masks(t), active), frame == t
            last = np.array(mask.shape[::-1]) - 1
            x, y = np.moveaxis(np.floor(keypoint[rows]).clip(0, last).astype(int), -1, 0)
            on = mask[y, x]  # (rows, V)
            label[rows] = on.sum(1) > keypoint.shape[1] / 2
    return label
