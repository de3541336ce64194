"""Readers of outside formats: each turns native files into annotations of the one schema."""

from .base import Source
from .penn_action import PennAction

__all__ = ['PennAction', 'Source']
