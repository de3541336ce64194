"""Joint layouts and the maps between them, virtual cameras, and the errors of a detector."""

from .cameras import Camera, CameraRange, level
from .detector import detect
from .layouts import LAYOUTS, Layout, convert, get_layout

__all__ = ['LAYOUTS', 'Camera', 'CameraRange', 'Layout', 'convert', 'detect', 'get_layout',
           'level']
