"""Baselines of lifting: mean depth, and linear maps of one frame or a window.

python projects/motionbert/tools/lifting_baselines.py data/bandai_h36m.pkl

Input, windows and metric are those of the configs. The penalty of a linear map is selected on a
part of the training split or, in favor of the baseline, on the test split itself.
"""

from mofm.utils.tool import run_tool

import argparse
from collections.abc import Callable, Sequence


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('ann_file', help="file in Human3.6M's format")
    parser.add_argument('--splits', nargs='+', default=['test', 'test_seen'], metavar='SPLIT')
    parser.add_argument('--clip-len', type=int, default=16, help='frames of a window')
    parser.add_argument('--stride', type=int, default=9, help='stride of training windows')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args()  # --help needs none of the imports below

import numpy as np
import torch

from mofm.annotations import AnnotationError
from projects.motionbert.lifting.datasets import LAYOUT, Human36MDataset
from projects.motionbert.lifting.metrics import PoseAccuracy3D
from projects.motionbert.lifting.transforms import NormalizeByWidth

Lifter = Callable[[np.ndarray], np.ndarray]
_PENALTIES = tuple(10.**np.arange(6))


def arrays(dataset: Human36MDataset) -> tuple[np.ndarray, np.ndarray]:
    """Stack root-relative keypoints (N, T, 17, 2) and labels (N, T, 17, 3) of all windows."""
    samples = [dataset[i] for i in range(len(dataset))]
    return tuple(np.stack([s[key] - s[key][:, :1] for s in samples])
                 for key in ('keypoint', 'keypoint_3d'))


def size(keypoint: np.ndarray) -> np.ndarray:
    """Compute the root mean square (N, 1, 1, 1) of the coordinates (N, T, 17, 2) of windows."""
    return np.sqrt((keypoint**2).mean((1, 2, 3), keepdims=True))


def mirrored(x: np.ndarray) -> np.ndarray:
    """Append the mirror images to an array (N, ..., 17, C)."""
    return np.concatenate([x, x[..., LAYOUT.flip_index, :] * np.array([-1, 1, 1])[:x.shape[-1]]])


def mean_depth(keypoint: np.ndarray, label: np.ndarray) -> Lifter:
    """Fit the mean depth of each joint relative to the body size in the image."""
    depth = (mirrored(label)[..., 2] / size(mirrored(keypoint))[..., 0]).mean((0, 1))  # (17,)

    def lift(x: np.ndarray) -> np.ndarray:
        z = np.broadcast_to(depth * size(x)[..., 0], x.shape[:-1])
        return np.concatenate([x, z[..., None]], -1)

    return lift


def linear(keypoint: np.ndarray, label: np.ndarray, penalties: Sequence[float]) -> list[Lifter]:
    """Fit ridge regressions from the keypoints of a window to its labels, both scaled.

    Args:
        keypoint (np.ndarray): (N, T, 17, 2) relative to the root.
        label (np.ndarray): (N, T, 17, 3) relative to the root.
        penalties (Sequence[float]): Ridge penalties.

    Returns:
        list[Callable]: One map per penalty, keypoints (N, T, 17, 2) to positions (N, T, 17, 3).
    """
    keypoint, label = mirrored(keypoint), mirrored(label)
    scale = size(keypoint)
    x, y = ((v / scale).reshape(len(v), -1) for v in (keypoint, label))
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    gram, cross = x.T @ x, x.T @ y  # shared by all penalties, unlike in scikit-learn

    def lifter(penalty: float) -> Lifter:
        weight = np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)

        def lift(x: np.ndarray) -> np.ndarray:
            scale = size(x)
            y = ((x / scale).reshape(len(x), -1) - mean_x) @ weight + mean_y
            return y.reshape(*x.shape[:-1], 3) * scale

        return lift

    return [lifter(penalty) for penalty in penalties]


def select(keypoint: np.ndarray, label: np.ndarray, penalties: Sequence[float]) -> float:
    """Select the penalty that is best on the last fifth of the windows, fitted on the others.

    Files are ordered by content, so the last fifth has other recordings. Arguments are those of
    :func:`linear`.
    """
    cut = len(keypoint) * 4 // 5
    x, y = keypoint[cut:], label[cut:]
    errors = [(np.linalg.norm(lift(x) - y, axis=-1) / size(x)[..., 0]).mean()
              for lift in linear(keypoint[:cut], label[:cut], penalties)]
    return penalties[int(np.argmin(errors))]


def frames(x: np.ndarray) -> np.ndarray:
    """Split windows (N, T, 17, C) into windows of one frame, (N * T, 1, 17, C)."""
    return x.reshape(-1, 1, *x.shape[2:])


def by_frame(lift: Lifter) -> Lifter:
    """Apply a lifter of single frames to windows."""
    return lambda x: lift(frames(x)).reshape(*x.shape[:-1], 3)


def evaluate(lift: Lifter, samples: list[dict]) -> dict[str, float]:
    """Compute the errors of a lifter in mm with the metric of the configs."""
    metric = PoseAccuracy3D()
    predictions = lift(np.stack([s['keypoint'] - s['keypoint'][:, :1] for s in samples]))
    metric.process({}, [dict(s, pred_keypoints_3d=torch.from_numpy(p[None]))
                        for s, p in zip(samples, predictions, strict=True)])
    return metric.compute_metrics(metric.results)


def main(argv=None):
    """Fit on the training split and print a table for each test split."""
    args = parse_args(argv)
    pipeline = [NormalizeByWidth()]
    train = arrays(Human36MDataset(args.ann_file, clip_len=args.clip_len, stride=args.stride,
                                   pipeline=pipeline))
    single = [frames(x) for x in train]
    window = f'linear, {args.clip_len} frames'
    baselines = {'mean depth': [by_frame(mean_depth(*single))]}
    for suffix, penalties in (('', None), (', penalty selected on this split', _PENALTIES)):
        baselines['linear, one frame' + suffix] = [by_frame(lift) for lift in linear(
            *single, penalties or [select(*single, _PENALTIES)])]
        baselines[window + suffix] = linear(*train, penalties or [select(*train, _PENALTIES)])
    names = ('mpjpe', 'p_mpjpe', 'n_mpjpe', 'mpjve', 'acceleration')
    for split in args.splits:
        test = Human36MDataset(args.ann_file, split=split, clip_len=args.clip_len,
                               stride=args.clip_len, test_mode=True, pipeline=pipeline)
        test = [test[i] for i in range(len(test))]
        print(f'\n| {split} (mm) |', ' | '.join(names), '|\n|' + '---|' * (len(names) + 1))
        for title, lifters in baselines.items():
            errors = min((evaluate(lift, test) for lift in lifters), key=lambda e: e['mpjpe'])
            print(f'| {title} |', ' | '.join(f'{errors[name]:.1f}' for name in names), '|')


if __name__ == '__main__':
    run_tool(main, AnnotationError)
