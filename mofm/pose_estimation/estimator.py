"""Interface of pose estimators, and the choice of one."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path

import numpy as np

from mofm.annotations import AnnotationError
from mofm.registry import POSE_ESTIMATORS

Boxes = Callable[[np.ndarray], np.ndarray]


def whole_frame(image: np.ndarray) -> np.ndarray:
    """Return the whole image as the box of one person.

    Args:
        image (np.ndarray): (H, W, 3).

    Returns:
        np.ndarray: (1, 5), x1, y1, x2, y2 and score 1.
    """
    height, width = image.shape[:2]
    return np.array([[0, 0, width, height, 1]], np.float32)


class PoseEstimator(ABC):
    """Base class of 2D pose estimators: frames in, COCO-17 key points with scores and boxes out.

    A subclass implements :meth:`estimate`, or :meth:`extract` to work in batches, and is
    registered under a name that the inferencer, ``mofm demo`` and ``mofm extract`` accept::

        @POSE_ESTIMATORS.register_module('my_network')
        class MyNetwork(PoseEstimator):
            def estimate(self, image, boxes=None):
                return keypoint, score  # (N, 17, 2) pixels, (N, 17)

    Args:
        checkpoint (str, optional): Path of the weights; None for those that the library ships.
        device (str, optional): None for the default of the library.
        boxes (Callable, optional): Maps an image to the boxes (N, 4) or (N, 5) of its persons,
            e.g. :func:`whole_frame`; None if the estimator finds them itself. Networks that find
            all persons at once ignore it.

    Attributes:
        meta (dict): ``dataset_name`` says which joints these are, 'coco' for COCO-17.
        settings (dict): The arguments of :func:`build_estimator`, on which the poses depend.
    """

    meta = dict(dataset_name='coco')
    settings: dict = {}

    def __init__(self, checkpoint: str | None = None, device: str | None = None,
                 boxes: Boxes | None = None):
        self.checkpoint, self.device, self.boxes = checkpoint, device, boxes

    @abstractmethod
    def estimate(self, image: np.ndarray, boxes: np.ndarray | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
        """Estimate the poses in an image.

        Args:
            image (np.ndarray): (H, W, 3) uint8 BGR.
            boxes (np.ndarray, optional): (N, 4) x1, y1, x2, y2 in pixels, N >= 0; None to find
                the persons.

        Returns:
            tuple: ``keypoint`` (N, 17, 2) in pixels and ``score`` (N, 17) in [0, 1], 0 for a
            missing joint.
        """

    def extract(self, frames: Iterable[np.ndarray],
                boxes: Iterable[np.ndarray] | None = None) -> Iterator[dict[str, np.ndarray]]:
        """Estimate the poses in images, each independent of the others.

        Args:
            frames (Iterable[np.ndarray]): (H, W, 3) uint8 BGR.
            boxes (Iterable[np.ndarray], optional): (N, 4) or (N, 5) per frame: x1, y1, x2, y2 in
                pixels and the score. By default those of the argument ``boxes`` of the class.

        Yields:
            dict: Per frame, float32: ``keypoints`` (N, 17, 2) in pixels, ``keypoint_scores``
            (N, 17) clipped to [0, 1], ``bboxes`` (N, 4) around the joints that are not missing,
            ``bbox_scores`` (N,) their mean score.

        Raises:
            AnnotationError: If :meth:`estimate` returns other shapes, or NaN or infinity.
        """
        for image, found in zip(frames, repeat(None) if boxes is None else boxes, strict=False):
            if found is None and self.boxes is not None:
                found = self.boxes(image)
            if found is not None:
                found = np.asarray(found, np.float32).reshape(len(found), -1 if len(found) else 4)
                found = found[:, :4]
            yield self._instances(*self.estimate(image, found))

    def _instances(self, keypoint, score):
        keypoint, score = np.asarray(keypoint, np.float32), np.asarray(score, np.float32)
        if keypoint.shape[1:] != (17, 2) or score.shape != keypoint.shape[:2]:
            raise AnnotationError(f'{type(self).__name__}: found keypoints {keypoint.shape} and '
                                  f'scores {score.shape}, expected (N, 17, 2) and (N, 17)')
        if not (np.isfinite(keypoint).all() and np.isfinite(score).all()):
            raise AnnotationError(f'{type(self).__name__}: found NaN or infinite predictions, '
                                  'expected finite ones; check the checkpoint')
        seen = (score > 0).any(1)
        keypoint, score = keypoint[seen], score[seen].clip(0, 1)
        missing = score[..., None] == 0
        bboxes = np.hstack((np.where(missing, np.inf, keypoint).min(1),
                            np.where(missing, -np.inf, keypoint).max(1)))
        return dict(keypoints=keypoint, keypoint_scores=score, bboxes=bboxes,
                    bbox_scores=score.mean(1))


def need(library: str, package: str):
    """Check that a library is installed.

    Raises:
        ImportError: With the command that installs it.
    """
    if find_spec(library) is None:
        raise ImportError(f'{library} is not installed: pip install {package}')


def need_weights(checkpoint: str | None, what: str) -> str:
    """Return the path of weights that no library ships.

    Raises:
        ValueError: If none is given.
        FileNotFoundError: If there is no such file.
    """
    if not checkpoint:
        raise ValueError(f'checkpoint: found none, expected the path of {what}')
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f'{checkpoint}: no such file, expected {what}')
    return str(checkpoint)


def choose_estimator(detector: bool = True) -> str:
    """Return, and print, the name of the default pose estimator.

    MMPose if it and its weights are here, else MediaPipe, else MMPose, which downloads them.

    Args:
        detector (bool): Persons must be found, too, not only their joints. Defaults to True.

    Raises:
        ImportError: If none is installed.
    """
    from .pose_extractor import is_ready

    if is_ready(detector):
        name = 'mmpose'
    elif find_spec('mediapipe'):
        name = 'mediapipe'
    elif find_spec('mmpose') and (find_spec('mmdet') or not detector):
        name = 'mmpose'
    else:
        raise ImportError("no pose estimator is installed: pip install 'mofm[video]' (MediaPipe), "
                          'or MMPose as docs/video.md says; or give poses instead of a video')
    print(f'poses by {name}', file=sys.stderr)
    return name


def build_estimator(name: str = 'auto', checkpoint: str | None = None, device: str | None = None,
                    boxes: Boxes | None = None, **options) -> PoseEstimator:
    """Build a pose estimator.

    Args:
        name (str): Name in ``POSE_ESTIMATORS``, or 'auto' for that of :func:`choose_estimator`.
        checkpoint (str, optional): See :class:`PoseEstimator`, as for the next two.
        device (str, optional): Where the network runs.
        boxes (Callable, optional): Boxes of persons by image.
        **options: Further arguments of the class.

    Raises:
        ImportError: If its library is not installed.
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the name is unknown, or the checkpoint is missing or unusable.
    """
    if name == 'auto':
        name = choose_estimator(boxes is None)
    kind = POSE_ESTIMATORS.get(name)
    if kind is None:
        raise ValueError(f'pose estimator: found {name!r}, expected auto or one of '
                         f'{", ".join(sorted(POSE_ESTIMATORS.module_dict))}')
    estimator = kind(checkpoint=checkpoint, device=device, boxes=boxes, **options)
    estimator.settings = dict(options, checkpoint=checkpoint,
                              boxes=getattr(boxes, '__name__', None))
    return estimator
