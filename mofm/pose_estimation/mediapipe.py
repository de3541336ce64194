"""Poses by MediaPipe (BlazePose), whose wheel carries the weights."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from zipfile import ZipFile

import numpy as np

from mofm.keypoints.tracking import oks
from mofm.registry import POSE_ESTIMATORS
from mofm.structures import convert

from .estimator import Boxes, PoseEstimator, need, need_weights

# Of the network files in the wheel: name in a bundle of tasks, mean and deviation of their input.
_MODELS = {
    'pose_detection/pose_detection.tflite': ('pose_detector.tflite', 127.5, 127.5),
    'pose_landmark/pose_landmark_full.tflite': ('pose_landmarks_detector.tflite', 0., 255.),
}
# Poses that are more similar are one person seen in two tiles.
_SAME = .3
# Smallest score of a person, and of one in a given box, where somebody is.
_CONFIDENCE, _BOX_CONFIDENCE = .5, .1
# Parts of an image at a time; there are rarely more.
_MAX_THREADS = 4
# Side of the square around a box in longer sides of the box, as for MMPose's networks.
_PADDING = 1.25


def _bundle() -> bytes:
    """Join the networks of the wheel to the file that the task of MediaPipe reads."""
    import mediapipe
    from mediapipe.tasks.python.metadata.metadata_writers.metadata_writer import MetadataWriter

    folder, file = Path(mediapipe.__file__).parent / 'modules', io.BytesIO()
    with ZipFile(file, 'w') as archive:
        for path, (name, mean, deviation) in _MODELS.items():
            writer = MetadataWriter.create(bytearray((folder / path).read_bytes()))
            archive.writestr(name, writer.add_image_input([mean], [deviation]).populate()[0])
    return file.getvalue()


@contextmanager
def _silence():
    """Hide what MediaPipe's libraries report of their set-up, past Python's stderr."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _tiles(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Return the whole image and squares along its longer side, as x1, y1, x2, y2."""
    side = min(height, width)
    count = int(np.ceil((max(height, width) - side) / (.6 * side))) + 1
    starts = np.linspace(0, max(height, width) - side, count).astype(int)
    squares = [(x, 0, x + side, side) if width > height else (0, x, side, x + side)
               for x in starts]
    return [(0, 0, width, height), *squares] if count > 1 else squares


@POSE_ESTIMATORS.register_module('mediapipe')
class MediaPipePoses(PoseEstimator):
    """MediaPipe Pose, 33 joints converted to COCO-17, on the CPU.

    Its detector is made for one or two persons who fill the image. Without boxes it therefore
    also looks at overlapping squares of the image, which takes up to four times as long. Parts of
    an image are estimated in parallel, in as many threads as PyTorch uses.

    Args:
        checkpoint (str, optional): A ``.task`` file; by default the networks in the wheel.
        device (str, optional): Ignored.
        boxes (Callable, optional): See :class:`PoseEstimator`.
        max_persons (int): Persons per image or square. Defaults to 6.
        tiles (bool): Look at squares of the image. Defaults to True.

    Raises:
        ImportError: If MediaPipe is not installed.
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the checkpoint is not readable.
    """

    def __init__(self, checkpoint: str | None = None, device: str | None = None,
                 boxes: Boxes | None = None, max_persons: int = 6, tiles: bool = True):
        super().__init__(checkpoint, device, boxes)
        need('mediapipe', "'mofm[video]'")
        import torch
        from mediapipe import Image, ImageFormat

        self._content = Path(need_weights(checkpoint, 'a .task file of MediaPipe')).read_bytes() \
            if checkpoint else _bundle()
        self._image = partial(Image, image_format=ImageFormat.SRGB)
        self.max_persons, self.tiles, self._found = max_persons, tiles, False
        self._cores = min(torch.get_num_threads(), _MAX_THREADS)
        self._threads = ThreadPoolExecutor(self._cores)
        self._tasks: dict[float, SimpleQueue] = {}
        try:
            self._prepare(_CONFIDENCE)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f'{checkpoint}: found {str(error).splitlines()[0][:200]}, expected '
                             'a .task file of MediaPipe') from None

    def _prepare(self, confidence):
        """Make the networks of a confidence, one per thread."""
        from mediapipe.tasks.python import BaseOptions
        from mediapipe.tasks.python.vision import PoseLandmarker, PoseLandmarkerOptions

        if confidence in self._tasks:
            return
        tasks: SimpleQueue = SimpleQueue()
        with _silence():
            for _ in range(self._cores):
                task = PoseLandmarker.create_from_options(PoseLandmarkerOptions(
                    BaseOptions(model_asset_buffer=self._content), num_poses=self.max_persons,
                    min_pose_detection_confidence=confidence))
                task.detect(self._image(data=np.zeros((32, 32, 3), np.uint8)))
                tasks.put(task)
        self._tasks[confidence] = tasks

    def estimate(self, image: np.ndarray, boxes: np.ndarray | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`PoseEstimator.estimate`; one pose for a box, none where nobody is found."""
        height, width = image.shape[:2]
        if boxes is not None:
            self._prepare(_BOX_CONFIDENCE)
            return _join(self._map(partial(self._in_box, image), boxes))
        areas = _tiles(height, width) if self.tiles else [(0, 0, width, height)]
        keypoint, score = _join(self._map(partial(self._in_area, _CONFIDENCE, image), areas))
        order = np.argsort(-score.mean(1), kind='stable')
        keypoint, score = keypoint[order], score[order]
        same = oks(keypoint, score, keypoint, score) > _SAME
        keep = np.zeros(len(keypoint), bool)
        for i in range(len(keypoint)):
            keep[i] = not same[i][keep].any()
        return keypoint[keep], score[keep]

    def _map(self, function, parts: Sequence) -> list:
        # one at a time until the first pose, at which MediaPipe reports and is silenced
        return list((self._threads.map if self._found else map)(function, parts))

    def _in_area(self, confidence, image, area):
        """Return the poses in a part of the image."""
        x1, y1, x2, y2 = area
        part = np.ascontiguousarray(image[y1:y2, x1:x2, ::-1])
        task = self._tasks[confidence].get()
        try:
            with nullcontext() if self._found else _silence():
                poses = task.detect(self._image(data=part)).pose_landmarks
        finally:
            self._tasks[confidence].put(task)
        self._found |= bool(poses)
        found = np.array([[(p.x, p.y, min(p.visibility, p.presence)) for p in pose]
                          for pose in poses]).reshape(-1, 33, 3)
        pixels = found[..., :2] * (x2 - x1, y2 - y1) + (x1, y1)
        return convert(pixels, found[..., 2], 'mediapipe33')

    def _in_box(self, image, box):
        """Return the pose of which most joints are in a box, in an array of one or none."""
        height, width = image.shape[:2]
        center, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * _PADDING / 2
        low = np.floor((center - half).clip(0)).astype(int)
        high = np.minimum(np.ceil(center + half), (width, height)).astype(int)
        if (high <= low).any():
            return _join([])
        keypoint, score = self._in_area(_BOX_CONFIDENCE, image, (*low, *high))
        inside = ((keypoint >= box[:2]) & (keypoint <= box[2:])).all(-1).sum(-1)
        best = inside.argsort()[-1:]
        return keypoint[best], score[best]


def _join(parts):
    """Concatenate pairs of keypoints and scores, of which there may be none."""
    keypoint, score = zip((np.zeros((0, 17, 2)), np.zeros((0, 17))), *parts, strict=True)
    return np.concatenate(keypoint), np.concatenate(score)
