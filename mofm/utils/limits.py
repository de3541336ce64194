"""Limits of what a file from outside may ask for, the same for all readers and models."""

import os
from dataclasses import dataclass, fields

_VARIABLE = 'MOFM_LIMITS'


@dataclass(frozen=True)
class Limits:
    """Limits of one file; real ones are far below.

    The environment variable ``MOFM_LIMITS`` changes them, for all readers of all tools and their
    workers, e.g. ``MOFM_LIMITS='expansion=1000 members=5000000'``.

    Attributes:
        depth (int): Levels of nested containers.
        members (int): Files in an archive.
        expansion (int): Bytes that one byte of a compressed file becomes.
        small (int): Bytes that any compressed file may become.
        frames (int): Frames of a clip or window of a model.
        persons (int): Persons of a clip of a model.
        clips (int): Clips that a model sees of one recording.
        pixels (int): Frames times height times width of the heat map of a clip.
        steps (int): Operations of the pickle of a checkpoint.
    """

    depth: int = 64
    members: int = 10**6
    expansion: int = 100
    small: int = 2**26
    frames: int = 2**14
    persons: int = 2**8
    clips: int = 2**6
    pixels: int = 2**21
    steps: int = 2 * 10**6

    def expanded(self, size: int) -> int:
        """Return the bytes that a compressed file of ``size`` bytes may become."""
        return max(self.small, self.expansion * size)


def get_limits() -> Limits:
    """Return the limits, with the changes of the environment variable ``MOFM_LIMITS``.

    Raises:
        ValueError: If the variable has another form.
    """
    names = [field.name for field in fields(Limits)]
    found = {}
    for item in os.environ.get(_VARIABLE, '').split():
        name, _, value = item.partition('=')
        if name not in names or not value.isdecimal() or len(value) > 18:
            raise ValueError(f'{_VARIABLE}: found {item[:80]!r}, expected NAME=INTEGER, with one '
                             f'of {", ".join(names)}')
        found[name] = int(value)
    return Limits(**found)
