"""Maps from the joints of any skeleton to those of COCO-17."""
from collections.abc import Mapping, Sequence
from pathlib import Path

from mofm.annotations import AnnotationError
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe
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
            its name or its number from 0 and several joints are averaged, or one of
            :func:`shipped_maps`. Joints of COCO-17 without an entry are missing.

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
        found = sorted(data) if isinstance(data, dict) else type(data).__name__
        raise AnnotationError(f'{path}: found {found}, expected a dict with joints of {_COCO}')
    out = {key: tuple(value) if isinstance(value, list) else (value, )
           for key, value in data.items()}
    for key, value in out.items():
        if not value or not all(isinstance(joint, str) or type(joint) is int and joint >= 0
                                for joint in value):
            raise AnnotationError(f'{path}: {key}: found another value, expected a joint or a '
                                  'list of joints')
    return out


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
    names, out = list(names or ()), {}
    for key, parts in joint_map.items():
        for part in parts:
            if isinstance(part, str) and not names:
                raise ValueError(f'numbers of joints, as the file has no names; the {key} of the '
                                 f'map is {part!r}')
            if names.count(part) != 1 if isinstance(part, str) else part >= count:
                raise ValueError(f'one joint called {part!r}, the {key} of the map')
        out[_COCO.index(key)] = [names.index(part) if isinstance(part, str) else part
                                 for part in parts]
    return out
