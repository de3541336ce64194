"""Maps from the joints of any skeleton to those of COCO-17."""
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from mofm.annotations import AnnotationError
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe, typed
from mofm.utils.untrusted import parse_json

_COCO = LAYOUTS['coco17'].joints
_MAPS = Path(__file__).parent / 'joint_maps'
_MAX_MAP = 2**16

JointMap = Mapping[str, tuple[str | int, ...]]


def shipped_maps() -> list[str]:
    """List the maps for :func:`load_map` that the package contains."""
    return sorted(file.stem for file in _MAPS.glob('*.json'))


#: Option of the readers that map joints by name or place.
MAP_OPTION = dict(
    dest='joint_map', metavar='NAME_OR_FILE',
    help='the joints: a JSON file {COCO joint: name or number from 0 of a joint, or a list} or '
    f'one of {", ".join(shipped_maps())}')


def load_map(path: str | Path) -> dict[str, tuple[str | int, ...]]:
    """Load a map from the joints of a skeleton to those of COCO-17.

    Args:
        path (str or Path): A JSON file ``{COCO joint: joint or [joint, ...]}``, where a joint is
            its name (:func:`find_names`) or its number from 0 and several joints are averaged,
            or one of :func:`shipped_maps`. Joints of COCO-17 without an entry are missing.

    Returns:
        dict[str, tuple[str or int]]: Joints of the skeleton by joint of COCO-17.

    Raises:
        AnnotationError: If there is no such file or it is invalid.
    """
    file = _MAPS / f'{path}.json' if str(path) in shipped_maps() else Path(path)
    try:
        with open(file, 'rb') as f:
            content = f.read(_MAX_MAP)
        data = parse_json(content)
    except Exception as error:  # malformed text: also recursion and encoding errors
        raise AnnotationError(f'{path}: found {describe(error)}, expected a JSON '
                              f'file with a map or one of {shipped_maps()}') from None
    if not isinstance(data, dict) or not data or not data.keys() <= set(_COCO):
        found = sorted(data) if isinstance(data, dict) else typed(data)
        raise AnnotationError(f'{path}: found {found}, expected a dict with joints of {_COCO}')
    out = {key: tuple(value) if isinstance(value, list) else (value, )
           for key, value in data.items()}
    for key, value in out.items():
        if not value or not all(isinstance(joint, str) or type(joint) is int and joint >= 0
                                for joint in value):
            raise AnnotationError(f'{path}: {key}: found another value, expected a joint or a '
                                  'list of joints')
    return out


def find_names(wanted: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """Find joints by their names.

    A name is found as it is, or else by :func:`short_names`, in upper or lower case, and without
    spaces, ``_``, ``-`` and ``.``: ``Left Arm`` is ``mixamorig7:LeftArm``.

    Args:
        wanted (Sequence[str]): Names in a map.
        names (Sequence[str]): Names in a file.

    Returns:
        list[int or None]: Index in ``names`` of each wanted one, None if no or several joints
        have the name.
    """
    def plain(names):
        return [re.sub(r'[\s_.-]', '', name).lower() for name in names]

    index: list[int | None] = [None] * len(wanted)
    for titles, spelled in ((list(wanted), list(names)),
                            (plain(short_names(wanted)), plain(short_names(names)))):
        counts = Counter(spelled)
        index = [spelled.index(title) if old is None and counts[title] == 1 else old
                 for old, title in zip(index, titles, strict=True)]
    return index


def short_names(names: Sequence[str]) -> list[str]:
    """Drop the name of the character.

    That is all up to the last ``:`` or ``|``, and the first words that all names have: ``Bip01``
    and ``Bip01 L Hand`` become '' and ``L_Hand``.
    """
    names = [re.sub(r'\s', '_', re.split('[:|]', name)[-1]) for name in names]
    prefix = os.path.commonprefix([f'{name}_' for name in names])
    prefix = prefix[:prefix.rfind('_') + 1]
    return [name.removeprefix(prefix) for name in names] if len(names) > 4 else names


def find_joints(joint_map: JointMap, names: Sequence[str] | None,
                count: int) -> dict[int, list[int]]:
    """Find the joints of a map in a file.

    Args:
        joint_map (JointMap): Result of :func:`load_map`.
        names (Sequence[str], optional): Names of the joints in the file; None if it has none.
        count (int): Number of joints in the file.

    Returns:
        dict[int, list[int]]: Joints of the file, to be averaged, by joint of COCO-17.

    Raises:
        ValueError: If the file lacks a joint of the map or has its name twice.
    """
    out = {}
    for key, parts in joint_map.items():
        texts = [part for part in parts if isinstance(part, str)]
        if texts and not names:
            raise ValueError(f'numbers of joints, as the file has no names; the {key} of the map '
                             f'is {texts[0]!r}')
        places = dict(zip(texts, find_names(texts, names or ()), strict=True))
        index = [places.get(part, part if type(part) is int and part < count else None)
                 for part in parts]
        if None in index:
            raise ValueError(f'one joint called {parts[index.index(None)]!r}, the {key} of the '
                             'map')
        out[_COCO.index(key)] = index
    return out


def fitting_maps(names: Sequence[str]) -> list[str]:
    """List the shipped maps all of whose joints exist; of several, those with the most joints."""
    sizes = {}
    for title, joint_map in _shipped().items():
        parts = [part for value in joint_map.values() for part in value]
        if None not in find_names(parts, names):
            sizes[title] = len(parts)
    return [title for title, size in sizes.items() if size == max(sizes.values())]


@cache
def _shipped() -> dict[str, JointMap]:
    return {title: load_map(title) for title in shipped_maps()}
