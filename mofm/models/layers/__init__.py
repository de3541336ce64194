"""Layers shared by backbones, heads and losses."""
