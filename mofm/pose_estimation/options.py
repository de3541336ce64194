"""Options of the pose estimator, of the commands that take videos."""

import argparse

from mmengine.config import DictAction

from .estimator import choose_estimator


def add_estimator_options(group: argparse._ArgumentGroup):
    """Add ``--estimator`` and ``--estimator-options``."""
    group.add_argument('--estimator', default='auto', metavar='NAME',
                       help='mmpose, mediapipe, movenet, rtmpose, ultralytics or one of a plug-in '
                       '[mmpose if its weights are here, else mediapipe]')
    group.add_argument('--estimator-options', nargs='+', action=DictAction, default={},
                       metavar='KEY=VALUE', help='arguments of its class, e.g. tiles=False')


def add_pose_fps(group: argparse._ArgumentGroup, default: float | None):
    """Add ``--pose-fps``."""
    group.add_argument('--pose-fps', type=float, default=default, metavar='HZ',
                       help='estimate at least as many frames of a video per second, and '
                       f'interpolate the others [{default or "all"}]')


def estimator_name(args: argparse.Namespace, mmpose: bool, detector: bool) -> str:
    """Return the name of the pose estimator.

    Args:
        args (argparse.Namespace): With the options of :func:`add_estimator_options`.
        mmpose (bool): Other options ask for a model or weights of MMPose.
        detector (bool): Persons must be found, too.
    """
    if args.estimator != 'auto':
        return args.estimator
    return 'mmpose' if mmpose else choose_estimator(detector)
