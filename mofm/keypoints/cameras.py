"""Virtual pinhole cameras that project 3D joints to 2D keypoints.

World axes: meters, right-handed, y up. A camera at yaw 0 looks along +z as depth sensors do: x
points to the left of the image. Image axes: x to the right, y down.
"""
from dataclasses import dataclass, fields

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with its principal point at the image center.

    Args:
        rotation (np.ndarray): (3, 3) from world axes to camera axes (right, down, forward).
        translation (np.ndarray): (3,) meters; a world point p is ``rotation @ p + translation`` in
            camera coordinates.
        focal (float): Focal length in pixels.
        img_shape (tuple[int, int]): Height and width in pixels.
    """

    rotation: np.ndarray
    translation: np.ndarray
    focal: float
    img_shape: tuple[int, int]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project points.

        Args:
            points (np.ndarray): (..., 3) meters in world coordinates.

        Returns:
            tuple: (..., 2) pixels and (...) depth in meters. Points behind the camera have a depth
            of at most 0 and meaningless, possibly infinite, pixels.
        """
        points = points @ self.rotation.T + self.translation
        depth = points[..., 2]
        with np.errstate(divide='ignore', invalid='ignore'):
            pixels = self.focal * points[..., :2] / depth[..., None]
        return pixels + np.array(self.img_shape[::-1]) / 2, depth


def _turn(axis: int, degrees: float) -> np.ndarray:
    """Return a right-handed rotation about an axis, (3, 3)."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.eye(3)
    out[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
    return out


def level(points: np.ndarray, tilt: float) -> np.ndarray:
    """Correct the tilt of a sensor so that y is vertical.

    Args:
        points (np.ndarray): (..., 3) meters in sensor coordinates.
        tilt (float): Downward tilt in degrees.

    Returns:
        np.ndarray: (..., 3) meters.
    """
    return points @ _turn(0, tilt).T


@dataclass(frozen=True)
class CameraRange:
    """Ranges of virtual camera poses, sampled uniformly.

    Args:
        distance (tuple[float, float]): Horizontal distance from the target in meters.
        height (tuple[float, float]): Height above the target in meters.
        yaw (tuple[float, float]): Azimuth about the target in degrees: 0 on the side of the sensor
            (the camera looks along +z), 90 on its right (along +x).
        pitch (tuple[float, float]): Aim above the target in degrees.
        roll (tuple[float, float]): Rotation about the optical axis in degrees.
        focal (tuple[float, float]): Focal length in image widths.
        img_shape (tuple[int, int] or tuple[tuple[int, int], ...]): Height and width in pixels, or
            several of them to sample from.

    Raises:
        ValueError: If limits are not two ascending numbers, or a distance, focal length or size
            is not positive.
    """

    distance: Range = (2.5, 5)
    height: Range = (-.3, 1.2)
    yaw: Range = (-180, 180)
    pitch: Range = (-3, 3)
    roll: Range = (-3, 3)
    focal: Range = (.55, .75)
    img_shape: tuple[int, int] | tuple[tuple[int, int], ...] = (1080, 1920)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Image sizes as a sequence, also for a single one."""
        several = isinstance(self.img_shape[0], (tuple, list))
        return self.img_shape if several else (self.img_shape, )

    def __post_init__(self):
        for field in fields(self)[:-1]:
            limits = getattr(self, field.name)
            if len(limits) != 2 or not -np.inf < limits[0] <= limits[1] < np.inf:
                raise ValueError(f'{field.name}: found {limits}, expected two ascending numbers')
        for name in ('distance', 'focal'):
            if min(getattr(self, name)) <= 0:
                raise ValueError(f'{name}: found {getattr(self, name)}, expected positive values')
        if not self.img_shape or not all(len(size) == 2 and min(size) > 0 for size in self.sizes):
            raise ValueError(f'img_shape: found {self.img_shape}, expected a positive height and '
                             'width, or several')

    def sample(self, rng: np.random.Generator, target: np.ndarray) -> Camera:
        """Sample a camera that looks at a point.

        Args:
            rng (np.random.Generator): Six numbers are drawn in the order of the fields, and a
                seventh if there are several sizes.
            target (np.ndarray): (3,) meters, e.g. the center of a person.

        Returns:
            Camera: At pitch 0 the target is at the image center.
        """
        distance, height, yaw, pitch, roll, focal = (
            rng.uniform(*limits) for limits in (self.distance, self.height, self.yaw, self.pitch,
                                                self.roll, self.focal))
        down = np.rad2deg(np.arctan2(height, distance)) - pitch
        rotation = (_turn(2, roll) @ _turn(0, down) @ np.diag([-1., -1, 1])
                    @ _turn(1, -yaw))  # (3, 3)
        position = target + [0, height, 0] - distance * _turn(1, yaw)[:, 2]
        img_shape = self.sizes[rng.integers(len(self.sizes)) if len(self.sizes) > 1 else 0]
        return Camera(rotation, -rotation @ position, focal * img_shape[1], img_shape)
