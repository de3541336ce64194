"""Reconstruction: heat, and heat decoded from its tokens."""

from dataclasses import dataclass

import numpy as np

from mofm.registry import INFERENCERS

from .base import BaseInferencer
from .result import Result


@dataclass
class ReconstructResult(Result):
    """Heat and its reconstruction; two values per pixel, frame and window.

    Attributes:
        heat (np.ndarray): (W, F, H, W) float32, U_R in [0, 1].
        reconstruction (np.ndarray): (W, F, H, W) float32, U_R decoded from the tokens.
    """

    task = 'reconstruct'
    default_suffixes = ('.npz', )
    heat: np.ndarray
    reconstruction: np.ndarray

    def _error(self, window) -> float:
        return float(np.square(self.heat[window] - self.reconstruction[window]).mean())

    def summary(self) -> str:
        """Report shape and mean squared error."""
        shape = ' x '.join(map(str, self.reconstruction.shape))
        return f'{shape}, mean squared error {self._error(slice(None)):.2e}'

    def rows(self) -> list[dict]:
        """Return the mean squared error of each window."""
        return [dict(row, error=self._error(i)) for i, row in enumerate(super().rows())]


@INFERENCERS.register_module(ReconstructResult.task)
class ReconstructInferencer(BaseInferencer):
    """Reconstruction, for tokenizers."""

    result_type = ReconstructResult
    title = 'Reconstruction'
    predicted = dict(heat='heat', reconstruction='reconstruction')
    order = 3

    def draw(self, result) -> dict:
        """Draw the frames of the first window above those of its reconstruction."""
        from mofm.visualization import draw_heat

        return {'.png': draw_heat(result.heat[0], result.reconstruction[0])}
