"""Motion capture in BVH files: a hierarchy of joints, then the values of all channels per frame.

Available parsers support position channels at the root only (pybvh), expect 3 or 6 channels in a
fixed order (pymotion), loop over frames in Python (bvhio) or compute no positions (bvh).
"""
import re
from collections.abc import Iterable
from itertools import islice, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mofm.registry import SOURCES

from ..base import Item
from ..joint_maps import MAP_OPTION, load_map
from ..motion_capture import MotionCapture
from ..recognition import Sample

_HEAD = re.compile(r'\s*Frames:\s*(\d{1,9})\s+Frame Time:\s*(\S{1,40})\s*\n')
_MAX_JOINTS, _MAX_POSITIONS = 1000, 10**7
_CHANNELS = {f'{axis}{kind}': (kind, i) for kind in ('position', 'rotation')
             for i, axis in enumerate('xyz')}
_COUNTS = tuple('0123456')


class Skeleton(NamedTuple):
    """Hierarchy of a BVH file with J joints, End Sites included.

    Args:
        names (list[str]): Names; the End Site of ``Head`` is ``Head_End``.
        parents (list[int]): Index of the parent, -1 for the root; parents come first.
        offsets (np.ndarray): (J, 3) from the parent in the unit of the file.
        channels (list[list[tuple[str, int]]]): Kind and axis of each joint's channels.
    """

    names: list[str]
    parents: list[int]
    offsets: np.ndarray
    channels: list[list[tuple[str, int]]]


def parse_hierarchy(text: str) -> Skeleton:
    """Parse the text before ``MOTION``.

    Raises:
        ValueError: If it is invalid; the message is what was found.
    """
    names, parents, offsets, channels, opened = [], [], [], [], []
    tokens = iter(text.split())
    if next(tokens, None) != 'HIERARCHY':
        raise ValueError('no HIERARCHY at the start')
    for token in tokens:
        if token in ('ROOT', 'JOINT', 'End'):
            name = ' '.join(takewhile(lambda word: word != '{', tokens))
            if (token == 'ROOT') != (not names) or (token != 'ROOT') != bool(opened):
                raise ValueError(f'misplaced {token} {name}, e.g. a second ROOT')
            parents.append(opened[-1] if opened else -1)
            names.append(f'{names[opened[-1]]}_End' if token == 'End' else name)
            opened.append(len(names) - 1)
            offsets.append(None)
            channels.append(None if token != 'End' else [])
            if len(names) > _MAX_JOINTS:
                raise ValueError(f'more than {_MAX_JOINTS} joints')
        elif token == '}' and opened:
            joint = opened.pop()
            if offsets[joint] is None or channels[joint] is None:
                raise ValueError(f'{names[joint]} without OFFSET or CHANNELS')
        elif token == 'OFFSET' and opened and offsets[opened[-1]] is None:
            offsets[opened[-1]] = [float(next(tokens, 'nothing')) for _ in range(3)]
        elif token == 'CHANNELS' and opened and channels[opened[-1]] is None:
            channels[opened[-1]] = _parse_channels(tokens, names[opened[-1]])
        else:
            raise ValueError(f'{token!r} after {names[-1] if names else "HIERARCHY"}')
    if opened or not names:
        raise ValueError(f'the end inside of {names[opened[-1]] if opened else "HIERARCHY"}')
    if not np.isfinite(offsets).all():
        raise ValueError('an OFFSET that is NaN or infinite')
    return Skeleton(names, parents, np.array(offsets), channels)


def _parse_channels(tokens, joint):
    count = next(tokens, '')
    words = list(islice(tokens, int(count) if count in _COUNTS else 0))
    kinds = [_CHANNELS.get(word.lower()) for word in words]
    if count != str(len(words)) or None in kinds or len(set(kinds)) < len(kinds):
        raise ValueError(f'{joint} with {count} channels {" ".join(words)}')
    return kinds


