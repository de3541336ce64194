"""Stacking of samples with different numbers of persons."""

import torch
import torch.nn.functional as F


def stack_inputs(inputs: dict) -> dict:
    """Stack the fields of :class:`PackMotionInputs`; samples with fewer persons are padded.

    Args:
        inputs (dict): Lists of ``keypoints`` ([clips,] M, J, F, 3), optionally ``mask`` (K,) and
            ``heatmap`` ([clips,] J, F, H, W).

    Returns:
        dict: The same fields with a leading batch axis; padded persons have score 0.
    """
    keypoints = inputs['keypoints']
    persons = max(k.shape[-4] for k in keypoints)
    padded = [F.pad(k, (0, 0) * 3 + (0, persons - k.shape[-4])) for k in keypoints]
    return {name: torch.stack(tuple(padded if name == 'keypoints' else field))
            for name, field in inputs.items()}
