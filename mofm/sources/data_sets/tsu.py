"""Toyota Smarthome, untrimmed and trimmed, with poses of LCR-Net++.

Dai et al., TPAMI 2022 (untrimmed, TSU); Das et al., ICCV 2019 (trimmed). A JSON file is
``{'frames': [[{'pose2d': [x0, ..., x12, y0, ..., y12], ...}, ...], ...]}``, persons per frame; a
file ``*.npz`` of TSU has ``kpts`` (T, 17, 2) of one person.
"""
import re
from argparse import ArgumentParser
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, convert
from mofm.utils.checks import show, typed

from ..base import Item, Source
from ..recognition import Sample
from .ntu import rank_by_motion

_IMG_SHAPE = (480, 640)
_TRAIN_SUBJECTS = frozenset((3, 4, 6, 7, 9, 12, 13, 15, 17, 19, 25))


class LCRNetSource(Source):
    """Base class of readers of keypoints of LCR-Net."""

    #: Name of a recording in the name of a file.
    video_name: re.Pattern

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if not cls.video_name.search(PurePosixPath(sample.filename).stem):
            return None
        if 'kpts' in (sample.arrays or ()):
            return "'kpts' in a file with the name of a video"
        persons = next(filter(None, sample.json['frames']))
        return ("'frames' with 'pose2d' in a file with the name of a video"
                if 'pose2d' in persons[0] else None)

    def persons(self, name: str, content: bytes) -> np.ndarray:
        """Parse the two persons that move most, most motion first.

        A person is an index in the lists of the frames, as in UNIK: LCR-Net does not track.

        Returns:
            np.ndarray: (M, T, 13, 2) pixels, 0 where missing; M = 1 or 2, also without any pose.

        Raises:
            AnnotationError: If the file is invalid.
        """
        data = self.json(name, content)
        frames = data.get('frames') if isinstance(data, dict) else None
        if not isinstance(frames, list) or not frames or not all(
                isinstance(f, list) and all(isinstance(p, dict) for p in f) for f in frames):
            raise self.error(name, 'frames', typed(frames),
                             'a non-empty list of persons per frame')
        found = [(t, i, person.get('pose2d')) for t, persons in enumerate(frames)
                 for i, person in enumerate(persons)]
        if not found:
            return np.zeros((1, len(frames), LAYOUTS['lcr13'].num_joints, 2))
        frame, person = np.array([f[:2] for f in found]).T
        values = self.array(name, 'pose2d', [f[2] for f in found],
                            (None, 2 * LAYOUTS['lcr13'].num_joints), missing=True)
        points = values.reshape(len(values), 2, -1).swapaxes(1, 2)  # (R, 13, 2)
        points = np.where(np.isnan(points).any(-1, keepdims=True), 0, points)
        missing = ~points.any(-1, keepdims=True)
        kept = rank_by_motion(person, np.where(missing, np.nan, points))[:2] or [0]
        out = np.zeros((len(kept), len(frames), *points.shape[1:]))
        for i, number in enumerate(kept):
            out[i, frame[person == number]] = points[person == number]
        return out

    def pose(self, keypoint: np.ndarray, layout: str) -> dict:
        """Return the fields of keypoints (M, T, V, 2), missing where 0, 0."""
        score = keypoint.any(-1).astype(np.float16)
        keypoint, score = convert(keypoint, score, layout)
        # The files copy the only point of the head to the eyes and ears.
        score[..., 1:5] *= (keypoint[..., 1:5, :] != keypoint[..., :1, :]).any(-1)
        keypoint = keypoint * (score > 0)[..., None]
        with np.errstate(over='ignore'):  # infinite values raise later
            return dict(img_shape=_IMG_SHAPE, total_frames=keypoint.shape[1],
                        keypoint=keypoint.astype(np.float16), keypoint_score=score)


class UntrimmedVideos(LCRNetSource):
    """Base class of readers of whole videos from ``.json`` or ``.npz`` files."""

    suffix = '.json', '.npz'

    def find(self) -> list[str]:
        """List files of both kinds with the name of a video in theirs."""
        files = super().find()
        if self.tree.is_file:
            return files
        return [f for f in files if self.video_name.search(PurePosixPath(f).name)]

    def video_pose(self, name: str, content: bytes) -> dict:
        """Return the fields of the keypoints of a file of either kind."""
        if self.tree.filename(name).lower().endswith('.json'):
            return self.pose(self.persons(name, content), 'lcr13')
        keypoint = self.npz(name, content).get('kpts')
        if keypoint is None:
            raise self.error(name, 'kpts', 'nothing', 'this field')
        # TSU's files are in COCO's order, with the head as joints 0 to 4. Left is 5, 7, ...: in
        # profile the hip nearer to the camera is lower in the image, and that is 11 in 98 % of the
        # frames with the arms to the left of the shoulders, 12 in 85 % of those to the right.
        keypoint = keypoint[None] if keypoint.ndim == 3 else keypoint
        keypoint = self.array(name, 'kpts', keypoint, (None, None, 17, 2), missing=True)
        missing = np.isnan(keypoint).any(-1, keepdims=True)
        return self.pose(np.where(missing, 0, keypoint), 'coco17')


