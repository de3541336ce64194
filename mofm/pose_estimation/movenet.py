"""Poses by MoveNet MultiPose, a TFLite file that finds up to six persons without a detector."""

import cv2
import numpy as np

from mofm.registry import POSE_ESTIMATORS

from .estimator import Boxes, PoseEstimator, need, need_weights

# The sides of the input are multiples of it.
_STEP = 32


@POSE_ESTIMATORS.register_module('movenet')
class MoveNet(PoseEstimator):
    """MoveNet MultiPose, COCO-17, on the CPU.

    Args:
        checkpoint (str): The ``.tflite`` file; input (1, H, W, 3), output (1, 6, 56).
        device, boxes: Ignored.
        size (int): Longer side of the input in pixels, a multiple of 32; larger ones find smaller
            persons. Defaults to 512.
        min_score (float): Smallest score of a person. Defaults to 0.2.

    Raises:
        ImportError: If ai-edge-litert is not installed.
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If no checkpoint is given, it has another output, or an option is out of
            range.
    """

    def __init__(self, checkpoint: str | None = None, device: str | None = None,
                 boxes: Boxes | None = None, size: int = 512, min_score: float = .2):
        super().__init__(checkpoint, device, None)
        need('ai_edge_litert', 'ai-edge-litert')
        from ai_edge_litert.interpreter import Interpreter

        if size < _STEP or size % _STEP:
            raise ValueError(f'found size={size}, expected a multiple of {_STEP}')
        path = need_weights(checkpoint, 'the .tflite file of MoveNet MultiPose')
        try:
            self._network = Interpreter(path)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f'{path}: found {str(error)[:200]}, expected a .tflite file'
                             ) from None
        shape = self._network.get_output_details()[0]['shape'].tolist()
        if shape[-1] != 56:
            raise ValueError(f'{path}: found an output of shape {tuple(shape)}, expected (1, 6, '
                             '56) of MoveNet MultiPose')
        self._input = self._network.get_input_details()[0]
        self.size, self.min_score = size, min_score

    def estimate(self, image: np.ndarray, boxes: np.ndarray | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`PoseEstimator.estimate`."""
        height, width = image.shape[:2]
        scale = self.size / max(height, width)
        small = cv2.resize(image[..., ::-1], None, fx=scale, fy=scale)
        low, side = small.shape[:2]
        small = np.pad(small, ((0, -low % _STEP), (0, -side % _STEP), (0, 0)))
        network, index = self._network, self._input['index']
        network.resize_tensor_input(index, (1, *small.shape))
        network.allocate_tensors()
        network.set_tensor(index, small[None].astype(self._input['dtype']))
        network.invoke()
        found = network.get_tensor(network.get_output_details()[0]['index'])[0]  # (6, 56)
        found = found[found[:, 55] >= self.min_score]
        joints = found[:, :51].reshape(-1, 17, 3)  # y, x of the padded input, score
        return (joints[..., 1::-1] * small.shape[1::-1] / (side / width, low / height),
                joints[..., 2])
