"""Example of a plug-in: ``custom_imports=['projects.example_head']``."""

from .example_head import AttentionPoolHead

__all__ = ['AttentionPoolHead']
