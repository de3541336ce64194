"""Joint layouts and the maps between them."""

from .layouts import LAYOUTS, Layout, convert, get_layout

__all__ = ['LAYOUTS', 'Layout', 'convert', 'get_layout']
