"""Order of the joints of a file: said by the user or the file, or checked by proportions."""
import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from mofm.structures import LAYOUTS, convert, visible_joints

# Lengths of bones of COCO-17 in body heights (Drillis and Contini, 1966, rounded).
_LIMBS = {('{}_shoulder', '{}_elbow'): .17, ('{}_elbow', '{}_wrist'): .15,
          ('{}_hip', '{}_knee'): .24, ('{}_knee', '{}_ankle'): .24,
          ('{}_shoulder', '{}_hip'): .29, ('nose', '{}_shoulder'): .16}
_BONES = {('left_shoulder', 'right_shoulder'): .2, ('left_hip', 'right_hip'): .12}
_BONES |= {(start.format(side), end.format(side)): length for side in ('left', 'right')
           for (start, end), length in _LIMBS.items()}
_ENDS = np.array([[LAYOUTS['coco17'].joints.index(joint) for joint in bone] for bone in _BONES])
_LENGTHS = np.array([*_BONES.values()])
# Foreshortened bones have any length down to 0.
_SHORT = .04
_MAX_POSES = 2000
# Share of the bones that a pose needs to be compared, that of an upper body.
_ENOUGH = .5
# Least difference of the misfits of two orders of which one is wrong.
_WORSE = .2

#: Joints of programs that begin with a layout, by number: hands and faces follow the body.
BEGINS = {65: 'coco17', 68: 'halpe26', 135: 'body25b'}


def misfit(keypoint: np.ndarray, score: np.ndarray, layout: str) -> float:
    """Compare the proportions of poses with those of humans.

    In a wrong order, bones have other lengths than those of humans, and neighbors are far apart.

    Args:
        keypoint (np.ndarray): (N, J, 2) in any unit.
        score (np.ndarray): (N, J), 0 for missing joints.
        layout (str): An order of J joints.

    Returns:
        float: Median over the poses of the sum of the mean absolute logarithm of the ratios of
        both lengths of bones, about 0.3 for the right order, and of the logarithm of the mean
        distance of neighbors in the size of the pose. NaN without poses of half the bones.
    """
    known = visible_joints(keypoint, score)
    keypoint = keypoint.astype(np.float64)  # squares of millimeters overflow as float16
    count = known.sum(1)[:, None].clip(1)
    center = (keypoint * known[..., None]).sum(1, keepdims=True) / count[..., None]
    size = np.sqrt((((keypoint - center)**2).sum(-1) * known).sum(1) / count[:, 0])  # (N,)
    near, pairs = _bones(keypoint, known, np.array(LAYOUTS[layout].edges))
    keypoint, score = convert(keypoint, score, layout)
    length, bones = _bones(keypoint, visible_joints(keypoint, score), _ENDS)
    total, near = length.sum(1), near.sum(1)
    fits = (bones.mean(1) >= _ENOUGH) & (total > 0) & (near > 0)
    if not fits.any():
        return np.nan
    length, bones = length[fits], bones[fits]
    scale = bones @ _LENGTHS / total[fits]
    ratio = np.abs(np.log((length * scale[:, None] + _SHORT) / (_LENGTHS + _SHORT)))
    apart = np.log(near[fits] / pairs.sum(1)[fits] / size[fits])
    return float(np.median((ratio * bones).sum(1) / bones.sum(1) + apart))


def _bones(keypoint, known, ends) -> tuple[np.ndarray, np.ndarray]:
    """Return lengths (N, E) of the bones of which both ends are known, 0 for others; and which."""
    start, end = ends.T
    both = known[:, start] & known[:, end]
    return np.linalg.norm(keypoint[:, start] - keypoint[:, end], axis=-1) * both, both


