"""Blocks that more than one backbone or head uses."""
