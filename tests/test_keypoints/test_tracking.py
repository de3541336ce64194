"""Tracking by OKS: the formula, and persons who enter, leave, cross and hide."""

import json
import math
import time
import zipfile

import numpy as np
import pytest

from mofm.datasets.synthetic import animate
from mofm.keypoints import add_pose_noise, join_tracks
from mofm.keypoints.tracking import oks, track_poses

# Of the COCO keypoint evaluation, times 10.
SIGMAS = [.26, .25, .25, .35, .35, .79, .79, .72, .72, .62, .62, 1.07, 1.07, .87, .87, .89, .89]
POSE = np.array([[0, -80], [3, -83], [-3, -83], [7, -80], [-7, -80], [18, -60], [-18, -60],
                 [24, -35], [-24, -35], [26, -10], [-26, -10], [10, 0], [-10, 0], [11, 40],
                 [-11, 40], [12, 80], [-12, 80]], float)


def line(start, speed, frames):
    """A stiff person on a straight line: (T, 17, 2)."""
    return POSE + np.array(start) + np.array(speed) * np.arange(frames)[:, None, None]


def track(paths, present, rng=None, **kwargs):
    """Numbers of persons, -1 where absent, (M, T), tracked in random order."""
    paths, present = np.asarray(paths, float), np.asarray(present, bool)
    rng = rng or np.random.default_rng(0)
    order = [rng.permutation(np.flatnonzero(p)) for p in present.T]
    frames = [(paths[o, t], np.ones((len(o), 17))) for t, o in enumerate(order)]
    out = np.full(present.shape, -1)
    for t, (o, ids) in enumerate(zip(order, track_poses(frames, **kwargs), strict=True)):
        out[o, t] = ids
    return out


def numbers(row):
    return set(row[row >= 0].tolist())


def test_oks_equals_formula_of_coco():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 90, (2, 3, 17, 2))
    score, other = np.ones((3, 17)), np.ones((3, 17))
    score[0, 4:9] = other[1, 7:] = 0
    found = oks(a, score, b, other)
    for n in range(3):
        for k in range(3):
            both = [v for v in range(17) if score[n, v] and other[k, v]]
            area = sum(np.ptp(p[seen > 0], axis=0).prod() / 2
                       for p, seen in ((a[n], score[n]), (b[k], other[k])))
            terms = [math.exp(-math.dist(a[n, v], b[k, v])**2
                              / (2 * area * (2 * SIGMAS[v] / 10)**2)) for v in both]
            assert found[n, k] == pytest.approx(sum(terms) / len(terms))


def test_oks_ignores_missing_joints():
    """They neither help nor harm, wherever they are; without common ones nothing is similar."""
    one = np.ones((1, 17))
    half = np.where(np.arange(17) < 9, 1., 0)[None]
    moved = POSE[None] + [4, 3]
    lost = np.where(half[..., None] > 0, moved, 0)
    assert oks(POSE[None], one, lost, half) == oks(POSE[None], one, np.where(
        half[..., None] > 0, moved, 999), half)
    assert oks(POSE[None], one, POSE[None] * half[..., None], half)[0, 0] == 1
    assert oks(POSE[None], half, POSE[None], 1 - half)[0, 0] == 0
    weak = np.where(half > 0, 1., 1e-3)
    far = np.where(half[..., None] > 0, POSE, POSE + 500)
    assert oks(POSE[None], one, far, weak)[0, 0] > .98  # a guess of low score counts little
    assert oks(np.zeros((0, 17, 2)), one[:0], POSE[None], one).shape == (0, 1)


def test_oks_does_not_depend_on_the_scale():
    one, moved = np.ones((1, 17)), POSE[None] + [9, 0]
    assert oks(POSE[None], one, moved, one) == pytest.approx(
        oks(7 * POSE[None], one, 7 * moved, one))
    flat = POSE[None] * [0, 1]  # no area at all, seen from the side
    assert oks(flat, one, flat + [2, 0], one)[0, 0] > .9


def test_tracking_survives_entering_and_leaving():
    present = np.zeros((4, 60), bool)
    for row, (first, last) in zip(present, ((0, 60), (0, 20), (15, 60), (40, 60)), strict=True):
        row[first:last] = True
    paths = [line((200 * i, 300), (3, 0), 60) for i in range(4)]
    found = track(paths, present)
    assert [numbers(row) for row in found] == [{found[i, present[i]][0]} for i in range(4)]
    assert sorted(map(max, map(numbers, found))) == [0, 1, 2, 3]