def alike_layouts(keypoint: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """Return the misfit of every layout of J joints, best first.

    Args:
        keypoint (np.ndarray): (N, J, 2) in any unit.
        score (np.ndarray): (N, J), 0 for missing joints.
    """
    every = -(-len(keypoint) // _MAX_POSES) or 1
    fits = {name: misfit(keypoint[::every], score[::every], name)
            for name, layout in LAYOUTS.items() if layout.num_joints == keypoint.shape[1]}
    return dict(sorted(fits.items(), key=lambda item: (np.isnan(item[1]), item[1])))


def _body(layout: str) -> bytes:
    """Return where the joints of :data:`_BONES` are, the same if layouts differ in the face."""
    return LAYOUTS[layout].gather_index(LAYOUTS['coco17'])[_ENDS].tobytes()


def other_layouts(keypoint: np.ndarray, score: np.ndarray, layout: str) -> tuple[str, list[str]]:
    """Compare a layout with all others of the same number of joints.

    Args:
        keypoint (np.ndarray): (N, J, 2) in any unit.
        score (np.ndarray): (N, J), 0 for missing joints.
        layout (str): The order that is taken for granted.

    Returns:
        tuple[str, list[str]]: 'better' and the layouts that fit the proportions of humans clearly
        better; or 'similar' and those that cannot be told from it, but for the face.
    """
    fits = alike_layouts(keypoint, score)
    ours = fits[layout]
    fits = {name: value for name, value in fits.items() if _body(name) != _body(layout)}
    better = [name for name, value in fits.items() if value + _WORSE < ours]
    if better:
        return 'better', [name for name in better if _body(name) == _body(better[0])]
    return 'similar', [name for name, value in fits.items() if not value > ours + _WORSE]


def named_order(names: Sequence[str]) -> dict[int, list[int]] | None:
    """Find the joints of COCO-17 by their names in a file.

    Args:
        names (Sequence[str]): E.g. ``left_wrist``, ``LeftWrist``, ``LWrist`` or ``wrist_l``.

    Returns:
        dict[int, list[int]] or None: Joint of the file by joint of COCO-17, as
        :func:`mofm.sources.joint_maps.find_joints` returns them; None if the file has less than
        half of them.
    """
    return _order([_plain(name) for name in names])


def named_bones(names: Sequence[str]) -> dict[int, list[int]] | None:
    """Find the joints of COCO-17 by the names of the bones that begin there.

    Args:
        names (Sequence[str]): E.g. ``upper_arm.L``, ``LeftUpArm`` or ``l_thigh``; the head is the
            nose, and the end of the forearm the wrist.

    Returns:
        dict[int, list[int]] or None: See :func:`named_order`; None if arms or legs lack a bone.
    """
    found = []
    for name in map(_plain, names):
        side, _, bone = name.partition('_')
        joint = _BONES_OF.get(bone.replace('_', ''))
        found.append(f'{side}_{joint}' if joint and side in _SIDES.values() else
                     'nose' if name == 'head' else '')
    order = _order(found) or {}
    return order if {*range(5, 9), *range(11, 17)} <= order.keys() else None


def unknown_joints(names: Sequence[str]) -> list[str]:
    """List the names that are those of no joint of any layout, in any spelling."""
    return [name for name in names if not any(_key(name) in keys for keys in _keys().values())]


def named_layout(names: Sequence[str]) -> tuple[str, list[int | None]]:
    """Find the layout of joints that are all known by their names.

    Args:
        names (Sequence[str]): E.g. ``left_wrist``, ``LEFT_WRIST`` or ``LWrist``, of any layout.

    Returns:
        tuple[str, list[int or None]]: The layout with most of the names, COCO-17 if it has all,
        and of several the one that lacks fewest; and the joint of each name, None if it has none.

    Raises:
        ValueError: If two names are those of one joint; it has both.
    """
    keys = [_key(name) for name in names]

    def fit(layout):
        known = sum(key in _keys()[layout] for key in keys)
        return known, known == len(keys) and layout == 'coco17', -LAYOUTS[layout].num_joints

    layout = max(LAYOUTS, key=fit)
    joints = [_keys()[layout].get(key) for key in keys]
    for i, joint in enumerate(joints):
        if joint is not None and joint in joints[:i]:
            raise ValueError(f'{names[joints.index(joint)]!r} and {names[i]!r}')
    return layout, joints


@cache
def _keys() -> dict[str, dict[str, int]]:
    """Return the number of each joint of each layout, by its names."""
    return {title: {_key(name): i for i, joint in reversed(list(enumerate(layout.joints)))
                    for name in (*_OTHER_NAMES.get(joint, ()), joint)}
            for title, layout in LAYOUTS.items()}


def _key(name: str) -> str:
    return _plain(name) + ''.join(re.findall(r'\d+', name[:80]))


def _order(found: Sequence[str]) -> dict[int, list[int]] | None:
    coco = LAYOUTS['coco17'].joints
    places = {i: [found.index(joint)] for i, joint in enumerate(coco) if found.count(joint) == 1}
    return places if len(places) > len(coco) / 2 else None


def _plain(name: str) -> str:
    """Return the name of a joint as in :data:`LAYOUTS` if it has usual parts."""
    name = re.sub(rf'(?i)(?<![a-z])(left|right|[lr](?!ear))(?={_PARTS}(?![a-z]))', r'\1_',
                  name[:80])
    name = re.sub(rf'(?i)(?<![a-z])({_PARTS})(?=(left|right|[lr])(?![a-z]))', r'\1_', name)
    words = re.findall(r'[A-Z]?[a-z]+|[A-Z]+(?![a-z])', name)
    words = [_SIDES.get(word.lower(), word.lower()) for word in words]
    return '_'.join(sorted(words, key=lambda word: word not in ('left', 'right')))


# Names of joints in the programs that write the layouts.
_OTHER_NAMES = dict(
    pelvis=('mid_hip', 'midhip'), neck=('head_bottom', ), head=('head_top', ),
    left_lip1=('mouth_left', ), right_lip1=('mouth_right', ),
    left_big_toe=('left_foot_index', ), right_big_toe=('right_foot_index', ),
    **{f'{side}_{finger}': (f'{side}_{finger[:-1]}', ) for side in ('left', 'right')
       for finger in ('pinky1', 'index1', 'thumb2')})
_PARTS = '(?:shoulder|elbow|wrist|hip|knee|ankle|eye|ear)'
_SIDES = dict(l='left', r='right', lft='left', rgt='right')
# Joints at the upper end of bones, by their usual names.
_BONES_OF = dict(upperarm='shoulder', uparm='shoulder', shldr='shoulder', forearm='elbow',
                 lowerarm='elbow', lowarm='elbow', hand='wrist', forearmend='wrist',
                 thigh='hip', upperleg='hip', upleg='hip', shin='knee', calf='knee',
                 lowerleg='knee', lowleg='knee', foot='ankle')
