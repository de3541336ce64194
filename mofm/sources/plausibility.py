"""Evidence of what annotation files do not say: layout, units, image size, sides, rate."""

from collections import Counter

import numpy as np

from mofm.annotations.values import find_coordinates, find_size_fault
from mofm.structures import LAYOUTS, convert, get_layout, visible_joints

from .joint_order import other_layouts
from .posture import find_posture, other_vertical, spine_shares

# Poses that are looked at in a file, and frames of a clip.
_POSES, _FEWEST, _MOST = 4000, 4, 400
# Usual extents of a body in meters, median over the poses.
_SMALLEST, _LARGEST = .5, 3
# Poses and shares that tell left from right.
_ENOUGH, _CLEAR = 20, .65
# In heights of the trunk: width of the shoulders of people seen from the front, and at most of
# those seen from the side, whose nose is in front of the neck.
_FRONT, _SIDE, _NOSE = .4, .35, .15
_SURE = .5  # score of a face that is seen
_COCO = LAYOUTS['coco17'].joints
_LEFT, _RIGHT = ([_COCO.index(f'{side}_{joint}') for joint in ('hip', 'knee', 'ankle')]
                 for side in ('left', 'right'))
_SHOULDERS = [_COCO.index(f'{side}_shoulder') for side in ('left', 'right')]


