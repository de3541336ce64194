"""Neutral data structures: joint layouts, cube grid, thermal cubes, features.

Layouts and the score threshold only need NumPy; modules that need torch load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .front_view import front_view
from .layouts import LAYOUTS, Layout, convert, get_layout
from .score import SCORE_THRESHOLD, visible_joints

if TYPE_CHECKING:
    from .cube_grid import CubeGrid
    from .motion_features import MotionFeatures
    from .stacking import stack_inputs
    from .thermal_cubes import RenderedCubes, ThermalCubes

_TORCH = dict(CubeGrid='cube_grid', MotionFeatures='motion_features',
              RenderedCubes='thermal_cubes', ThermalCubes='thermal_cubes',
              stack_inputs='stacking')

__all__ = ['LAYOUTS', 'SCORE_THRESHOLD', 'CubeGrid', 'Layout', 'MotionFeatures', 'RenderedCubes',
           'ThermalCubes', 'convert', 'front_view', 'get_layout', 'stack_inputs',
           'visible_joints']


def __getattr__(name: str) -> Any:
    if name in _TORCH:
        return getattr(import_module(f'.{_TORCH[name]}', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
