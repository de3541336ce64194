"""Range of coordinates and scores, the same in training, inference and streaming."""

from collections.abc import Sequence

import numpy as np

from mofm.structures import visible_joints

#: Image sizes beyond which a pixel is a fault of the file or of the pose estimator.
MAX_SIZES = 10
#: Largest coordinate in any unit, that of float16, in which annotations are stored.
MAX_COORDINATE = 65504.
#: Largest confidence; those of most estimators are in [0, 1], of some a little higher.
MAX_SCORE = 100.
#: Sides of an image up to which its coordinates may be in a unit, e.g. 1 x 1.
SMALLEST_IMAGE = 16
#: Poses whose coordinates are all this small are looked at, as they may be no pixels.
SMALL = 16.


def within(array: np.ndarray, limit: float) -> bool:
    """Return whether all numbers are in [-limit, limit]; NaN is not."""
    if not array.size:
        return True
    if array.dtype == np.float16:  # compares the bits, as NumPy is slow at half precision
        bits = array.view(np.uint16) & 0x7fff
        return bool(bits.max() <= np.float16(limit).view(np.uint16))
    return bool(-limit <= array.min() and array.max() <= limit)


def find_fault(keypoint: np.ndarray, score: np.ndarray,
               img_shape: Sequence[int] | None = None) -> tuple[str, str, str] | None:
    """Find a coordinate or score that is NaN, infinite or out of any sensible range.

    Coordinates in 0 to 1 or -1 to 1 are no pixels of an image of known size.

    Args:
        keypoint (np.ndarray): (M, T, V, C) or (N, V, C), 2 pixels or 3 coordinates in meters.
        score (np.ndarray): The same without the last axis.
        img_shape (Sequence[int], optional): Height and width of the image, None if unknown.

    Returns:
        tuple[str, str, str] or None: Field, found and expected value.
    """
    limit, of = MAX_COORDINATE, 'the largest float16'
    far = limit if img_shape is None else MAX_SIZES * int(max(img_shape))
    if keypoint.shape[-1] == 2 and far < limit:
        limit, of = float(far), f'{MAX_SIZES} image sizes'
    for name, array, most, what in (('keypoint', keypoint, limit, f', {of}'),
                                    ('keypoint_score', score, MAX_SCORE, '')):
        if within(array, most):
            continue
        bad = ~(np.abs(array.astype(np.float64)) <= most)
        where = tuple(np.argwhere(bad)[0])
        place = ', '.join(f'{axis} {i}' for axis, i in zip(
            ('person', 'frame', 'joint')[::1 if score.ndim == 3 else 2], where, strict=False))
        return (name, f'{array[where]} at {place} ({np.count_nonzero(bad)} values that are NaN, '
                'infinite or too large)', f'finite numbers within {most:g}{what}; coordinates and '
                'score 0 for missing joints')
    if (keypoint.shape[-1] == 2 and img_shape is not None and max(img_shape) > SMALLEST_IMAGE
            and within(keypoint[:, :1], SMALL) and within(keypoint, SMALL)
            and find_coordinates(keypoint, score) != 'pixels'):
        height, width = img_shape
        return ('keypoint', f'coordinates from {keypoint.min():.3g} to {keypoint.max():.3g} in an '
                f'image of height {height} and width {width}', 'pixels; coordinates of 0 to 1 are '
                'to be multiplied by width and height')
    return None


