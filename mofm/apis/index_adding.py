"""Adding recordings to a :class:`MotionIndex`: windows of persons, vectors, parts of the index."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mofm.annotations import file_error, person_ids
from mofm.annotations.video_poses import frame_numbers
from mofm.pose_estimation.video import Video
from mofm.structures import get_layout

from .index_files import IndexFiles, IndexHeader, PartWriter, Projection, Projections
from .inferencers import BaseInferencer
from .recordings import Recording, RecordingReader
from .windows import ClipWindows, visible

WIDTHS = 128, 64  # of learned features and keypoints: more gains nothing (docs/search.md)
_SAMPLE = 1024  # windows of the first recordings, for the PCA
_PART, _SECONDS = 4096, 60  # windows and time after which a part is written
_VISIBLE = .5  # share of frames in which the person of a window is visible
_POSE_STEP = 3  # every third pose is kept for pictures
_FRAMES = 16  # of the keypoints of a window


class TrackWindows(ClipWindows):
    """Windows in which the only person is visible in half of the frames or more.

    Args:
        ann (dict): A valid annotation of one person.
        window (int, optional): See :class:`ClipWindows`.
        stride (int, optional): See :class:`ClipWindows`.
    """

    def __init__(self, ann: dict, window: int | None = None, stride: int | None = None):
        super().__init__(ann, window, stride)
        seen = np.append(0, visible(ann).any((0, 2)).cumsum())
        span = np.diff(self.frames)[:, 0] + 1
        keep = (seen[self.starts + self.size] - seen[self.starts] >= _VISIBLE * self.size) & (
            span * _VISIBLE <= self.size)
        self.starts, self.frames = self.starts[keep], self.frames[keep]


def tracks(ann: dict) -> Iterator[tuple[int, dict]]:
    """Yield ID and annotation of each person, from the first to the last visible frame."""
    frames = frame_numbers(ann)
    for person, keypoint, score, seen in zip(person_ids(ann), ann['keypoint'],
                                             ann['keypoint_score'], visible(ann).any(2),
                                             strict=True):
        if seen.any():
            there = np.flatnonzero(seen)
            rows = slice(there[0], there[-1] + 1)
            yield person, dict(
                frame_dir=ann['frame_dir'], img_shape=ann['img_shape'], frame_inds=frames[rows],
                keypoint=keypoint[None, rows], keypoint_score=score[None, rows],
                total_frames=rows.stop - rows.start)


def mirrored(clip: dict, layout: str) -> dict:
    """Mirror a clip, with left and right joints swapped."""
    order = get_layout(layout).flip_index
    points = clip['keypoint'][:, :, order]
    there = points.any(-1, keepdims=True)
    flipped = np.where(there, points * (-1, 1) + (clip['img_shape'][1] - 1, 0), 0)
    return dict(clip, keypoint=flipped.astype(points.dtype),
                keypoint_score=clip['keypoint_score'][:, :, order])


def digest(recording: Recording) -> str:
    """Compute the SHA-256 of the poses of a recording, whatever its name."""
    ann, out = recording.ann, hashlib.sha256()
    for values in (ann['keypoint'], ann['keypoint_score'], frame_numbers(ann), person_ids(ann),
                   ann['img_shape'], recording.fps or 0., recording.ratio):
        array = np.ascontiguousarray(values)
        out.update(f'{array.dtype} {array.shape}'.encode())
        out.update(array.tobytes())
    return out.hexdigest()


def video_digest(path: Path) -> str:
    """Compute the SHA-256 of a video, which is a file or a folder of images."""
    out = hashlib.sha256()
    for part in Video(path).images or [path]:
        with part.open('rb') as file:
            while block := file.read(2**20):
                out.update(block)
    return out.hexdigest()


def keypoint_features(clips: Sequence[dict]) -> np.ndarray:
    """Compute the features of :class:`KeypointFeatures` from 16 frames of clips of one person.

    Returns:
        np.ndarray: (N, J * 16 * 2) float32.
    """
    from mofm.datasets.transforms import UniformSampleFrames  # imports mmcv

    sample = UniformSampleFrames(clip_len=_FRAMES, test_mode=True)
    sampled = [sample(dict(clip)) for clip in clips]
    xy = np.stack([clip['keypoint'][0] for clip in sampled]).astype(np.float32)
    seen = np.stack([visible(clip)[0] for clip in sampled])[..., None]  # (N, 16, J, 1)
    count = np.maximum(seen.sum((1, 2), keepdims=True), 1).astype(np.float32)
    xy = np.where(seen, xy, 0)
    xy = (xy - xy.sum((1, 2), keepdims=True) / count) * seen
    size = np.sqrt(np.square(xy).sum((1, 2, 3), keepdims=True) / count)
    return (xy / np.maximum(size, 1e-6)).swapaxes(1, 2).reshape(len(xy), -1)


class Encoder:
    """Vectors of clips of one person each."""

    def __init__(self, task: BaseInferencer, projections: Projections | None):
        self.task, self.projections = task, projections

    def reduce(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Apply the projections to what :meth:`features` returns.

        Raises:
            ValueError: If the index has no recording yet.
        """
        if self.projections is None:
            raise ValueError('index: found no recording, expected at least one; add some first')
        return self.projections.apply(features)

    def features(self, clips: Sequence[dict], mirror: bool = False) -> tuple:
        """Compute the pooled features of the model (N, D) and the keypoints (N, P) of clips.

        Args:
            clips (Sequence[dict]): N annotations of one person.
            mirror (bool): Whether to mirror them. Defaults to False.
        """
        if mirror:
            clips = [mirrored(clip, self.task.layout.name) for clip in clips]
        learned = np.stack([output['pooled'] for output in self.task.predict_clips(clips)])
        return learned, keypoint_features(clips)