class Plausibility:
    """Collects poses of annotations, and says what they are evidence of.

    Args:
        layout (str): Layout that the joints are taken for.
        dims (int): Coordinates of a joint, 2 or 3.
        clips (int): Number of annotations that will be added, about.
    """

    def __init__(self, layout: str, dims: int = 2, clips: int = 100):
        self.layout = get_layout(layout)
        self.dims = dims
        self.frames = min(max(_POSES // max(clips, 1), _FEWEST), _MOST)
        self.clips = 0
        #: Number of clips by frames per second, None if not stated.
        self.fps: Counter = Counter()
        self.coordinates: Counter = Counter()
        self.faults: dict[str, str] = {}
        self.outside = self.swapped = self.inside = self.joints = 0
        self._keypoint: list[np.ndarray] = []
        self._score: list[np.ndarray] = []
        self._count = 0

    def add(self, ann: dict):
        """Look at an annotation with the joints of the layout."""
        keypoint, score = ann['keypoint'], ann['keypoint_score'].astype(np.float32)
        self.clips += 1
        self.fps[ann.get('fps')] += 1
        known = visible_joints(keypoint, score)  # (M, T, V)
        if not known.any():
            return
        if self.dims == 2:
            kind = find_coordinates(keypoint, score)
            self.coordinates[kind] += 1
            if kind == 'pixels':
                self._check_size(keypoint, score, known, ann['img_shape'])
        if self._count < _POSES:
            frames = np.unique(np.linspace(0, keypoint.shape[1] - 1, self.frames).astype(int))
            seen = known[:, frames].any(-1)
            self._keypoint.append(keypoint[:, frames][seen].astype(np.float64))
            self._score.append((score * known)[:, frames][seen])
            self._count += int(seen.sum())

    def _check_size(self, keypoint, score, known, img_shape):
        size = np.array(img_shape[::-1])
        self.inside += int((((keypoint >= 0) & (keypoint <= size)).all(-1) & known).sum())
        self.joints += int(known.sum())
        fault = find_size_fault(keypoint, score, img_shape)
        if fault:
            self.outside += 1
            self.swapped += fault[1]

    def lines(self, said: str = '') -> list[str]:
        """Describe the findings; those that contradict the file contain 'warning'.

        Args:
            said (str): Where the layout comes from; without, it is taken for granted.
        """
        if not self._keypoint:
            return ['no pose']
        keypoint, score = np.concatenate(self._keypoint), np.concatenate(self._score)
        return [f'layout   {self.layout.name}, {said or "taken for granted (--layout)"}'
                + self._layouts(keypoint, score, not said),
                *(self._lines_3d if self.dims == 3 else self._lines_2d)(keypoint, score),
                f'rate     {self._rate()}']

    def _layouts(self, keypoint, score, guessed) -> str:
        if self.dims == 3:
            return ''
        verdict, names = other_layouts(keypoint, score, self.layout.name)
        if verdict == 'better':
            return f'; warning: the lengths of the bones fit {" or ".join(names)}'
        return f'; the bones also fit {" and ".join(names)}' if names and guessed else ''

    def _rate(self) -> str:
        rates = [f'{count} x ' * (len(self.fps) > 1) + (
            'not stated' if rate is None else f'{rate:g} frames per second')
            for rate, count in self.fps.most_common(4)]
        return ', '.join(rates) + ', ...' * (len(self.fps) > 4)

    def _lines_2d(self, keypoint, score) -> list[str]:
        words = dict(pixels='pixels', unit='0 to 1 of the image', signed='-1 to 1 of the image',
                     unclear='no pixels, 0 to 1 or -1 to 1 of the image')
        kinds = [f'{count} x ' * (len(self.coordinates) > 1) + words[kind]
                 for kind, count in self.coordinates.most_common()]
        units = ', '.join(kinds) + '; warning: expected pixels' * (set(self.coordinates)
                                                                   != {'pixels'})
        image = f'{self.inside / self.joints:.1%} of the joints are inside' if self.joints else '-'
        if self.outside:
            image += f'; poses outside in {self.outside} of {self.clips} clips'
        if self.swapped:
            image += f'; warning: {self.swapped} clips fit if height and width are swapped'
        return [f'units    {units}', f'image    {image}', *self._upright(keypoint, score),
                *self._sides(keypoint, score)]

    def _upright(self, keypoint, score) -> list[str]:
        """Look for people who are upside down."""
        posture = find_posture(*convert(keypoint, score, self.layout.name))
        if posture is None:
            return []
        verdict = '; warning: most have it below; y is expected to point down' * bool(posture[1])
        return [f'upright  {posture[0]:.0%} of the poses have the head above the feet{verdict}']

    def _sides(self, keypoint, score) -> list[str]:
        """Look for people seen from the front, and from the side."""
        points, score = convert(keypoint, score, self.layout.name)
        known = visible_joints(points, score)
        points = np.where(known[..., None], points, np.nan)
        shoulders, hips = points[:, _SHOULDERS], points[:, [_LEFT[0], _RIGHT[0]]]
        neck = shoulders.mean(1)
        trunk = np.linalg.norm(neck - hips.mean(1), axis=-1)  # (N,)
        with np.errstate(divide='ignore', invalid='ignore'):
            width = (shoulders[:, 0, 0] - shoulders[:, 1, 0]) / trunk
            ahead = (points[:, 0, 0] - neck[:, 0]) / trunk
        upright = hips[..., 1].mean(1) > neck[:, 1]
        face = (score[:, :3] >= _SURE).all(1) & known[:, :3].all(1)
        tells = len(np.unique(score[:, :3])) > 2  # of the face, which is not seen from behind
        front = upright & face & (np.abs(width) > _FRONT)
        # The side that is nearer to the camera is lower in the image.
        lower = points[:, _RIGHT, 1] - points[:, _LEFT, 1]
        lower = np.where(np.isfinite(lower), lower, 0).sum(1)
        side = upright & (np.abs(width) < _SIDE) & (np.abs(ahead) > _NOSE) & (lower != 0)
        out = []
        for name, chosen, right, text in (
                ('front', front if tells else np.zeros_like(front), width > 0,
                 'people whose face is seen have their left shoulder on the right of the image'),
                ('side', side, lower * ahead > 0,
                 'people seen from the side have the nearer leg lower in the image')):
            count = int(chosen.sum())
            if count < _ENOUGH:
                out.append(f'{name} view: {count} poses, too few')
                continue
            share = right[chosen].mean()
            verdict = '' if share > _CLEAR else ', which is unclear'
            if share < 1 - _CLEAR:
                verdict = '; warning: left and right may be swapped, or the image mirrored'
            out.append(f'{name} view: {share:.0%} of {count} {text}{verdict}')
        return [f'left and right, {line}' for line in out]

    def _lines_3d(self, keypoint, score) -> list[str]:
        points = np.where(visible_joints(keypoint, score)[..., None], keypoint, np.nan)
        size = np.fmax.reduce(points, 1) - np.fmin.reduce(points, 1)  # (N, 3)
        size = float(np.median(size.max(-1)))
        units = f'meters, if bodies extend over {size:.3g} m'
        if not _SMALLEST < size < _LARGEST:
            units += '; warning: no human body has this size in meters'
        return [f'units    {units}', *self._upright_3d(points), *self._sides_3d(points)]

    def _upright_3d(self, points) -> list[str]:
        """Compare the vertical axis with those along which people stand."""
        known = np.isfinite(points).all(-1)
        joints, score = convert(np.where(known[..., None], points, 0), known, self.layout.name)
        joints = np.where((score > 0)[..., None], joints, np.nan)
        shares, axis = spine_shares(joints), other_vertical(joints)
        if not shares:
            return []
        verdict = f'; warning: most people stand along {axis}' if axis else ''
        return [f'upright  {shares["y"]:.0%} of the poses have the head above the feet, with y up'
                + verdict]

    def _sides_3d(self, points) -> list[str]:
        """Compare left with up x forward: where nose or toes point, or knees bend."""
        names = list(self.layout.joints)

        def joint(*parts):
            found = [names.index(part) for part in parts if part in names]
            return points[:, found].mean(1) if len(found) == len(parts) else np.full(3, np.nan)

        def both(part):
            return joint(f'left_{part}', f'right_{part}')

        left, up = joint('left_shoulder') - joint('right_shoulder'), both('shoulder') - both('hip')
        for what, forward in (
                ('the nose points', joint('nose') - both('ear')),
                ('the toes point', both('foot') - both('ankle')),
                ('the knees bend', both('knee') - (both('hip') + both('ankle')) / 2)):
            turn = (np.cross(up, forward) * left).sum(-1)
            turn = turn[np.isfinite(turn) & (turn != 0)]
            if len(turn) >= _ENOUGH:
                share = (turn > 0).mean()
                verdict = '; warning: left and right may be swapped, or an axis mirrored'
                return [f'left and right: {share:.0%} of {len(turn)} poses have their left '
                        f'shoulder to the left of where {what}{verdict * bool(share < .5)}']
        return ['left and right: too few poses with nose and ears, feet or knees']
