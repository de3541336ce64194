"""Files of the 3D motion of single persons."""

from os import PathLike
from pathlib import Path

import numpy as np

from mofm.annotations import AnnotationError
from mofm.annotations.video_poses import VideoPoses, Videos

from .bvh import write_bvh
from .trc import write_trc

_CENTIMETERS = 100  # per meter; the usual unit of BVH files


def write_motion(folder: str | PathLike, videos: Videos, suffix: str,
                 fps: float | None = None) -> tuple[list[Path], int]:
    """Write 3D annotations as BVH or TRC files ``<video>+<person>``, ``<video>`` of one person.

    A file spans the frames from the first to the last one with the person. TRC files keep the
    number of the frame, and missing joints are empty. BVH files begin at 0, in centimeters, and
    missing joints are interpolated linearly in time.

    Args:
        folder (str or Path): Folder of the files.
        videos (Videos): 3D poses in meters, y up.
        suffix (str): ``.bvh`` or ``.trc``.
        fps (float, optional): Frames per second, by default those of the annotations.

    Returns:
        tuple[list[Path], int]: Files written, and the number of interpolated joints.

    Raises:
        AnnotationError: If the joints are 2D, a frame rate is unknown, or a joint that BVH needs
            is missing in all frames.
    """
    if videos.dims != 3:
        raise AnnotationError(f'{folder}: found 2D joints in pixels, expected 3D joints in meters '
                              f'for {suffix} files; COCO, AlphaPose and tables hold 2D joints')
    written, filled = [], 0
    for video in videos:
        rate = fps or video.fps
        if rate is None:
            raise AnnotationError(f'fps: found none in {video.name!r}, expected frames per second')
        persons = np.unique(video.person)
        for person in persons.tolist():
            several = f'+{person}' * (len(persons) > 1)
            path = Path(folder) / f'{video.stem}{several}{suffix}'
            joints, first = _dense(video, person)
            if suffix == '.trc':
                write_trc(path, joints, videos.layout, rate, first)
            else:
                filled += _fill(joints, path, videos.layout.joints)
                write_bvh(path, joints * _CENTIMETERS, videos.layout, rate)
            written.append(path)
    return written, filled


def _dense(video: VideoPoses, person: int) -> tuple[np.ndarray, int]:
    """Return the joints (T, V, 3) of a person in all frames from its first one, and that."""
    mine = video.person == person
    frame = video.frame[mine]
    joints = np.full((frame[-1] - frame[0] + 1, *video.keypoint.shape[1:]), np.nan)
    joints[frame - frame[0]] = video.keypoint[mine]
    return joints, int(frame[0])


def _fill(joints: np.ndarray, path: Path, names: tuple[str, ...]) -> int:
    """Interpolate missing joints in place, and return their number."""
    missing = np.isnan(joints[..., 0])
    time = np.arange(len(joints))
    for joint in np.flatnonzero(missing.any(0)).tolist():
        known = ~missing[:, joint]
        if not known.any():
            raise AnnotationError(f'{path}: found no {names[joint]!r} in any frame, expected all '
                             'joints of a skeleton; TRC files may lack some')
        for axis in range(3):
            joints[~known, joint, axis] = np.interp(time[~known], time[known],
                                                    joints[known, joint, axis])
    return int(missing.sum())
