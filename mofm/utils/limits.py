"""Limits of what a file from outside may ask for, the same for all readers and models."""

import os
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

_VARIABLE = 'MOFM_LIMITS'
_CONTAINERS = (list, tuple, dict, set, frozenset)
_FLAT = {int, float, bool, type(None)}


class LimitError(ValueError):
    """Error about a file that asks for more than the limits allow."""


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
        recording (int): Frames of a recording.
        scale (int): Factor of the largest native file (:class:`mofm.sources.base.Source`).
    """

    depth: int = 64
    members: int = 10**6
    expansion: int = 100
    small: int = 2**26
    frames: int = 2**11
    persons: int = 2**8
    clips: int = 2**5
    pixels: int = 2**21
    recording: int = 10**7
    scale: int = 1

    def expanded(self, size: int) -> int:
        """Return the bytes that a compressed file of ``size`` bytes may become."""
        return max(self.small, self.expansion * size)


def get_limits() -> Limits:
    """Return the limits, with the changes of the environment variable ``MOFM_LIMITS``.

    Raises:
        ValueError: If the variable has another form.
    """
    return _parse(os.environ.get(_VARIABLE, ''))


@lru_cache
def _parse(text: str) -> Limits:
    names = [field.name for field in fields(Limits)]
    found = {}
    for item in text.split():
        name, _, value = item.partition('=')
        if name not in names or not value.isdecimal() or len(value) > 18:
            raise ValueError(f'{_VARIABLE}: found {item[:80]!r}, expected NAME=INTEGER, with one '
                             f'of {", ".join(names)}')
        found[name] = int(value)
    return Limits(**found)


def exceeds(found: str, name: str) -> LimitError:
    """Build the error about a limit.

    Args:
        found (str): What the file asks for.
        name (str): The limit, one of the attributes of :class:`Limits`.
    """
    return LimitError(f'{found}, more than the limit {name}={getattr(get_limits(), name)}; for a '
                      f'trusted file set the environment variable {_VARIABLE}, e.g. to {name}=N')


def check_nesting(value: object, size: int | None = None):
    """Check the depth and the size of nested containers.

    Containers that are shared many times, in a pickle of a few bytes, become huge when they are
    printed, copied or converted to an array.

    Args:
        value (object): Content of a file.
        size (int, optional): Its bytes; None for a format whose containers cannot be shared.

    Raises:
        LimitError: If the containers are too deep, contain themselves, or are too large in a form
            that shares nothing.
    """
    depth, largest = get_limits().depth, get_limits().expanded(size or 0)
    todo, path = [value], set()  # the containers that are around the last one of todo
    done: dict[int, tuple[int, int]] = {}  # levels and bytes of the finished containers
    while todo:
        node = todo[-1]
        if id(node) in done:
            todo.pop()
            continue
        items = node.values() if isinstance(node, dict) else node
        if not isinstance(node, _CONTAINERS) or _FLAT.issuperset(map(type, items)):
            done[id(node)] = int(isinstance(node, _CONTAINERS)), _num_bytes(node)
            continue
        inner = [item for item in items if isinstance(item, _CONTAINERS)]
        waiting = [item for item in inner if id(item) not in done]
        if waiting:
            path.add(id(node))
            if len(path) >= depth or not path.isdisjoint(map(id, waiting)):
                raise exceeds(f'containers nested more than {len(path)} levels deep', 'depth')
            todo += waiting
            continue
        path.discard(id(node))
        found = [done[id(item)] for item in inner]
        levels = 1 + max((level for level, _ in found), default=0)
        total = (sum(part for _, part in found) + _num_bytes(node)
                 + sum(_num_bytes(item) for item in items if not isinstance(item, _CONTAINERS)))
        if levels > depth:  # a part of it was seen elsewhere
            raise exceeds(f'containers nested {levels} levels deep', 'depth')
        if size is not None and total > largest:
            raise exceeds(f'a file of {size} bytes whose shared parts become {total} bytes',
                          'expansion')
        done[id(node)] = levels, total


def _num_bytes(value: object) -> int:
    """Return the approximate memory of a value without the items of a container."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, (str, bytes, bytearray)):
        return len(value)
    return 8 + 8 * len(value) if isinstance(value, _CONTAINERS) else 8
