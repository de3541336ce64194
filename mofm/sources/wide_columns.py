"""Columns of wide tables of poses, one row a frame: ``frame, nose_x, nose_y, nose_score, ...``."""
import re
from collections.abc import Sequence
from typing import NamedTuple

from .joint_order import unknown_joints

_SCORE = ('score|scores|confidence|conf|likelihood|visibility|visible|vis|probability|prob|'
          '[csvp]')
_AXIS = f'(?P<axis>[xyz]|{_SCORE})'
_BREAK = r'[\s_.:/|\-\[(]+'
_FORMS = [re.compile(form, flags) for form, flags in (
    (rf'(?P<joint>.+?){_BREAK}{_AXIS}[\])]?', re.IGNORECASE),  # nose_x, nose.X, nose (x)
    (rf'{_AXIS}{_BREAK}(?P<joint>.+?)[\])]?', re.IGNORECASE),  # x_nose
    (r'(?P<joint>.*[a-z0-9])(?P<axis>[XYZ]|Score|Confidence|Conf|Likelihood|Visibility)', 0),
    (r'(?P<axis>[xyz])(?P<joint>[A-Z].*)', 0))]
# Names of the other columns without what is no letter, the first one that is there counts.
_ROLES = dict(
    frame='frame frameid frameidx frameindex framenumber framenum frameno',
    time='time timestamp timestamps timesec times timems timestampms seconds',
    clip='clip clipid clipname video videoid videoname sequence recording file filename',
    track='track trackid', person='person personid personidx subject subjectid id',
    label='label', height='height imageheight imgheight frameheight videoheight imgh imageh',
    width='width imagewidth imgwidth framewidth videowidth imgw imagew',
    **{f'box_{corner}': f'box{corner}' for corner in ('x1', 'y1', 'x2', 'y2')})
# Names of the columns of long tables, a row a joint: no id, which may be that of the row.
_LONG = dict(
    frame=_ROLES['frame'], clip='clip clipid clipname video videoid videoname',
    joint='joint jointname nodename node keypointname keypoint bodypart landmarkname landmark '
    'markername marker', x='x', y='y', z='z', track='track trackid',
    person='person personid personidx', label='label', height='height', width='width',
    score='score confidence conf likelihood visibility', **{
        f'box_{corner}': f'box{corner}' for corner in ('x1', 'y1', 'x2', 'y2')})
_NO_JOINTS = ('box', 'bbox', 'boundingbox')


class WideColumns(NamedTuple):
    """Places of the columns of a wide table.

    Args:
        header (Sequence[str]): Names of all columns.
        roles (dict[str, int]): Columns that are no joints, by what they are.
        joints (dict[str, dict[str, int]]): ``x``, ``y``, ``z`` and ``score`` of each joint.
    """

    header: Sequence[str]
    roles: dict[str, int]
    joints: dict[str, dict[str, int]]

    @property
    def has_z(self) -> bool:
        """Whether there are 3D joints."""
        return any('z' in places for places in self.joints.values())


def long_columns(header: Sequence[str]) -> list[str] | None:
    """Return what the columns of a long table are, their own names in lower case for others.

    Args:
        header (Sequence[str]): Names of the columns as they are.

    Returns:
        list[str] or None: E.g. ``joint`` for ``Keypoint``; None without joint, x and y.
    """
    plain = [re.sub('[^a-z0-9]', '', name.lower()) for name in header]
    out = [name.strip(' "').lower() for name in header]
    for role, names in _LONG.items():
        if role not in out:
            place = next((plain.index(name) for name in names.split() if name in plain), None)
            if place is not None:
                out[place] = role
    return out if {'joint', 'x', 'y'} <= set(out) else None


def find_wide_columns(header: Sequence[str]) -> WideColumns | None:
    """Find the joints in the names of columns.

    Args:
        header (Sequence[str]): Names of the columns as they are.

    Returns:
        WideColumns or None: None if no column is a coordinate of a joint, or in a long table.

    Raises:
        ValueError: If a joint has two columns of a kind, or a coordinate is missing; it names the
            columns that were found and those that were expected.
    """
    if long_columns(header):
        return None
    plain = [re.sub('[^a-z0-9]', '', name.lower()) for name in header]
    roles = {role: plain.index(name) for role, names in _ROLES.items()
             for name in names.split()[::-1] if name in plain}
    joints: dict[str, dict[str, int]] = {}
    spelled: dict[str, str] = {}
    twice = None
    for i, name in enumerate(header):
        joint, axis = ('', '') if i in roles.values() else split_column(name)
        if joint:
            joint = spelled.setdefault(joint.lower(), joint)
            other = joints.setdefault(joint, {}).setdefault(axis, i)
            twice = twice or other != i and f'{header[other]!r} and {name!r}'
    joints = {joint: places for joint, places in joints.items()
              if {'x', 'y', 'z'} & places.keys() or not unknown_joints([joint])}
    if not any({'x', 'y'} <= places.keys() or not unknown_joints([joint])
               for joint, places in joints.items()):
        return None
    if twice:
        raise ValueError(twice, 'one column of a kind')
    axes = 'xyz' if any('z' in places for places in joints.values()) else 'xy'
    for joint, places in joints.items():
        missing = [axis for axis in axes if axis not in places]
        if missing:
            found = ', '.join(repr(header[place]) for place in places.values())
            raise ValueError(f'{found} without {" and ".join(missing)} of {joint!r}',
                             f'{", ".join(axes)} of every joint')
    return WideColumns(header, roles, joints)


def split_column(name: str) -> tuple[str, str]:
    """Split the name of a column.

    Returns:
        tuple[str, str]: The joint, and ``x``, ``y``, ``z`` or ``score``; '' if it has none.
    """
    match = next(filter(None, (form.fullmatch(name[:200]) for form in _FORMS)), None)
    joint = match['joint'].strip(' _.') if match else ''
    if not joint or joint.replace('_', '').lower() in _NO_JOINTS:
        return '', ''
    axis = match['axis'].lower()
    return joint, axis if axis in 'xyz' else 'score'