@pytest.mark.parametrize('seed', range(5))
def test_tracking_keeps_ids_through_occlusion(seed):
    """Who walks behind somebody else is not seen for 15 frames and keeps the number."""
    paths = [line((100, 300), (5, .2), 100), line((600, 290), (-5, 0), 100)]
    present = np.ones((2, 100), bool)
    present[1, 43:58] = False
    paths += np.random.default_rng(seed).normal(0, 1, np.shape(paths))
    found = track(paths, present, np.random.default_rng(seed))
    assert [numbers(row) for row in found] in ([{0}, {1}], [{1}, {0}])
    late = track(paths, present, max_lost=14)
    assert len(numbers(late[0])) == 1
    assert len(numbers(late[1])) == 2


def walker(rng, frames, start, speed, size, floor):
    """Side view of a synthetic walk, with pose noise."""
    joints = animate('walk', rng, frames)  # (T, 17, 3) meters, x forwards, z up
    joints = joints - joints[:, 11:13].mean(1, keepdims=True) * [1, 1, 0]
    pixels = joints[..., [0, 2]] * [np.sign(speed), -1] * size
    pixels += np.stack([start + speed * np.arange(frames), np.full(frames, floor)], -1)[:, None]
    return add_pose_noise(pixels, 5 + joints[..., 1], rng, (1080, 1920), far=.001, swap=.01)


def test_tracking_of_synthetic_walkers_rarely_switches():
    """Four persons cross the image; who is farther is hidden behind the others."""
    switches, persons, lost = 0, 0, 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        start, size = rng.uniform(100, 900, 4), rng.uniform(150, 200, 4)
        speed = rng.choice([-1, 1], 4) * rng.uniform(4, 9, 4)
        start[speed < 0] += 900
        keypoint, score = map(np.array, zip(*(
            walker(rng, 120, *values, 650 + 30 * i)
            for i, values in enumerate(zip(start, speed, size, strict=True))), strict=True))
        center = np.median(keypoint[..., 0], -1)  # (M, T)
        near = np.abs(center[:, None] - center) < 45
        hidden = (near & np.triu(np.ones((4, 4), bool), 1)[..., None]).any(1)
        present = (score > 0).any(-1) & ~hidden
        frames = [(keypoint[p, t], score[p, t]) for t, p in enumerate(present.T)]
        ids = track_poses(frames)
        assert all(len(np.unique(i)) == len(i) == p.sum() for i, p in zip(ids, present.T,
                                                                          strict=True))
        found = np.full(present.shape, -1)
        found.T[present.T] = np.concatenate(ids)
        persons += present.any(1).sum()
        switches += sum((np.diff(row[row >= 0]) != 0).sum() for row in found)
        lost += sum((np.diff(np.flatnonzero(row)) > 1).sum() for row in present)
    assert persons == 32
    assert lost > 20
    assert switches <= 3  # of more than 20 occlusions


def test_tracking_forgets_after_max_lost_frames():
    """A person may be away for max_lost frames and no longer; gaps in the numbers count."""
    pose = POSE[None], np.ones((1, 17))
    for away, same in ((7, True), (8, False)):
        nobody = POSE[:0].reshape(0, 17, 2), np.ones((0, 17))
        ids = track_poses([pose, *[nobody] * away, pose], max_lost=7)
        assert [i.tolist() for i in ids] == [[0], *[[]] * away, [0 if same else 1]]
        ids = track_poses([pose, pose], [5, 6 + away], max_lost=7)
        assert [i.tolist() for i in ids] == [[0], [0 if same else 1]]
    assert track_poses([]) == []


def test_tracking_maximizes_the_sum_not_the_best_pair():
    """Two persons in a row move on; the first one's new place is nearest to the second's old."""
    before = POSE + np.array([[[0, 0]], [[20, 0]]])
    after = before + [14, 0]
    ones = np.ones((2, 17))
    assert oks(after[:1], ones[:1], before, ones)[0].argmax() == 1
    assert track_poses([(before, ones), (after, ones)])[1].tolist() == [0, 1]


def test_tracking_of_real_poses_gives_few_tracks(real_data):
    """AlphaPose on 15 recordings of 1 to 4 persons at 20 Hz, 2547 poses in 2048 images."""
    with zipfile.ZipFile(real_data('alphapose_sample.zip')) as archive:
        data = json.loads(archive.read('alphapose_coco17_untracked.json'))
    images = {}
    for person in data:
        images.setdefault(person['image_id'], []).append(person['keypoints'])
    poses = [np.array(images[name]).reshape(-1, 17, 3) for name in sorted(images)]
    frames = [(pose[..., :2], pose[..., 2].clip(0, 1)) for pose in poses]
    ids = track_poses(frames)
    assert [len(i) for i in ids] == [len(pose) for pose in poses]
    assert all(len(np.unique(i)) == len(i) for i in ids)
    lengths = np.bincount(np.concatenate(ids))
    assert len(poses) == 2048
    assert lengths.sum() == 2547
    assert lengths.all()
    assert 15 <= len(lengths) <= 100
    assert np.sort(lengths)[-30:].sum() > .85 * 2547  # few long tracks hold nearly all
    assert all(np.array_equal(a, b) for a, b in zip(ids, track_poses(frames), strict=True))