class Adding:
    """One call of :meth:`MotionIndex.add`; batches span recordings, parts do not divide them."""

    def __init__(self, encoder: Encoder, files: IndexFiles, header: IndexHeader,
                 reader: RecordingReader, known: set[str]):
        self.encoder, self.files, self.header = encoder, files, header
        self.reader, self.known = reader, known
        self.skipped = 0
        self.source = ''
        reader.skip = self._seen
        reader.kept = lambda settings: files.poses(self.source, settings)

    def _seen(self, path: Path) -> bool:
        """Return whether a video has been indexed; if not its recording comes next."""
        self.source = video_digest(path)
        self.skipped += self.source in self.known
        return self.source in self.known

    def _recordings(self, inputs) -> Iterator[tuple]:
        """Yield recording, its digest, that of its file, and the windows of its persons."""
        for recording in self.reader.read(inputs):
            key, source, self.source = digest(recording), self.source, ''
            if key in self.known:
                self.skipped += 1
                continue
            self.known.add(key)
            persons = []
            for person, ann in tracks(recording.ann):
                windows = TrackWindows(ann, self.header.window, self.header.stride)
                if len(windows):
                    persons.append((person, ann, windows))
            if persons:
                yield recording, key, source, persons
            else:
                self.reader.report(file_error(
                    recording.name, 'windows', 'no person in half of the frames of a window',
                    'a visible person'), recording.name)

    def _clips(self, inputs) -> Iterator[tuple]:
        """Yield each window, and the recording with its last one."""
        for item in self._recordings(inputs):
            clips = [windows.get_data_info(i) for *_, windows in item[3]
                     for i in range(len(windows))]
            for i, clip in enumerate(clips):
                yield clip, item if i == len(clips) - 1 else None

    def run(self, inputs, progress: bool) -> int:
        """Add the recordings; returns their number."""
        self.writer = PartWriter()
        self.sample: list[tuple] = []
        self.rows: list[np.ndarray] = []
        self.began, added = time.monotonic(), 0
        clips = self._clips(inputs)
        with tqdm(desc='index', unit=' windows', disable=not progress) as bar:
            while batch := list(islice(clips, self.encoder.task.batch_size)):
                features = self.encoder.features([clip for clip, _ in batch])
                bar.update(len(batch))
                if self.encoder.projections is None:
                    self._wait(features, batch)
                else:
                    self._store(features, [item for _, item in batch])
                added += sum(item is not None for _, item in batch)
        self._fit()
        self._commit()
        self.files.remove_poses()
        return added

    def _wait(self, features, batch):
        """Collect the windows that the PCA is fitted on, and their mirror images."""
        flipped = self.encoder.features([clip for clip, _ in batch], mirror=True)
        self.sample.append((features, flipped, [item for _, item in batch]))
        if sum(len(items) for *_, items in self.sample) >= _SAMPLE:
            self._fit()

    def _fit(self):
        """Fit the projections, and store the windows that waited for them."""
        if not self.sample:
            return
        kinds = zip(*(features for pair in self.sample for features in pair[:2]), strict=True)
        self.encoder.projections = Projections(*(
            Projection.fit(np.concatenate(rows), width)
            for rows, width in zip(kinds, WIDTHS, strict=True)))
        self.files.write_projections(self.encoder.projections)
        waiting, self.sample = self.sample, []
        for features, _, items in waiting:
            self._store(features, items)

    def _store(self, features, items):
        """Store the vectors of windows, and complete recordings in parts."""
        vectors = self.encoder.reduce(features)
        for vector, item in zip(vectors, items, strict=True):
            self.rows.append(vector)
            if item is None:
                continue
            recording, key, source, persons = item
            rows = np.array(self.rows, np.float16)
            self.rows = []
            for person, ann, windows in persons:
                own, rows = rows[:len(windows)], rows[len(windows):]
                step = slice(None, None, _POSE_STEP)
                self.writer.add(
                    own, recording.to_input(windows.frames), recording.name, person,
                    recording.fps, key, source,
                    np.where(visible(ann)[0, step, :, None], ann['keypoint'][0, step], 0),
                    recording.to_input(ann['frame_inds'][step]))
            if len(self.writer) >= _PART or time.monotonic() - self.began > _SECONDS:
                self._commit()

    def _commit(self):
        """Write a part."""
        if len(self.writer):
            self.files.write_part(self.writer)
        self.writer, self.began = PartWriter(), time.monotonic()