def without_nan(keypoint: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mark joints with NaN in a coordinate or in the score as missing.

    Args:
        keypoint (np.ndarray): (..., C).
        score (np.ndarray): (...).

    Returns:
        tuple: Both of the same types, 0 for these joints.
    """
    known = ~(np.isnan(keypoint).any(-1) | np.isnan(score))
    if known.all():
        return keypoint, score
    return (np.where(known[..., None], keypoint, 0).astype(keypoint.dtype),
            np.where(known, score, 0).astype(score.dtype))


#: Coordinates of 2D joints: pixels; 0 to 1, or -1 to 1, from the left and upper to the right and
#: lower edge of the image.
COORDINATES = ('pixels', 'unit', 'signed')
# Coordinates of poses, rarely a little outside of the image, in sizes of the image or half sizes.
_NORMALIZED = 1.5
# Share of joints left of the image and above it, and their distance, that make up -1 to 1.
_NEGATIVE, _MARGIN = .05, .05
# Shares of joints of a pose, and of poses of a video, outside of an image of another size.
_POSE_OUTSIDE, _POSES_OUTSIDE = .75, .02


def find_coordinates(keypoint: np.ndarray, score: np.ndarray) -> str:
    """Tell from their values what the coordinates of 2D joints are.

    Values of which the typical one is at most 1.5 are never pixels. Joints outside of the image do
    no harm if they are few.

    Args:
        keypoint (np.ndarray): (..., 2) of a whole video; NaN, 0 or score 0 for missing joints.
        score (np.ndarray): (...).

    Returns:
        str: One of :data:`COORDINATES`, 'pixels' also without a joint; or 'unclear', as 0 to 1 or
        -1 to 1 would fit, which the user has to say.
    """
    points = keypoint[visible_joints(np.nan_to_num(keypoint), np.nan_to_num(score))]
    if not len(points) or np.median(np.abs(points).max(-1)) > _NORMALIZED:
        return 'pixels'
    negative = (points < -_MARGIN).mean(0)  # left of the image, above it
    if negative.min() >= _NEGATIVE:
        return 'signed'
    return 'unit' if negative.max() < _NEGATIVE else 'unclear'


def to_pixels(keypoint: np.ndarray, coordinates: str, img_shape: Sequence[int]) -> np.ndarray:
    """Scale coordinates to pixels.

    Args:
        keypoint (np.ndarray): (..., 2); missing joints are scaled, too.
        coordinates (str): One of :data:`COORDINATES`.
        img_shape (Sequence[int]): Height and width of the image.

    Returns:
        np.ndarray: (..., 2) pixels, float64 unless they were pixels.
    """
    size = np.array(img_shape[::-1], np.float64)
    return {'pixels': lambda: keypoint, 'unit': lambda: keypoint * size,
            'signed': lambda: (keypoint + 1) / 2 * size}[coordinates]()


def find_size_fault(keypoint: np.ndarray, score: np.ndarray,
                    img_shape: Sequence[int]) -> tuple[str, bool] | None:
    """Find poses outside of the image, which has another size then, or swapped sides.

    A pose is outside if three quarters of its joints are; people who are half outside of the image
    are none. A joint is far outside by more than the size of the image.

    Args:
        keypoint (np.ndarray): (..., V, 2) pixels of a whole video.
        score (np.ndarray): (..., V), 0 for missing joints.
        img_shape (Sequence[int]): Height and width.

    Returns:
        tuple[str, bool] or None: What was found, and whether the poses fit if height and width are
        swapped; None if less than 2 % of the poses are outside and of the joints far outside.
    """
    known = visible_joints(keypoint, score)  # (..., V)
    count, size = known.sum(-1), np.array(img_shape[::-1])

    def outside(size, margin=0):
        low, high = -margin * size, (1 + margin) * size
        return ((keypoint < low) | (keypoint > high)).any(-1) & known

    out = outside(size).sum(-1)
    poses = (out > 0) & (out >= _POSE_OUTSIDE * count)
    if not poses.sum() > _POSES_OUTSIDE * (count > 0).sum():
        far = outside(size, 1).sum()
        return (f'{far} of {count.sum()} joints far outside of the image', False) if (
            far > _POSES_OUTSIDE * count.sum()) else None
    swapped = outside(size[::-1]).sum() < _POSES_OUTSIDE * count.sum()
    height, width = img_shape
    return (f'{poses.sum()} of {(count > 0).sum()} poses outside of an image of height {height} '
            f'and width {width}', bool(swapped and height != width))