def forward_kinematics(skeleton: Skeleton, values: np.ndarray) -> np.ndarray:
    """Compute the positions of the joints.

    A joint is at its offset from the parent unless it has position channels. Rotation channels
    apply in the order of the file, the first one outermost.

    Args:
        skeleton (Skeleton): Result of :func:`parse_hierarchy`.
        values (np.ndarray): (T, C) of all channels in the order of the file: degrees, and lengths
            in its unit.

    Returns:
        np.ndarray: (T, J, 3) in the unit of the file and world coordinates.
    """
    from scipy.spatial.transform import Rotation

    frames = len(values)
    position = np.empty((frames, len(skeleton.names), 3))
    rotation = {-1: Rotation.identity(frames)}
    column = 0
    for joint, (parent, kinds) in enumerate(zip(skeleton.parents, skeleton.channels, strict=True)):
        own = values[:, column:column + len(kinds)]
        column += len(kinds)
        shift = np.tile(skeleton.offsets[joint], (frames, 1))  # (T, 3)
        turns = []
        for i, (kind, axis) in enumerate(kinds):
            if kind == 'position':
                shift[:, axis] = own[:, i]
            else:
                turns.append(i)
        rotation[joint] = rotation[parent]
        if turns:
            order = ''.join('XYZ'[kinds[i][1]] for i in turns)
            own = Rotation.from_euler(order, own[:, turns], degrees=True)
            rotation[joint] = rotation[parent] * own
        position[:, joint] = rotation[parent].apply(shift)
        if parent >= 0:
            position[:, joint] += position[:, parent]
    return position


@SOURCES.register_module('bvh')
class BVH(MotionCapture):
    """Reader of ``.bvh`` files, one recording each.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        joint_map (str or Path): Names of the joints, see :func:`load_map`; the End Site of
            ``Head`` is ``Head_End``.
        **kwargs: Passed to :class:`MotionCapture`; ``unit`` defaults to a centimeter.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
    """

    suffix = '.bvh'
    default_unit = .01

    def __init__(self, path: str | Path, joint_map: str | Path, **kwargs):
        super().__init__(path, **kwargs)
        self.joint_map = load_map(joint_map)

    @classmethod
    def add_options(cls, parser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--map', required=True, **MAP_OPTION)

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if re.match(rb'(\xef\xbb\xbf)?\s*HIERARCHY\s', sample.head):
            return 'text that begins with HIERARCHY'
        return None

    def recordings(self, name: str, content: bytes) -> Iterable[Item]:
        """See :meth:`Source3D.recordings`."""
        recording = self.stem(name)
        listed = self.listed(recording)
        if listed is None:
            return
        skeleton, values = self._parse(name, content)
        with np.errstate(over='ignore', invalid='ignore'):
            joints = forward_kinematics(skeleton, values)
        if not np.isfinite(joints).all():
            raise self.error(name, 'MOTION', 'infinite positions', 'a human body')
        joints = self.to_coco(name, 'HIERARCHY', joints, skeleton.names, self.joint_map)
        joints = self.meters(name, 'MOTION', joints)
        yield dict(frame_dir=recording, label=listed[0], joints=joints), listed[1]

    def _parse(self, name, content) -> tuple[Skeleton, np.ndarray]:
        """Parse the skeleton and the values (T, C) of its channels."""
        try:
            head, *tail = re.split(r'(?m)^[ \t]*MOTION[ \t]*\r?$', content.decode('utf-8-sig'))
            skeleton = parse_hierarchy(head)
        except ValueError as error:
            raise self.error(name, 'HIERARCHY', error, 'a hierarchy of joints') from None
        match = _HEAD.match(tail[0]) if len(tail) == 1 else None
        if match is None:
            raise self.error(name, 'MOTION', repr(tail[0][:60]) if tail else 'nothing',
                             'Frames: and Frame Time:')
        frames, channels = int(match[1]), sum(map(len, skeleton.channels))
        if not 1 <= frames <= _MAX_POSITIONS / len(skeleton.names):
            raise self.error(name, 'Frames', frames,
                             f'at least 1 and at most {_MAX_POSITIONS} positions of joints')
        try:
            if not 0 < float(match[2]) < np.inf:
                raise ValueError(f'Frame Time {match[2]}')
            rows = [row for row in tail[0][match.end():].split('\n') if row.strip()]
            if len(rows) != frames:
                raise ValueError(f'{len(rows)} rows')
            values = np.loadtxt(rows, comments=None, ndmin=2)
            if values.shape[1] != channels or not np.isfinite(values).all():
                raise ValueError(f'{values.shape[1]} columns, or NaN or infinite values')
        except ValueError as error:
            raise self.error(name, 'MOTION', error, f'{frames} rows of {channels} numbers and a '
                             'positive frame time') from None
        return skeleton, values
