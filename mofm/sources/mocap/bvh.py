"""Motion capture in BVH files: a hierarchy of joints, then the values of all channels per frame.

Available parsers support position channels at the root only (pybvh), expect 3 or 6 channels in a
fixed order (pymotion), loop over frames in Python (bvhio) or compute no positions (bvh).
"""
import re
from collections.abc import Iterable
from itertools import islice, takewhile
from typing import NamedTuple

import numpy as np

from mofm.registry import SOURCES

from ..base import Item
from ..motion_capture import NamedMotionCapture, frame_rate
from ..recognition import Sample

_MOTION = re.compile(r'(?im)^[ \t]*MOTION[ \t]*$')
_FRAMES, _TIME = (re.compile(rf'(?i)\s*{word}\s*:?[ \t]*(\S{{0,40}})[ \t]*(?=\n|$)')
                  for word in ('Frames', r'Frame[ \t]*Time'))
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
    tokens = iter(text.replace('{', ' { ').replace('}', ' } ').split())
    if next(tokens, '').upper() != 'HIERARCHY':
        raise ValueError('no HIERARCHY at the start')
    for token in tokens:
        kind = token.upper()
        if kind in ('ROOT', 'JOINT', 'END'):
            name = ' '.join(takewhile(lambda word: word != '{', tokens))
            if (kind == 'ROOT') != (not names) or (kind != 'ROOT') != bool(opened):
                raise ValueError(f'misplaced {token} {name}, e.g. a second ROOT')
            parents.append(opened[-1] if opened else -1)
            names.append(f'{names[opened[-1]]}_End' if kind == 'END' else name)
            opened.append(len(names) - 1)
            offsets.append(None)
            channels.append(None if kind != 'END' else [])
            if len(names) > _MAX_JOINTS:
                raise ValueError(f'more than {_MAX_JOINTS} joints')
        elif token == '}' and opened:
            joint = opened.pop()
            if offsets[joint] is None or channels[joint] is None:
                raise ValueError(f'{names[joint]} without OFFSET or CHANNELS')
        elif kind == 'OFFSET' and opened and offsets[opened[-1]] is None:
            offsets[opened[-1]] = [float(next(tokens, 'nothing')) for _ in range(3)]
        elif kind == 'CHANNELS' and opened and channels[opened[-1]] is None:
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
class BVH(NamedMotionCapture):
    """Reader of ``.bvh`` files, one recording each.

    Rows of the motion are read whatever number ``Frames:`` says; a row that is cut off is not. NaN
    in a row makes its joints missing.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        **kwargs: Passed to :class:`NamedMotionCapture`; ``unit`` defaults to a centimeter.

    Raises:
        AnnotationError: If the path has no such files or the map cannot be read.
    """

    suffix = '.bvh'
    default_unit = .01

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if re.match(rb'(?i)(\xef\xbb\xbf)?\s*HIERARCHY\s', sample.head):
            return 'text that begins with HIERARCHY'
        return None

    def recordings(self, name: str, content: bytes) -> Iterable[Item]:
        """See :meth:`Source3D.recordings`."""
        recording = self.stem(name)
        if self.listed(recording) is None:
            return
        skeleton, values, fps = self._parse(name, content)
        missing = np.isnan(values).any(1)
        with np.errstate(over='ignore', invalid='ignore'):
            joints = forward_kinematics(skeleton, np.where(missing[:, None], 0, values))
        if not np.isfinite(joints).all():
            raise self.error(name, 'MOTION', 'infinite positions', 'a human body')
        joints[missing] = np.nan
        joints = self.to_coco(name, 'HIERARCHY', joints, skeleton.names, self.joint_map)
        yield from self.person(name, 'MOTION', recording, joints, fps)

    def _parse(self, name, content) -> tuple[Skeleton, np.ndarray, float | None]:
        """Parse the skeleton, the values (T, C) of its channels, and the frame rate."""
        head, *tail = _MOTION.split(self._decode(name, content))
        try:
            skeleton = parse_hierarchy(head)
        except ValueError as error:
            raise self.error(name, 'HIERARCHY', error, 'a hierarchy of joints') from None
        if len(tail) != 1:
            raise self.error(name, 'MOTION', f'{len(tail)} times MOTION', 'one on its own line')
        frames = _FRAMES.match(tail[0])
        time = _TIME.match(tail[0], frames.end() if frames else 0)
        match = time or frames
        rows = [row for row in tail[0][match.end() if match else 0:].split('\n') if row.strip()]
        most = int(_MAX_POSITIONS / len(skeleton.names))
        stated = frames and (int(float(frames[1])) if re.fullmatch(r'\d{1,9}(\.0*)?', frames[1])
                             else frames[1])
        if not 1 <= len(rows) <= most or type(stated) is str or (stated or 0) > most:
            raise self.error(name, 'Frames', f'{stated} and {len(rows)} rows', 'rows of numbers, '
                             f'and at most {_MAX_POSITIONS} positions of joints')
        values = self._values(name, rows, sum(map(len, skeleton.channels)))
        if stated != len(values):
            self.note(name, 'Frames: states another number than there are rows, all of which are '
                      'read')
        return skeleton, values, self._rate(name, time[1] if time else '')

    def _decode(self, name, content) -> str:
        """Decode the text, with decimal points as Python has them."""
        text = self.text(name, content)
        if ',' in text:
            point = ' ' if '.' in text else '.'
            self.note(name, f'commas are read as {"decimal points" if point == "." else "spaces"}')
            text = text.replace(',', point)
        return text

    def _rate(self, name, time) -> float | None:
        """Return the frames per second, None if there are none."""
        try:
            seconds = float(time or 0)
        except ValueError:
            raise self.error(name, 'Frame Time', repr(time), 'seconds per frame') from None
        rate = frame_rate(1 / seconds if seconds > 1e-9 else 0)
        if rate is None:
            if self.fps is None:
                self.note(name, 'Frame Time: is 0 or missing; the frame rate is unknown (--fps)')
            return None
        # .03333 is 30, .033367 is 29.97
        return float(round(rate) if abs(rate - round(rate)) < 5e-4 * rate else round(rate, 3))

    def _values(self, name, rows, channels) -> np.ndarray:
        """Parse the rows (T, C)."""
        if len(rows) > 1 and len(rows[-1].split()) < channels:
            self.note(name, 'the last row is cut off and is not read')
            del rows[-1]
        try:
            # NaN of Microsoft's C: 1.#IND, -1.#QNAN
            values = np.loadtxt([re.sub(r'-?\d\.#\w+', 'nan', row) if '#' in row else row
                                 for row in rows], comments=None, ndmin=2)
            if values.shape[1] != channels or np.isinf(values).any():
                raise ValueError(f'{values.shape[1]} columns, or infinite values')
        except ValueError as error:
            raise self.error(name, 'MOTION', error, f'rows of {channels} numbers') from None
        if np.isnan(values).any():
            self.note(name, 'joints of rows with NaN are missing')
        return values
