"""3D poses of MMPose, through virtual cameras."""
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mofm.annotations.schema import MAX_FPS
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, get_layout

from ..base import Item, Sample
from ..frame_numbers import find_step
from ..joint_order import other_layouts
from ..motion_capture import MotionCapture
from .mmpose import Frames, MMPoseFiles, recognize, said_layout

# Of the lifting networks and of RTMW3D.
_LAYOUTS = {17: 'h36m17', 133: 'wholebody133'}


@SOURCES.register_module('mmpose_3d')
class MMPose3D(MotionCapture, MMPoseFiles):
    """Reader of the files of :class:`MMPoseJSON` whose ``keypoints`` are (V, 3) with scores.

    Of 0.x, ``keypoints_3d`` is read. MMPose exchanges y and z of the camera and turns both of x
    and z around, so that z is up and the axes are left-handed. Persons have their ``track_id``;
    without it they are told apart by their order in each frame, which is noted. Joints with score
    0 are missing.

    Args:
        path (str or Path): A folder, an archive, or one native file.
        layout (str, optional): Order of the joints; by default what ``meta_info`` says, or the
            one of Human3.6M or COCO-WholeBody.
        **kwargs: Passed to :class:`MotionCapture`.

    Raises:
        AnnotationError: If the path has no such files.
        ValueError: See :class:`MotionCapture`; or if the layout is unknown.
    """

    default_up = 'z'

    def __init__(self, path: str | Path, layout: str | None = None, left_handed: bool = True,
                 **kwargs):
        self.order = layout and get_layout(layout).name
        super().__init__(path, left_handed=left_handed, **kwargs)

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--layout', choices=sorted(LAYOUTS), help='order of the joints')
        parser.add_argument('--right-handed', dest='left_handed', action='store_false',
                            help='the axes are right-handed, as those of other versions')
        parser.set_defaults(left_handed=True)

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return recognize(sample, 3)

    def recordings(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        for video, frames in self.read_frames(name, content):
            listed = self.listed(video)
            if listed is not None:
                yield dict(self._video(name, frames), frame_dir=video, label=listed[0]), listed[1]

    def _video(self, name: str, frames: Frames) -> dict:
        """Return the joints of all persons and the numbers of the frames."""
        instances = [instance for group in frames.instances for instance in group]
        keypoint, score = self._points(name, instances)
        layout = self._layout_of(name, keypoint, score, frames.info)
        inds, place = np.unique(frames.numbers, return_inverse=True)
        counts = [len(group) for group in frames.instances]
        row = np.repeat(place, counts)  # (N,) row of each instance
        ids = self.track_ids(name, instances)
        if ids is None:
            ids = np.concatenate([np.arange(count) for count in counts])
            if ids.any():
                self.note(name, 'persons of a frame are told apart by their order in the file')
        keypoint = np.where((score > 0)[..., None], keypoint, np.nan)
        persons = []
        for person in np.unique(ids):
            joints = np.full((len(inds), *keypoint.shape[1:]), np.nan)
            joints[row[ids == person]] = keypoint[ids == person]
            persons.append(self.meters(name, 'keypoints', self.from_layout(joints, layout),
                                       self.unit, self.up or self.default_up))
        found = find_step(inds)
        if found is not None:
            self.note(name, f'images are numbered in steps of {found[1]:.4g}: a row each')
            inds = found[0]
        ann = dict(joints=np.stack(persons))
        if not (inds == np.arange(len(inds))).all():
            ann['frame_inds'] = inds
        fps = self.fps or frames.info.get('fps')
        if type(fps) in (int, float) and 0 < fps < MAX_FPS:
            ann['fps'] = fps / (found[1] if found else 1)
        return ann

    def _points(self, name, instances) -> tuple[np.ndarray, np.ndarray]:
        """Return joints (N, J, 3) and scores (N, J)."""
        if instances and all('keypoints_3d' in instance for instance in instances):  # of 0.x
            points = [instance['keypoints_3d'] for instance in instances]
            points = self.numbers(name, 'keypoints_3d', points, (None, None, None))
            keypoint, score = points[..., :3], np.ones(points.shape[:2])
            score = points[..., 3] if points.shape[2] == 4 else score
        else:
            keypoint, score = self.points(name, instances) if instances else (None, None)
        if score is None or keypoint.shape[2] != 3:
            raise self.error(name, 'keypoints', 'nobody' if keypoint is None else '2D joints',
                             '3D joints with keypoint_scores; source mmpose reads 2D ones')
        return keypoint, np.nan_to_num(score)

    def _layout_of(self, name, keypoint, score, info) -> str:
        count = keypoint.shape[1]
        said = self.order or said_layout(info, count)
        layout = said or _LAYOUTS.get(count)
        if layout is None or LAYOUTS[layout].num_joints != count:
            raise self.error(name, 'keypoints', f'{count} joints',
                             f'those of {said}' if said else '17 or 133, or --layout')
        known = np.isfinite(keypoint).all(-1)
        kind, others = other_layouts(np.where(known[..., None], keypoint, 0),
                                     np.where(known, score, 0), layout)
        if kind == 'better' and not said:
            raise self.error(name, 'keypoints', f'{count} joints of a body in the order of '
                             f'{" or ".join(others)}, not of {layout}', f'--layout {others[0]}')
        if not said:
            self.note(name, f'the {count} joints are read as those of {layout} (--layout)')
        return layout
