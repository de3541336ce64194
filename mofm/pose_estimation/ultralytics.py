"""Poses by YOLO of Ultralytics, whose code and weights are under AGPL-3.0."""

import numpy as np

from mofm.registry import POSE_ESTIMATORS

from .estimator import Boxes, PoseEstimator, need, need_weights


@POSE_ESTIMATORS.register_module('ultralytics')
class UltralyticsPoses(PoseEstimator):
    """YOLO-pose, COCO-17, all persons at once.

    Args:
        checkpoint (str): File of a pose model, e.g. ``yolo11n-pose.pt``. Loading a ``.pt`` file
            may run code in it.
        device (str, optional): By default that of Ultralytics.
        boxes (Callable, optional): Ignored.

    Raises:
        ImportError: If ultralytics is not installed.
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If no checkpoint is given or it is not of a pose model.
    """

    def __init__(self, checkpoint: str | None = None, device: str | None = None,
                 boxes: Boxes | None = None):
        super().__init__(checkpoint, device, None)
        need('ultralytics', 'ultralytics')
        from ultralytics import YOLO

        self._network = YOLO(need_weights(checkpoint, 'a YOLO-pose model'))
        if self._network.task != 'pose':
            raise ValueError(f'{checkpoint}: found a model of the task {self._network.task!r}, '
                             "expected 'pose'")

    def estimate(self, image: np.ndarray, boxes: np.ndarray | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`PoseEstimator.estimate`."""
        found = self._network(image, verbose=False, device=self.device)[0].keypoints
        found = found.data.cpu().numpy().reshape(-1, 17, 3)
        return found[..., :2], found[..., 2]