# -------------------------------------------------------------------------------- joined tracks
def people(*tracks):
    """Rows of tracks (number, frames, x): a body of size 1 at x, whose joints do not move."""
    track = np.concatenate([np.full(len(frames), number) for number, frames, _ in tracks])
    frame = np.concatenate([frames for _, frames, _ in tracks])
    body = np.array([[0, 0], [0, .5], [0, 1], [.2, .7]])
    points = np.concatenate([body + [[[x, 0]]] * len(frames) for _, frames, x in tracks])
    shuffled = np.random.default_rng(0).permutation(len(frame))
    return track[shuffled], frame[shuffled], points[shuffled]


@pytest.mark.parametrize(('tracks', 'expected'), [
    # one person with three ids
    ([(5, range(4), 0), (2, range(4, 9), .1), (9, range(10, 12), .2)], {5: 5, 2: 5, 9: 5}),
    # at the same time for one frame
    ([(1, range(5), 0), (2, range(4, 9), 0)], {1: 1, 2: 2}),
    # too far, for a gap of no frame and of 10; near enough after 10 frames
    ([(1, range(5), 0), (2, range(5, 9), .31)], {1: 1, 2: 2}),
    ([(1, range(5), 0), (2, range(15, 19), .61)], {1: 1, 2: 2}),
    ([(1, range(5), 0), (2, range(15, 19), .59)], {1: 1, 2: 1}),
    # too late
    ([(1, range(5), 0), (2, range(35, 40), 0)], {1: 1, 2: 1}),
    ([(1, range(5), 0), (2, range(36, 40), 0)], {1: 1, 2: 2}),
    # a track that is lost for some frames goes on as another one meanwhile, and as itself
    ([(1, [0, 1, 2, 6, 7], 0), (2, [3, 4, 5], .1)], {1: 1, 2: 1}),
    ([(1, [0, 1, 2, 5, 6, 7], 0), (2, [3, 4, 5], .1)], {1: 1, 2: 2}),
    # the nearest one
    ([(1, range(3), 0), (2, range(3), .25), (3, range(3, 6), .2)], {1: 1, 2: 2, 3: 2}),
    ([(1, range(3), 0), (2, range(3, 6), .2), (3, range(3, 6), .1)], {1: 1, 2: 2, 3: 1}),
    # both at once: their new tracks are told apart
    ([(1, range(3), 0), (2, range(3), .25), (3, range(3, 6), .24), (4, range(3, 6), .02)],
     {1: 1, 2: 2, 3: 2, 4: 1}),
    # what is nearer in space but much later in time is a second continuation
    ([(1, range(3), 0), (2, range(3, 6), .1), (3, range(7, 9), 0)], {1: 1, 2: 1, 3: 1})])
def test_join_tracks_joins_disjoint_tracks_that_are_near(tracks, expected):
    track, frame, points = people(*tracks)
    np.testing.assert_array_equal(join_tracks(track, frame, points),
                                  np.vectorize(expected.get)(track))


def test_join_tracks_compares_joints_that_both_ends_have():
    track, frame, points = people((1, range(3), 0), (2, range(3, 6), 0))
    points[track == 1, :2] = np.nan
    assert set(join_tracks(track, frame, points)) == {1}
    points[track == 2, 2:] = np.nan  # none in common
    assert set(join_tracks(track, frame, points)) == {1, 2}


def test_join_tracks_is_the_same_in_any_unit():
    track, frame, points = people((1, range(5), 0), (2, range(15, 19), .59), (3, range(20, 22), 5))
    for unit in (.001, 700):
        assert np.array_equal(join_tracks(track, frame, points * unit),
                              join_tracks(track, frame, points))


def test_join_tracks_of_a_number_per_pose_takes_seconds():
    """Files that number detections, not persons."""
    count = 5000
    start = time.process_time()
    frame = np.repeat(np.arange(count // 4), 4)
    x = np.tile([0, 3, 6, 9], count // 4)[:, None, None] * [1, 0]
    points = np.array([[0, 0], [0, .5], [0, 1]]) + x
    joined = join_tracks(np.arange(count), frame, points)
    assert np.array_equal(joined, np.arange(count) % 4)
    assert time.process_time() - start < 15
