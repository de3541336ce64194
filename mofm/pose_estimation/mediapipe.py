"""Poses by MediaPipe (BlazePose), whose wheel carries the weights."""

import io
import os
from contextlib import contextmanager, nullcontext
from pathlib import Path
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
    also looks at overlapping squares of the image, which takes up to four times as long.

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
        from mediapipe import Image, ImageFormat
        from mediapipe.tasks.python import BaseOptions
        from mediapipe.tasks.python.vision import PoseLandmarker, PoseLandmarkerOptions

        if checkpoint:
            content = Path(need_weights(checkpoint, 'a .task file of MediaPipe')).read_bytes()
        else:
            content = _bundle()
        self._image = lambda pixels: Image(image_format=ImageFormat.SRGB, data=pixels)
        self.tiles, self._found = tiles, False
        try:
            with _silence():
                self._image_task, self._box_task = (
                    PoseLandmarker.create_from_options(PoseLandmarkerOptions(
                        BaseOptions(model_asset_buffer=content), num_poses=max_persons,
                        min_pose_detection_confidence=confidence))
                    for confidence in (_CONFIDENCE, _BOX_CONFIDENCE))
                for task in (self._image_task, self._box_task):
                    task.detect(self._image(np.zeros((32, 32, 3), np.uint8)))
        except (RuntimeError, ValueError) as error:
            raise ValueError(f'{checkpoint}: found {str(error).splitlines()[0][:200]}, expected '
                             'a .task file of MediaPipe') from None

    def estimate(self, image: np.ndarray, boxes: np.ndarray | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`PoseEstimator.estimate`; one pose for a box, none where nobody is found."""
        height, width = image.shape[:2]
        if boxes is not None:
            return _join([self._in_box(image, box) for box in boxes])
        areas = _tiles(height, width) if self.tiles else [(0, 0, width, height)]
        keypoint, score = _join([self._in_area(self._image_task, image, area) for area in areas])
        order = np.argsort(-score.mean(1), kind='stable')
        keypoint, score = keypoint[order], score[order]
        same = oks(keypoint, score, keypoint, score) > _SAME
        keep = np.zeros(len(keypoint), bool)
        for i in range(len(keypoint)):
            keep[i] = not same[i][keep].any()
        return keypoint[keep], score[keep]

    def _in_area(self, task, image, area):
        """Return the poses in a part of the image."""
        x1, y1, x2, y2 = area
        part = np.ascontiguousarray(image[y1:y2, x1:x2, ::-1])
        with nullcontext() if self._found else _silence():  # it also reports at the first pose
            poses = task.detect(self._image(part)).pose_landmarks
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
        keypoint, score = self._in_area(self._box_task, image, (*low, *high))
        inside = ((keypoint >= box[:2]) & (keypoint <= box[2:])).all(-1).sum(-1)
        best = inside.argsort()[-1:]
        return keypoint[best], score[best]


def _join(parts):
    """Concatenate pairs of keypoints and scores, of which there may be none."""
    keypoint, score = zip((np.zeros((0, 17, 2)), np.zeros((0, 17))), *parts, strict=True)
    return np.concatenate(keypoint), np.concatenate(score)
