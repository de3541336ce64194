"""Order of the joints of a file: said by the user, or checked by the lengths of the bones."""

from collections.abc import Sequence

import numpy as np

from mofm.structures import LAYOUTS, Layout, visible_joints

# Bones of a wrong order are longer: those of BODY_25 in the order of BODY_25B three times.
_FITS = 1.15


def bone_length(keypoint: np.ndarray, score: np.ndarray, layout: Layout) -> float:
    """Compute the mean length of the bones in sizes of the person.

    Args:
        keypoint (np.ndarray): (N, J, 2) in any unit.
        score (np.ndarray): (N, J).
        layout (Layout): An order of J joints.

    Returns:
        float: NaN without a bone.
    """
    visible = visible_joints(keypoint, score)
    start, end = np.array(layout.edges).T
    both = visible[:, start] & visible[:, end]  # (N, E)
    points = np.where(visible[..., None], keypoint, np.nan)
    length = np.linalg.norm(points[:, start] - points[:, end], axis=-1)
    size = np.linalg.norm(np.fmax.reduce(points, 1) - np.fmin.reduce(points, 1), axis=-1)  # (N,)
    both &= (size > 0)[:, None]
    return float((length / size.clip(1e-12)[:, None])[both].mean()) if both.any() else np.nan


def fitting_layout(keypoint: np.ndarray, score: np.ndarray, layouts: Sequence[str]) -> str | None:
    """Choose among layouts with the same number of joints.

    Args:
        keypoint (np.ndarray): (N, J, 2) in any unit.
        score (np.ndarray): (N, J).
        layouts (Sequence[str]): Layouts of J joints, the usual one first.

    Returns:
        str or None: The usual one, unless bones are much shorter in another: then None.
    """
    lengths = [bone_length(keypoint, score, LAYOUTS[layout]) for layout in layouts]
    return layouts[0] if not lengths[0] > _FITS * np.nanmin([np.inf, *lengths]) else None
