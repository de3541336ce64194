"""Poses of every n-th frame, against a law of motion of which linear interpolation is exact."""

from itertools import repeat

import numpy as np
import pytest

from mofm.pose_estimation import (
    PoseEstimator,
    Video,
    estimate_sampled,
    extract_video,
    frame_step,
)
from mofm.visualization import write_video

POSE = np.linspace(20, 60, 34).reshape(17, 2)


class Walkers(PoseEstimator):
    """Two persons who move 1 and -2 pixels per frame; the gray value is the number of a frame."""

    def __init__(self, leave=99, **settings):
        super().__init__(**settings)
        self.leave, self.seen, self.given = leave, [], []

    def estimate(self, image, boxes=None):
        number = round(float(image.mean()) / 8)
        self.seen.append(number)
        self.given.append(boxes)
        persons = [POSE + number, POSE + (100 - 2 * number, 0)]
        score = np.full((2, 17), .5)
        score[0, 3] = number % 8 == 0  # hidden in every second sampled frame
        order = [1, 0] if number % 8 else [0, 1]  # as no estimator keeps an order
        keep = order if number < self.leave else [0]
        return np.array(persons)[keep], score[keep]


def frames(count):
    return [np.full((96, 192, 3), 8 * i, np.uint8) for i in range(count)]


@pytest.mark.parametrize(('fps', 'pose_fps', 'step'), [
    (60, 15, 4), (59.94, 15, 4), (30, 15, 2), (29.97, 15, 2), (25, 15, 1), (10, 15, 1),
    (120, 15, 8), (None, 15, 1), (60, None, 1), (60, 1000, 1)])
def test_step_keeps_the_asked_rate(fps, pose_fps, step):
    assert frame_step(fps, pose_fps) == step


def test_sampled_poses_are_interpolated_between_each_person_and_itself():
    walkers = Walkers()
    poses = list(estimate_sampled(walkers, frames(11), 4))
    assert walkers.seen == [0, 4, 8, 10]
    assert len(poses) == 11
    for number, pose in enumerate(poses):
        order = np.argsort(pose['keypoints'][:, 0, 0])
        np.testing.assert_allclose(pose['keypoints'][order][:, 5],
                                   [POSE[5] + number, POSE[5] + (100 - 2 * number, 0)], atol=1e-4)
        np.testing.assert_allclose(pose['bboxes'][order][1], [
            120 - 2 * number, POSE[0, 1], POSE[-1, 0] + 100 - 2 * number, POSE[-1, 1]], atol=1e-4)
        assert (pose['keypoint_scores'][order][0, 3] > 0) == (number in (0, 8))
        np.testing.assert_allclose(pose['keypoint_scores'][:, 5], .5)
    assert {value.dtype for value in poses[1].values()} == {np.dtype('float32')}


def test_person_who_leaves_is_not_interpolated():
    poses = list(estimate_sampled(Walkers(leave=4), frames(9), 4))
    assert [len(pose['keypoints']) for pose in poses] == [2, *[1] * 8]


def test_sampled_frames_come_with_their_boxes():
    walkers = Walkers()
    boxes = ([[i, i, i + 9, i + 9]] for i, _ in enumerate(repeat(None)))
    assert len(list(estimate_sampled(walkers, frames(7), 4, boxes))) == 7
    assert [box[0, 0] for box in walkers.given] == [0, 4, 6]


def test_all_frames_are_estimated_with_step_one():
    walkers = Walkers()
    assert len(list(estimate_sampled(walkers, frames(3), 1))) == 3
    assert walkers.seen == [0, 1, 2]


@pytest.mark.parametrize('cut', [1, 4, 7, 11])
def test_sampled_extraction_resumes_at_an_estimated_frame(tmp_path, cut):
    write_video(iter(frames(12)), tmp_path / 'a.mp4', 60)
    whole, part = tmp_path / 'whole.json', tmp_path / 'part.json'

    def extract(path, progress=lambda done: None):
        walkers = Walkers()
        meta = extract_video(walkers, Video(tmp_path / 'a.mp4'), path, {}, None, 15, progress)
        assert (meta['pose_step'], meta['num_frames']) == (4, 12)
        return walkers.seen

    def stop(done):
        if done == cut:
            raise KeyboardInterrupt

    assert extract(whole) == [0, 4, 8, 11]
    with pytest.raises(KeyboardInterrupt):
        extract(part, stop)
    assert extract(part) == [number for number in (0, 4, 8, 11) if number >= cut - cut % 4]
    assert part.read_text() == whole.read_text()
