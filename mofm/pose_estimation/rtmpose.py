"""Poses by RTMPose as an ONNX file, through rtmlib."""

import contextlib
import io

import numpy as np

from mofm.registry import POSE_ESTIMATORS

from .estimator import Boxes, PoseEstimator, need, need_weights, whole_frame


def _load(kind, path: str, device: str | None):
    """Load an ONNX file with the size of its input."""
    import onnxruntime

    try:
        shape = onnxruntime.InferenceSession(path).get_inputs()[0].shape
    except Exception as error:  # onnxruntime has many kinds
        raise ValueError(f'{path}: found {str(error)[:200]}, expected an ONNX file') from None
    if len(shape) != 4 or not all(isinstance(side, int) for side in shape[2:]):
        raise ValueError(f'{path}: found an input of shape {shape}, expected (N, 3, H, W) with '
                         'a fixed height and width')
    size = tuple(shape[:1:-1] if kind.__name__ == 'RTMPose' else shape[2:])
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the path
        return kind(path, size, backend='onnxruntime', device=device or 'cpu')


@POSE_ESTIMATORS.register_module('rtmpose')
class RTMPose(PoseEstimator):
    """RTMPose with 17 joints of COCO, and YOLOX for the boxes.

    Args:
        checkpoint (str): The ONNX file of RTMPose, with the outputs ``simcc_x`` and ``simcc_y``.
        device (str, optional): 'cpu' (default) or 'cuda'.
        boxes (Callable, optional): See :class:`PoseEstimator`; by default those of ``detector``,
            or the whole frame without one.
        detector (str, optional): ONNX file of YOLOX, whose class 0 is the person.

    Raises:
        ImportError: If rtmlib or onnxruntime is not installed.
        FileNotFoundError: If there is no such file.
        ValueError: If no checkpoint is given, or a file is unusable.
    """

    def __init__(self, checkpoint: str | None = None, device: str | None = None,
                 boxes: Boxes | None = None, detector: str | None = None):
        need('rtmlib', 'rtmlib onnxruntime')
        need('onnxruntime', 'rtmlib onnxruntime')
        import rtmlib

        path = need_weights(checkpoint, 'an ONNX file of RTMPose')
        if boxes is None and detector:
            boxes = _load(rtmlib.YOLOX, need_weights(detector, 'an ONNX file of YOLOX'), device)
        super().__init__(checkpoint, device, boxes or whole_frame)
        self._network = _load(rtmlib.RTMPose, path, device)

    def estimate(self, image: np.ndarray, boxes: np.ndarray | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`PoseEstimator.estimate`."""
        if not len(boxes):  # rtmlib would take the whole frame
            return np.zeros((0, 17, 2)), np.zeros((0, 17))
        return self._network(image, boxes)