@SOURCES.register_module('tsu')
class TSU(UntrimmedVideos):
    """Reader of Toyota Smarthome Untrimmed, splits ``train`` and ``test``.

    An annotation is a whole video with ``label`` 0 and the annotated actions as ``segments``, some
    of which end slightly after the video. Frames without a person have score 0. The head becomes
    the nose; eyes and ears are missing.

    Args:
        path (str or Path): Folder or zip file with ``*.npz`` or ``*.json``, whose names contain
            that of the video, e.g. ``P02T01C06``, or one such file. ``smarthome_CS_51.json`` or
            ``smarthome_CV_51.json`` is inside the path or next to it.
        protocol (str): Protocol of the splits: ``cs``, cross-subject, or ``cv``, cross-view.
        **kwargs: ``strict`` of :class:`Source`.

    Raises:
        AnnotationError: If the path has no such files or no annotations.
        ValueError: If the protocol is unknown.
    """

    max_size = 2**28
    classes = LABEL_NAMES['tsu']
    companions = 'smarthome_c[sv]_51.json',
    video_name = re.compile(r'P\d\dT\d\dC\d\d')
    _splits = dict(training='train', testing='test')

    def __init__(self, path: str | Path, protocol: str = 'cs', **kwargs):
        if protocol not in ('cs', 'cv'):
            raise ValueError(f"protocol: found {protocol!r}, expected 'cs' or 'cv'")
        super().__init__(path, **kwargs)
        self.ann_file = f'smarthome_{protocol.upper()}_51.json'
        self.videos = self.json(self.ann_file, self.companion(self.ann_file))
        if not isinstance(self.videos, dict):
            raise self.error(self.ann_file, 'file', typed(self.videos),
                             'a dict of videos')

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--protocol', choices=('cs', 'cv'), default='cs',
                            help='protocol of the splits: cross-subject or cross-view')

    def read(self, name: str, content: bytes) -> Item:
        """See :meth:`Source.read`."""
        stem = PurePosixPath(name or self.path.name).stem
        video = set(self.video_name.findall(stem))
        if len(video) != 1:
            raise self.error(name, 'name', stem, 'one name of a video such as P02T01C06')
        video = video.pop()
        subset, duration, segments = self._actions(video)
        pose = self.video_pose(name, content)
        if abs(pose['total_frames'] - duration) > .1 * duration:
            raise self.error(name, 'frames', pose['total_frames'],
                             f'about the {duration} of the video')
        annotation = dict(frame_dir=video, label=0, **pose)
        if len(segments):
            annotation['segments'] = segments
        return annotation, (subset, )

    def _actions(self, video: str) -> tuple[str, float, np.ndarray]:
        """Return split, number of frames and segments (N, 3) of a video."""
        entry = self.videos.get(video, {})
        subset, duration, actions = (
            entry.get(field) if isinstance(entry, dict) else None
            for field in ('subset', 'duration', 'actions'))
        if not isinstance(subset, str) or subset not in self._splits or not isinstance(
                actions, list):
            raise self.error(self.ann_file, video, typed(entry),
                             f"'subset' of {sorted(self._splits)}, 'duration' and 'actions'")
        duration = float(self.array(self.ann_file, f'{video}: duration', duration, ()))
        actions = self.array(self.ann_file, f'{video}: actions', actions or np.zeros((0, 3)),
                             (None, 3))
        label, first, last = actions.T
        if (actions % 1).any() or (actions < 0).any() or (actions >= 2**31).any() or (
                label >= len(self.classes)).any() or (first > last).any():
            raise self.error(self.ann_file, f'{video}: actions', show(actions.tolist()),
                             f'a label below {len(self.classes)}, the first and the last frame')
        return self._splits[subset], duration, actions.astype(np.int64)


@SOURCES.register_module('smarthome')
class Smarthome(LCRNetSource):
    """Reader of the trimmed clips of Toyota Smarthome, ``<Action>_pXX_rXX_vXX_cXX.json``.

    Splits: ``cs_train`` and ``cs_test`` (cross-subject, all 31 actions), and for 19 actions
    ``cv1_train`` (camera 1), ``cv2_train`` (cameras 1, 3, 4, 6 and 7) and ``cv_test`` (camera 2).
    An annotation has M = 1 or 2 persons. The head becomes the nose; eyes and ears are missing.
    """

    suffix = '.json'
    classes = LABEL_NAMES['smarthome']
    #: Actions of the cross-view protocols.
    cv_classes = (
        'Cutbread', 'Drink.Frombottle', 'Drink.Fromcan', 'Drink.Fromcup', 'Drink.Fromglass',
        'Eat.Attable', 'Eat.Snack', 'Enter', 'Getup', 'Leave', 'Pour.Frombottle', 'Pour.Fromcan',
        'Readbook', 'Sitdown', 'Takepills', 'Uselaptop', 'Usetablet', 'Usetelephone', 'Walk')
    _cameras = {1: ('cv1_train', 'cv2_train'), 2: ('cv_test', ),
                **dict.fromkeys((3, 4, 6, 7), ('cv2_train', ))}
    video_name = re.compile(r'(([A-Za-z.]+)_p(\d\d)_r\d\d_v\d\d_c(\d\d))(_pose3d)?')

    def read(self, name: str, content: bytes) -> Item:
        """See :meth:`Source.read`."""
        stem = PurePosixPath(self.stem(name)).name
        match = self.video_name.fullmatch(stem)
        if match is None or match[2] not in self.classes:
            raise self.error(name, 'name', stem, '<Action>_pXX_rXX_vXX_cXX with one of the '
                             f'{len(self.classes)} actions')
        clip, action, subject, camera, _ = match.groups()
        splits = ('cs_train' if int(subject) in _TRAIN_SUBJECTS else 'cs_test', )
        if action in self.cv_classes:
            splits += self._cameras.get(int(camera), ())
        return dict(frame_dir=clip, label=self.classes.index(action),
                    **self.pose(self.persons(name, content), 'lcr13')), splits
